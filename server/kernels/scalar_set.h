/* The scalar set of one precision. Included by scalar_f32.c and scalar_f64.c after REAL, REAL_SQRT, SET and GRID are
 * defined. */
#include <math.h>
#include <string.h>

#include "core/box.h"
#include "kernels/grid.h"
#include "kernels/variants.h"

#include "kernels/wrap_row.h"

#include "kernels/scalar_reduce.h"

#include "kernels/scalar_map.h"

#include "kernels/scalar_grid.h"

#include "kernels/sort_row.h"

static const struct SET scalar_set = {
    .sum = sum,
    .weighted_sum = weighted_sum,
    .moments = moments,
    .weighted_squares = weighted_squares,
    .weighted_tensor = weighted_tensor,
    .bounds = bounds,
    .correlate = correlate,
    .residual = residual,
    .norms = norms,
    .gather = gather,
    .translate = translate,
    .rotate = rotate,
    .scale = scale,
    .wrap = wrap,
    .pair_distances = pair_distances,
    .distance_array = distance_array,
    .grid_count = grid_count,
    .grid_fill = grid_fill,
    .sort_row = sort_row,
    .grid_histogram = grid_histogram,
    .first_not_finite = first_not_finite,
};
