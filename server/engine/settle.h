/* SETTLE over a range of molecules, for one instruction set. Source: Miyamoto and Kollman 1992; names follow its figures and equations
 * A3 to A17 (the triangle a-b-c, a heavy). The forces that did it follow from the displacements. */
#ifndef GD_ENGINE_SETTLE_H
#define GD_ENGINE_SETTLE_H

#include <stdint.h>

#include "engine/vec3.h"

struct gd_settle {
    double heavy, light; /* masses, u */
    double ra, rb, rc;   /* nm */
    double rate;         /* 1/ps: of a time step */
    size_t begin, end;   /* molecules */
    const gd_vec3 *old_pos;
    gd_vec3 *pos, *force; /* of the first molecule of all on; nm, kJ mol^-1 nm^-1 */
    gd_vec3 *vel;         /* nm/ps, changed by what the sites were moved; NULL: left alone */
    gd_vec3 *virial;      /* [3], added to; NULL: not wanted */
};

/* The number of the first molecule that cannot be placed, or -1. Some before it may have been placed. */
typedef int64_t gd_settle_kernel(const struct gd_settle *settle);
gd_settle_kernel gd_settle_plain, gd_settle_avx2, gd_settle_avx512;

#endif
