/* The grid builder of one precision; included by grid_build.c twice. */

/* Points in the order they come, before sorting; one allocation, given back when the grid is built. */
struct NAME(loose) {
    void *memory;
    REAL *x, *y, *z;
    int32_t *id; /* atom index */
    uint32_t *cell;
    uint8_t *code; /* of the first num_plain */
    size_t num;
};

static int NAME(make_loose)(struct NAME(loose) *p, size_t capacity, struct gd_err *err)
{
    struct layout layout = {0};
    size_t x = reserve(&layout, capacity, sizeof(REAL)), y = reserve(&layout, capacity, sizeof(REAL));
    size_t z = reserve(&layout, capacity, sizeof(REAL)), id = reserve(&layout, capacity, sizeof(int32_t));
    size_t cell = reserve(&layout, capacity, sizeof(uint32_t)), code = reserve(&layout, capacity, 1);
    char *memory = allocate(&layout, err);
    if (memory == NULL)
        return GD_E_OUT_OF_MEMORY;
    p->memory = memory;
    p->x = (REAL *)(void *)(memory + x);
    p->y = (REAL *)(void *)(memory + y);
    p->z = (REAL *)(void *)(memory + z);
    p->id = (int32_t *)(void *)(memory + id);
    p->cell = (uint32_t *)(void *)(memory + cell);
    p->code = (uint8_t *)(memory + code);
    p->num = 0;
    return 0;
}

/* Takes the rows of a view, wrapped; returns how many copies they will need in all, themselves included. */
static size_t NAME(place)(struct NAME(loose) *p, struct gd_view view, const struct gd_min_image *image, const double near[3])
{
    const REAL *x = view.data;
    size_t needed = 0;
    for (size_t k = 0; k < view.count; k++) {
        size_t i = view.atoms != NULL ? (size_t)view.atoms[k] : k;
        double r[3] = {(double)x[3 * i], (double)x[3 * i + 1], (double)x[3 * i + 2]};
        double fraction[3];
        uint8_t code = 0;
        if (image->kind != GD_BOX_VACUUM) {
            into_cell(image, r, fraction);
            code = copies_needed(fraction, near);
        }
        p->x[k] = (REAL)r[0];
        p->y[k] = (REAL)r[1];
        p->z[k] = (REAL)r[2];
        p->id[k] = (int32_t)i;
        p->code[k] = code;
        size_t times = 1;
        for (int d = 0; d < 6; d += 2)
            times *= 1u + (code >> d & 1u) + (code >> (d + 1) & 1u);
        needed += times;
    }
    p->num = view.count;
    return needed;
}

/* All points of `from` and, behind them, their copies. */
static void NAME(copy)(struct NAME(loose) *p, const struct NAME(loose) *from, const struct gd_min_image *image)
{
    signed char shifts[27][3];
    int num = 0;
    int last = -1;
    size_t to = from->num;
    memcpy(p->x, from->x, from->num * sizeof(REAL));
    memcpy(p->y, from->y, from->num * sizeof(REAL));
    memcpy(p->z, from->z, from->num * sizeof(REAL));
    memcpy(p->id, from->id, from->num * sizeof(int32_t));
    for (size_t k = 0; k < from->num; k++) {
        if (from->code[k] == 0)
            continue;
        if (from->code[k] != last) {
            last = from->code[k];
            num = shifts_of(from->code[k], shifts);
        }
        for (int s = 1; s < num; s++, to++) {
            double shift[3];
            for (int c = 0; c < 3; c++)
                shift[c] = shifts[s][0] * image->lattice[0][c] + shifts[s][1] * image->lattice[1][c] + shifts[s][2] * image->lattice[2][c];
            p->x[to] = (REAL)((double)p->x[k] + shift[0]);
            p->y[to] = (REAL)((double)p->y[k] + shift[1]);
            p->z[to] = (REAL)((double)p->z[k] + shift[2]);
            p->id[to] = p->id[k];
        }
    }
    p->num = to;
}

static void NAME(widen)(const REAL *x, size_t count, double *low, double *high)
{
    for (size_t k = 0; k < count; k++) {
        *low = (double)x[k] < *low ? (double)x[k] : *low;
        *high = (double)x[k] > *high ? (double)x[k] : *high;
    }
}

/* Draws low and high in to where nearly all points are, so that a few atoms that flew off do not make cells so wide that
 * one holds everybody else. What is left outside counts as in the outermost cells, which have no outer border. */
