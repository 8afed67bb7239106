/* Sorts atoms into clusters: columns over the cell by the first two fractions, each column along the third, four by four. */
#include "engine/cluster_pairs.h"

/* nm; where slots without an atom are, farther from each other than any box is wide */
#define FAR_AWAY (-1e4)
#define FAR_APART 1e3

/* The cell and its inverse; in the vacuum a box around all atoms. */
static void set_cell(struct gd_md *md)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    p->periodic = md->pbc.kind != GD_BOX_VACUUM;
    memset(p->origin, 0, sizeof p->origin);
    if (p->periodic) {
        memcpy(p->edge, md->pbc.edge, sizeof p->edge);
        memcpy(p->reciprocal, md->pbc.reciprocal, sizeof p->reciprocal);
        return;
    }
    gd_mat3_zero(p->edge);
    gd_mat3_zero(p->reciprocal);
    for (int d = 0; d < 3; d++) {
        double low = md->pos[0][d], high = md->pos[0][d];
        for (size_t i = 1; i < md->n; i++) {
            low = md->pos[i][d] < low ? md->pos[i][d] : low;
            high = md->pos[i][d] > high ? md->pos[i][d] : high;
        }
        double length = high - low + 1e-3;
        p->origin[d] = low;
        p->edge[d][d] = length;
        p->reciprocal[d][d] = 1.0 / length;
    }
}

/* Columns as wide as four atoms of even density are high, but no more than there is room for. */
static void choose_columns(struct gd_cluster_pairs *p, size_t n)
{
    double volume = fabs(gd_mat3_determinant((const gd_vec3 *)p->edge));
    double side = cbrt(4.0 * volume / (double)n);
    for (int d = 0; d < 2; d++) {
        double width = 1.0 / gd_vec3_norm(p->reciprocal[d]);
        double columns = floor(width / side);
        p->columns[d] = !(columns > 1.0) ? 1 : columns > 1024.0 ? 1024 : (int)columns;
    }
    while (p->columns[0] * p->columns[1] > p->column_capacity)
        p->columns[p->columns[0] < p->columns[1]]--;
}

static double fraction_of(const struct gd_cluster_pairs *p, int e, const double pos[3])
{
    double r[3];
    gd_vec3_sub(pos, p->origin, r);
    double fraction = gd_vec3_dot(p->reciprocal[e], r);
    return p->periodic ? fraction - floor(fraction) : fraction;
}

static int column_of(const struct gd_cluster_pairs *p, const double pos[3])
{
    int at[2];
    for (int d = 0; d < 2; d++) {
        int c = (int)(fraction_of(p, d, pos) * p->columns[d]);
        at[d] = c < 0 ? 0 : c >= p->columns[d] ? p->columns[d] - 1 : c; /* also where a NaN came in */
    }
    return at[0] * p->columns[1] + at[1];
}

/* Slots of each column: as many as its atoms, rounded up to whole clusters. */
static void deal_columns(struct gd_md *md)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    int columns = p->columns[0] * p->columns[1];
    memset(p->column_start, 0, ((size_t)columns + 1) * sizeof *p->column_start);
    for (size_t i = 0; i < md->n; i++) {
        p->column_of[i] = column_of(p, md->pos[i]);
        p->part[i] = fraction_of(p, 2, md->pos[i]);
        p->column_start[p->column_of[i] + 1]++;
    }
    for (int c = 0; c < columns; c++)
        p->column_start[c + 1] = p->column_start[c] + (p->column_start[c + 1] + GD_CLUSTER - 1) / GD_CLUSTER;
    p->num_clusters = (size_t)p->column_start[columns];
    p->num_slots = p->num_clusters * GD_CLUSTER;
    for (size_t s = 0; s < p->num_slots; s++)
        p->atom[s] = -1;
    /* `type` counts the atoms placed so far at each column's first cluster; it is filled for good later */
    for (size_t s = 0; s < p->num_slots; s++)
        p->type[s] = 0;
    for (size_t i = 0; i < md->n; i++) {
        int32_t first = p->column_start[p->column_of[i]] * GD_CLUSTER;
        p->atom[first + p->type[first]++] = (int32_t)i;
    }
}

