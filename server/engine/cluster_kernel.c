/* The kernels over cluster pairs for any processor, with the vectors of four that gcc and clang offer everywhere. */
#include "engine/cluster_pairs.h"

typedef float four_f32 __attribute__((vector_size(16)));
typedef int32_t mask_f32 __attribute__((vector_size(16)));
typedef double four_f64 __attribute__((vector_size(32)));
typedef int64_t mask_f64 __attribute__((vector_size(32)));

/* The loop over a block is one that compilers turn into vectors. */
static int32_t near(const struct gd_cluster_boxes *boxes, const float low[3], const float high[3], float radius2,
                    const struct gd_cluster_run *run, size_t runs, int32_t *out)
{
    int32_t found = 0;
    for (size_t r = 0; r < runs; r++)
        for (int32_t first = run[r].from, to = run[r].to; first < to; first += GD_CLUSTER_BLOCK) {
            int32_t hit[GD_CLUSTER_BLOCK], left = to - first < GD_CLUSTER_BLOCK ? to - first : GD_CLUSTER_BLOCK;
            for (int k = 0; k < GD_CLUSTER_BLOCK; k++) {
                float sum = 0.0f;
                for (int d = 0; d < 3; d++) {
                    float below = boxes->low[d][first + k] - high[d], above = low[d] - boxes->high[d][first + k];
                    float gap = below > above ? below : above;
                    gap = gap > 0.0f ? gap : 0.0f;
                    sum += gap * gap;
                }
                hit[k] = sum <= radius2;
            }
            for (int32_t k = 0; k < left; k++) {
                out[found] = first + k;
                found += hit[k];
            }
        }
    return found;
}

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

const struct gd_cluster_kernels gd_cluster_kernels_f32 = {f32_forces, f32_sift, f32_prune, near};
const struct gd_cluster_kernels gd_cluster_kernels_f64 = {f64_forces, f64_sift, f64_prune, near};