static void NAME(draw_in)(const REAL *x, size_t count, double reach, double *low, double *high)
{
    double sample[SAMPLE];
    if (count < 4 * SAMPLE)
        return;
    for (size_t k = 0; k < SAMPLE; k++)
        sample[k] = (double)x[k * (count / SAMPLE)];
    qsort(sample, SAMPLE, sizeof sample[0], compare_doubles);
    double first = sample[SAMPLE / 50], last = sample[SAMPLE - 1 - SAMPLE / 50];
    double slack = 0.1 * (last - first) + reach;
    *low = fmax(*low, first - slack);
    *high = fmin(*high, last + slack);
}

/* Decides the cells from where home points and points are. */
static void NAME(cut_space)(struct GRID *g, const struct NAME(loose) *home, const struct NAME(loose) *points, double cutoff)
{
    double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL}, high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
    double extent[3] = {0.0, 0.0, 0.0}, width[3], largest = 0.0;
    int32_t cells[3];
    const struct NAME(loose) *both[2] = {home, points};
    for (int b = 0; b < 2; b++) {
        NAME(widen)(both[b]->x, both[b]->num, &low[0], &high[0]);
        NAME(widen)(both[b]->y, both[b]->num, &low[1], &high[1]);
        NAME(widen)(both[b]->z, both[b]->num, &low[2], &high[2]);
    }
    for (int c = 0; c < 3; c++) {
        if (!(low[c] <= high[c]))
            low[c] = high[c] = 0.0; /* no points at all */
        else
            NAME(draw_in)(c == 0 ? points->x : c == 1 ? points->y : points->z, points->num, cutoff, &low[c], &high[c]);
        extent[c] = fmin(0.5 * high[c] - 0.5 * low[c], 0.25 * DBL_MAX) * 2.0; /* never infinite */
        largest = fmax(largest, fmax(fabs(low[c]), fabs(high[c])));
    }
    double margin = 8.0 * EPSILON * (largest + cutoff);
    double reach = cutoff * 1.0001 + 4.0 * margin;
    choose_cells(extent, reach, points->num, cells, width);
    g->nx = cells[0];
    g->ny = cells[1];
    g->nz = cells[2];
    g->reach = width[1] >= reach ? 1 : GD_GRID_REACH;
    g->margin = (REAL)margin;
    g->cutoff_square = (REAL)cutoff * (REAL)cutoff;
    for (int c = 0; c < 3; c++) {
        g->origin[c] = (REAL)low[c];
        g->width[c] = (REAL)width[c];
        g->inverse_width[c] = (REAL)(1.0 / width[c]);
    }
}

static inline uint32_t NAME(cell_along)(REAL x, REAL origin, REAL inverse_width, int32_t cells)
{
    REAL c = (x - origin) * inverse_width;
    if (!(c > (REAL)0.0))
        return 0;
    return c < (REAL)cells ? (uint32_t)c : (uint32_t)cells - 1;
}

/* Finds each point's cell and turns start[] into the first place of each cell. */
static void NAME(count_cells)(const struct GRID *g, struct NAME(loose) *p, uint32_t *start, size_t num_cells)
{
    memset(start, 0, (num_cells + 1) * sizeof *start);
    for (size_t k = 0; k < p->num; k++) {
        uint32_t cx = NAME(cell_along)(p->x[k], g->origin[0], g->inverse_width[0], g->nx);
        uint32_t cy = NAME(cell_along)(p->y[k], g->origin[1], g->inverse_width[1], g->ny);
        uint32_t cz = NAME(cell_along)(p->z[k], g->origin[2], g->inverse_width[2], g->nz);
        p->cell[k] = (cz * (uint32_t)g->ny + cy) * (uint32_t)g->nx + cx;
        start[p->cell[k] + 1]++;
    }
    for (size_t c = 0; c < num_cells; c++)
        start[c + 1] += start[c];
}

/* The sorted arrays of one kind of point, with room behind them, in one allocation. */
struct NAME(sorted) {
    REAL *x, *y, *z;
    int32_t *id;
    uint32_t *row;   /* homes: position in the view */
    uint32_t *start; /* cells and one more */
};

