/* Sorts points into the grid of grid.h: wraps them into one cell of the reduced lattice, adds copies of those near its
 * faces, cuts space into cells and sorts by cell. Allocates; everything is given back by gd_grid_free(). Reentrant. */
#ifndef GD_KERNELS_GRID_BUILD_H
#define GD_KERNELS_GRID_BUILD_H

#include "kernels/compute.h"
#include "kernels/grid.h"

struct gd_grid {
    enum gd_dtype dtype;
    union {
        struct gd_grid_f32 f32;
        struct gd_grid_f64 f64;
    } of;
    void *memory[2]; /* homes, points */
};

struct gd_grid_request {
    const struct gd_min_image *image;
    double cutoff;
    struct gd_view home;   /* rows of the result in the order of this view */
    struct gd_view points; /* a view of the same array */
    int only_higher;
};

/* GD_E_INVALID_ARGUMENT: cutoff not positive and finite, or above half the shortest lattice vector. At exactly half, where
 * two images of a pair could be equally far, pairs at that very distance are left out. GD_E_OUT_OF_MEMORY. */
int gd_grid_build(struct gd_grid *grid, const struct gd_grid_request *request, struct gd_err *err);
void gd_grid_free(struct gd_grid *grid);

#endif
