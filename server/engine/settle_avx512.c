/* SETTLE compiled for AVX-512; called only where the processor has it. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/settle.h"

/* By pairs of rows, then of pairs, then of fours. */
static inline void transpose(__m512d *v)
{
    __m512d pair[8], four[8];
    for (int k = 0; k < 8; k += 2) {
        pair[k] = _mm512_unpacklo_pd(v[k], v[k + 1]);
        pair[k + 1] = _mm512_unpackhi_pd(v[k], v[k + 1]);
    }
    for (int k = 0; k < 8; k += 4)
        for (int odd = 0; odd < 2; odd++) {
            four[k + odd] = _mm512_shuffle_f64x2(pair[k + odd], pair[k + 2 + odd], 0x88);     /* columns 0 and 4, or 1 and 5 */
            four[k + 2 + odd] = _mm512_shuffle_f64x2(pair[k + odd], pair[k + 2 + odd], 0xdd); /* 2 and 6, or 3 and 7 */
        }
    for (int k = 0; k < 4; k++) {
        v[k] = _mm512_shuffle_f64x2(four[k], four[k + 4], 0x88);
        v[k + 4] = _mm512_shuffle_f64x2(four[k], four[k + 4], 0xdd);
    }
}

#define V __m512d
#define WIDTH 8
#define SET1(x) _mm512_set1_pd(x)
#define ROOT(v) _mm512_sqrt_pd(v)
#define TRANSPOSE(v) transpose(v)
#define NAME(function) function##_avx512
#define SETTLE gd_settle_avx512
#include "engine/settle_body.h"
#else
typedef int gd_no_settle_avx512_here; /* a translation unit may not be empty */
#endif
