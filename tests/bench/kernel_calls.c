/* The kernels and the plain loops as a library, for benchmarks in Python over the very arrays of a State. Every function
 * does its work once and returns the nanoseconds it took, or -1. */
#include "core/cpu.h"
#include "kernels/compute.h"
#include "plain_loops.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define VIEW(x) gd_view_all(GD_FLOAT32, x, n)
#define SELECTED(x, atoms, count) gd_view_of(GD_FLOAT32, x, n, atoms, count)

static struct gd_kernels kernels;

EXPORT const char *kc_init(void);
EXPORT const char *kc_init(void)
{
    gd_kernels_init(&kernels, gd_cpu_detect());
    return kernels.name;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct gd_box rectangular(const double edge[3])
{
    struct gd_box box;
    memset(&box, 0, sizeof box);
    box.kind = GD_BOX_RECTANGULAR;
    for (int c = 0; c < 3; c++)
        box.vectors[c][c] = edge[c];
    return box;
}

/* CALL(name, parameters, the kernel's call, the plain loop's) makes kc_name and pl_name. */
#define ONE(name, parameters, ...)                \
    EXPORT int64_t name parameters;               \
    EXPORT int64_t name parameters                \
    {                                             \
        int64_t start = now_ns();                 \
        int code = 0;                             \
        __VA_ARGS__;                              \
        return code == 0 ? now_ns() - start : -1; \
    }

ONE(kc_center_of_mass, (const float *x, const double *m, size_t n, double *out),
    code = gd_compute_center_of_mass(&kernels, VIEW(x), m, out, NULL))
ONE(pl_center_of_mass, (const float *x, const double *m, size_t n, double *out), plain_weighted_sum_f32(x, m, n, out))
ONE(kc_radius_of_gyration, (const float *x, const double *m, size_t n, double *out),
    code = gd_compute_radius_of_gyration(&kernels, VIEW(x), m, out, NULL))
ONE(pl_radius_of_gyration, (const float *x, const double *m, size_t n, double *out), out[0] = plain_gyration_f32(x, m, n))
ONE(kc_kinetic_energy, (const float *x, const double *m, size_t n, double *out), out[0] = gd_compute_kinetic_energy(&kernels, VIEW(x), m))
ONE(pl_kinetic_energy, (const float *x, const double *m, size_t n, double *out), out[0] = plain_kinetic_f32(x, m, n))
ONE(kc_rmsd, (const float *x, const float *y, size_t n, double *out), struct gd_fit fit;
    code = gd_compute_fit(&kernels, VIEW(x), VIEW(y), NULL, &fit, NULL); out[0] = fit.rmsd)
ONE(pl_rmsd, (const float *x, const float *y, size_t n, double *out), double s[3][3]; plain_correlate_f32(x, y, n, s, out))
ONE(kc_wrap, (float *x, size_t n, const double *edge), struct gd_box box = rectangular(edge);
    code = gd_compute_wrap(&kernels, VIEW(x), &box, NULL))
ONE(pl_wrap, (float *x, size_t n, const double *edge), plain_wrap_f32(x, n, edge))
ONE(kc_distances, (const float *x, size_t n, const int32_t (*pairs)[2], size_t count, const double *edge, float *out),
    struct gd_box box = rectangular(edge);
    code = gd_compute_pair_distances(&kernels, VIEW(x), pairs, count, &box, out, NULL))
ONE(pl_distances, (const float *x, size_t n, const int32_t (*pairs)[2], size_t count, const double *edge, float *out), (void)n;
    plain_pairs_f32(x, pairs, count, edge, out))
ONE(kc_distance_array,
    (const float *x, size_t n, const int32_t *a, size_t count_a, const int32_t *b, size_t count_b, const double *edge, float *out),
    struct gd_box box = rectangular(edge);
    code = gd_compute_distance_array(&kernels, SELECTED(x, a, count_a), SELECTED(x, b, count_b), &box, out, NULL))
ONE(pl_distance_array, (const float *x, size_t n, size_t m, const double *edge, float *out), plain_array_f32(x, m, x, n, edge, out))
ONE(kc_neighbor_pairs, (const float *x, size_t n, const double *edge, double cutoff, int32_t (*pairs)[2], float *distances, size_t room),
    struct gd_box box = rectangular(edge);
    struct gd_pairs *p = NULL; code = gd_pairs_create(&p, &kernels, VIEW(x), &box, cutoff, NULL);
    if (code == 0 && gd_pairs_count(p) > room) code = -1; if (code == 0) code = gd_pairs_fill(p, GD_PAIRS_SORTED, pairs, distances, NULL);
    gd_pairs_destroy(&p))
ONE(pl_neighbor_pairs, (const float *x, size_t n, const double *edge, double cutoff, int32_t (*pairs)[2], float *distances, size_t room),
    plain_neighbors_f32(x, n, edge, cutoff, pairs, distances, room))
ONE(kc_rdf, (const float *x, size_t n, const int32_t *atoms, size_t count, const double *edge, double r_max, size_t bins, uint64_t *counts),
    struct gd_box box = rectangular(edge);
    code = gd_compute_rdf_counts(&kernels, SELECTED(x, atoms, count), SELECTED(x, atoms, count), &box, r_max, bins, counts, NULL))
ONE(pl_rdf, (const float *x, size_t n, const double *edge, double r_max, size_t bins, uint64_t *counts),
    plain_rdf_f32(x, n, edge, r_max, bins, counts))
