#include <math.h>
#include <string.h>

#include "kernels/compute.h"
#include "kernels/dispatch.h"
#include "kernels/row.h"

int gd_compute_check_finite(const struct gd_kernels *k, enum gd_dtype dtype, const void *values, size_t rows, size_t columns,
                            const char *what, struct gd_err *err)
{
    size_t count = rows * columns;
    size_t bad = GD_CALL(k, dtype, first_not_finite, values, count);
    if (bad == count)
        return 0;
    double value = dtype == GD_FLOAT32 ? (double)((const float *)values)[bad] : ((const double *)values)[bad];
    return gd_err_set(err, GD_E_NOT_FINITE, "%s[%zu, %zu] is %s; all values must be finite", what, bad / columns, bad % columns,
                      isnan(value) ? "not a number" : "infinite");
}

int gd_compute_check_indices(const struct gd_kernels *k, const int32_t *indices, size_t count, size_t limit, const char *what,
                             struct gd_err *err)
{
    size_t bad = k->check_indices(indices, count, limit);
    return bad == count ? 0 : gd_compute_bad_index(bad, indices[bad], limit, what, err);
}

int gd_compute_bad_index(size_t place, int32_t index, size_t limit, const char *what, struct gd_err *err)
{
    if (limit == 0)
        return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s[%zu] is %d, but there are no atoms", what, place, (int)index);
    return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s[%zu] is %d; indices go from 0 to %zu", what, place, (int)index, limit - 1);
}

int gd_compute_check_molecules(const int32_t *starts, size_t num_molecules, size_t num_atoms, struct gd_err *err)
{
    if (starts[0] != 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the first molecule starts at atom %d instead of 0", (int)starts[0]);
    for (size_t m = 0; m < num_molecules; m++)
        if (starts[m + 1] <= starts[m])
            return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                              "molecule %zu starts at atom %d and ends before atom %d; "
                              "starts must rise",
                              m, (int)starts[m], (int)starts[m + 1]);
    if ((size_t)starts[num_molecules] != num_atoms)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "molecules cover %d atoms of %zu", (int)starts[num_molecules], num_atoms);
    return 0;
}

void gd_compute_convert(const struct gd_kernels *k, enum gd_dtype to_dtype, void *to, enum gd_dtype from_dtype, const void *from,
                        size_t count)
{
    if (to_dtype == from_dtype)
        memcpy(to, from, count * (size_t)to_dtype);
    else if (to_dtype == GD_FLOAT64)
        k->f32_to_f64(to, from, count);
    else
        k->f64_to_f32(to, from, count);
}

static int refuse_empty(struct gd_view x, const char *what, struct gd_err *err)
{
    if (x.count > 0)
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s of no atoms: the selection is empty", what);
}

static int refuse_massless(double mass, const char *what, struct gd_err *err)
{
    if (mass > 0.0 && isfinite(mass))
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                      "%s needs a positive total mass, but that of the selected atoms is "
                      "%g u",
                      what, mass);
}

int gd_compute_center_of_geometry(const struct gd_kernels *k, struct gd_view x, double out[3], struct gd_err *err)
{
    int failed = refuse_empty(x, "centre of geometry", err);
    if (failed)
        return failed;
    double sum[3];
    GD_CALL(k, x.dtype, sum, x.data, x.atoms, x.count, sum);
    for (int c = 0; c < 3; c++)
        out[c] = sum[c] / (double)x.count;
    return 0;
}

int gd_compute_center_of_mass(const struct gd_kernels *k, struct gd_view x, const double *masses, double out[3], struct gd_err *err)
{
    int failed = refuse_empty(x, "centre of mass", err);
    if (failed)
        return failed;
    double sum[3];
    double mass = GD_CALL(k, x.dtype, weighted_sum, x.data, masses, x.atoms, x.count, sum);
    failed = refuse_massless(mass, "centre of mass", err);
    if (failed)
        return failed;
    for (int c = 0; c < 3; c++)
        out[c] = sum[c] / mass;
    return 0;
}

int gd_compute_radius_of_gyration(const struct gd_kernels *k, struct gd_view x, const double *masses, double *out, struct gd_err *err)
{
    int failed = refuse_empty(x, "radius of gyration", err);
    if (failed)
        return failed;
    /* One pass about a point of the body: sum m |x - c|^2 = second - |first|^2 / mass. When that point was
     * far off the centre the difference has lost digits, and a second pass about the centre itself is exact.
     */
    double origin[3];
    struct gd_moments m;
    gd_first_row(x, origin);
    GD_CALL(k, x.dtype, moments, x.data, masses, x.atoms, x.count, origin, &m);
    failed = refuse_massless(m.mass, "radius of gyration", err);
    if (failed)
        return failed;
    double about_center = m.second - gd_square(m.first) / m.mass;
    if (!(about_center > 1e-3 * m.second)) {
        for (int c = 0; c < 3; c++)
            origin[c] += m.first[c] / m.mass;
        GD_CALL(k, x.dtype, moments, x.data, masses, x.atoms, x.count, origin, &m);
        about_center = m.second - gd_square(m.first) / m.mass;
    }
    *out = sqrt(fmax(about_center, 0.0) / m.mass);
    return 0;
}

int gd_compute_bounds(const struct gd_kernels *k, struct gd_view x, double min[3], double max[3], struct gd_err *err)
{
    int failed = refuse_empty(x, "bounds", err);
    if (failed)
        return failed;
    GD_CALL(k, x.dtype, bounds, x.data, x.atoms, x.count, min, max);
    return 0;
}

void gd_compute_sum(const struct gd_kernels *k, struct gd_view x, double out[3])
{
    GD_CALL(k, x.dtype, sum, x.data, x.atoms, x.count, out);
}

void gd_compute_norms(const struct gd_kernels *k, struct gd_view x, void *out)
{
    GD_CALL(k, x.dtype, norms, x.data, x.atoms, x.count, out);
}

double gd_compute_kinetic_energy(const struct gd_kernels *k, struct gd_view v, const double *masses)
{
    return 0.5 * GD_CALL(k, v.dtype, weighted_squares, v.data, masses, v.atoms, v.count);
}

void gd_compute_kinetic_tensor(const struct gd_kernels *k, struct gd_view v, const double *masses, double out[3][3])
{
    GD_CALL(k, v.dtype, weighted_tensor, v.data, masses, v.atoms, v.count, out);
    for (int i = 0; i < 9; i++)
        out[i / 3][i % 3] *= 0.5;
}

int gd_compute_temperature(double kinetic_energy, double dof, double boltzmann, double *out, struct gd_err *err)
{
    if (dof == 0.0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "temperature of no degrees of freedom: the selection is empty");
    if (!(dof > 0.0) || !(boltzmann > 0.0))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "a temperature needs a positive number of degrees of freedom, "
                          "not %g, and a positive Boltzmann constant, not %g",
                          dof, boltzmann);
    *out = 2.0 * kinetic_energy / (dof * boltzmann);
    return 0;
}

int gd_compute_remove_com_motion(const struct gd_kernels *k, struct gd_view v, const double *masses, double removed[3], struct gd_err *err)
{
    double velocity[3];
    int failed = gd_compute_center_of_mass(k, v, masses, velocity, err);
    if (failed)
        return failed;
    const double back[3] = {-velocity[0], -velocity[1], -velocity[2]};
    gd_compute_translate(k, v, back);
    if (removed != NULL)
        memcpy(removed, velocity, sizeof velocity);
    return 0;
}
