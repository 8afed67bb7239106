/* Finds the pairs of clusters whose bounding boxes are within the list radius of each other, over half of the lattice shifts,
 * and takes out the pairs of atoms that do not act on each other. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#define LATER 0x8ceu /* of a cluster with itself: bits with b > a: 1 2 3, 6 7, 11 */

static int grow(void **array, size_t *capacity, size_t size, size_t needed)
{
    if (needed <= *capacity)
        return 1;
    size_t more = needed + needed / 4 + 64;
    void *grown = more > INT32_MAX ? NULL : realloc(*array, more * size);
    if (grown == NULL)
        return 0;
    *array = grown;
    *capacity = more;
    return 1;
}

static int room_for(struct gd_cluster_list *list, size_t rows, size_t entries)
{
    return grow((void **)&list->row, &list->row_capacity, sizeof *list->row, rows) &&
           grow((void **)&list->entry, &list->entry_capacity, sizeof *list->entry, entries);
}

/* The near clusters become entries: those of the first kind at the list's end, the others wait until the row is complete. */
static void add_near(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, int32_t i, int shift, int32_t near)
{
    const int kind_i = p->cluster_kind[i], bits = p->cluster_common[i];
    const int common_i = (bits & 1) * 0xf | (bits & 2) * 0x78 | (bits & 4) * 0x3c0 | (bits & 8) * 0x1e00; /* each four times */
    struct gd_cluster_entry *end[GD_CLUSTER_KINDS];
    end[0] = th->found.entry + th->found.num_entries;
    for (int kind = 1; kind < GD_CLUSTER_KINDS; kind++)
        end[kind] = th->waiting[kind] + th->num_waiting[kind];
    for (int32_t k = 0; k < near; k++) {
        int32_t j = th->near[k];
        int kind_j = p->cluster_kind[j], kind = kind_i == 0 || kind_j == 0 ? 0 : kind_i > kind_j ? kind_i : kind_j;
        uint16_t mask = i == j && shift == GD_CLUSTER_CENTRE ? th->allowed[j] & LATER : th->allowed[j];
        *end[kind]++ = (struct gd_cluster_entry){j, mask, (uint16_t)(common_i & p->cluster_common[j] * 0x1111)};
    }
    th->found.num_entries = (size_t)(end[0] - th->found.entry);
    for (int kind = 1; kind < GD_CLUSTER_KINDS; kind++)
        th->num_waiting[kind] = (int32_t)(end[kind] - th->waiting[kind]);
}

struct range {
    int from, to;
};

/* Columns of direction d that [low, high] touches. */
static struct range columns_between(const struct gd_cluster_pairs *p, int d, double low, double high)
{
    if (high < 0.0 || low > 1.0)
        return (struct range){0, 0};
    int n = p->columns[d];
    int from = low <= 0.0 ? 0 : (int)(low * n), to = high >= 1.0 ? n : (int)(high * n) + 1;
    return (struct range){from < n ? from : n, to < n ? to : n};
}

