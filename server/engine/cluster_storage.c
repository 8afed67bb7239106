/* Storage of the cluster pairs, and what does not change during a run. Contract: cluster_pairs.h. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#include "core/cpu.h"

static int choose_kernel(struct gd_cluster_pairs *p, int single, struct gd_err *err)
{
    unsigned flags;
    int rc = gd_cpu_allowed(&flags, err);
    if (rc != 0)
        return rc;
    p->real_size = single ? sizeof(float) : sizeof(double);
    p->kernels = single ? &gd_cluster_kernels_f32 : &gd_cluster_kernels_f64;
#if defined(__x86_64__)
    if (flags & GD_CPU_AVX512)
        p->kernels = single ? &gd_cluster_kernels_f32_avx512 : &gd_cluster_kernels_f64_avx512;
    else if (flags & GD_CPU_AVX2)
        p->kernels = single ? &gd_cluster_kernels_f32_avx2 : &gd_cluster_kernels_f64_avx2;
#endif
    return 0;
}

static int number_types(const struct gd_md *md, struct gd_cluster_pairs *p, struct gd_err *err)
{
    int rc = gd_md_allocate((void **)&p->local_type, md->nonbonded->num_types, sizeof *p->local_type, err);
    if (rc != 0)
        return rc;
    for (size_t t = 0; t < md->nonbonded->num_types; t++)
        p->local_type[t] = -1;
    for (size_t i = 0; i < md->n; i++)
        if (p->local_type[md->type[i]] < 0)
            p->local_type[md->type[i]] = (int32_t)p->num_local++;
    rc = gd_md_allocate((void **)&p->local_number, p->num_local, sizeof *p->local_number, err);
    for (size_t t = 0; t < md->nonbonded->num_types && rc == 0; t++)
        if (p->local_type[t] >= 0)
            p->local_number[p->local_type[t]] = (int32_t)t;
    return rc;
}

/* GD_CLUSTER_CHARGES: no Lennard-Jones terms with any other that occurs. */
static enum gd_cluster_kind kind_without_common(const struct gd_nonbonded *nb, const struct gd_cluster_pairs *p, size_t local)
{
    const struct gd_lj *row = &nb->lj[(size_t)p->local_number[local] * nb->num_types];
    for (size_t t = 0; t < p->num_local; t++)
        if (row[p->local_number[t]].c6 != 0.0 || row[p->local_number[t]].c12 != 0.0)
            return GD_CLUSTER_ANY;
    return GD_CLUSTER_CHARGES;
}

/* The kind of each type; the common one is the most frequent of those with Lennard-Jones terms. */
static int sort_types(const struct gd_md *md, struct gd_cluster_pairs *p, struct gd_err *err)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    size_t *atoms = NULL, common = p->num_local;
    int rc = gd_md_allocate((void **)&p->type_kind, p->num_local, sizeof *p->type_kind, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&atoms, p->num_local, sizeof *atoms, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < md->n; i++)
        atoms[p->local_type[md->type[i]]]++;
    for (size_t t = 0; t < p->num_local; t++) {
        p->type_kind[t] = kind_without_common(nb, p, t);
        if (p->type_kind[t] == GD_CLUSTER_ANY && (common == p->num_local || atoms[t] > atoms[common]))
            common = t;
    }
    if (common < p->num_local) {
        p->type_kind[common] = GD_CLUSTER_COMMON;
        p->common = nb->lj[(size_t)p->local_number[common] * (nb->num_types + 1)];
    }
    for (size_t t = 0; t < p->num_local; t++)
        p->any |= p->type_kind[t] == GD_CLUSTER_ANY;
    free(atoms);
    return 0;
}

/* Counts (partner NULL) or writes both directions of one pair. */
static void note_pair(struct gd_cluster_pairs *p, int32_t *used, int32_t i, int32_t j)
{
    if (p->partner != NULL) {
        p->partner[used[i]] = j;
        p->partner[used[j]] = i;
    }
    used[i]++;
    used[j]++;
}

