/* The H5MD file of a run: positions, box and energies of a step in one frame; velocities and forces too where the input has them written.
 * Used by the thread of the run, like the rest of md_run.h. */
#ifndef GD_SERVICE_MD_H5MD_H
#define GD_SERVICE_MD_H5MD_H

#include "engine/md.h"

#include <stdbool.h>
#include <stdint.h>

struct gd_md_h5md;

/* Whether a file of this name is H5MD: it ends in .h5 or .h5md. */
bool gd_md_h5md_named(const char *path);

/* A new file, or (resume_step >= 0) the one there is without its frames of this step and later ones. */
int gd_md_h5md_create(struct gd_md_h5md **out, const char *path, const struct gd_md *md, int64_t resume_step, struct gd_err *err);

/* Around a step that is to be written: its positions and velocities are those before it, its energies and forces are known after it. */
int gd_md_h5md_before(struct gd_md_h5md *h5md, const struct gd_md *md, struct gd_err *err);
int gd_md_h5md_after(struct gd_md_h5md *h5md, const struct gd_md *md, int64_t step, double time, struct gd_err *err);

/* *h5md is NULL afterwards, also on failure; NULL-safe. */
int gd_md_h5md_close(struct gd_md_h5md **h5md, struct gd_err *err);

#endif
