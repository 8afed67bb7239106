/* SETTLE: the three sites of a rigid, symmetric water model placed analytically. Source: Miyamoto and Kollman 1992; names
 * follow its figures and equations A3 to A17 (the triangle a-b-c, a heavy). The forces that did it follow from the
 * displacements. */
#include "engine/constraints.h"

struct triangle {
    double heavy, light; /* masses */
    double ra, rb, rc;
};

int gd_settle_check(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_topology *top = md->top;
    const struct gd_constraints *c = md->constraints;
    int shape = top->num_solvent_atoms == 3 && c->num_solvent == 3 && c->solvent_distances[0].length2 == c->solvent_distances[1].length2;
    const int32_t wanted[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    for (int k = 0; shape && k < 3; k++)
        shape = c->solvent_distances[k].atom[0] == wanted[k][0] && c->solvent_distances[k].atom[1] == wanted[k][1];
    if (!shape || top->solvent_mass[1] != top->solvent_mass[2])
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "CONSTRAINT: NTCS settle needs a solvent of three atoms, 1-2 and 1-3 equally "
                          "long, 2 and 3 of the same mass; use shake or m_shake");
    return 0;
}

/* Unit vectors of the frame at the new centre of mass: z normal to the old plane. 0 when the old sites are collinear. */
static int frame_of(const double b0[3], const double c0[3], const double a1[3], gd_mat3 axis)
{
    double z[3], x[3], y[3];
    gd_vec3_cross(b0, c0, z);
    gd_vec3_cross(a1, z, x);
    gd_vec3_cross(z, x, y);
    double lx = gd_vec3_norm(x), ly = gd_vec3_norm(y), lz = gd_vec3_norm(z);
    if (lx == 0.0 || ly == 0.0 || lz == 0.0)
        return 0;
    for (int d = 0; d < 3; d++) {
        axis[0][d] = x[d] / lx;
        axis[1][d] = y[d] / ly;
        axis[2][d] = z[d] / lz;
    }
    return 1;
}

/* New places of the three sites relative to the centre of mass. b0, c0: old vectors from a; a1, b1, c1: unconstrained new
 * places. 0 when the molecule has turned too far. */
static int place(const struct triangle *t, const double b0[3], const double c0[3], const double a1[3], const double b1[3],
                 const double c1[3], double out[3][3])
{
    gd_mat3 axis;
    double b[3], c[3], a_new[3], b_new[3], c_new[3];
    if (!frame_of(b0, c0, a1, axis))
        return 0;
    gd_mat3_mul_vec(axis, b0, b);
    gd_mat3_mul_vec(axis, c0, c);
    gd_mat3_mul_vec(axis, a1, a_new);
    gd_mat3_mul_vec(axis, b1, b_new);
    gd_mat3_mul_vec(axis, c1, c_new);
    double sin_phi = a_new[2] / t->ra, cos2_phi = 1.0 - sin_phi * sin_phi;
    if (!(cos2_phi > 0.0))
        return 0;
    double cos_phi = sqrt(cos2_phi);
    double sin_psi = (b_new[2] - c_new[2]) / (2.0 * t->rc * cos_phi), cos2_psi = 1.0 - sin_psi * sin_psi;
    if (!(cos2_psi >= 0.0))
        return 0;
    double cos_psi = sqrt(cos2_psi);
    /* the canonical triangle turned by phi and psi (A3) */
    double ya = t->ra * cos_phi, xb = -t->rc * cos_psi;
    double yb = -t->rb * cos_phi - t->rc * sin_psi * sin_phi, yc = -t->rb * cos_phi + t->rc * sin_psi * sin_phi;
    /* and by theta about z, so that the old plane's moment is kept (A15, A17) */
    double alpha = xb * (b[0] - c[0]) + b[1] * yb + c[1] * yc;
    double beta = xb * (c[1] - b[1]) + b[0] * yb + c[0] * yc;
    double gamma = b[0] * b_new[1] - b_new[0] * b[1] + c[0] * c_new[1] - c_new[0] * c[1];
    double square = alpha * alpha + beta * beta;
    double sin_theta = (alpha * gamma - beta * sqrt(square - gamma * gamma)) / square;
    double cos2_theta = 1.0 - sin_theta * sin_theta;
    if (!(cos2_theta >= 0.0))
        return 0;
    double cos_theta = sqrt(cos2_theta);
    const double site[3][3] = {
        {-ya * sin_theta, ya * cos_theta, a_new[2]},
        {xb * cos_theta - yb * sin_theta, xb * sin_theta + yb * cos_theta, b_new[2]},
        {-xb * cos_theta - yc * sin_theta, -xb * sin_theta + yc * cos_theta, c_new[2]},
    };
    for (int s = 0; s < 3; s++)
        for (int d = 0; d < 3; d++)
            out[s][d] = site[s][0] * axis[0][d] + site[s][1] * axis[1][d] + site[s][2] * axis[2][d];
    return 1;
}

static struct triangle canonical(const struct gd_md *md)
{
    const struct gd_constraints *c = md->constraints;
    struct triangle t = {md->top->solvent_mass[0], md->top->solvent_mass[1], 0.0, 0.0, 0.0};
    double ratio = 0.5 * t.heavy / t.light;
    t.rc = 0.5 * sqrt(c->solvent_distances[2].length2);
    t.ra = sqrt(c->solvent_distances[0].length2 - t.rc * t.rc) / (1.0 + ratio);
    t.rb = ratio * t.ra;
    return t;
}

int64_t gd_settle_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial, int correct_velocity)
{
    const struct triangle t = canonical(md);
    const double mass[3] = {t.heavy, t.light, t.light}, total = t.heavy + 2.0 * t.light;
    const double rate = 1.0 / md->par.step.dt;
    for (size_t m = begin; m < end; m++) {
        size_t first = md->top->num_solute_atoms + 3 * m;
        const gd_vec3 *old = (const gd_vec3 *)&md->old_pos[first];
        double b0[3], c0[3], centre[3], moved[3][3], placed[3][3];
        gd_vec3_sub(old[1], old[0], b0);
        gd_vec3_sub(old[2], old[0], c0);
        for (int d = 0; d < 3; d++)
            centre[d] = (md->pos[first][d] * mass[0] + md->pos[first + 1][d] * mass[1] + md->pos[first + 2][d] * mass[2]) / total;
        for (size_t s = 0; s < 3; s++)
            gd_vec3_sub(md->pos[first + s], centre, moved[s]);
        if (!place(&t, b0, c0, moved[0], moved[1], moved[2], placed))
            return (int64_t)m;
        for (size_t s = 0; s < 3; s++) {
            double force[3];
            for (int d = 0; d < 3; d++) {
                double target = placed[s][d] + centre[d], step = target - md->pos[first + s][d];
                md->pos[first + s][d] = target;
                force[d] = step * mass[s] * rate * rate;
                if (correct_velocity)
                    md->vel[first + s][d] += step * rate;
            }
            gd_vec3_copy(md->constraint_force[first + s], force);
            if (virial != NULL)
                gd_mat3_add_outer(virial, 1.0, old[s], force);
        }
    }
    return -1;
}
