/* Dihedral restraints: harmonic in the angle up to PHILIN, linear beyond, the period cut at phi0 + delta; and dihedral
 * constraints within the SHAKE loop. Source: GROMOS manual volume 2; Pechlaner et al. 2020 for the constraints (equation
 * numbers there). */
#include "engine/dihedral.h"
#include "engine/special.h"

#define DEGREE (GD_PI / 180.0)

int gd_dihedral_restraints_create(struct gd_md *md, struct gd_err *err)
{
    if (md->par.dihedral_restraint.ntdlr == 0)
        return 0;
    if (md->res->num_dihedrals == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "DIHEDRALRES: NTDLR %d needs a list of restraints (DIHEDRALRESSPEC)",
                          md->par.dihedral_restraint.ntdlr);
    for (size_t k = 0; k < md->res->num_dihedrals && md->par.dihedral_restraint.ntdlr == 3; k++)
        for (int a = 0; a < 4; a++)
            if ((size_t)md->res->dihedrals[k].atom[a] >= md->top->num_solute_atoms)
                return gd_err_set(err, GD_E_UNSUPPORTED, "DIHEDRALRESSPEC row %zu: a dihedral constraint on solvent atom %d", k + 1,
                                  md->res->dihedrals[k].atom[a] + 1);
    return gd_restraint_values_create(&md->special->dihedral, md->res->num_dihedrals, err);
}

/* Into (upper - 2 pi, upper]. */
static double into_period(double phi, double upper)
{
    while (phi < upper - 2.0 * GD_PI)
        phi += 2.0 * GD_PI;
    while (phi > upper)
        phi -= 2.0 * GD_PI;
    return phi;
}

void gd_dihedral_restraints_forces(struct gd_md *md)
{
    struct gd_restraint_values *values = &md->special->dihedral;
    const double linear = md->par.dihedral_restraint.philin * DEGREE;
    for (size_t n = 0; n < values->count; n++) {
        const struct gd_dihedral_restraint *restraint = &md->res->dihedrals[n];
        struct gd_dihedral_geometry g;
        gd_dihedral_geometry(md, restraint->atom, &g);
        double target = restraint->angle * DEGREE, upper = target + restraint->delta * DEGREE;
        double phi = into_period(g.phi, upper);
        values->value[n] = phi / DEGREE;
        if (md->par.dihedral_restraint.ntdlr == 3)
            continue;
        double difference = phi - into_period(target, upper), slope;
        double constant = md->par.dihedral_restraint.cdlr / (DEGREE * DEGREE);
        if (md->par.dihedral_restraint.ntdlr == 2)
            constant *= restraint->weight;
        if (fabs(difference) > linear) {
            slope = difference < 0.0 ? -constant * linear : constant * linear;
            values->energy[n] = constant * (fabs(difference) - 0.5 * linear) * linear;
        } else {
            slope = constant * difference;
            values->energy[n] = 0.5 * constant * difference * difference;
        }
        md->energies.group_dihedral_restraint[md->energy_group[restraint->atom[0]]] += values->energy[n];
        gd_dihedral_force(md, restraint->atom, &g, slope, md->par.dihedral_restraint.vdih);
    }
}

/* Vectors of the four atoms as the constraint's equations name them, and the normals r52 = r12 x r32, r63 = r32 x r34. */
struct four_atoms {
    double r12[3], r32[3], r34[3], r52[3], r63[3];
    double d32, d52, d63;
};

static void vectors_of(const struct gd_md *md, const gd_vec3 *pos, const int32_t *atom, struct four_atoms *v)
{
    gd_nearest_image(&md->pbc, pos[atom[0]], pos[atom[1]], v->r12);
    gd_nearest_image(&md->pbc, pos[atom[2]], pos[atom[1]], v->r32);
    gd_nearest_image(&md->pbc, pos[atom[2]], pos[atom[3]], v->r34);
    gd_vec3_cross(v->r12, v->r32, v->r52);
    gd_vec3_cross(v->r32, v->r34, v->r63);
    v->d32 = gd_vec3_norm(v->r32);
    v->d52 = gd_vec3_norm(v->r52);
    v->d63 = gd_vec3_norm(v->r63);
}

static double angle_of(const struct four_atoms *v)
{
    double cosine = gd_vec3_dot(v->r52, v->r63) / (v->d52 * v->d63);
    double phi = acos(cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine);
    return gd_vec3_dot(v->r12, v->r63) >= 0.0 ? phi : -phi;
}

