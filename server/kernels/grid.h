/* Points sorted into the cells of a rectangular grid, as the pair kernels see them.
 *
 * Periodicity is gone here: the builder (grid_build.c) has wrapped all points into one cell of the reduced lattice and
 * added copies of those that are within the cutoff of its faces, so that one plain distance test per pair is right for
 * every box. Home points are those for which neighbours are sought; they are never copies.
 *
 * Cells are cut coarsely in y and z (half the cutoff) and finely in x; the points of one (y, z) row are contiguous and
 * ascend by x cell, so that what is near to a home point is one contiguous run per row. A point outside the grid,
 * which covers where nearly all points are, belongs to the outermost cell on its side; cells there are open. */
#ifndef GD_KERNELS_GRID_H
#define GD_KERNELS_GRID_H

#include <stddef.h>
#include <stdint.h>

/* What the arrays of points are padded with, so that vectors may be loaded across their end. */
#define GD_GRID_PADDING 16

/* How many (y, z) rows to each side of its own a home point can see. */
#define GD_GRID_REACH 2
#define GD_GRID_MAX_ROWS ((2 * GD_GRID_REACH + 1) * (2 * GD_GRID_REACH + 1))

#define GD_REAL float
#define GD_GRID gd_grid_f32
#include "kernels/grid_set.h"
#undef GD_REAL
#undef GD_GRID

#define GD_REAL double
#define GD_GRID gd_grid_f64
#include "kernels/grid_set.h"
#undef GD_REAL
#undef GD_GRID

#endif
