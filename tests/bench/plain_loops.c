/* See plain_loops.h. Compiled on its own with -O3 -march=native -fno-math-errno, without value-changing options. */
#include "plain_loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void plain_triad(double *a, const double *b, const double *c, double s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = b[i] + s * c[i];
}

#define REAL float
#define NAME(function) function##_f32
#define SQRT sqrtf
#define FLOOR floorf
#define RINT rintf
#include "plain_body.h"
#undef REAL
#undef NAME
#undef SQRT
#undef FLOOR
#undef RINT

#define REAL double
#define NAME(function) function##_f64
#define SQRT sqrt
#define FLOOR floor
#define RINT rint
#include "plain_body.h"
