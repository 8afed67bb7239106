/* The cluster pairs' part in a step. Contract: cluster_pairs.h. */
#include "engine/cluster_pairs.h"

/* nm; what is closer than the cutoff by that much when the list is found hardly leaves it while it holds */
#define SURE_BELOW 0.03
/* Half of the pruned list's life, in times that an atom of mean speed takes for the room there is for what it does unexpectedly. */
#define HALF_LIFE 0.9
/* What is left of an atom's reach when the rounding of distances in single precision has taken its share. */
#define ROUNDED 0.997

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

/* Where number d (x, y, z, charge) of a slot stands in `place` and `force`. */
static size_t at_slot(size_t s, size_t d)
{
    return s / GD_CLUSTER * 16 + d * GD_CLUSTER + s % GD_CLUSTER;
}

static void fill_parameters(const struct gd_nonbonded *nb, struct gd_cluster_pairs *p, size_t s)
{
    for (size_t t = 0; t < p->num_local; t++) {
        size_t at = t * p->num_slots + s;
        const struct gd_lj *lj = &nb->lj[(size_t)p->local_number[t] * nb->num_types + (size_t)p->local_number[p->type[s]]];
        put(p->c6, p->real_size, at, p->atom[s] < 0 ? 0.0 : lj->c6);
        put(p->c12, p->real_size, at, p->atom[s] < 0 ? 0.0 : lj->c12);
    }
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
        put(p->place, p->real_size, at_slot(s, 3), i < 0 ? 0.0 : unit * nb->charge[i]);
        for (size_t d = 0; d < 3; d++)
            put(p->place, p->real_size, at_slot(s, d), p->home[s][d]);
        if (p->any)
            fill_parameters(nb, p, s);
    }
}

