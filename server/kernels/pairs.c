/* Pairs within a cutoff: find, count, then write to where the caller wants them. */
#include <limits.h>
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
    uint64_t *keys; /* for sorting: two rows */
    uint32_t longest;
    int32_t highest_id;
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
    p->keys = malloc(2 * room * sizeof *p->keys);
    if (p->row_j == NULL || p->row_d == NULL || p->keys == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a row of %zu pairs", room);
    return 0;
}

int gd_pairs_create(struct gd_pairs **out, const struct gd_kernels *k, struct gd_view x, const struct gd_box *box,
                    double cutoff, struct gd_err *err)
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
    p->highest_id = x.num_atoms > 0 ? (int32_t)(x.num_atoms - 1) : 0;
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
    free(p->keys);
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

/* ---- sorting a row by j: the key is j above, its place below ---- */

static void insertion_sort(uint64_t *keys, size_t count)
{
    for (size_t k = 1; k < count; k++) {
        uint64_t key = keys[k];
        size_t to = k;
        for (; to > 0 && keys[to - 1] > key; to--)
            keys[to] = keys[to - 1];
        keys[to] = key;
    }
}

#define DIGIT 6 /* bits; rows have some hundred entries, so a small table is cleared and summed often */
#define DIGITS (1u << DIGIT)

/* By digits from the lowest up; returns where the sorted keys ended, keys or other. */
static uint64_t *digit_sort(uint64_t *keys, uint64_t *other, size_t count, int bits)
{
    for (int shift = 32; shift < 32 + bits; shift += DIGIT) {
        uint32_t place[DIGITS] = {0};
        for (size_t k = 0; k < count; k++)
            place[keys[k] >> shift & (DIGITS - 1)]++;
        uint32_t before = 0;
        for (size_t d = 0; d < DIGITS; d++) {
            uint32_t here = place[d];
            place[d] = before;
            before += here;
        }
        for (size_t k = 0; k < count; k++)
            other[place[keys[k] >> shift & (DIGITS - 1)]++] = keys[k];
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}

static void sort_row(struct gd_pairs *p, int bits, size_t row, int32_t (*pairs)[2], void *distances)
{
    size_t count = p->counts[row];
    size_t size = (size_t)p->grid.dtype;
    int32_t(*ij)[2] = pairs + p->offsets[row];
    char *d = (char *)distances + p->offsets[row] * size;
    for (size_t k = 0; k < count; k++)
        p->keys[k] = (uint64_t)(uint32_t)ij[k][1] << 32 | k;
    uint64_t *sorted = p->keys;
    if (count < 48)
        insertion_sort(sorted, count);
    else
        sorted = digit_sort(p->keys, p->keys + p->longest, count, bits);
    memcpy(p->row_d, d, count * size);
    for (size_t k = 0; k < count; k++) {
        ij[k][1] = (int32_t)(sorted[k] >> 32);
        size_t from = (uint32_t)sorted[k];
        if (size == sizeof(float))
            ((float *)(void *)d)[k] = ((const float *)p->row_d)[from];
        else
            ((double *)(void *)d)[k] = ((const double *)p->row_d)[from];
    }
}

int gd_pairs_fill(struct gd_pairs *p, enum gd_pairs_order order, int32_t (*out)[2], void *distances,
                  struct gd_err *err)
{
    if (order != GD_PAIRS_GROUPED && order != GD_PAIRS_SORTED)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "order %d is neither grouped (0) nor sorted (1)", (int)order);
    const struct gd_kernels *k = p->kernels;
    int is_float = p->grid.dtype == GD_FLOAT32;
    const uint32_t *home_row = is_float ? p->grid.of.f32.home_row : p->grid.of.f64.home_row;
    int bits = 32 - __builtin_clz((uint32_t)p->highest_id | 1u);
    const size_t step = 16; /* rows that are sorted while they are still in the cache */
    for (size_t begin = 0; begin < p->num_rows; begin += step) {
        size_t end = p->num_rows - begin < step ? p->num_rows : begin + step;
        if (is_float)
            k->f32.grid_fill(&p->grid.of.f32, begin, end, p->offsets, p->row_j, p->row_d, out, distances);
        else
            k->f64.grid_fill(&p->grid.of.f64, begin, end, p->offsets, p->row_j, p->row_d, out, distances);
        for (size_t h = begin; order == GD_PAIRS_SORTED && h < end; h++)
            sort_row(p, bits, home_row[h], out, distances);
    }
    return 0;
}
