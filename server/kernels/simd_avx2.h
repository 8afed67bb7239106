/* The vector operations the kernel bodies are written in, for AVX2 with FMA. Names and meaning: see simd_avx512.h. */
#ifndef GD_KERNELS_SIMD_AVX2_H
#define GD_KERNELS_SIMD_AVX2_H

#include "kernels/simd_x86.h"

#define DW 4
typedef __m256d dvec;

static inline dvec dset1(double a)
{
    return _mm256_set1_pd(a);
}
static inline dvec dload(const double *p)
{
    return _mm256_loadu_pd(p);
}
static inline void dstore(double *p, dvec a)
{
    _mm256_storeu_pd(p, a);
}
static inline dvec dfma(dvec a, dvec b, dvec c)
{
    return _mm256_fmadd_pd(a, b, c);
}
static inline dvec dmin(dvec a, dvec b)
{
    return _mm256_min_pd(a, b);
}
static inline dvec dmax(dvec a, dvec b)
{
    return _mm256_max_pd(a, b);
}

static inline void stream_end(void)
{
    _mm_sfence();
}

/* For each set of eight lanes, one byte per lane that is in it, in order: what AVX-512 has an instruction for. */
#define BELOW(m, b) __builtin_popcount((m) & ((1u << (b)) - 1u))
#define PLACE(m, b) (((m) >> (b)&1u) ? (uint64_t)(b) << (8 * BELOW(m, b)) : 0)
#define ENTRY(m) (PLACE(m, 0) | PLACE(m, 1) | PLACE(m, 2) | PLACE(m, 3) | PLACE(m, 4) | PLACE(m, 5) | PLACE(m, 6) | PLACE(m, 7))
#define ENTRIES4(m) ENTRY(m), ENTRY((m) + 1u), ENTRY((m) + 2u), ENTRY((m) + 3u)
#define ENTRIES16(m) ENTRIES4(m), ENTRIES4((m) + 4u), ENTRIES4((m) + 8u), ENTRIES4((m) + 12u)
#define ENTRIES64(m) ENTRIES16(m), ENTRIES16((m) + 16u), ENTRIES16((m) + 32u), ENTRIES16((m) + 48u)
static const uint64_t lanes_in_order[256] = {ENTRIES64(0u), ENTRIES64(64u), ENTRIES64(128u), ENTRIES64(192u)};

#if SIMD_F32

#define W 8
typedef __m256 vec;

