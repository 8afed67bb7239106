/* Contract: md.h. Creation, the step, and access. */
#include "engine/md_internal.h"

#include <stdlib.h>
#include <time.h>

#include "core/box.h"
#include "core/check.h"

double gd_md_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int gd_md_allocate(void **out, size_t count, size_t size, struct gd_err *err)
{
    void *fresh = size != 0 && count < ((size_t)1 << 40) / size ? calloc(count + 1, size) : NULL;
    if (fresh == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu elements of %zu bytes", count, size);
    free(*out);
    *out = fresh;
    return 0;
}

static int allocate_arrays(struct gd_md *md, struct gd_err *err)
{
    gd_vec3 **vectors[] = {&md->pos, &md->vel, &md->old_pos, &md->old_vel, &md->force, &md->constraint_force};
    int rc = 0;
    for (size_t k = 0; k < sizeof vectors / sizeof vectors[0] && rc == 0; k++)
        rc = gd_md_allocate((void **)vectors[k], md->n, sizeof(gd_vec3), err);
    double **scalars[] = {&md->mass, &md->inverse_mass, &md->charge};
    for (size_t k = 0; k < sizeof scalars / sizeof scalars[0] && rc == 0; k++)
        rc = gd_md_allocate((void **)scalars[k], md->n, sizeof(double), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&md->lattice_shift, md->n, sizeof *md->lattice_shift, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&md->type, md->n, sizeof *md->type, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&md->energy_group, md->n, sizeof *md->energy_group, err);
    return rc;
}

static int fill_atoms(struct gd_md *md, struct gd_err *err)
{
    const struct gd_topology *top = md->top;
    const struct gd_parameters *par = &md->par;
    int64_t last = par->force.energy_group_last[par->force.num_energy_groups - 1];
    if (last != (int64_t)md->n)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "FORCE: NRE ends at atom %lld, the system has %zu", (long long)last, md->n);
    int32_t group = 0;
    for (size_t i = 0; i < md->n; i++) {
        while ((int64_t)i >= par->force.energy_group_last[group])
            group++;
        md->energy_group[i] = group;
        md->mass[i] = top->mass[i];
        md->inverse_mass[i] = 1.0 / top->mass[i];
        md->charge[i] = top->charge[i];
        md->type[i] = top->type[i];
        md->total_mass += top->mass[i];
    }
    return 0;
}

static int check_box(const struct gd_md *md, struct gd_err *err)
{
    static const int kind_of[] = {GD_BOX_TRUNCATED_OCTAHEDRON, GD_BOX_VACUUM, GD_BOX_RECTANGULAR, GD_BOX_TRICLINIC};
    static const char *const name_of[] = {[GD_BOX_VACUUM] = "vacuum",
                                          [GD_BOX_RECTANGULAR] = "rectangular",
                                          [GD_BOX_TRICLINIC] = "triclinic",
                                          [GD_BOX_TRUNCATED_OCTAHEDRON] = "truncated octahedron"};
    static const int ntb_of[] = {[GD_BOX_VACUUM] = 0, [GD_BOX_RECTANGULAR] = 1, [GD_BOX_TRICLINIC] = 2, [GD_BOX_TRUNCATED_OCTAHEDRON] = -1};
    int wanted = kind_of[md->par.boundary.ntb + 1];
    if (md->box.kind != wanted)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "BOUNDCOND: NTB is %d (%s), but the configuration's box is another one: %s (%d)",
                          (int)md->par.boundary.ntb, name_of[wanted], name_of[md->box.kind], ntb_of[md->box.kind]);
    if (wanted != GD_BOX_VACUUM && gd_box_half_width(&md->box) < md->par.pairlist.rcutl)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the box is too small: half its width is %g nm, the cutoff RCUTL %g nm",
                          gd_box_half_width(&md->box), md->par.pairlist.rcutl);
    return 0;
}

static int load_configuration(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    if (conf->num_atoms != md->n)
        return gd_err_set(err, GD_E_INVALID_SHAPE, "the configuration has %zu atoms, the topology (NPM, NSM) %zu", conf->num_atoms, md->n);
    int rc = gd_configuration_check(conf, err);
    if (rc != 0)
        return rc;
    memcpy(md->pos, conf->position, md->n * sizeof *md->pos);
    if (conf->velocity != NULL)
        memcpy(md->vel, conf->velocity, md->n * sizeof *md->vel);
    if (conf->lattice_shift != NULL && md->par.initialise.ntishi == 0)
        memcpy(md->lattice_shift, conf->lattice_shift, md->n * sizeof *md->lattice_shift);
    md->box = conf->box;
    if (md->par.boundary.ntb == GD_BOUND_VACUUM)
        memset(&md->box, 0, sizeof md->box);
    memcpy(md->euler, conf->euler, sizeof md->euler);
    memcpy(md->origin, conf->origin, sizeof md->origin);
    md->start_time = md->par.step.t0 >= 0.0 ? md->par.step.t0 : conf->time;
    md->time = md->start_time;
    rc = check_box(md, err);
    if (rc != 0)
        return rc;
    gd_periodicity_set(&md->pbc, &md->box);
    gd_charge_groups_gather(md);
    return 0;
}

