/* Minimum images, distances, pairs within a cutoff and radial distributions against exhaustive search. */
#include "kernels_data.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "core/crew.h"

/* Shortest |r + n1 a + n2 b + n3 c| by trying them all; the ranges cover the skewed boxes here: their c has to be made up
 * for by a few b, and those by many a. */
static double shortest_image(const struct gd_box *box, const double r[3])
{
    double best = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    double v[3][3];
    memcpy(v, box->vectors, sizeof v);
    if (box->kind == GD_BOX_VACUUM)
        return sqrt(best);
    if (box->kind == GD_BOX_TRUNCATED_OCTAHEDRON) { /* the third vector becomes half the diagonal */
        for (int c = 0; c < 3; c++)
            v[2][c] = 0.5 * box->vectors[c][c];
    }
    for (int a = -45; a <= 45; a++)
        for (int b = -9; b <= 9; b++)
            for (int c = -4; c <= 4; c++) {
                double square = 0;
                for (int d = 0; d < 3; d++) {
                    double x = r[d] + a * v[0][d] + b * v[1][d] + c * v[2][d];
                    square += x * x;
                }
                best = square < best ? square : best;
            }
    return sqrt(best);
}

Test(kernels_pairs, minimum_image_is_the_shortest)
{
    for (int b = 0; b < NUM_BOXES; b++) {
        struct gd_min_image image;
        uint64_t state = 13;
        cr_assert_eq(gd_min_image_init(&image, &BOXES[b], NULL), 0);
        for (int i = 0; i < 60; i++) {
            double r[3], moved[3];
            for (int c = 0; c < 3; c++)
                moved[c] = r[c] = 6.0 * next_uniform(&state) - 3.0;
            gd_min_image_apply(&image, moved);
            double length = sqrt(moved[0] * moved[0] + moved[1] * moved[1] + moved[2] * moved[2]);
            cr_assert_float_eq(length, shortest_image(&BOXES[b], r), 1e-12, "box %d", b);
        }
    }
}

Test(kernels_pairs, half_width_is_half_the_shortest_lattice_vector)
{
    struct gd_min_image image;
    cr_assert_eq(gd_min_image_init(&image, &BOXES[BOX_RECTANGULAR], NULL), 0);
    cr_assert_float_eq(image.half_width, 1.5, 1e-15);
    cr_assert_eq(gd_min_image_init(&image, &BOXES[BOX_OCTAHEDRON], NULL), 0);
    cr_assert_float_eq(image.half_width, gd_box_half_width(&BOXES[BOX_OCTAHEDRON]), 1e-14);
    cr_assert_eq(gd_min_image_init(&image, &BOXES[BOX_SKEWED], NULL), 0);
    cr_assert(image.half_width >= gd_box_half_width(&BOXES[BOX_SKEWED]));
    /* A cube written with skewed vectors is still a cube. */
    const struct gd_box cube = {.kind = GD_BOX_TRICLINIC, .vectors = {{2, 0, 0}, {2, 2, 0}, {-4, 6, 2}}};
    cr_assert_eq(gd_min_image_init(&image, &cube, NULL), 0);
    cr_assert_eq(image.kind, GD_BOX_RECTANGULAR);
    cr_assert_eq(image.half_width, 1.0);
}

enum { N = 240 };

static void fill(float *xf, double *xd, double spread)
{
    uint64_t state = 29;
    for (int i = 0; i < 3 * N; i++) {
        xf[i] = (float)(spread * next_uniform(&state) - 0.3 * spread);
        xd[i] = (double)xf[i];
    }
}

static double distance(const struct gd_min_image *image, const double *x, size_t i, size_t j)
{
    double r[3] = {x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1], x[3 * j + 2] - x[3 * i + 2]};
    gd_min_image_apply(image, r);
    return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

/* Every pair i < j within the cutoff by exhaustive search, in order; a pair that is as good as at the cutoff may be in the
 * list or not. */
