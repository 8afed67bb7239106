/* Times every kernel of every variant this processor has, beside the plain loop a C programmer would write for it
 * (plain_loops.c, -O3 -march=native) and beside the triad a = b + s c over the bytes of the State's positions and
 * velocities; the three take turns. Prints medians, the middle half of the times as spread, the ratio kernel / loop (below
 * one: the kernel is faster), and for streaming kernels the share of the triad's bandwidth. */
#include "bench_kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cpu.h"
#include "kernels/compute.h"
#include "plain_loops.h"

#define MAX_TIMES 401

struct times {
    int num;
    double seconds[MAX_TIMES];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void add_time(struct times *t, double seconds)
{
    t->seconds[t->num++] = seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(struct times *t, double q)
{
    qsort(t->seconds, (size_t)t->num, sizeof t->seconds[0], compare);
    return t->seconds[(int)(q * (t->num - 1) + 0.5)];
}

static void *array(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63 + 64) / 64 * 64);
    if (p == NULL)
        abort();
    return p;
}

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

static void print_row(const char *name, const char *variant, size_t size, size_t n, struct times *kernel, struct times *loop, double bytes,
                      double triad)
{
    double median = quantile(kernel, 0.5);
    printf("%-25s %-6s f%zu %8zu %10.1f us (%.1f-%.1f)", name, variant, 8 * size, n, 1e6 * median, 1e6 * quantile(kernel, 0.25),
           1e6 * quantile(kernel, 0.75));
    if (loop != NULL)
        printf("  loop %10.1f us  ratio %5.2f", 1e6 * quantile(loop, 0.5), median / quantile(loop, 0.5));
    if (bytes > 0.0)
        printf("  %5.1f GB/s, %.2f of triad", 1e-9 * bytes / median, bytes / median / triad);
    printf("\n");
    fflush(stdout);
}

/* a[i] = b[i] + s c[i] over as many bytes as a State's positions and velocities take: the bandwidth to compare with. */
struct triad {
    size_t n;
    double *a, *b, *c;
};

static void make_triad(struct triad *t, size_t bytes)
{
    t->n = bytes / 24 + 1;
    t->a = array(t->n * 8), t->b = array(t->n * 8), t->c = array(t->n * 8);
    for (size_t i = 0; i < t->n; i++)
        t->a[i] = t->b[i] = t->c[i] = 1.0;
}

static void run_triad(struct triad *t)
{
    plain_triad(t->a, t->b, t->c, 3.0, t->n);
}

static void free_triad(struct triad *t)
{
    free(t->a), free(t->b), free(t->c);
}

#define REAL float
#define DTYPE GD_FLOAT32
#define PART f32
#define SET gd_kernels_f32
#define NAME(function) function##_f32
#include "bench_body.h"
#undef REAL
#undef DTYPE
#undef PART
#undef SET
#undef NAME

#define REAL double
#define DTYPE GD_FLOAT64
#define PART f64
#define SET gd_kernels_f64
#define NAME(function) function##_f64
#include "bench_body.h"

int bench_kernels(size_t num_atoms, int only_best)
{
    const size_t sizes[] = {100000, 1000000};
    const unsigned variants[] = {0, GD_CPU_AVX2, GD_CPU_AVX2 | GD_CPU_AVX512};
    unsigned flags = gd_cpu_detect();
    printf("one thread; median (middle half); loop: plain C, -O3 -march=native; best variant here: %s\n", gd_cpu_name(flags));
    for (size_t s = 0; s < (num_atoms > 0 ? 1u : 2u); s++) {
        size_t n = num_atoms > 0 ? num_atoms : sizes[s];
        struct triad triad_f32, triad_f64;
        make_triad(&triad_f32, 24 * n);
        make_triad(&triad_f64, 48 * n);
        for (size_t v = 0; v < 3; v++) {
            struct gd_kernels k;
            int is_last = v == 2 || (variants[v + 1] & flags) != variants[v + 1];
            if ((variants[v] & flags) != variants[v] || (only_best && !is_last))
                continue;
            gd_kernels_init(&k, variants[v]);
            bench_f32(&k, n, &triad_f32);
            bench_f64(&k, n, &triad_f64);
        }
        free_triad(&triad_f32);
        free_triad(&triad_f64);
    }
    return 0;
}