static int check_available(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_parameters *p = &md->par;
    if (p->coarse.ntcgran == 1 && !md->top->has_cg_lj)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "CGRAIN: NTCGRAN 1 needs CGPARAMETERS in the topology");
    return 0;
}

/* Thermostat variables of a continuation (NTINHT 0) or zero. */
static void load_thermostat(struct gd_md *md, const struct gd_configuration *conf)
{
    if (conf->nhc_zeta == NULL || md->par.initialise.ntinht != 0)
        return;
    for (size_t b = 0; b < md->num_baths && b < conf->nhc_baths; b++)
        for (size_t k = 0; k < conf->nhc_chain_length && k < GD_MAX_NHC_CHAIN; k++)
            md->bath[b].zeta[k] = conf->nhc_zeta[b * conf->nhc_chain_length + k];
}

/* Velocities and constraints of the start, in the order of GROMOS. */
static int start(struct gd_md *md, struct gd_err *err)
{
    if (md->par.initialise.ntivel != 0)
        gd_velocities_generate(md);
    gd_random_seed(&md->random, (int)md->par.random.generator, md->par.initialise.ig);
    gd_position_constraints_apply(md);
    int rc = gd_constraints_start(md, err);
    if (rc != 0)
        return rc;
    memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
    memcpy(md->old_vel, md->vel, md->n * sizeof *md->vel);
    md->old_box = md->box;
    gd_temperature_compute(md);
    memset(md->constraint_force, 0, md->n * sizeof *md->constraint_force);
    return 0;
}

static int create_parts(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    int rc = allocate_arrays(md, err);
    if (rc == 0)
        rc = fill_atoms(md, err);
    if (rc == 0)
        rc = load_configuration(md, conf, err);
    if (rc == 0)
        rc = gd_special_create(md, conf, err);
    if (rc == 0)
        rc = gd_constraints_create(md, err);
    if (rc == 0)
        rc = gd_baths_create(md, err);
    if (rc == 0)
        rc = gd_md_create_energies(md, err);
    if (rc == 0)
        rc = gd_barostat_stochastic_check(md, err);
    if (rc == 0)
        rc = gd_barostat_parrinello_create(md, err);
    if (rc == 0)
        rc = gd_bonded_create(md, err);
    if (rc == 0)
        rc = gd_nonbonded_create(md, err);
    if (rc != 0)
        return rc;
    load_thermostat(md, conf);
    rc = start(md, err);
    if (rc == 0)
        rc = gd_rottrans_create(md, conf, err);
    if (rc == 0)
        rc = gd_stochastic_create(md, conf, err);
    if (rc == 0)
        rc = gd_minimiser_create(md, err);
    if (rc == 0)
        rc = gd_velocity_verlet_create(md, err);
    return rc;
}

