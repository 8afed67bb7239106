/* The operations of cluster_kernel_body.h on vectors of four for any processor. The file that includes this defines REAL,
 * INTEGER (as wide), V, MASK, NAME and ROOT. */
#define WIDTH 4
#define AHEAD 0
#define SET1(s)            \
    (V)                    \
    {                      \
        (s), (s), (s), (s) \
    }
#define REPEAT(p) LOAD4(p)
#define SPREAD(p, part) SET1((p)[part])
#define ROWS(r, at, part) LOAD4((r)[part] + (at))
#define CHOSEN(bits, part) ((BITS & (NONE + (INTEGER)((bits) >> (4 * (part))))) != NONE)
#define WITHIN(m, v, w) ((m) & ((v) <= (w)))
#define ONLY(m, v) (V)((MASK)(v) & (m))
#define ANY(m) (((m)[0] | (m)[1] | (m)[2] | (m)[3]) != 0)
#define MADD(a, b, c) ((a) * (b) + (c))
#define MSUB(a, b, c) ((a) * (b) - (c))
#define MUL_ONLY(m, a, b) ONLY(m, (a) * (b))
#define ROOT_SCALE 1.0
#define SUM4(v) (v)
#define LOAD4(p)                       \
    (V)                                \
    {                                  \
        (p)[0], (p)[1], (p)[2], (p)[3] \
    }
#define STORE4(p, v)                         \
    do {                                     \
        V stored = (v);                      \
        memcpy((p), &stored, sizeof stored); \
    } while (0)
#define NONE       \
    (MASK)         \
    {              \
        0, 0, 0, 0 \
    }
#define BITS       \
    (MASK)         \
    {              \
        1, 2, 4, 8 \
    }
#include "engine/cluster_kernel_body.h"
#undef NONE
#undef BITS
#undef INTEGER
