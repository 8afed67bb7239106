/* One vector variant of one precision: includes the bodies and makes the set. The including file has defined SIMD_F32,
 * and included simd_*.h. */
#include <math.h>

#include "core/box.h"
#include "kernels/grid.h"
#include "kernels/variants.h"

#if SIMD_F32
#define REAL float
#define REAL_SQRT sqrtf
#define REAL_FMA fmaf
#define REAL_NEXTAFTER nextafterf
#define SET gd_kernels_f32
#define GRID gd_grid_f32
#else
#define REAL double
#define REAL_SQRT sqrt
#define REAL_FMA fma
#define REAL_NEXTAFTER nextafter
#define SET gd_kernels_f64
#define GRID gd_grid_f64
#endif

#include "kernels/wrap_row.h"

#include "kernels/body_reduce.h"

#include "kernels/body_map.h"

#include "kernels/body_distance.h"

#include "kernels/body_grid.h"

#ifndef __AVX512F__ /* what it adds does not help here, and sends the compiler astray */
#include "kernels/sort_row.h"
#endif

/* gather is a copy; the scalar one is as good. */
static void override(struct SET *set)
{
    set->sum = sum;
    set->weighted_sum = weighted_sum;
    set->moments = moments;
    set->weighted_squares = weighted_squares;
    set->weighted_tensor = weighted_tensor;
    set->bounds = bounds;
    set->correlate = correlate;
    set->residual = residual;
    set->norms = norms;
    set->translate = translate;
    set->rotate = rotate;
    set->scale = scale;
    set->wrap = wrap;
    set->pair_distances = pair_distances;
    set->distance_array = distance_array;
    set->grid_count = grid_count;
    set->grid_fill = grid_fill;
#ifndef __AVX512F__
    set->sort_row = sort_row;
#endif
    set->grid_histogram = grid_histogram;
    set->first_not_finite = first_not_finite;
}
