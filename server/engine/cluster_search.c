/* Finds the pairs of clusters with atoms within the list radius of each other, over all lattice shifts, and takes out the
 * pairs of atoms that do not act on each other. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#define ALL 0xffffu
#define LATER 0x8ceu /* of a cluster with itself: bits with b > a: 1 2 3, 6 7, 11 */

static int grow(void **array, size_t *capacity, size_t size, size_t needed)
{
    size_t more = needed + needed / 4 + 64;
    void *grown = more > INT32_MAX ? NULL : realloc(*array, more * size);
    if (grown == NULL)
        return 0;
    *array = grown;
    *capacity = more;
    return 1;
}

static int room_for_entry(struct gd_cluster_thread *th)
{
    if (th->num_entries < th->entry_capacity)
        return 1;
    size_t capacity = th->entry_capacity;
    return grow((void **)&th->entry, &capacity, sizeof *th->entry, th->entry_capacity) &&
           grow((void **)&th->next, &th->entry_capacity, sizeof *th->next, th->entry_capacity);
}

static void add_entry(struct gd_cluster_thread *th, int32_t cluster, uint32_t mask)
{
    if (!room_for_entry(th)) {
        th->failed = 1;
        return;
    }
    th->next[th->num_entries] = th->head[cluster];
    th->head[cluster] = (int32_t)th->num_entries;
    th->entry[th->num_entries++] = (struct gd_cluster_entry){cluster, mask};
}

static double gap2(const struct gd_cluster_box *a, const double shift[3], const struct gd_cluster_box *b)
{
    double sum = 0.0;
    for (int d = 0; d < 3; d++) {
        double left = b->low[d] - (a->high[d] + shift[d]), right = a->low[d] + shift[d] - b->high[d];
        double gap = left > right ? left : right;
        sum += gap > 0.0 ? gap * gap : 0.0;
    }
    return sum;
}

/* No two points of the boxes are farther apart than this. */
static double reach2(const struct gd_cluster_box *a, const double shift[3], const struct gd_cluster_box *b)
{
    double sum = 0.0;
    for (int d = 0; d < 3; d++) {
        double left = b->high[d] - (a->low[d] + shift[d]), right = a->high[d] + shift[d] - b->low[d];
        double reach = left > right ? left : right;
        sum += reach * reach;
    }
    return sum;
}

static int any_within(const gd_vec3 *a, const double shift[3], const gd_vec3 *b, double radius2)
{
    double least = 1e30;
    for (int i = 0; i < GD_CLUSTER; i++)
        for (int j = 0; j < GD_CLUSTER; j++) {
            double x = a[i][0] + shift[0] - b[j][0], y = a[i][1] + shift[1] - b[j][1], z = a[i][2] + shift[2] - b[j][2];
            double r2 = x * x + y * y + z * z;
            least = r2 < least ? r2 : least;
        }
    return least <= radius2;
}

