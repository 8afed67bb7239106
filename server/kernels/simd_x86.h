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

#endif
