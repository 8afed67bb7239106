/* Position restraints, V = 1/2 K (r - r0)^2, or 1/2 K / B (r - r0)^2 with the atom's B-factor, and position constraints, which
 * hold atoms at r0. Source: GROMOS manual volume 2. */
#include "engine/special.h"

static int chosen(const struct gd_md *md)
{
    return md->par.position_restraint.ntpor;
}

int gd_position_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    if (chosen(md) == 0)
        return 0;
    if (md->res->num_position_atoms == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "POSITIONRES: NTPOR %d needs a list of atoms (POSRESSPEC)", chosen(md));
    int rc = gd_md_allocate((void **)&md->reference_position, md->n, sizeof *md->reference_position, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&md->bfactor, md->n, sizeof *md->bfactor, err);
    if (rc != 0)
        return rc;
    const gd_vec3 *reference = (const gd_vec3 *)conf->position;
    if (conf->reference_position != NULL && md->par.position_restraint.ntporb == 0)
        reference = (const gd_vec3 *)conf->reference_position;
    if (md->res->num_reference != 0)
        reference = (const gd_vec3 *)md->res->reference_position;
    memcpy(md->reference_position, reference, md->n * sizeof *reference);
    const double *bfactor = md->res->has_bfactor ? md->res->bfactor : conf->bfactor;
    for (size_t i = 0; i < md->n; i++)
        md->bfactor[i] = bfactor != NULL ? bfactor[i] : 1.0;
    for (size_t k = 0; k < md->res->num_position_atoms && chosen(md) == 3; k++) {
        int32_t i = md->res->position_atom[k];
        md->inverse_mass[i] = 0.0;
    }
    return 0;
}

void gd_position_restraints_forces(struct gd_md *md)
{
    if (chosen(md) != 1 && chosen(md) != 2)
        return;
    for (size_t k = 0; k < md->res->num_position_atoms; k++) {
        int32_t i = md->res->position_atom[k];
        double v[3], constant = md->par.position_restraint.cpor;
        if (chosen(md) == 2)
            constant /= md->bfactor[i];
        gd_nearest_image(&md->pbc, md->pos[i], md->reference_position[i], v);
        gd_vec3_add_scaled(md->force[i], -constant, v);
        md->energies.group_position[md->energy_group[i]] += 0.5 * constant * gd_vec3_norm2(v);
    }
}

void gd_position_constraints_apply(struct gd_md *md)
{
    if (chosen(md) != 3)
        return;
    for (size_t k = 0; k < md->res->num_position_atoms; k++) {
        int32_t i = md->res->position_atom[k];
        gd_vec3_copy(md->pos[i], md->reference_position[i]);
        for (int d = 0; d < 3; d++)
            md->force[i][d] = md->vel[i][d] = 0.0;
    }
}
