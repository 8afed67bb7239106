#include "kernels/kernels.h"

#include "core/cpu.h"
#include "kernels/variants.h"

void gd_kernels_init(struct gd_kernels *table, unsigned cpu_flags)
{
    table->crew = NULL;
    table->threads = 0;
    gd_kernels_scalar_common(table);
    gd_kernels_scalar_f32(&table->f32);
    gd_kernels_scalar_f64(&table->f64);
#if defined(__x86_64__)
    if (!(cpu_flags & GD_CPU_AVX2))
        return;
    gd_kernels_avx2_common(table);
    gd_kernels_avx2_f32(&table->f32);
    gd_kernels_avx2_f64(&table->f64);
    if (!(cpu_flags & GD_CPU_AVX512))
        return;
    gd_kernels_avx512_common(table);
    gd_kernels_avx512_f32(&table->f32);
    gd_kernels_avx512_f64(&table->f64);
#else
    (void)cpu_flags;
#endif
}
