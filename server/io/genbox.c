/* See genbox.h. */
#include "io/genbox.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/box.h"

#define DEGREE (3.14159265358979323846264338327950288L / 180.0L)
#define RIGHT_ANGLE_SLACK 1e-6 /* files print nine decimals; older ones fewer */

/* Exact where the mathematical value is, so that a right angle gives a box vector with a true zero. */
static long double cos_degrees(double angle)
{
    if (fabs(angle) == 90.0)
        return 0.0L;
    if (angle == 60.0)
        return 0.5L;
    if (angle == 120.0)
        return -0.5L;
    return cosl((long double)angle * DEGREE);
}

static long double sin_degrees(double angle)
{
    return angle == 0.0 ? 0.0L : sinl((long double)angle * DEGREE);
}

static int check_lengths(const struct gd_genbox *g, struct gd_err *err)
{
    static const char *const edge[3] = {"a", "b", "c"};
    for (int k = 0; k < 3; k++)
        if (!(g->length[k] > 0.0))
            return gd_err_set(err, GD_E_FILE_FORMAT, "box length %s is %g; expected more than 0 nm for box type %d", edge[k], g->length[k],
                              g->type);
    return 0;
}

static int check_right_angles(const struct gd_genbox *g, struct gd_err *err)
{
    static const char *const name[3] = {"alpha", "beta", "gamma"};
    for (int k = 0; k < 3; k++)
        if (fabs(g->angle[k] - 90.0) > RIGHT_ANGLE_SLACK)
            return gd_err_set(err, GD_E_FILE_FORMAT, "box angle %s is %g; box type %d has right angles (type 2 is triclinic)", name[k],
                              g->angle[k], g->type);
    for (int k = 0; k < 3; k++)
        if (g->euler[k] != 0.0)
            return gd_err_set(err, GD_E_FILE_FORMAT,
                              "box type %d with an Euler angle of %g degrees; only a triclinic box "
                              "(type 2) may be rotated",
                              g->type, g->euler[k]);
    return 0;
}

/* out = Rz(phi) Ry(theta) Rx(psi) v */
static void rotate(const double euler[3], const long double v[3], double out[3])
{
    long double cf = cos_degrees(euler[0]), sf = sin_degrees(euler[0]);
    long double ct = cos_degrees(euler[1]), st = sin_degrees(euler[1]);
    long double cp = cos_degrees(euler[2]), sp = sin_degrees(euler[2]);
    long double x = v[0], y = cp * v[1] - sp * v[2], z = sp * v[1] + cp * v[2];
    long double x2 = ct * x + st * z, z2 = -st * x + ct * z;
    out[0] = (double)(cf * x2 - sf * y);
    out[1] = (double)(sf * x2 + cf * y);
    out[2] = (double)z2;
}

static int triclinic(const struct gd_genbox *g, struct gd_box *out, struct gd_err *err)
{
    for (int k = 0; k < 3; k++)
        if (!(g->angle[k] > 0.0 && g->angle[k] < 180.0))
            return gd_err_set(err, GD_E_FILE_FORMAT, "a box angle is %g; expected one between 0 and 180 degrees", g->angle[k]);
    long double ca = cos_degrees(g->angle[0]), cb = cos_degrees(g->angle[1]), cg = cos_degrees(g->angle[2]);
    long double sb = sin_degrees(g->angle[1]), sg = sin_degrees(g->angle[2]);
    long double cos_delta = (ca - cb * cg) / (sb * sg);
    if (!(cos_delta * cos_delta < 1.0L))
        return gd_err_set(err, GD_E_FILE_FORMAT, "box angles %g %g %g do not span a volume", g->angle[0], g->angle[1], g->angle[2]);
    long double sin_delta = sqrtl(1.0L - cos_delta * cos_delta);
    long double own[3][3] = {
        {g->length[0], 0.0L, 0.0L},
        {g->length[1] * cg, g->length[1] * sg, 0.0L},
        {g->length[2] * cb, g->length[2] * cos_delta * sb, g->length[2] * sin_delta * sb},
    };
    for (int k = 0; k < 3; k++)
        rotate(g->euler, own[k], out->vectors[k]);
    return 0;
}

