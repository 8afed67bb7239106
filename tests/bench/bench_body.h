/* The timed calls of one precision; included by bench_kernels.c twice. A case is a kernel and the plain loop beside it. */

struct NAME(data) {
    const struct gd_kernels *k;
    size_t n, m; /* atoms; rows of the second array of distance_array */
    REAL *x, *y, *out;
    double *w;
    int32_t *atoms;
    int32_t (*pairs)[2];
    double edge[3];
    struct gd_box box;
    struct gd_min_image image;
    size_t num_pairs; /* room in found and found_d */
    int32_t (*found)[2];
    REAL *found_d;
    double sink[16];
};

typedef void (*NAME(call))(struct NAME(data) *);

#define KERNEL(name, ...)                                 \
    static void NAME(kernel_##name)(struct NAME(data) *d) \
    {                                                     \
        const struct SET *set = &d->k->PART;              \
        (void)set;                                        \
        __VA_ARGS__;                                      \
    }
#define PLAIN(name, ...)                                \
    static void NAME(loop_##name)(struct NAME(data) *d) \
    {                                                   \
        __VA_ARGS__;                                    \
    }

KERNEL(sum, set->sum(d->x, NULL, d->n, d->sink))
PLAIN(sum, NAME(plain_sum)(d->x, d->n, d->sink))
KERNEL(center_of_mass, gd_compute_center_of_mass(d->k, gd_view_all(DTYPE, d->x, d->n), d->w, d->sink, NULL))
PLAIN(center_of_mass, NAME(plain_weighted_sum)(d->x, d->w, d->n, d->sink))
KERNEL(com_selected, set->weighted_sum(d->x, d->w, d->atoms, d->n / 2, d->sink))
PLAIN(com_selected, NAME(plain_weighted_sum_selected)(d->x, d->w, d->atoms, d->n / 2, d->sink))
KERNEL(gyration, gd_compute_radius_of_gyration(d->k, gd_view_all(DTYPE, d->x, d->n), d->w, d->sink, NULL))
PLAIN(gyration, d->sink[0] = NAME(plain_gyration)(d->x, d->w, d->n))
KERNEL(bounds, set->bounds(d->x, NULL, d->n, d->sink, d->sink + 3))
PLAIN(bounds, REAL low[3], high[3]; NAME(plain_bounds)(d->x, d->n, low, high); d->sink[0] = (double)low[0] + (double)high[0])
KERNEL(kinetic_energy, d->sink[0] = set->weighted_squares(d->x, d->w, NULL, d->n))
PLAIN(kinetic_energy, d->sink[0] = NAME(plain_kinetic)(d->x, d->w, d->n))
KERNEL(kinetic_tensor, set->weighted_tensor(d->x, d->w, NULL, d->n, (double (*)[3])d->sink))
PLAIN(kinetic_tensor, NAME(plain_tensor)(d->x, d->w, d->n, (double (*)[3])d->sink))
KERNEL(fit, struct gd_fit fit; gd_compute_fit(d->k, gd_view_all(DTYPE, d->x, d->n), gd_view_all(DTYPE, d->y, d->n), NULL, &fit, NULL);
       d->sink[0] = fit.rmsd)
PLAIN(fit, NAME(plain_correlate)(d->x, d->y, d->n, (double (*)[3])d->sink, d->sink + 9))
KERNEL(norms, set->norms(d->x, NULL, d->n, d->out))
PLAIN(norms, NAME(plain_norms)(d->x, d->n, d->out))
static const double NAME(shift)[3] = {1e-3, -1e-3, 2e-3};
static const double NAME(factor)[3] = {1.0, 1.0, 1.0};
static const double NAME(turn)[3][3] = {{0.36, 0.48, -0.8}, {-0.8, 0.6, 0.0}, {0.48, 0.64, 0.6}};
KERNEL(translate, set->translate(d->y, NULL, d->n, NAME(shift)))
PLAIN(translate, NAME(plain_translate)(d->y, d->n, NAME(shift)))
KERNEL(rotate, set->rotate(d->y, NULL, d->n, NAME(turn), NAME(shift)))
PLAIN(rotate, NAME(plain_rotate)(d->y, d->n, NAME(turn), NAME(shift)))
KERNEL(scale, set->scale(d->y, NULL, d->n, NAME(factor), NAME(shift)))
PLAIN(scale, NAME(plain_scale)(d->y, d->n, NAME(factor), NAME(shift)))
KERNEL(wrap, set->wrap(d->y, NULL, d->n, &d->box, &d->image))
PLAIN(wrap, NAME(plain_wrap)(d->y, d->n, d->edge))
KERNEL(is_finite, d->sink[0] = (double)set->first_not_finite(d->x, 3 * d->n))
PLAIN(is_finite, d->sink[0] = (double)NAME(plain_finite)(d->x, 3 * d->n))
KERNEL(pair_distances, set->pair_distances(d->x, d->n, (const int32_t (*)[2])d->pairs, d->n, &d->image, d->out))
PLAIN(pair_distances, NAME(plain_pairs)(d->x, (const int32_t (*)[2])d->pairs, d->n, d->edge, d->out))
KERNEL(distance_array, set->distance_array(d->x, d->m, d->y, 10 * d->m, &d->image, d->found_d))
PLAIN(distance_array, NAME(plain_array)(d->x, d->m, d->y, 10 * d->m, d->edge, d->found_d))

static void NAME(kernel_neighbors)(struct NAME(data) *d)
{
    struct gd_pairs *p = NULL;
    if (gd_pairs_create(&p, d->k, gd_view_all(DTYPE, d->x, d->n), &d->box, 1.0, NULL) != 0)
        return;
    d->sink[0] = (double)gd_pairs_count(p);
    if (gd_pairs_count(p) <= d->num_pairs)
        gd_pairs_fill(p, GD_PAIRS_GROUPED, d->found, d->found_d, NULL);
    gd_pairs_destroy(&p);
}

static void NAME(kernel_neighbors_sorted)(struct NAME(data) *d)
{
    struct gd_pairs *p = NULL;
    if (gd_pairs_create(&p, d->k, gd_view_all(DTYPE, d->x, d->n), &d->box, 1.0, NULL) != 0)
        return;
    if (gd_pairs_count(p) <= d->num_pairs)
        gd_pairs_fill(p, GD_PAIRS_SORTED, d->found, d->found_d, NULL);
    gd_pairs_destroy(&p);
}

static void NAME(kernel_neighbors_count)(struct NAME(data) *d)
{
    struct gd_pairs *p = NULL;
    if (gd_pairs_create(&p, d->k, gd_view_all(DTYPE, d->x, d->n), &d->box, 1.0, NULL) == 0)
        gd_pairs_destroy(&p);
}

PLAIN(neighbors, d->sink[0] = (double)NAME(plain_neighbors)(d->x, d->n, d->edge, 1.0, d->found, d->found_d, d->num_pairs))
KERNEL(rdf, uint64_t counts[200]; struct gd_view a = gd_view_all(DTYPE, d->x, d->n / 3);
       gd_compute_rdf_counts(d->k, a, a, &d->box, 1.0, 200, counts, NULL))
PLAIN(rdf, uint64_t counts[200]; NAME(plain_rdf)(d->x, d->n / 3, d->edge, 1.0, 200, counts))

static const struct {
    const char *name;
    NAME(call) kernel, loop;
    double bytes; /* per atom; 0 for what is not a stream */
    int slow;     /* timed a few times only, and not at more than 100,000 atoms */
} NAME(cases)[] = {
    {"sum", NAME(kernel_sum), NAME(loop_sum), 3 * sizeof(REAL), 0},
    {"centre of mass", NAME(kernel_center_of_mass), NAME(loop_center_of_mass), 3 * sizeof(REAL) + 8, 0},
    {"centre of mass, half", NAME(kernel_com_selected), NAME(loop_com_selected), 0, 0},
    {"radius of gyration", NAME(kernel_gyration), NAME(loop_gyration), 3 * sizeof(REAL) + 8, 0},
    {"bounds", NAME(kernel_bounds), NAME(loop_bounds), 3 * sizeof(REAL), 0},
    {"kinetic energy", NAME(kernel_kinetic_energy), NAME(loop_kinetic_energy), 3 * sizeof(REAL) + 8, 0},
    {"kinetic tensor", NAME(kernel_kinetic_tensor), NAME(loop_kinetic_tensor), 3 * sizeof(REAL) + 8, 0},
    {"superposition", NAME(kernel_fit), NAME(loop_fit), 6 * sizeof(REAL), 0},
    {"norms", NAME(kernel_norms), NAME(loop_norms), 4 * sizeof(REAL), 0},
    {"translate", NAME(kernel_translate), NAME(loop_translate), 6 * sizeof(REAL), 0},
    {"rotate", NAME(kernel_rotate), NAME(loop_rotate), 6 * sizeof(REAL), 0},
    {"scale", NAME(kernel_scale), NAME(loop_scale), 6 * sizeof(REAL), 0},
    {"wrap", NAME(kernel_wrap), NAME(loop_wrap), 6 * sizeof(REAL), 0},
    {"all finite", NAME(kernel_is_finite), NAME(loop_is_finite), 3 * sizeof(REAL), 0},
    {"pair distances", NAME(kernel_pair_distances), NAME(loop_pair_distances), 0, 0},
    {"distance array 1e3 x 1e4", NAME(kernel_distance_array), NAME(loop_distance_array), 0, 1},
    {"pairs within 1.0 nm", NAME(kernel_neighbors), NAME(loop_neighbors), 0, 1},
    {"pairs, sorted", NAME(kernel_neighbors_sorted), NAME(loop_neighbors), 0, 1},
    {"pairs, counted only", NAME(kernel_neighbors_count), NULL, 0, 1},
    {"rdf of a third to 1.0 nm", NAME(kernel_rdf), NAME(loop_rdf), 0, 1},
};

static void NAME(make_data)(struct NAME(data) *d, const struct gd_kernels *k, size_t n)
{
    uint64_t random = 42;
    double edge = cbrt((double)n / 100.0); /* the density of water, atoms per nm^3 */
    memset(d, 0, sizeof *d);
    d->k = k;
    d->n = n;
    d->m = n < 10000 ? n / 10 : 1000;
    d->x = array(3 * n * sizeof(REAL));
    d->y = array(3 * n * sizeof(REAL));
    d->out = array(n * sizeof(REAL));
    d->w = array(n * sizeof(double));
    d->atoms = array(n * sizeof(int32_t));
    d->pairs = array(n * sizeof *d->pairs);
    d->box.kind = GD_BOX_RECTANGULAR;
    for (int c = 0; c < 3; c++)
        d->edge[c] = d->box.vectors[c][c] = edge;
    gd_min_image_init(&d->image, &d->box, NULL);
    for (size_t i = 0; i < 3 * n; i++) {
        d->x[i] = (REAL)(uniform(&random) * edge);
        d->y[i] = (REAL)(uniform(&random) * edge);
    }
    for (size_t i = 0; i < n; i++) {
        d->w[i] = i % 3 ? 1.008 : 15.9994;
        d->atoms[i] = (int32_t)(2 * i < n ? 2 * i : 0);
        for (int c = 0; c < 2; c++)
            d->pairs[i][c] = (int32_t)(uniform(&random) * (double)n);
    }
    d->num_pairs = n <= 100000 ? n * 230 : 16;
    d->found = array(d->num_pairs * sizeof *d->found);
    d->found_d = array(d->num_pairs * sizeof(REAL));
    memset(d->found, 0, d->num_pairs * sizeof *d->found);
    memset(d->found_d, 0, d->num_pairs * sizeof(REAL));
}

static void NAME(free_data)(struct NAME(data) *d)
{
    free(d->x), free(d->y), free(d->out), free(d->w), free(d->atoms), free(d->pairs), free(d->found), free(d->found_d);
}

/* Kernel, loop and triad take turns, so that what disturbs the machine disturbs all; a quick one runs once untimed before
 * each timing, so that it finds its own data in the caches and not its predecessor's. */
static void NAME(time_case)(struct NAME(data) *d, size_t at, struct triad *triad)
{
    struct times kernel = {.num = 0}, loop = {.num = 0}, stream = {.num = 0};
    int slow = NAME(cases)[at].slow;
    double start = now();
    for (int r = 0; r < (slow ? 5 : MAX_TIMES) && (r < 5 || now() - start < 0.4); r++) {
        for (int warm = slow; warm < 2; warm++) {
            double before = now();
            NAME(cases)[at].kernel(d);
            if (warm)
                add_time(&kernel, now() - before);
        }
        for (int warm = slow; warm < 2 && NAME(cases)[at].loop != NULL; warm++) {
            double before = now();
            NAME(cases)[at].loop(d);
            if (warm)
                add_time(&loop, now() - before);
        }
        for (int warm = 0; warm < 2 && NAME(cases)[at].bytes > 0.0; warm++) {
            double before = now();
            run_triad(triad);
            if (warm)
                add_time(&stream, now() - before);
        }
    }
    double bandwidth = stream.num > 0 ? 24.0 * (double)triad->n / quantile(&stream, 0.5) : 0.0;
    print_row(NAME(cases)[at].name, d->k->name, sizeof(REAL), d->n, &kernel, NAME(cases)[at].loop != NULL ? &loop : NULL,
              NAME(cases)[at].bytes * (double)d->n, bandwidth);
}

static void NAME(bench)(const struct gd_kernels *k, size_t n, struct triad *triad)
{
    struct NAME(data) d;
    NAME(make_data)(&d, k, n);
    for (size_t at = 0; at < sizeof NAME(cases) / sizeof NAME(cases)[0]; at++)
        if (!NAME(cases)[at].slow || n <= 100000)
            NAME(time_case)(&d, at, triad);
    NAME(free_data)(&d);
}