static void note_pairs(const struct gd_topology *top, struct gd_cluster_pairs *p, int32_t *used)
{
    for (int32_t i = 0; (size_t)i < top->num_solute_atoms; i++) {
        for (int32_t k = top->exclusion_start[i]; k < top->exclusion_start[i + 1]; k++)
            note_pair(p, used, i, top->exclusions[k]);
        for (int32_t k = top->one_four_start[i]; k < top->one_four_start[i + 1]; k++)
            note_pair(p, used, i, top->one_fours[k]);
    }
    for (size_t k = 0; k < top->num_lj_exceptions; k++)
        note_pair(p, used, top->lj_exceptions[k].atom[0], top->lj_exceptions[k].atom[1]);
}

static int collect_partners(const struct gd_topology *top, struct gd_cluster_pairs *p, struct gd_err *err)
{
    int32_t *used = NULL;
    size_t n = top->num_solute_atoms;
    int rc = gd_md_allocate((void **)&used, n + 1, sizeof *used, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&p->partner_start, n + 1, sizeof *p->partner_start, err);
    if (rc == 0) {
        note_pairs(top, p, used);
        for (size_t i = 0; i < n; i++) {
            p->partner_start[i + 1] = p->partner_start[i] + used[i];
            used[i] = p->partner_start[i];
        }
        rc = gd_md_allocate((void **)&p->partner, (size_t)p->partner_start[n], sizeof *p->partner, err);
    }
    if (rc == 0)
        note_pairs(top, p, used);
    free(used);
    return rc;
}

