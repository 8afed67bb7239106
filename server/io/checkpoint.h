/* Checkpoints: a State in a file, complete, so that a State restored from it goes on bit for bit.
 *
 * HDF5 in the H5MD 1.1 layout, one frame, so that other tools read positions, velocities, forces, masses, box and energies; the group
 * /gromosd holds what H5MD has no place for (layout, version, molecules, the configuration it came from, the engine's complete
 * state). HDF5's user block (the first 512 bytes) says in plain text what the file is, how long it is, and a checksum of all of it:
 *
 *     gromosd checkpoint
 *     format 1
 *     bytes 00000000000000012345
 *     checksum 0123456789abcdef
 *
 * It is checked before anything else is looked at, so a file that was cut short or altered anywhere is refused. Files are written
 * beside the target, synced, renamed. Any thread; calls take turns in the HDF5 library. Built without HDF5 (GD_HAVE_HDF5
 * unset) both return GD_E_UNSUPPORTED. */
#ifndef GD_IO_CHECKPOINT_H
#define GD_IO_CHECKPOINT_H

#include <stdint.h>

#include "core/err.h"
#include "core/state.h"

#define GD_CHECKPOINT_FORMAT 1 /* written; all up to this one are read */

/* The State's live arrays and everything beside them. The caller sees to it that nobody writes them meanwhile (holds the lease).
 * GD_E_FILE_ACCESS; the target is then what it was before. */
int gd_checkpoint_write(const char *path, const struct gd_state *state, struct gd_err *err);

/* A new State (with a uuid of its own) like the one that was written. name NULL: the one it had; empty: none. ring_id, now_ns as for
 * gd_state_create. GD_E_FILE_ACCESS, GD_E_CORRUPT_DATA (says what is wrong), GD_E_UNSUPPORTED (a later format),
 * GD_E_OUT_OF_MEMORY. */
int gd_checkpoint_read(struct gd_state **out, const char *path, const char *name, uint32_t ring_id, uint64_t now_ns, struct gd_err *err);

#endif
