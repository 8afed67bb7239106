/* Nearest images. A component of a rectangular box is only moved when it reaches half the edge, by a rounded multiple of it.
 * A triclinic cell is reduced along c, then b, then a, in the frame where a lies along x and b in the xy plane: the result is
 * in a brick that holds every vector shorter than half the cell's width. A truncated octahedron is the lattice of its eight
 * half diagonals, a triclinic cell too: a = (1, 1, 1), b = (-1, 1, 1), c = (-1, -1, 1) times half the cube's edge.
 * Source: GROMOS manual volume 2, chapter on boundary conditions; Bekker 1997. Reentrant. */
#ifndef GD_ENGINE_PERIODICITY_H
#define GD_ENGINE_PERIODICITY_H

#include "engine/vec3.h"
#include "proto/gd_types.h"

struct gd_periodicity {
    int kind;                /* enum gd_box_kind */
    double length[3];        /* |a|, |b|, |c| */
    double half[3];          /* half of them */
    double edge[3][3];       /* rows a, b, c of the lattice */
    double reciprocal[3][3]; /* rows a*, b*, c*: a* . a = 1, a* . b = 0 ... */
    double axis[3][3];       /* rows x, y, z of the cell's frame */
    double count[3][3];      /* axis divided by how far the edge reaches along it */
};

static inline void gd_periodicity_set_frame(struct gd_periodicity *p)
{
    double along = gd_vec3_norm(p->edge[0]);
    for (int d = 0; d < 3; d++)
        p->axis[0][d] = p->edge[0][d] / along;
    double part = gd_vec3_dot(p->edge[1], p->axis[0]), rest[3];
    for (int d = 0; d < 3; d++)
        rest[d] = p->edge[1][d] - part * p->axis[0][d];
    double across = gd_vec3_norm(rest);
    for (int d = 0; d < 3; d++)
        p->axis[1][d] = rest[d] / across;
    gd_vec3_cross(p->axis[0], p->axis[1], p->axis[2]);
    for (int e = 0; e < 3; e++) {
        double reach = gd_vec3_dot(p->edge[e], p->axis[e]);
        for (int d = 0; d < 3; d++)
            p->count[e][d] = p->axis[e][d] / reach;
    }
}

static inline void gd_periodicity_set(struct gd_periodicity *p, const struct gd_box *box)
{
    static const double diagonal[3][3] = {{0.5, 0.5, 0.5}, {-0.5, 0.5, 0.5}, {-0.5, -0.5, 0.5}};
    memset(p, 0, sizeof *p);
    p->kind = box->kind;
    for (int e = 0; e < 3; e++) {
        for (int d = 0; d < 3; d++)
            p->edge[e][d] = box->kind == GD_BOX_TRUNCATED_OCTAHEDRON ? diagonal[e][d] * box->vectors[0][0] : box->vectors[e][d];
        p->length[e] = gd_vec3_norm(p->edge[e]);
        p->half[e] = 0.5 * p->length[e];
    }
    if (box->kind == GD_BOX_VACUUM)
        return;
    double inverse[3][3];
    gd_mat3_inverse((const double(*)[3])p->edge, inverse);
    for (int e = 0; e < 3; e++)
        for (int d = 0; d < 3; d++)
            p->reciprocal[e][d] = inverse[d][e];
    gd_periodicity_set_frame(p);
}

/* r = a - b, moved to its nearest image. `kind` is a constant where the caller is specialised for a box. */
static inline __attribute__((always_inline)) void gd_nearest_image_of(const struct gd_periodicity *p, int kind, const double a[3],
                                                                      const double b[3], double r[3])
{
    r[0] = a[0] - b[0];
    r[1] = a[1] - b[1];
    r[2] = a[2] - b[2];
    if (kind == GD_BOX_VACUUM)
        return;
    if (kind == GD_BOX_RECTANGULAR) {
        for (int d = 0; d < 3; d++)
            if (fabs(r[d]) >= p->half[d])
                r[d] -= p->length[d] * rint(r[d] / p->length[d]);
        return;
    }
    for (int e = 2; e >= 0; e--) {
        double boxes = gd_vec3_dot(p->count[e], r);
        if (fabs(boxes) >= 0.5)
            gd_vec3_add_scaled(r, -rint(boxes), p->edge[e]);
    }
}

static inline void gd_nearest_image(const struct gd_periodicity *p, const double a[3], const double b[3], double r[3])
{
    switch (p->kind) {
    case GD_BOX_VACUUM:
        gd_nearest_image_of(p, GD_BOX_VACUUM, a, b, r);
        return;
    case GD_BOX_RECTANGULAR:
        gd_nearest_image_of(p, GD_BOX_RECTANGULAR, a, b, r);
        return;
    default:
        gd_nearest_image_of(p, GD_BOX_TRICLINIC, a, b, r);
        return;
    }
}

#endif
