/* Trajectories in GROMOS formats, written frame by frame: positions (.trc), velocities (.trv), forces (.trf), energies
 * (.tre), restraint data (.trs); block by block as md++ 1.6 writes them (ENEVERSION 2023-04-15), so that the programs that
 * read its trajectories read these. gzip where the name ends in .gz.
 *
 * Every frame is complete in the file when its call returns (flushed to the kernel; gd_trajectory_sync for the disk). A run
 * that is continued from a checkpoint opens its files with the offsets that were recorded in it: what was written after the
 * checkpoint is cut off, and the file goes on as if nothing had happened. One thread at a time. */
#ifndef GD_IO_TRAJECTORY_H
#define GD_IO_TRAJECTORY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "io/energy_frame.h"
#include "proto/gd_types.h"

enum gd_trajectory_kind {
    GD_TRAJECTORY_POSITIONS,
    GD_TRAJECTORY_VELOCITIES,
    GD_TRAJECTORY_FORCES,
    GD_TRAJECTORY_ENERGIES,
    GD_TRAJECTORY_SPECIAL,
};

struct gd_trajectory;

/* Per-atom vectors [n][3] of one element type, C-contiguous; data NULL: none. */
struct gd_rows {
    const void *data;
    size_t n;
    enum gd_dtype dtype;
};

/* A new file, emptied if it exists, with its TITLE: program name, the run's title (may be NULL, several lines), kind. */
int gd_trajectory_create(struct gd_trajectory **out, const char *path, enum gd_trajectory_kind kind, const char *title, struct gd_err *err);

/* An existing file, cut back to offset (of gd_trajectory_offset at the checkpoint) and continued. */
int gd_trajectory_resume(struct gd_trajectory **out, const char *path, enum gd_trajectory_kind kind, int64_t offset, struct gd_err *err);

/* The same where no offset was recorded: frames after `step`, and a frame cut in its middle, are removed. gzip files only
 * when this program wrote them (GD_E_UNSUPPORTED otherwise). Reads the whole file. */
int gd_trajectory_resume_at_step(struct gd_trajectory **out, const char *path, enum gd_trajectory_kind kind, int64_t step,
                                 struct gd_err *err);

/* Offset behind the last complete frame. */
int64_t gd_trajectory_offset(const struct gd_trajectory *trajectory);
int gd_trajectory_sync(struct gd_trajectory *trajectory, struct gd_err *err);
/* *trajectory is NULL afterwards, also on failure; NULL-safe. */
int gd_trajectory_close(struct gd_trajectory **trajectory, struct gd_err *err);

/* POSITIONRED and, unless the box is vacuum or NULL, GENBOX. nm. */
int gd_trajectory_put_positions(struct gd_trajectory *t, int64_t step, double time, struct gd_rows positions, const struct gd_box *box,
                                struct gd_err *err);
/* VELOCITYRED. nm/ps. */
int gd_trajectory_put_velocities(struct gd_trajectory *t, int64_t step, double time, struct gd_rows velocities, struct gd_err *err);
/* FREEFORCERED and, unless its data is NULL, CONSFORCERED. kJ mol^-1 nm^-1. */
int gd_trajectory_put_forces(struct gd_trajectory *t, int64_t step, double time, struct gd_rows free, struct gd_rows constraint,
                             struct gd_err *err);
/* ENERGY03 and, when has_volume, VOLUMEPRESSURE03. */
int gd_trajectory_put_energies(struct gd_trajectory *t, const struct gd_energy_frame *frame, struct gd_err *err);

/* One frame of restraint data; a count of 0 leaves the block out. */
struct gd_special_frame {
    int64_t step;
    double time;
    size_t num_distances; /* DISRESDATA: distance nm, energy kJ/mol, averaged distance nm */
    const double (*distances)[3];
    size_t num_angles; /* ANGRESDATA: angle degrees, energy */
    const double (*angles)[2];
    size_t num_dihedrals; /* DIHRESDATA: angle degrees, energy */
    const double (*dihedrals)[2];
    size_t num_jvalues; /* JVALUERESEXPAVE: atoms (0-based here), averaged J-value Hz */
    const int32_t (*jvalue_atoms)[4];
    const double *jvalue_averages;
    size_t jvalue_grid; /* JVALUERESEPS: the elevation at each point of its grid; 0: none */
    const double *jvalue_elevations;
};
int gd_trajectory_put_special(struct gd_trajectory *t, const struct gd_special_frame *frame, struct gd_err *err);

/* The TITLE of a file this program writes, as md++ composes it: "\tgromosd\n<title>\n\n\t<what>". To be freed; NULL when out
 * of memory. */
char *gd_trajectory_title(const char *title, const char *what);

#endif
