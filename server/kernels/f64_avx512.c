/* The kernels for double arrays, with AVX-512. Compiled for that instruction set; called only where the processor has it. */
#if defined(__x86_64__)
#define SIMD_F32 0
#include "kernels/simd_avx512.h"

#include "kernels/body_set.h"

void gd_kernels_avx512_f64(struct gd_kernels_f64 *set)
{
    override(set);
}
#else
typedef int gd_no_avx512_f64_here; /* a translation unit may not be empty */
#endif
