/* One precision of the kernel check; included by check_f32.c and check_f64.c with REAL, EPS, MIN_NORMAL, SET, SET_TYPE, DTYPE and CHECK defined.
 *
 * Every array is allocated to its exact size, so that the address sanitizer sees a kernel that reads one element too far.
 * Tolerances are multiples of the format's epsilon times the size of what was added up; the multiple is at the check. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KERNELS(table) (&(table)->SET)

static void *room(size_t bytes)
{
    void *p = malloc(bytes > 0 ? bytes : 1);
    if (p == NULL)
        abort();
    return p;
}

struct input {
    size_t n;     /* rows */
    size_t count; /* rows a kernel sees: all, or the selection */
    const int32_t *atoms;
    REAL *x, *y;
    double *w;
    double size; /* largest |component| of x and y */
};

static double value(struct check *c, enum check_data kind)
{
    double u = check_uniform(c);
    switch (kind) {
    case DATA_BOX:
        return 10.0 * u;
    case DATA_FAR:
        return 1e6 + 3.0 * u;
    case DATA_TINY:
        return (u - 0.5) * 1e-39;
    case DATA_MIXED: {
        double sign = check_uniform(c) < 0.5 ? -1.0 : 1.0;
        return sign * (u < 0.05 ? 0.0 : pow(10.0, 42.0 * check_uniform(c) - 30.0));
    }
    default:
        return 1.25;
    }
}

static struct input make_input(struct check *c, size_t n, enum check_data kind, int selected)
{
    struct input in = {.n = n, .count = n};
    in.x = room(3 * n * sizeof(REAL));
    in.y = room(3 * n * sizeof(REAL));
    in.w = room(n * sizeof(double));
    for (size_t k = 0; k < 3 * n; k++) {
        in.x[k] = (REAL)value(c, kind);
        in.y[k] = (REAL)value(c, kind);
        in.size = fmax(in.size, fmax(fabs((double)in.x[k]), fabs((double)in.y[k])));
    }
    for (size_t k = 0; k < n; k++)
        in.w[k] = check_uniform(c) < 0.1 ? 0.0 : 0.5 + 40.0 * check_uniform(c);
    if (selected) {
        in.count = n > 0 ? n + n / 3 : 0; /* more than there are rows: some come twice */
        int32_t *atoms = room(in.count * sizeof *atoms);
        for (size_t k = 0; k < in.count; k++)
            atoms[k] = (int32_t)(check_uniform(c) * (double)n);
        in.atoms = atoms;
    }
    return in;
}

static void free_input(struct input *in)
{
    free((void *)in->atoms);
    free(in->x);
    free(in->y);
    free(in->w);
}

static REAL *copy_of(const REAL *x, size_t values)
{
    REAL *copy = room(values * sizeof(REAL));
    memcpy(copy, x, values * sizeof(REAL));
    return copy;
}

/* ---- reductions: double sums of the same terms in another order ---- */

/* Each of n additions rounds by half an epsilon of the sum so far, at random: n epsilon for terms of size one that all
 * count the same, times the square root of n for how far the roundings wander. */
static double sum_error(size_t n)
{
    return DBL_EPSILON * ((double)n + 4.0) * (2.0 + 0.5 * sqrt((double)n));
}

static void check_sums(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    double a[3], b[3];
    double tolerance = sum_error(in->count) * in->size;
    s->sum(in->x, in->atoms, in->count, a);
    v->sum(in->x, in->atoms, in->count, b);
    for (size_t k = 0; k < 3; k++)
        check_close(c, "sum", "sum", in->count, k, a[k], b[k], tolerance);
    double ma = s->weighted_sum(in->x, in->w, in->atoms, in->count, a);
    double mb = v->weighted_sum(in->x, in->w, in->atoms, in->count, b);
    check_close(c, "weighted_sum", "mass", in->count, 0, ma, mb, sum_error(in->count) * 41.0);
    for (size_t k = 0; k < 3; k++)
        check_close(c, "weighted_sum", "sum", in->count, k, a[k], b[k], 41.0 * tolerance);
    double square = 41.0 * 3.0 * in->size * in->size * sum_error(in->count);
    check_close(c, "weighted_squares", "sum", in->count, 0, s->weighted_squares(in->x, in->w, in->atoms, in->count),
                v->weighted_squares(in->x, in->w, in->atoms, in->count), square);
    double ta[3][3], tb[3][3];
    s->weighted_tensor(in->x, in->w, in->atoms, in->count, ta);
    v->weighted_tensor(in->x, in->w, in->atoms, in->count, tb);
    for (size_t k = 0; k < 9; k++)
        check_close(c, "weighted_tensor", "component", in->count, k, ta[k / 3][k % 3], tb[k / 3][k % 3], square);
}

