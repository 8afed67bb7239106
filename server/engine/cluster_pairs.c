/* Storage of the cluster pairs, and their part in a step. Contract: cluster_pairs.h. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#include "core/cpu.h"

/* GROMOSD_CPU restrains the choice, as it does for all kernels. */
static int choose_kernel(struct gd_cluster_pairs *p, int single, struct gd_err *err)
{
    unsigned mask;
    int rc = gd_cpu_parse_mask(getenv("GROMOSD_CPU"), &mask, err);
    if (rc != 0)
        return rc;
    unsigned flags = gd_cpu_detect() & mask;
    (void)flags;
    p->real_size = single ? sizeof(float) : sizeof(double);
    p->kernel = single ? gd_cluster_kernel_f32 : gd_cluster_kernel_f64;
#if defined(__x86_64__)
    if (flags & GD_CPU_AVX512)
        p->kernel = single ? gd_cluster_kernel_f32_avx512 : gd_cluster_kernel_f64_avx512;
    else if (flags & GD_CPU_AVX2)
        p->kernel = single ? gd_cluster_kernel_f32_avx2 : gd_cluster_kernel_f64_avx2;
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

static int create_slots(const struct gd_md *md, struct gd_cluster_pairs *p, struct gd_err *err)
{
    p->column_capacity = (int)(md->n / 4 < 1000000 ? md->n / 4 + 1 : 1000000);
    p->slot_capacity = md->n + 3 * (size_t)p->column_capacity + 16;
    struct {
        void **array;
        size_t count, size;
    } wanted[] = {
        {(void **)&p->column_start, (size_t)p->column_capacity + 1, sizeof *p->column_start},
        {(void **)&p->column_of, md->n, sizeof *p->column_of},
        {(void **)&p->slot, md->n, sizeof *p->slot},
        {(void **)&p->part, md->n, sizeof *p->part},
        {(void **)&p->atom, p->slot_capacity, sizeof *p->atom},
        {(void **)&p->home, p->slot_capacity, sizeof *p->home},
        {(void **)&p->type, p->slot_capacity, sizeof *p->type},
        {(void **)&p->group, p->slot_capacity, sizeof *p->group},
        {(void **)&p->box, p->slot_capacity / GD_CLUSTER, sizeof *p->box},
        {&p->x, p->slot_capacity, p->real_size},
        {&p->y, p->slot_capacity, p->real_size},
        {&p->z, p->slot_capacity, p->real_size},
        {&p->charge, p->slot_capacity, p->real_size},
        {&p->c6, p->slot_capacity * p->num_local, p->real_size},
        {&p->c12, p->slot_capacity * p->num_local, p->real_size},
    };
    int rc = 0;
    for (size_t k = 0; k < sizeof wanted / sizeof wanted[0] && rc == 0; k++)
        rc = gd_md_allocate(wanted[k].array, wanted[k].count, wanted[k].size, err);
    for (size_t t = 0; t < p->num_threads && rc == 0; t++) {
        rc = gd_md_allocate((void **)&p->thread[t].head, p->slot_capacity / GD_CLUSTER, sizeof(int32_t), err);
        for (int d = 0; d < 3 && rc == 0; d++)
            rc = gd_md_allocate(&p->thread[t].force[d], p->slot_capacity, p->real_size, err);
    }
    return rc;
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
        rc = collect_partners(md->top, p, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&p->thread, p->num_threads, sizeof *p->thread, err);
    return rc == 0 ? create_slots(md, p, err) : rc;
}

void gd_cluster_pairs_destroy(struct gd_cluster_pairs **pairs)
{
    struct gd_cluster_pairs *p = *pairs;
    if (p == NULL)
        return;
    void *arrays[] = {p->column_start, p->column_of, p->slot, p->part, p->atom, p->home, p->type, p->group, p->box,
                      p->x, p->y, p->z, p->charge, p->c6, p->c12, p->local_type, p->partner_start, p->partner};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
        free(arrays[k]);
    for (size_t t = 0; p->thread != NULL && t < p->num_threads; t++) {
        free(p->thread[t].row);
        free(p->thread[t].entry);
        free(p->thread[t].next);
        free(p->thread[t].head);
        for (int d = 0; d < 3; d++)
            free(p->thread[t].force[d]);
    }
    free(p->thread);
    free(p);
    *pairs = NULL;
}

static void put(void *array, size_t real_size, size_t at, double value)
{
    if (real_size == sizeof(float))
        ((float *)array)[at] = (float)value;
    else
        ((double *)array)[at] = value;
}

static double get(const void *array, size_t real_size, size_t at)
{
    return real_size == sizeof(float) ? (double)((const float *)array)[at] : ((const double *)array)[at];
}

/* What belongs to the atom of each slot. */
static void fill_slots(struct gd_md *md)
{
    struct gd_nonbonded *nb = md->nonbonded;
    struct gd_cluster_pairs *p = nb->clusters;
    const double unit = sqrt(nb->four_pi_eps);
    for (size_t s = 0; s < p->num_slots; s++) {
        int32_t i = p->atom[s];
        p->type[s] = i < 0 ? 0 : p->local_type[md->type[i]];
        p->group[s] = i < 0 ? 0 : md->energy_group[i];
        put(p->charge, p->real_size, s, i < 0 ? 0.0 : unit * nb->charge[i]);
        put(p->x, p->real_size, s, p->home[s][0]);
        put(p->y, p->real_size, s, p->home[s][1]);
        put(p->z, p->real_size, s, p->home[s][2]);
        for (size_t t = 0; t < nb->num_types; t++) {
            if (p->local_type[t] < 0)
                continue;
            size_t at = (size_t)p->local_type[t] * p->num_slots + s;
            const struct gd_lj *lj = &nb->lj[t * nb->num_types + (size_t)(i < 0 ? 0 : md->type[i])];
            put(p->c6, p->real_size, at, i < 0 ? 0.0 : lj->c6);
            put(p->c12, p->real_size, at, i < 0 ? 0.0 : lj->c12);
        }
    }
}

static void set_shifts(struct gd_cluster_pairs *p, const struct gd_periodicity *pbc)
{
    memset(p->shift, 0, sizeof p->shift);
    for (int s = 0; s < GD_CLUSTER_SHIFTS && pbc->kind != GD_BOX_VACUUM; s++) {
        const int steps[3] = {s / 9 - 1, s / 3 % 3 - 1, s % 3 - 1};
        for (int e = 0; e < 3; e++)
            gd_vec3_add_scaled(p->shift[s], steps[e], pbc->edge[e]);
    }
}

static void search_thread(void *argument, int number)
{
    const struct gd_md *md = argument;
    gd_cluster_search(md, &md->nonbonded->clusters->thread[number]);
}

int gd_cluster_pairs_update(struct gd_md *md, struct gd_err *err)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    gd_cluster_sort(md);
    fill_slots(md);
    set_shifts(p, &md->pbc);
    for (size_t t = 0; t < p->num_threads; t++) {
        p->thread[t].begin = p->num_clusters * t / p->num_threads;
        p->thread[t].end = p->num_clusters * (t + 1) / p->num_threads;
    }
    gd_thread_pool_run(md->pool, search_thread, md);
    for (size_t t = 0; t < p->num_threads; t++)
        if (p->thread[t].failed) {
            p->thread[t].failed = 0;
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the pair list at step %lld", (long long)md->step);
        }
    return 0;
}

