/* Checkpoints by the clock (settings checkpoint_dir, checkpoint_interval): every interval each named State that changed since is written to
 * <checkpoint_dir>/<name>.h5, as state.checkpoint would, one after the other, on a worker. A State somebody is editing is left for later;
 * nobody is kept waiting for longer than the copy of his own State takes, and nobody is evicted for this. What fails is
 * logged and tried again at the next interval. Loop thread. */
#ifndef GD_SERVICE_CHECKPOINTS_H
#define GD_SERVICE_CHECKPOINTS_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

struct gd_checkpoints;
struct gd_service;

/* *out stays NULL when the settings ask for none; every function takes NULL. The folder is made if it is
 * missing; GD_E_FILE_ACCESS when it cannot be, or cannot be written to. A daemon that has taken States over only logs that: they count for
 * more. To be called after they were. */
int gd_checkpoints_create(struct gd_checkpoints **out, struct gd_service *service, struct gd_err *err);
void gd_checkpoints_tick(struct gd_checkpoints *checkpoints, uint64_t now_ns);
int gd_checkpoints_busy(const struct gd_checkpoints *checkpoints); /* a file is being written */
void gd_checkpoints_free(struct gd_checkpoints **checkpoints);     /* not while busy */

/* <directory>/<name>.h5. Bytes that would leave the folder, hide the file or confuse a shell are written as %XX; a name that becomes too
 * long for a file gives way to the uuid. */
void gd_checkpoints_path(char *out, size_t bytes, const char *directory, const char *name, const uint8_t uuid[16]);

#endif