static int NAME(sort)(const struct GRID *g, struct NAME(loose) *p, struct NAME(sorted) *s, void **memory, struct gd_err *err)
{
    size_t num_cells = (size_t)g->nx * (size_t)g->ny * (size_t)g->nz;
    size_t room = p->num + GD_GRID_PADDING;
    struct layout layout = {0};
    size_t x = reserve(&layout, room, sizeof(REAL)), y = reserve(&layout, room, sizeof(REAL));
    size_t z = reserve(&layout, room, sizeof(REAL)), id = reserve(&layout, room, sizeof(int32_t));
    size_t row = reserve(&layout, room, sizeof(uint32_t));
    size_t start = reserve(&layout, num_cells + 2, sizeof(uint32_t));
    char *block = allocate(&layout, err);
    if (block == NULL)
        return GD_E_OUT_OF_MEMORY;
    *memory = block;
    s->x = (REAL *)(void *)(block + x);
    s->y = (REAL *)(void *)(block + y);
    s->z = (REAL *)(void *)(block + z);
    s->id = (int32_t *)(void *)(block + id);
    s->row = (uint32_t *)(void *)(block + row);
    s->start = (uint32_t *)(void *)(block + start);
    NAME(count_cells)(g, p, s->start, num_cells);
    for (size_t k = 0; k < p->num; k++) { /* start[c] runs to the end of c, which is the start of c + 1 */
        uint32_t to = s->start[p->cell[k]]++;
        s->x[to] = p->x[k];
        s->y[to] = p->y[k];
        s->z[to] = p->z[k];
        s->id[to] = p->id[k];
        s->row[to] = (uint32_t)k;
    }
    memmove(s->start + 1, s->start, num_cells * sizeof *s->start);
    s->start[0] = 0;
    for (size_t k = p->num; k < room; k++) {
        s->x[k] = s->y[k] = s->z[k] = (REAL)0.0;
        s->id[k] = -1;
    }
    return 0;
}

static int NAME(build_from)(struct GRID *g, const struct gd_grid_request *request, struct NAME(loose) *home, struct NAME(loose) *points,
                            void *memory[2], struct gd_err *err)
{
    struct NAME(sorted) h, p;
    double cutoff = fmin(request->cutoff, request->image->half_width * (1.0 - 16.0 * EPSILON));
    NAME(cut_space)(g, home, points, cutoff);
    int failed = NAME(sort)(g, home, &h, &memory[0], err);
    if (!failed)
        failed = NAME(sort)(g, points, &p, &memory[1], err);
    if (failed)
        return failed;
    g->home_x = h.x;
    g->home_y = h.y;
    g->home_z = h.z;
    g->home_id = h.id;
    g->home_row = h.row;
    g->num_home = home->num;
    g->x = p.x;
    g->y = p.y;
    g->z = p.z;
    g->id = p.id;
    g->start = p.start;
    g->only_higher = request->only_higher;
    return 0;
}

static int NAME(build)(struct GRID *g, const struct gd_grid_request *request, void *memory[2], struct gd_err *err)
{
    const struct gd_min_image *image = request->image;
    double near[3];
    for (int i = 0; i < 3; i++) /* at most 0.71 in a reduced cell, so one copy to each side is enough */
        near[i] = image->kind == GD_BOX_VACUUM ? 0.0 : request->cutoff / image->height[i] * 1.0001 + 16.0 * EPSILON;
    struct NAME(loose) home = {0}, plain = {0}, points = {0};
    int same = request->home.atoms == request->points.atoms && request->home.count == request->points.count;
    int failed = NAME(make_loose)(&plain, request->points.count, err);
    if (failed)
        goto done;
    size_t needed = NAME(place)(&plain, request->points, image, near);
    if (needed > MAX_POINTS) {
        failed = gd_err_set(err, GD_E_UNSUPPORTED,
                            "the pair search would need %zu points with their periodic copies; it "
                            "takes %d",
                            needed, MAX_POINTS);
        goto done;
    }
    failed = NAME(make_loose)(&points, needed, err);
    if (!failed && !same)
        failed = NAME(make_loose)(&home, request->home.count, err);
    if (failed)
        goto done;
    if (!same)
        NAME(place)(&home, request->home, image, near);
    NAME(copy)(&points, &plain, image);
    failed = NAME(build_from)(g, request, same ? &plain : &home, &points, memory, err);
done:
    free(home.memory);
    free(plain.memory);
    free(points.memory);
    return failed;
}
