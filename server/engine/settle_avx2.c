/* SETTLE compiled for AVX2; called only where the processor has it. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/settle.h"

static inline void transpose(__m256d *v)
{
    const __m256d a = _mm256_unpacklo_pd(v[0], v[1]), b = _mm256_unpackhi_pd(v[0], v[1]);
    const __m256d c = _mm256_unpacklo_pd(v[2], v[3]), d = _mm256_unpackhi_pd(v[2], v[3]);
    v[0] = _mm256_permute2f128_pd(a, c, 0x20);
    v[1] = _mm256_permute2f128_pd(b, d, 0x20);
    v[2] = _mm256_permute2f128_pd(a, c, 0x31);
    v[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

#define V __m256d
#define WIDTH 4
#define SET1(x) _mm256_set1_pd(x)
#define ROOT(v) _mm256_sqrt_pd(v)
#define TRANSPOSE(v) transpose(v)
#define NAME(function) function##_avx2
#define SETTLE gd_settle_avx2
#include "engine/settle_body.h"
#else
typedef int gd_no_settle_avx2_here; /* a translation unit may not be empty */
#endif
