/* Velocity Verlet: v(n + 1/2) = v(n) + f(n) dt / 2m, x(n + 1) = x(n) + v(n + 1/2) dt, constrained, then
 * v(n + 1) = v(n + 1/2) + f(n + 1) dt / 2m, its components along constraints taken off (RATTLE), and the thermostat on v(n + 1).
 * Positions and velocities are of the same time, and kinetic energy and pressure of step n come from v(n) itself.
 *
 * A step ends with the forces of the next one: they wait here, while the object shows those of the step it reports.
 * Source: Swope et al. 1982; Andersen, J. Comput. Phys. 52 (1983) 24. */
#include <stdlib.h>

#include "engine/constraints.h"

#define ALONG_TOLERANCE 1e-12 /* of a constraint's length, per step */

struct gd_velocity_verlet {
    int64_t ready; /* the waiting forces belong to the current positions */
    gd_vec3 *force;
    double *numbers;
    gd_mat3 virial;
};

static int check(const struct gd_md *md, struct gd_err *err)
{
    if (md->par.stochastic.ntsd != 0)
        return gd_err_set(err, GD_E_UNSUPPORTED, "STOCHDYN: stochastic dynamics has its own integrator; use leap-frog");
    if (md->par.rottrans.rtc != 0)
        return gd_err_set(err, GD_E_UNSUPPORTED, "ROTTRANS: these constraints need the integrator leap-frog");
    if (md->constraints->angles || md->constraints->dihedrals)
        return gd_err_set(err, GD_E_UNSUPPORTED, "angle and dihedral constraints (NTALR, NTDLR 3) need the integrator leap-frog");
    return 0;
}

int gd_velocity_verlet_create(struct gd_md *md, struct gd_err *err)
{
    if (md->par.integrator != GD_INTEGRATOR_VELOCITY_VERLET || md->par.minimise.ntem != GD_MINIMISE_OFF)
        return 0;
    int rc = check(md, err);
    if (rc != 0)
        return rc;
    md->verlet = calloc(1, sizeof *md->verlet);
    if (md->verlet == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for velocity Verlet");
    rc = gd_md_allocate((void **)&md->verlet->force, md->n, sizeof(gd_vec3), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&md->verlet->numbers, md->num_energy_numbers, sizeof(double), err);
    return rc;
}

void gd_velocity_verlet_destroy(struct gd_velocity_verlet **verlet)
{
    if (verlet == NULL || *verlet == NULL)
        return;
    free((*verlet)->force);
    free((*verlet)->numbers);
    free(*verlet);
    *verlet = NULL;
}

void gd_velocity_verlet_invalidate(struct gd_md *md)
{
    if (md->verlet != NULL)
        md->verlet->ready = 0;
}

void gd_velocity_verlet_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    struct gd_velocity_verlet *v = md->verlet;
    if (v == NULL)
        return;
    visit(context, &v->ready, sizeof v->ready);
    visit(context, v->force, md->n * sizeof *v->force);
    visit(context, v->numbers, md->num_energy_numbers * sizeof *v->numbers);
    visit(context, v->virial, sizeof v->virial);
}

/* One distance: takes the velocity along it off both atoms; 1 when there was any. */
static int take_off(struct gd_md *md, const struct gd_distance *c, size_t first)
{
    size_t i = first + (size_t)c->atom[0], j = first + (size_t)c->atom[1];
    double weight = md->inverse_mass[i] + md->inverse_mass[j], r[3], v[3];
    gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
    gd_vec3_sub(md->vel[i], md->vel[j], v);
    double along = gd_vec3_dot(r, v);
    if (weight == 0.0 || !(fabs(along) * md->par.step.dt > ALONG_TOLERANCE * c->length2))
        return 0;
    double k = along / (gd_vec3_norm2(r) * weight);
    gd_vec3_add_scaled(md->vel[i], -k * md->inverse_mass[i], r);
    gd_vec3_add_scaled(md->vel[j], k * md->inverse_mass[j], r);
    return 1;
}

static int constrain_set(struct gd_md *md, const struct gd_distance *distances, size_t count, size_t first, struct gd_err *err)
{
    int moved = 1;
    for (int round = 0; moved; round++) {
        if (round > md->constraints->max_iterations)
            return gd_err_set(err, GD_E_SIMULATION_FAILED,
                              "step %lld: velocities along the constraints of atom %zu and those behind it do not converge",
                              gd_md_named_step(md), first + (size_t)distances[0].atom[0] + 1);
        moved = 0;
        for (size_t k = 0; k < count; k++)
            moved |= take_off(md, &distances[k], first);
    }
    return 0;
}

