/* One row of a view, in double. */
#ifndef GD_KERNELS_ROW_H
#define GD_KERNELS_ROW_H

#include "kernels/compute.h"

static inline void gd_first_row(struct gd_view x, double row[3])
{
    size_t i = x.atoms != NULL ? (size_t)x.atoms[0] : 0;
    for (int c = 0; c < 3; c++)
        row[c] = x.dtype == GD_FLOAT32 ? (double)((const float *)x.data)[3 * i + c] : ((const double *)x.data)[3 * i + c];
}

static inline double gd_square(const double v[3])
{
    return v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
}

#endif
