/* Wrapping by molecule. One implementation for all variants: the work follows a chain from atom to atom. */
#include <math.h>

#include "core/box.h"
#include "kernels/compute.h"

#define REAL double
#include "kernels/wrap_row.h"
#undef REAL

#define REAL float
#define WRAP_ALL wrap_all_f32
#define WRAP_ONE wrap_one_f32
#include "kernels/molecules_body.h"
#undef REAL
#undef WRAP_ALL
#undef WRAP_ONE

#define REAL double
#define WRAP_ALL wrap_all_f64
#define WRAP_ONE wrap_one_f64
#include "kernels/molecules_body.h"
#undef REAL
#undef WRAP_ALL
#undef WRAP_ONE

int gd_compute_wrap_molecules(const struct gd_kernels *k, struct gd_view x, const int32_t *starts, size_t num_molecules,
                              const struct gd_box *box, struct gd_err *err)
{
    (void)k;
    struct gd_min_image image;
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    failed = gd_compute_check_molecules(starts, num_molecules, x.num_atoms, err);
    if (failed || box->kind == GD_BOX_VACUUM)
        return failed;
    if (x.dtype == GD_FLOAT32)
        wrap_all_f32(x.data, starts, num_molecules, box, &image);
    else
        wrap_all_f64(x.data, starts, num_molecules, box, &image);
    return 0;
}
