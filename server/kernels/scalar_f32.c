/* The scalar reference for float arrays. */
#define REAL float
#define REAL_SQRT sqrtf
#define SET gd_kernels_f32
#define GRID gd_grid_f32
#include "kernels/scalar_set.h"

void gd_kernels_scalar_f32(struct gd_kernels_f32 *set)
{
    *set = scalar_set;
}