int gd_genbox_to_box(const struct gd_genbox *g, struct gd_box *out, struct gd_err *err)
{
    struct gd_box box;
    int rc = 0;
    memset(&box, 0, sizeof box);
    switch (g->type) {
    case 0:
        box.kind = GD_BOX_VACUUM;
        *out = box;
        return 0;
    case 1:
        box.kind = GD_BOX_RECTANGULAR;
        break;
    case 2:
        box.kind = GD_BOX_TRICLINIC;
        break;
    case -1:
        box.kind = GD_BOX_TRUNCATED_OCTAHEDRON;
        break;
    default:
        return gd_err_set(err, GD_E_FILE_FORMAT,
                          "box type is %d; expected 0 (vacuum), 1 (rectangular), 2 (triclinic) or -1 "
                          "(truncated octahedron)",
                          g->type);
    }
    rc = check_lengths(g, err);
    if (rc == 0)
        rc = g->type == 2 ? triclinic(g, &box, err) : check_right_angles(g, err);
    if (rc != 0)
        return rc;
    if (g->type != 2)
        for (int k = 0; k < 3; k++)
            box.vectors[k][k] = g->length[k];
    rc = gd_box_check(&box, err);
    if (rc != 0) {
        if (err != NULL)
            err->code = GD_E_FILE_FORMAT;
        return GD_E_FILE_FORMAT;
    }
    *out = box;
    return 0;
}

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static double angle_between(const double *a, const double *b)
{
    double d = dot(a, b);
    if (d == 0.0)
        return 90.0;
    double c[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    return (double)(atan2l(sqrtl(dot(c, c)), d) / DEGREE);
}

/* Angles below what the format shows are round-off of the two conversions. */
static double clean(double angle)
{
    return fabs(angle) < 5e-10 ? 0.0 : angle;
}

static void euler_of(const struct gd_box *box, double euler[3])
{
    const double *a = box->vectors[0], *b = box->vectors[1];
    double la = sqrt(dot(a, a));
    double x[3] = {a[0] / la, a[1] / la, a[2] / la};
    double z[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    double lz = sqrt(dot(z, z));
    for (int k = 0; k < 3; k++)
        z[k] /= lz;
    double y[3] = {z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]};
    bool upright = fabs(x[2]) > 1.0 - 1e-14; /* a along z: phi and psi turn about the same axis, phi is set to 0 */
    euler[0] = upright ? 0.0 : clean((double)(atan2l(x[1], x[0]) / DEGREE));
    euler[1] = clean((double)(atan2l(-x[2], sqrtl((long double)x[0] * x[0] + (long double)x[1] * x[1])) / DEGREE));
    euler[2] = clean((double)((upright ? atan2l(x[2] < 0 ? y[0] : -y[0], y[1]) : atan2l(y[2], z[2])) / DEGREE));
}

void gd_genbox_from_box(const struct gd_box *box, struct gd_genbox *out)
{
    memset(out, 0, sizeof *out);
    if (box->kind == GD_BOX_VACUUM)
        return;
    out->type = box->kind == GD_BOX_TRICLINIC ? 2 : box->kind == GD_BOX_TRUNCATED_OCTAHEDRON ? -1 : 1;
    for (int k = 0; k < 3; k++) {
        const double *v = box->vectors[k];
        out->length[k] = box->kind == GD_BOX_TRICLINIC ? sqrt(dot(v, v)) : v[k];
        out->angle[k] = box->kind == GD_BOX_TRICLINIC ? angle_between(box->vectors[(k + 1) % 3], box->vectors[(k + 2) % 3]) : 90.0;
    }
    if (box->kind == GD_BOX_TRICLINIC)
        euler_of(box, out->euler);
}
