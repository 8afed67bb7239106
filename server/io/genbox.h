/* The GENBOX block's numbers (lengths, angles, Euler angles) and the box vectors they stand for.
 *
 * In its own frame the cell has a along x and b in the xy plane, y > 0; the Euler angles phi, theta, psi then rotate it
 * into the laboratory by Rz(phi) Ry(theta) Rx(psi). Angles in degrees, lengths in nm. Reentrant.
 * Source: GROMOS manual volume 4 (data structures and formats), block GENBOX; Diebel/Goldstein z-y'-x'' convention. */
#ifndef GD_IO_GENBOX_H
#define GD_IO_GENBOX_H

#include "core/err.h"
#include "proto/gd_types.h"

struct gd_genbox {
    int type;         /* 0 vacuum, 1 rectangular, 2 triclinic, -1 truncated octahedron */
    double length[3]; /* a, b, c */
    double angle[3];  /* alpha (b, c), beta (a, c), gamma (a, b) */
    double euler[3];  /* phi, theta, psi */
    double origin[3];
};

/* GD_E_FILE_FORMAT with a text that names the number at fault. */
int gd_genbox_to_box(const struct gd_genbox *genbox, struct gd_box *out, struct gd_err *err);

/* The inverse; origin is set to zero. The box must be one (gd_box_check). */
void gd_genbox_from_box(const struct gd_box *box, struct gd_genbox *out);

#endif
