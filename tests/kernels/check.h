/* What the kernel check needs for both precisions: random numbers, sizes, kinds of data, and how differences are judged. */
#ifndef GD_TESTS_KERNELS_CHECK_H
#define GD_TESTS_KERNELS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/compute.h"

/* Counts comparisons and reports the first failures of each kernel. */
struct check {
    const char *variant;
    const char *precision;
    uint64_t random;
    int quiet; /* count, but do not report; stop early once something failed */
    long comparisons;
    long failures;
};

double check_uniform(struct check *c); /* [0, 1) */

/* Whether a and b agree within tolerance (absolute). Two equal values, infinities and two NaN included, always do. */
void check_close(struct check *c, const char *kernel, const char *what, size_t n, size_t at, double a, double b, double tolerance);
void check_equal(struct check *c, const char *kernel, const char *what, size_t n, uint64_t a, uint64_t b);

enum check_data {
    DATA_BOX,   /* 0 .. 10 nm */
    DATA_FAR,   /* a cluster some 1e6 nm away from the origin */
    DATA_TINY,  /* subnormal numbers of float */
    DATA_MIXED, /* magnitudes 1e-30 to 1e12, both signs, zeros of both signs */
    DATA_SAME,  /* all rows equal */
    DATA_KINDS,
};

extern const size_t check_sizes[];
extern const size_t check_num_sizes;
extern const char *const check_box_names[];
extern const struct gd_box check_boxes[];
extern const size_t check_num_boxes;

void check_variant_f32(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant);
void check_variant_f64(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant);
void check_common(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant);

#endif
