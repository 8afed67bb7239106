/* Minimum-image distances in vectors. Included once per instruction set and precision, after simd_*.h.
 *
 * The kind of box is a constant in each copy of the loops: FOR_EACH_KIND makes one copy per kind. */

struct nearest {
    vec edge[3], inverse_edge[3]; /* rectangular, truncated octahedron */
    vec half, corner;
    vec h[3][3], g[3][3]; /* triclinic: reduced vectors, inverse */
    int num_candidates;
    REAL candidate[GD_MIN_IMAGE_CANDIDATES][4]; /* vector and its square */
};

static void prepare_nearest(struct nearest *n, const struct gd_min_image *image)
{
    for (int i = 0; i < 3; i++) {
        n->edge[i] = vset1((REAL)image->edge[i]);
        n->inverse_edge[i] = vset1((REAL)image->inverse_edge[i]);
        for (int j = 0; j < 3; j++) {
            n->h[i][j] = vset1((REAL)image->lattice[i][j]);
            n->g[i][j] = vset1((REAL)image->inverse[i][j]);
        }
    }
    n->half = vset1((REAL)(0.5 * image->edge[0]));
    n->corner = vset1((REAL)(0.75 * image->edge[0]));
    n->num_candidates = image->num_candidates;
    for (int k = 0; k < image->num_candidates; k++) {
        for (int c = 0; c < 3; c++)
            n->candidate[k][c] = (REAL)image->candidate[k][c];
        n->candidate[k][3] = (REAL)image->candidate_square[k];
    }
}

static inline vec dot3(const vec a[3], vec x, vec y, vec z)
{
    return vfma(a[2], z, vfma(a[1], y, a[0] * x));
}

static inline void nearest_triclinic(const struct nearest *n, vec r[3])
{
    vec k[3];
    for (int i = 0; i < 3; i++)
        k[i] = vrint(dot3(r, n->g[0][i], n->g[1][i], n->g[2][i]));
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++)
            r[c] = vfnma(k[i], n->h[i][c], r[c]);
    const vec zero = vset1((REAL)0.0);
    vec gain = zero;
    vec shift[3] = {zero, zero, zero};
    for (int m = 0; m < n->num_candidates; m++) {
        const REAL *v = n->candidate[m];
        vec x = vset1(v[0]), y = vset1(v[1]), z = vset1(v[2]);
        vec along = dot3(r, x, y, z);
        vec g = vabs(along) + vabs(along) - vset1(v[3]);
        shift[0] = vselect_gt(g, gain, vflip(x, along), shift[0]);
        shift[1] = vselect_gt(g, gain, vflip(y, along), shift[1]);
        shift[2] = vselect_gt(g, gain, vflip(z, along), shift[2]);
        gain = vmax(g, gain);
    }
    for (int c = 0; c < 3; c++)
        r[c] = r[c] - shift[c];
}

static inline __attribute__((always_inline)) vec nearest_distance(int kind, const struct nearest *n, vec r[3])
{
    if (kind == GD_BOX_TRICLINIC)
        nearest_triclinic(n, r);
    if (kind == GD_BOX_RECTANGULAR || kind == GD_BOX_TRUNCATED_OCTAHEDRON)
        for (int c = 0; c < 3; c++)
            r[c] = vfnma(vrint(r[c] * n->inverse_edge[c]), n->edge[c], r[c]);
    if (kind == GD_BOX_TRUNCATED_OCTAHEDRON) {
        vec distance = vabs(r[0]) + vabs(r[1]) + vabs(r[2]);
        for (int c = 0; c < 3; c++)
            r[c] = vselect_gt(distance, n->corner, r[c] - vflip(n->half, r[c]), r[c]);
    }
    return vsqrt(vfma(r[2], r[2], vfma(r[1], r[1], r[0] * r[0])));
}

#define FOR_EACH_KIND(kind, call)          \
    switch (kind) {                        \
    case GD_BOX_RECTANGULAR:               \
        call(GD_BOX_RECTANGULAR);          \
        break;                             \
    case GD_BOX_TRICLINIC:                 \
        call(GD_BOX_TRICLINIC);            \
        break;                             \
    case GD_BOX_TRUNCATED_OCTAHEDRON:      \
        call(GD_BOX_TRUNCATED_OCTAHEDRON); \
        break;                             \
    default:                               \
        call(GD_BOX_VACUUM);               \
        break;                             \
    }

/* ---- pairs ---- */

#define PAIR_CHUNK 64 /* pairs whose differences are taken one by one, then turned into distances in vectors */
/* Rows lie anywhere. Those of floats are fetched so many pairs before their turn, more than a processor looks ahead; those of doubles,
 * two lines each more often than not, are not the faster for it. */
#define PAIRS_AHEAD (sizeof(REAL) == sizeof(float) ? 16 : 0)
/* The pairs themselves may lie in the cache of another processor, which takes longer than what a processor fetches by itself allows for. */
#define PAIRS_FAR 512
#define PAIRS_TAKEN (PAIR_CHUNK + PAIRS_AHEAD)

/* Copies a chunk of at most `left` pairs, and those fetched ahead, with zeros behind the last one; what will be used is checked in the copy,
 * since somebody may be writing where the pairs are. Returns the place of the first bad index in the chunk, or 2 * PAIR_CHUNK. */
