/* Kernels that do not depend on the precision. Plain loops: the compiler turns them into vectors of whatever instruction
 * set the including file is compiled for, and nothing in them rounds differently for it. */
#include <stddef.h>
#include <stdint.h>

#define BLOCK 4096

static size_t check_indices(const int32_t *indices, size_t count, size_t limit)
{
    /* An int32_t is below 2^31, so a larger limit forbids nothing but negative numbers. */
    uint32_t bound = limit < 0x80000000u ? (uint32_t)limit : 0x80000000u;
    for (size_t begin = 0; begin < count; begin += BLOCK) {
        size_t end = count - begin < BLOCK ? count : begin + BLOCK;
        uint32_t bad = 0;
        for (size_t k = begin; k < end; k++)
            bad |= (uint32_t)indices[k] >= bound;
        for (size_t k = begin; bad && k < end; k++)
            if ((uint32_t)indices[k] >= bound)
                return k;
    }
    return count;
}

static void f32_to_f64(double *restrict to, const float *restrict from, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] = (double)from[k];
}

static void f64_to_f32(float *restrict to, const double *restrict from, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] = (float)from[k];
}

static void set_common(struct gd_kernels *table)
{
    table->check_indices = check_indices;
    table->f32_to_f64 = f32_to_f64;
    table->f64_to_f32 = f64_to_f32;
}