static void compare_pairs(const struct gd_kernels *k, const struct gd_box *box, struct gd_view v, const double *xd, double cutoff,
                          double tolerance)
{
    struct gd_min_image image;
    struct gd_pairs *p = NULL;
    struct gd_err err = {0};
    gd_min_image_init(&image, box, NULL);
    cr_assert_eq(gd_pairs_create(&p, k, v, box, cutoff, &err), 0, "%s", err.text);
    size_t m = gd_pairs_count(p), at = 0;
    int32_t(*pairs)[2] = malloc((m + 1) * sizeof *pairs);
    double *d = malloc((m + 1) * sizeof *d);
    cr_assert_eq(gd_pairs_fill(p, GD_PAIRS_SORTED, pairs, d, &err), 0);
    for (size_t a = 0; a < v.count; a++)
        for (size_t b = a + 1; b < v.count; b++) {
            size_t i = v.atoms ? (size_t)v.atoms[a] : a, j = v.atoms ? (size_t)v.atoms[b] : b;
            double expected = distance(&image, xd, i, j);
            int listed = at < m && pairs[at][0] == (int32_t)i && pairs[at][1] == (int32_t)j;
            if (fabs(expected - cutoff) > tolerance)
                cr_assert_eq(listed, expected < cutoff, "%s: pair %zu %zu at %.9g", k->name, i, j, expected);
            if (!listed)
                continue;
            double found = v.dtype == GD_FLOAT32 ? (double)((float *)(void *)d)[at] : d[at];
            cr_assert_float_eq(found, expected, tolerance, "%s: pair %zu %zu", k->name, i, j);
            at++;
        }
    cr_assert_eq(at, m, "%s: %zu pairs too many or out of order", k->name, m - at);
    free(pairs);
    free(d);
    gd_pairs_destroy(&p);
    cr_assert_null(p);
}

Test(kernels_pairs, neighbors_are_those_of_exhaustive_search)
{
    static float xf[3 * N];
    static double xd[3 * N];
    int32_t third[N / 3];
    fill(xf, xd, 9.0);
    for (int i = 0; i < N / 3; i++)
        third[i] = 3 * i;
    FOR_EACH_VARIANT(k)
    for (int b = 0; b < NUM_BOXES; b++)
        for (int mode = 0; mode < 4; mode++) {
            struct gd_min_image image;
            gd_min_image_init(&image, &BOXES[b], NULL);
            int single = mode & 1;
            struct gd_view v =
                gd_view_of(single ? GD_FLOAT32 : GD_FLOAT64, single ? (void *)xf : (void *)xd, N, mode & 2 ? third : NULL, N / 3);
            /* float: coordinates of up to 6 nm, and boxes of up to 25 nm to be shifted by; double: the same, 1e-9 times */
            double tolerance = single ? 1e-5 : 1e-13;
            compare_pairs(k, &BOXES[b], v, xd, 0.5, tolerance);
            compare_pairs(k, &BOXES[b], v, xd, 1.1, tolerance);
            if (b != BOX_VACUUM)
                compare_pairs(k, &BOXES[b], v, xd, image.half_width, 4 * tolerance);
            else
                compare_pairs(k, &BOXES[b], v, xd, 1e4, tolerance);
        }
}

Test(kernels_pairs, a_crystal_at_half_the_box)
{
    /* 4 x 4 x 4 points 0.5 nm apart in a 2 nm cube; at 1 nm, half the box, pairs are at ties everywhere. */
    double x[3 * 64];
    const struct gd_box cube = {.kind = GD_BOX_RECTANGULAR, .vectors = {{2, 0, 0}, {0, 2, 0}, {0, 0, 2}}};
    for (int i = 0; i < 64; i++)
        for (int c = 0; c < 3; c++)
            x[3 * i + c] = 0.5 * (i >> (2 * c) & 3);
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT64, x, 64), &cube, 0.6, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 64u * 6 / 2, "%s: six neighbours each", k->name);
        gd_pairs_destroy(&p);
        /* below 1 nm: 6 at 0.5, 12 at 0.707, 8 at 0.866; those at exactly 1 nm, half the box, are left out */
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT64, x, 64), &cube, 1.0, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 64u * 26 / 2, "%s: %zu", k->name, gd_pairs_count(p));
        gd_pairs_destroy(&p);
    }
}

