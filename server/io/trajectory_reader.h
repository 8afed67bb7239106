/* Trajectories of the original read back: energies (.tre), forces (.trf), positions (.trc). The whole file is read; a file
 * cut in the middle of a block or of a frame is an error. Plain or gzip. Reentrant. */
#ifndef GD_IO_TRAJECTORY_READER_H
#define GD_IO_TRAJECTORY_READER_H

#include "io/energy_frame.h"

struct gd_energy_frames {
    size_t count;
    struct gd_energy_frame **frame;
};

int gd_io_read_energy_frames(const char *path, struct gd_energy_frames **out, struct gd_err *err);
void gd_io_energy_frames_destroy(struct gd_energy_frames **frames);

/* A frame of per-atom vectors. Of a force trajectory: first FREEFORCERED, second CONSFORCERED (NULL: not written). Of a
 * position trajectory: first POSITIONRED, second VELOCITYRED (NULL). */
struct gd_vector_frame {
    int64_t step;
    double time;
    size_t num_atoms;
    double (*first)[3];
    double (*second)[3];
    int32_t has_box;
    struct gd_box box;
};

struct gd_vector_frames {
    size_t count;
    struct gd_vector_frame *frame;
};

int gd_io_read_force_frames(const char *path, struct gd_vector_frames **out, struct gd_err *err);
int gd_io_read_position_frames(const char *path, struct gd_vector_frames **out, struct gd_err *err);
void gd_io_vector_frames_destroy(struct gd_vector_frames **frames);

/* The same from memory, for tests and fuzzing; kind 'e', 'f' or 'x' checks only. */
int gd_io_check_trajectory_memory(char kind, const char *name, const void *data, size_t size, struct gd_err *err);

#endif
