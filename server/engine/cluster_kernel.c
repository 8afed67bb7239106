/* The kernels over cluster pairs for any processor, with the vectors of four that gcc and clang offer everywhere. */
#include "engine/cluster_pairs.h"

typedef float four_f32 __attribute__((vector_size(16)));
typedef int32_t mask_f32 __attribute__((vector_size(16)));
typedef double four_f64 __attribute__((vector_size(32)));
typedef int64_t mask_f64 __attribute__((vector_size(32)));

#define SET1(s) (V){(s), (s), (s), (s)}
#define REPEAT(p) LOAD4(p)
#define SPREAD(p, part) SET1((p)[part])
#define ROWS(r, at, part) LOAD4((r)[part] + (at))
#define CHOSEN(bits, part) ((BITS & (NONE + (INTEGER)((bits) >> (4 * (part))))) != NONE)
#define WITHIN(m, v, w) ((m) & ((v) <= (w)))
#define KEEP(m, v, w) (V)(((MASK)(v) & (m)) | ((MASK)(w) & ~(m)))
#define ONLY(m, v) (V)((MASK)(v) & (m))
#define SUM4(v) (v)
#define LOAD4(p) (V){(p)[0], (p)[1], (p)[2], (p)[3]}
#define STORE4(p, v)                       \
    do {                                   \
        V stored = (v);                    \
        memcpy((p), &stored, sizeof stored); \
    } while (0)
#define NONE (MASK){0, 0, 0, 0}
#define BITS (MASK){1, 2, 4, 8}

#define REAL float
#define INTEGER int32_t
#define WIDTH 4
#define V four_f32
#define MASK mask_f32
#define NAME gd_cluster_kernel_f32
#define RSQRT(v) (V){1.0f / sqrtf((v)[0]), 1.0f / sqrtf((v)[1]), 1.0f / sqrtf((v)[2]), 1.0f / sqrtf((v)[3])}
#include "engine/cluster_kernel_body.h"

#undef INTEGER
#define SET1(s) (V){(s), (s), (s), (s)}
#define REPEAT(p) LOAD4(p)
#define SPREAD(p, part) SET1((p)[part])
#define ROWS(r, at, part) LOAD4((r)[part] + (at))
#define CHOSEN(bits, part) ((BITS & (NONE + (INTEGER)((bits) >> (4 * (part))))) != NONE)
#define WITHIN(m, v, w) ((m) & ((v) <= (w)))
#define KEEP(m, v, w) (V)(((MASK)(v) & (m)) | ((MASK)(w) & ~(m)))
#define ONLY(m, v) (V)((MASK)(v) & (m))
#define SUM4(v) (v)
#define LOAD4(p) (V){(p)[0], (p)[1], (p)[2], (p)[3]}
#define STORE4(p, v)                       \
    do {                                   \
        V stored = (v);                    \
        memcpy((p), &stored, sizeof stored); \
    } while (0)

#define REAL double
#define INTEGER int64_t
#define WIDTH 4
#define V four_f64
#define MASK mask_f64
#define NAME gd_cluster_kernel_f64
#define RSQRT(v) (V){1.0 / sqrt((v)[0]), 1.0 / sqrt((v)[1]), 1.0 / sqrt((v)[2]), 1.0 / sqrt((v)[3])}
#include "engine/cluster_kernel_body.h"
