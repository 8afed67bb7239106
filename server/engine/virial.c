/* Kinetic-energy tensor and molecular virial. The nonbonded and bonded modules add the atomic virial sum r_ij x f_ij; the
 * molecular one follows by taking off what the forces do about the centre of mass of each pressure group. The kinetic
 * tensor belongs to the same (half a step old) velocities as the forces' positions. Source: GROMOS manual volume 2,
 * pressure calculation. */
#include "engine/md_internal.h"

/* Centre of mass of atoms [first, last), each taken in the image nearest to the one before it; momentum sum m v. */
static double centre_of_mass(const struct gd_md *md, int32_t first, int32_t last, double centre[3], double momentum[3])
{
    double previous[3], r[3], sum[3] = {0.0, 0.0, 0.0}, mass = 0.0;
    momentum[0] = momentum[1] = momentum[2] = 0.0;
    gd_vec3_copy(previous, md->pos[first]);
    for (int32_t i = first; i < last; i++) {
        double m = md->mass[i];
        mass += m;
        gd_nearest_image(&md->pbc, md->pos[i], previous, r);
        for (int d = 0; d < 3; d++) {
            sum[d] += m * (r[d] + previous[d]);
            momentum[d] += m * md->vel[i][d];
            previous[d] += r[d];
        }
    }
    for (int d = 0; d < 3; d++)
        centre[d] = sum[d] / mass;
    return mass;
}

void gd_virial_prepare(struct gd_md *md)
{
    gd_mat3_zero(md->virial);
    gd_virial_kinetic(md);
}

void gd_virial_kinetic(struct gd_md *md)
{
    if (md->pbc.kind == GD_BOX_VACUUM || md->par.pressure.virial == GD_VIRIAL_NONE)
        return;
    gd_mat3_zero(md->kinetic_tensor);
    if (md->par.pressure.virial == GD_VIRIAL_ATOMIC) {
        for (size_t i = 0; i < md->n; i++)
            gd_mat3_add_outer(md->kinetic_tensor, 0.5 * md->mass[i], md->vel[i], md->vel[i]);
        return;
    }
    for (size_t g = 0; g < md->top->num_pressure_groups; g++) {
        double centre[3], momentum[3];
        double mass = centre_of_mass(md, md->top->pressure_group_start[g], md->top->pressure_group_start[g + 1], centre, momentum);
        gd_mat3_add_outer(md->kinetic_tensor, 0.5 / mass, momentum, momentum);
    }
}

void gd_virial_molecular(struct gd_md *md)
{
    if (md->pbc.kind == GD_BOX_VACUUM || md->par.pressure.virial != GD_VIRIAL_MOLECULAR)
        return;
    gd_mat3 correction = {{0.0}};
    for (size_t g = 0; g < md->top->num_pressure_groups; g++) {
        int32_t first = md->top->pressure_group_start[g], last = md->top->pressure_group_start[g + 1];
        double centre[3], momentum[3], r[3];
        centre_of_mass(md, first, last, centre, momentum);
        for (int32_t i = first; i < last; i++) {
            gd_nearest_image(&md->pbc, md->pos[i], centre, r);
            gd_mat3_add_outer(correction, 1.0, r, md->force[i]);
        }
    }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            md->virial[a][b] -= correction[a][b];
}
