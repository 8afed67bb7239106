/* The kernels over cluster pairs, compiled for AVX-512; called only where the processor has it. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cluster_pairs.h"

/* The processor's estimate (14 bits) and one step of Newton's method: within 2e-7. */
static inline __m512 inverse_root(__m512 v)
{
    __m512 y = _mm512_rsqrt14_ps(v);
    return _mm512_set1_ps(0.5f) * y * (_mm512_set1_ps(3.0f) - v * y * y);
}

static inline __m512d inverse_root_f64(__m512d v)
{
    return _mm512_div_pd(_mm512_set1_pd(1.0), _mm512_sqrt_pd(v));
}

static inline __m512 side_by_side(const float *a, const float *b, const float *c, const float *d)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(a));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(b), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(c), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(d), 3);
}

static inline __m128 sum4_f32(__m512 v)
{
    __m256 half = _mm512_castps512_ps256(v) + _mm512_extractf32x8_ps(v, 1);
    return _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
}

static inline __m512 spread_f32(const float *p)
{
    const __m512i each = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(each, _mm512_castps128_ps512(_mm_loadu_ps(p)));
}

#define REAL float
#define WIDTH 16
#define V __m512
#define V4 __m128
#define MASK __mmask16
#define NAME gd_cluster_kernel_f32_avx512
#define SET1(s) _mm512_set1_ps(s)
#define REPEAT(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define SPREAD(p, part) spread_f32(p)
#define ROWS(r, at, part) side_by_side((r)[0] + (at), (r)[1] + (at), (r)[2] + (at), (r)[3] + (at))
#define CHOSEN(bits, part) (__mmask16)(bits)
#define WITHIN(m, v, w) _mm512_mask_cmp_ps_mask((m), (v), (w), _CMP_LE_OQ)
#define KEEP(m, v, w) _mm512_mask_blend_ps((m), (w), (v))
#define ONLY(m, v) _mm512_maskz_mov_ps((m), (v))
#define RSQRT(v) inverse_root(v)
#define SUM4(v) sum4_f32(v)
#define LOAD4(p) _mm_loadu_ps(p)
#define STORE4(p, v) _mm_storeu_ps((p), (v))
#include "engine/cluster_kernel_body.h"

#define REAL double
#define WIDTH 8
#define V __m512d
#define V4 __m256d
#define MASK __mmask8
#define NAME gd_cluster_kernel_f64_avx512
#define SET1(s) _mm512_set1_pd(s)
#define REPEAT(p) _mm512_broadcast_f64x4(_mm256_loadu_pd(p))
#define SPREAD(p, part) \
    _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_set1_pd((p)[2 * (part)])), _mm256_set1_pd((p)[2 * (part) + 1]), 1)
#define ROWS(r, at, part) \
    _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd((r)[2 * (part)] + (at))), _mm256_loadu_pd((r)[2 * (part) + 1] + (at)), 1)
#define CHOSEN(bits, part) (__mmask8)((bits) >> (8 * (part)))
#define WITHIN(m, v, w) _mm512_mask_cmp_pd_mask((m), (v), (w), _CMP_LE_OQ)
#define KEEP(m, v, w) _mm512_mask_blend_pd((m), (w), (v))
#define ONLY(m, v) _mm512_maskz_mov_pd((m), (v))
#define RSQRT(v) inverse_root_f64(v)
#define SUM4(v) (_mm512_castpd512_pd256(v) + _mm512_extractf64x4_pd((v), 1))
#define LOAD4(p) _mm256_loadu_pd(p)
#define STORE4(p, v) _mm256_storeu_pd((p), (v))
#include "engine/cluster_kernel_body.h"
#else
typedef int gd_no_cluster_avx512_here; /* a translation unit may not be empty */
#endif
