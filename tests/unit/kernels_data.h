/* Shared by the kernel tests: every variant this processor has, boxes of every kind, and reproducible random numbers. */
#ifndef GD_TESTS_KERNELS_DATA_H
#define GD_TESTS_KERNELS_DATA_H

#include <stdint.h>

#include "core/cpu.h"
#include "kernels/compute.h"

/* Fills up to three tables, scalar first; returns how many. */
static inline int kernel_variants(struct gd_kernels tables[3])
{
    unsigned flags = gd_cpu_detect();
    int num = 0;
    gd_kernels_init(&tables[num++], 0);
    if (flags & GD_CPU_AVX2)
        gd_kernels_init(&tables[num++], GD_CPU_AVX2);
    if (flags & GD_CPU_AVX512)
        gd_kernels_init(&tables[num++], flags);
    return num;
}

#define FOR_EACH_VARIANT(k)                              \
    struct gd_kernels variant_tables[3];                 \
    int variant_count = kernel_variants(variant_tables); \
    for (const struct gd_kernels *k = variant_tables; k < variant_tables + variant_count; k++)

enum { BOX_VACUUM, BOX_RECTANGULAR, BOX_TRICLINIC, BOX_SKEWED, BOX_FLAT, BOX_OCTAHEDRON, NUM_BOXES };

static const struct gd_box BOXES[NUM_BOXES] = {
    {.kind = GD_BOX_VACUUM},
    {.kind = GD_BOX_RECTANGULAR, .vectors = {{3.0, 0, 0}, {0, 3.6, 0}, {0, 0, 4.1}}},
    {.kind = GD_BOX_TRICLINIC, .vectors = {{3.2, 0, 0}, {0.9, 3.1, 0}, {-0.7, 1.1, 3.4}}},
    {.kind = GD_BOX_TRICLINIC, .vectors = {{3.0, 0, 0}, {13.7, 3.3, 0}, {-21.4, 8.8, 3.5}}},
    {.kind = GD_BOX_TRICLINIC, .vectors = {{2.6, 0.2, 0.1}, {1.4, 2.5, -0.3}, {1.3, 0.9, 5.5}}},
    {.kind = GD_BOX_TRUNCATED_OCTAHEDRON, .vectors = {{3.7, 0, 0}, {0, 3.7, 0}, {0, 0, 3.7}}},
};

/* splitmix64; [0, 1) */
static inline double next_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

#endif
