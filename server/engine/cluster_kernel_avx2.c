/* The kernels over cluster pairs, compiled for AVX2 and FMA; called only where the processor has them. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cluster_pairs.h"

static inline uint32_t near_of_eight(const struct gd_cluster_boxes *boxes, const __m256 low[3], const __m256 high[3], __m256 radius2,
                                     int32_t first)
{
    __m256 sum = _mm256_setzero_ps();
    for (int d = 0; d < 3; d++) {
        const __m256 below = _mm256_sub_ps(_mm256_loadu_ps(boxes->low[d] + first), high[d]);
        const __m256 above = _mm256_sub_ps(low[d], _mm256_loadu_ps(boxes->high[d] + first));
        const __m256 gap = _mm256_max_ps(_mm256_max_ps(below, above), _mm256_setzero_ps());
        sum = _mm256_fmadd_ps(gap, gap, sum);
    }
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(sum, radius2, _CMP_LE_OQ));
}

static int32_t near(const struct gd_cluster_boxes *boxes, const float low[3], const float high[3], float radius2,
                    const struct gd_cluster_run *run, size_t runs, int32_t *out)
{
    const struct gd_cluster_boxes all = *boxes;
    const __m256 lows[3] = {_mm256_set1_ps(low[0]), _mm256_set1_ps(low[1]), _mm256_set1_ps(low[2])};
    const __m256 highs[3] = {_mm256_set1_ps(high[0]), _mm256_set1_ps(high[1]), _mm256_set1_ps(high[2])};
    int32_t found = 0;
    for (size_t r = 0; r < runs; r++)
        for (int32_t first = run[r].from, to = run[r].to; first < to; first += GD_CLUSTER_BLOCK / 2) {
            uint32_t hit = near_of_eight(&all, lows, highs, _mm256_set1_ps(radius2), first);
            hit &= to - first < GD_CLUSTER_BLOCK / 2 ? (1u << (to - first)) - 1 : 0xffu;
            for (; hit != 0; hit &= hit - 1)
                out[found++] = first + __builtin_ctz(hit);
        }
    return found;
}

/* Twice the inverse root: the processor's estimate (12 bits) and one step of Newton's method: within 2e-7. */
static inline __m256 double_inverse_root(__m256 v)
{
    __m256 y = _mm256_rsqrt_ps(v);
    return y * _mm256_fnmadd_ps(v * y, y, _mm256_set1_ps(3.0f));
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
#define AHEAD 1
#define V __m256
#define MASK __m256
#define NAME(function) f32_##function
#define SET1(s) _mm256_set1_ps(s)
#define REPEAT(p) _mm256_broadcast_ps((const __m128 *)(const void *)(p))
#define SPREAD(p, part) _mm256_set_m128(_mm_set1_ps((p)[2 * (part) + 1]), _mm_set1_ps((p)[2 * (part)]))
#define ROWS(r, at, part) _mm256_set_m128(_mm_loadu_ps((r)[2 * (part) + 1] + (at)), _mm_loadu_ps((r)[2 * (part)] + (at)))
#define CHOSEN(bits, part) chosen_f32((uint32_t)(bits) >> (8 * (part)))
#define WITHIN(m, v, w) _mm256_and_ps((m), _mm256_cmp_ps((v), (w), _CMP_LE_OQ))
#define ONLY(m, v) _mm256_and_ps((m), (v))
#define ANY(m) (_mm256_movemask_ps(m) != 0)
#define MADD(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define MSUB(a, b, c) _mm256_fmsub_ps((a), (b), (c))
#define MUL_ONLY(m, a, b) ONLY(m, (a) * (b))
#define ROOT_SCALE 2.0
#define ROOT(m, v) ONLY(m, double_inverse_root(v))
#define SUM4(v) (_mm256_castps256_ps128(v) + _mm256_extractf128_ps((v), 1))
#define LOAD4(p) _mm_loadu_ps(p)
#define STORE4(p, v) _mm_storeu_ps((p), (v))
#include "engine/cluster_kernel_body.h"

#define REAL double
#define WIDTH 4
#define AHEAD 0
#define V __m256d
#define MASK __m256d
#define NAME(function) f64_##function
#define SET1(s) _mm256_set1_pd(s)
#define REPEAT(p) _mm256_loadu_pd(p)
#define SPREAD(p, part) _mm256_set1_pd((p)[part])
#define ROWS(r, at, part) _mm256_loadu_pd((r)[part] + (at))
#define CHOSEN(bits, part) chosen_f64((uint32_t)(bits) >> (4 * (part)))
#define WITHIN(m, v, w) _mm256_and_pd((m), _mm256_cmp_pd((v), (w), _CMP_LE_OQ))
#define ONLY(m, v) _mm256_and_pd((m), (v))
#define ANY(m) (_mm256_movemask_pd(m) != 0)
#define MADD(a, b, c) _mm256_fmadd_pd((a), (b), (c))
#define MSUB(a, b, c) _mm256_fmsub_pd((a), (b), (c))
#define MUL_ONLY(m, a, b) ONLY(m, (a) * (b))
#define ROOT_SCALE 1.0
#define ROOT(m, v) ONLY(m, _mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sqrt_pd(v)))
#define SUM4(v) (v)
#define LOAD4(p) _mm256_loadu_pd(p)
#define STORE4(p, v) _mm256_storeu_pd((p), (v))
#include "engine/cluster_kernel_body.h"

const struct gd_cluster_kernels gd_cluster_kernels_f32_avx2 = {f32_forces, f32_sift, f32_prune, near};
const struct gd_cluster_kernels gd_cluster_kernels_f64_avx2 = {f64_forces, f64_sift, f64_prune, near};
#else
typedef int gd_no_cluster_avx2_here; /* a translation unit may not be empty */
#endif
