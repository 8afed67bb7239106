/* Which constraints there are, and their application within a step: the solute's algorithm, then the solvent's, then the
 * velocities from the positions reached. Contract: constraints.h. */
#include "engine/constraints.h"

#include <stdlib.h>

int gd_constraints_is_constrained(const struct gd_md *md, const struct gd_bond *bond)
{
    if (md->par.constraint.ntc < 2 || md->par.constraint.solute == GD_CONSTRAINT_OFF)
        return 0;
    return md->par.constraint.ntc == 3 || (md->par.constraint.ntc == 2 && bond->hydrogen);
}

/* Both ends of a bond held in place by position constraints: nothing to constrain. */
static int both_fixed(const struct gd_md *md, const struct gd_bond *bond)
{
    return md->inverse_mass[bond->atom[0]] == 0.0 && md->inverse_mass[bond->atom[1]] == 0.0;
}

static void add_distance(struct gd_md *md, const struct gd_bond *b)
{
    struct gd_constraints *c = md->constraints;
    c->solute_constrained[b->atom[0]] = c->solute_constrained[b->atom[1]] = 1;
    if (both_fixed(md, b))
        return;
    double length = md->top->bond_types[b->type].length;
    c->distances[c->num_distances] = (struct gd_distance){{b->atom[0], b->atom[1]}, length * length};
    c->bonds[c->num_distances++] = *b;
}

static int create_lists(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    const struct gd_topology *top = md->top;
    int rc = gd_md_allocate((void **)&c->distances, top->num_bonds + top->num_constraints, sizeof *c->distances, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->bonds, top->num_bonds + top->num_constraints, sizeof *c->bonds, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->solvent_distances, top->num_solvent_constraints, sizeof *c->solvent_distances, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->solute_constrained, top->num_solute_atoms, 1, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->skip_now, top->num_solute_atoms, 1, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->skip_next, top->num_solute_atoms, 1, err);
    if (rc != 0)
        return rc;
    for (size_t k = 0; k < top->num_bonds; k++)
        if (gd_constraints_is_constrained(md, &top->bonds[k]))
            add_distance(md, &top->bonds[k]);
    if (md->par.constraint.ntc > 1 && md->par.constraint.solute != GD_CONSTRAINT_OFF)
        for (size_t k = 0; k < top->num_constraints; k++)
            add_distance(md, &top->constraints[k]);
    for (size_t k = 0; k < top->num_solvent_constraints; k++) {
        const struct gd_solvent_constraint *s = &top->solvent_constraints[k];
        c->solvent_distances[k] = (struct gd_distance){{s->atom[0], s->atom[1]}, s->length * s->length};
    }
    c->num_solvent = top->num_solvent_molecules > 0 ? top->num_solvent_constraints : 0;
    return 0;
}

static void mark_special(struct gd_md *md)
{
    struct gd_constraints *c = md->constraints;
    c->angles = md->par.angle_restraint.ntalr == 3 && md->res->num_angles > 0;
    c->dihedrals = md->par.dihedral_restraint.ntdlr == 3 && md->res->num_dihedrals > 0;
    for (size_t k = 0; c->angles && k < md->res->num_angles; k++)
        for (int a = 0; a < 3; a++)
            c->solute_constrained[md->res->angles[k].atom[a]] = 1;
    for (size_t k = 0; c->dihedrals && k < md->res->num_dihedrals; k++)
        for (int a = 0; a < 4; a++)
            c->solute_constrained[md->res->dihedrals[k].atom[a]] = 1;
}

static int check_solute(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_constraints *c = md->constraints;
    if ((c->angles || c->dihedrals) && c->solute != GD_CONSTRAINT_SHAKE)
        return gd_err_set(err, GD_E_UNSUPPORTED, "CONSTRAINT: angle and dihedral constraints (NTALR, NTDLR 3) need NTCP shake");
    return 0;
}

static int create_algorithms(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    int rc = 0;
    if (c->solute == GD_CONSTRAINT_LINCS)
        rc = gd_lincs_create(&c->lincs_solute, c->distances, c->num_distances, md->mass, err);
    if (c->solute == GD_CONSTRAINT_FLEXIBLE_SHAKE)
        rc = gd_flexible_create(md, err);
    if (rc == 0 && c->solvent == GD_CONSTRAINT_LINCS)
        rc = gd_lincs_create(&c->lincs_solvent, c->solvent_distances, c->num_solvent, md->top->solvent_mass, err);
    if (rc == 0 && c->solvent == GD_CONSTRAINT_SETTLE)
        rc = gd_settle_check(md, err);
    if (rc == 0)
        rc = gd_settle_choose(c, err);
    if (rc == 0 && c->solvent == GD_CONSTRAINT_M_SHAKE)
        rc = gd_mshake_check(md, err);
    return rc;
}

