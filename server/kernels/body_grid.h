/* Pairs on a grid in vectors. Included once per instruction set and precision, after simd_*.h.
 *
 * For each home point the (y, z) rows of cells within reach are cut, W rows at once, to the stretch of x that the cutoff
 * leaves at that row's distance; the points of a stretch are contiguous and are then tested W at a time. */

#define ROWS_PADDED ((GD_GRID_MAX_ROWS + 15) / 16 * 16)

/* The rows of cells around a home cell, as the arrays the vectors want. */
struct near_rows {
    int32_t y, z; /* home cell */
    int num;
    const uint32_t *start[ROWS_PADDED]; /* of the row's first cell */
    REAL low_y[ROWS_PADDED], high_y[ROWS_PADDED], low_z[ROWS_PADDED], high_z[ROWS_PADDED];
    int32_t first[ROWS_PADDED], last[ROWS_PADDED]; /* cells along x, for the current point */
};

static inline int32_t cell_along(REAL x, REAL origin, REAL inverse_width, int32_t cells)
{
    REAL c = (x - origin) * inverse_width;
    if (!(c > (REAL)0.0))
        return 0;
    return c < (REAL)cells ? (int32_t)c : cells - 1;
}

static void find_rows(const struct GRID *g, int32_t y, int32_t z, struct near_rows *rows)
{
    rows->y = y;
    rows->z = z;
    rows->num = 0;
    for (int32_t cz = z - g->reach; cz <= z + g->reach; cz++)
        for (int32_t cy = y - g->reach; cy <= y + g->reach; cy++) {
            if (cz < 0 || cz >= g->nz || cy < 0 || cy >= g->ny)
                continue;
            int k = rows->num++;
            rows->start[k] = g->start + ((size_t)cz * g->ny + cy) * g->nx;
            /* The outermost cells hold everything beyond them as well. */
            rows->low_y[k] = cy > 0 ? g->origin[1] + (REAL)cy * g->width[1] - g->margin : (REAL)-HUGE_VAL;
            rows->high_y[k] = cy < g->ny - 1 ? g->origin[1] + (REAL)(cy + 1) * g->width[1] + g->margin : (REAL)HUGE_VAL;
            rows->low_z[k] = cz > 0 ? g->origin[2] + (REAL)cz * g->width[2] - g->margin : (REAL)-HUGE_VAL;
            rows->high_z[k] = cz < g->nz - 1 ? g->origin[2] + (REAL)(cz + 1) * g->width[2] + g->margin : (REAL)HUGE_VAL;
        }
    for (int k = rows->num; k < ROWS_PADDED; k++) {
        rows->low_y[k] = rows->low_z[k] = (REAL)HUGE_VAL; /* out of everybody's reach */
        rows->high_y[k] = rows->high_z[k] = (REAL)HUGE_VAL;
    }
}

/* Cuts the rows for one home point; returns the set of those that are left. */
static inline uint32_t cut_rows(const struct GRID *g, REAL x, REAL y, REAL z, REAL reach_square, struct near_rows *rows)
{
    const vec zero = vset1((REAL)0.0);
    const vec highest = vset1((REAL)(g->nx - 1));
    const vec px = vset1((x - g->origin[0]) * g->inverse_width[0]);
    const vec slack = vset1(g->margin * g->inverse_width[0]);
    const vec scaling = vset1(g->inverse_width[0]);
    uint32_t left = 0;
    for (int k = 0; k < ROWS_PADDED && k < rows->num; k += W) {
        vec gap_y = vmax(vmax(vload(rows->low_y + k) - vset1(y), vset1(y) - vload(rows->high_y + k)), zero);
        vec gap_z = vmax(vmax(vload(rows->low_z + k) - vset1(z), vset1(z) - vload(rows->high_z + k)), zero);
        vec rest = vfnma(gap_z, gap_z, vfnma(gap_y, gap_y, vset1(reach_square)));
        vec span = vfma(vsqrt(vmax(rest, zero)), scaling, slack);
        vstore_int(rows->first + k, vmin(vmax(px - span, zero), highest));
        vstore_int(rows->last + k, vmin(vmax(px + span, zero), highest));
        left |= vle(zero, rest) << k;
    }
    return left & (uint32_t)((1ull << rows->num) - 1u);
}

enum scan { SCAN_COUNT, SCAN_SQUARES, SCAN_PAIRS };

/* Tests everything near to home point h. Squares and ids go to row_d and row_j, as the mode wants; returns how many. */
static inline __attribute__((always_inline)) uint32_t scan_near(enum scan mode, const struct GRID *g, size_t h, REAL reach_square,
                                                                struct near_rows *rows, int32_t *row_j, REAL *row_d)
{
    REAL x = g->home_x[h], y = g->home_y[h], z = g->home_z[h];
    int32_t id = g->home_id[h];
    int32_t cy = cell_along(y, g->origin[1], g->inverse_width[1], g->ny);
    int32_t cz = cell_along(z, g->origin[2], g->inverse_width[2], g->nz);
    if (cy != rows->y || cz != rows->z)
        find_rows(g, cy, cz, rows);
    const vec hx = vset1(x), hy = vset1(y), hz = vset1(z), limit = vset1(g->cutoff_square);
    const REAL *const xs = g->x, *const ys = g->y, *const zs = g->z;
    const int32_t *const ids = g->id;
    const int only_higher = g->only_higher;
    uint32_t found = 0;
    for (uint32_t left = cut_rows(g, x, y, z, reach_square, rows); left != 0; left &= left - 1) {
        int k = __builtin_ctz(left);
        uint32_t p = rows->start[k][rows->first[k]];
        uint32_t end = rows->start[k][rows->last[k] + 1];
        for (; p < end; p += W) {
            vec dx = vload(xs + p) - hx, dy = vload(ys + p) - hy, dz = vload(zs + p) - hz;
            vec square = vfma(dz, dz, vfma(dy, dy, dx * dx));
            unsigned lanes = vle(square, limit);
            lanes &= only_higher ? ids_above(ids + p, id) : ids_other(ids + p, id);
            lanes &= (1u << (end - p < W ? end - p : W)) - 1u;
            if (mode != SCAN_COUNT)
                vcompress(row_d + found, lanes, square);
            if (mode == SCAN_PAIRS)
                ids_compress(row_j + found, lanes, ids + p);
            found += (uint32_t)__builtin_popcount(lanes);
        }
    }
    return found;
}