static void fill_clusters(struct gd_cluster_pairs *p)
{
    for (size_t c = 0; c < p->num_clusters; c++) {
        p->cluster_kind[c] = GD_CLUSTER_CHARGES;
        p->cluster_common[c] = 0;
        p->cluster_group[c] = p->group[c * GD_CLUSTER]; /* the first slot always has an atom */
        for (size_t a = 0; a < GD_CLUSTER; a++) {
            size_t s = c * GD_CLUSTER + a;
            enum gd_cluster_kind kind = p->type_kind[p->type[s]];
            if (p->atom[s] < 0)
                continue;
            p->cluster_kind[c] = (uint8_t)(kind > p->cluster_kind[c] ? kind : p->cluster_kind[c]);
            p->cluster_common[c] |= (uint8_t)((kind == GD_CLUSTER_COMMON) << a);
            if (p->group[s] != p->cluster_group[c])
                p->cluster_group[c] = -1;
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

static double mean_speed2(const struct gd_md *md)
{
    double sum = 0.0;
    for (size_t i = 0; i < md->n; i++)
        sum += gd_vec3_norm2(md->vel[i]);
    return sum / (double)md->n;
}

/* Where atoms are expected in the middle of the pruned list's life, and how far from there they may be: the list is made for these
 * places, so that atoms are on their way there for one half of it and beyond for the other. However wrong the places, no pair is
 * lost: where atoms are is looked at in every step. */
static void expect_places(struct gd_md *md)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    const double room = md->nonbonded->prune_room, farthest = 20.0 * room;
    double ahead = HALF_LIFE * room / sqrt(mean_speed2(md));
    ahead = ahead < 1.0 ? ahead : 0.0; /* where nothing moves, or not by velocities */
    const double turn = ahead / md->par.step.dt + 0.5;
    memcpy(p->expected, p->place, p->num_clusters * 16 * p->real_size);
    for (size_t i = 0; i < md->n; i++) {
        const size_t s = (size_t)p->slot[i];
        double go[3];
        for (size_t d = 0; d < 3; d++)
            go[d] = ahead * (md->vel[i][d] + turn * (md->vel[i][d] - md->old_vel[i][d]));
        double way = sqrt(gd_vec3_norm2(go)), part = way <= farthest ? 1.0 : way < 1e9 ? farthest / way : 0.0;
        for (size_t d = 0; d < 3 && part > 0.0; d++)
            put(p->expected, p->real_size, at_slot(s, d), get(p->place, p->real_size, at_slot(s, d)) + part * go[d]);
        put(p->expected, p->real_size, at_slot(s, 3), ((part > 0.0 ? part * way : 0.0) + room) / ROUNDED);
    }
}

/* Drops pairs of clusters whose boxes are within the list radius but whose atoms are not, with room for rounding in single precision. */
static void sift(const struct gd_nonbonded *nb, struct gd_cluster_thread *th)
{
    const struct gd_cluster_pairs *p = nb->clusters;
    const double radius = nb->list_radius + 1e-3 * (nb->list_radius - nb->cutoff), sure = nb->cutoff - SURE_BELOW;
    const struct gd_cluster_list found = th->found;
    p->kernels->sift(&found, (const double(*)[3])p->shift, p->place, radius * radius, sure > 0.0 ? sure * sure : 0.0,
                     th->waiting[GD_CLUSTER_COMMON], &th->kept);
    th->found = th->kept;
    th->kept = found;
}

static void search_thread(void *argument, int number)
{
    const struct gd_md *md = argument;
    struct gd_cluster_thread *th = &md->nonbonded->clusters->thread[number];
    gd_cluster_search(md, th);
    if (!th->failed)
        sift(md->nonbonded, th);
}

int gd_cluster_pairs_update(struct gd_md *md, struct gd_err *err)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    gd_cluster_sort(md);
    fill_slots(md);
    fill_clusters(p);
    set_shifts(p, &md->pbc);
    for (size_t t = 0; t < p->num_threads; t++) {
        p->thread[t].begin = p->num_clusters * t / p->num_threads;
        p->thread[t].end = p->num_clusters * (t + 1) / p->num_threads;
    }
    gd_thread_pool_run(md->pool, search_thread, md);
    p->pruned = 0;
    p->prune_now = 1;
    expect_places(md);
    for (size_t t = 0; t < p->num_threads; t++)
        if (p->thread[t].failed) {
            p->thread[t].failed = 0;
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the pair list at step %lld", gd_md_named_step(md));
        }
    return 0;
}

void gd_cluster_pairs_begin(struct gd_md *md)
{
    set_shifts(md->nonbonded->clusters, &md->pbc);
}

/* The thread's share of the clusters. */
static size_t share(const struct gd_cluster_pairs *p, int thread)
{
    return p->num_clusters * (size_t)thread / p->num_threads;
}

/* How far any shift has moved since the list was pruned. */
static double shifts_moved(const struct gd_cluster_pairs *p)
{
    double most = 0.0;
    for (int s = 0; s < GD_CLUSTER_SHIFTS; s++) {
        double r[3];
        gd_vec3_sub(p->shift[s], p->pruned_shift[s], r);
        most = gd_vec3_norm2(r) > most ? gd_vec3_norm2(r) : most;
    }
    return sqrt(most);
}

/* Each atom at the image that is nearest to where the list saw it, in a box that may have changed since. `kind` and
 * `real_size` are constants where this is called. */
static inline __attribute__((always_inline)) void place(struct gd_md *md, int thread, const int kind, const size_t real_size)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    const struct gd_periodicity pbc = md->pbc;
    const gd_vec3 *pos = (const gd_vec3 *)md->pos, *home = (const gd_vec3 *)p->home;
    const int32_t *atom = p->atom;
    const void *middle = p->expected;
    void *places = p->place;
    gd_mat3 map;
    double way2 = 0.0, moved = 0.5 * shifts_moved(p);
    int same = gd_verlet_box_map(md, map) == 1.0, astray = 0;
    for (size_t s = GD_CLUSTER * share(p, thread), end = GD_CLUSTER * share(p, thread + 1); s < end; s++) {
        double r[3], from[3], off2 = 0.0;
        if (atom[s] < 0)
            continue;
        if (same)
            gd_vec3_copy(from, home[s]);
        else
            gd_mat3_mul_vec((const gd_vec3 *)map, home[s], from);
        gd_nearest_image_of(&pbc, kind, pos[atom[s]], from, r);
        for (size_t d = 0; d < 3; d++) {
            put(places, real_size, at_slot(s, d), from[d] + r[d]);
            double off = get(places, real_size, at_slot(s, d)) - get(middle, real_size, at_slot(s, d));
            off2 += off * off;
        }
        const double room = ROUNDED * get(middle, real_size, at_slot(s, 3)) - moved;
        /* in this sense a NaN counts */
        way2 = gd_vec3_norm2(r) <= way2 ? way2 : gd_vec3_norm2(r);
        astray |= !(room >= 0.0 && off2 <= room * room);
    }
    p->thread[thread].way2 = way2;
    p->thread[thread].astray = astray;
}

void gd_cluster_pairs_place(struct gd_md *md, int thread)
{
    int single = md->nonbonded->clusters->real_size == sizeof(float);
    switch (md->pbc.kind) {
    case GD_BOX_VACUUM:
        place(md, thread, GD_BOX_VACUUM, single ? sizeof(float) : sizeof(double));
        return;
    case GD_BOX_RECTANGULAR:
        if (single)
            place(md, thread, GD_BOX_RECTANGULAR, sizeof(float));
        else
            place(md, thread, GD_BOX_RECTANGULAR, sizeof(double));
        return;
    default:
        place(md, thread, GD_BOX_TRICLINIC, single ? sizeof(float) : sizeof(double));
        return;
    }
}

/* A pair that is not in the list was farther apart than its radius, moved by the map of the box and by both atoms' own ways;
 * one that was pruned, farther than the cutoff and both reaches, from which neither has strayed by more than the shift leaves. */
int gd_cluster_pairs_hold(struct gd_md *md)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    struct gd_cluster_pairs *p = nb->clusters;
    gd_mat3 map;
    double way2 = 0.0;
    int astray = 0;
    for (size_t t = 0; t < p->num_threads; t++) {
        way2 = p->thread[t].way2 <= way2 ? way2 : p->thread[t].way2;
        astray |= p->thread[t].astray;
    }
    double way = 0.5 * (gd_verlet_box_map(md, map) * nb->list_radius - nb->cutoff);
    if (!(way > 0.0 && way2 <= way * way))
        return 0;
    p->prune_now = !p->pruned || astray;
    if (p->prune_now)
        expect_places(md);
    return 1;
}

