/* LINCS: a linear projection of the new distances on the old directions, the coupling matrix inverted by a power series,
 * then one correction for the lengthening by rotation. Source: Hess, Bekker, Berendsen and Fraaije 1997. */
#include "engine/constraints.h"

#include <stdlib.h>

struct gd_lincs {
    const struct gd_distance *distances;
    size_t count;
    double *diagonal; /* [count] (1/m_i + 1/m_j)^-1/2 */
    int32_t *start;   /* [count + 1] into other, coefficient */
    int32_t *other;   /* coupled constraints */
    double *coefficient;
};

static double shared_coefficient(const struct gd_lincs *l, size_t p, size_t q, const double *mass)
{
    const int32_t *a = l->distances[p].atom, *b = l->distances[q].atom;
    int32_t atom = a[0] == b[0] || a[0] == b[1] ? a[0] : a[1] == b[0] || a[1] == b[1] ? a[1] : -1;
    if (atom < 0 || p == q)
        return 0.0;
    double c = 1.0 / mass[atom] * l->diagonal[p] * l->diagonal[q];
    return a[0] == b[0] || a[1] == b[1] ? -c : c;
}

int gd_lincs_create(struct gd_lincs **out, const struct gd_distance *distances, size_t count, const double *mass, struct gd_err *err)
{
    struct gd_lincs *l = calloc(1, sizeof *l);
    if (l == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for LINCS");
    l->distances = distances;
    l->count = count;
    int rc = gd_md_allocate((void **)&l->diagonal, count, sizeof *l->diagonal, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&l->start, count + 1, sizeof *l->start, err);
    if (rc != 0)
        goto fail;
    for (size_t p = 0; p < count; p++)
        l->diagonal[p] = 1.0 / sqrt(1.0 / mass[distances[p].atom[0]] + 1.0 / mass[distances[p].atom[1]]);
    size_t couplings = 0;
    for (size_t p = 0; p < count; p++)
        for (size_t q = 0; q < count; q++)
            couplings += shared_coefficient(l, p, q, mass) != 0.0;
    rc = gd_md_allocate((void **)&l->other, couplings, sizeof *l->other, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&l->coefficient, couplings, sizeof *l->coefficient, err);
    if (rc != 0)
        goto fail;
    size_t used = 0;
    for (size_t p = 0; p < count; p++) {
        l->start[p] = (int32_t)used;
        for (size_t q = 0; q < count; q++) {
            double c = shared_coefficient(l, p, q, mass);
            if (c == 0.0)
                continue;
            l->other[used] = (int32_t)q;
            l->coefficient[used++] = c;
        }
    }
    l->start[count] = (int32_t)used;
    *out = l;
    return 0;
fail:
    gd_lincs_destroy(&l);
    return rc;
}

void gd_lincs_destroy(struct gd_lincs **lincs)
{
    if (lincs == NULL || *lincs == NULL)
        return;
    free((*lincs)->diagonal);
    free((*lincs)->start);
    free((*lincs)->other);
    free((*lincs)->coefficient);
    free(*lincs);
    *lincs = NULL;
}

size_t gd_lincs_scratch(const struct gd_lincs *l)
{
    return 6 * l->count + (size_t)l->start[l->count] + 1;
}

struct lincs_work {
    double *direction;         /* [count][3] */
    double *term, *next, *sum; /* [count] */
    double *matrix;            /* [couplings] */
};

/* sum = (1 + A + A^2 + ...) term, then the positions move by it. */
static void solve(struct gd_md *md, const struct gd_lincs *l, size_t first, int order, struct lincs_work *w)
{
    for (size_t p = 0; p < l->count; p++)
        w->sum[p] = w->term[p];
    for (int power = 0; power < order; power++) {
        for (size_t p = 0; p < l->count; p++) {
            double value = 0.0;
            for (int32_t k = l->start[p]; k < l->start[p + 1]; k++)
                value += w->matrix[k] * w->term[l->other[k]];
            w->next[p] = value;
            w->sum[p] += value;
        }
        double *swap = w->term;
        w->term = w->next;
        w->next = swap;
    }
    for (size_t p = 0; p < l->count; p++) {
        size_t i = first + (size_t)l->distances[p].atom[0], j = first + (size_t)l->distances[p].atom[1];
        double pull = l->diagonal[p] * w->sum[p];
        gd_vec3_add_scaled(md->pos[i], -pull / md->mass[i], &w->direction[3 * p]);
        gd_vec3_add_scaled(md->pos[j], pull / md->mass[j], &w->direction[3 * p]);
    }
}

void gd_lincs_apply(struct gd_md *md, const struct gd_lincs *l, size_t first, int order, double *scratch)
{
    struct lincs_work w = {scratch, scratch + 3 * l->count, scratch + 4 * l->count, scratch + 5 * l->count, scratch + 6 * l->count};
    for (size_t p = 0; p < l->count; p++) {
        double r[3];
        gd_nearest_image(&md->pbc, md->old_pos[first + (size_t)l->distances[p].atom[0]],
                         md->old_pos[first + (size_t)l->distances[p].atom[1]], r);
        double length = gd_vec3_norm(r);
        for (int d = 0; d < 3; d++)
            w.direction[3 * p + (size_t)d] = r[d] / length;
    }
    for (size_t p = 0; p < l->count; p++) {
        double r[3];
        for (int32_t k = l->start[p]; k < l->start[p + 1]; k++)
            w.matrix[k] = l->coefficient[k] * gd_vec3_dot(&w.direction[3 * p], &w.direction[3 * (size_t)l->other[k]]);
        gd_nearest_image(&md->pbc, md->pos[first + (size_t)l->distances[p].atom[0]], md->pos[first + (size_t)l->distances[p].atom[1]], r);
        w.term[p] = l->diagonal[p] * (gd_vec3_dot(&w.direction[3 * p], r) - sqrt(l->distances[p].length2));
    }
    solve(md, l, first, order, &w);
    for (size_t p = 0; p < l->count; p++) {
        double r[3], length = sqrt(l->distances[p].length2);
        gd_nearest_image(&md->pbc, md->pos[first + (size_t)l->distances[p].atom[0]], md->pos[first + (size_t)l->distances[p].atom[1]], r);
        double rest = 2.0 * l->distances[p].length2 - gd_vec3_norm2(r);
        w.term[p] = l->diagonal[p] * (length - (rest > 0.0 ? sqrt(rest) : 0.0));
    }
    solve(md, l, first, order, &w);
}
