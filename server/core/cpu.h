/* What the processor can do, as far as the kernel table cares, and how a user masks it.
 *
 * A flag is set only when the instruction set, all its companions the kernels use, and the operating system's saving of
 * the registers are there. On processors other than x86-64 no flag is ever set. Reentrant. */
#ifndef GD_CORE_CPU_H
#define GD_CORE_CPU_H

#include "core/err.h"

enum gd_cpu_flag {
    GD_CPU_AVX2 = 1u << 0,   /* AVX2 and FMA */
    GD_CPU_AVX512 = 1u << 1, /* AVX-512 F, DQ, BW and VL; implies GD_CPU_AVX2 */
};

/* The flags of this processor. */
unsigned gd_cpu_detect(void);

/* Turns the value of the option `cpu` (or of GROMOSD_CPU) into a mask for gd_cpu_detect(): "auto" (everything),
 * "scalar" (nothing), "avx2", "avx512" (up to and including). GD_E_INVALID_ARGUMENT for anything else; NULL or an empty
 * text is "auto". */
int gd_cpu_parse_mask(const char *text, unsigned *mask, struct gd_err *err);

/* The flags of this processor that the environment's GROMOSD_CPU leaves. */
int gd_cpu_allowed(unsigned *flags, struct gd_err *err);

/* "scalar", "avx2" or "avx512": the name of the best variant in flags, as gd_cpu_parse_mask() reads it. */
const char *gd_cpu_name(unsigned flags);

#endif