Test(kernels_pairs, orders_hold_the_same_pairs)
{
    static float xf[3 * N];
    static double xd[3 * N];
    fill(xf, xd, 3.0);
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, xf, N), &BOXES[BOX_TRICLINIC], 1.0, NULL), 0);
        size_t m = gd_pairs_count(p);
        int32_t(*grouped)[2] = malloc(m * sizeof *grouped), (*sorted)[2] = malloc(m * sizeof *sorted);
        float *d = malloc(m * sizeof *d), *e = malloc(m * sizeof *e);
        gd_pairs_fill(p, GD_PAIRS_GROUPED, grouped, d, NULL);
        gd_pairs_fill(p, GD_PAIRS_SORTED, sorted, e, NULL);
        double sum = 0, other = 0;
        for (size_t a = 0; a < m; a++) {
            cr_assert_eq(grouped[a][0], sorted[a][0]);
            cr_assert(a == 0 || sorted[a - 1][0] < sorted[a][0] || (sorted[a - 1][0] == sorted[a][0] && sorted[a - 1][1] < sorted[a][1]));
            sum += (double)d[a] * grouped[a][1];
            other += (double)e[a] * sorted[a][1];
        }
        cr_assert_float_eq(sum, other, 1e-9 * fabs(sum), "distances went with the wrong pairs");
        cr_assert_eq(gd_pairs_fill(p, (enum gd_pairs_order)7, sorted, e, NULL), GD_E_INVALID_ARGUMENT);
        free(grouped), free(sorted), free(d), free(e);
        gd_pairs_destroy(&p);
    }
}

Test(kernels_pairs, unordered_and_repeated_selections)
{
    const float x[12] = {0, 0, 0, 0.1f, 0, 0, 0.2f, 0, 0, 9, 9, 9};
    const int32_t atoms[6] = {2, 0, 3, 2, 1, 0};
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        int32_t pairs[3][2];
        float d[3];
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_of(GD_FLOAT32, x, 4, atoms, 6), &BOXES[BOX_VACUUM], 0.5, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 3u);
        gd_pairs_fill(p, GD_PAIRS_SORTED, pairs, d, NULL);
        cr_assert(pairs[0][0] == 0 && pairs[0][1] == 1 && pairs[1][0] == 0 && pairs[1][1] == 2 && pairs[2][0] == 1 && pairs[2][1] == 2);
        gd_pairs_destroy(&p);
        gd_pairs_destroy(&p);
    }
}

Test(kernels_pairs, clusters_sort_right)
{
    /* Rows whose j stand close together take another way through the sort. */
    enum { CLUSTER = 400, ATOMS = 60000 };
    float *x = malloc(3 * ATOMS * sizeof *x);
    uint64_t state = 4;
    for (int i = 0; i < ATOMS; i++)
        for (int c = 0; c < 3; c++)
            x[3 * i + c] = i < CLUSTER ? (float)(0.4 * next_uniform(&state)) : (float)(100 + i);
    x[3 * (ATOMS - 1)] = x[3 * (ATOMS - 1) + 1] = x[3 * (ATOMS - 1) + 2] = 0.2f; /* the last atom joins the first ones */
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, ATOMS), &BOXES[BOX_VACUUM], 1.0, NULL), 0);
        size_t m = gd_pairs_count(p);
        cr_assert_eq(m, (size_t)(CLUSTER + 1) * CLUSTER / 2);
        int32_t(*pairs)[2] = malloc(m * sizeof *pairs);
        float *d = malloc(m * sizeof *d);
        gd_pairs_fill(p, GD_PAIRS_SORTED, pairs, d, NULL);
        for (size_t a = 1; a < m; a++)
            cr_assert(pairs[a - 1][0] < pairs[a][0] || pairs[a - 1][1] < pairs[a][1]);
        free(pairs), free(d);
        gd_pairs_destroy(&p);
    }
    free(x);
}

