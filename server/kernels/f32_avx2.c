/* The kernels for float arrays, with AVX2 and FMA. Compiled for that instruction set; called only where the processor has it. */
#if defined(__x86_64__)
#define SIMD_F32 1
#include "kernels/simd_avx2.h"

#include "kernels/body_set.h"

void gd_kernels_avx2_f32(struct gd_kernels_f32 *set)
{
    override(set);
}
#else
typedef int gd_no_avx2_f32_here; /* a translation unit may not be empty */
#endif
