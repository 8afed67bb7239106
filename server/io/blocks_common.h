/* Blocks that several kinds of files share, as values. */
#ifndef GD_IO_BLOCKS_COMMON_H
#define GD_IO_BLOCKS_COMMON_H

#include "io/block_reader.h"
#include "proto/gd_types.h"

/* The text of a TITLE block, lines joined by newlines; to be freed. */
int gd_blocks_read_title(const struct gd_block_file *file, const struct gd_block *block, char **out, struct gd_err *err);

int gd_blocks_read_timestep(const struct gd_block_file *file, const struct gd_block *block, int64_t *step, double *time,
                            struct gd_err *err);

/* euler (degrees) and origin may be NULL. */
int gd_blocks_read_genbox(const struct gd_block_file *file, const struct gd_block *block, struct gd_box *box, double euler[3],
                          double origin[3], struct gd_err *err);

/* The old block BOX: three edges of a rectangular box, all zero for vacuum; or nine components of its vectors, in the order
 * of GROMACS's .g96 files. */
int gd_blocks_read_box(const struct gd_block_file *file, const struct gd_block *block, struct gd_box *box, struct gd_err *err);

#endif
