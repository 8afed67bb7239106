/* Radial distribution functions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "kernels/compute.h"
#include "kernels/grid_build.h"
#include "kernels/split.h"

#define MAX_BINS (1u << 24) /* the bin number must be exact in float */
#define HOME_PIECE 512      /* atoms a thread takes at a time */

static int same_selection(struct gd_view a, struct gd_view b)
{
    if (a.count != b.count)
        return 0;
    if (a.atoms == b.atoms)
        return 1;
    return a.atoms != NULL && b.atoms != NULL && memcmp(a.atoms, b.atoms, a.count * sizeof *a.atoms) == 0;
}

/* One home point cannot have more neighbours than there are points with copies. */
static size_t most_neighbors(const struct gd_grid *grid)
{
    const uint32_t *start = grid->dtype == GD_FLOAT32 ? grid->of.f32.start : grid->of.f64.start;
    size_t nx = (size_t)(grid->dtype == GD_FLOAT32 ? grid->of.f32.nx : grid->of.f64.nx);
    size_t ny = (size_t)(grid->dtype == GD_FLOAT32 ? grid->of.f32.ny : grid->of.f64.ny);
    size_t nz = (size_t)(grid->dtype == GD_FLOAT32 ? grid->of.f32.nz : grid->of.f64.nz);
    return start[nx * ny * nz];
}

/* What a thread has of its own: distances of a row, and counts. */
struct histogram_work {
    const struct gd_kernels *k;
    const struct gd_grid *grid;
    double bins_per_nm;
    size_t bins, room;
    char *row_d;      /* (threads, room) */
    uint64_t *counts; /* (threads, bins) */
};

static void histogram_piece(void *context, size_t begin, size_t end, int thread)
{
    const struct histogram_work *w = context;
    void *row_d = w->row_d + (size_t)thread * w->room * (size_t)w->grid->dtype;
    uint64_t *counts = w->counts + (size_t)thread * w->bins;
    if (w->grid->dtype == GD_FLOAT32)
        w->k->f32.grid_histogram(&w->grid->of.f32, begin, end, (float)w->bins_per_nm, w->bins, row_d, counts);
    else
        w->k->f64.grid_histogram(&w->grid->of.f64, begin, end, w->bins_per_nm, w->bins, row_d, counts);
}

static int count_pairs(const struct gd_kernels *k, const struct gd_grid *grid, double r_max, size_t bins, uint64_t *counts,
                       struct gd_err *err)
{
    size_t threads = (size_t)gd_split_threads(k), room = most_neighbors(grid) + GD_GRID_PADDING;
    size_t num_home = grid->dtype == GD_FLOAT32 ? grid->of.f32.num_home : grid->of.f64.num_home;
    struct histogram_work w = {k, grid, (double)bins / r_max, bins, room, NULL, NULL};
    w.row_d = malloc(threads * room * (size_t)grid->dtype);
    w.counts = calloc(threads * bins, sizeof *w.counts);
    int failed = 0;
    if (w.row_d != NULL && w.counts != NULL)
        gd_split(k, num_home, HOME_PIECE, histogram_piece, &w);
    else
        failed = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu distances and %zu bins, by %zu threads", room, bins, threads);
    for (size_t bin = 0; !failed && bin < bins; bin++) {
        counts[bin] = 0;
        for (size_t t = 0; t < threads; t++)
            counts[bin] += w.counts[t * bins + bin];
    }
    free(w.counts);
    free(w.row_d);
    return failed;
}

int gd_compute_rdf_counts(const struct gd_kernels *k, struct gd_view a, struct gd_view b, const struct gd_box *box, double r_max,
                          size_t bins, uint64_t *counts, struct gd_err *err)
{
    struct gd_min_image image;
    struct gd_grid grid;
    if (bins == 0 || bins > MAX_BINS)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "bins is %zu; it must be from 1 to %u", bins, MAX_BINS);
    if (a.dtype != b.dtype || a.data != b.data)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "both selections must be of the same State");
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    int same = same_selection(a, b);
    if (same)
        b = a; /* the grid then places them once */
    const struct gd_grid_request request = {&image, r_max, a, b, same};
    failed = gd_grid_build(&grid, &request, err);
    if (failed)
        return gd_err_context(err, "r_max"), failed;
    failed = count_pairs(k, &grid, r_max, bins, counts, err);
    gd_grid_free(&grid);
    for (size_t bin = 0; !failed && same && bin < bins; bin++)
        counts[bin] *= 2; /* each pair was seen from one side */
    return failed;
}

int gd_compute_rdf_normalize(const uint64_t *counts, size_t bins, double r_max, size_t count_a, size_t count_b, size_t shared,
                             const struct gd_box *box, double *r, double *g, struct gd_err *err)
{
    double pairs = (double)count_a * (double)count_b - (double)shared;
    if (!(pairs > 0.0) || bins == 0 || !(r_max > 0.0))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "a radial distribution needs at least one pair of different atoms, "
                          "one bin and a positive r_max; there are %g pairs, %zu bins and %g nm",
                          pairs, bins, r_max);
    const double sphere = 4.0 / 3.0 * 3.14159265358979323846;
    double volume = box->kind == GD_BOX_VACUUM ? sphere * r_max * r_max * r_max : gd_box_volume(box);
    double width = r_max / (double)bins;
    for (size_t bin = 0; bin < bins; bin++) {
        double low = (double)bin * width, high = (double)(bin + 1) * width;
        double shell = sphere * (high * high * high - low * low * low);
        r[bin] = 0.5 * (low + high);
        g[bin] = (double)counts[bin] * volume / (pairs * shell);
    }
    return 0;
}
