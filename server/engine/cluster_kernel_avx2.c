/* The kernels over cluster pairs, compiled for AVX2 and FMA; called only where the processor has them. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cluster_pairs.h"

/* The processor's estimate (12 bits) and one step of Newton's method: within 2e-7. */
static inline __m256 inverse_root(__m256 v)
{
    __m256 y = _mm256_rsqrt_ps(v);
    return _mm256_set1_ps(0.5f) * y * (_mm256_set1_ps(3.0f) - v * y * y);
}

static inline __m256 chosen_f32(uint32_t bits)
{
    const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), each), each));
}

static inline __m256d chosen_f64(uint32_t bits)
{
    const __m256i each = _mm256_setr_epi64x(1, 2, 4, 8);
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x((long long)bits), each), each));
}

#define REAL float
#define WIDTH 8
#define V __m256
#define V4 __m128
#define MASK __m256
#define NAME gd_cluster_kernel_f32_avx2
#define SET1(s) _mm256_set1_ps(s)
#define REPEAT(p) _mm256_set_m128(_mm_loadu_ps(p), _mm_loadu_ps(p))
#define SPREAD(p, part) _mm256_set_m128(_mm_set1_ps((p)[2 * (part) + 1]), _mm_set1_ps((p)[2 * (part)]))
#define ROWS(r, at, part) _mm256_set_m128(_mm_loadu_ps((r)[2 * (part) + 1] + (at)), _mm_loadu_ps((r)[2 * (part)] + (at)))
#define CHOSEN(bits, part) chosen_f32((bits) >> (8 * (part)))
#define WITHIN(m, v, w) _mm256_and_ps((m), _mm256_cmp_ps((v), (w), _CMP_LE_OQ))
#define KEEP(m, v, w) _mm256_blendv_ps((w), (v), (m))
#define ONLY(m, v) _mm256_and_ps((m), (v))
#define RSQRT(v) inverse_root(v)
#define SUM4(v) (_mm256_castps256_ps128(v) + _mm256_extractf128_ps((v), 1))
#define LOAD4(p) _mm_loadu_ps(p)
#define STORE4(p, v) _mm_storeu_ps((p), (v))
#include "engine/cluster_kernel_body.h"

#define REAL double
#define WIDTH 4
#define V __m256d
#define V4 __m256d
#define MASK __m256d
#define NAME gd_cluster_kernel_f64_avx2
#define SET1(s) _mm256_set1_pd(s)
#define REPEAT(p) _mm256_loadu_pd(p)
#define SPREAD(p, part) _mm256_set1_pd((p)[part])
#define ROWS(r, at, part) _mm256_loadu_pd((r)[part] + (at))
#define CHOSEN(bits, part) chosen_f64((bits) >> (4 * (part)))
#define WITHIN(m, v, w) _mm256_and_pd((m), _mm256_cmp_pd((v), (w), _CMP_LE_OQ))
#define KEEP(m, v, w) _mm256_blendv_pd((w), (v), (m))
#define ONLY(m, v) _mm256_and_pd((m), (v))
#define RSQRT(v) _mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sqrt_pd(v))
#define SUM4(v) (v)
#define LOAD4(p) _mm256_loadu_pd(p)
#define STORE4(p, v) _mm256_storeu_pd((p), (v))
#include "engine/cluster_kernel_body.h"
#else
typedef int gd_no_cluster_avx2_here; /* a translation unit may not be empty */
#endif