Test(kernels_pairs, empty_and_far_apart)
{
    /* Atoms as far apart as float goes must not make a grid of 10^100 cells, nor hang. */
    const float x[15] = {0, 0, 0, 3e38f, -3e38f, 3e38f, 0.1f, 0, 0, -3e38f, 3e38f, 1, 1e-40f, 0, 0};
    const double wide[6] = {1e308, -1e308, 1e308, -1e308, 1e308, 0};
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, 0), &BOXES[BOX_RECTANGULAR], 1.0, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 0u);
        gd_pairs_destroy(&p);
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, 5), &BOXES[BOX_VACUUM], 1.0, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 3u, "%s: %zu", k->name, gd_pairs_count(p));
        gd_pairs_destroy(&p);
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT64, wide, 2), &BOXES[BOX_VACUUM], 1.0, NULL), 0);
        cr_assert_eq(gd_pairs_count(p), 0u);
        gd_pairs_destroy(&p);
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, 5), &BOXES[BOX_OCTAHEDRON], 1.0, NULL), 0);
        gd_pairs_destroy(&p);
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, 5), &BOXES[BOX_SKEWED], 1.0, NULL), 0);
        gd_pairs_destroy(&p);
    }
}

Test(kernels_pairs, a_few_atoms_that_flew_off)
{
    /* 20,000 atoms in a drop and some far away, in one direction each or in all: same pairs as an exhaustive search finds
     * around the strays, and the same count as without them. (That it is fast too is for the benchmark.) */
    enum { DROP = 20000, STRAYS = 60 };
    float *x = malloc(3 * (DROP + STRAYS) * sizeof *x);
    uint64_t state = 12;
    for (int i = 0; i < 3 * DROP; i++)
        x[i] = (float)(6.0 * next_uniform(&state));
    for (int i = DROP; i < DROP + STRAYS; i++)
        for (int c = 0; c < 3; c++) /* pairs of neighbours, 0.25 nm apart, at 10 nm to 10^6 nm */
            x[3 * i + c] = (i / 2 % 4 == c || i / 2 % 4 == 3 ? (i % 8 < 4 ? 1.0f : -1.0f) * powf(10.0f, (float)(1 + i / 2 % 5)) : 3.0f) +
                           0.25f * (float)(i % 2 && c == 1);
    FOR_EACH_VARIANT(k)
    {
        struct gd_pairs *p = NULL;
        size_t without, with, expected = 0;
        for (int i = DROP; i < DROP + STRAYS; i++)
            for (int j = 0; j < i; j++) {
                double d = 0;
                for (int c = 0; c < 3; c++)
                    d += ((double)x[3 * i + c] - (double)x[3 * j + c]) * ((double)x[3 * i + c] - (double)x[3 * j + c]);
                expected += d <= 0.09;
            }
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, DROP), &BOXES[BOX_VACUUM], 0.3, NULL), 0);
        without = gd_pairs_count(p);
        gd_pairs_destroy(&p);
        cr_assert_eq(gd_pairs_create(&p, k, gd_view_all(GD_FLOAT32, x, DROP + STRAYS), &BOXES[BOX_VACUUM], 0.3, NULL), 0);
        with = gd_pairs_count(p);
        gd_pairs_destroy(&p);
        cr_assert(expected >= STRAYS / 2, "%zu", expected);
        cr_assert_eq(with, without + expected, "%s: %zu of %zu", k->name, with - without, expected);
    }
    free(x);
}