static void check_moments(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    const double origin[3] = {in->size * 0.3, -in->size * 0.1, in->size};
    for (int weighted = 0; weighted < 2; weighted++) {
        struct gd_moments a, b;
        s->moments(in->x, weighted ? in->w : NULL, in->atoms, in->count, origin, &a);
        v->moments(in->x, weighted ? in->w : NULL, in->atoms, in->count, origin, &b);
        double tolerance = sum_error(in->count) * 41.0;
        check_close(c, "moments", "mass", in->count, 0, a.mass, b.mass, tolerance);
        check_close(c, "moments", "second", in->count, 0, a.second, b.second, tolerance * 12.0 * in->size * in->size);
        for (size_t k = 0; k < 3; k++)
            check_close(c, "moments", "first", in->count, k, a.first[k], b.first[k], tolerance * 2.0 * in->size);
    }
}

static void check_bounds(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    double a[2][3], b[2][3];
    s->bounds(in->x, in->atoms, in->count, a[0], a[1]);
    v->bounds(in->x, in->atoms, in->count, b[0], b[1]);
    for (size_t k = 0; k < 6; k++)
        check_close(c, "bounds", "value", in->count, k, a[k / 3][k % 3], b[k / 3][k % 3], 0.0);
}

static void check_correlate(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    const double ox[3] = {in->size, 0.0, -in->size}, oy[3] = {0.0, in->size * 0.5, 0.25 * in->size};
    const double rotation[3][3] = {{0.36, 0.48, -0.8}, {-0.8, 0.6, 0.0}, {0.48, 0.64, 0.6}};
    double tolerance = 41.0 * sum_error(in->count);
    double square = tolerance * 12.0 * in->size * in->size;
    for (int mode = 0; mode < 4; mode++) {
        const double *w = mode & 1 ? in->w : NULL;
        const int32_t *atoms_y = mode & 2 ? in->atoms : NULL;
        size_t count = atoms_y == NULL && in->count > in->n ? in->n : in->count;
        struct gd_correlation a, b;
        s->correlate(in->x, in->y, w, in->atoms, atoms_y, count, ox, oy, &a);
        v->correlate(in->x, in->y, w, in->atoms, atoms_y, count, ox, oy, &b);
        check_close(c, "correlate", "mass", count, 0, a.mass, b.mass, tolerance);
        check_close(c, "correlate", "second x", count, 0, a.second_x, b.second_x, square);
        check_close(c, "correlate", "second y", count, 0, a.second_y, b.second_y, square);
        for (size_t k = 0; k < 9; k++)
            check_close(c, "correlate", "cross", count, k, a.cross[k / 3][k % 3], b.cross[k / 3][k % 3], square);
        for (size_t k = 0; k < 3; k++) {
            check_close(c, "correlate", "first x", count, k, a.first_x[k], b.first_x[k], 2.0 * tolerance * in->size);
            check_close(c, "correlate", "first y", count, k, a.first_y[k], b.first_y[k], 2.0 * tolerance * in->size);
        }
        check_close(c, "residual", "sum", count, 0, s->residual(in->x, in->y, w, in->atoms, atoms_y, count, rotation, ox, oy),
                    v->residual(in->x, in->y, w, in->atoms, atoms_y, count, rotation, ox, oy), 8.0 * square);
    }
}

/* ---- maps: rounded a handful of times in REAL where the scalar one rounds once ---- */

typedef void (*map)(const SET_TYPE *set, REAL *x, const struct input *in);

static const double SHIFT[3] = {1.5, -0.3, 12.0};
static const double ABOUT[3] = {0.7, -2.0, 5.0};

static void map_translate(const SET_TYPE *set, REAL *x, const struct input *in)
{
    set->translate(x, in->atoms, in->count, SHIFT);
}

static void map_rotate(const SET_TYPE *set, REAL *x, const struct input *in)
{
    const double m[3][3] = {{0.36, 0.48, -0.8}, {-0.8, 0.6, 0.0}, {0.48, 0.64, 0.6}};
    set->rotate(x, in->atoms, in->count, m, ABOUT);
}

