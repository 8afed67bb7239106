/* H5MD 1.1 trajectories (https://www.nongnu.org/h5md): positions, velocities and forces of all atoms, the box, and scalar
 * observables, each with its step and time; units nm, ps, kJ/mol by the `units` module.
 *
 *   /particles/all/box/edges, position, velocity, force      value [T][...], step [T], time [T]
 *   /particles/all/mass, charge, species, id                 fixed in time, when given
 *   /observables/<name>                                      value [T]
 *
 * Every put ends with a flush. A continued run cuts the file back to its checkpoint's step. The library below is not safe
 * for threads in every build: a lock of this module serialises all calls. Built without HDF5 (GD_HAVE_HDF5 unset), create and
 * resume return GD_E_UNSUPPORTED. */
#ifndef GD_IO_H5MD_H
#define GD_IO_H5MD_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "io/trajectory.h"
#include "proto/gd_types.h"

#define GD_H5MD_MAX_OBSERVABLES 64

struct gd_h5md;

/* What a file holds from its first frame on. */
struct gd_h5md_layout {
    size_t num_atoms;
    enum gd_dtype dtype;    /* of positions, velocities, forces */
    int velocities, forces; /* 1: every frame has them */
    enum gd_box_kind box;
    size_t num_observables;
    const char *const *observables;      /* names, as "potential_energy" */
    const char *const *observable_units; /* as "kJ mol-1"; NULL or an empty string: none */
    const char *author;                  /* NULL: unknown */
    const double *mass, *charge;         /* [num_atoms] or NULL; u, e */
    const int32_t *species;              /* [num_atoms] atom types or NULL */
};

/* A new file, emptied if it exists. */
int gd_h5md_create(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *layout, struct gd_err *err);

/* An existing file of the same layout (checked), frames after last_step removed. */
int gd_h5md_resume(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *layout, int64_t last_step, struct gd_err *err);

struct gd_h5md_frame {
    int64_t step;
    double time;
    const void *positions, *velocities, *forces; /* [num_atoms][3] of the layout's dtype */
    const struct gd_box *box;
    const double *observables; /* [num_observables] */
};

/* Appends one frame and flushes. step must be larger than the last one's. After a failure the frame may be there in part; a
 * reader sees at most as many frames as every element has. */
int gd_h5md_put(struct gd_h5md *h5md, const struct gd_h5md_frame *frame, struct gd_err *err);

size_t gd_h5md_num_frames(const struct gd_h5md *h5md);

/* *h5md is NULL afterwards, also on failure; NULL-safe. */
int gd_h5md_close(struct gd_h5md **h5md, struct gd_err *err);

#endif
