#include <float.h>

#include "check.h"

#define REAL float
#define EPS ((double)FLT_EPSILON)
#define MIN_NORMAL ((double)FLT_MIN)
#define SET f32
#define SET_TYPE struct gd_kernels_f32
#define DTYPE GD_FLOAT32
#define CHECK check_variant_f32
#include "check_body.h"
