#include <float.h>

#include "check.h"

#define REAL double
#define EPS ((double)DBL_EPSILON)
#define MIN_NORMAL ((double)DBL_MIN)
#define SET f64
#define SET_TYPE struct gd_kernels_f64
#define DTYPE GD_FLOAT64
#define CHECK check_variant_f64
#include "check_body.h"
