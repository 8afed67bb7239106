/* One pass over an array: each block is read, looked at, converted and written while it is in the first-level cache. With undo the block
 * that it overwrites is kept just before, as proto/gd_undo.h says.
 *
 * Beside memcpy of 600 kB in the second-level cache one pass takes 0.9 of it and one that keeps the old content 1.5, three streams for
 * two. Long arrays are written past the caches: there is no room for them, and each line would be read once before it is written. Where
 * the old content is kept that goes for the undo memory alone, for what is overwritten has just been read. */
#include "numbers.h"

#include <float.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LONG_BYTES ((size_t)6 << 20)
#define BLOCK_BYTES ((size_t)8192)       /* of the array written; old and new content and the undo copy fit in the first-level cache */
#define LONG_BLOCK_BYTES ((size_t)32768) /* each ends with a fence that waits for the memory */

/* Copies count numbers; not 0 when one of them is not finite or does not fit. */
typedef uint64_t (*pass)(void *restrict out, const void *restrict in, size_t count);

/* An exponent of all ones carries into the sign bit when the lowest exponent bit is added. */
#define EXPONENT_F32 0x7fffffffu
#define LOWEST_F32 0x00800000u
#define EXPONENT_F64 0x7fffffffffffffffu
#define LOWEST_F64 0x0010000000000000u

GD_VARIANTS static uint64_t copy_f32(void *restrict out, const void *restrict in, size_t count)
{
    const uint32_t *from = in;
    uint32_t *to = out, bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = from[i];
        to[i] = bits;
        bad |= (bits & EXPONENT_F32) + LOWEST_F32;
    }
    return bad >> 31;
}

GD_VARIANTS static uint64_t copy_f64(void *restrict out, const void *restrict in, size_t count)
{
    const uint64_t *from = in;
    uint64_t *to = out, bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = from[i];
        to[i] = bits;
        bad |= (bits & EXPONENT_F64) + LOWEST_F64;
    }
    return bad >> 63;
}

static uint64_t largest_f32(void)
{
    const double largest = FLT_MAX;
    uint64_t bits;
    memcpy(&bits, &largest, sizeof(bits));
    return bits;
}

/* Bits above those of the largest float32: too large, infinite or not a number. */
GD_VARIANTS static uint64_t narrow(void *restrict out, const void *restrict in, size_t count)
{
    const double *from = in;
    const uint64_t limit = largest_f32();
    float *to = out;
    uint64_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        double number = from[i];
        uint64_t bits;
        memcpy(&bits, &number, sizeof(bits));
        bad |= limit - (bits & EXPONENT_F64);
        to[i] = (float)number;
    }
    return bad >> 63;
}

GD_VARIANTS static uint64_t widen(void *restrict out, const void *restrict in, size_t count)
{
    const float *from = in;
    double *to = out;
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        float number = from[i];
        uint32_t bits;
        memcpy(&bits, &number, sizeof(bits));
        bad |= (bits & EXPONENT_F32) + LOWEST_F32;
        to[i] = number;
    }
    return bad >> 31;
}

/* ---- past the caches; whole cache lines */

#ifdef __SSE2__
static uint64_t stream_f32(void *restrict out, const void *restrict in, size_t count)
{
    const __m128i exponent = _mm_set1_epi32((int)EXPONENT_F32), lowest = _mm_set1_epi32((int)LOWEST_F32);
    const __m128i *from = in;
    __m128i *to = out, bad = _mm_setzero_si128();
    for (size_t i = 0; i < count / 4; i += 4)
        for (size_t k = i; k < i + 4; k++) {
            __m128i bits = _mm_loadu_si128(from + k);
            bad = _mm_or_si128(bad, _mm_add_epi32(_mm_and_si128(bits, exponent), lowest));
            _mm_stream_si128(to + k, bits);
        }
    return (uint64_t)_mm_movemask_ps(_mm_castsi128_ps(bad));
}

static uint64_t stream_f64(void *restrict out, const void *restrict in, size_t count)
{
    const __m128i exponent = _mm_set1_epi64x((long long)EXPONENT_F64), lowest = _mm_set1_epi64x((long long)LOWEST_F64);
    const __m128i *from = in;
    __m128i *to = out, bad = _mm_setzero_si128();
    for (size_t i = 0; i < count / 2; i += 4)
        for (size_t k = i; k < i + 4; k++) {
            __m128i bits = _mm_loadu_si128(from + k);
            bad = _mm_or_si128(bad, _mm_add_epi64(_mm_and_si128(bits, exponent), lowest));
            _mm_stream_si128(to + k, bits);
        }
    return (uint64_t)_mm_movemask_pd(_mm_castsi128_pd(bad));
}

