/* Nonbonded forces: preparation, the order of work within a step, and the reduction over threads. Contract: nonbonded.h. */
#include "engine/cluster_pairs.h"

#include <stdlib.h>

#include "core/box.h"

#define MAX_SITES 8

static int sums_create(struct gd_pair_sums *sums, size_t atoms, size_t groups, struct gd_err *err)
{
    int rc = gd_md_allocate((void **)&sums->force, atoms, sizeof *sums->force, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&sums->lj, groups * groups, sizeof *sums->lj, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&sums->crf, groups * groups, sizeof *sums->crf, err);
    return rc;
}

static void sums_zero(struct gd_pair_sums *sums, size_t atoms, size_t groups)
{
    memset(sums->force, 0, atoms * sizeof *sums->force);
    memset(sums->lj, 0, groups * groups * sizeof *sums->lj);
    memset(sums->crf, 0, groups * groups * sizeof *sums->crf);
    gd_mat3_zero(sums->virial);
}

static void sums_destroy(struct gd_pair_sums *sums)
{
    free(sums->force);
    free(sums->lj);
    free(sums->crf);
}

static struct gd_shift shift_constants(double power, double cutoff)
{
    return (struct gd_shift){
        .a = -(power * (power + 4.0)) / pow(cutoff, power + 3.0),
        .b = (power * (power + 3.0)) / pow(cutoff, power + 4.0),
        .c = ((power + 3.0) * (power + 4.0)) / (12.0 * pow(cutoff, power)),
    };
}

/* How far any site of a rigid solvent molecule can be from its first one: the longest constraint at it. */
static double solvent_extent(const struct gd_topology *top)
{
    double extent = 0.0;
    for (int32_t site = 1; (size_t)site < top->num_solvent_atoms; site++) {
        double length = -1.0;
        for (size_t k = 0; k < top->num_solvent_constraints; k++) {
            const int32_t *atom = top->solvent_constraints[k].atom;
            if ((atom[0] == 0 && atom[1] == site) || (atom[1] == 0 && atom[0] == site))
                length = top->solvent_constraints[k].length;
        }
        if (length < 0.0)
            return -1.0;
        extent = length > extent ? length : extent;
    }
    return 1.1 * extent; /* with room for a constraint's tolerance */
}

static int prepare_parameters(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    const struct gd_parameters *par = &md->par;
    const struct gd_topology *top = md->top;
    nb->form = par->coarse.ntcgran == 1 ? GD_FORM_SHIFTED : GD_FORM_LJ_RF;
    nb->four_pi_eps = top->four_pi_eps_i;
    nb->num_types = top->num_atom_types;
    nb->num_groups = (size_t)par->force.num_energy_groups;
    nb->rf = gd_reaction_field_constants(par->nonbonded.epsrf, par->nonbonded.appak, par->nonbonded.rcrf);
    nb->shift12 = shift_constants(12.0, par->nonbonded.rcrf);
    nb->shift6 = shift_constants(6.0, par->nonbonded.rcrf);
    nb->shift1 = shift_constants(1.0, par->nonbonded.rcrf);
    nb->shift_eps = par->coarse.eps;
    nb->excluded_rf = par->nonbonded.nslfexcl != 0 && nb->form == GD_FORM_LJ_RF;
    nb->with_virial = par->pressure.virial != GD_VIRIAL_NONE;
    nb->atomic = par->pairlist.type == GD_CUTOFF_ATOMIC;
    nb->cutoff_short2 = par->pairlist.rcutp * par->pairlist.rcutp;
    nb->cutoff_long2 = par->pairlist.rcutl * par->pairlist.rcutl;
    int single = par->precision == GD_PRECISION_FLOAT32;
    nb->atom_rows = single ? gd_inner_atom_rows_f32 : gd_inner_atom_rows;
    nb->solvent_rows = single ? gd_inner_solvent_rows_f32 : gd_inner_solvent_rows;
    gd_verlet_prepare(md);
    size_t pairs = nb->num_types * nb->num_types;
    int rc = gd_md_allocate((void **)&nb->lj, pairs, sizeof *nb->lj, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&nb->charge, md->n, sizeof *nb->charge, err);
    if (rc == 0 && par->force.vdw)
        memcpy(nb->lj, nb->form == GD_FORM_SHIFTED ? top->cg_lj : top->lj, pairs * sizeof *nb->lj);
    if (rc == 0 && par->force.electrostatic)
        memcpy(nb->charge, md->charge, md->n * sizeof *nb->charge);
    return rc;
}