static void map_scale(const SET_TYPE *set, REAL *x, const struct input *in)
{
    const double factor[3] = {1.01, 0.5, -2.0};
    set->scale(x, in->atoms, in->count, factor, ABOUT);
}

/* A row that the selection repeats is mapped as often; its error grows with each. */
static double most_repeats(const struct input *in)
{
    double most = 1.0;
    for (size_t i = 0; in->atoms != NULL && i < in->n; i++) {
        double times = 0.0;
        for (size_t k = 0; k < in->count; k++)
            times += in->atoms[k] == (int32_t)i;
        most = fmax(most, times);
    }
    return most;
}

static void check_map(struct check *c, const char *name, map f, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    REAL *a = copy_of(in->x, 3 * in->n), *b = copy_of(in->x, 3 * in->n);
    f(s, a, in);
    f(v, b, in);
    double repeats = most_repeats(in);
    double tolerance = 8.0 * EPS * repeats * pow(2.0, repeats) * (in->size + 12.0);
    for (size_t k = 0; k < 3 * in->n; k++)
        check_close(c, name, "component", in->count, k, (double)a[k], (double)b[k], tolerance);
    free(a);
    free(b);
}

static void check_norms(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    REAL *a = room(in->count * sizeof(REAL)), *b = room(in->count * sizeof(REAL));
    s->norms(in->x, in->atoms, in->count, a);
    v->norms(in->x, in->atoms, in->count, b);
    for (size_t k = 0; k < in->count; k++) /* squares below the smallest normal number lose relative precision */
        check_close(c, "norms", "length", in->count, k, (double)a[k], (double)b[k],
                    4.0 * EPS * (double)a[k] + sqrt(4.0 * MIN_NORMAL * EPS));
    free(a);
    free(b);
}

static void check_finite(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in)
{
    size_t values = 3 * in->n;
    check_equal(c, "first_not_finite", "none", values, values, v->first_not_finite(in->x, values));
    const REAL bad[3] = {(REAL)NAN, (REAL)INFINITY, (REAL)-INFINITY};
    for (size_t tries = 0; tries < 12 && values > 0; tries++) {
        size_t at = (size_t)(check_uniform(c) * (double)values);
        REAL old = in->x[at];
        in->x[at] = bad[tries % 3];
        check_equal(c, "first_not_finite", "place", values, at, v->first_not_finite(in->x, values));
        check_equal(c, "first_not_finite", "scalar place", values, at, s->first_not_finite(in->x, values));
        in->x[at] = old;
    }
}

/* ---- periodic boxes ---- */

