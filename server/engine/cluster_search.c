/* Finds the pairs of clusters whose bounding boxes are within the list radius of each other, over half of the lattice shifts,
 * and takes out the pairs of atoms that do not act on each other. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#define LATER 0x8ceu /* of a cluster with itself: bits with b > a: 1 2 3, 6 7, 11 */
#define GROUP 4      /* clusters of a column for which columns are looked through at once */

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

/* The near clusters become entries: those of the first kind at the list's end, the others wait until the row is complete. Each is
 * written behind those of every kind and kept behind those of its own, without a branch; entries are copied as one number. */
static void add_near(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, int32_t i, int32_t near)
{
    const int kind_i = p->cluster_kind[i], bits = p->cluster_common[i];
    const int common_i = (bits & 1) * 0xf | (bits & 2) * 0x78 | (bits & 4) * 0x3c0 | (bits & 8) * 0x1e00; /* each four times */
    const struct gd_cluster_entry of_row = {-1, GD_CLUSTER_ALL, (uint16_t)common_i};
    size_t one_more[GD_CLUSTER_KINDS][GD_CLUSTER_KINDS] = {{0}}; /* of kind k with a cluster of kind c: [c][k] */
    one_more[0][0] = one_more[1][kind_i] = one_more[2][kind_i == 0 ? 0 : GD_CLUSTER_ANY] = 1;
    struct gd_cluster_entry *first = th->found.entry + th->found.num_entries;
    struct gd_cluster_entry *common = th->waiting[GD_CLUSTER_COMMON] + th->num_waiting[GD_CLUSTER_COMMON];
    struct gd_cluster_entry *any = th->waiting[GD_CLUSTER_ANY] + th->num_waiting[GD_CLUSTER_ANY];
    uint64_t row, entry;
    memcpy(&row, &of_row, sizeof row);
    for (int32_t k = 0; k < near; k++) {
        const int32_t j = th->near[k];
        const size_t *more = one_more[p->cluster_kind[j]];
        memcpy(&entry, &th->entry_of[j], sizeof entry);
        entry &= row;
        memcpy(first, &entry, sizeof entry);
        memcpy(common, &entry, sizeof entry);
        memcpy(any, &entry, sizeof entry);
        first += more[GD_CLUSTER_CHARGES];
        common += more[GD_CLUSTER_COMMON];
        any += more[GD_CLUSTER_ANY];
    }
    th->found.num_entries = (size_t)(first - th->found.entry);
    th->num_waiting[GD_CLUSTER_COMMON] = (int32_t)(common - th->waiting[GD_CLUSTER_COMMON]);
    th->num_waiting[GD_CLUSTER_ANY] = (int32_t)(any - th->waiting[GD_CLUSTER_ANY]);
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

/* Which of two clusters has the pair in its row. Without a period there are no pairs through faces to make up for a first
 * cluster that all others come behind: parity then deals out. */
static int owns(const struct gd_cluster_pairs *p, int32_t i, int32_t j)
{
    return p->periodic ? i <= j : i == j || ((i + j) & 1) == (i < j);
}

/* The box of clusters [first, last) moved by a shift, nm, rounded outwards. */
struct moved {
    float low[3], high[3];
};

static struct moved move_boxes(const struct gd_cluster_pairs *p, int32_t first, int32_t last, int shift)
{
    struct moved box;
    for (int d = 0; d < 3; d++) {
        float low = p->boxes.low[d][first], high = p->boxes.high[d][first];
        for (int32_t i = first + 1; i < last; i++) {
            low = p->boxes.low[d][i] < low ? p->boxes.low[d][i] : low;
            high = p->boxes.high[d][i] > high ? p->boxes.high[d][i] : high;
        }
        double from = (double)low + p->shift[shift][d], to = (double)high + p->shift[shift][d];
        box.low[d] = (float)(from - 1e-7 * fabs(from));
        box.high[d] = (float)(to + 1e-7 * fabs(to));
    }
    return box;
}

/* Of a column, the clusters from the first to the last one near the box, but none before `least`. Returns how many runs that is. */
static size_t add_run(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, int column, const struct moved *box, float radius2,
                      const double part[2], int32_t least, struct gd_cluster_run *out)
{
    struct gd_cluster_run run = {p->column_start[column], p->column_start[column + 1]};
    run.from = run.from < least ? least : run.from;
    if (run.from < run.to && run.to - run.from > 2 * GD_CLUSTER_BLOCK) { /* else looking at all of them is quicker */
        run.from = first_reaching(p, run.from, run.to, part[0]);
        run.to = first_beyond(p, run.from, run.to, part[1]);
    }
    int32_t near = run.from < run.to ? p->kernels->near(&p->boxes, box->low, box->high, radius2, &run, 1, th->near) : 0;
    if (near == 0)
        return 0;
    *out = (struct gd_cluster_run){th->near[0], th->near[near - 1] + 1};
    return 1;
}

/* Where the clusters near any of [first, last) are; returns how many runs. */
static size_t find_runs(const struct gd_md *md, struct gd_cluster_thread *th, int32_t first, int32_t last, int shift, float radius2)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    const int steps[3] = {shift / 9 - 1, shift / 3 % 3 - 1, shift % 3 - 1};
    double low[3], high[3];
    size_t runs = 0;
    for (int d = 0; d < 3; d++) {
        double reach = md->nonbonded->list_radius * gd_vec3_norm(p->reciprocal[d]) + 1e-9;
        low[d] = high[d] = p->extent[first].low[d];
        for (int32_t i = first; i < last; i++) {
            low[d] = p->extent[i].low[d] < low[d] ? p->extent[i].low[d] : low[d];
            high[d] = p->extent[i].high[d] > high[d] ? p->extent[i].high[d] : high[d];
        }
        low[d] += steps[d] - reach;
        high[d] += steps[d] + reach;
    }
    struct range x = columns_between(p, 0, low[0], high[0]), y = columns_between(p, 1, low[1], high[1]);
    if (low[2] > 1.0 || high[2] < 0.0 || y.from >= y.to)
        return 0;
    const struct moved box = move_boxes(p, first, last, shift);
    const double part[2] = {low[2], high[2]};
    const int32_t least = p->periodic && shift == GD_CLUSTER_CENTRE ? first : 0;
    for (int u = x.from; u < x.to; u++) {
        const struct gd_cluster_run columns = {u * p->columns[1] + y.from, u * p->columns[1] + y.to};
        int32_t near = p->kernels->near(&p->column_boxes, box.low, box.high, radius2, &columns, 1, th->near_column);
        for (int32_t k = 0; k < near; k++)
            runs += add_run(p, th, th->near_column[k], &box, radius2, part, least, &th->run[runs]);
    }
    return runs;
}

