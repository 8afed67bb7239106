/* The vector operations the kernel bodies are written in, for AVX-512. SIMD_F32 is 1 for float arrays, 0 for double.
 *
 *   REAL  element        vec   W of them           dvec  DW doubles
 *   Operators + - * / and comparison with a scalar broadcast are those of the compiler's vector types.
 *   vfma(a, b, c) = a * b + c        vfnma(a, b, c) = c - a * b, each rounded once
 *   load3/store3: W packed rows      dload3: DW packed rows as double
 *   A set of lanes is an unsigned integer, lane 0 lowest. */
#ifndef GD_KERNELS_SIMD_AVX512_H
#define GD_KERNELS_SIMD_AVX512_H

#include "kernels/simd_x86.h"

#define DW 8
typedef __m512d dvec;

static inline dvec dset1(double a)
{
    return _mm512_set1_pd(a);
}
static inline dvec dload(const double *p)
{
    return _mm512_loadu_pd(p);
}
static inline void dstore(double *p, dvec a)
{
    _mm512_storeu_pd(p, a);
}
static inline dvec dfma(dvec a, dvec b, dvec c)
{
    return _mm512_fmadd_pd(a, b, c);
}
static inline dvec dmin(dvec a, dvec b)
{
    return _mm512_min_pd(a, b);
}
static inline dvec dmax(dvec a, dvec b)
{
    return _mm512_max_pd(a, b);
}

static inline void load3_pd512(const double *p, __m512d out[3])
{
    const __m512i lane = _mm512_setr_epi64(0, 3, 6, 9, 12, 15, 18, 21); /* modulo 8 in the permutation */
    __m512d a = _mm512_loadu_pd(p), b = _mm512_loadu_pd(p + 8), c = _mm512_loadu_pd(p + 16);
    __m512d x = _mm512_mask_blend_pd(0x24, _mm512_mask_blend_pd(0x92, a, b), c);
    __m512d y = _mm512_mask_blend_pd(0x49, _mm512_mask_blend_pd(0x24, a, b), c);
    __m512d z = _mm512_mask_blend_pd(0x92, _mm512_mask_blend_pd(0x49, a, b), c);
    out[0] = _mm512_permutexvar_pd(lane, x);
    out[1] = _mm512_permutexvar_pd(_mm512_add_epi64(lane, _mm512_set1_epi64(1)), y);
    out[2] = _mm512_permutexvar_pd(_mm512_add_epi64(lane, _mm512_set1_epi64(2)), z);
}

/* Stores that go past the caches are ordered before what follows. */
static inline void stream_end(void)
{
    _mm_sfence();
}

#if SIMD_F32

#define W 16
typedef __m512 vec;

