/* Flexible constraints: before each SHAKE the length of a constraint becomes the one at which its harmonic bond balances what
 * else would stretch it, so that the bond neither vibrates nor is rigid. The force on a bond is what its atoms' free step does
 * to its length, mu / dt^2 (|r_free| - |r_old|); with the kinetic part (mode 0) the free step includes the velocities, less what
 * the length's own change carries on; without (mode 1) it is that of the forces alone, from rest. One evaluation per step: the
 * iterative forms, which need second derivatives, are refused. Source: Hess, Saint-Martin and Berendsen, J. Chem. Phys. 116,
 * 9602 (2002). */
#include "engine/constraints.h"

static int is_flexible(const struct gd_md *md)
{
    return md->constraints->solute == GD_CONSTRAINT_FLEXIBLE_SHAKE;
}

static double reduced_mass(const struct gd_md *md, const struct gd_bond *bond)
{
    return 1.0 / (md->inverse_mass[bond->atom[0]] + md->inverse_mass[bond->atom[1]]);
}

int gd_flexible_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    if (md->par.integrator != GD_INTEGRATOR_LEAP_FROG || md->par.stochastic.ntsd != 0 || md->par.minimise.ntem != GD_MINIMISE_OFF)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "CONSTRAINT: NTCP flexshake needs the integrator leap-frog, without STOCHDYN and "
                          "ENERGYMIN; use shake");
    for (size_t k = 0; k < c->num_distances; k++)
        if (!(md->top->bond_types[c->bonds[k].type].harmonic > 0.0))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                              "CONSTRAINT: NTCP flexshake needs a harmonic force constant (BONDSTRETCHTYPE CHB); type %d of the "
                              "bond of atoms %d and %d has %g",
                              c->bonds[k].type + 1, c->bonds[k].atom[0] + 1, c->bonds[k].atom[1] + 1,
                              md->top->bond_types[c->bonds[k].type].harmonic);
    return gd_md_allocate((void **)&c->flexible_velocity, c->num_distances, sizeof *c->flexible_velocity, err);
}

/* |r| of the step from rest: the old positions moved by the forces alone. */
static double length_by_forces(const struct gd_md *md, const struct gd_bond *bond, double dt2)
{
    double end[2][3], r[3];
    for (int e = 0; e < 2; e++) {
        gd_vec3_copy(end[e], md->old_pos[bond->atom[e]]);
        gd_vec3_add_scaled(end[e], dt2 * md->inverse_mass[bond->atom[e]], md->force[bond->atom[e]]);
    }
    gd_nearest_image(&md->pbc, end[0], end[1], r);
    return gd_vec3_norm(r);
}

int gd_flexible_lengths(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    const double dt = md->par.step.dt;
    for (size_t k = 0; k < c->num_distances; k++) {
        const struct gd_bond *bond = &c->bonds[k];
        const struct gd_bond_type *type = &md->top->bond_types[bond->type];
        double r[3];
        gd_nearest_image(&md->pbc, md->old_pos[bond->atom[0]], md->old_pos[bond->atom[1]], r);
        double before = gd_vec3_norm(r), stretch;
        if (md->par.constraint.flexible_mode == 0) {
            gd_nearest_image(&md->pbc, md->pos[bond->atom[0]], md->pos[bond->atom[1]], r);
            stretch = gd_vec3_norm(r) - before - c->flexible_velocity[k] * dt;
        } else {
            stretch = length_by_forces(md, bond, dt * dt) - before;
        }
        double off = reduced_mass(md, bond) / (dt * dt) * stretch / type->harmonic, length = type->length + off;
        if (!(length > 0.0))
            return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the flexible constraint of atoms %d and %d would have length %g nm",
                              gd_md_named_step(md), bond->atom[0] + 1, bond->atom[1] + 1, length);
        c->distances[k].length2 = length * length;
        c->flexible_velocity[k] = (length - before) / dt;
        md->energies.group_constraint[md->energy_group[bond->atom[0]]] += 0.5 * type->harmonic * off * off;
    }
    return 0;
}

void gd_flexible_reset(struct gd_md *md, double factor)
{
    for (size_t k = 0; is_flexible(md) && k < md->constraints->num_distances; k++)
        md->constraints->flexible_velocity[k] *= factor;
}

void gd_flexible_from_velocities(struct gd_md *md)
{
    struct gd_constraints *c = md->constraints;
    const double dt = md->par.step.dt;
    for (size_t k = 0; is_flexible(md) && k < c->num_distances; k++) {
        const int32_t *atom = c->bonds[k].atom;
        double r[3], before[3];
        gd_nearest_image(&md->pbc, md->pos[atom[0]], md->pos[atom[1]], r);
        for (int d = 0; d < 3; d++)
            before[d] = r[d] - dt * (md->vel[atom[0]][d] - md->vel[atom[1]][d]);
        c->flexible_velocity[k] = (gd_vec3_norm(r) - gd_vec3_norm(before)) / dt;
    }
}

void gd_flexible_take_kinetic(struct gd_md *md)
{
    const struct gd_constraints *c = md->constraints;
    for (size_t k = 0; is_flexible(md) && k < c->num_distances; k++) {
        int com, internal;
        gd_baths_find(md, (size_t)c->bonds[k].atom[0], &com, &internal);
        md->bath[internal].kinetic_new -= 0.5 * reduced_mass(md, &c->bonds[k]) * c->flexible_velocity[k] * c->flexible_velocity[k];
    }
}

void gd_flexible_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    if (is_flexible(md))
        visit(context, md->constraints->flexible_velocity, md->constraints->num_distances * sizeof(double));
}
