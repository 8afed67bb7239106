#if defined(__x86_64__)
#include "kernels/variants.h"
void gd_kernels_avx512_f32(struct gd_kernels_f32 *set)
{
    (void)set;
}
#endif