/* First cluster of [from, to) that reaches up to `low` along the third edge. */
static int32_t first_reaching(const struct gd_cluster_pairs *p, int32_t from, int32_t to, double low)
{
    while (from < to) {
        int32_t middle = from + (to - from) / 2;
        if (p->extent[middle].high[2] < low)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* First cluster of [from, to) that begins above `high` along the third edge, or `to`. */
static int32_t first_beyond(const struct gd_cluster_pairs *p, int32_t from, int32_t to, double high)
{
    while (from < to) {
        int32_t middle = from + (to - from) / 2;
        if (p->extent[middle].low[2] <= high)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct searched {
    float low[3], high[3], radius2; /* the moved bounding box, nm */
    double part[2];                 /* what it reaches along the third edge */
};

/* Which of two clusters has the pair in its row. Without a period there are no pairs through faces to make up for a first
 * cluster that all others come behind: parity then deals out. */
static int owns(const struct gd_cluster_pairs *p, int32_t i, int32_t j)
{
    return p->periodic ? i <= j : i == j || ((i + j) & 1) == (i < j);
}

static void search_column(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, int32_t i, int shift, int column,
                          const struct searched *box)
{
    int32_t from = p->column_start[column], to = p->column_start[column + 1];
    if (p->periodic && shift == GD_CLUSTER_CENTRE && from < i)
        from = i;
    if (from >= to)
        return;
    if (to - from > 2 * GD_CLUSTER_BLOCK) { /* else looking at all of them is quicker */
        from = first_reaching(p, from, to, box->part[0]);
        to = first_beyond(p, from, to, box->part[1]);
    }
    int32_t near = p->kernels->near(&p->boxes, box->low, box->high, box->radius2, from, to, th->near);
    if (!p->periodic) {
        int32_t own = 0;
        for (int32_t k = 0; k < near; k++)
            if (owns(p, i, th->near[k]))
                th->near[own++] = th->near[k];
        near = own;
    }
    if (!room_for(&th->found, th->found.num_rows, th->found.num_entries + (size_t)near)) {
        th->failed = 1;
        return;
    }
    add_near(p, th, i, shift, near);
}

static void search_shift(const struct gd_md *md, struct gd_cluster_thread *th, int32_t i, int shift)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    double radius = md->nonbonded->list_radius, low[3], high[3];
    const int steps[3] = {shift / 9 - 1, shift / 3 % 3 - 1, shift % 3 - 1};
    struct searched box = {.radius2 = (float)(radius * radius * (1.0 + 1e-6))};
    for (int d = 0; d < 3; d++) {
        double reach = radius * gd_vec3_norm(p->reciprocal[d]) + 1e-9;
        low[d] = p->extent[i].low[d] + steps[d] - reach;
        high[d] = p->extent[i].high[d] + steps[d] + reach;
        double from = (double)p->boxes.low[d][i] + p->shift[shift][d], to = (double)p->boxes.high[d][i] + p->shift[shift][d];
        box.low[d] = (float)(from - 1e-7 * fabs(from));
        box.high[d] = (float)(to + 1e-7 * fabs(to));
    }
    struct range x = columns_between(p, 0, low[0], high[0]), y = columns_between(p, 1, low[1], high[1]);
    if (low[2] > 1.0 || high[2] < 0.0)
        return;
    box.part[0] = low[2];
    box.part[1] = high[2];
    for (int u = x.from; u < x.to; u++) {
        int32_t first = u * p->columns[1],
                near = p->kernels->near(&p->column_boxes, box.low, box.high, box.radius2, first + y.from, first + y.to, th->near_column);
        for (int32_t k = 0; k < near && !th->failed; k++)
            search_column(p, th, i, shift, th->near_column[k], &box);
    }
}

static void take_out(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, size_t a, int32_t partner)
{
    int32_t slot = p->slot[partner];
    th->allowed[slot / GD_CLUSTER] &= (uint16_t) ~(1u << (GD_CLUSTER * a + (size_t)(slot % GD_CLUSTER)));
}

static void let_in(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, size_t a, int32_t partner)
{
    (void)a;
    th->allowed[p->slot[partner] / GD_CLUSTER] = GD_CLUSTER_ALL;
}

/* All that the cluster's atoms do not act on, whichever image it is listed with: no other image is within the cutoff. */
static void for_excluded(const struct gd_md *md, struct gd_cluster_thread *th, int32_t cluster,
                         void (*each)(const struct gd_cluster_pairs *, struct gd_cluster_thread *, size_t, int32_t))
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    size_t solute = md->top->num_solute_atoms, sites = md->top->num_solvent_atoms;
    for (size_t a = 0; a < GD_CLUSTER; a++) {
        int32_t i = p->atom[(size_t)cluster * GD_CLUSTER + a];
        if (i < 0)
            continue;
        if ((size_t)i < solute) {
            for (int32_t k = p->partner_start[i]; k < p->partner_start[i + 1]; k++)
                each(p, th, a, p->partner[k]);
            continue;
        }
        size_t first = solute + ((size_t)i - solute) / sites * sites;
        for (size_t j = first; j < first + sites; j++)
            if (j != (size_t)i)
                each(p, th, a, (int32_t)j);
    }
}

static void complete_row(struct gd_cluster_thread *th, int32_t i, int shift, size_t begin)
{
    struct gd_cluster_list *list = &th->found;
    size_t waiting = (size_t)(th->num_waiting[GD_CLUSTER_COMMON] + th->num_waiting[GD_CLUSTER_ANY]);
    if (th->failed || list->num_entries + waiting == begin)
        return;
    if (!room_for(list, list->num_rows + 1, list->num_entries + waiting)) {
        th->failed = 1;
        return;
    }
    struct gd_cluster_row *row = &list->row[list->num_rows++];
    *row = (struct gd_cluster_row){i, shift, {(int32_t)begin, (int32_t)list->num_entries}};
    for (int kind = 1; kind < GD_CLUSTER_KINDS; kind++) {
        size_t more = (size_t)th->num_waiting[kind];
        memcpy(list->entry + list->num_entries, th->waiting[kind], more * sizeof *list->entry);
        list->num_entries += more;
        row->begin[kind + 1] = (int32_t)list->num_entries;
        th->num_waiting[kind] = 0;
    }
}

void gd_cluster_search(const struct gd_md *md, struct gd_cluster_thread *th)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    th->found.num_rows = th->found.num_entries = 0;
    memset(th->num_waiting, 0, sizeof th->num_waiting);
    for (size_t i = th->begin; i < th->end && !th->failed; i++) {
        for_excluded(md, th, (int32_t)i, take_out);
        for (int shift = p->periodic ? 0 : GD_CLUSTER_CENTRE; shift <= GD_CLUSTER_CENTRE; shift++) {
            size_t begin = th->found.num_entries;
            search_shift(md, th, (int32_t)i, shift);
            complete_row(th, (int32_t)i, shift, begin);
        }
        for_excluded(md, th, (int32_t)i, let_in);
    }
    if (!th->failed && !room_for(&th->kept, th->found.num_rows + 1, th->found.num_entries + GD_CLUSTER_BLOCK))
        th->failed = 1;
}