static int constrain_velocities(struct gd_md *md, struct gd_err *err)
{
    const struct gd_constraints *c = md->constraints;
    int rc = 0;
    if (c->solute != GD_CONSTRAINT_OFF)
        rc = constrain_set(md, c->distances, c->num_distances, 0, err);
    for (size_t m = 0; rc == 0 && c->solvent != GD_CONSTRAINT_OFF && m < md->top->num_solvent_molecules; m++)
        rc = constrain_set(md, c->solvent_distances, c->num_solvent, md->top->num_solute_atoms + m * c->sites, err);
    return rc;
}

static void swap_numbers(double *a, double *b, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double keep = a[k];
        a[k] = b[k];
        b[k] = keep;
    }
}

/* What is shown and what waits change places. */
static void exchange_reports(struct gd_md *md)
{
    struct gd_velocity_verlet *v = md->verlet;
    gd_vec3 *force = md->force;
    md->force = v->force;
    v->force = force;
    swap_numbers(md->energy_numbers, v->numbers, md->num_energy_numbers);
    swap_numbers(&md->virial[0][0], &v->virial[0][0], 9);
}

static void kick(struct gd_md *md, gd_vec3 *to, const gd_vec3 *from)
{
    const double half = 0.5 * md->par.step.dt;
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            to[i][d] = from[i][d] + md->force[i][d] * half / md->mass[i];
}

/* The constraints' displacement is that of a force acting for half a step: forces and virial are twice what the algorithms,
 * which count on leap-frog, say. */
static int constrain_positions(struct gd_md *md, struct gd_err *err)
{
    gd_mat3 before;
    memcpy(before, md->virial, sizeof before);
    int rc = gd_constraints_apply(md, 1, err);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            md->virial[a][b] += md->virial[a][b] - before[a][b];
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->constraint_force[i][d] *= 2.0;
    return rc;
}

/* Forces at x(n) as they were left by the step before, or fresh ones; kinetic energies of v(n). */
static int begin(struct gd_md *md, struct gd_err *err)
{
    int rc = 0;
    if (md->verlet->ready) {
        exchange_reports(md);
    } else {
        rc = gd_md_compute_forces(md, err);
        if (rc == 0)
            rc = constrain_velocities(md, err);
        gd_position_constraints_apply(md);
    }
    md->verlet->ready = 0;
    memcpy(md->old_vel, md->vel, md->n * sizeof *md->vel);
    gd_virial_kinetic(md);
    gd_temperature_compute(md);
    return rc;
}

/* Forces at x(n + 1) and v(n + 1). */
static int finish(struct gd_md *md, struct gd_err *err)
{
    gd_charge_groups_put_into_box(md);
    int rc = gd_md_compute_forces(md, err);
    if (rc != 0)
        return rc;
    gd_position_constraints_apply(md);
    kick(md, md->vel, (const gd_vec3 *)md->vel);
    double start = gd_md_clock();
    rc = constrain_velocities(md, err);
    md->phase_seconds[GD_MD_CONSTRAINTS] += gd_md_clock() - start;
    gd_temperature_compute(md);
    gd_thermostat_apply(md);
    gd_reservoir_velocity_verlet(md);
    return rc;
}

int gd_velocity_verlet_step(struct gd_md *md, struct gd_err *err)
{
    struct gd_velocity_verlet *v = md->verlet;
    int rc = begin(md, err);
    if (rc != 0)
        return rc;
    double start = gd_md_clock();
    gd_md_exchange(md);
    kick(md, md->vel, (const gd_vec3 *)md->old_vel);
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + md->vel[i][d] * md->par.step.dt;
    double moved = gd_md_clock();
    rc = constrain_positions(md, err);
    double constrained = gd_md_clock();
    md->phase_seconds[GD_MD_INTEGRATION] += moved - start;
    md->phase_seconds[GD_MD_CONSTRAINTS] += constrained - moved;
    if (rc != 0)
        return rc;
    gd_pressure_compute(md);
    gd_reservoir_report(md);
    rc = gd_barostat_apply(md, err);
    if (rc == 0)
        rc = gd_md_sum_energies(md, err);
    md->phase_seconds[GD_MD_INTEGRATION] += gd_md_clock() - constrained;
    if (rc != 0)
        return rc;
    /* the report of this step steps aside while the forces of the next one are found */
    struct gd_md_energies energies = md->energies;
    gd_mat3 kinetic;
    memcpy(kinetic, md->kinetic_tensor, sizeof kinetic);
    exchange_reports(md);
    md->step++;
    rc = finish(md, err);
    md->step--;
    exchange_reports(md);
    md->energies = energies;
    memcpy(md->kinetic_tensor, kinetic, sizeof kinetic);
    v->ready = rc == 0;
    return rc;
}
