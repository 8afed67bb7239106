/* Reductions against closed forms and long double sums, for every variant; and what is refused. */
#include "kernels_data.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1000 };

static float xf[3 * N];
static double xd[3 * N], mass[N];
static int32_t half[N / 2];

static void setup(void)
{
    uint64_t state = 7;
    for (int i = 0; i < 3 * N; i++) {
        xf[i] = (float)(20.0 * next_uniform(&state) - 5.0);
        xd[i] = (double)xf[i];
    }
    for (int i = 0; i < N; i++)
        mass[i] = 1.0 + 15.0 * next_uniform(&state);
    for (int i = 0; i < N / 2; i++)
        half[i] = N - 1 - 2 * i;
}

TestSuite(kernels_reduce, .init = setup);

static struct gd_view view(enum gd_dtype dtype, const int32_t *atoms, size_t count)
{
    return gd_view_of(dtype, dtype == GD_FLOAT32 ? (void *)xf : (void *)xd, N, atoms, count);
}

/* Sums in long double over the rows of a view: mass, centre and mass-weighted square distance to it. */
static void reference(const int32_t *atoms, size_t count, long double center[3], long double *gyration)
{
    long double total = 0, square = 0;
    center[0] = center[1] = center[2] = 0;
    for (size_t k = 0; k < count; k++) {
        size_t i = atoms ? (size_t)atoms[k] : k;
        total += mass[i];
        for (int c = 0; c < 3; c++)
            center[c] += (long double)mass[i] * xd[3 * i + c];
    }
    for (int c = 0; c < 3; c++)
        center[c] /= total;
    for (size_t k = 0; k < count; k++) {
        size_t i = atoms ? (size_t)atoms[k] : k;
        for (int c = 0; c < 3; c++) {
            long double d = xd[3 * i + c] - center[c];
            square += mass[i] * d * d;
        }
    }
    *gyration = sqrtl(square / total);
}

Test(kernels_reduce, center_and_gyration)
{
    FOR_EACH_VARIANT(k)
    for (int mode = 0; mode < 4; mode++) {
        struct gd_view v = view(mode & 1 ? GD_FLOAT32 : GD_FLOAT64, mode & 2 ? half : NULL, N / 2);
        long double expected[3], gyration;
        double center[3], rg;
        reference(v.atoms, v.count, expected, &gyration);
        cr_assert_eq(gd_compute_center_of_mass(k, v, mass, center, NULL), 0);
        cr_assert_eq(gd_compute_radius_of_gyration(k, v, mass, &rg, NULL), 0);
        for (int c = 0; c < 3; c++) /* 1000 additions in double, of numbers up to 15 * 16 */
            cr_assert_float_eq(center[c], (double)expected[c], 1e-13, "%s", k->name);
        cr_assert_float_eq(rg, (double)gyration, 1e-13, "%s", k->name);
    }
}

Test(kernels_reduce, gyration_far_from_the_first_atom)
{
    /* One pass about the first atom alone would lose all 16 digits of this. */
    FOR_EACH_VARIANT(k)
    {
        double x[3 * 5] = {1e9, 0, 0, 0, 0, 1, 0, 0, -1, 0, 1, 0, 0, -1, 0};
        const double w[5] = {1e-30, 1, 1, 1, 1};
        double rg;
        cr_assert_eq(gd_compute_radius_of_gyration(k, gd_view_all(GD_FLOAT64, x, 5), w, &rg, NULL), 0);
        cr_assert_float_eq(rg, 1.0, 1e-10, "%s: %.17g", k->name, rg);
    }
}

Test(kernels_reduce, geometry_sum_bounds_norms)
{
    FOR_EACH_VARIANT(k)
    {
        const float x[9] = {1, 2, 2, -3, 4, 0, 5, -6, 7.5f};
        const int32_t twice[4] = {0, 2, 2, 0};
        double out[3], low[3], high[3];
        float length[4];
        struct gd_view all = gd_view_all(GD_FLOAT32, x, 3), some = gd_view_of(GD_FLOAT32, x, 3, twice, 4);
        cr_assert_eq(gd_compute_center_of_geometry(k, all, out, NULL), 0);
        cr_assert(out[0] == 1.0 && out[1] == 0.0 && fabs(out[2] - 9.5 / 3) < 1e-15);
        gd_compute_sum(k, some, out);
        cr_assert(out[0] == 12.0 && out[1] == -8.0 && out[2] == 19.0, "a row listed twice counts twice");
        cr_assert_eq(gd_compute_bounds(k, all, low, high, NULL), 0);
        cr_assert(low[0] == -3 && low[1] == -6 && low[2] == 0 && high[0] == 5 && high[1] == 4 && high[2] == 7.5);
        gd_compute_norms(k, all, length);
        cr_assert(length[0] == 3.0f && length[1] == 5.0f);
        gd_compute_norms(k, gd_view_of(GD_FLOAT32, x, 3, twice, 4), length);
        cr_assert(length[0] == 3.0f && length[3] == 3.0f && length[1] == length[2]);
    }
}