/* The square of how far a home point sees, with the margin for rounding. */
static REAL reach_square_of(const struct GRID *g)
{
    REAL reach = REAL_SQRT(g->cutoff_square) + g->margin;
    return reach * reach;
}

static void grid_count(const struct GRID *g, size_t begin, size_t end, uint32_t *counts)
{
    struct near_rows rows;
    rows.y = rows.z = -1;
    REAL reach_square = reach_square_of(g);
    for (size_t h = begin; h < end; h++)
        counts[g->home_row[h]] = scan_near(SCAN_COUNT, g, h, reach_square, &rows, NULL, NULL);
}

/* Above this many bytes a list does not stay in a cache, and is written past it: half the traffic. */
#define STREAM_BYTES ((size_t)8 << 20)

/* How many elements of a size lie before the next boundary of whole vectors. */
static inline size_t before_boundary(const void *p, size_t size)
{
    return (-(uintptr_t)p & (W * sizeof(REAL) - 1)) / size;
}

static inline void write_distances(REAL *d, const REAL *row_d, size_t count, int stream)
{
    size_t k = before_boundary(d, sizeof(REAL));
    k = k < count ? k : count;
    if (k > 0)
        vstore_first(d, vsqrt(vload(row_d)), k);
    if (stream)
        for (; k + W <= count; k += W)
            vstream(d + k, vsqrt(vload(row_d + k)));
    for (; k + W <= count; k += W)
        vstore(d + k, vsqrt(vload(row_d + k)));
    if (k < count)
        vstore_first(d + k, vsqrt(vload(row_d + k)), count - k);
}

static inline void write_pairs(int32_t (*ij)[2], int32_t i, const int32_t *row_j, size_t count, int stream)
{
    size_t head = before_boundary(ij, sizeof *ij);
    size_t k = 0;
    for (; k < count && k < head; k++) {
        ij[k][0] = i;
        ij[k][1] = row_j[k];
    }
    if (stream)
        for (; k + PAIRS_AT_ONCE <= count; k += PAIRS_AT_ONCE)
            stream_pairs(ij + k, i, row_j + k);
    for (; k + PAIRS_AT_ONCE <= count; k += PAIRS_AT_ONCE)
        store_pairs(ij + k, i, row_j + k);
    for (; k < count; k++) {
        ij[k][0] = i;
        ij[k][1] = row_j[k];
    }
}

static void grid_fill(const struct GRID *g, size_t begin, size_t end, const uint64_t *offsets, int32_t *row_j, REAL *row_d,
                      void (*arrange)(void *context, int32_t *row_j, REAL *row_d, size_t count), void *context, int32_t (*pairs)[2],
                      REAL *distances)
{
    struct near_rows rows;
    rows.y = rows.z = -1;
    REAL reach_square = reach_square_of(g);
    int stream = offsets[g->num_home] * (sizeof *pairs + sizeof *distances) > STREAM_BYTES;
    for (size_t h = begin; h < end; h++) {
        if (h + 1 < end) { /* rows lie far apart; the lines that this one shares with its neighbours are fetched early */
            uint64_t first = offsets[g->home_row[h + 1]], last = offsets[g->home_row[h + 1] + 1];
            __builtin_prefetch(pairs + first, 1);
            __builtin_prefetch(pairs + last, 1);
            __builtin_prefetch(distances + first, 1);
            __builtin_prefetch(distances + last, 1);
        }
        size_t found = scan_near(SCAN_PAIRS, g, h, reach_square, &rows, row_j, row_d);
        if (arrange != NULL)
            arrange(context, row_j, row_d, found);
        write_distances(distances + offsets[g->home_row[h]], row_d, found, stream);
        write_pairs(pairs + offsets[g->home_row[h]], g->home_id[h], row_j, found, stream);
    }
    stream_end();
}

static void grid_histogram(const struct GRID *g, size_t begin, size_t end, REAL bins_per_nm, size_t bins, REAL *row_d, uint64_t *counts)
{
    struct near_rows rows;
    rows.y = rows.z = -1;
    REAL reach_square = reach_square_of(g);
    int32_t bin[W];
    for (size_t h = begin; h < end; h++) {
        size_t found = scan_near(SCAN_SQUARES, g, h, reach_square, &rows, NULL, row_d);
        for (size_t k = 0; k < found; k += W) {
            vstore_int(bin, vsqrt(vload(row_d + k)) * vset1(bins_per_nm));
            size_t num = found - k < W ? found - k : W;
            for (size_t l = 0; l < num; l++)
                if ((size_t)bin[l] < bins)
                    counts[bin[l]]++;
        }
    }
}
