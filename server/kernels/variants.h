/* What the variant files provide to kernels.c. Each overrides the entries it has something better for. */
#ifndef GD_KERNELS_VARIANTS_H
#define GD_KERNELS_VARIANTS_H

#include "kernels/kernels.h"

void gd_kernels_scalar_f32(struct gd_kernels_f32 *set);
void gd_kernels_scalar_f64(struct gd_kernels_f64 *set);
void gd_kernels_scalar_common(struct gd_kernels *table);

#if defined(__x86_64__)
void gd_kernels_avx2_f32(struct gd_kernels_f32 *set);
void gd_kernels_avx2_f64(struct gd_kernels_f64 *set);
void gd_kernels_avx2_common(struct gd_kernels *table);

void gd_kernels_avx512_f32(struct gd_kernels_f32 *set);
void gd_kernels_avx512_f64(struct gd_kernels_f64 *set);
void gd_kernels_avx512_common(struct gd_kernels *table);
#endif

#endif