static int prepare_solvent(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    const struct gd_topology *top = md->top;
    nb->sites = top->num_solvent_atoms;
    if (top->num_solvent_molecules == 0)
        return 0;
    if (nb->sites > MAX_SITES)
        return gd_err_set(err, GD_E_UNSUPPORTED, "SOLVENTATOM: a solvent of %zu atoms (at most %d)", nb->sites, MAX_SITES);
    if (nb->form == GD_FORM_SHIFTED)
        return gd_err_set(err, GD_E_UNSUPPORTED, "CGRAIN: NTCGRAN 1 with NSM %zu solvent molecules; put them into the solute",
                          top->num_solvent_molecules);
    size_t pairs = nb->sites * nb->sites;
    int rc = gd_md_allocate((void **)&nb->site_c6, pairs, sizeof(double), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&nb->site_c12, pairs, sizeof(double), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&nb->site_qq, pairs, sizeof(double), err);
    if (rc != 0)
        return rc;
    size_t first = top->num_solute_atoms;
    for (size_t a = 0; a < nb->sites; a++)
        for (size_t b = 0; b < nb->sites; b++) {
            const struct gd_lj *lj = &nb->lj[(size_t)md->type[first + a] * nb->num_types + (size_t)md->type[first + b]];
            nb->site_c6[a * nb->sites + b] = lj->c6;
            nb->site_c12[a * nb->sites + b] = lj->c12;
            nb->site_qq[a * nb->sites + b] = nb->charge[first + a] * nb->charge[first + b] * nb->four_pi_eps;
        }
    nb->site_extent = md->par.constraint.solvent == GD_CONSTRAINT_OFF ? -1.0 : solvent_extent(top);
    nb->solvent_one_group = 1;
    for (size_t i = first; i < md->n; i++)
        if (md->energy_group[i] != md->energy_group[first])
            nb->solvent_one_group = 0;
    return 0;
}

int gd_nonbonded_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = calloc(1, sizeof *nb);
    if (nb == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for nonbonded forces");
    md->nonbonded = nb;
    int rc = gd_verlet_check(md, err);
    if (rc == 0)
        rc = prepare_parameters(md, err);
    if (rc == 0)
        rc = prepare_solvent(md, err);
    nb->num_threads = (size_t)gd_thread_pool_size(md->pool);
    if (rc == 0)
        rc = gd_md_allocate((void **)&nb->thread, nb->num_threads, sizeof *nb->thread, err);
    for (size_t t = 0; t < nb->num_threads && rc == 0; t++) {
        rc = sums_create(&nb->thread[t].near, md->n, nb->num_groups, err);
        if (rc == 0)
            rc = sums_create(&nb->thread[t].far, md->n, nb->num_groups, err);
    }
    if (rc == 0)
        rc = gd_md_allocate((void **)&nb->list_pos, md->n, sizeof *nb->list_pos, err);
    if (rc == 0)
        rc = gd_pairlist_create(md, err);
    return rc == 0 && nb->verlet ? gd_cluster_pairs_create(md, err) : rc;
}

void gd_nonbonded_destroy(struct gd_nonbonded **nonbonded)
{
    if (nonbonded == NULL || *nonbonded == NULL)
        return;
    struct gd_nonbonded *nb = *nonbonded;
    gd_pairlist_destroy(nb);
    gd_cluster_pairs_destroy(&nb->clusters);
    for (size_t t = 0; nb->thread != NULL && t < nb->num_threads; t++) {
        sums_destroy(&nb->thread[t].near);
        sums_destroy(&nb->thread[t].far);
    }
    free(nb->thread);
    free(nb->lj);
    free(nb->charge);
    free(nb->site_c6);
    free(nb->site_c12);
    free(nb->site_qq);
    free(nb->list_pos);
    free(nb);
    *nonbonded = NULL;
}

void gd_nonbonded_invalidate(struct gd_md *md)
{
    md->nonbonded->valid = 0;
}

void gd_nonbonded_use_reference(struct gd_md *md)
{
    md->nonbonded->use_clusters = 0;
    md->nonbonded->valid = 0;
}

