/* A configuration as bytes and back, exactly: for memory that outlives the daemon and for checkpoints.
 *
 * Sections of {tag, bytes} in native byte order (the byte order stands at the front and is checked), each padded to eight bytes. A reader
 * passes over tags it does not know, so that a later version may add some. Integrity (a checksum) is the carrier's business;
 * what is read here is bounds-checked all the same. Reentrant. */
#ifndef GD_CORE_CONFIGURATION_PACK_H
#define GD_CORE_CONFIGURATION_PACK_H

#include "core/configuration.h"

size_t gd_configuration_packed_bytes(const struct gd_configuration *conf);
void gd_configuration_pack(const struct gd_configuration *conf, void *out); /* gd_configuration_packed_bytes */

/* GD_E_CORRUPT_DATA, GD_E_OUT_OF_MEMORY. The caller destroys *out. */
int gd_configuration_unpack(struct gd_configuration **out, const void *data, size_t bytes, struct gd_err *err);

#endif