int gd_constraints_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = calloc(1, sizeof *c);
    if (c == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for constraints");
    md->constraints = c;
    c->sites = md->top->num_solvent_atoms;
    c->solute_tolerance = md->par.constraint.solute_tolerance;
    c->solvent_tolerance = md->par.constraint.solvent_tolerance;
    c->max_iterations = md->par.constraint.max_iterations;
    int rc = create_lists(md, err);
    if (rc == 0) {
        mark_special(md);
        c->solute = c->num_distances > 0 || c->angles || c->dihedrals ? md->par.constraint.solute : GD_CONSTRAINT_OFF;
        c->solvent = c->num_solvent > 0 ? md->par.constraint.solvent : GD_CONSTRAINT_OFF;
        rc = check_solute(md, err);
    }
    if (rc == 0)
        rc = create_algorithms(md, err);
    size_t threads = (size_t)gd_thread_pool_size(md->pool);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->thread_virial, threads, sizeof *c->thread_virial, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->thread_failed, threads, sizeof *c->thread_failed, err);
    size_t scratch = 1;
    if (c->lincs_solute != NULL)
        scratch = gd_lincs_scratch(c->lincs_solute);
    if (c->lincs_solvent != NULL && gd_lincs_scratch(c->lincs_solvent) > scratch)
        scratch = gd_lincs_scratch(c->lincs_solvent);
    if (rc == 0)
        rc = gd_md_allocate((void **)&c->lincs_scratch, scratch, sizeof *c->lincs_scratch, err);
    return rc;
}

void gd_constraints_destroy(struct gd_constraints **constraints)
{
    if (constraints == NULL || *constraints == NULL)
        return;
    struct gd_constraints *c = *constraints;
    free(c->distances);
    free(c->bonds);
    free(c->solvent_distances);
    free(c->solute_constrained);
    free(c->skip_now);
    free(c->skip_next);
    free(c->thread_virial);
    free(c->thread_failed);
    free(c->lincs_scratch);
    free(c->flexible_velocity);
    gd_lincs_destroy(&c->lincs_solute);
    gd_lincs_destroy(&c->lincs_solvent);
    free(c);
    *constraints = NULL;
}

size_t gd_constraints_num_solute(const struct gd_md *md)
{
    return md->constraints->num_distances;
}

const struct gd_bond *gd_constraints_solute(const struct gd_md *md)
{
    return md->constraints->bonds;
}

struct solvent_work {
    struct gd_md *md;
    int correct_velocity;
};

static void solvent_thread(void *argument, int number)
{
    struct solvent_work *work = argument;
    struct gd_md *md = work->md;
    struct gd_constraints *c = md->constraints;
    size_t threads = (size_t)gd_thread_pool_size(md->pool), molecules = md->top->num_solvent_molecules;
    size_t begin = molecules * (size_t)number / threads, end = molecules * ((size_t)number + 1) / threads;
    gd_mat3_zero(c->thread_virial[number]);
    gd_vec3 *virial = md->par.pressure.virial == GD_VIRIAL_ATOMIC ? c->thread_virial[number] : NULL;
    int64_t failed = -1;
    if (c->solvent == GD_CONSTRAINT_SHAKE)
        failed = gd_shake_solvent(md, begin, end, virial);
    else if (c->solvent == GD_CONSTRAINT_SETTLE)
        failed = gd_settle_solvent(md, begin, end, virial, work->correct_velocity);
    else if (c->solvent == GD_CONSTRAINT_M_SHAKE)
        failed = gd_mshake_solvent(md, begin, end, virial);
    c->thread_failed[number] = (int)(failed + 1);
}