static inline vec vset1(float a)
{
    return _mm512_set1_ps(a);
}
static inline vec vload(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vstore(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}
/* Past the caches; p on a boundary of whole vectors. */
static inline void vstream(float *p, vec a)
{
    _mm512_stream_ps(p, a);
}
/* The first n of W lanes. */
static inline void vstore_first(float *p, vec a, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), a);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vec vfnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
static inline vec vsqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}
static inline vec vmin(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
static inline vec vmax(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vfloor(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline vec vrint(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vec vabs(vec a)
{
    return _mm512_abs_ps(a);
}
/* a with its sign flipped where s is negative */
static inline vec vflip(vec a, vec s)
{
    return _mm512_xor_ps(a, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}
/* a > b ? x : y */
static inline vec vselect_gt(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
static inline unsigned vle(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
/* Lanes that are infinite or not a number. */
static inline unsigned vnot_finite(vec a)
{
    return _mm512_fpclass_ps_mask(a, 0x99);
}
/* Rounded towards zero. */
static inline void vstore_int(int32_t *p, vec a)
{
    _mm512_storeu_si512(p, _mm512_cvttps_epi32(a));
}
/* Lanes with ids[lane] > id, and != id. */
static inline unsigned ids_above(const int32_t *ids, int32_t id)
{
    return _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(ids), _mm512_set1_epi32(id));
}
static inline unsigned ids_other(const int32_t *ids, int32_t id)
{
    return _mm512_cmpneq_epi32_mask(_mm512_loadu_si512(ids), _mm512_set1_epi32(id));
}
/* The lanes of a set, moved together; W elements are written, what follows the set is arbitrary. A register permutation
 * and a plain store: the instruction that compresses to memory is slow on some processors. */
static inline void vcompress(float *p, unsigned lanes, vec a)
{
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps((__mmask16)lanes, a));
}
static inline void ids_compress(int32_t *p, unsigned lanes, const int32_t *ids)
{
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32((__mmask16)lanes, _mm512_loadu_si512(ids)));
}
static inline void load3(const float *p, vec out[3])
{
    const __m512i lane = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45); /* modulo 16 */
    vec a = vload(p), b = vload(p + 16), c = vload(p + 32);
    vec x = _mm512_mask_blend_ps(0x2492, _mm512_mask_blend_ps(0x4924, a, b), c);
    vec y = _mm512_mask_blend_ps(0x4924, _mm512_mask_blend_ps(0x9249, a, b), c);
    vec z = _mm512_mask_blend_ps(0x9249, _mm512_mask_blend_ps(0x2492, a, b), c);
    out[0] = _mm512_permutexvar_ps(lane, x);
    out[1] = _mm512_permutexvar_ps(_mm512_add_epi32(lane, _mm512_set1_epi32(1)), y);
    out[2] = _mm512_permutexvar_ps(_mm512_add_epi32(lane, _mm512_set1_epi32(2)), z);
}
static inline void store3(float *p, const vec in[3])
{
    /* 11 is the inverse of 3 modulo 16: lane l of component c holds row 11 (l - c). */
    const __m512i row = _mm512_setr_epi32(0, 11, 22, 33, 44, 55, 66, 77, 88, 99, 110, 121, 132, 143, 154, 165);
    vec x = _mm512_permutexvar_ps(row, in[0]);
    vec y = _mm512_permutexvar_ps(_mm512_sub_epi32(row, _mm512_set1_epi32(11)), in[1]);
    vec z = _mm512_permutexvar_ps(_mm512_sub_epi32(row, _mm512_set1_epi32(22)), in[2]);
    vstore(p, _mm512_mask_blend_ps(0x4924, _mm512_mask_blend_ps(0x2492, x, y), z));
    vstore(p + 16, _mm512_mask_blend_ps(0x2492, _mm512_mask_blend_ps(0x9249, x, y), z));
    vstore(p + 32, _mm512_mask_blend_ps(0x9249, _mm512_mask_blend_ps(0x4924, x, y), z));
}
/* A row with a zero behind it; what lies behind it in memory is not read. */
static inline __m128 load_row(const float *p)
{
    return _mm_maskz_loadu_ps(0x7, p);
}
/* x, y, z and 1 as doubles; nothing behind the row is read. */
static inline __m256d row_and_one(const float *p)
{
    return _mm256_blend_pd(_mm256_cvtps_pd(load_row(p)), _mm256_set1_pd(1.0), 0x8);
}
/* a - b with a zero behind it. */
static inline void store_difference(float to[4], const float *a, const float *b)
{
    _mm_storeu_ps(to, _mm_sub_ps(load_row(a), load_row(b)));
}
static inline void pack_rows(float *to, const float *a, const float *b, const float *c, const float *d)
{
    store_rows_ps(to, load_row(a), load_row(b), load_row(c), load_row(d));
}
/* DW elements as doubles. */
static inline dvec dload_real(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
static inline void dload3(const float *p, dvec out[3])
{
    __m256 narrow[3];
    load3_ps256(p, narrow);
    for (int c = 0; c < 3; c++)
        out[c] = _mm512_cvtps_pd(narrow[c]);
}

#else

#define W 8
typedef __m512d vec;

static inline vec vset1(double a)
{
    return _mm512_set1_pd(a);
}
static inline vec vload(const double *p)
{
    return _mm512_loadu_pd(p);
}
static inline void vstore(double *p, vec a)
{
    _mm512_storeu_pd(p, a);
}
static inline void vstream(double *p, vec a)
{
    _mm512_stream_pd(p, a);
}
static inline void vstore_first(double *p, vec a, size_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1u), a);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm512_fmadd_pd(a, b, c);
}
static inline vec vfnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_pd(a, b, c);
}
static inline vec vsqrt(vec a)
{
    return _mm512_sqrt_pd(a);
}
static inline vec vmin(vec a, vec b)
{
    return _mm512_min_pd(a, b);
}
static inline vec vmax(vec a, vec b)
{
    return _mm512_max_pd(a, b);
}
static inline vec vfloor(vec a)
{
    return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline vec vrint(vec a)
{
    return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vec vabs(vec a)
{
    return _mm512_abs_pd(a);
}
static inline vec vflip(vec a, vec s)
{
    return _mm512_xor_pd(a, _mm512_and_pd(s, _mm512_set1_pd(-0.0)));
}
static inline vec vselect_gt(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), y, x);
}
static inline unsigned vle(vec a, vec b)
{
    return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ);
}
static inline unsigned vnot_finite(vec a)
{
    return _mm512_fpclass_pd_mask(a, 0x99);
}
static inline void vstore_int(int32_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvttpd_epi32(a));
}
static inline unsigned ids_above(const int32_t *ids, int32_t id)
{
    return _mm256_cmpgt_epi32_mask(_mm256_loadu_si256((const __m256i *)ids), _mm256_set1_epi32(id));
}
static inline unsigned ids_other(const int32_t *ids, int32_t id)
{
    return _mm256_cmpneq_epi32_mask(_mm256_loadu_si256((const __m256i *)ids), _mm256_set1_epi32(id));
}
static inline void vcompress(double *p, unsigned lanes, vec a)
{
    _mm512_storeu_pd(p, _mm512_maskz_compress_pd((__mmask8)lanes, a));
}
static inline void ids_compress(int32_t *p, unsigned lanes, const int32_t *ids)
{
    __m256i some = _mm256_maskz_compress_epi32((__mmask8)lanes, _mm256_loadu_si256((const __m256i *)ids));
    _mm256_storeu_si256((__m256i *)p, some);
}
static inline void load3(const double *p, vec out[3])
{
    load3_pd512(p, out);
}
static inline void store3(double *p, const vec in[3])
{
    const __m512i row = _mm512_setr_epi64(0, 3, 6, 9, 12, 15, 18, 21); /* 3 is its own inverse modulo 8 */
    vec x = _mm512_permutexvar_pd(row, in[0]);
    vec y = _mm512_permutexvar_pd(_mm512_sub_epi64(row, _mm512_set1_epi64(3)), in[1]);
    vec z = _mm512_permutexvar_pd(_mm512_sub_epi64(row, _mm512_set1_epi64(6)), in[2]);
    vstore(p, _mm512_mask_blend_pd(0x24, _mm512_mask_blend_pd(0x92, x, y), z));
    vstore(p + 8, _mm512_mask_blend_pd(0x49, _mm512_mask_blend_pd(0x24, x, y), z));
    vstore(p + 16, _mm512_mask_blend_pd(0x92, _mm512_mask_blend_pd(0x49, x, y), z));
}
static inline __m256d load_row(const double *p)
{
    return _mm256_maskz_loadu_pd(0x7, p);
}
static inline __m256d row_and_one(const double *p)
{
    return _mm256_mask_loadu_pd(_mm256_set1_pd(1.0), 0x7, p);
}
static inline void store_difference(double to[4], const double *a, const double *b)
{
    _mm256_storeu_pd(to, _mm256_sub_pd(load_row(a), load_row(b)));
}
static inline void pack_rows(double *to, const double *a, const double *b, const double *c, const double *d)
{
    store_rows_pd(to, load_row(a), load_row(b), load_row(c), load_row(d));
}
static inline dvec dload_real(const double *p)
{
    return _mm512_loadu_pd(p);
}
static inline void dload3(const double *p, dvec out[3])
{
    load3_pd512(p, out);
}

#endif

/* (i, j[k]) for k = 0 .. 7. */
#define PAIRS_AT_ONCE 8
static inline __m512i pairs_of(int32_t i, const int32_t *j)
{
    __m512i high = _mm512_slli_epi64(_mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)j)), 32);
    return _mm512_or_si512(high, _mm512_set1_epi64((int64_t)(uint32_t)i));
}
static inline void store_pairs(int32_t (*out)[2], int32_t i, const int32_t *j)
{
    _mm512_storeu_si512(out, pairs_of(i, j));
}
static inline void stream_pairs(int32_t (*out)[2], int32_t i, const int32_t *j)
{
    _mm512_stream_si512((__m512i *)out, pairs_of(i, j));
}

#endif
