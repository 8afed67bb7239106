/* The kernel table: one set of typed function pointers for float and one for double arrays, filled with the scalar set
 * first and then overridden upward by AVX2+FMA and AVX-512, as far as the processor's flags and the user's mask allow.
 *
 * Commands do not call these directly but through compute.h, which takes arrays of either precision, checks what a client
 * can get wrong, and combines kernels.
 *
 * What all kernels share
 * - Arrays of vectors are packed (n, 3), C-contiguous. Kernels read and write nothing beyond row n - 1, need no particular
 *   alignment (64 bytes is best) and leave padding alone.
 * - Selections: `atoms` is NULL (rows 0 .. count - 1) or `count` row indices that passed check_indices(). An index may come
 *   twice: reductions count it twice, and what changes rows changes it twice, in the order of the list.
 * - Sums run in double for both precisions; maps (translate, rotate, wrap, distances) compute in the array's precision.
 * - The result of one variant on one input is always the same, bit for bit. Variants differ by rounding.
 * - No allocation, no errors, no state: any thread, at the same time.
 * - Weights and masses are double, one per row of x (not per selected row). */
#ifndef GD_KERNELS_KERNELS_H
#define GD_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/min_image.h"
#include "proto/gd_types.h"

/* Sums relative to a point o: mass = sum w, first = sum w (x - o), second = sum w |x - o|^2. */
struct gd_moments {
    double mass;
    double first[3];
    double second;
};

/* Sums over pairs of rows, each relative to its own point: what a superposition needs. */
struct gd_correlation {
    double mass;        /* sum w */
    double first_x[3];  /* sum w x */
    double first_y[3];  /* sum w y */
    double second_x;    /* sum w |x|^2 */
    double second_y;    /* sum w |y|^2 */
    double cross[3][3]; /* sum w x_i y_j */
};

/* Room for sort_row: each array for the longest row and GD_GRID_PADDING more, keys and slot for two such. */
struct gd_row_sort {
    uint64_t *keys;
    uint32_t *slot;
    int32_t *copy_j;
    void *copy; /* of distances */
    size_t longest;
};

struct gd_grid_f32; /* kernels/grid.h */
struct gd_grid_f64;

#define GD_REAL float
#define GD_KERNEL_SET gd_kernels_f32
#define GD_GRID gd_grid_f32
#include "kernels/kernel_set.h"
#undef GD_REAL
#undef GD_KERNEL_SET
#undef GD_GRID

#define GD_REAL double
#define GD_KERNEL_SET gd_kernels_f64
#define GD_GRID gd_grid_f64
#include "kernels/kernel_set.h"
#undef GD_REAL
#undef GD_KERNEL_SET
#undef GD_GRID

struct gd_crew;

struct gd_kernels {
    const char *name; /* "scalar", "avx2", "avx512" */

    /* Threads that what takes long may be divided among (split.h); NULL: none. A copy of the table that has a crew is for one caller. */
    struct gd_crew *crew;
    int threads; /* of the crew to use at most */

    /* The first k with indices[k] outside 0 .. limit - 1, or count when all are good. */
    size_t (*check_indices)(const int32_t *indices, size_t count, size_t limit);
    /* Element copies between precisions; no overlap. A double beyond the range of float becomes infinite. */
    void (*f32_to_f64)(double *to, const float *from, size_t count);
    void (*f64_to_f32)(float *to, const double *from, size_t count);

    struct gd_kernels_f32 f32;
    struct gd_kernels_f64 f64;
};

/* Fills the table. cpu_flags: gd_cpu_detect() & the mask of gd_cpu_parse_mask(). */
void gd_kernels_init(struct gd_kernels *table, unsigned cpu_flags);

#endif
