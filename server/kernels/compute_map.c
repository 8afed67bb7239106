#include <math.h>

#include "kernels/compute.h"
#include "kernels/dispatch.h"
#include "kernels/random.h"

void gd_compute_translate(const struct gd_kernels *k, struct gd_view x, const double shift[3])
{
    GD_CALL(k, x.dtype, translate, x.data, x.atoms, x.count, shift);
}

void gd_compute_rotate(const struct gd_kernels *k, struct gd_view x, const double m[3][3], const double about[3])
{
    GD_CALL(k, x.dtype, rotate, x.data, x.atoms, x.count, m, about);
}

void gd_compute_scale(const struct gd_kernels *k, struct gd_view x, const double factor[3], const double about[3])
{
    GD_CALL(k, x.dtype, scale, x.data, x.atoms, x.count, factor, about);
}

int gd_compute_wrap(const struct gd_kernels *k, struct gd_view x, const struct gd_box *box, struct gd_err *err)
{
    struct gd_min_image image;
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    GD_CALL(k, x.dtype, wrap, x.data, x.atoms, x.count, box, &image);
    return 0;
}

int gd_compute_maxwell_velocities(const struct gd_kernels *k, struct gd_view v, const double *masses, double temperature, double boltzmann,
                                  uint64_t seed, struct gd_err *err)
{
    (void)k; /* the same for all variants: the numbers may not depend on the processor */
    if (!(temperature >= 0.0) || !isfinite(temperature) || !(boltzmann > 0.0))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "velocities need a temperature of 0 K or more, not %g, and a "
                          "positive Boltzmann constant, not %g",
                          temperature, boltzmann);
    for (size_t n = 0; n < v.count; n++) {
        size_t i = v.atoms != NULL ? (size_t)v.atoms[n] : n;
        double normal[3];
        double width = masses[i] > 0.0 ? sqrt(boltzmann * temperature / masses[i]) : 0.0;
        gd_random_normal3(seed, i, normal);
        for (int c = 0; c < 3; c++) {
            if (v.dtype == GD_FLOAT32)
                ((float *)v.data)[3 * i + c] = (float)(width * normal[c]);
            else
                ((double *)v.data)[3 * i + c] = width * normal[c];
        }
    }
    return 0;
}
