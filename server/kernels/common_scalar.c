/* The kernels that do not depend on the precision, for any processor. */
#include "kernels/variants.h"

#include "kernels/common_body.h"

void gd_kernels_scalar_common(struct gd_kernels *table)
{
    set_common(table);
    table->name = "scalar";
}
