/* M-SHAKE: the three constraints of a rigid three-site molecule solved together, Newton steps with the matrix inverted
 * directly. Source: Krautler, van Gunsteren and Hunenberger 2001. */
#include "engine/constraints.h"

int gd_mshake_check(const struct gd_md *md, struct gd_err *err)
{
    if (md->top->num_solvent_atoms != 3 || md->constraints->num_solvent != 3)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "CONSTRAINT: NTCS m_shake needs a solvent of three atoms and three constraints "
                          "(here %zu and %zu); use shake",
                          md->top->num_solvent_atoms, md->constraints->num_solvent);
    return 0;
}

/* How a unit multiplier of constraint q changes the distance of p along it: sum of inverse masses of shared atoms. */
static double coupling(const struct gd_distance *p, const struct gd_distance *q, const double *inverse_mass)
{
    double c = 0.0;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++)
            if (p->atom[a] == q->atom[b])
                c += (a == b ? 1.0 : -1.0) * inverse_mass[p->atom[a]];
    return c;
}

/* One Newton step. 1 moved, 0 nothing to do, -1 failed. */
static int newton_step(struct gd_md *md, size_t first, double old[3][3], const gd_mat3 factor, gd_mat3 virial)
{
    const struct gd_constraints *c = md->constraints;
    const double dt2 = md->par.step.dt * md->par.step.dt;
    double r[3][3], difference[3];
    gd_mat3 a, inverse;
    int moved = 0;
    for (int k = 0; k < 3; k++) {
        const struct gd_distance *d = &c->solvent_distances[k];
        gd_vec3_sub(md->pos[first + (size_t)d->atom[0]], md->pos[first + (size_t)d->atom[1]], r[k]);
        difference[k] = d->length2 - gd_vec3_norm2(r[k]);
        moved |= fabs(difference[k]) >= d->length2 * (2.0 * c->solvent_tolerance);
    }
    if (!moved)
        return 0;
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++)
            a[p][q] = gd_vec3_dot(old[q], r[p]) * factor[p][q];
    for (int k = 0; k < 3; k++)
        if (a[k][k] < c->solvent_distances[k].length2 * 1e-14)
            return -1;
    gd_mat3_inverse(a, inverse);
    for (int k = 0; k < 3; k++) {
        double lambda = gd_vec3_dot(inverse[k], difference) * 0.5;
        size_t i = first + (size_t)c->solvent_distances[k].atom[0], j = first + (size_t)c->solvent_distances[k].atom[1];
        gd_vec3_add_scaled(md->constraint_force[i], lambda, old[k]);
        gd_vec3_add_scaled(md->constraint_force[j], -lambda, old[k]);
        gd_vec3_add_scaled(md->pos[i], lambda * md->inverse_mass[i], old[k]);
        gd_vec3_add_scaled(md->pos[j], -lambda * md->inverse_mass[j], old[k]);
        if (virial != NULL)
            gd_mat3_add_outer(virial, lambda / dt2, old[k], old[k]);
    }
    return 1;
}

int64_t gd_mshake_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial)
{
    const struct gd_constraints *c = md->constraints;
    const double dt2 = md->par.step.dt * md->par.step.dt;
    if (begin >= end)
        return -1;
    gd_mat3 factor;
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++)
            factor[p][q] = coupling(&c->solvent_distances[p], &c->solvent_distances[q], &md->inverse_mass[md->top->num_solute_atoms]);
    for (size_t m = begin; m < end; m++) {
        size_t first = md->top->num_solute_atoms + 3 * m;
        double old[3][3];
        for (int k = 0; k < 3; k++)
            gd_vec3_sub(md->old_pos[first + (size_t)c->solvent_distances[k].atom[0]],
                        md->old_pos[first + (size_t)c->solvent_distances[k].atom[1]], old[k]);
        for (int iteration = 0;; iteration++) {
            int moved = newton_step(md, first, old, factor, virial);
            if (moved == 0)
                break;
            if (moved < 0 || iteration >= c->max_iterations)
                return (int64_t)m;
        }
        for (size_t a = 0; a < 3; a++)
            for (int d = 0; d < 3; d++)
                md->constraint_force[first + a][d] *= 1.0 / dt2;
    }
    return -1;
}
