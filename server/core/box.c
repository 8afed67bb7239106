#include "core/box.h"

#include <math.h>
#include <string.h>

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static double determinant(const struct gd_box *box)
{
    double bc[3];
    cross(box->vectors[1], box->vectors[2], bc);
    return dot(box->vectors[0], bc);
}

int gd_box_check(const struct gd_box *box, struct gd_err *err)
{
    if (box->kind < GD_BOX_VACUUM || box->kind > GD_BOX_TRUNCATED_OCTAHEDRON)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "box kind %d is none of 0 (vacuum), 1 (rectangular), "
                          "2 (triclinic), 3 (truncated octahedron)",
                          (int)box->kind);
    if (box->kind == GD_BOX_VACUUM)
        return 0;
    double longest = 0.0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double x = box->vectors[i][j];
            if (!isfinite(x))
                return gd_err_set(err, GD_E_NOT_FINITE, "box vector %c has a component that is not finite", "abc"[i]);
            if (i != j && box->kind != GD_BOX_TRICLINIC && x != 0.0)
                return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                                  "box vector %c is not along its axis; such a box is "
                                  "triclinic",
                                  "abc"[i]);
        }
        double length = box->kind == GD_BOX_TRICLINIC ? sqrt(dot(box->vectors[i], box->vectors[i])) : box->vectors[i][i];
        if (length < 0.0)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "box edge %c is %g nm; it must be above 0", "abc"[i], length);
        if (!(length > 0.0))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "box edge %c has no length; a box without edges is vacuum", "abc"[i]);
        longest = fmax(longest, length);
    }
    if (!(determinant(box) > 1e-9 * longest * longest * longest))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "box vectors are left-handed or lie in one plane "
                          "(determinant %g nm^3); a, b, c must be right-handed",
                          determinant(box));
    if (box->kind == GD_BOX_TRUNCATED_OCTAHEDRON) {
        double a = box->vectors[0][0];
        if (fabs(box->vectors[1][1] - a) > 1e-6 * a || fabs(box->vectors[2][2] - a) > 1e-6 * a)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                              "a truncated octahedron needs three equal edges, not %g, %g, "
                              "%g nm",
                              a, box->vectors[1][1], box->vectors[2][2]);
    }
    return 0;
}

double gd_box_volume(const struct gd_box *box)
{
    if (box->kind == GD_BOX_VACUUM)
        return 0.0;
    double volume = determinant(box);
    return box->kind == GD_BOX_TRUNCATED_OCTAHEDRON ? 0.5 * volume : volume;
}

void gd_box_inverse(const struct gd_box *box, double inverse[3][3])
{
    memset(inverse, 0, 9 * sizeof(double));
    if (box->kind == GD_BOX_VACUUM)
        return;
    double d = 1.0 / determinant(box);
    for (int i = 0; i < 3; i++) {
        double column[3];
        cross(box->vectors[(i + 1) % 3], box->vectors[(i + 2) % 3], column);
        for (int j = 0; j < 3; j++)
            inverse[j][i] = column[j] * d;
    }
}

double gd_box_half_width(const struct gd_box *box)
{
    if (box->kind == GD_BOX_VACUUM)
        return HUGE_VAL;
    if (box->kind == GD_BOX_TRUNCATED_OCTAHEDRON) /* hexagonal faces are sqrt(3)/2 a apart */
        return 0.25 * sqrt(3.0) * box->vectors[0][0];
    double smallest = HUGE_VAL;
    double volume = determinant(box);
    for (int i = 0; i < 3; i++) {
        double face[3];
        cross(box->vectors[(i + 1) % 3], box->vectors[(i + 2) % 3], face);
        smallest = fmin(smallest, volume / sqrt(dot(face, face)));
    }
    return 0.5 * smallest;
}