/* Gradients of the angle at the old positions, divided by the masses. */
static void weighted_gradients(const struct gd_md *md, const int32_t *atom, double w[4][3])
{
    struct four_atoms v;
    vectors_of(md, (const gd_vec3 *)md->old_pos, atom, &v);
    double first = gd_vec3_dot(v.r12, v.r32) / (v.d32 * v.d32), last = gd_vec3_dot(v.r34, v.r32) / (v.d32 * v.d32);
    for (int d = 0; d < 3; d++) {
        double along52 = v.d32 / (v.d52 * v.d52) * v.r52[d], along63 = v.d32 / (v.d63 * v.d63) * v.r63[d];
        w[0][d] = along52;
        w[1][d] = (first - 1.0) * along52 + last * along63;
        w[2][d] = -((last - 1.0) * along63 + first * along52);
        w[3][d] = -along63;
        for (int a = 0; a < 4; a++)
            w[a][d] /= md->mass[atom[a]];
    }
}

/* The multiplier, linear in the displacement: from the cosine where that is steep, from the sine elsewhere (58 to 62). */
static double multiplier(const struct four_atoms *v, double w[4][3], double target)
{
    double w32[3], w12[3], w34[3], b1[3], b2[3], part[3];
    gd_vec3_sub(w[2], w[1], w32);
    gd_vec3_sub(w[0], w[1], w12);
    gd_vec3_sub(w[2], w[3], w34);
    gd_vec3_cross(v->r12, w32, b1);
    gd_vec3_cross(v->r32, w12, part);
    gd_vec3_sub(b1, part, b1);
    gd_vec3_cross(v->r32, w34, b2);
    gd_vec3_cross(v->r34, w32, part);
    gd_vec3_sub(b2, part, b2);
    double c3 = v->d52 * v->d63;
    double c4 = v->d52 * gd_vec3_dot(v->r63, b2) / v->d63 + v->d63 * gd_vec3_dot(v->r52, b1) / v->d52;
    double numerator, denominator, least = gd_vec3_norm(v->r12) * 1e-10;
    if (fabs(target) <= GD_PI / 4.0 || fabs(target) > 3.0 * GD_PI / 4.0) {
        double c5[3], c6[3], sine = sin(target);
        gd_vec3_cross(v->r52, v->r63, c5);
        gd_vec3_cross(v->r52, b2, c6);
        gd_vec3_cross(v->r63, b1, part);
        gd_vec3_sub(c6, part, c6);
        numerator = sine * v->d32 * c3 - gd_vec3_dot(c5, v->r32);
        denominator = sine * (c3 / v->d32 * gd_vec3_dot(v->r32, w32) + c4 * v->d32) - (gd_vec3_dot(c5, w32) + gd_vec3_dot(c6, v->r32));
    } else {
        double cosine = cos(target);
        numerator = cosine * c3 - gd_vec3_dot(v->r52, v->r63);
        denominator = cosine * c4 - (gd_vec3_dot(v->r52, b2) + gd_vec3_dot(v->r63, b1));
    }
    if (fabs(denominator) < least)
        denominator = least;
    return numerator / denominator;
}

int gd_special_shake_dihedrals(struct gd_md *md, int *converged, uint8_t *skip_now, uint8_t *skip_next, struct gd_err *err)
{
    const double tolerance = md->par.dihedral_restraint.toldac * DEGREE;
    for (size_t n = 0; n < md->res->num_dihedrals; n++) {
        const struct gd_dihedral_restraint *restraint = &md->res->dihedrals[n];
        const int32_t *atom = restraint->atom;
        if (skip_now[atom[0]] && skip_now[atom[1]] && skip_now[atom[2]] && skip_now[atom[3]])
            continue;
        struct four_atoms v;
        vectors_of(md, (const gd_vec3 *)md->pos, atom, &v);
        double target = restraint->angle * DEGREE;
        double difference = into_period(angle_of(&v), target + GD_PI) - target;
        if (fabs(difference) < tolerance)
            continue;
        double w[4][3];
        weighted_gradients(md, atom, w);
        double lambda = multiplier(&v, w, target);
        if (!isfinite(lambda))
            return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the dihedral constraint of atoms %d, %d, %d and %d failed",
                              gd_md_named_step(md), atom[0] + 1, atom[1] + 1, atom[2] + 1, atom[3] + 1);
        for (int a = 0; a < 4; a++) {
            gd_vec3_add_scaled(md->pos[atom[a]], -lambda, w[a]);
            skip_next[atom[a]] = 0;
        }
        *converged = 0;
    }
    return 0;
}