Test(kernels_pairs, cutoffs_that_are_refused)
{
    const float x[6] = {0};
    const double bad[] = {0.0, -1.0, NAN, INFINITY, 1.51, 1e9};
    FOR_EACH_VARIANT(k)
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gd_pairs *p = NULL;
        struct gd_err err = {0};
        uint64_t counts[4] = {7, 7, 7, 7};
        struct gd_view v = gd_view_all(GD_FLOAT32, x, 2);
        cr_assert_eq(gd_pairs_create(&p, k, v, &BOXES[BOX_RECTANGULAR], bad[i], &err), GD_E_INVALID_ARGUMENT);
        cr_assert_null(p);
        cr_assert(i < 4 || strstr(err.text, "1.5 nm"), "%s", err.text);
        cr_assert_eq(gd_compute_rdf_counts(k, v, v, &BOXES[BOX_RECTANGULAR], bad[i], 4, counts, &err), GD_E_INVALID_ARGUMENT);
        cr_assert_eq(counts[0], 7u);
    }
}

Test(kernels_pairs, distances)
{
    static float xf[3 * N];
    static double xd[3 * N];
    int32_t pairs[500][2], atoms[7] = {3, 3, 100, 0, 239, 17, 18};
    uint64_t state = 41;
    fill(xf, xd, 9.0);
    for (int m = 0; m < 500; m++)
        for (int c = 0; c < 2; c++)
            pairs[m][c] = (int32_t)(next_uniform(&state) * N);
    FOR_EACH_VARIANT(k)
    for (int b = 0; b < NUM_BOXES; b++) {
        float df[500], af[7 * N];
        double dd[500], ad[N * 7];
        struct gd_min_image image;
        gd_min_image_init(&image, &BOXES[b], NULL);
        struct gd_view f = gd_view_all(GD_FLOAT32, xf, N), d = gd_view_all(GD_FLOAT64, xd, N);
        struct gd_view fs = gd_view_of(GD_FLOAT32, xf, N, atoms, 7), ds = gd_view_of(GD_FLOAT64, xd, N, atoms, 7);
        cr_assert_eq(gd_compute_pair_distances(k, f, (const int32_t(*)[2])pairs, 500, &BOXES[b], df, NULL), 0);
        cr_assert_eq(gd_compute_pair_distances(k, d, (const int32_t(*)[2])pairs, 500, &BOXES[b], dd, NULL), 0);
        for (int m = 0; m < 500; m++) {
            double expected = distance(&image, xd, (size_t)pairs[m][0], (size_t)pairs[m][1]);
            cr_assert_float_eq(dd[m], expected, 1e-13, "%s box %d", k->name, b);
            cr_assert_float_eq((double)df[m], expected, 1e-5, "%s box %d", k->name, b);
        }
        cr_assert_eq(gd_compute_distance_array(k, fs, f, &BOXES[b], af, NULL), 0);
        cr_assert_eq(gd_compute_distance_array(k, d, ds, &BOXES[b], ad, NULL), 0);
        for (size_t i = 0; i < 7; i++)
            for (size_t j = 0; j < N; j++) {
                double expected = distance(&image, xd, (size_t)atoms[i], j);
                cr_assert_float_eq((double)af[i * N + j], expected, 1e-5, "%s box %d", k->name, b);
                cr_assert_float_eq(ad[j * 7 + i], expected, 1e-13, "%s box %d", k->name, b);
            }
        cr_assert_eq(gd_compute_distance_array(k, f, d, &BOXES[b], af, NULL), GD_E_INVALID_DTYPE);
    }
}