static inline vec vset1(float a)
{
    return _mm256_set1_ps(a);
}
static inline vec vload(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vstore(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}
static inline void vstream(float *p, vec a)
{
    _mm256_stream_ps(p, a);
}
static inline void vstore_first(float *p, vec a, size_t n)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane), a);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vec vfnma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
static inline vec vsqrt(vec a)
{
    return _mm256_sqrt_ps(a);
}
static inline vec vmin(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
static inline vec vmax(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
static inline vec vfloor(vec a)
{
    return _mm256_floor_ps(a);
}
static inline vec vrint(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vec vabs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vec vflip(vec a, vec s)
{
    return _mm256_xor_ps(a, _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}
static inline vec vselect_gt(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
static inline unsigned vle(vec a, vec b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ));
}
static inline unsigned vnot_finite(vec a)
{
    vec difference = _mm256_sub_ps(a, a); /* zero, or not a number */
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(difference, difference, _CMP_UNORD_Q));
}
static inline void vstore_int(int32_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm256_cvttps_epi32(a));
}
static inline unsigned ids_above(const int32_t *ids, int32_t id)
{
    __m256i above = _mm256_cmpgt_epi32(_mm256_loadu_si256((const __m256i *)ids), _mm256_set1_epi32(id));
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(above));
}
static inline unsigned ids_other(const int32_t *ids, int32_t id)
{
    __m256i same = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)ids), _mm256_set1_epi32(id));
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same)) ^ 0xffu;
}
static inline __m256i order_of(unsigned lanes)
{
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)lanes_in_order[lanes]));
}
static inline void vcompress(float *p, unsigned lanes, vec a)
{
    _mm256_storeu_ps(p, _mm256_permutevar8x32_ps(a, order_of(lanes)));
}
static inline void ids_compress(int32_t *p, unsigned lanes, const int32_t *ids)
{
    __m256i some = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)ids), order_of(lanes));
    _mm256_storeu_si256((__m256i *)p, some);
}
static inline void load3(const float *p, vec out[3])
{
    load3_ps256(p, out);
}
static inline void store3(float *p, const vec in[3])
{
    store3_ps256(p, in);
}
/* A row with a zero behind it; what lies behind it in memory is not read. */
static inline __m128 load_row(const float *p)
{
    __m128 xy = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)p));
    return _mm_insert_ps(xy, _mm_load_ss(p + 2), 0x20);
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
static inline dvec dload_real(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
static inline void dload3(const float *p, dvec out[3])
{
    __m128 narrow[3];
    load3_ps128(p, narrow);
    for (int c = 0; c < 3; c++)
        out[c] = _mm256_cvtps_pd(narrow[c]);
}

#else

#define W 4
typedef __m256d vec;

static inline vec vset1(double a)
{
    return _mm256_set1_pd(a);
}
static inline vec vload(const double *p)
{
    return _mm256_loadu_pd(p);
}
static inline void vstore(double *p, vec a)
{
    _mm256_storeu_pd(p, a);
}
static inline void vstream(double *p, vec a)
{
    _mm256_stream_pd(p, a);
}
static inline void vstore_first(double *p, vec a, size_t n)
{
    __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x((int64_t)n), lane), a);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm256_fmadd_pd(a, b, c);
}
static inline vec vfnma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_pd(a, b, c);
}
static inline vec vsqrt(vec a)
{
    return _mm256_sqrt_pd(a);
}
static inline vec vmin(vec a, vec b)
{
    return _mm256_min_pd(a, b);
}
static inline vec vmax(vec a, vec b)
{
    return _mm256_max_pd(a, b);
}
static inline vec vfloor(vec a)
{
    return _mm256_floor_pd(a);
}
static inline vec vrint(vec a)
{
    return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vec vabs(vec a)
{
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
}
static inline vec vflip(vec a, vec s)
{
    return _mm256_xor_pd(a, _mm256_and_pd(s, _mm256_set1_pd(-0.0)));
}
static inline vec vselect_gt(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_pd(y, x, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
}
static inline unsigned vle(vec a, vec b)
{
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LE_OQ));
}
static inline unsigned vnot_finite(vec a)
{
    vec difference = _mm256_sub_pd(a, a);
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(difference, difference, _CMP_UNORD_Q));
}
static inline void vstore_int(int32_t *p, vec a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvttpd_epi32(a));
}
static inline unsigned ids_above(const int32_t *ids, int32_t id)
{
    __m128i above = _mm_cmpgt_epi32(_mm_loadu_si128((const __m128i *)ids), _mm_set1_epi32(id));
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(above));
}
static inline unsigned ids_other(const int32_t *ids, int32_t id)
{
    __m128i same = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)ids), _mm_set1_epi32(id));
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(same)) ^ 0xfu;
}
static inline void vcompress(double *p, unsigned lanes, vec a)
{
    /* A double is two floats to the permutation: lane l becomes 2 l and 2 l + 1. */
    __m256i lane = _mm256_cvtepu8_epi64(_mm_cvtsi64_si128((int64_t)lanes_in_order[lanes]));
    __m256i low = _mm256_slli_epi64(lane, 1);
    __m256i high = _mm256_slli_epi64(_mm256_add_epi64(low, _mm256_set1_epi64x(1)), 32);
    __m256 some = _mm256_permutevar8x32_ps(_mm256_castpd_ps(a), _mm256_or_si256(low, high));
    _mm256_storeu_pd(p, _mm256_castps_pd(some));
}
static inline void ids_compress(int32_t *p, unsigned lanes, const int32_t *ids)
{
    __m128i order = _mm_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)lanes_in_order[lanes]));
    _mm_storeu_ps((float *)p, _mm_permutevar_ps(_mm_loadu_ps((const float *)ids), order));
}
static inline void load3(const double *p, vec out[3])
{
    load3_pd256(p, out);
}
static inline void store3(double *p, const vec in[3])
{
    store3_pd256(p, in);
}
static inline __m256d load_row(const double *p)
{
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_load_sd(p + 2), 1);
}
static inline __m256d row_and_one(const double *p)
{
    return _mm256_blend_pd(load_row(p), _mm256_set1_pd(1.0), 0x8);
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
    return _mm256_loadu_pd(p);
}
static inline void dload3(const double *p, dvec out[3])
{
    load3_pd256(p, out);
}

#endif

/* (i, j[k]) for k = 0 .. 3. */
#define PAIRS_AT_ONCE 4
static inline __m256i pairs_of(int32_t i, const int32_t *j)
{
    __m256i high = _mm256_slli_epi64(_mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)j)), 32);
    return _mm256_or_si256(high, _mm256_set1_epi64x((int64_t)(uint32_t)i));
}
static inline void store_pairs(int32_t (*out)[2], int32_t i, const int32_t *j)
{
    _mm256_storeu_si256((__m256i *)out, pairs_of(i, j));
}
static inline void stream_pairs(int32_t (*out)[2], int32_t i, const int32_t *j)
{
    _mm256_stream_si256((__m256i *)out, pairs_of(i, j));
}

#endif