void gd_cluster_pairs_begin(struct gd_md *md)
{
    set_shifts(md->nonbonded->clusters, &md->pbc);
}

/* Each atom at the image that is nearest to where the list saw it, in a box that may have changed since. */
void gd_cluster_pairs_place(struct gd_md *md, int thread)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    gd_mat3 map;
    double r[3], from[3];
    int same = gd_verlet_box_map(md, map) == 1.0;
    size_t begin = p->num_slots * (size_t)thread / p->num_threads, end = p->num_slots * ((size_t)thread + 1) / p->num_threads;
    for (size_t s = begin; s < end; s++) {
        if (p->atom[s] < 0)
            continue;
        if (same)
            gd_vec3_copy(from, p->home[s]);
        else
            gd_mat3_mul_vec((const gd_vec3 *)map, p->home[s], from);
        gd_nearest_image(&md->pbc, md->pos[p->atom[s]], from, r);
        put(p->x, p->real_size, s, from[0] + r[0]);
        put(p->y, p->real_size, s, from[1] + r[1]);
        put(p->z, p->real_size, s, from[2] + r[2]);
    }
}

/* sum r x f of the pairs: positions times the thread's forces, and shifts times the forces on what was shifted. */
static void add_virial(const struct gd_cluster_pairs *p, const struct gd_cluster_thread *th, gd_mat3 virial)
{
    for (size_t s = 0; s < p->num_slots; s++) {
        if (p->atom[s] < 0)
            continue;
        double x[3] = {get(p->x, p->real_size, s), get(p->y, p->real_size, s), get(p->z, p->real_size, s)}, f[3];
        for (int d = 0; d < 3; d++)
            f[d] = get(th->force[d], p->real_size, s);
        gd_mat3_add_outer(virial, 1.0, x, f);
    }
    for (int s = 0; s < GD_CLUSTER_SHIFTS; s++)
        gd_mat3_add_outer(virial, 1.0, p->shift[s], th->shift_force[s]);
}

void gd_cluster_pairs_forces(struct gd_md *md, int thread, struct gd_pair_sums *sums)
{
    struct gd_nonbonded *nb = md->nonbonded;
    struct gd_cluster_pairs *p = nb->clusters;
    struct gd_cluster_thread *th = &p->thread[thread];
    for (int d = 0; d < 3; d++)
        memset(th->force[d], 0, p->num_slots * p->real_size);
    memset(th->shift_force, 0, sizeof th->shift_force);
    struct gd_cluster_job job = {
        .row = th->row, .num_rows = th->num_rows, .entry = th->entry, .shift = (const double(*)[3])p->shift,
        .x = p->x, .y = p->y, .z = p->z, .charge = p->charge, .c6 = p->c6, .c12 = p->c12, .slots = p->num_slots,
        .type = p->type, .group = nb->num_groups > 1 ? p->group : NULL, .num_groups = nb->num_groups,
        .cutoff2 = nb->cutoff * nb->cutoff, .shift_r6 = nb->shift_r6, .shift_r12 = nb->shift_r12, .rf = nb->rf,
        .fx = th->force[0], .fy = th->force[1], .fz = th->force[2], .shift_force = th->shift_force,
        .lj = sums->lj, .crf = sums->crf,
    };
    p->kernel(&job);
    if (nb->with_virial)
        add_virial(p, th, sums->virial);
}

void gd_cluster_pairs_add_forces(struct gd_md *md, size_t begin, size_t end)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    for (size_t i = begin; i < end; i++)
        for (size_t t = 0; t < p->num_threads; t++)
            for (int d = 0; d < 3; d++)
                md->force[i][d] += get(p->thread[t].force[d], p->real_size, (size_t)p->slot[i]);
}