static void long_range_thread(void *argument, int number)
{
    struct gd_md *md = argument;
    struct gd_nonbonded *nb = md->nonbonded;
    struct gd_nonbonded_thread *th = &nb->thread[number];
    sums_zero(&th->far, md->n, nb->num_groups);
    if (nb->verlet)
        return;
    nb->atom_rows(md, th, &th->atom_long, &th->far);
    if (!nb->atomic && md->top->num_solvent_molecules > 0)
        nb->solvent_rows(md, th, &th->solvent_long, &th->far);
}

static void short_range_thread(void *argument, int number)
{
    struct gd_md *md = argument;
    struct gd_nonbonded *nb = md->nonbonded;
    struct gd_nonbonded_thread *th = &nb->thread[number];
    sums_zero(&th->near, md->n, nb->num_groups);
    if (nb->use_clusters)
        gd_cluster_pairs_forces(md, number, &th->near);
    else if (nb->verlet)
        gd_verlet_rows(md, th, &th->near);
    else
        nb->atom_rows(md, th, &th->atom_short, &th->near);
    if (!nb->atomic && md->top->num_solvent_molecules > 0)
        nb->solvent_rows(md, th, &th->solvent_short, &th->near);
    if (number == 0) {
        gd_nonbonded_one_four(md, &th->near);
        gd_nonbonded_exceptions(md, &th->near);
        if (nb->excluded_rf)
            gd_reaction_field_excluded_solute(md, &th->near);
    }
    if (nb->excluded_rf && md->top->num_solvent_molecules > 0) {
        struct gd_nonbonded_thread share = *th; /* equal shares, whatever the cutoff type */
        share.molecule_begin = md->top->num_solvent_molecules * (size_t)number / nb->num_threads;
        share.molecule_end = md->top->num_solvent_molecules * ((size_t)number + 1) / nb->num_threads;
        gd_reaction_field_excluded_solvent(md, &share, &th->near);
    }
}

/* Forces of all threads in the order of the threads; each thread sums its share of the atoms. */
static void reduce_thread(void *argument, int number)
{
    struct gd_md *md = argument;
    struct gd_nonbonded *nb = md->nonbonded;
    size_t begin = md->n * (size_t)number / nb->num_threads, end = md->n * ((size_t)number + 1) / nb->num_threads;
    for (size_t i = begin; i < end; i++) {
        double near[3] = {0.0, 0.0, 0.0}, far[3] = {0.0, 0.0, 0.0};
        for (size_t t = 0; t < nb->num_threads; t++) {
            gd_vec3_add_scaled(near, 1.0, nb->thread[t].near.force[i]);
            gd_vec3_add_scaled(far, 1.0, nb->thread[t].far.force[i]);
        }
        for (int d = 0; d < 3; d++)
            md->force[i][d] += near[d] + far[d];
    }
    if (nb->use_clusters)
        gd_cluster_pairs_add_forces(md, begin, end);
}

static void reduce_energies(struct gd_md *md)
{
    struct gd_nonbonded *nb = md->nonbonded;
    size_t n = nb->num_groups;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            size_t upper = i <= j ? i * n + j : j * n + i;
            for (size_t t = 0; t < nb->num_threads; t++) {
                md->energies.pair_lj[upper] += nb->thread[t].near.lj[i * n + j] + nb->thread[t].far.lj[i * n + j];
                md->energies.pair_crf[upper] += nb->thread[t].near.crf[i * n + j] + nb->thread[t].far.crf[i * n + j];
            }
        }
    if (nb->use_clusters)
        gd_cluster_pairs_add_energies(md);
}

static void reduce_virial(struct gd_md *md)
{
    struct gd_nonbonded *nb = md->nonbonded;
    for (size_t t = 0; t < nb->num_threads && nb->with_virial; t++)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                md->virial[a][b] += nb->thread[t].near.virial[a][b] + nb->thread[t].far.virial[a][b];
}

static int update_list(struct gd_md *md, struct gd_err *err)
{
    return md->nonbonded->use_clusters ? gd_cluster_pairs_update(md, err) : gd_pairlist_update(md, err);
}

static void place_thread(void *argument, int number)
{
    gd_cluster_pairs_place(argument, number);
}

/* Whether the list has every pair within the cutoff; with cluster pairs, atoms are then in their slots. */
static int list_holds(struct gd_md *md)
{
    struct gd_nonbonded *nb = md->nonbonded;
    if (!nb->valid)
        return 0;
    if (!nb->verlet)
        return md->step % md->par.pairlist.nsnb != 0;
    if (!nb->use_clusters)
        return gd_verlet_list_holds(md);
    gd_cluster_pairs_begin(md);
    gd_thread_pool_run(md->pool, place_thread, md);
    return gd_cluster_pairs_hold(md);
}