/* The difference of two points modulo box vectors. */
static double periodic_difference(const struct gd_min_image *image, const REAL *a, const REAL *b)
{
    double r[3] = {(double)a[0] - (double)b[0], (double)a[1] - (double)b[1], (double)a[2] - (double)b[2]};
    gd_min_image_apply(image, r);
    return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

static void check_wrap(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in, const struct gd_box *box)
{
    struct gd_min_image image;
    if (gd_min_image_init(&image, box, NULL) != 0)
        abort();
    REAL *a = copy_of(in->x, 3 * in->n), *b = copy_of(in->x, 3 * in->n);
    s->wrap(a, in->atoms, in->count, box, &image);
    v->wrap(b, in->atoms, in->count, box, &image);
    double tolerance = 16.0 * EPS * (in->size + 40.0); /* 40 nm: the longest sum of edges here */
    for (size_t k = 0; k < in->n; k++)
        check_close(c, "wrap", "row modulo box", in->count, k, periodic_difference(&image, a + 3 * k, b + 3 * k), 0.0, tolerance);
    for (size_t k = 0; k < in->count && box->kind != GD_BOX_VACUUM && box->kind != GD_BOX_TRICLINIC; k++)
        for (size_t d = 0; d < 3; d++) { /* strictly inside, also after rounding */
            double inside = (double)b[3 * (in->atoms != NULL ? (size_t)in->atoms[k] : k) + d];
            check_equal(c, "wrap", "inside", in->count, 1, inside >= 0.0 && inside < box->vectors[d][d]);
        }
    free(a);
    free(b);
}

static void check_distances(struct check *c, const SET_TYPE *s, const SET_TYPE *v, const struct input *in, const struct gd_box *box)
{
    struct gd_min_image image;
    if (in->n == 0 || gd_min_image_init(&image, box, NULL) != 0)
        return;
    size_t count = in->count;
    int32_t(*pairs)[2] = room(count * sizeof *pairs);
    REAL *a = room(count * sizeof(REAL)), *b = room(count * sizeof(REAL));
    for (size_t k = 0; k < count; k++)
        for (int d = 0; d < 2; d++)
            pairs[k][d] = (int32_t)(check_uniform(c) * (double)in->n);
    s->pair_distances(in->x, in->n, (const int32_t(*)[2])pairs, count, &image, a);
    v->pair_distances(in->x, in->n, (const int32_t(*)[2])pairs, count, &image, b);
    double tolerance = 16.0 * EPS * (in->size + 40.0) + sqrt(4.0 * MIN_NORMAL * EPS);
    for (size_t k = 0; k < count; k++)
        check_close(c, "pair_distances", "distance", count, k, (double)a[k], (double)b[k], tolerance);
    for (int tries = 0; tries < 8 && count > 0; tries++) {
        size_t at = (size_t)(check_uniform(c) * (double)(2 * count));
        int32_t old = pairs[at / 2][at % 2];
        pairs[at / 2][at % 2] = tries % 2 ? -1 : (int32_t)in->n;
        size_t found = s->pair_distances(in->x, in->n, (const int32_t(*)[2])pairs, count, &image, a);
        check_close(c, "pair_distances", "bad index", count, at, (double)at, (double)found, 0.0);
        found = v->pair_distances(in->x, in->n, (const int32_t(*)[2])pairs, count, &image, b);
        check_close(c, "pair_distances", "bad index", count, at, (double)at, (double)found, 0.0);
        pairs[at / 2][at % 2] = old;
    }
    free(pairs);
    free(a);
    free(b);
    size_t num_a = in->n < 7 ? in->n : 7;
    a = room(num_a * in->n * sizeof(REAL));
    b = room(num_a * in->n * sizeof(REAL));
    s->distance_array(in->y, num_a, in->x, in->n, &image, a);
    v->distance_array(in->y, num_a, in->x, in->n, &image, b);
    for (size_t k = 0; k < num_a * in->n; k++)
        check_close(c, "distance_array", "distance", in->n, k, (double)a[k], (double)b[k], tolerance);
    free(a);
    free(b);
}

/* ---- pairs within a cutoff: the same list, but for pairs at the cutoff itself ---- */

struct found {
    size_t count;
    int32_t (*pairs)[2];
    REAL *distances;
};

static int find_pairs(const struct gd_kernels *k, const struct input *in, const struct gd_box *box, double cutoff, struct found *f)
{
    struct gd_pairs *search = NULL;
    struct gd_err err;
    int failed = gd_pairs_create(&search, k, gd_view_of(DTYPE, in->x, in->n, in->atoms, in->count), box, cutoff, &err);
    if (failed)
        return failed;
    f->count = gd_pairs_count(search);
    f->pairs = room(f->count * sizeof *f->pairs);
    f->distances = room(f->count * sizeof(REAL));
    failed = gd_pairs_fill(search, GD_PAIRS_SORTED, f->pairs, f->distances, &err);
    gd_pairs_destroy(&search);
    return failed;
}

static int64_t key(const struct found *f, size_t k)
{
    return k < f->count ? (int64_t)f->pairs[k][0] << 32 | f->pairs[k][1] : INT64_MAX;
}

static void compare_lists(struct check *c, size_t n, const struct found *a, const struct found *b, double cutoff, double tolerance)
{
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        if (key(a, i) == key(b, j)) {
            check_close(c, "grid_fill", "distance", n, i, (double)a->distances[i], (double)b->distances[j], tolerance);
            i++, j++;
        } else if (key(a, i) < key(b, j)) {
            check_close(c, "grid_fill", "pair only in scalar", n, i, (double)a->distances[i], cutoff, tolerance);
            i++;
        } else {
            check_close(c, "grid_fill", "pair only in variant", n, j, (double)b->distances[j], cutoff, tolerance);
            j++;
        }
    }
}

