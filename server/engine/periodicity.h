/* Nearest images. The rules are those of GROMOS: a component is only moved when it reaches half the box, by a rounded
 * multiple of the edge; a triclinic box is reduced edge by edge with the reciprocal vectors; a truncated octahedron is the
 * cube with its corners folded over the hexagonal faces.
 * Source: GROMOS manual volume 2, chapter on boundary conditions; Bekker 1997 for the shapes. Reentrant. */
#ifndef GD_ENGINE_PERIODICITY_H
#define GD_ENGINE_PERIODICITY_H

#include "engine/vec3.h"
#include "proto/gd_types.h"

struct gd_periodicity {
    int kind;             /* enum gd_box_kind */
    double length[3];     /* |a|, |b|, |c| */
    double half[3];       /* half of them */
    double edge[3][3];    /* rows a, b, c */
    double reciprocal[3][3]; /* rows a*, b*, c*: a* . a = 1, a* . b = 0 ... */
};

static inline void gd_periodicity_set(struct gd_periodicity *p, const struct gd_box *box)
{
    p->kind = box->kind;
    memset(p->reciprocal, 0, sizeof p->reciprocal);
    for (int d = 0; d < 3; d++) {
        gd_vec3_copy(p->edge[d], box->vectors[d]);
        p->length[d] = gd_vec3_norm(box->vectors[d]);
        p->half[d] = 0.5 * p->length[d];
    }
    if (box->kind == GD_BOX_VACUUM)
        return;
    double inverse[3][3];
    gd_mat3_inverse(box->vectors, inverse);
    for (int d = 0; d < 3; d++)
        for (int k = 0; k < 3; k++)
            p->reciprocal[d][k] = inverse[k][d];
}

/* r = a - b, moved to its nearest image. `kind` is a constant where the caller is specialised for a box. */
static inline __attribute__((always_inline)) void gd_nearest_image_of(const struct gd_periodicity *p, int kind,
                                                                      const double a[3], const double b[3], double r[3])
{
    r[0] = a[0] - b[0];
    r[1] = a[1] - b[1];
    r[2] = a[2] - b[2];
    if (kind == GD_BOX_VACUUM)
        return;
    if (kind == GD_BOX_TRICLINIC) {
        for (int d = 0; d < 3; d++)
            if (fabs(r[d]) >= p->half[d])
                gd_vec3_add_scaled(r, -rint(gd_vec3_dot(p->reciprocal[d], r)), p->edge[d]);
        return;
    }
    for (int d = 0; d < 3; d++)
        if (fabs(r[d]) >= p->half[d])
            r[d] -= p->length[d] * rint(r[d] / p->length[d]);
    if (kind == GD_BOX_TRUNCATED_OCTAHEDRON && fabs(r[0]) + fabs(r[1]) + fabs(r[2]) > 0.75 * p->length[0])
        for (int d = 0; d < 3; d++)
            r[d] += r[d] < 0.0 ? p->half[0] : -p->half[0];
}

static inline void gd_nearest_image(const struct gd_periodicity *p, const double a[3], const double b[3], double r[3])
{
    switch (p->kind) {
    case GD_BOX_VACUUM: gd_nearest_image_of(p, GD_BOX_VACUUM, a, b, r); return;
    case GD_BOX_RECTANGULAR: gd_nearest_image_of(p, GD_BOX_RECTANGULAR, a, b, r); return;
    case GD_BOX_TRICLINIC: gd_nearest_image_of(p, GD_BOX_TRICLINIC, a, b, r); return;
    default: gd_nearest_image_of(p, GD_BOX_TRUNCATED_OCTAHEDRON, a, b, r); return;
    }
}

#endif
