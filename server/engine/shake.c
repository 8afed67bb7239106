/* SHAKE. Constraints are visited in the order of their list until all squared lengths are within 2 tol of their target;
 * a constraint is passed over while neither of its atoms has moved in the round before. Source: Ryckaert, Ciccotti and
 * Berendsen 1977; van Gunsteren and Berendsen 1977. */
#include "engine/constraints.h"

#define ORTHOGONAL 1e-14 /* of the squared length */

enum round_result { ROUND_DONE, ROUND_MOVED, ROUND_FAILED };

struct shake_set {
    const struct gd_distance *distances;
    size_t count;
    size_t first; /* atom the list counts from */
    double tolerance;
};

static enum round_result one_round(struct gd_md *md, const struct shake_set *set, const uint8_t *skip_now, uint8_t *skip_next,
                                   gd_mat3 virial, size_t *failed)
{
    enum round_result result = ROUND_DONE;
    const double dt2 = md->par.step.dt * md->par.step.dt;
    for (size_t k = 0; k < set->count; k++) {
        const struct gd_distance *c = &set->distances[k];
        if (skip_now[c->atom[0]] && skip_now[c->atom[1]])
            continue;
        size_t i = set->first + (size_t)c->atom[0], j = set->first + (size_t)c->atom[1];
        double weight = md->inverse_mass[i] + md->inverse_mass[j];
        if (weight == 0.0)
            continue;
        double r[3], reference[3];
        gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
        double difference = c->length2 - gd_vec3_norm2(r);
        if (!(fabs(difference) >= c->length2 * set->tolerance * 2.0))
            continue; /* a NaN ends here too; the energies tell */
        gd_nearest_image(&md->pbc, md->old_pos[i], md->old_pos[j], reference);
        double along = gd_vec3_dot(reference, r);
        if (along < c->length2 * ORTHOGONAL) {
            *failed = k;
            return ROUND_FAILED;
        }
        double lambda = difference / (along * 2.0 * weight);
        gd_vec3_add_scaled(md->constraint_force[i], lambda, reference);
        gd_vec3_add_scaled(md->constraint_force[j], -lambda, reference);
        if (virial != NULL)
            gd_mat3_add_outer(virial, lambda / dt2, reference, reference);
        gd_vec3_add_scaled(md->pos[i], lambda * md->inverse_mass[i], reference);
        gd_vec3_add_scaled(md->pos[j], -lambda * md->inverse_mass[j], reference);
        skip_next[c->atom[0]] = skip_next[c->atom[1]] = 0;
        result = ROUND_MOVED;
    }
    return result;
}

int gd_shake_solute(struct gd_md *md, struct gd_err *err)
{
    struct gd_constraints *c = md->constraints;
    size_t atoms = md->top->num_solute_atoms, failed = 0;
    struct shake_set set = {c->distances, c->num_distances, 0, c->solute_tolerance};
    gd_vec3 *virial = md->par.pressure.virial == GD_VIRIAL_ATOMIC ? md->virial : NULL;
    memset(c->skip_now, 0, atoms);
    memset(c->skip_next, 1, atoms);
    for (int iteration = 0;; iteration++) {
        if (iteration > c->max_iterations)
            return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: SHAKE of the solute does not converge in %d iterations",
                              gd_md_named_step(md), c->max_iterations);
        enum round_result result = one_round(md, &set, c->skip_now, c->skip_next, virial, &failed);
        if (result == ROUND_FAILED)
            return gd_err_set(err, GD_E_SIMULATION_FAILED,
                              "step %lld: SHAKE failed at the bond of atoms %d and %d: it has turned by 90 degrees within a step",
                              gd_md_named_step(md), c->distances[failed].atom[0] + 1, c->distances[failed].atom[1] + 1);
        int converged = result == ROUND_DONE;
        int rc = c->angles ? gd_special_shake_angles(md, &converged, c->skip_now, c->skip_next, err) : 0;
        if (rc == 0 && c->dihedrals)
            rc = gd_special_shake_dihedrals(md, &converged, c->skip_now, c->skip_next, err);
        if (rc != 0)
            return rc;
        if (converged)
            break;
        uint8_t *swap = c->skip_now;
        c->skip_now = c->skip_next;
        c->skip_next = swap;
        memset(c->skip_next, 1, atoms);
    }
    const double dt2 = md->par.step.dt * md->par.step.dt;
    for (size_t i = 0; i < atoms; i++)
        for (int d = 0; d < 3; d++)
            md->constraint_force[i][d] *= 1.0 / dt2;
    return 0;
}

int64_t gd_shake_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial)
{
    struct gd_constraints *c = md->constraints;
    const double dt2 = md->par.step.dt * md->par.step.dt;
    uint8_t skip[2][8];
    for (size_t m = begin; m < end; m++) {
        struct shake_set set = {c->solvent_distances, c->num_solvent, md->top->num_solute_atoms + m * c->sites, c->solvent_tolerance};
        size_t failed;
        int now = 0;
        memset(skip[0], 0, sizeof skip[0]);
        memset(skip[1], 1, sizeof skip[1]);
        for (int iteration = 0;; iteration++) {
            enum round_result result = one_round(md, &set, skip[now], skip[1 - now], virial, &failed);
            if (result == ROUND_DONE)
                break;
            if (result == ROUND_FAILED || iteration >= c->max_iterations)
                return (int64_t)m;
            now = 1 - now;
            memset(skip[1 - now], 1, sizeof skip[0]);
        }
        for (size_t a = 0; a < c->sites; a++)
            for (int d = 0; d < 3; d++)
                md->constraint_force[set.first + a][d] *= 1.0 / dt2;
    }
    return -1;
}
