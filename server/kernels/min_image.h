/* The minimum image of a vector in a periodic box, prepared once per box.
 *
 * The image is the true one: the shortest of all r + n1 a + n2 b + n3 c, for strongly skewed triclinic cells as well.
 * Rectangular: component-wise rounding. Truncated octahedron: the body-centred lattice, exact by one corner test.
 * Triclinic: the lattice is reduced (Minkowski), r is rounded into the reduced cell, and then compared with every lattice
 * vector that can still shorten it; which ones can is found here, once: v can only if sum_i |a_i . v| > v . v.
 *
 * Units nm. Reentrant. */
#ifndef GD_KERNELS_MIN_IMAGE_H
#define GD_KERNELS_MIN_IMAGE_H

#include "core/err.h"
#include "proto/gd_types.h"

#define GD_MIN_IMAGE_CANDIDATES 62 /* half of the 124 vectors with coefficients -2..2; the other half are their negatives */

struct gd_min_image {
    int kind;       /* enum gd_box_kind; a triclinic cell whose reduced lattice is diagonal becomes rectangular */
    double edge[3]; /* rectangular, truncated octahedron: cube edges */
    double inverse_edge[3];
    double lattice[3][3]; /* rows: reduced lattice vectors (primitive ones for the truncated octahedron); vacuum: zero */
    double inverse[3][3]; /* of lattice: fractional = r . inverse */
    double height[3];     /* distance between opposite faces of the reduced cell */
    double half_width;    /* half the shortest lattice vector: a pair has at most one image closer; HUGE_VAL in vacuum */
    int num_candidates;
    double candidate[GD_MIN_IMAGE_CANDIDATES][3];
    double candidate_square[GD_MIN_IMAGE_CANDIDATES];
};

/* Checks the box (gd_box_check) and prepares. GD_E_INVALID_ARGUMENT, GD_E_NOT_FINITE. */
int gd_min_image_init(struct gd_min_image *image, const struct gd_box *box, struct gd_err *err);

/* Replaces r by its minimum image. The scalar double reference. */
void gd_min_image_apply(const struct gd_min_image *image, double r[3]);

#endif
