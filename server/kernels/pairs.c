/* Pairs within a cutoff: find, count, then write to where the caller wants them. */
#include <stdlib.h>
#include <string.h>

#include "kernels/compute.h"
#include "kernels/grid_build.h"
#include "kernels/split.h"

#define HOME_PIECE 512 /* atoms a thread takes at a time */

/* What a thread has of its own: a row before it goes to its place; each has room for the longest row and padding. */
struct row_room {
    int32_t *row_j;
    void *row_d;
    struct gd_row_sort sort;
};

struct gd_pairs {
    const struct gd_kernels *kernels;
    struct gd_grid grid;
    size_t num_rows;
    uint64_t *offsets; /* num_rows + 1 */
    uint32_t *counts;
    uint32_t longest;
    int threads;
    struct row_room *rooms; /* one for each thread */
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

static void count_piece(void *context, size_t begin, size_t end, int thread)
{
    struct gd_pairs *p = context;
    (void)thread;
    if (p->grid.dtype == GD_FLOAT32)
        p->kernels->f32.grid_count(&p->grid.of.f32, begin, end, p->counts);
    else
        p->kernels->f64.grid_count(&p->grid.of.f64, begin, end, p->counts);
}

static int make_room(struct row_room *r, size_t room, size_t real_bytes)
{
    r->row_j = malloc(room * sizeof *r->row_j);
    r->row_d = malloc(room * real_bytes);
    r->sort.longest = room;
    r->sort.copy = malloc(room * real_bytes);
    r->sort.copy_j = malloc(room * sizeof *r->sort.copy_j);
    r->sort.keys = malloc(2 * room * sizeof *r->sort.keys);
    r->sort.slot = malloc(2 * room * sizeof *r->sort.slot);
    return r->row_j != NULL && r->row_d != NULL && r->sort.copy != NULL && r->sort.copy_j != NULL && r->sort.keys != NULL &&
           r->sort.slot != NULL;
}

static void free_room(struct row_room *r)
{
    free(r->sort.slot);
    free(r->sort.keys);
    free(r->sort.copy_j);
    free(r->sort.copy);
    free(r->row_d);
    free(r->row_j);
}

static int count_rows(struct gd_pairs *p, struct gd_err *err)
{
    p->counts = malloc((p->num_rows + 1) * sizeof *p->counts);
    p->offsets = malloc((p->num_rows + 1) * sizeof *p->offsets);
    p->threads = gd_split_threads(p->kernels);
    p->rooms = calloc((size_t)p->threads, sizeof *p->rooms);
    if (p->counts == NULL || p->offsets == NULL || p->rooms == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to count pairs of %zu atoms", p->num_rows);
    gd_split(p->kernels, p->num_rows, HOME_PIECE, count_piece, p);
    uint64_t total = 0;
    for (size_t row = 0; row < p->num_rows; row++) {
        p->offsets[row] = total;
        total += p->counts[row];
        p->longest = p->counts[row] > p->longest ? p->counts[row] : p->longest;
    }
    p->offsets[p->num_rows] = total;
    size_t room = (size_t)p->longest + GD_GRID_PADDING;
    for (int t = 0; t < p->threads; t++) {
        if (!make_room(&p->rooms[t], room, (size_t)p->grid.dtype))
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a row of %zu pairs", room);
    }
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
    for (int t = 0; p->rooms != NULL && t < p->threads; t++)
        free_room(&p->rooms[t]);
    free(p->rooms);
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

struct fill_work {
    struct gd_pairs *p;
    int sorted;
    int32_t (*out)[2];
    void *distances;
};

static void fill_piece(void *context, size_t begin, size_t end, int thread)
{
    const struct fill_work *w = context;
    struct gd_pairs *p = w->p;
    const struct gd_kernels *k = p->kernels;
    struct row_room *r = &p->rooms[thread];
    if (p->grid.dtype == GD_FLOAT32)
        k->f32.grid_fill(&p->grid.of.f32, begin, end, p->offsets, r->row_j, r->row_d, w->sorted ? k->f32.sort_row : NULL, &r->sort, w->out,
                         w->distances);
    else
        k->f64.grid_fill(&p->grid.of.f64, begin, end, p->offsets, r->row_j, r->row_d, w->sorted ? k->f64.sort_row : NULL, &r->sort, w->out,
                         w->distances);
}

int gd_pairs_fill(struct gd_pairs *p, enum gd_pairs_order order, int32_t (*out)[2], void *distances, struct gd_err *err)
{
    if (order != GD_PAIRS_GROUPED && order != GD_PAIRS_SORTED)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "order %d is neither grouped (0) nor sorted (1)", (int)order);
    gd_split(p->kernels, p->num_rows, HOME_PIECE, fill_piece, &(struct fill_work){p, order == GD_PAIRS_SORTED, out, distances});
    return 0;
}
