#include "kernels/min_image.h"

#include <math.h>
#include <string.h>

#include "core/box.h"

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* The nearest integer, ties to even: adding 1.5 * 2^52 leaves no bits for a fraction. A library call on processors without
 * an instruction for it would take longer than all the rest. */
static inline double nearest_integer(double x)
{
    const double shift = 0x1.8p52;
    return fabs(x) < 0x1p50 ? (x + shift) - shift : rint(x);
}

/* Makes row i as short as subtracting whole multiples of one other row allows. Returns whether it became shorter. */
static int shorten_by_one(double rows[3][3], int i, int j)
{
    double n = rint(dot(rows[i], rows[j]) / dot(rows[j], rows[j]));
    if (n == 0.0)
        return 0;
    double shorter[3];
    for (int c = 0; c < 3; c++)
        shorter[c] = rows[i][c] - n * rows[j][c];
    if (!(dot(shorter, shorter) < dot(rows[i], rows[i]) * (1.0 - 1e-12)))
        return 0;
    memcpy(rows[i], shorter, sizeof shorter);
    return 1;
}

/* The same with plus or minus each of the two other rows at once. */
static int shorten_by_two(double rows[3][3], int i)
{
    const double *a = rows[(i + 1) % 3];
    const double *b = rows[(i + 2) % 3];
    for (int signs = 0; signs < 4; signs++) {
        double p = signs & 1 ? 1.0 : -1.0;
        double q = signs & 2 ? 1.0 : -1.0;
        double shorter[3];
        for (int c = 0; c < 3; c++)
            shorter[c] = rows[i][c] + p * a[c] + q * b[c];
        if (dot(shorter, shorter) < dot(rows[i], rows[i]) * (1.0 - 1e-12)) {
            memcpy(rows[i], shorter, sizeof shorter);
            return 1;
        }
    }
    return 0;
}

/* A basis in which no vector can be shortened by the others is Minkowski-reduced in three dimensions. Each step shortens a
 * vector of a discrete lattice, so the loop ends; the limit only guards against rounding. */
static void reduce(double rows[3][3])
{
    for (int step = 0; step < 10000; step++) {
        int changed = 0;
        for (int i = 0; i < 3; i++) {
            changed |= shorten_by_one(rows, i, (i + 1) % 3);
            changed |= shorten_by_one(rows, i, (i + 2) % 3);
            changed |= shorten_by_two(rows, i);
        }
        if (!changed)
            return;
    }
}

/* When every reduced vector lies on its own axis, the cell is a rectangular one in disguise. */
static int diagonal(double rows[3][3])
{
    double edge[3] = {0.0, 0.0, 0.0};
    for (int i = 0; i < 3; i++) {
        int axis = -1;
        for (int c = 0; c < 3; c++) {
            if (rows[i][c] == 0.0)
                continue;
            if (axis >= 0)
                return 0;
            axis = c;
        }
        if (axis < 0 || edge[axis] != 0.0)
            return 0;
        edge[axis] = fabs(rows[i][axis]);
    }
    memset(rows, 0, 9 * sizeof(double));
    for (int i = 0; i < 3; i++)
        rows[i][i] = edge[i];
    return 1;
}

static void find_inverse_and_heights(struct gd_min_image *image)
{
    struct gd_box cell = {.kind = GD_BOX_TRICLINIC};
    memcpy(cell.vectors, image->lattice, sizeof cell.vectors);
    gd_box_inverse(&cell, image->inverse);
    for (int i = 0; i < 3; i++) {
        double column[3] = {image->inverse[0][i], image->inverse[1][i], image->inverse[2][i]};
        image->height[i] = 1.0 / sqrt(dot(column, column));
    }
}

/* Which lattice vectors can be nearer to a point of the reduced cell (fractional -1/2 .. 1/2) than the origin is, and how
 * short is the shortest. v and -v are one candidate; the sign comes from the point. */
