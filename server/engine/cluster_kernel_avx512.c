/* The kernels over cluster pairs, compiled for AVX-512; called only where the processor has it. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cluster_pairs.h"

static int32_t near(const struct gd_cluster_boxes *boxes, const float low[3], const float high[3], float radius2,
                    const struct gd_cluster_run *run, size_t runs, int32_t *out)
{
    const struct gd_cluster_boxes all = *boxes;
    const __m512 lows[3] = {_mm512_set1_ps(low[0]), _mm512_set1_ps(low[1]), _mm512_set1_ps(low[2])};
    const __m512 highs[3] = {_mm512_set1_ps(high[0]), _mm512_set1_ps(high[1]), _mm512_set1_ps(high[2])};
    const __m512i each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int32_t found = 0;
    for (size_t r = 0; r < runs; r++)
        for (int32_t first = run[r].from, to = run[r].to; first < to; first += GD_CLUSTER_BLOCK) {
            __m512 sum = _mm512_setzero_ps();
            for (int d = 0; d < 3; d++) {
                const __m512 below = _mm512_sub_ps(_mm512_loadu_ps(all.low[d] + first), highs[d]);
                const __m512 above = _mm512_sub_ps(lows[d], _mm512_loadu_ps(all.high[d] + first));
                const __m512 gap = _mm512_max_ps(_mm512_max_ps(below, above), _mm512_setzero_ps());
                sum = _mm512_fmadd_ps(gap, gap, sum);
            }
            const uint32_t left = to - first < GD_CLUSTER_BLOCK ? (1u << (to - first)) - 1 : 0xffffu;
            const __mmask16 hit = _mm512_mask_cmp_ps_mask((__mmask16)left, sum, _mm512_set1_ps(radius2), _CMP_LE_OQ);
            _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi32(hit, _mm512_add_epi32(_mm512_set1_epi32(first), each)));
            found += __builtin_popcount(hit);
        }
    return found;
}

/* Twice the inverse root: the processor's estimate (14 bits) and one step of Newton's method: within 2e-7. */
static inline __m512 double_inverse_root(__mmask16 m, __m512 v)
{
    __m512 y = _mm512_rsqrt14_ps(v);
    return _mm512_maskz_mul_ps(m, y, _mm512_fnmadd_ps(v * y, y, _mm512_set1_ps(3.0f)));
}

static inline __m512 side_by_side(const float *a, const float *b, const float *c, const float *d)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(a));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(b), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(c), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(d), 3);
}

static inline __m512 spread_f32(const float *p)
{
    const __m512i each = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(each, _mm512_castps128_ps512(_mm_loadu_ps(p)));
}

/* x, y and z at once: of quarters 0..3 first 0 + 2 and 1 + 3, then both together; the last quarter of f is not used. */
static inline void take_off_f32(float *f, __m512 x, __m512 y, __m512 z)
{
    const __m512 xy = _mm512_shuffle_f32x4(x, y, 0x44) + _mm512_shuffle_f32x4(x, y, 0xee);
    const __m512 zz = _mm512_castps256_ps512(_mm512_castps512_ps256(z) + _mm512_extractf32x8_ps(z, 1));
    _mm512_storeu_ps(f, _mm512_loadu_ps(f) - (_mm512_shuffle_f32x4(xy, zz, 0x08) + _mm512_shuffle_f32x4(xy, zz, 0x5d)));
}

/* Within each quarter a: x, y, z of b = 0 + 2 and 1 + 3, then both together: x y z z; transposed, they are as in f. */
static inline void hand_out_f32(float *f, double *s, __m512 x, __m512 y, __m512 z)
{
    const __m512i transposed = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512 xy = _mm512_unpacklo_ps(x, y) + _mm512_unpackhi_ps(x, y), zz = _mm512_unpacklo_ps(z, z) + _mm512_unpackhi_ps(z, z);
    const __m512 sum = _mm512_shuffle_ps(xy, zz, 0x44) + _mm512_shuffle_ps(xy, zz, 0xee);
    _mm512_storeu_ps(f, _mm512_loadu_ps(f) + _mm512_permutexvar_ps(transposed, sum));
    const __m256 half = _mm512_castps512_ps256(sum) + _mm512_extractf32x8_ps(sum, 1);
    const __m128 all = _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
    _mm256_storeu_pd(s, _mm256_loadu_pd(s) + _mm256_cvtps_pd(all));
}