Test(kernels_pairs, distances_of_unchecked_pairs)
{
    enum { PAIRS = 5000 }; /* many chunks and a part of one */
    static int32_t pairs[PAIRS][2];
    static float found[PAIRS];
    static float xf[3 * N];
    static double xd[3 * N];
    uint64_t state = 11;
    fill(xf, xd, 9.0);
    for (int m = 0; m < PAIRS; m++)
        for (int c = 0; c < 2; c++)
            pairs[m][c] = (int32_t)(next_uniform(&state) * N);
    struct gd_view f = gd_view_all(GD_FLOAT32, xf, N);
    FOR_EACH_VARIANT(k)
    {
        const int32_t(*given)[2] = (const int32_t(*)[2])pairs;
        for (int at = 1; at < 2 * PAIRS; at += 1999) {
            struct gd_err err = {0};
            char named[32];
            int32_t kept = pairs[at / 2][at % 2];
            pairs[at / 2][at % 2] = at % 4 == 1 ? N : -1;
            cr_assert_eq(gd_compute_pair_distances(k, f, given, PAIRS, &BOXES[1], found, &err), GD_E_INDEX_OUT_OF_RANGE);
            snprintf(named, sizeof named, "pairs[%d][%d] is %d;", at / 2, at % 2, (int)pairs[at / 2][at % 2]);
            cr_assert_not_null(strstr(err.text, named), "'%s' in '%s'", named, err.text);
            pairs[at / 2][at % 2] = kept;
        }
        cr_assert_eq(gd_compute_pair_distances(k, f, given, 0, &BOXES[1], found, NULL), 0);
    }
}

Test(kernels_pairs, rdf_counts_are_those_of_exhaustive_search)
{
    enum { BINS = 23 };
    static float xf[3 * N];
    static double xd[3 * N];
    int32_t even[N / 2], low[50];
    fill(xf, xd, 9.0);
    for (int i = 0; i < N / 2; i++)
        even[i] = 2 * i;
    for (int i = 0; i < 50; i++)
        low[i] = i;
    const double r_max = 1.15;
    FOR_EACH_VARIANT(k)
    for (int b = 0; b < NUM_BOXES; b++)
        for (int mode = 0; mode < 3; mode++) {
            struct gd_min_image image;
            uint64_t counts[BINS], expected[BINS] = {0};
            gd_min_image_init(&image, &BOXES[b], NULL);
            struct gd_view first = gd_view_of(GD_FLOAT64, xd, N, mode == 0 ? NULL : even, N / 2);
            struct gd_view second = gd_view_of(GD_FLOAT64, xd, N, mode == 0 ? NULL : mode == 1 ? even : low, mode == 2 ? 50 : N / 2);
            cr_assert_eq(gd_compute_rdf_counts(k, first, second, &BOXES[b], r_max, BINS, counts, NULL), 0);
            for (size_t i = 0; i < first.count; i++)
                for (size_t j = 0; j < second.count; j++) {
                    size_t p = first.atoms ? (size_t)first.atoms[i] : i, q = second.atoms ? (size_t)second.atoms[j] : j;
                    double bin = distance(&image, xd, p, q) / r_max * BINS;
                    if (p != q && bin < BINS)
                        expected[(size_t)bin]++;
                }
            cr_assert_eq(memcmp(counts, expected, sizeof counts), 0, "%s box %d mode %d", k->name, b, mode);
        }
}

Test(kernels_pairs, rdf_of_a_gas_is_one)
{
    enum { ATOMS = 20000, BINS = 10 };
    float *x = malloc(3 * ATOMS * sizeof *x);
    const struct gd_box box = {.kind = GD_BOX_RECTANGULAR, .vectors = {{8, 0, 0}, {0, 8, 0}, {0, 0, 8}}};
    uint64_t state = 43;
    for (int i = 0; i < 3 * ATOMS; i++)
        x[i] = (float)(8.0 * next_uniform(&state));
    FOR_EACH_VARIANT(k)
    {
        uint64_t counts[BINS];
        double r[BINS], g[BINS];
        struct gd_view v = gd_view_all(GD_FLOAT32, x, ATOMS);
        cr_assert_eq(gd_compute_rdf_counts(k, v, v, &box, 1.0, BINS, counts, NULL), 0);
        cr_assert_eq(gd_compute_rdf_normalize(counts, BINS, 1.0, ATOMS, ATOMS, ATOMS, &box, r, g, NULL), 0);
        for (int bin = 0; bin < BINS; bin++) {
            double error = 5.0 / sqrt(0.5 * (double)counts[bin] + 1.0); /* five standard errors of a count */
            cr_assert_float_eq(g[bin], 1.0, error, "%s bin %d: %g", k->name, bin, g[bin]);
            cr_assert_float_eq(r[bin], (bin + 0.5) / BINS, 1e-15);
        }
    }
    double r, g;
    uint64_t one = 1;
    cr_assert_eq(gd_compute_rdf_normalize(&one, 1, 1.0, 1, 1, 1, &box, &r, &g, NULL), GD_E_INVALID_ARGUMENT);
    free(x);
}

