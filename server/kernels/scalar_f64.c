/* The scalar reference for double arrays. */
#define REAL double
#define REAL_SQRT sqrt
#define SET gd_kernels_f64
#define GRID gd_grid_f64
#include "kernels/scalar_set.h"

void gd_kernels_scalar_f64(struct gd_kernels_f64 *set)
{
    *set = scalar_set;
}