/* Which of two clusters has the pair in its row. */
static int owns(int32_t i, int32_t j)
{
    return ((i + j) & 1) == (i < j);
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
        if (p->box[middle].high_part[2] < low)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void search_column(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, int32_t i, int shift, int column,
                          const double part[2], double radius2)
{
    const gd_vec3 *home = (const gd_vec3 *)p->home;
    int32_t last = p->column_start[column + 1];
    for (int32_t j = first_reaching(p, p->column_start[column], last, part[0]); j < last && p->box[j].low_part[2] <= part[1]; j++) {
        uint32_t mask = ALL;
        if (i == j) {
            if (shift < GD_CLUSTER_SHIFTS / 2) /* its images at the opposite shifts are the same pairs */
                continue;
            mask = shift == GD_CLUSTER_SHIFTS / 2 ? LATER : ALL;
        } else if (!owns(i, j)) {
            continue;
        }
        const struct gd_cluster_box *a = &p->box[i], *b = &p->box[j];
        const double *by = p->shift[shift];
        if (gap2(a, by, b) <= radius2 &&
            (reach2(a, by, b) <= radius2 ||
             any_within(home + (size_t)i * GD_CLUSTER, by, home + (size_t)j * GD_CLUSTER, radius2)))
            add_entry(th, j, mask);
    }
}

static void search_shift(const struct gd_md *md, struct gd_cluster_thread *th, int32_t i, int shift)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    double radius = md->nonbonded->list_radius, low[3], high[3];
    const int steps[3] = {shift / 9 - 1, shift / 3 % 3 - 1, shift % 3 - 1};
    for (int d = 0; d < 3; d++) {
        double reach = radius * gd_vec3_norm(p->reciprocal[d]) + 1e-9;
        low[d] = p->box[i].low_part[d] + steps[d] - reach;
        high[d] = p->box[i].high_part[d] + steps[d] + reach;
    }
    struct range x = columns_between(p, 0, low[0], high[0]), y = columns_between(p, 1, low[1], high[1]);
    if (low[2] > 1.0 || high[2] < 0.0)
        return;
    for (int u = x.from; u < x.to; u++)
        for (int v = y.from; v < y.to; v++)
            search_column(p, th, i, shift, u * p->columns[1] + v, (double[2]){low[2], high[2]}, radius * radius);
}

static void take_out(const struct gd_cluster_pairs *p, struct gd_cluster_thread *th, size_t a, int32_t partner)
{
    int32_t slot = p->slot[partner];
    for (int32_t e = th->head[slot / GD_CLUSTER]; e >= 0; e = th->next[e])
        th->entry[e].mask &= ~(1u << (GD_CLUSTER * a + (size_t)(slot % GD_CLUSTER)));
}

/* Excluded pairs of the row's atoms, whichever image they are listed with: no other image is within the cutoff. */
static void take_out_exclusions(const struct gd_md *md, struct gd_cluster_thread *th, int32_t cluster)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    size_t solute = md->top->num_solute_atoms, sites = md->top->num_solvent_atoms;
    for (size_t a = 0; a < GD_CLUSTER; a++) {
        int32_t i = p->atom[(size_t)cluster * GD_CLUSTER + a];
        if (i < 0)
            continue;
        if ((size_t)i < solute) {
            for (int32_t k = p->partner_start[i]; k < p->partner_start[i + 1]; k++)
                take_out(p, th, a, p->partner[k]);
            continue;
        }
        size_t first = solute + ((size_t)i - solute) / sites * sites;
        for (size_t j = first; j < first + sites; j++)
            if (j != (size_t)i)
                take_out(p, th, a, (int32_t)j);
    }
}

void gd_cluster_search(const struct gd_md *md, struct gd_cluster_thread *th)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    th->num_rows = th->num_entries = 0;
    for (size_t c = 0; c < p->num_clusters; c++)
        th->head[c] = -1;
    for (size_t i = th->begin; i < th->end && !th->failed; i++) {
        size_t first = th->num_entries;
        if (th->num_rows + GD_CLUSTER_SHIFTS > th->row_capacity &&
            !grow((void **)&th->row, &th->row_capacity, sizeof *th->row, th->num_rows + GD_CLUSTER_SHIFTS)) {
            th->failed = 1;
            return;
        }
        for (int shift = 0; shift < GD_CLUSTER_SHIFTS; shift++) {
            if (!p->periodic && shift != GD_CLUSTER_SHIFTS / 2)
                continue;
            size_t begin = th->num_entries;
            search_shift(md, th, (int32_t)i, shift);
            if (th->num_entries > begin)
                th->row[th->num_rows++] =
                    (struct gd_cluster_row){(int32_t)i, shift, (int32_t)begin, (int32_t)th->num_entries};
        }
        take_out_exclusions(md, th, (int32_t)i);
        for (size_t e = first; e < th->num_entries; e++)
            th->head[th->entry[e].cluster] = -1;
    }
}
