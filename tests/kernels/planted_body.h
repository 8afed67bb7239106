/* Kernels with a fault, one per entry of the table, for REAL float and double; included by planted.c twice. Each calls the
 * true kernel and then does what a subtle bug would do: forget the last row, spoil one value by little, miss one place. */

static SET_TYPE NAME(right); /* the true kernels of the variant under test; set before the faults are used */

#define SPOIL(value) ((value) = (value) * (REAL)1.01 + (REAL)1e-3)

static void NAME(bad_sum)(const REAL *x, const int32_t *atoms, size_t count, double out[3])
{
    NAME(right).sum(x, atoms, count > 16 ? count - 1 : count, out); /* the last row, but only after whole vectors */
}

static double NAME(bad_weighted_sum)(const REAL *x, const double *w, const int32_t *atoms, size_t count, double out[3])
{
    return NAME(right).weighted_sum(x, w, atoms, count > 16 ? count - 1 : count, out);
}

static void NAME(bad_moments)(const REAL *x, const double *w, const int32_t *atoms, size_t count, const double o[3], struct gd_moments *out)
{
    NAME(right).moments(x, w, atoms, count, o, out);
    out->second *= 1.0 + 1e-9;
}

static double NAME(bad_weighted_squares)(const REAL *v, const double *w, const int32_t *atoms, size_t count)
{
    return NAME(right).weighted_squares(v, w, atoms, count > 16 ? count - 1 : count);
}

static void NAME(bad_weighted_tensor)(const REAL *v, const double *w, const int32_t *atoms, size_t count, double t[3][3])
{
    NAME(right).weighted_tensor(v, w, atoms, count, t);
    t[2][1] = t[1][0];
}

static void NAME(bad_bounds)(const REAL *x, const int32_t *atoms, size_t count, double min[3], double max[3])
{
    NAME(right).bounds(x, atoms, count > 16 ? count - 1 : count, min, max);
}

static void NAME(bad_correlate)(const REAL *x, const REAL *y, const double *w, const int32_t *ax, const int32_t *ay, size_t count,
                                const double ox[3], const double oy[3], struct gd_correlation *out)
{
    NAME(right).correlate(x, y, w, ax, ay, count, ox, oy, out);
    double swap = out->cross[0][1];
    out->cross[0][1] = out->cross[1][0];
    out->cross[1][0] = swap;
}

static double NAME(bad_residual)(const REAL *x, const REAL *y, const double *w, const int32_t *ax, const int32_t *ay, size_t count,
                                 const double r[3][3], const double ox[3], const double oy[3])
{
    const double turned[3][3] = {{r[0][0], r[1][0], r[2][0]}, {r[0][1], r[1][1], r[2][1]}, {r[0][2], r[1][2], r[2][2]}};
    return NAME(right).residual(x, y, w, ax, ay, count, turned, ox, oy);
}

static void NAME(bad_norms)(const REAL *x, const int32_t *atoms, size_t count, REAL *out)
{
    NAME(right).norms(x, atoms, count, out);
    if (count > 0)
        SPOIL(out[count - 1]);
}

static void NAME(bad_translate)(REAL *x, const int32_t *atoms, size_t count, const double shift[3])
{
    NAME(right).translate(x, atoms, count > 16 ? count - 1 : count, shift);
}

static void NAME(bad_rotate)(REAL *x, const int32_t *atoms, size_t count, const double m[3][3], const double about[3])
{
    const double origin[3] = {about[0], about[1], 0.0};
    NAME(right).rotate(x, atoms, count, m, origin);
}

static void NAME(bad_scale)(REAL *x, const int32_t *atoms, size_t count, const double f[3], const double about[3])
{
    const double same[3] = {f[0], f[0], f[2]};
    NAME(right).scale(x, atoms, count, same, about);
}

static void NAME(bad_wrap)(REAL *x, const int32_t *atoms, size_t count, const struct gd_box *box, const struct gd_min_image *image)
{
    NAME(right).wrap(x, atoms, count > 16 ? count - 1 : count, box, image);
}

/* Leaves out the last candidate: right for all boxes but skewed ones, and nearly always for those. */
static size_t NAME(bad_pair_distances)(const REAL *x, size_t limit, const int32_t (*pairs)[2], size_t count,
                                       const struct gd_min_image *image, REAL *out)
{
    struct gd_min_image fewer = *image;
    fewer.num_candidates -= fewer.num_candidates > 0;
    return NAME(right).pair_distances(x, limit, pairs, count, &fewer, out);
}

static void NAME(bad_distance_array)(const REAL *a, size_t na, const REAL *b, size_t nb, const struct gd_min_image *image, REAL *out)
{
    struct gd_min_image fewer = *image;
    fewer.num_candidates -= fewer.num_candidates > 0;
    NAME(right).distance_array(a, na, b, nb, &fewer, out);
}

static void NAME(bad_grid_count)(const GRID *g, size_t begin, size_t end, uint32_t *counts)
{
    NAME(right).grid_count(g, begin, end, counts);
    for (size_t h = begin; h < end; h++) /* one pair of one long row gets lost */
        if (counts[g->home_row[h]] > 20) {
            counts[g->home_row[h]]--;
            return;
        }
}

static void NAME(bad_grid_fill)(const GRID *g, size_t begin, size_t end, const uint64_t *offsets, int32_t *row_j, REAL *row_d,
                                void (*arrange)(void *, int32_t *, REAL *, size_t), void *context, int32_t (*pairs)[2], REAL *distances)
{
    NAME(right).grid_fill(g, begin, end, offsets, row_j, row_d, arrange, context, pairs, distances);
    if (offsets[g->num_home] > 100)
        SPOIL(distances[offsets[g->num_home] - 1]);
}

static void NAME(bad_sort_row)(void *context, int32_t *row_j, REAL *row_d, size_t count)
{
    NAME(right).sort_row(context, row_j, row_d, count);
    if (count > 40) { /* ids in order, two distances not */
        REAL swap = row_d[7];
        row_d[7] = row_d[8];
        row_d[8] = swap;
    }
}

static void NAME(bad_grid_histogram)(const GRID *g, size_t begin, size_t end, REAL bins_per_nm, size_t bins, REAL *row_d, uint64_t *counts)
{
    NAME(right).grid_histogram(g, begin, end, bins_per_nm, bins - 1, row_d, counts);
}

static size_t NAME(bad_first_not_finite)(const REAL *values, size_t count)
{
    size_t at = NAME(right).first_not_finite(values, count);
    return at > 47 && at + 1 == count ? count : at; /* misses a bad value in the last place of a long array */
}

#define PLANT(kernel)                                                           \
    {                                                                           \
#kernel, offsetof(SET_TYPE, kernel), (void (*)(void))NAME(bad_##kernel) \
    }

static const struct fault NAME(faults)[] = {
    PLANT(sum),
    PLANT(weighted_sum),
    PLANT(moments),
    PLANT(weighted_squares),
    PLANT(weighted_tensor),
    PLANT(bounds),
    PLANT(correlate),
    PLANT(residual),
    PLANT(norms),
    PLANT(translate),
    PLANT(rotate),
    PLANT(scale),
    PLANT(wrap),
    PLANT(pair_distances),
    PLANT(distance_array),
    PLANT(grid_count),
    PLANT(grid_fill),
    PLANT(sort_row),
    PLANT(grid_histogram),
    PLANT(first_not_finite),
};
