/* Pairs within a cutoff: find, count, then write to where the caller wants them. */
#include <stdlib.h>
#include <string.h>

#include "kernels/compute.h"
#include "kernels/grid_build.h"

struct gd_pairs {
    const struct gd_kernels *kernels;
    struct gd_grid grid;
    size_t num_rows;
    uint64_t *offsets; /* num_rows + 1 */
    uint32_t *counts;
    int32_t *row_j; /* the longest row and padding */
    void *row_d;
    struct gd_row_sort sort;
    uint32_t longest;
};

static int ascending(const int32_t *atoms, size_t count)
{
    for (size_t k = 1; k < count; k++)
        if (atoms[k] <= atoms[k - 1])
            return 0;
    return 1;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* A selection in ascending order without repeats, so that rows come out by ascending i. `owned` is to be freed. */
static int order_selection(struct gd_view *x, int32_t **owned, struct gd_err *err)
{
    if (x->atoms == NULL || ascending(x->atoms, x->count))
        return 0;
    int32_t *atoms = malloc(x->count * sizeof *atoms);
    if (atoms == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to sort %zu selected atoms", x->count);
    memcpy(atoms, x->atoms, x->count * sizeof *atoms);
    qsort(atoms, x->count, sizeof *atoms, compare_ids);
    size_t kept = 0;
    for (size_t k = 0; k < x->count; k++)
        if (kept == 0 || atoms[k] != atoms[kept - 1])
            atoms[kept++] = atoms[k];
    x->atoms = *owned = atoms;
    x->count = kept;
    return 0;
}

static int count_rows(struct gd_pairs *p, struct gd_err *err)
{
    const struct gd_kernels *k = p->kernels;
    p->counts = malloc((p->num_rows + 1) * sizeof *p->counts);
    p->offsets = malloc((p->num_rows + 1) * sizeof *p->offsets);
    if (p->counts == NULL || p->offsets == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to count pairs of %zu atoms", p->num_rows);
    if (p->grid.dtype == GD_FLOAT32)
        k->f32.grid_count(&p->grid.of.f32, 0, p->num_rows, p->counts);
    else
        k->f64.grid_count(&p->grid.of.f64, 0, p->num_rows, p->counts);
    uint64_t total = 0;
    for (size_t row = 0; row < p->num_rows; row++) {
        p->offsets[row] = total;
        total += p->counts[row];
        p->longest = p->counts[row] > p->longest ? p->counts[row] : p->longest;
    }
    p->offsets[p->num_rows] = total;
    size_t room = (size_t)p->longest + GD_GRID_PADDING;
    p->row_j = malloc(room * sizeof *p->row_j);
    p->row_d = malloc(room * (size_t)p->grid.dtype);
    p->sort.longest = room;
    p->sort.copy = malloc(room * (size_t)p->grid.dtype);
    p->sort.copy_j = malloc(room * sizeof *p->sort.copy_j);
    p->sort.keys = malloc(2 * room * sizeof *p->sort.keys);
    p->sort.slot = malloc(2 * room * sizeof *p->sort.slot);
    if (p->row_j == NULL || p->row_d == NULL || p->sort.copy == NULL || p->sort.copy_j == NULL || p->sort.keys == NULL ||
        p->sort.slot == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a row of %zu pairs", room);
    return 0;
}

int gd_pairs_create(struct gd_pairs **out, const struct gd_kernels *k, struct gd_view x, const struct gd_box *box, double cutoff,
                    struct gd_err *err)
{
    struct gd_min_image image;
    int32_t *owned = NULL;
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    struct gd_pairs *p = calloc(1, sizeof *p);
    if (p == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a pair search");
    p->kernels = k;
    failed = order_selection(&x, &owned, err);
    if (failed)
        goto fail;
    const struct gd_grid_request request = {&image, cutoff, x, x, 1};
    failed = gd_grid_build(&p->grid, &request, err);
    if (failed)
        goto fail;
    p->num_rows = x.count;
    failed = count_rows(p, err);
    if (failed)
        goto fail;
    free(owned);
    *out = p;
    return 0;
fail:
    free(owned);
    gd_pairs_destroy(&p);
    return failed;
}

void gd_pairs_destroy(struct gd_pairs **pairs)
{
    struct gd_pairs *p = *pairs;
    if (p == NULL)
        return;
    free(p->sort.slot);
    free(p->sort.keys);
    free(p->sort.copy_j);
    free(p->sort.copy);
    free(p->row_d);
    free(p->row_j);
    free(p->offsets);
    free(p->counts);
    gd_grid_free(&p->grid);
    free(p);
    *pairs = NULL;
}

size_t gd_pairs_count(const struct gd_pairs *pairs)
{
    return pairs->offsets[pairs->num_rows];
}

int gd_pairs_fill(struct gd_pairs *p, enum gd_pairs_order order, int32_t (*out)[2], void *distances, struct gd_err *err)
{
    if (order != GD_PAIRS_GROUPED && order != GD_PAIRS_SORTED)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "order %d is neither grouped (0) nor sorted (1)", (int)order);
    const struct gd_kernels *k = p->kernels;
    int sorted = order == GD_PAIRS_SORTED;
    if (p->grid.dtype == GD_FLOAT32)
        k->f32.grid_fill(&p->grid.of.f32, 0, p->num_rows, p->offsets, p->row_j, p->row_d, sorted ? k->f32.sort_row : NULL, &p->sort, out,
                         distances);
    else
        k->f64.grid_fill(&p->grid.of.f64, 0, p->num_rows, p->offsets, p->row_j, p->row_d, sorted ? k->f64.sort_row : NULL, &p->sort, out,
                         distances);
    return 0;
}
