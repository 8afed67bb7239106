/* Superposition: known rotations come back, degenerate shapes do not break it, small deviations are not lost. */
#include "kernels_data.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A proper rotation from three angles. */
static void rotation_of(double a, double b, double c, double r[3][3])
{
    double ca = cos(a), sa = sin(a), cb = cos(b), sb = sin(b), cc = cos(c), sc = sin(c);
    const double m[3][3] = {{ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc},
                            {sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc},
                            {-sb, cb * sc, cb * cc}};
    memcpy(r, m, sizeof m);
}

static double determinant(const double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

static void turn(const double *x, size_t n, const double r[3][3], const double shift[3], double *out)
{
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = r[c][0] * x[3 * i] + r[c][1] * x[3 * i + 1] + r[c][2] * x[3 * i + 2] + shift[c];
}

Test(kernels_fit, a_rotation_comes_back)
{
    FOR_EACH_VARIANT(k)
    for (int angle = 0; angle < 25; angle++) {
        double x[3 * 50], y[3 * 50], r[3][3];
        const double shift[3] = {3, -40, 0.5};
        uint64_t state = 17;
        for (int i = 0; i < 150; i++)
            x[i] = 4.0 * next_uniform(&state);
        rotation_of(0.26 * angle, 0.13 * angle - 1.0, 3.14159265358979 * (angle % 2), r);
        turn(x, 50, (const double(*)[3])r, shift, y);
        struct gd_fit fit;
        struct gd_view vx = gd_view_all(GD_FLOAT64, x, 50), vy = gd_view_all(GD_FLOAT64, y, 50);
        cr_assert_eq(gd_compute_fit(k, vx, vy, NULL, &fit, NULL), 0);
        cr_assert(fit.rmsd < 2e-14, "%s: %g", k->name, fit.rmsd); /* coordinates of 40 nm round by 7e-15 */
        for (int i = 0; i < 9; i++)
            cr_assert_float_eq(fit.rotation[i / 3][i % 3], r[i / 3][i % 3], 1e-14);
        gd_compute_apply_fit(k, vx, &fit);
        double left;
        cr_assert_eq(gd_compute_rmsd(k, vx, vy, NULL, &left, NULL), 0);
        cr_assert(left < 5e-14, "%s: %g", k->name, left);
    }
}

Test(kernels_fit, weights_and_selections)
{
    /* Only the heavy rows of the selection fit exactly; the others are noise without weight. */
    FOR_EACH_VARIANT(k)
    {
        enum { N = 60 };
        double x[3 * N], z[3 * N], weights[N], r[3][3];
        int32_t atoms_x[N], atoms_z[N];
        const double shift[3] = {1, 2, 3};
        uint64_t state = 23;
        for (int i = 0; i < 3 * N; i++)
            x[i] = next_uniform(&state);
        rotation_of(1, 2, 3, r);
        turn(x, N, (const double(*)[3])r, shift, z);
        double y[3 * N];
        for (int i = 0; i < N; i++) { /* y is z in reverse order */
            memcpy(y + 3 * i, z + 3 * (N - 1 - i), 24);
            atoms_x[i] = i;
            atoms_z[i] = N - 1 - i;
            weights[i] = i % 3 == 0 ? 0.0 : 1.0 + i;
        }
        for (int i = 0; i < N; i += 3)
            y[3 * (N - 1 - i)] += 5.0;
        struct gd_fit fit;
        struct gd_view vx = gd_view_of(GD_FLOAT64, x, N, atoms_x, N), vy = gd_view_of(GD_FLOAT64, y, N, atoms_z, N);
        cr_assert_eq(gd_compute_fit(k, vx, vy, weights, &fit, NULL), 0);
        cr_assert(fit.rmsd < 1e-14, "%s: %g", k->name, fit.rmsd);
        cr_assert_eq(gd_compute_fit(k, vx, vy, NULL, &fit, NULL), 0);
        cr_assert(fit.rmsd > 1.0);
    }
}

Test(kernels_fit, a_mirror_image_is_not_a_rotation)
{
    FOR_EACH_VARIANT(k)
    {
        const double x[12] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
        double y[12];
        for (int i = 0; i < 12; i++)
            y[i] = -x[i];
        struct gd_fit fit;
        cr_assert_eq(gd_compute_fit(k, gd_view_all(GD_FLOAT64, x, 4), gd_view_all(GD_FLOAT64, y, 4), NULL, &fit, NULL), 0);
        cr_assert_float_eq(determinant((const double(*)[3])fit.rotation), 1.0, 1e-14);
        /* Centred covariance of the corner is (I - J/4) = diag eigenvalues 1, 1, 1/4; the best proper rotation of its
         * negative gains 1 + 1 - 1/4, so that the residual is 2 (9/4) - 2 (7/4) = 1, over 4 atoms. */
        cr_assert_float_eq(fit.rmsd, 0.5, 1e-14, "%s: %.17g", k->name, fit.rmsd);
    }
}

Test(kernels_fit, one_atom_and_lines)
{
    FOR_EACH_VARIANT(k)
    {
        const double a[3] = {1, 2, 3}, b[3] = {-4, 0, 9};
        const double line[9] = {0, 0, 0, 1, 0, 0, 2, 0, 0}, up[9] = {5, 5, 0, 5, 5, 1, 5, 5, 2};
        struct gd_fit fit;
        cr_assert_eq(gd_compute_fit(k, gd_view_all(GD_FLOAT64, a, 1), gd_view_all(GD_FLOAT64, b, 1), NULL, &fit, NULL), 0);
        cr_assert_eq(fit.rmsd, 0.0);
        cr_assert_float_eq(determinant((const double(*)[3])fit.rotation), 1.0, 1e-14);
        cr_assert_eq(gd_compute_fit(k, gd_view_all(GD_FLOAT64, line, 3), gd_view_all(GD_FLOAT64, up, 3), NULL, &fit, NULL), 0);
        cr_assert(fit.rmsd < 1e-14);
        cr_assert_float_eq(determinant((const double(*)[3])fit.rotation), 1.0, 1e-14);
        cr_assert_float_eq(fit.rotation[2][0], 1.0, 1e-14, "x goes to z");
    }
}

Test(kernels_fit, small_deviations_are_not_lost)
{
    /* A body of 1 nm, 1000 nm from the origin, deviating by 1e-9 nm: the eigenvalue alone would give 1e-8 or nothing. */
    FOR_EACH_VARIANT(k)
    {
        enum { N = 40 };
        double x[3 * N], y[3 * N];
        uint64_t state = 31;
        for (int i = 0; i < 3 * N; i++) {
            x[i] = 1000.0 + next_uniform(&state);
            y[i] = x[i] + (i % 6 < 3 ? 1e-9 : -1e-9);
        }
        struct gd_fit fit;
        cr_assert_eq(gd_compute_fit(k, gd_view_all(GD_FLOAT64, x, N), gd_view_all(GD_FLOAT64, y, N), NULL, &fit, NULL), 0);
        cr_assert(fit.rmsd > 1.5e-9 && fit.rmsd < 1.8e-9, "%s: %g", k->name, fit.rmsd); /* sqrt(3) e-9, less a turn */
    }
}

Test(kernels_fit, float_arrays_are_summed_in_double)
{
    /* 100,000 atoms: a Kabsch fit in float32 throughout is off by percents; here by no more than rounding of input. */
    enum { N = 100000 };
    float *x = malloc(3 * N * sizeof *x), *y = malloc(3 * N * sizeof *y);
    double *dx = malloc(3 * N * sizeof *dx), *dy = malloc(3 * N * sizeof *dy);
    uint64_t state = 37;
    for (int i = 0; i < 3 * N; i++) {
        x[i] = (float)(10.0 * next_uniform(&state) + 50.0);
        y[i] = (float)((double)x[i] + 0.02 * next_uniform(&state));
        dx[i] = (double)x[i];
        dy[i] = (double)y[i];
    }
    FOR_EACH_VARIANT(k)
    {
        struct gd_fit single, reference;
        gd_compute_fit(k, gd_view_all(GD_FLOAT32, x, N), gd_view_all(GD_FLOAT32, y, N), NULL, &single, NULL);
        gd_compute_fit(k, gd_view_all(GD_FLOAT64, dx, N), gd_view_all(GD_FLOAT64, dy, N), NULL, &reference, NULL);
        cr_assert_float_eq(single.rmsd, reference.rmsd, 1e-13, "%s: %.17g %.17g", k->name, single.rmsd, reference.rmsd);
        /* uniform noise of 0.02 in three components: sqrt(3 * 0.02^2 / 12), 0.3 % for the sampling */
        cr_assert_float_eq(single.rmsd, 0.01, 3e-5);
    }
    free(x), free(y), free(dx), free(dy);
}

Test(kernels_fit, what_is_refused)
{
    FOR_EACH_VARIANT(k)
    {
        const double x[6] = {0, 0, 0, 1, 1, 1}, weightless[2] = {0, 0};
        const float f[6] = {0};
        struct gd_fit fit = {.rmsd = 7};
        struct gd_err err = {0};
        double rmsd = 7;
        struct gd_view two = gd_view_all(GD_FLOAT64, x, 2), one = gd_view_all(GD_FLOAT64, x, 1);
        cr_assert_eq(gd_compute_fit(k, two, one, NULL, &fit, &err), GD_E_INVALID_SHAPE);
        cr_assert(strstr(err.text, "2 atoms") && strstr(err.text, "1 of"), "%s", err.text);
        cr_assert_eq(gd_compute_fit(k, two, gd_view_all(GD_FLOAT32, f, 2), NULL, &fit, &err), GD_E_INVALID_DTYPE);
        cr_assert_eq(gd_compute_fit(k, two, two, weightless, &fit, &err), GD_E_INVALID_ARGUMENT);
        cr_assert_eq(gd_compute_rmsd(k, two, one, NULL, &rmsd, &err), GD_E_INVALID_SHAPE);
        cr_assert_eq(gd_compute_rmsd(k, two, two, weightless, &rmsd, &err), GD_E_INVALID_ARGUMENT);
        struct gd_view none = gd_view_all(GD_FLOAT64, x, 0);
        cr_assert_eq(gd_compute_fit(k, none, none, NULL, &fit, &err), GD_E_INVALID_ARGUMENT);
        cr_assert(fit.rmsd == 7 && rmsd == 7);
    }
}

Test(kernels_fit, rmsd_without_fitting)
{
    FOR_EACH_VARIANT(k)
    {
        const float x[6] = {0, 0, 0, 1, 1, 1}, y[6] = {3, 4, 0, 1, 1, 1};
        const double weights[2] = {3, 1};
        double rmsd;
        cr_assert_eq(gd_compute_rmsd(k, gd_view_all(GD_FLOAT32, x, 2), gd_view_all(GD_FLOAT32, y, 2), NULL, &rmsd, NULL), 0);
        cr_assert_float_eq(rmsd, sqrt(12.5), 1e-15);
        cr_assert_eq(gd_compute_rmsd(k, gd_view_all(GD_FLOAT32, x, 2), gd_view_all(GD_FLOAT32, y, 2), weights, &rmsd, NULL), 0);
        cr_assert_float_eq(rmsd, sqrt(75.0 / 4.0), 1e-15);
    }
}