static uint64_t stream_narrow(void *restrict out, const void *restrict in, size_t count)
{
    const __m128i exponent = _mm_set1_epi64x((long long)EXPONENT_F64), limit = _mm_set1_epi64x((long long)largest_f32());
    const double *from = in;
    float *to = out;
    __m128i bad = _mm_setzero_si128();
    for (size_t i = 0; i < count; i += 16)
        for (size_t k = i; k < i + 16; k += 4) {
            __m128d low = _mm_loadu_pd(from + k), high = _mm_loadu_pd(from + k + 2);
            bad = _mm_or_si128(bad, _mm_sub_epi64(limit, _mm_and_si128(_mm_castpd_si128(low), exponent)));
            bad = _mm_or_si128(bad, _mm_sub_epi64(limit, _mm_and_si128(_mm_castpd_si128(high), exponent)));
            _mm_stream_ps(to + k, _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high)));
        }
    return (uint64_t)_mm_movemask_pd(_mm_castsi128_pd(bad));
}

static void stream_bytes(void *restrict out, const void *restrict in, size_t bytes)
{
    const __m128i *from = in;
    __m128i *to = out;
    for (size_t i = 0; i < bytes / 16; i += 4)
        for (size_t k = i; k < i + 4; k++)
            _mm_stream_si128(to + k, _mm_loadu_si128(from + k));
}

#define STREAM_FENCE() _mm_sfence()
#define STREAMED(pass_) pass_
#define STREAM_LINE ((size_t)64)
#else
static void stream_bytes(void *restrict out, const void *restrict in, size_t bytes)
{
    memcpy(out, in, bytes);
}
#define STREAM_FENCE() ((void)0)
#define STREAMED(pass_) NULL
#define STREAM_LINE ((size_t)1)
#endif

/* ---- the passes by kind of numbers */

static const struct {
    size_t in_size, out_size;
    pass plain, streamed;
} kinds[] = {
    [GD_F32] = {4, 4, copy_f32, STREAMED(stream_f32)},
    [GD_F64] = {8, 8, copy_f64, STREAMED(stream_f64)},
    [GD_F64_TO_F32] = {8, 4, narrow, STREAMED(stream_narrow)},
    [GD_F32_TO_F64] = {4, 8, widen, NULL},
};

bool gd_overwrite_fits(const struct gd_overwrite *what)
{
    switch (what->numbers) {
    case GD_F64:
        return gd_finite_f64(what->in, what->count);
    case GD_F64_TO_F32:
        return gd_finite_f64_as_f32(what->in, what->count);
    default:
        return gd_finite_f32(what->in, what->count);
    }
}

void gd_copy_long(void *out, const void *in, size_t bytes)
{
    size_t streamed = bytes >= LONG_BYTES ? bytes / STREAM_LINE * STREAM_LINE : 0;
    if (streamed > 0) {
        stream_bytes(out, in, streamed);
        STREAM_FENCE();
    }
    memcpy((char *)out + streamed, (const char *)in + streamed, bytes - streamed);
}

/* The old content first, then how far it is kept, then the new content: whatever ends us in between, what is kept can be put back. Planted
 * faults of tests/race:
 * GD_UNDO_EARLY   says how far before it is kept
 * GD_UNDO_LATE    says it after the new content */
static void keep(const struct gd_overwrite *what, size_t from, size_t bytes, bool is_long)
{
    char *undo = (char *)what->undo + from;
    const char *old = (const char *)what->out + from;
    size_t streamed = is_long ? bytes / STREAM_LINE * STREAM_LINE : 0;
#ifdef GD_UNDO_EARLY
    gd_undo_reach(what->undo_bytes, from + bytes);
#endif
    stream_bytes(undo, old, streamed);
    memcpy(undo + streamed, old + streamed, bytes - streamed);
    if (streamed > 0)
        STREAM_FENCE();
#if !defined GD_UNDO_EARLY && !defined GD_UNDO_LATE
    gd_undo_reach(what->undo_bytes, from + bytes);
#endif
}

bool gd_overwrite(const struct gd_overwrite *what)
{
    const size_t in_size = kinds[what->numbers].in_size, out_size = kinds[what->numbers].out_size;
    const bool is_long = what->count * out_size >= LONG_BYTES;
    const size_t block = (is_long ? LONG_BLOCK_BYTES : BLOCK_BYTES) / out_size;
    const pass plain = kinds[what->numbers].plain;
    const pass streamed = is_long && what->undo == NULL ? kinds[what->numbers].streamed : NULL;
    uint64_t bad = 0;
    for (size_t i = 0; i < what->count && bad == 0; i += block) {
        size_t count = what->count - i < block ? what->count - i : block;
        char *out = (char *)what->out + i * out_size;
        const char *in = (const char *)what->in + i * in_size;
        if (what->undo != NULL)
            keep(what, i * out_size, count * out_size, is_long);
        bad = streamed != NULL && count == block ? streamed(out, in, count) : plain(out, in, count);
#ifdef GD_UNDO_LATE
        if (what->undo != NULL)
            gd_undo_reach(what->undo_bytes, (i + count) * out_size);
#endif
    }
    if (streamed != NULL)
        STREAM_FENCE();
    return bad == 0;
}