/* ---- threads ---- */

enum { MANY = 3000, ROWS = 100, ROW_BINS = 50 };

/* All that is divided among threads, by one and by three: the same bits. */
static void compare_threads(const struct gd_kernels *k, struct gd_crew *crew, const struct gd_box *box, struct gd_view v)
{
    struct gd_kernels shared = *k;
    shared.crew = crew;
    shared.threads = 3;
    int32_t first[ROWS];
    for (int i = 0; i < ROWS; i++)
        first[i] = 7 * i;
    struct gd_view some = gd_view_of(v.dtype, v.data, v.num_atoms, first, ROWS);
    size_t bytes = (size_t)ROWS * MANY * (size_t)v.dtype;
    void *results[2] = {malloc(bytes), malloc(bytes)};
    uint64_t counts[2][ROW_BINS];
    struct gd_pairs *p[2] = {NULL, NULL};
    const struct gd_kernels *tables[2] = {k, &shared};
    for (int t = 0; t < 2; t++) {
        cr_assert_eq(gd_compute_distance_array(tables[t], some, v, box, results[t], NULL), 0);
        cr_assert_eq(gd_compute_rdf_counts(tables[t], v, v, box, 0.7, ROW_BINS, counts[t], NULL), 0);
        cr_assert_eq(gd_pairs_create(&p[t], tables[t], v, box, 0.5, NULL), 0);
    }
    cr_assert_eq(memcmp(results[0], results[1], bytes), 0);
    cr_assert_eq(memcmp(counts[0], counts[1], sizeof counts[0]), 0);
    size_t found = gd_pairs_count(p[0]);
    cr_assert(found > 10000 && gd_pairs_count(p[1]) == found);
    int32_t(*pairs[2])[2];
    for (int t = 0; t < 2; t++) {
        pairs[t] = malloc(found * sizeof *pairs[t]);
        results[t] = realloc(results[t], found * (size_t)v.dtype);
        cr_assert_eq(gd_pairs_fill(p[t], GD_PAIRS_SORTED, pairs[t], results[t], NULL), 0);
        gd_pairs_destroy(&p[t]);
    }
    cr_assert_eq(memcmp(pairs[0], pairs[1], found * sizeof *pairs[0]), 0);
    cr_assert_eq(memcmp(results[0], results[1], found * (size_t)v.dtype), 0);
    for (int t = 0; t < 2; t++) {
        free(pairs[t]);
        free(results[t]);
    }
}

Test(kernels_pairs, threads_change_no_bit)
{
    struct gd_crew *crew = NULL;
    struct gd_err err = {0};
    uint64_t state = 71;
    cr_assert_eq(gd_crew_create(&crew, 4, &err), 0, "%s", err.text);
    double *xd = malloc(3 * MANY * sizeof *xd);
    float *xf = malloc(3 * MANY * sizeof *xf);
    for (int i = 0; i < 3 * MANY; i++)
        xf[i] = (float)(xd[i] = 3.0 * next_uniform(&state));
    FOR_EACH_VARIANT(k)
    for (int b = 0; b < NUM_BOXES; b++) {
        if (b == BOX_SKEWED)
            continue; /* too thin for the reach asked for */
        compare_threads(k, crew, &BOXES[b], gd_view_all(GD_FLOAT32, xf, MANY));
        compare_threads(k, crew, &BOXES[b], gd_view_all(GD_FLOAT64, xd, MANY));
    }
    gd_crew_destroy(&crew);
    free(xf);
    free(xd);
}
