/* The kernels that do not depend on the precision, compiled for AVX-512. */
#if defined(__x86_64__)
#include "kernels/variants.h"

#include "kernels/common_body.h"

void gd_kernels_avx512_common(struct gd_kernels *table)
{
    set_common(table);
    table->name = "avx512";
}
#else
typedef int gd_no_avx512_here; /* a translation unit may not be empty */
#endif
