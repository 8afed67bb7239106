/* The loops a C programmer would write for the same work, compiled with -O3 -march=native: what the kernels are timed
 * against. Sums in double, as the kernels have them; float arrays. Rectangular boxes. */
#ifndef GD_TESTS_PLAIN_LOOPS_H
#define GD_TESTS_PLAIN_LOOPS_H

#include <stddef.h>
#include <stdint.h>

void plain_triad(double *a, const double *b, const double *c, double s, size_t n);

#define PLAIN_SET(REAL, SUFFIX)                                                                                                 \
    void plain_sum_##SUFFIX(const REAL *x, size_t n, double out[3]);                                                            \
    double plain_weighted_sum_##SUFFIX(const REAL *x, const double *m, size_t n, double out[3]);                                \
    double plain_gyration_##SUFFIX(const REAL *x, const double *m, size_t n);                                                   \
    void plain_bounds_##SUFFIX(const REAL *x, size_t n, REAL low[3], REAL high[3]);                                             \
    double plain_kinetic_##SUFFIX(const REAL *v, const double *m, size_t n);                                                    \
    void plain_tensor_##SUFFIX(const REAL *v, const double *m, size_t n, double t[3][3]);                                       \
    void plain_correlate_##SUFFIX(const REAL *x, const REAL *y, size_t n, double s[3][3], double g[2]);                         \
    void plain_norms_##SUFFIX(const REAL *x, size_t n, REAL *out);                                                              \
    void plain_translate_##SUFFIX(REAL *x, size_t n, const double shift[3]);                                                    \
    void plain_rotate_##SUFFIX(REAL *x, size_t n, const double m[3][3], const double about[3]);                                 \
    void plain_scale_##SUFFIX(REAL *x, size_t n, const double f[3], const double about[3]);                                     \
    void plain_wrap_##SUFFIX(REAL *x, size_t n, const double edge[3]);                                                          \
    size_t plain_finite_##SUFFIX(const REAL *x, size_t n);                                                                      \
    void plain_pairs_##SUFFIX(const REAL *x, const int32_t(*pairs)[2], size_t m, const double edge[3], REAL *d);                \
    void plain_array_##SUFFIX(const REAL *a, size_t na, const REAL *b, size_t nb, const double edge[3], REAL *d);               \
    double plain_weighted_sum_selected_##SUFFIX(const REAL *x, const double *m, const int32_t *atoms, size_t n, double out[3]); \
    size_t plain_neighbors_##SUFFIX(const REAL *x, size_t n, const double edge[3], double cutoff, int32_t(*pairs)[2], REAL *d,  \
                                    size_t room);                                                                               \
    void plain_rdf_##SUFFIX(const REAL *x, size_t n, const double edge[3], double cutoff, size_t bins, uint64_t *counts);

PLAIN_SET(float, f32)
PLAIN_SET(double, f64)

#endif