/* Sixteen numbers of `size` bytes for each cluster, none across two lines of the cache in single precision. */
static int allocate_lines(void **out, size_t clusters, size_t size, struct gd_err *err)
{
    size_t bytes = (clusters + 1) * 16 * size;
    *out = aligned_alloc(64, bytes);
    if (*out == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
    memset(*out, 0, bytes);
    return 0;
}

static int create_threads(struct gd_cluster_pairs *p, size_t clusters, size_t groups, struct gd_err *err)
{
    int rc = gd_md_allocate((void **)&p->thread, p->num_threads, sizeof *p->thread, err);
    for (size_t t = 0; t < p->num_threads && rc == 0; t++) {
        struct gd_cluster_thread *th = &p->thread[t];
        rc = gd_md_allocate((void **)&th->near, clusters + GD_CLUSTER_BLOCK, sizeof *th->near, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->near_column, (size_t)p->column_capacity + GD_CLUSTER_BLOCK, sizeof *th->near_column, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->run, (size_t)p->column_capacity, sizeof *th->run, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->entry_of, clusters, sizeof *th->entry_of, err);
        if (rc == 0)
            rc = allocate_lines(&th->force, clusters, p->real_size, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->lj, groups * groups, sizeof *th->lj, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->crf, groups * groups, sizeof *th->crf, err);
        for (int kind = 1; kind < GD_CLUSTER_KINDS && rc == 0; kind++)
            rc = gd_md_allocate((void **)&th->waiting[kind], clusters + GD_CLUSTER_BLOCK, sizeof *th->waiting[kind], err);
    }
    return rc;
}

static int create_slots(const struct gd_md *md, struct gd_cluster_pairs *p, struct gd_err *err)
{
    p->column_capacity = (int)(md->n / 4 < 1000000 ? md->n / 4 + 1 : 1000000);
    p->slot_capacity = md->n + 3 * (size_t)p->column_capacity + 16;
    size_t clusters = p->slot_capacity / GD_CLUSTER + 1, columns = (size_t)p->column_capacity;
    size_t parameters = p->any ? p->slot_capacity * p->num_local : 0;
    struct {
        void **array;
        size_t count, size;
    } wanted[] = {
        {(void **)&p->column_start, columns + 1, sizeof *p->column_start},
        {(void **)&p->column_of, md->n, sizeof *p->column_of},
        {(void **)&p->slot, md->n, sizeof *p->slot},
        {(void **)&p->part, md->n, sizeof *p->part},
        {(void **)&p->atom, p->slot_capacity, sizeof *p->atom},
        {(void **)&p->home, p->slot_capacity, sizeof *p->home},
        {(void **)&p->type, p->slot_capacity, sizeof *p->type},
        {(void **)&p->group, p->slot_capacity, sizeof *p->group},
        {(void **)&p->extent, clusters, sizeof *p->extent},
        {(void **)&p->cluster_group, clusters, sizeof *p->cluster_group},
        {(void **)&p->cluster_kind, clusters, sizeof *p->cluster_kind},
        {(void **)&p->cluster_common, clusters, sizeof *p->cluster_common},
        {&p->c6, parameters, p->real_size},
        {&p->c12, parameters, p->real_size},
    };
    int rc = 0;
    for (size_t k = 0; k < sizeof wanted / sizeof wanted[0] && rc == 0; k++)
        rc = gd_md_allocate(wanted[k].array, wanted[k].count, wanted[k].size, err);
    if (rc == 0)
        rc = allocate_lines(&p->place, clusters, p->real_size, err);
    if (rc == 0)
        rc = allocate_lines(&p->expected, clusters, p->real_size, err);
    for (int k = 0; k < 12 && rc == 0; k++) {
        struct gd_cluster_boxes *boxes = k < 6 ? &p->boxes : &p->column_boxes;
        float **side = k % 2 ? &boxes->high[k / 2 % 3] : &boxes->low[k / 2 % 3];
        rc = gd_md_allocate((void **)side, (k < 6 ? clusters : columns) + GD_CLUSTER_BLOCK, sizeof **side, err);
    }
    return rc == 0 ? create_threads(p, clusters, md->nonbonded->num_groups, err) : rc;
}

int gd_cluster_pairs_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_cluster_pairs *p = calloc(1, sizeof *p);
    if (p == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for cluster pairs");
    md->nonbonded->clusters = p;
    p->num_threads = md->nonbonded->num_threads;
    int rc = choose_kernel(p, md->par.precision == GD_PRECISION_FLOAT32, err);
    if (rc == 0)
        rc = number_types(md, p, err);
    if (rc == 0)
        rc = sort_types(md, p, err);
    if (rc == 0)
        rc = collect_partners(md->top, p, err);
    return rc == 0 ? create_slots(md, p, err) : rc;
}

void gd_cluster_pairs_destroy(struct gd_cluster_pairs **pairs)
{
    struct gd_cluster_pairs *p = *pairs;
    if (p == NULL)
        return;
    void *arrays[] = {p->column_start, p->column_of, p->slot,          p->part,         p->atom,           p->home,          p->type,
                      p->group,        p->extent,    p->cluster_group, p->cluster_kind, p->cluster_common, p->place,         p->expected,
                      p->c6,           p->c12,       p->local_type,    p->local_number, p->type_kind,      p->partner_start, p->partner};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
        free(arrays[k]);
    for (int d = 0; d < 3; d++) {
        free(p->boxes.low[d]);
        free(p->boxes.high[d]);
        free(p->column_boxes.low[d]);
        free(p->column_boxes.high[d]);
    }
    for (size_t t = 0; p->thread != NULL && t < p->num_threads; t++) {
        struct gd_cluster_thread *th = &p->thread[t];
        void *of_thread[] = {th->found.row, th->found.entry, th->kept.row, th->kept.entry, th->near, th->near_column,
                             th->run,       th->entry_of,    th->force,    th->lj,         th->crf};
        for (size_t k = 0; k < sizeof of_thread / sizeof of_thread[0]; k++)
            free(of_thread[k]);
        for (int kind = 0; kind < GD_CLUSTER_KINDS; kind++)
            free(th->waiting[kind]);
    }
    free(p->thread);
    free(p);
    *pairs = NULL;
}
