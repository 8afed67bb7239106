/* Loops over numbers: is every one finite, conversion between the two precisions, and the copy of long arrays. Plain C that the compiler vectorises; on x86-64 it
 * makes one version for each level of the instruction set and the dynamic linker chooses. */
#include "mapping.h"

#include <float.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && (!defined(__clang__) || __clang_major__ >= 14) && !defined(__SANITIZE_ADDRESS__)
#ifdef __clang__
#define VARIANTS __attribute__((target_clones("avx2", "default")))
#else
#define VARIANTS __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#endif
#else
#define VARIANTS
#endif

#define BLOCK ((size_t)4096) /* numbers looked at before the first bad one ends the search */
#define LINE ((size_t)64)    /* blocks begin at cache lines, so that no load of a vector needs two */

/* An exponent of all ones carries into the sign bit when the lowest exponent bit is added. */
VARIANTS static uint32_t carry_f32(const float *numbers, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, numbers + i, sizeof(bits));
        bad |= (bits & 0x7fffffffu) + 0x00800000u;
    }
    return bad >> 31;
}

VARIANTS static uint64_t carry_f64(const double *numbers, size_t count)
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
VARIANTS static uint64_t above_f32(const double *numbers, size_t count)
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

VARIANTS static void narrow(float *out, const double *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)in[i];
}

VARIANTS static void widen(double *out, const float *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = in[i];
}

void gd_convert_f32_f64(double *out, const float *in, size_t count)
{
    widen(out, in, count);
}

/* Long arrays are written past the caches: there is no room for them, and each line would be read once before it is written. The blocks
 * go from the end to the beginning, because what the check before has read last is still near. Measured with 1,000,000 atoms beside
 * other programs: 0.5 to 0.8 ms, memcpy 0.5 to 1.3 ms. */
#define STREAM_BYTES ((size_t)6 << 20)
#define STREAM_BLOCK ((size_t)1 << 15) /* numbers */

#ifdef __SSE2__
static void stream_f32(float *out, const float *in, size_t count)
{
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (size_t k = 0; k < 16; k += 4)
            _mm_stream_ps(out + i + k, _mm_loadu_ps(in + i + k));
}

static void stream_narrow(float *out, const double *in, size_t count)
{
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (size_t k = 0; k < 16; k += 4)
            _mm_stream_ps(out + i + k, _mm_movelh_ps(_mm_cvtpd_ps(_mm_loadu_pd(in + i + k)), _mm_cvtpd_ps(_mm_loadu_pd(in + i + k + 2))));
}
#endif

void gd_copy_long(void *out, const void *in, size_t bytes)
{
    size_t numbers = 0;
#ifdef __SSE2__
    if (bytes >= STREAM_BYTES && (uintptr_t)out % 64 == 0 && (uintptr_t)in % sizeof(float) == 0) {
        numbers = bytes / sizeof(float) / 16 * 16;
        for (size_t end = numbers; end > 0;) {
            size_t begin = (end - 1) / STREAM_BLOCK * STREAM_BLOCK;
            stream_f32((float *)out + begin, (const float *)in + begin, end - begin);
            end = begin;
        }
        _mm_sfence();
    }
#endif
    size_t done = numbers * sizeof(float);
    memcpy((char *)out + done, (const char *)in + done, bytes - done);
}

void gd_convert_f64_f32(float *out, const double *in, size_t count)
{
    size_t numbers = 0;
#ifdef __SSE2__
    if (count * sizeof(float) >= STREAM_BYTES && (uintptr_t)out % 64 == 0) {
        numbers = count / 16 * 16;
        for (size_t end = numbers; end > 0;) {
            size_t begin = (end - 1) / STREAM_BLOCK * STREAM_BLOCK;
            stream_narrow(out + begin, in + begin, end - begin);
            end = begin;
        }
        _mm_sfence();
    }
#endif
    narrow(out + numbers, in + numbers, count - numbers);
}
