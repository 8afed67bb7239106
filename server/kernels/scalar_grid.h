/* The scalar reference, pairs on a grid. Included for REAL float and double.
 *
 * Plain on purpose: every cell within reach of the home point's cell is looked at, point by point. */

static int32_t cell_along(REAL x, REAL origin, REAL inverse_width, int32_t cells)
{
    REAL c = (x - origin) * inverse_width;
    if (!(c > 0))
        return 0;
    return c < (REAL)cells ? (int32_t)c : cells - 1;
}

/* The runs of points that may be near to home point h: rows of cells, first and one past the last point. */
static int find_runs(const struct GRID *g, size_t h, uint32_t runs[GD_GRID_MAX_ROWS][2])
{
    REAL cutoff = REAL_SQRT(g->cutoff_square) + g->margin;
    int32_t cy = cell_along(g->home_y[h], g->origin[1], g->inverse_width[1], g->ny);
    int32_t cz = cell_along(g->home_z[h], g->origin[2], g->inverse_width[2], g->nz);
    int32_t first = cell_along(g->home_x[h] - cutoff, g->origin[0], g->inverse_width[0], g->nx);
    int32_t last = cell_along(g->home_x[h] + cutoff, g->origin[0], g->inverse_width[0], g->nx);
    int num = 0;
    for (int32_t z = cz - g->reach; z <= cz + g->reach; z++)
        for (int32_t y = cy - g->reach; y <= cy + g->reach; y++) {
            if (z < 0 || z >= g->nz || y < 0 || y >= g->ny)
                continue;
            const uint32_t *row = g->start + ((size_t)z * g->ny + y) * g->nx;
            runs[num][0] = row[first];
            runs[num++][1] = row[last + 1];
        }
    return num;
}

/* Squares of distances (and ids, unless near_id is NULL) of the points near to home point h; returns how many. */
static uint32_t find_near(const struct GRID *g, size_t h, int32_t *near_id, REAL *near_square)
{
    uint32_t runs[GD_GRID_MAX_ROWS][2];
    int num = find_runs(g, h, runs);
    uint32_t found = 0;
    for (int k = 0; k < num; k++)
        for (uint32_t p = runs[k][0]; p < runs[k][1]; p++) {
            REAL dx = g->x[p] - g->home_x[h], dy = g->y[p] - g->home_y[h], dz = g->z[p] - g->home_z[h];
            REAL square = dx * dx + dy * dy + dz * dz;
            int wanted = g->only_higher ? g->id[p] > g->home_id[h] : g->id[p] != g->home_id[h];
            if (!wanted || !(square <= g->cutoff_square))
                continue;
            if (near_id != NULL)
                near_id[found] = g->id[p];
            if (near_square != NULL)
                near_square[found] = square;
            found++;
        }
    return found;
}

static void grid_count(const struct GRID *g, size_t begin, size_t end, uint32_t *counts)
{
    for (size_t h = begin; h < end; h++)
        counts[g->home_row[h]] = find_near(g, h, NULL, NULL);
}

static void grid_fill(const struct GRID *g, size_t begin, size_t end, const uint64_t *offsets, int32_t *row_j, REAL *row_d,
                      void (*arrange)(void *context, int32_t *row_j, REAL *row_d, size_t count), void *context, int32_t (*pairs)[2],
                      REAL *distances)
{
    for (size_t h = begin; h < end; h++) {
        uint64_t to = offsets[g->home_row[h]];
        uint32_t found = find_near(g, h, row_j, row_d);
        if (arrange != NULL)
            arrange(context, row_j, row_d, found);
        for (uint32_t k = 0; k < found; k++) {
            pairs[to + k][0] = g->home_id[h];
            pairs[to + k][1] = row_j[k];
            distances[to + k] = REAL_SQRT(row_d[k]);
        }
    }
}

static void grid_histogram(const struct GRID *g, size_t begin, size_t end, REAL bins_per_nm, size_t bins, REAL *row_d, uint64_t *counts)
{
    for (size_t h = begin; h < end; h++) {
        uint32_t found = find_near(g, h, NULL, row_d);
        for (uint32_t k = 0; k < found; k++) {
            size_t bin = (size_t)(REAL_SQRT(row_d[k]) * bins_per_nm);
            if (bin < bins)
                counts[bin]++;
        }
    }
}