int gd_md_create(struct gd_md **out, const struct gd_topology *topology, const struct gd_parameters *parameters,
                 const struct gd_configuration *configuration, const struct gd_restraints *restraints, int threads, struct gd_err *err)
{
    int rc = gd_topology_check(topology, err);
    if (rc == 0)
        rc = gd_parameters_check(parameters, err);
    if (rc == 0 && restraints != NULL)
        rc = gd_restraints_check(restraints, topology->num_atoms, err);
    if (rc != 0)
        return rc;
    if (topology->num_atoms == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "SYSTEM: there are no atoms (NPM and NSM are 0)");
    struct gd_md *md = calloc(1, sizeof *md);
    if (md == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a simulation");
    md->magic = GD_MD_MAGIC;
    md->energies_wanted = 1;
    md->par = *parameters;
    rc = gd_topology_clone(&md->top, topology, err);
    if (rc != 0)
        goto fail;
    md->n = md->top->num_atoms;
    rc = restraints != NULL ? gd_restraints_clone(&md->res, restraints, err) : gd_restraints_create(&md->res, err);
    if (rc == 0)
        rc = gd_thread_pool_create(&md->pool, threads, err);
    if (rc == 0)
        rc = check_available(md, err);
    if (rc == 0)
        rc = create_parts(md, configuration, err);
    if (rc != 0)
        goto fail;
    *out = md;
    return 0;
fail:
    gd_md_destroy(&md);
    return rc;
}

void gd_md_destroy(struct gd_md **md_pointer)
{
    if (md_pointer == NULL || *md_pointer == NULL)
        return;
    struct gd_md *md = *md_pointer;
    GD_MAGIC_CHECK(md, GD_MD_MAGIC);
    gd_minimiser_destroy(&md->minimiser);
    gd_stochastic_destroy(&md->stochastic);
    gd_velocity_verlet_destroy(&md->verlet);
    gd_rottrans_destroy(&md->rottrans);
    gd_special_destroy(&md->special);
    gd_nonbonded_destroy(&md->nonbonded);
    gd_bonded_destroy(&md->bonded);
    gd_constraints_destroy(&md->constraints);
    gd_thread_pool_destroy(&md->pool);
    void *arrays[] = {
        md->pos,    md->vel,          md->old_pos, md->old_vel, md->force,        md->constraint_force, md->lattice_shift,
        md->mass,   md->inverse_mass, md->charge,  md->type,    md->energy_group, md->energy_numbers,   md->reference_position,
        md->bfactor};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
        free(arrays[k]);
    gd_topology_destroy(&md->top);
    gd_restraints_destroy(&md->res);
    md->magic = 0;
    free(md);
    *md_pointer = NULL;
}

static void remove_com_motion(struct gd_md *md)
{
    int64_t nscm = md->par.com.nscm;
    int nticom = md->par.initialise.nticom;
    if (md->step == 0) {
        if (nticom != 0)
            gd_com_motion_remove(md, 1, nticom == 2);
    } else if (nscm != 0 && md->step % llabs(nscm) == 0) {
        double before = gd_reservoir_begin(md);
        gd_com_motion_remove(md, 1, nscm < 0);
        gd_reservoir_end(md, before);
    }
}

/* Forces at the current positions and the way from there to the next ones. */
static int compute_and_move(struct gd_md *md, struct gd_err *err)
{
    if (md->verlet != NULL)
        return gd_velocity_verlet_step(md, err);
    int rc = gd_md_compute_forces(md, err);
    if (rc != 0)
        return rc;
    gd_position_constraints_apply(md);
    if (md->par.minimise.ntem != GD_MINIMISE_OFF)
        return gd_minimiser_step(md, err);
    if (md->par.stochastic.ntsd != 0)
        return gd_stochastic_step(md, err);
    return gd_leapfrog_step(md, err);
}

/* Back to the positions the failed step began at, if it had left them. */
static void go_back(struct gd_md *md, const gd_vec3 *begun_at)
{
    gd_nonbonded_invalidate(md);
    gd_velocity_verlet_invalidate(md);
    if (md->pos == begun_at)
        return;
    struct gd_box box = md->old_box;
    gd_md_exchange(md);
    md->box = md->old_box = box;
    gd_periodicity_set(&md->pbc, &md->box);
    memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
    memcpy(md->old_vel, md->vel, md->n * sizeof *md->vel);
}

int gd_md_step(struct gd_md *md, struct gd_err *err)
{
    GD_MAGIC_CHECK(md, GD_MD_MAGIC);
    double begin = gd_md_clock();
    struct gd_reservoir reservoir = md->reservoir;
    remove_com_motion(md);
    gd_charge_groups_put_into_box(md);
    md->phase_seconds[GD_MD_OTHER] += gd_md_clock() - begin;
    const gd_vec3 *begun_at = (const gd_vec3 *)md->pos;
    int rc = compute_and_move(md, err);
    if (rc != 0) {
        go_back(md, begun_at);
        md->reservoir = reservoir;
    }
    if (rc != 0 || gd_minimiser_converged(md))
        return rc;
    md->step++;
    md->time = md->start_time + (double)md->step * md->par.step.dt;
    return 0;
}

int gd_md_single_point(struct gd_md *md, struct gd_err *err)
{
    gd_charge_groups_put_into_box(md);
    gd_nonbonded_invalidate(md);
    md->energies_wanted = 1;
    int rc = gd_md_compute_forces(md, err);
    if (rc != 0)
        return rc;
    memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
    memcpy(md->old_vel, md->vel, md->n * sizeof *md->vel);
    md->old_box = md->box;
    gd_temperature_compute(md);
    gd_pressure_compute(md);
    return gd_md_sum_energies(md, err);
}