/* Minimisers look at energies, and velocity Verlet reports those of forces it has found a step before. */
static int may_miss_energies(const struct gd_md *md)
{
    return !md->energies_wanted && md->nonbonded->use_clusters && md->verlet == NULL && md->par.minimise.ntem == GD_MINIMISE_OFF;
}

int gd_nonbonded_forces(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    if (!md->par.force.vdw && !md->par.force.electrostatic)
        return 0;
    double start = gd_md_clock();
    int holds = list_holds(md);
    if (!holds) {
        int rc = update_list(md, err);
        if (rc != 0)
            return rc;
        memcpy(nb->list_pos, md->pos, md->n * sizeof *nb->list_pos);
        nb->list_box = md->box;
        nb->valid = 1;
    }
    double listed = gd_md_clock();
    md->phase_seconds[GD_MD_PAIRLIST] += listed - start;
    if (!holds)
        gd_thread_pool_run(md->pool, long_range_thread, md);
    nb->energies_missing = may_miss_energies(md);
    gd_thread_pool_run(md->pool, short_range_thread, md);
    gd_thread_pool_run(md->pool, reduce_thread, md);
    if (!nb->energies_missing)
        reduce_energies(md);
    reduce_virial(md);
    double pruned = nb->use_clusters ? gd_cluster_pairs_end(md) : 0.0;
    md->phase_seconds[GD_MD_PAIRLIST] += pruned;
    md->phase_seconds[GD_MD_NONBONDED] += gd_md_clock() - listed - pruned;
    return 0;
}

static void energies_thread(void *argument, int number)
{
    gd_cluster_pairs_energies(argument, number);
}

/* Atoms still are in the slots where the last forces had them. Filling in what belongs to the step changes nothing that a
 * caller could have seen before. */
void gd_nonbonded_complete(const struct gd_md *unfinished)
{
    struct gd_md *md = (struct gd_md *)(uintptr_t)unfinished;
    struct gd_err ignored;
    if (md->nonbonded == NULL || !md->nonbonded->energies_missing)
        return;
    md->nonbonded->energies_missing = 0;
    gd_thread_pool_run(md->pool, energies_thread, md);
    reduce_energies(md);
    (void)gd_md_sum_energies(md, &ignored); /* a step whose forces were not finite has failed already */
}

void gd_nonbonded_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    struct gd_nonbonded *nb = md->nonbonded;
    size_t pairs = nb->num_groups * nb->num_groups;
    visit(context, &nb->valid, sizeof nb->valid);
    visit(context, nb->list_pos, md->n * sizeof *nb->list_pos);
    visit(context, &nb->list_box, sizeof nb->list_box);
    for (size_t t = 0; t < nb->num_threads; t++) {
        struct gd_pair_sums *far = &nb->thread[t].far;
        visit(context, far->force, md->n * sizeof *far->force);
        visit(context, far->lj, pairs * sizeof *far->lj);
        visit(context, far->crf, pairs * sizeof *far->crf);
        visit(context, far->virial, sizeof far->virial);
    }
}

/* Rebuilds the list from the positions it had been built from. */
int gd_nonbonded_restore(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    nb->energies_missing = 0;
    if (!nb->valid)
        return 0;
    gd_vec3 *now = md->pos;
    md->pos = nb->list_pos;
    gd_periodicity_set(&md->pbc, &nb->list_box);
    int rc = update_list(md, err);
    md->pos = now;
    gd_periodicity_set(&md->pbc, &md->box);
    return rc;
}

size_t gd_nonbonded_listed_pairs(const struct gd_md *md)
{
    size_t pairs = 0;
    for (size_t t = 0; t < md->nonbonded->num_threads; t++) {
        const struct gd_nonbonded_thread *th = &md->nonbonded->thread[t];
        size_t atoms = th->atom_end - th->atom_begin, molecules = th->molecule_end - th->molecule_begin;
        pairs += (size_t)(th->atom_short.start[atoms] + th->atom_long.start[atoms]);
        pairs += (size_t)(th->solvent_short.start[molecules] + th->solvent_long.start[molecules]);
    }
    return pairs;
}