static void find_candidates(struct gd_min_image *image)
{
    double shortest = HUGE_VAL;
    image->num_candidates = 0;
    for (int n = 63; n < 125; n++) { /* the half after (0, 0, 0) */
        const int k[3] = {n / 25 - 2, n / 5 % 5 - 2, n % 5 - 2};
        double v[3];
        for (int c = 0; c < 3; c++)
            v[c] = k[0] * image->lattice[0][c] + k[1] * image->lattice[1][c] + k[2] * image->lattice[2][c];
        double square = dot(v, v);
        double reach = 0.0;
        for (int i = 0; i < 3; i++)
            reach += fabs(dot(image->lattice[i], v));
        shortest = fmin(shortest, square);
        if (reach > square * (1.0 + 1e-12)) {
            memcpy(image->candidate[image->num_candidates], v, sizeof v);
            image->candidate_square[image->num_candidates++] = square;
        }
    }
    image->half_width = 0.5 * sqrt(shortest);
}

int gd_min_image_init(struct gd_min_image *image, const struct gd_box *box, struct gd_err *err)
{
    int failed = gd_box_check(box, err);
    if (failed)
        return failed;
    memset(image, 0, sizeof *image);
    image->kind = box->kind;
    image->half_width = HUGE_VAL;
    if (box->kind == GD_BOX_VACUUM)
        return 0;
    memcpy(image->lattice, box->vectors, sizeof image->lattice);
    if (box->kind == GD_BOX_TRUNCATED_OCTAHEDRON) {
        double h = 0.5 * box->vectors[0][0];
        const double primitive[3][3] = {{-h, h, h}, {h, -h, h}, {h, h, -h}};
        memcpy(image->lattice, primitive, sizeof primitive);
    } else if (box->kind == GD_BOX_TRICLINIC) {
        reduce(image->lattice);
        if (diagonal(image->lattice))
            image->kind = GD_BOX_RECTANGULAR;
    }
    for (int i = 0; i < 3; i++) {
        image->edge[i] = image->kind == GD_BOX_RECTANGULAR ? image->lattice[i][i] : box->vectors[i][i];
        image->inverse_edge[i] = image->edge[i] != 0.0 ? 1.0 / image->edge[i] : 0.0;
    }
    find_inverse_and_heights(image);
    find_candidates(image);
    return 0;
}

static void apply_triclinic(const struct gd_min_image *image, double r[3])
{
    double n[3];
    for (int i = 0; i < 3; i++)
        n[i] = nearest_integer(r[0] * image->inverse[0][i] + r[1] * image->inverse[1][i] + r[2] * image->inverse[2][i]);
    for (int c = 0; c < 3; c++)
        r[c] -= n[0] * image->lattice[0][c] + n[1] * image->lattice[1][c] + n[2] * image->lattice[2][c];
    double gain = 0.0; /* |r|^2 - |r - v|^2 of the best v so far */
    double shift[3] = {0.0, 0.0, 0.0};
    for (int k = 0; k < image->num_candidates; k++) {
        double along = dot(r, image->candidate[k]);
        double g = 2.0 * fabs(along) - image->candidate_square[k];
        if (g > gain) {
            gain = g;
            for (int c = 0; c < 3; c++)
                shift[c] = along < 0.0 ? -image->candidate[k][c] : image->candidate[k][c];
        }
    }
    for (int c = 0; c < 3; c++)
        r[c] -= shift[c];
}

void gd_min_image_apply(const struct gd_min_image *image, double r[3])
{
    if (image->kind == GD_BOX_VACUUM)
        return;
    if (image->kind == GD_BOX_TRICLINIC) {
        apply_triclinic(image, r);
        return;
    }
    for (int c = 0; c < 3; c++)
        r[c] -= image->edge[c] * nearest_integer(r[c] * image->inverse_edge[c]);
    if (image->kind == GD_BOX_TRUNCATED_OCTAHEDRON && fabs(r[0]) + fabs(r[1]) + fabs(r[2]) > 0.75 * image->edge[0])
        for (int c = 0; c < 3; c++)
            r[c] -= copysign(0.5 * image->edge[c], r[c]);
}