static void check_pairs(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant, const struct input *in,
                        const struct gd_box *box, double cutoff)
{
    struct found a, b;
    int failed_a = find_pairs(scalar, in, box, cutoff, &a);
    int failed_b = find_pairs(variant, in, box, cutoff, &b);
    check_equal(c, "grid_fill", "error", in->n, (uint64_t)-failed_a, (uint64_t)-failed_b);
    if (failed_a || failed_b)
        return;
    double tolerance = 16.0 * EPS * (in->size + 40.0);
    compare_lists(c, in->n, &a, &b, cutoff, tolerance);
    free(a.pairs);
    free(a.distances);
    free(b.pairs);
    free(b.distances);
}

/* Counts may move between neighbouring bins, and out at the end, by rounding; few do. */
static void check_histogram(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant, const struct input *in,
                            const struct gd_box *box, double cutoff)
{
    uint64_t a[20], b[20], all_a = 0, all_b = 0, moved = 0;
    size_t half = in->n / 2;
    struct gd_view whole = gd_view_all(DTYPE, in->x, in->n), part = whole;
    int32_t *atoms = room(half * sizeof *atoms);
    for (size_t k = 0; k < half; k++)
        atoms[k] = (int32_t)(2 * k);
    part.atoms = atoms;
    part.count = half;
    for (int mode = 0; mode < 2; mode++) {
        struct gd_view first = mode ? part : whole;
        int failed_a = gd_compute_rdf_counts(scalar, first, whole, box, cutoff, 20, a, NULL);
        int failed_b = gd_compute_rdf_counts(variant, first, whole, box, cutoff, 20, b, NULL);
        check_equal(c, "grid_histogram", "error", in->n, (uint64_t)-failed_a, (uint64_t)-failed_b);
        for (size_t k = 0; !failed_a && k < 20; k++) {
            all_a += a[k];
            all_b += b[k];
            moved += a[k] > b[k] ? a[k] - b[k] : b[k] - a[k];
        }
    }
    check_close(c, "grid_histogram", "moved", in->n, 0, (double)moved, 0.0, 4.0 + 1e-3 * (double)all_a);
    check_close(c, "grid_histogram", "total", in->n, 0, (double)all_a, (double)all_b, 2.0 + 1e-4 * (double)all_a);
    free(atoms);
}

static void check_input(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant, const struct input *in,
                        enum check_data kind)
{
    const SET_TYPE *s = KERNELS(scalar), *v = KERNELS(variant);
    check_sums(c, s, v, in);
    check_moments(c, s, v, in);
    check_bounds(c, s, v, in);
    check_correlate(c, s, v, in);
    check_norms(c, s, v, in);
    check_map(c, "translate", map_translate, s, v, in);
    check_map(c, "rotate", map_rotate, s, v, in);
    check_map(c, "scale", map_scale, s, v, in);
    if (in->atoms == NULL)
        check_finite(c, s, v, in);
    for (size_t b = 0; b < check_num_boxes; b++) {
        check_wrap(c, s, v, in, &check_boxes[b]);
        check_distances(c, s, v, in, &check_boxes[b]);
        if (kind != DATA_BOX && kind != DATA_FAR && kind != DATA_SAME)
            continue;
        check_pairs(c, scalar, variant, in, &check_boxes[b], 1.0);
        check_pairs(c, scalar, variant, in, &check_boxes[b], 0.3);
        if (in->atoms == NULL && kind == DATA_BOX)
            check_histogram(c, scalar, variant, in, &check_boxes[b], 0.9);
    }
}

/* A list too long for the caches takes another way out of the kernel. */
static void check_long_list(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant)
{
    struct gd_box box = {.kind = GD_BOX_RECTANGULAR, .vectors = {{10, 0, 0}, {0, 10, 0}, {0, 0, 10}}};
    struct input in = make_input(c, 15000, DATA_BOX, 0);
    check_pairs(c, scalar, variant, &in, &box, 1.8); /* some 2.7 million pairs */
    free_input(&in);
}

void CHECK(struct check *c, const struct gd_kernels *scalar, const struct gd_kernels *variant)
{
    for (size_t size = 0; size < check_num_sizes; size++)
        for (enum check_data kind = 0; kind < DATA_KINDS; kind++)
            for (int selected = 0; selected < 2; selected++) {
                struct input in = make_input(c, check_sizes[size], kind, selected);
                check_input(c, scalar, variant, &in, kind);
                free_input(&in);
                if (c->quiet && c->failures > 0)
                    return;
            }
    check_long_list(c, scalar, variant);
}
