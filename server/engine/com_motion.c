/* Removal of the centre-of-mass motion of the whole system, and in vacuum of its rotation too. Velocities are those of half
 * a step earlier, so positions are taken back by half a step. Source: GROMOS manual volume 2. */
#include "engine/md_internal.h"

static void remove_rotation(struct gd_md *md, const double centre[3], const double v[3])
{
    const double half = 0.5 * md->par.step.dt;
    double momentum[3] = {0.0, 0.0, 0.0}, part[3], r[3];
    gd_mat3 inertia = {{0.0}}, inverse;
    for (size_t i = 0; i < md->n; i++) {
        double m = md->mass[i];
        for (int d = 0; d < 3; d++)
            r[d] = md->pos[i][d] - half * md->vel[i][d] - centre[d];
        gd_vec3_cross(md->pos[i], md->vel[i], part);
        gd_vec3_add_scaled(momentum, m, part);
        gd_mat3_add_outer(inertia, -m, r, r);
        for (int d = 0; d < 3; d++)
            inertia[d][d] += m * gd_vec3_norm2(r);
    }
    gd_vec3_cross(centre, v, part);
    gd_vec3_add_scaled(momentum, -md->total_mass, part);
    if (fabs(gd_mat3_determinant(inertia)) < 1e-14)
        return; /* a point or a line: nothing to turn */
    gd_mat3_inverse(inertia, inverse);
    double omega[3];
    gd_mat3_mul_vec(inverse, momentum, omega);
    for (size_t i = 0; i < md->n; i++) {
        for (int d = 0; d < 3; d++)
            r[d] = md->pos[i][d] - half * md->vel[i][d] - centre[d];
        gd_vec3_cross(omega, r, part);
        gd_vec3_add_scaled(md->vel[i], -1.0, part);
    }
}

void gd_com_motion_remove(struct gd_md *md, int translation, int rotation)
{
    const double dt = md->par.step.dt;
    double v[3] = {0.0, 0.0, 0.0}, centre[3] = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++) {
            v[d] += md->mass[i] * md->vel[i][d];
            centre[d] += md->mass[i] * md->pos[i][d] - 0.5 * md->mass[i] * md->vel[i][d] * dt;
        }
    for (int d = 0; d < 3; d++) {
        v[d] /= md->total_mass;
        centre[d] /= md->total_mass;
    }
    if (rotation && md->pbc.kind == GD_BOX_VACUUM)
        remove_rotation(md, centre, v);
    if (translation)
        for (size_t i = 0; i < md->n; i++)
            gd_vec3_add_scaled(md->vel[i], -1.0, v);
}