/* An entry is as wide as a lane of 64 bits. */
static inline int32_t keep(struct gd_cluster_entry *to, const struct gd_cluster_entry *from, int32_t count, uint32_t bits)
{
    const __m512i all = _mm512_maskz_loadu_epi64((__mmask8)((1u << count) - 1), from);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi64((__mmask8)bits, all));
    return __builtin_popcount(bits);
}

#define KEEP(to, from, count, bits) keep((to), (from), (count), (bits))
#define REAL float
#define WIDTH 16
#define AHEAD 1
#define V __m512
#define MASK __mmask16
#define NAME(function) f32_##function
#define SET1(s) _mm512_set1_ps(s)
#define REPEAT(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define SPREAD(p, part) spread_f32(p)
#define ROWS(r, at, part) side_by_side((r)[0] + (at), (r)[1] + (at), (r)[2] + (at), (r)[3] + (at))
#define CHOSEN(bits, part) (__mmask16)(bits)
#define WITHIN(m, v, w) _mm512_mask_cmp_ps_mask((m), (v), (w), _CMP_LE_OQ)
#define ONLY(m, v) _mm512_maskz_mov_ps((m), (v))
#define ANY(m) ((m) != 0)
#define MADD(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define MSUB(a, b, c) _mm512_fmsub_ps((a), (b), (c))
#define MUL_ONLY(m, a, b) _mm512_maskz_mul_ps((m), (a), (b))
#define ROOT_SCALE 2.0
#define ROOT(m, v) double_inverse_root((m), (v))
#define TAKE_OFF(f, x, y, z) take_off_f32((f), (x), (y), (z))
#define HAND_OUT(f, s, x, y, z) hand_out_f32((f), (s), (x)[0], (y)[0], (z)[0])
#include "engine/cluster_kernel_body.h"

#define KEEP(to, from, count, bits) keep((to), (from), (count), (bits))
#define REAL double
#define WIDTH 8
#define AHEAD 1
#define V __m512d
#define MASK __mmask8
#define NAME(function) f64_##function
#define SET1(s) _mm512_set1_pd(s)
#define REPEAT(p) _mm512_broadcast_f64x4(_mm256_loadu_pd(p))
#define SPREAD(p, part) _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_set1_pd((p)[2 * (part)])), _mm256_set1_pd((p)[2 * (part) + 1]), 1)
#define ROWS(r, at, part) \
    _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd((r)[2 * (part)] + (at))), _mm256_loadu_pd((r)[2 * (part) + 1] + (at)), 1)
#define CHOSEN(bits, part) (__mmask8)((bits) >> (8 * (part)))
#define WITHIN(m, v, w) _mm512_mask_cmp_pd_mask((m), (v), (w), _CMP_LE_OQ)
#define ONLY(m, v) _mm512_maskz_mov_pd((m), (v))
#define ANY(m) ((m) != 0)
#define MADD(a, b, c) _mm512_fmadd_pd((a), (b), (c))
#define MSUB(a, b, c) _mm512_fmsub_pd((a), (b), (c))
#define MUL_ONLY(m, a, b) _mm512_maskz_mul_pd((m), (a), (b))
#define ROOT_SCALE 1.0
#define ROOT(m, v) _mm512_maskz_div_pd((m), _mm512_set1_pd(1.0), _mm512_sqrt_pd(v))
#define SUM4(v) (_mm512_castpd512_pd256(v) + _mm512_extractf64x4_pd((v), 1))
#define LOAD4(p) _mm256_loadu_pd(p)
#define STORE4(p, v) _mm256_storeu_pd((p), (v))
#include "engine/cluster_kernel_body.h"

const struct gd_cluster_kernels gd_cluster_kernels_f32_avx512 = {f32_forces, f32_sift, f32_prune, near};
const struct gd_cluster_kernels gd_cluster_kernels_f64_avx512 = {f64_forces, f64_sift, f64_prune, near};
#else
typedef int gd_no_cluster_avx512_here; /* a translation unit may not be empty */
#endif
