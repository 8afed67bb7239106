#include "numbers.h"

#include <float.h>
#include <string.h>

#define BLOCK ((size_t)4096) /* numbers looked at before the first bad one ends the search */
#define LINE ((size_t)64)    /* blocks begin at cache lines, so that no load of a vector needs two */

/* An exponent of all ones carries into the sign bit when the lowest exponent bit is added. */
GD_VARIANTS static uint32_t carry_f32(const float *numbers, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, numbers + i, sizeof(bits));
        bad |= (bits & 0x7fffffffu) + 0x00800000u;
    }
    return bad >> 31;
}

GD_VARIANTS static uint64_t carry_f64(const double *numbers, size_t count)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, numbers + i, sizeof(bits));
        bad |= (bits & 0x7fffffffffffffffu) + 0x0010000000000000u;
    }
    return bad >> 63;
}

/* Bits above those of the largest float32: too large, infinite or not a number. */
GD_VARIANTS static uint64_t above_f32(const double *numbers, size_t count)
{
    const double largest = FLT_MAX;
    uint64_t limit, bad = 0;
    memcpy(&limit, &largest, sizeof(limit));
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, numbers + i, sizeof(bits));
        bad |= limit - (bits & 0x7fffffffffffffffu);
    }
    return bad >> 63;
}

#define IN_BLOCKS(name, type, check)                                             \
    bool name(const type *numbers, size_t count)                                 \
    {                                                                            \
        size_t block = (LINE - (uintptr_t)numbers % LINE) % LINE / sizeof(type); \
        while (count > 0) {                                                      \
            size_t n = count < block ? count : block;                            \
            if (check(numbers, n) != 0)                                          \
                return false;                                                    \
            numbers += n;                                                        \
            count -= n;                                                          \
            block = BLOCK;                                                       \
        }                                                                        \
        return true;                                                             \
    }
IN_BLOCKS(gd_finite_f32, float, carry_f32)
IN_BLOCKS(gd_finite_f64, double, carry_f64)
IN_BLOCKS(gd_finite_f64_as_f32, double, above_f32)
