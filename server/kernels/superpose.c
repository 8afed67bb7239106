/* Optimal superposition by Horn's quaternion method. */
#include <math.h>
#include <string.h>

#include "kernels/compute.h"
#include "kernels/dispatch.h"
#include "kernels/row.h"

static int check_pair(struct gd_view x, struct gd_view y, const char *what, struct gd_err *err)
{
    if (x.dtype != y.dtype)
        return gd_err_set(err, GD_E_INVALID_DTYPE,
                          "%s: the structure is float%d, the reference float%d; they must be "
                          "the same",
                          what, 8 * (int)x.dtype, 8 * (int)y.dtype);
    if (x.count != y.count)
        return gd_err_set(err, GD_E_INVALID_SHAPE,
                          "%s: %zu atoms of the structure against %zu of the reference; there "
                          "must be as many",
                          what, x.count, y.count);
    if (x.count == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s of no atoms: the selection is empty", what);
    return 0;
}

static int check_mass(double mass, const char *what, struct gd_err *err)
{
    if (mass > 0.0 && isfinite(mass))
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s needs weights with a positive sum, not %g", what, mass);
}

/* Moves the sums to the centres of x and y: afterwards first_x and first_y are zero in effect. Returns how
 * small the second moments have become relative to before: a tiny value means digits were lost. */
static double center_sums(struct gd_correlation *s)
{
    double before = s->second_x + s->second_y;
    s->second_x -= gd_square(s->first_x) / s->mass;
    s->second_y -= gd_square(s->first_y) / s->mass;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            s->cross[i][j] -= s->first_x[i] * s->first_y[j] / s->mass;
    return before > 0.0 ? fmin(s->second_x, s->second_y) / before : 1.0;
}

/* Sums about the weighted centres; the centres go to the fit. One pass over the data where that loses no
 * digits. */
static int correlate_centered(const struct gd_kernels *k, struct gd_view x, struct gd_view y, const double *weights,
                              struct gd_correlation *s, struct gd_fit *fit, struct gd_err *err)
{
    double *cx = fit->center_x;
    double *cy = fit->center_y;
    gd_first_row(x, cx);
    gd_first_row(y, cy);
    for (int pass = 0; pass < 2; pass++) {
        GD_CALL2(k, x.dtype, correlate, x.data, y.data, weights, x.atoms, y.atoms, x.count, cx, cy, s);
        int failed = check_mass(s->mass, "superposition", err);
        if (failed)
            return failed;
        for (int c = 0; c < 3; c++) {
            cx[c] += s->first_x[c] / s->mass;
            cy[c] += s->first_y[c] / s->mass;
        }
        if (center_sums(s) > 1e-3)
            return 0;
    }
    return 0;
}

/* One Jacobi rotation that makes a[p][q] zero; v collects the eigenvectors as columns. Symmetric a. */
static void jacobi_rotate(double a[4][4], double v[4][4], int p, int q)
{
    if (a[p][q] == 0.0)
        return;
    double theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    double t = copysign(1.0, theta) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0);
    double s = t * c;
    for (int i = 0; i < 4; i++) {
        double aip = a[i][p], aiq = a[i][q];
        a[i][p] = c * aip - s * aiq;
        a[i][q] = s * aip + c * aiq;
    }
    for (int i = 0; i < 4; i++) {
        double api = a[p][i], aqi = a[q][i];
        a[p][i] = c * api - s * aqi;
        a[q][i] = s * api + c * aqi;
        double vip = v[i][p], viq = v[i][q];
        v[i][p] = c * vip - s * viq;
        v[i][q] = s * vip + c * viq;
    }
    a[p][q] = a[q][p] = 0.0;
}

/* The largest eigenvalue of a symmetric 4x4 matrix and its unit eigenvector. Jacobi: slow and always right.
 */
