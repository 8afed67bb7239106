/* Radial distribution functions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "kernels/compute.h"
#include "kernels/grid_build.h"

#define MAX_BINS (1u << 24) /* the bin number must be exact in float */

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

static int count_pairs(const struct gd_kernels *k, const struct gd_grid *grid, double r_max, size_t bins, uint64_t *counts,
                       struct gd_err *err)
{
    size_t room = most_neighbors(grid) + GD_GRID_PADDING;
    void *row_d = malloc(room * (size_t)grid->dtype);
    if (row_d == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu distances", room);
    double bins_per_nm = (double)bins / r_max;
    memset(counts, 0, bins * sizeof *counts);
    if (grid->dtype == GD_FLOAT32)
        k->f32.grid_histogram(&grid->of.f32, 0, grid->of.f32.num_home, (float)bins_per_nm, bins, row_d, counts);
    else
        k->f64.grid_histogram(&grid->of.f64, 0, grid->of.f64.num_home, bins_per_nm, bins, row_d, counts);
    free(row_d);
    return 0;
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
