/* Angle restraints, V = 1/2 K (cos t - cos t0)^2, and angle constraints, which hold t at t0 within the SHAKE loop.
 * Source: GROMOS manual volume 2; Pechlaner and van Gunsteren 2021 for the constraints. */
#include "engine/special.h"

#define DEGREE (GD_PI / 180.0)

int gd_angle_restraints_create(struct gd_md *md, struct gd_err *err)
{
    if (md->par.angle_restraint.ntalr == 0)
        return 0;
    if (md->res->num_angles == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "ANGLERES: NTALR %d needs a list of restraints (ANGRESSPEC)",
                          md->par.angle_restraint.ntalr);
    for (size_t k = 0; k < md->res->num_angles && md->par.angle_restraint.ntalr == 3; k++)
        for (int a = 0; a < 3; a++)
            if ((size_t)md->res->angles[k].atom[a] >= md->top->num_solute_atoms)
                return gd_err_set(err, GD_E_UNSUPPORTED, "ANGRESSPEC row %zu: an angle constraint on solvent atom %d", k + 1,
                                  md->res->angles[k].atom[a] + 1);
    return gd_restraint_values_create(&md->special->angle, md->res->num_angles, err);
}

static double angle_of(const double a[3], const double b[3])
{
    double cosine = gd_vec3_dot(a, b) / (gd_vec3_norm(a) * gd_vec3_norm(b));
    return acos(cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine);
}

void gd_angle_restraints_forces(struct gd_md *md)
{
    struct gd_restraint_values *values = &md->special->angle;
    for (size_t n = 0; n < values->count; n++) {
        const struct gd_angle_restraint *restraint = &md->res->angles[n];
        int32_t i = restraint->atom[0], j = restraint->atom[1], k = restraint->atom[2];
        double rij[3], rkj[3], fi[3], fk[3];
        gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], rij);
        gd_nearest_image(&md->pbc, md->pos[k], md->pos[j], rkj);
        values->value[n] = angle_of(rij, rkj) / DEGREE;
        if (md->par.angle_restraint.ntalr == 3)
            continue;
        double dij = gd_vec3_norm(rij), dkj = gd_vec3_norm(rkj), cosine = gd_vec3_dot(rij, rkj) / (dij * dkj);
        double difference = cosine - cos(restraint->angle * DEGREE);
        double constant = md->par.angle_restraint.calr / (DEGREE * DEGREE);
        if (md->par.angle_restraint.ntalr == 2)
            constant *= restraint->weight;
        values->energy[n] = 0.5 * constant * difference * difference;
        md->energies.group_angle_restraint[md->energy_group[i]] += values->energy[n];
        for (int d = 0; d < 3; d++) {
            fi[d] = -constant * difference / dij * (rkj[d] / dkj - rij[d] / dij * cosine);
            fk[d] = -constant * difference / dkj * (rij[d] / dij - rkj[d] / dkj * cosine);
            md->force[i][d] += fi[d];
            md->force[j][d] -= fi[d] + fk[d];
            md->force[k][d] += fk[d];
        }
        if (md->par.angle_restraint.vares) {
            gd_mat3_add_outer(md->virial, 1.0, rij, fi);
            gd_mat3_add_outer(md->virial, 1.0, rkj, fk);
        }
    }
}

/* Gradient of the cosine between a and b with respect to the ends of a and of b. */
static void cosine_gradient(const double a[3], const double b[3], double ga[3], double gb[3])
{
    double la = gd_vec3_norm(a), lb = gd_vec3_norm(b), product = gd_vec3_dot(a, b);
    for (int d = 0; d < 3; d++) {
        ga[d] = (la * la * b[d] - product * a[d]) / (la * la * la * lb);
        gb[d] = (lb * lb * a[d] - product * b[d]) / (la * lb * lb * lb);
    }
}

/* One Newton step along the gradient at the old positions; linear in the multiplier. */
static void constrain(struct gd_md *md, const struct gd_angle_restraint *restraint, const double r12[3], const double r32[3])
{
    int32_t i = restraint->atom[0], j = restraint->atom[1], k = restraint->atom[2];
    double old12[3], old32[3], a1[3], a3[3], b1[3], b3[3];
    gd_nearest_image(&md->pbc, md->old_pos[i], md->old_pos[j], old12);
    gd_nearest_image(&md->pbc, md->old_pos[k], md->old_pos[j], old32);
    cosine_gradient(old12, old32, a1, a3);
    double m1 = md->mass[i], m2 = md->mass[j], m3 = md->mass[k];
    for (int d = 0; d < 3; d++) {
        b1[d] = a1[d] / m1 + (a1[d] + a3[d]) / m2;
        b3[d] = a3[d] / m3 + (a1[d] + a3[d]) / m2;
    }
    double d12 = gd_vec3_norm(r12), d32 = gd_vec3_norm(r32), target = cos(restraint->angle * DEGREE);
    double moved = gd_vec3_dot(r12, b3) + gd_vec3_dot(r32, b1);
    double stretched = d12 / d32 * gd_vec3_dot(r32, b3) + d32 / d12 * gd_vec3_dot(r12, b1);
    double lambda = (gd_vec3_dot(r12, r32) - d12 * d32 * target) / (moved - stretched * target);
    for (int d = 0; d < 3; d++) {
        md->pos[i][d] -= lambda * a1[d] / m1;
        md->pos[j][d] += lambda * (a1[d] + a3[d]) / m2;
        md->pos[k][d] -= lambda * a3[d] / m3;
    }
}

int gd_special_shake_angles(struct gd_md *md, int *converged, uint8_t *skip_now, uint8_t *skip_next, struct gd_err *err)
{
    const double tolerance = md->par.angle_restraint.tolbac * DEGREE;
    for (size_t n = 0; n < md->res->num_angles; n++) {
        const struct gd_angle_restraint *restraint = &md->res->angles[n];
        const int32_t *atom = restraint->atom;
        if (skip_now[atom[0]] && skip_now[atom[1]] && skip_now[atom[2]])
            continue;
        double r12[3], r32[3];
        gd_nearest_image(&md->pbc, md->pos[atom[0]], md->pos[atom[1]], r12);
        gd_nearest_image(&md->pbc, md->pos[atom[2]], md->pos[atom[1]], r32);
        double difference = angle_of(r12, r32) - restraint->angle * DEGREE;
        if (fabs(difference) < tolerance)
            continue;
        constrain(md, restraint, r12, r32);
        if (!isfinite(md->pos[atom[1]][0]))
            return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the angle constraint of atoms %d, %d and %d failed",
                              gd_md_named_step(md), atom[0] + 1, atom[1] + 1, atom[2] + 1);
        *converged = 0;
        for (int a = 0; a < 3; a++)
            skip_next[atom[a]] = 0;
    }
    return 0;
}
