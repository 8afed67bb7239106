/* The blocks that configurations and trajectories have in common, written in the original's layout. */
#ifndef GD_IO_FRAME_BLOCKS_H
#define GD_IO_FRAME_BLOCKS_H

#include "io/output.h"
#include "proto/gd_types.h"

/* A line that would end the block early (END) gets a dash in front. NULL: an empty title. */
void gd_frame_put_title(struct gd_output *out, const char *title);
void gd_frame_put_timestep(struct gd_output *out, int64_t step, double time);
/* origin may be NULL. */
void gd_frame_put_genbox(struct gd_output *out, const struct gd_box *box, const double origin[3]);
/* Three numbers %15.9f and a line end. */
void gd_frame_put_row(struct gd_output *out, const double row[3]);
/* A block of unlabelled rows with a running number in a comment every ten, as POSITIONRED. rows [n][3], float or
 * double; numbers are %<width>.9f. */
void gd_frame_put_reduced(struct gd_output *out, const char *block, const void *rows, enum gd_dtype dtype, size_t n, int width);

#endif
