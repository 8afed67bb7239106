/* What both x86 instruction sets need: taking packed (n, 3) rows apart into x, y and z vectors, and back.
 *
 * Component c of row i of a block stands at position 3 i + c of three consecutive vectors of W lanes. W is no multiple of
 * three, so in each lane exactly one of the three vectors holds component c: two blends collect the component, one
 * permutation (lane of row i: 3 i + c modulo W) puts it in order. Storing is the same backwards. */
#ifndef GD_KERNELS_SIMD_X86_H
#define GD_KERNELS_SIMD_X86_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Four floats. */
static inline void load3_ps128(const float *p, __m128 out[3])
{
    __m128 a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + 4), c = _mm_loadu_ps(p + 8);
    __m128 x = _mm_blend_ps(_mm_blend_ps(a, b, 0x4), c, 0x2);
    __m128 y = _mm_blend_ps(_mm_blend_ps(a, b, 0x9), c, 0x4);
    __m128 z = _mm_blend_ps(_mm_blend_ps(a, b, 0x2), c, 0x9);
    out[0] = _mm_shuffle_ps(x, x, _MM_SHUFFLE(1, 2, 3, 0));
    out[1] = _mm_shuffle_ps(y, y, _MM_SHUFFLE(2, 3, 0, 1));
    out[2] = _mm_shuffle_ps(z, z, _MM_SHUFFLE(3, 0, 1, 2));
}

/* Four doubles; each permutation is its own inverse. */
static inline void load3_pd256(const double *p, __m256d out[3])
{
    __m256d a = _mm256_loadu_pd(p), b = _mm256_loadu_pd(p + 4), c = _mm256_loadu_pd(p + 8);
    __m256d x = _mm256_blend_pd(_mm256_blend_pd(a, b, 0x4), c, 0x2);
    __m256d y = _mm256_blend_pd(_mm256_blend_pd(a, b, 0x9), c, 0x4);
    __m256d z = _mm256_blend_pd(_mm256_blend_pd(a, b, 0x2), c, 0x9);
    out[0] = _mm256_permute4x64_pd(x, _MM_SHUFFLE(1, 2, 3, 0));
    out[1] = _mm256_permute4x64_pd(y, _MM_SHUFFLE(2, 3, 0, 1));
    out[2] = _mm256_permute4x64_pd(z, _MM_SHUFFLE(3, 0, 1, 2));
}

static inline void store3_pd256(double *p, const __m256d in[3])
{
    __m256d x = _mm256_permute4x64_pd(in[0], _MM_SHUFFLE(1, 2, 3, 0));
    __m256d y = _mm256_permute4x64_pd(in[1], _MM_SHUFFLE(2, 3, 0, 1));
    __m256d z = _mm256_permute4x64_pd(in[2], _MM_SHUFFLE(3, 0, 1, 2));
    _mm256_storeu_pd(p, _mm256_blend_pd(_mm256_blend_pd(x, y, 0x2), z, 0x4));
    _mm256_storeu_pd(p + 4, _mm256_blend_pd(_mm256_blend_pd(x, y, 0x9), z, 0x2));
    _mm256_storeu_pd(p + 8, _mm256_blend_pd(_mm256_blend_pd(x, y, 0x4), z, 0x9));
}

/* Eight floats. The permutation reads only the low three bits of each index. */
static inline void load3_ps256(const float *p, __m256 out[3])
{
    const __m256i lane = _mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21);
    __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + 8), c = _mm256_loadu_ps(p + 16);
    __m256 x = _mm256_blend_ps(_mm256_blend_ps(a, b, 0x92), c, 0x24);
    __m256 y = _mm256_blend_ps(_mm256_blend_ps(a, b, 0x24), c, 0x49);
    __m256 z = _mm256_blend_ps(_mm256_blend_ps(a, b, 0x49), c, 0x92);
    out[0] = _mm256_permutevar8x32_ps(x, lane);
    out[1] = _mm256_permutevar8x32_ps(y, _mm256_add_epi32(lane, _mm256_set1_epi32(1)));
    out[2] = _mm256_permutevar8x32_ps(z, _mm256_add_epi32(lane, _mm256_set1_epi32(2)));
}

static inline void store3_ps256(float *p, const __m256 in[3])
{
    const __m256i row = _mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21); /* 3 is its own inverse modulo 8 */
    __m256 x = _mm256_permutevar8x32_ps(in[0], row);
    __m256 y = _mm256_permutevar8x32_ps(in[1], _mm256_sub_epi32(row, _mm256_set1_epi32(3)));
    __m256 z = _mm256_permutevar8x32_ps(in[2], _mm256_sub_epi32(row, _mm256_set1_epi32(6)));
    _mm256_storeu_ps(p, _mm256_blend_ps(_mm256_blend_ps(x, y, 0x92), z, 0x24));
    _mm256_storeu_ps(p + 8, _mm256_blend_ps(_mm256_blend_ps(x, y, 0x24), z, 0x49));
    _mm256_storeu_ps(p + 16, _mm256_blend_ps(_mm256_blend_ps(x, y, 0x49), z, 0x92));
}

/* Four rows, each with something arbitrary behind it, packed into twelve consecutive elements. */
static inline void store_rows_ps(float *to, __m128 a, __m128 b, __m128 c, __m128 d)
{
    __m128 last = _mm_shuffle_ps(d, d, _MM_SHUFFLE(2, 1, 0, 0));
    _mm_storeu_ps(to, _mm_insert_ps(a, b, 0x30));
    _mm_storeu_ps(to + 4, _mm_shuffle_ps(b, c, _MM_SHUFFLE(1, 0, 2, 1)));
    _mm_storeu_ps(to + 8, _mm_insert_ps(last, c, 0x80));
}

static inline void store_rows_pd(double *to, __m256d a, __m256d b, __m256d c, __m256d d)
{
    __m256d b_first = _mm256_permute4x64_pd(b, _MM_SHUFFLE(0, 0, 2, 1)); /* y z x x */
    __m256d c_last = _mm256_permute4x64_pd(c, _MM_SHUFFLE(1, 0, 2, 2));  /* z z x y */
    __m256d d_last = _mm256_permute4x64_pd(d, _MM_SHUFFLE(2, 1, 0, 0));  /* x x y z */
    _mm256_storeu_pd(to, _mm256_blend_pd(a, b_first, 0x8));
    _mm256_storeu_pd(to + 4, _mm256_blend_pd(b_first, c_last, 0xc));
    _mm256_storeu_pd(to + 8, _mm256_blend_pd(d_last, c_last, 0x1));
}

#endif