/* The thread's part of the list; forces of all threads read positions, which none writes meanwhile. */
static void prune(struct gd_nonbonded *nb, int thread)
{
    struct gd_cluster_pairs *p = nb->clusters;
    struct gd_cluster_thread *th = &p->thread[thread];
    double start = gd_md_clock();
    p->kernels->prune(&th->found, (const double(*)[3])p->shift, p->expected, nb->cutoff, &th->kept);
    th->prune_seconds = gd_md_clock() - start;
}

/* sum r x f of the pairs: positions times the thread's forces, and shifts times the forces on what was shifted. */
static void add_virial(const struct gd_cluster_pairs *p, const struct gd_cluster_thread *th, gd_mat3 virial)
{
    for (size_t s = 0; s < p->num_slots; s++) {
        double x[3], f[3];
        if (p->atom[s] < 0)
            continue;
        for (size_t d = 0; d < 3; d++) {
            x[d] = get(p->place, p->real_size, at_slot(s, d));
            f[d] = get(th->force, p->real_size, at_slot(s, d));
        }
        gd_mat3_add_outer(virial, 1.0, x, f);
    }
    for (int s = 0; s < GD_CLUSTER_SHIFTS; s++)
        gd_mat3_add_outer(virial, 1.0, p->shift[s], th->shift_force[s]);
}

/* The kernel over the thread's pairs; forces are added to the thread's. */
static void run_kernel(struct gd_nonbonded *nb, int thread, enum gd_cluster_energies energies)
{
    struct gd_cluster_pairs *p = nb->clusters;
    struct gd_cluster_thread *th = &p->thread[thread];
    struct gd_cluster_job job = {
        .list = &th->kept,
        .shift = (const double(*)[3])p->shift,
        .place = p->place,
        .common = p->common,
        .c6 = p->c6,
        .c12 = p->c12,
        .slots = p->num_slots,
        .type = p->type,
        .group = p->group,
        .cluster_group = p->cluster_group,
        .num_groups = nb->num_groups,
        .energies = energies,
        .cutoff2 = nb->cutoff * nb->cutoff,
        .shift_r6 = nb->shift_r6,
        .shift_r12 = nb->shift_r12,
        .rf = nb->rf,
        .force = th->force,
        .shift_force = th->shift_force,
        .lj = th->lj,
        .crf = th->crf,
    };
    memset(th->lj, 0, nb->num_groups * nb->num_groups * sizeof *th->lj);
    memset(th->crf, 0, nb->num_groups * nb->num_groups * sizeof *th->crf);
    p->kernels->forces(&job);
}

static enum gd_cluster_energies kind_of_energies(const struct gd_nonbonded *nb)
{
    return nb->num_groups > 1 ? GD_CLUSTER_GROUPS : GD_CLUSTER_ONE_GROUP;
}

void gd_cluster_pairs_forces(struct gd_md *md, int thread, struct gd_pair_sums *sums)
{
    struct gd_nonbonded *nb = md->nonbonded;
    struct gd_cluster_pairs *p = nb->clusters;
    struct gd_cluster_thread *th = &p->thread[thread];
    th->prune_seconds = 0.0;
    if (p->prune_now)
        prune(nb, thread);
    memset(th->force, 0, p->num_clusters * 16 * p->real_size);
    memset(th->shift_force, 0, sizeof th->shift_force);
    run_kernel(nb, thread, nb->energies_missing ? GD_CLUSTER_NO_ENERGIES : kind_of_energies(nb));
    if (nb->with_virial)
        add_virial(p, th, sums->virial);
}

void gd_cluster_pairs_energies(struct gd_md *md, int thread)
{
    run_kernel(md->nonbonded, thread, kind_of_energies(md->nonbonded));
}

void gd_cluster_pairs_add_energies(struct gd_md *md)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    size_t n = md->nonbonded->num_groups;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t t = 0; t < p->num_threads; t++) {
                size_t upper = i <= j ? i * n + j : j * n + i;
                md->energies.pair_lj[upper] += p->thread[t].lj[i * n + j];
                md->energies.pair_crf[upper] += p->thread[t].crf[i * n + j];
            }
}

double gd_cluster_pairs_end(struct gd_md *md)
{
    struct gd_cluster_pairs *p = md->nonbonded->clusters;
    if (p->prune_now)
        memcpy(p->pruned_shift, p->shift, sizeof p->pruned_shift);
    p->pruned |= p->prune_now;
    return p->thread[0].prune_seconds;
}

void gd_cluster_pairs_add_forces(struct gd_md *md, size_t begin, size_t end)
{
    const struct gd_cluster_pairs *p = md->nonbonded->clusters;
    for (size_t i = begin; i < end; i++)
        for (size_t t = 0; t < p->num_threads; t++)
            for (size_t d = 0; d < 3; d++)
                md->force[i][d] += get(p->thread[t].force, p->real_size, at_slot((size_t)p->slot[i], d));
}