static inline size_t take_pairs(const int32_t (*pairs)[2], size_t left, uint32_t bound, int32_t taken[][2])
{
    if (left >= PAIRS_FAR + PAIR_CHUNK)
        for (size_t k = 0; k < PAIR_CHUNK; k += 8)
            __builtin_prefetch(pairs + PAIRS_FAR + k);
    if (left >= PAIRS_TAKEN) {
        memcpy(taken, pairs, PAIRS_TAKEN * sizeof *taken);
    } else {
        memcpy(taken, pairs, left * sizeof *taken);
        memset(taken + left, 0, (PAIRS_TAKEN - left) * sizeof *taken);
    }
    __asm__ volatile("" : : "r"(taken) : "memory"); /* from here on the compiler cannot read the pairs themselves */
    const int32_t *indices = taken[0];
    size_t count = 2 * (left < PAIR_CHUNK ? left : PAIR_CHUNK);
    uint32_t bad = 0;
    for (size_t k = 0; k < 2 * PAIR_CHUNK; k++)
        bad |= (uint32_t)indices[k] >= bound; /* a zero is bad when there are no atoms, and then so is what comes before it */
    for (size_t k = 0; bad && k < count; k++)
        if ((uint32_t)indices[k] >= bound)
            return k;
    return 2 * PAIR_CHUNK;
}

static inline __attribute__((always_inline)) size_t pair_loop(int kind, const struct nearest *n, const REAL *x, uint32_t bound,
                                                              const int32_t (*pairs)[2], size_t count, REAL *out)
{
    REAL d[3 * PAIR_CHUNK + 1] __attribute__((aligned(64))); /* a row is stored with one more behind it */
    int32_t taken[PAIRS_TAKEN][2] __attribute__((aligned(64)));
    memset(d, 0, sizeof d);
    for (size_t begin = 0; begin < count; begin += PAIR_CHUNK) {
        size_t num = count - begin < PAIR_CHUNK ? count - begin : PAIR_CHUNK;
        size_t bad = take_pairs(pairs + begin, count - begin, bound, taken);
        if (bad < 2 * PAIR_CHUNK)
            return 2 * begin + bad;
        for (size_t k = 0; k < num; k++) {
            if (PAIRS_AHEAD > 0) { /* nobody has checked these, and fetching is all that is done with them */
                __builtin_prefetch(x + 3 * (ptrdiff_t)taken[k + PAIRS_AHEAD][0]);
                __builtin_prefetch(x + 3 * (ptrdiff_t)taken[k + PAIRS_AHEAD][1]);
            }
            store_difference(d + 3 * k, x + 3 * (size_t)taken[k][1], x + 3 * (size_t)taken[k][0]);
        }
        for (size_t k = 0; k < num; k += W) {
            vec r[3];
            load3(d + 3 * k, r);
            vec distance = nearest_distance(kind, n, r);
            if (num - k >= W)
                vstore(out + begin + k, distance);
            else
                vstore_first(out + begin + k, distance, num - k);
        }
    }
    return 2 * count;
}

static size_t pair_distances(const REAL *x, size_t limit, const int32_t (*pairs)[2], size_t count, const struct gd_min_image *image,
                             REAL *out)
{
    struct nearest n;
    prepare_nearest(&n, image);
    uint32_t bound = limit < 0x80000000u ? (uint32_t)limit : 0x80000000u; /* of larger limits only negative numbers are beyond */
    size_t bad = 0;
#define CALL(kind) bad = pair_loop(kind, &n, x, bound, pairs, count, out)
    FOR_EACH_KIND(image->kind, CALL)
#undef CALL
    return bad;
}

/* ---- all pairs ---- */

#define TILE 4 /* rows of a that share one unpacking of b */

static inline __attribute__((always_inline)) void array_tile(int kind, const struct nearest *n, const REAL *a, size_t rows, const REAL *b,
                                                             size_t num_b, REAL *out)
{
    vec origin[TILE][3];
    for (size_t i = 0; i < rows; i++)
        for (int c = 0; c < 3; c++)
            origin[i][c] = vset1(a[3 * i + c]);
    size_t whole = num_b - num_b % W;
    for (size_t j = 0; j < whole; j += W) {
        vec p[3];
        load3(b + 3 * j, p);
        for (size_t i = 0; i < rows; i++) {
            vec r[3] = {p[0] - origin[i][0], p[1] - origin[i][1], p[2] - origin[i][2]};
            vstore(out + i * num_b + j, nearest_distance(kind, n, r));
        }
    }
    if (whole == num_b)
        return;
    REAL copy[3 * W];
    copy_rows(b, NULL, whole, num_b - whole, copy);
    vec p[3];
    load3(copy, p);
    for (size_t i = 0; i < rows; i++) {
        vec r[3] = {p[0] - origin[i][0], p[1] - origin[i][1], p[2] - origin[i][2]};
        vstore_first(out + i * num_b + whole, nearest_distance(kind, n, r), num_b - whole);
    }
}

static inline __attribute__((always_inline)) void array_loop(int kind, const struct nearest *n, const REAL *a, size_t num_a, const REAL *b,
                                                             size_t num_b, REAL *out)
{
    size_t i = 0;
    for (; i + TILE <= num_a; i += TILE)
        array_tile(kind, n, a + 3 * i, TILE, b, num_b, out + i * num_b);
    for (; i < num_a; i++)
        array_tile(kind, n, a + 3 * i, 1, b, num_b, out + i * num_b);
}

static void distance_array(const REAL *a, size_t num_a, const REAL *b, size_t num_b, const struct gd_min_image *image, REAL *out)
{
    struct nearest n;
    prepare_nearest(&n, image);
#define CALL(kind) array_loop(kind, &n, a, num_a, b, num_b, out)
    FOR_EACH_KIND(image->kind, CALL)
#undef CALL
}
