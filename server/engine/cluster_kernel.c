/* The kernels over cluster pairs for any processor, with the vectors of four that gcc and clang offer everywhere. */
#include "engine/cluster_pairs.h"

typedef float four_f32 __attribute__((vector_size(16)));
typedef int32_t mask_f32 __attribute__((vector_size(16)));
typedef double four_f64 __attribute__((vector_size(32)));
typedef int64_t mask_f64 __attribute__((vector_size(32)));

#define NAME(function) plain_##function
#include "engine/cluster_near_body.h"
#undef NAME

#define REAL float
#define INTEGER int32_t
#define V four_f32
#define MASK mask_f32
#define NAME(function) f32_##function
#define ROOT(m, v) ONLY(m, ((V){1.0f / sqrtf((v)[0]), 1.0f / sqrtf((v)[1]), 1.0f / sqrtf((v)[2]), 1.0f / sqrtf((v)[3])}))
#include "engine/cluster_kernel_plain.h"

#define REAL double
#define INTEGER int64_t
#define V four_f64
#define MASK mask_f64
#define NAME(function) f64_##function
#define ROOT(m, v) ONLY(m, ((V){1.0 / sqrt((v)[0]), 1.0 / sqrt((v)[1]), 1.0 / sqrt((v)[2]), 1.0 / sqrt((v)[3])}))
#include "engine/cluster_kernel_plain.h"

const struct gd_cluster_kernels gd_cluster_kernels_f32 = {f32_forces, f32_prune, plain_near};
const struct gd_cluster_kernels gd_cluster_kernels_f64 = {f64_forces, f64_prune, plain_near};
