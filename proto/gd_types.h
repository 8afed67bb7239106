/* Value types that are shared by the daemon, the shared segments and the Python extension. Fixed-width fields only. */
#ifndef GD_PROTO_TYPES_H
#define GD_PROTO_TYPES_H

#include <stdint.h>

enum gd_box_kind {
    GD_BOX_VACUUM = 0,
    GD_BOX_RECTANGULAR = 1,
    GD_BOX_TRICLINIC = 2,
    GD_BOX_TRUNCATED_OCTAHEDRON = 3, /* cut from the cube of edge vectors[0][0] */
};

/* Periodic box. Rows are the edge vectors a, b, c in nm, right-handed. Vacuum: all zero. Rectangular: diagonal.
 * Truncated octahedron: diagonal with three equal edges, those of the cube it is cut from (volume a^3 / 2). */
struct gd_box {
    int32_t kind; /* enum gd_box_kind */
    int32_t reserved;
    double vectors[3][3];
};
_Static_assert(sizeof(struct gd_box) == 80, "gd_box is part of the shared-memory layout");

enum gd_dtype {
    GD_FLOAT32 = 4, /* the value is the element size */
    GD_FLOAT64 = 8,
};

#endif