static int before(const struct gd_cluster_pairs *p, int32_t a, int32_t b)
{
    return p->part[a] != p->part[b] ? p->part[a] < p->part[b] : a < b;
}

/* Shell sort: in place, and the same for the same input everywhere. */
static void sort_column(const struct gd_cluster_pairs *p, int32_t *atom, int32_t n)
{
    int32_t gap = 1;
    while (gap < n / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (int32_t k = gap; k < n; k++) {
            int32_t moving = atom[k], to = k;
            for (; to >= gap && before(p, moving, atom[to - gap]); to -= gap)
                atom[to] = atom[to - gap];
            atom[to] = moving;
        }
}

/* Rounded outwards, so that no atom is outside. */
static void widen(struct gd_cluster_boxes *boxes, int d, size_t at, double x)
{
    float below = (float)(x - 1e-7 * fabs(x)), above = (float)(x + 1e-7 * fabs(x));
    boxes->low[d][at] = below < boxes->low[d][at] ? below : boxes->low[d][at];
    boxes->high[d][at] = above > boxes->high[d][at] ? above : boxes->high[d][at];
}

static void empty(struct gd_cluster_boxes *boxes, size_t at)
{
    for (int d = 0; d < 3; d++) {
        boxes->low[d][at] = 1e30f;
        boxes->high[d][at] = -1e30f;
    }
}

static void bound(struct gd_cluster_pairs *p, size_t c, size_t column)
{
    struct gd_cluster_extent *extent = &p->extent[c];
    empty(&p->boxes, c);
    for (int d = 0; d < 3; d++) {
        extent->low[d] = 1e30;
        extent->high[d] = -1e30;
    }
    for (size_t s = c * GD_CLUSTER; s < (c + 1) * GD_CLUSTER && p->atom[s] >= 0; s++) {
        double r[3];
        gd_vec3_sub(p->home[s], p->origin, r);
        for (int d = 0; d < 3; d++) {
            double part = gd_vec3_dot(p->reciprocal[d], r);
            extent->low[d] = part < extent->low[d] ? part : extent->low[d];
            extent->high[d] = part > extent->high[d] ? part : extent->high[d];
            widen(&p->boxes, d, c, p->home[s][d]);
            widen(&p->column_boxes, d, column, p->home[s][d]);
        }
    }
}

static void place_home(struct gd_md *md, size_t s)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    int32_t i = p->atom[s];
    if (i < 0) {
        p->home[s][0] = p->home[s][1] = p->home[s][2] = FAR_AWAY - FAR_APART * (double)s;
        return;
    }
    p->slot[i] = (int32_t)s;
    gd_vec3_copy(p->home[s], md->pos[i]);
    for (int e = 0; e < 3 && p->periodic; e++)
        gd_vec3_add_scaled(p->home[s], -floor(gd_vec3_dot(p->reciprocal[e], md->pos[i])), p->edge[e]);
}

void gd_cluster_sort(struct gd_md *md)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    set_cell(md);
    choose_columns(p, md->n);
    deal_columns(md);
    for (int c = 0; c < p->columns[0] * p->columns[1]; c++) {
        int32_t first = p->column_start[c] * GD_CLUSTER, last = p->column_start[c + 1] * GD_CLUSTER;
        if (first < last)
            sort_column(p, p->atom + first, p->type[first]);
    }
    for (size_t s = 0; s < p->num_slots; s++)
        place_home(md, s);
    for (size_t k = 0; k < (size_t)(p->columns[0] * p->columns[1]); k++) {
        empty(&p->column_boxes, k);
        for (size_t c = (size_t)p->column_start[k]; c < (size_t)p->column_start[k + 1]; c++)
            bound(p, c, k);
    }
}