Test(kernels_reduce, kinetic_energy_tensor_and_temperature)
{
    FOR_EACH_VARIANT(k)
    {
        const double v[6] = {1, 2, 3, -1, 0.5, 0};
        const double m[2] = {2, 4};
        double tensor[3][3], kelvin;
        struct gd_view view_v = gd_view_all(GD_FLOAT64, v, 2);
        double energy = gd_compute_kinetic_energy(k, view_v, m);
        cr_assert_float_eq(energy, 14.0 + 2.5, 1e-14);
        gd_compute_kinetic_tensor(k, view_v, m, tensor);
        const double expected[3][3] = {{3, 1, 3}, {1, 4.5, 6}, {3, 6, 9}};
        for (int i = 0; i < 9; i++)
            cr_assert_float_eq(tensor[i / 3][i % 3], expected[i / 3][i % 3], 1e-14, "%s", k->name);
        cr_assert_eq(gd_compute_temperature(energy, 3.0, GD_BOLTZMANN, &kelvin, NULL), 0);
        cr_assert_float_eq(kelvin, 11.0 / GD_BOLTZMANN, 1e-9);
    }
}

Test(kernels_reduce, boltzmann_constant)
{
    /* R of the SI of 2019: 1.380649e-23 J/K times 6.02214076e23 /mol, exactly. */
    cr_assert_float_eq(GD_BOLTZMANN, 1.380649e-23 * 6.02214076e23 * 1e-3, 1e-17);
}

Test(kernels_reduce, float_sums_do_not_drift)
{
    /* A million times 0.1f: a float sum would be 100958.34 or so. */
    size_t n = 1000000;
    float *x = malloc(3 * n * sizeof *x);
    for (size_t i = 0; i < 3 * n; i++)
        x[i] = 0.1f;
    FOR_EACH_VARIANT(k)
    {
        double out[3];
        gd_compute_sum(k, gd_view_all(GD_FLOAT32, x, n), out);
        cr_assert_float_eq(out[0], (double)0.1f * (double)n, 1e-6, "%s", k->name);
    }
    free(x);
}

Test(kernels_reduce, the_same_every_time)
{
    FOR_EACH_VARIANT(k)
    {
        double a[3], b[3];
        gd_compute_center_of_mass(k, view(GD_FLOAT32, NULL, 0), mass, a, NULL);
        /* the same rows at an address that no vector likes */
        float *moved = malloc(sizeof xf + 4);
        memcpy(moved + 1, xf, sizeof xf);
        gd_compute_center_of_mass(k, gd_view_all(GD_FLOAT32, moved + 1, N), mass, b, NULL);
        cr_assert_eq(memcmp(a, b, sizeof a), 0, "%s", k->name);
        free(moved);
    }
}

Test(kernels_reduce, what_is_refused)
{
    FOR_EACH_VARIANT(k)
    {
        struct gd_err err = {0};
        double out[3] = {7, 7, 7}, more[3];
        const double no_mass[N] = {0};
        struct gd_view nothing = view(GD_FLOAT32, half, 0);
        cr_assert_eq(gd_compute_center_of_geometry(k, nothing, out, &err), GD_E_INVALID_ARGUMENT);
        cr_assert_eq(gd_compute_center_of_mass(k, nothing, mass, out, &err), GD_E_INVALID_ARGUMENT);
        cr_assert_eq(gd_compute_radius_of_gyration(k, nothing, mass, out, &err), GD_E_INVALID_ARGUMENT);
        cr_assert_eq(gd_compute_bounds(k, nothing, out, more, &err), GD_E_INVALID_ARGUMENT);
        cr_assert(strstr(err.text, "empty"), "%s", err.text);
        cr_assert_eq(gd_compute_center_of_mass(k, view(GD_FLOAT32, NULL, 0), no_mass, out, &err), GD_E_INVALID_ARGUMENT);
        cr_assert(strstr(err.text, "mass"), "%s", err.text);
        cr_assert_eq(gd_compute_temperature(1.0, 0.0, GD_BOLTZMANN, out, &err), GD_E_INVALID_ARGUMENT);
        cr_assert(out[0] == 7 && out[1] == 7 && out[2] == 7, "an output changed on failure");
    }
}

Test(kernels_reduce, checks_name_the_place)
{
    FOR_EACH_VARIANT(k)
    {
        struct gd_err err = {0};
        float bad[6] = {0, 1, 2, 3, NAN, 5};
        const int32_t indices[3] = {0, 5, 2}, negative[2] = {1, -1};
        cr_assert_eq(gd_compute_check_finite(k, GD_FLOAT32, bad, 2, 3, "positions", &err), GD_E_NOT_FINITE);
        cr_assert(strstr(err.text, "positions[1, 1]") && strstr(err.text, "not a number"), "%s", err.text);
        bad[4] = -INFINITY;
        cr_assert_eq(gd_compute_check_finite(k, GD_FLOAT32, bad, 2, 3, "positions", &err), GD_E_NOT_FINITE);
        cr_assert(strstr(err.text, "infinite"), "%s", err.text);
        bad[4] = 3.4e38f;
        cr_assert_eq(gd_compute_check_finite(k, GD_FLOAT32, bad, 2, 3, "positions", &err), 0);
        cr_assert_eq(gd_compute_check_indices(k, indices, 3, 6, "atoms", &err), 0);
        cr_assert_eq(gd_compute_check_indices(k, indices, 3, 5, "atoms", &err), GD_E_INDEX_OUT_OF_RANGE);
        cr_assert(strstr(err.text, "atoms[1] is 5") && strstr(err.text, "0 to 4"), "%s", err.text);
        cr_assert_eq(gd_compute_check_indices(k, negative, 2, SIZE_MAX, "atoms", &err), GD_E_INDEX_OUT_OF_RANGE);
        cr_assert_eq(gd_compute_check_indices(k, negative, 1, 0, "atoms", &err), GD_E_INDEX_OUT_OF_RANGE);
    }
}
