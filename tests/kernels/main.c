/* Holds every kernel of every variant this processor has against the scalar one, on random and extreme input; with --bench
 * it times them instead (tests/bench/bench_kernels.c).
 *
 *     kernel_check [--seed N]      exit status 1 if anything differs, or if nothing was compared
 *     kernel_check --planted       plants a fault in each kernel of the best variant; exit status 1 if one goes unseen
 *     kernel_check --bench [atoms [best]]     best: only the variant this processor would use */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/cpu.h"
#include "planted.h"
#include "../bench/bench_kernels.h"

const size_t check_sizes[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 511, 512, 513, 1027};
const size_t check_num_sizes = sizeof check_sizes / sizeof check_sizes[0];

const char *const check_box_names[] = {"vacuum", "rectangular", "triclinic", "strongly skewed", "truncated octahedron"};
const struct gd_box check_boxes[] = {
    {.kind = GD_BOX_VACUUM},
    {.kind = GD_BOX_RECTANGULAR, .vectors = {{4.1, 0, 0}, {0, 3.3, 0}, {0, 0, 5.7}}},
    {.kind = GD_BOX_TRICLINIC, .vectors = {{4.0, 0.1, -0.2}, {1.1, 3.9, 0.3}, {-0.7, 1.4, 4.4}}},
    {.kind = GD_BOX_TRICLINIC, .vectors = {{4.0, 0, 0}, {11.3, 3.5, 0}, {-17.9, 9.2, 4.2}}},
    {.kind = GD_BOX_TRUNCATED_OCTAHEDRON, .vectors = {{4.6, 0, 0}, {0, 4.6, 0}, {0, 0, 4.6}}},
};
const size_t check_num_boxes = sizeof check_boxes / sizeof check_boxes[0];

double check_uniform(struct check *c)
{
    /* splitmix64: good enough for test data, and the same everywhere */
    uint64_t z = (c->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

#define REPORTED 20

void check_close(struct check *c, const char *kernel, const char *what, size_t n, size_t at, double a, double b, double tolerance)
{
    c->comparisons++;
    if (a == b || fabs(a - b) <= tolerance || (isnan(a) && isnan(b)))
        return;
    if (c->failures++ < REPORTED && !c->quiet)
        printf("%s %s %s: %s[%zu] of %zu: %.9g against %.9g, tolerance %.3g\n", c->variant, c->precision, kernel, what, at, n, a, b,
               tolerance);
}

void check_equal(struct check *c, const char *kernel, const char *what, size_t n, uint64_t a, uint64_t b)
{
    c->comparisons++;
    if (a != b && c->failures++ < REPORTED && !c->quiet)
        printf("%s %s %s: %s of %zu: %llu against %llu\n", c->variant, c->precision, kernel, what, n, (unsigned long long)a,
               (unsigned long long)b);
}

static void check_indices(struct check *c, const struct gd_kernels *variant)
{
    for (size_t size = 0; size < check_num_sizes; size++) {
        size_t n = check_sizes[size];
        int32_t *indices = malloc((n + 1) * sizeof *indices);
        for (size_t k = 0; k < n; k++)
            indices[k] = (int32_t)(check_uniform(c) * 50.0);
        check_equal(c, "check_indices", "none", n, n, variant->check_indices(indices, n, 50));
        for (int tries = 0; tries < 8 && n > 0; tries++) {
            size_t at = (size_t)(check_uniform(c) * (double)n);
            int32_t old = indices[at];
            indices[at] = tries % 2 ? -1 : 50;
            check_equal(c, "check_indices", "place", n, at, variant->check_indices(indices, n, 50));
            indices[at] = old;
        }
        free(indices);
    }
}

void check_common(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant)
{
    check_indices(c, variant);
    for (size_t size = 0; size < check_num_sizes; size++) {
        size_t n = check_sizes[size];
        double *d = malloc((n + 1) * sizeof *d), *a = malloc((n + 1) * sizeof *a);
        float *f = malloc((n + 1) * sizeof *f), *g = malloc((n + 1) * sizeof *g);
        for (size_t k = 0; k < n; k++)
            d[k] = (check_uniform(c) - 0.5) * pow(10.0, 90.0 * check_uniform(c) - 45.0);
        scalar->f64_to_f32(f, d, n);
        variant->f64_to_f32(g, d, n);
        variant->f32_to_f64(a, g, n);
        for (size_t k = 0; k < n; k++) {
            check_close(c, "f64_to_f32", "value", n, k, (double)f[k], (double)g[k], 0.0);
            check_close(c, "f32_to_f64", "value", n, k, (double)f[k], a[k], 0.0);
        }
        free(d);
        free(a);
        free(f);
        free(g);
    }
}

static int check_variant(unsigned flags, uint64_t seed)
{
    struct gd_kernels scalar, variant;
    gd_kernels_init(&scalar, 0);
    gd_kernels_init(&variant, flags);
    struct check c = {.variant = variant.name, .precision = "both", .random = seed};
    check_common(&c, &scalar, &variant);
    c.precision = "float32";
    check_variant_f32(&c, &scalar, &variant);
    c.precision = "float64";
    check_variant_f64(&c, &scalar, &variant);
    printf("%-7s against scalar: %ld comparisons, %ld differ\n", variant.name, c.comparisons, c.failures);
    return c.failures > 0 || c.comparisons == 0;
}

int main(int argc, char **argv)
{
    unsigned flags = gd_cpu_detect();
    uint64_t seed = 1;
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench_kernels(argc > 2 ? strtoul(argv[2], NULL, 10) : 0, argc > 3 && strcmp(argv[3], "best") == 0);
    if (argc > 2 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    if (argc > 1 && strcmp(argv[1], "--planted") == 0) {
        struct gd_kernels scalar, best;
        gd_kernels_init(&scalar, 0);
        gd_kernels_init(&best, flags);
        return check_planted(&scalar, &best, seed);
    }
    int failed = check_variant(0, seed); /* scalar against itself: the harness works, and results repeat */
    if (flags & GD_CPU_AVX2)
        failed |= check_variant(GD_CPU_AVX2, seed);
    if (flags & GD_CPU_AVX512)
        failed |= check_variant(flags, seed);
    if (!(flags & GD_CPU_AVX512))
        printf("not checked, because this processor has not got it: %s\n", flags & GD_CPU_AVX2 ? "avx512" : "avx2, avx512");
    return failed;
}