static int apply_solvent(struct gd_md *md, int correct_velocity, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    if (c->solvent == GD_CONSTRAINT_LINCS) {
        for (size_t m = 0; m < md->top->num_solvent_molecules; m++)
            gd_lincs_apply(md, c->lincs_solvent, md->top->num_solute_atoms + m * c->sites, md->par.constraint.solvent_lincs_order,
                           c->lincs_scratch);
        return 0;
    }
    struct solvent_work work = {md, correct_velocity};
    gd_thread_pool_run(md->pool, solvent_thread, &work);
    for (int t = 0; t < gd_thread_pool_size(md->pool); t++) {
        if (c->thread_failed[t] != 0) {
            size_t atom = md->top->num_solute_atoms + ((size_t)c->thread_failed[t] - 1) * c->sites;
            return gd_err_set(err, GD_E_SIMULATION_FAILED,
                              "step %lld: constraints of solvent molecule %d (atoms %zu to %zu) cannot be satisfied", gd_md_named_step(md),
                              c->thread_failed[t], atom + 1, atom + c->sites);
        }
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                md->virial[a][b] += c->thread_virial[t][a][b];
    }
    return 0;
}

static void velocity_from_positions(struct gd_md *md, size_t i)
{
    for (int d = 0; d < 3; d++)
        md->vel[i][d] = (md->pos[i][d] - md->old_pos[i][d]) / md->par.step.dt;
}

int gd_constraints_apply(struct gd_md *md, int correct_velocity, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    size_t solute = md->top->num_solute_atoms;
    int rc = 0;
    memset(md->constraint_force, 0, md->n * sizeof *md->constraint_force);
    if (c->solute == GD_CONSTRAINT_FLEXIBLE_SHAKE)
        rc = gd_flexible_lengths(md, err);
    if (rc == 0 && (c->solute == GD_CONSTRAINT_SHAKE || c->solute == GD_CONSTRAINT_FLEXIBLE_SHAKE))
        rc = gd_shake_solute(md, err);
    else if (c->solute == GD_CONSTRAINT_LINCS)
        gd_lincs_apply(md, c->lincs_solute, 0, md->par.constraint.solute_lincs_order, c->lincs_scratch);
    if (rc == 0 && c->solvent != GD_CONSTRAINT_OFF)
        rc = apply_solvent(md, correct_velocity, err);
    if (rc != 0 || !correct_velocity)
        return rc;
    for (size_t i = 0; c->solute != GD_CONSTRAINT_OFF && i < solute; i++)
        if (c->solute_constrained[i])
            velocity_from_positions(md, i);
    if (c->solvent != GD_CONSTRAINT_OFF && c->solvent != GD_CONSTRAINT_SETTLE)
        for (size_t i = solute; i < md->n; i++)
            velocity_from_positions(md, i);
    return 0;
}

static int is_constrained_atom(const struct gd_md *md, size_t i)
{
    const struct gd_constraints *c = md->constraints;
    if (i < md->top->num_solute_atoms)
        return c->solute != GD_CONSTRAINT_OFF && c->solute_constrained[i];
    return c->solvent != GD_CONSTRAINT_OFF;
}

static void turn_velocities(struct gd_md *md)
{
    for (size_t i = 0; i < md->n; i++)
        if (is_constrained_atom(md, i))
            for (int d = 0; d < 3; d++)
                md->vel[i][d] = -md->vel[i][d];
}

/* NTISHK: 1 positions, 2 velocities, 3 both. Velocities are constrained by a step backwards from constrained positions. */
int gd_constraints_start(struct gd_md *md, struct gd_err *err)
{
    int ntishk = md->par.initialise.ntishk;
    if (ntishk == 0) {
        if (md->par.constraint.flexible_start != 0)
            gd_flexible_from_velocities(md);
        return 0;
    }
    memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
    memcpy(md->old_vel, md->vel, md->n * sizeof *md->vel);
    int rc = 0;
    if (ntishk == 1 || ntishk == 3) {
        rc = gd_constraints_apply(md, 0, err);
        memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
        gd_flexible_reset(md, 0.0);
    }
    if (rc != 0 || ntishk == 1)
        return rc;
    turn_velocities(md);
    for (size_t i = 0; i < md->n; i++)
        if (is_constrained_atom(md, i))
            gd_vec3_add_scaled(md->pos[i], md->par.step.dt, md->vel[i]);
    rc = gd_constraints_apply(md, 1, err);
    if (rc != 0)
        return rc;
    turn_velocities(md);
    memcpy(md->pos, md->old_pos, md->n * sizeof *md->pos);
    gd_flexible_reset(md, -1.0);
    return 0;
}