static void take_out(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, size_t a, int32_t partner)
{
    int32_t slot = p->slot[partner];
    th->entry_of[slot / GD_CLUSTER].mask &= (uint16_t) ~(1u << (GD_CLUSTER * a + (size_t)(slot % GD_CLUSTER)));
}

static void let_in(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, size_t a, int32_t partner)
{
    (void)a;
    th->entry_of[p->slot[partner] / GD_CLUSTER].mask = GD_CLUSTER_ALL;
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
    if (!room_for(list, list->num_rows + 1, list->num_entries + waiting + GD_CLUSTER_BLOCK)) {
        th->failed = 1;
        return;
    }
    struct gd_cluster_row *row = &list->row[list->num_rows++];
    *row = (struct gd_cluster_row){i, shift, {(int32_t)begin, (int32_t)list->num_entries}, {0}};
    for (int kind = 1; kind < GD_CLUSTER_KINDS; kind++) {
        size_t more = (size_t)th->num_waiting[kind];
        memcpy(list->entry + list->num_entries, th->waiting[kind], more * sizeof *list->entry);
        list->num_entries += more;
        row->begin[kind + 1] = (int32_t)list->num_entries;
        th->num_waiting[kind] = 0;
    }
}

/* A cluster's row, with what is near it in the runs. */
static void search_row(const struct gd_md *md, struct gd_cluster_thread *th, int32_t i, int shift, size_t runs, float radius2)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    const struct moved box = move_boxes(p, i, i + 1, shift);
    const size_t begin = th->found.num_entries;
    int32_t near = p->kernels->near(&p->boxes, box.low, box.high, radius2, th->run, runs, th->near);
    if (!p->periodic) {
        int32_t own = 0;
        for (int32_t k = 0; k < near; k++)
            if (owns(p, i, th->near[k]))
                th->near[own++] = th->near[k];
        near = own;
    }
    if (near == 0)
        return;
    if (!room_for(&th->found, th->found.num_rows, begin + (size_t)near + GD_CLUSTER_BLOCK)) {
        th->failed = 1;
        return;
    }
    for_excluded(md, th, i, take_out);
    if (shift == GD_CLUSTER_CENTRE)
        th->entry_of[i].mask &= LATER;
    add_near(p, th, i, near);
    complete_row(th, i, shift, begin);
    for_excluded(md, th, i, let_in);
    th->entry_of[i].mask = GD_CLUSTER_ALL;
}

/* Rows of clusters [first, last), which lie close together in one column. */
static void search_group(const struct gd_md *md, struct gd_cluster_thread *th, int32_t first, int32_t last)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    const double radius = md->nonbonded->list_radius;
    const float radius2 = (float)(radius * radius * (1.0 + 1e-6));
    for (int shift = p->periodic ? 0 : GD_CLUSTER_CENTRE; shift <= GD_CLUSTER_CENTRE; shift++) {
        const size_t runs = find_runs(md, th, first, last, shift, radius2);
        for (int32_t i = first; i < last && runs > 0 && !th->failed; i++) {
            /* the group's own column comes first, and a pair stands in one row */
            if (p->periodic && shift == GD_CLUSTER_CENTRE)
                th->run[0].from = i;
            search_row(md, th, i, shift, runs, radius2);
        }
    }
}

void gd_cluster_search(const struct gd_md *md, struct gd_cluster_thread *th)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    int column = 0;
    th->found.num_rows = th->found.num_entries = 0;
    memset(th->num_waiting, 0, sizeof th->num_waiting);
    for (size_t c = 0; c < p->num_clusters; c++)
        th->entry_of[c] = (struct gd_cluster_entry){(int32_t)c, GD_CLUSTER_ALL, (uint16_t)(p->cluster_common[c] * 0x1111)};
    for (int32_t i = (int32_t)th->begin, last; i < (int32_t)th->end && !th->failed; i = last) {
        while (p->column_start[column + 1] <= i)
            column++;
        last = p->column_start[column + 1] < (int32_t)th->end ? p->column_start[column + 1] : (int32_t)th->end;
        last = last - i < GROUP ? last : i + GROUP;
        search_group(md, th, i, last);
    }
    if (!th->failed && !room_for(&th->kept, th->found.num_rows + 1, th->found.num_entries + GD_CLUSTER_BLOCK))
        th->failed = 1;
}