static double largest_eigenvector(double a[4][4], double q[4])
{
    double v[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0.0, diagonal = 0.0;
        for (int i = 0; i < 4; i++) {
            diagonal += fabs(a[i][i]);
            for (int j = i + 1; j < 4; j++)
                off += fabs(a[i][j]);
        }
        if (off <= 1e-17 * diagonal)
            break;
        for (int i = 0; i < 4; i++)
            for (int j = i + 1; j < 4; j++)
                jacobi_rotate(a, v, i, j);
    }
    int best = 0;
    for (int i = 1; i < 4; i++)
        if (a[i][i] > a[best][best])
            best = i;
    for (int i = 0; i < 4; i++)
        q[i] = v[i][best];
    return a[best][best];
}

/* Horn's matrix of the correlation S_ij = sum w x_i y_j: its largest eigenvalue is the greatest sum of w (R
 * x) . y, its eigenvector the quaternion of that rotation. */
static double best_rotation(const double s[3][3], double r[3][3])
{
    double n[4][4] = {
        {s[0][0] + s[1][1] + s[2][2], s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]},
        {0.0, s[0][0] - s[1][1] - s[2][2], s[0][1] + s[1][0], s[2][0] + s[0][2]},
        {0.0, 0.0, -s[0][0] + s[1][1] - s[2][2], s[1][2] + s[2][1]},
        {0.0, 0.0, 0.0, -s[0][0] - s[1][1] + s[2][2]},
    };
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            n[i][j] = n[j][i];
    double q[4];
    double value = largest_eigenvector(n, q);
    double w = q[0], x = q[1], y = q[2], z = q[3];
    const double rotation[3][3] = {
        {w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)},
        {2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)},
        {2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z},
    };
    memcpy(r, rotation, sizeof rotation);
    return value;
}

int gd_compute_fit(const struct gd_kernels *k, struct gd_view x, struct gd_view y, const double *weights, struct gd_fit *out,
                   struct gd_err *err)
{
    struct gd_correlation s;
    struct gd_fit fit;
    int failed = check_pair(x, y, "superposition", err);
    if (!failed)
        failed = correlate_centered(k, x, y, weights, &s, &fit, err);
    if (failed)
        return failed;
    double whole = s.second_x + s.second_y;
    double left = whole - 2.0 * best_rotation((const double(*)[3])s.cross, fit.rotation);
    if (left < 1e-6 * whole) /* the difference of nearly equal numbers: take the deviations themselves */
        left = GD_CALL2(k, x.dtype, residual, x.data, y.data, weights, x.atoms, y.atoms, x.count, (const double(*)[3])fit.rotation,
                        fit.center_x, fit.center_y);
    if (!isfinite(left))
        return gd_err_set(err, GD_E_NOT_FINITE, "superposition: the squares of the coordinates overflow");
    fit.rmsd = sqrt(fmax(left, 0.0) / s.mass);
    *out = fit;
    return 0;
}

int gd_compute_rmsd(const struct gd_kernels *k, struct gd_view x, struct gd_view y, const double *weights, double *out, struct gd_err *err)
{
    static const double identity[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    static const double origin[3] = {0, 0, 0};
    int failed = check_pair(x, y, "RMSD", err);
    if (failed)
        return failed;
    double sum[3];
    double mass = (double)x.count;
    if (weights != NULL)
        mass = GD_CALL(k, x.dtype, weighted_sum, x.data, weights, x.atoms, x.count, sum);
    failed = check_mass(mass, "RMSD", err);
    if (failed)
        return failed;
    double left = GD_CALL2(k, x.dtype, residual, x.data, y.data, weights, x.atoms, y.atoms, x.count, identity, origin, origin);
    *out = sqrt(left / mass);
    return 0;
}

void gd_compute_apply_fit(const struct gd_kernels *k, struct gd_view x, const struct gd_fit *fit)
{
    /* R (x - cx) + cy = (cx + R (x - cx)) + (cy - cx): two maps that exist. */
    const double shift[3] = {fit->center_y[0] - fit->center_x[0], fit->center_y[1] - fit->center_x[1], fit->center_y[2] - fit->center_x[2]};
    gd_compute_rotate(k, x, (const double(*)[3])fit->rotation, fit->center_x);
    gd_compute_translate(k, x, shift);
}
