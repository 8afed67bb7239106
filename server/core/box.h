/* The periodic box as a value: checks, volume, inverse. Units nm. Reentrant. */
#ifndef GD_CORE_BOX_H
#define GD_CORE_BOX_H

#include "core/err.h"
#include "proto/gd_types.h"

/* Refuses unknown kinds, numbers that are not finite, edges <= 0, left-handed or degenerate cells, and a truncated
 * octahedron that is not cut from a cube. */
int gd_box_check(const struct gd_box *box, struct gd_err *err);

/* nm^3; 0 for vacuum. */
double gd_box_volume(const struct gd_box *box);

/* Inverse of the 3x3 matrix whose rows are a, b, c; all zero for vacuum. */
void gd_box_inverse(const struct gd_box *box, double inverse[3][3]);

/* Half the smallest distance between opposite faces (a truncated octahedron has hexagonal faces too): the largest
 * cutoff for which one minimum image is enough, nm; HUGE_VAL for vacuum. */
double gd_box_half_width(const struct gd_box *box);

#endif
