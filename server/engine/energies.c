/* The energies of a step: storage, sums, and the vector that a State publishes. */
#include "engine/md_internal.h"

#include <stdlib.h>

#include "core/box.h"
#include "proto/gd_energies.h"

#define GROUP_TERMS 11

int gd_md_create_energies(struct gd_md *md, struct gd_err *err)
{
    struct gd_md_energies *e = &md->energies;
    size_t groups = (size_t)md->par.force.num_energy_groups, baths = md->num_baths;
    e->num_groups = groups;
    e->num_baths = baths;
    md->num_energy_numbers = 3 * baths + GROUP_TERMS * groups + 2 * groups * groups;
    int rc = gd_md_allocate((void **)&md->energy_numbers, md->num_energy_numbers, sizeof(double), err);
    if (rc != 0)
        return rc;
    double *next = md->energy_numbers;
    double **bath[] = {&e->bath_kinetic, &e->bath_com, &e->bath_internal};
    double **group[GROUP_TERMS] = {
        &e->group_bond,       &e->group_angle,    &e->group_improper, &e->group_dihedral,        &e->group_crossdihedral,
        &e->group_constraint, &e->group_position, &e->group_distance, &e->group_angle_restraint, &e->group_dihedral_restraint,
        &e->group_jvalue};
    double **pair[] = {&e->pair_lj, &e->pair_crf};
    for (size_t k = 0; k < 3; k++, next += baths)
        *bath[k] = next;
    for (size_t k = 0; k < GROUP_TERMS; k++, next += groups)
        *group[k] = next;
    for (size_t k = 0; k < 2; k++, next += groups * groups)
        *pair[k] = next;
    return 0;
}

void gd_md_zero_potential_energies(struct gd_md *md)
{
    size_t kinetic = 3 * md->num_baths;
    memset(md->energy_numbers + kinetic, 0, (md->num_energy_numbers - kinetic) * sizeof(double));
}

static double sum(const double *value, size_t n)
{
    double s = 0.0;
    for (size_t k = 0; k < n; k++)
        s += value[k];
    return s;
}

static int name_the_broken(const struct gd_md *md, struct gd_err *err)
{
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            if (!isfinite(md->force[i][d]) || !isfinite(md->pos[i][d]) || !isfinite(md->vel[i][d]))
                return gd_err_set(err, GD_E_SIMULATION_FAILED,
                                  "step %lld: the energy is not finite; atom %zu (of %zu) is the first with a force, position or "
                                  "velocity that is not",
                                  gd_md_named_step(md), i + 1, md->n);
    return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the energy is not finite", gd_md_named_step(md));
}

int gd_md_sum_energies(struct gd_md *md, struct gd_err *err)
{
    struct gd_md_energies *e = &md->energies;
    size_t n = e->num_groups;
    e->kinetic = sum(e->bath_kinetic, e->num_baths);
    e->bond = sum(e->group_bond, n);
    e->angle = sum(e->group_angle, n);
    e->improper = sum(e->group_improper, n);
    e->dihedral = sum(e->group_dihedral, n);
    e->crossdihedral = sum(e->group_crossdihedral, n);
    e->lj = sum(e->pair_lj, n * n);
    e->crf = sum(e->pair_crf, n * n);
    e->constraint = sum(e->group_constraint, n);
    e->position_restraint = sum(e->group_position, n);
    e->distance_restraint = sum(e->group_distance, n);
    e->angle_restraint = sum(e->group_angle_restraint, n);
    e->dihedral_restraint = sum(e->group_dihedral_restraint, n);
    e->jvalue = sum(e->group_jvalue, n);
    e->nonbonded = e->lj + e->crf;
    e->covalent = e->bond + e->angle + e->dihedral + e->improper + e->crossdihedral;
    e->potential = e->nonbonded + e->covalent;
    e->special = e->position_restraint + e->distance_restraint + e->angle_restraint + e->dihedral_restraint + e->constraint + e->jvalue;
    e->total = e->potential + e->kinetic + e->special;
    return isfinite(e->total) ? 0 : name_the_broken(md, err);
}

double gd_md_bath_temperature(const struct gd_md *md, size_t index, int part)
{
    const struct gd_md_bath *bath = &md->bath[index];
    double dof = part == 0 ? bath->dof : part == 1 ? bath->com_dof : bath->internal_dof;
    const double *energy = part == 0 ? md->energies.bath_kinetic : part == 1 ? md->energies.bath_com : md->energies.bath_internal;
    return dof != 0.0 ? 2.0 * energy[index] / md->top->boltzmann / dof : 0.0;
}

static void copy_baths(const struct gd_md *md, double *out)
{
    const struct gd_md_energies *e = &md->energies;
    size_t nb = md->num_baths, ng = e->num_groups;
    memcpy(out + gd_energies_bath_kinetic(nb, ng), e->bath_kinetic, nb * sizeof(double));
    memcpy(out + gd_energies_bath_kinetic_com(nb, ng), e->bath_com, nb * sizeof(double));
    memcpy(out + gd_energies_bath_kinetic_internal(nb, ng), e->bath_internal, nb * sizeof(double));
    for (size_t b = 0; b < nb; b++) {
        out[gd_energies_bath_temperature(nb, ng) + b] = gd_md_bath_temperature(md, b, 0);
        out[gd_energies_bath_temperature_com(nb, ng) + b] = gd_md_bath_temperature(md, b, 1);
        out[gd_energies_bath_temperature_internal(nb, ng) + b] = gd_md_bath_temperature(md, b, 2);
        out[gd_energies_bath_scale(nb, ng) + b] = md->bath[b].scale;
        out[gd_energies_bath_dof(nb, ng) + b] = md->bath[b].dof;
    }
}

static void copy_groups(const struct gd_md *md, double *out)
{
    const struct gd_md_energies *e = &md->energies;
    size_t nb = md->num_baths, ng = e->num_groups, size = ng * sizeof(double);
    memcpy(out + gd_energies_group_bond(nb, ng), e->group_bond, size);
    memcpy(out + gd_energies_group_angle(nb, ng), e->group_angle, size);
    memcpy(out + gd_energies_group_improper(nb, ng), e->group_improper, size);
    memcpy(out + gd_energies_group_dihedral(nb, ng), e->group_dihedral, size);
    memcpy(out + gd_energies_group_crossdihedral(nb, ng), e->group_crossdihedral, size);
    memcpy(out + gd_energies_group_constraint(nb, ng), e->group_constraint, size);
    memcpy(out + gd_energies_group_position_restraint(nb, ng), e->group_position, size);
    memcpy(out + gd_energies_group_distance_restraint(nb, ng), e->group_distance, size);
    memcpy(out + gd_energies_group_angle_restraint(nb, ng), e->group_angle_restraint, size);
    memcpy(out + gd_energies_group_dihedral_restraint(nb, ng), e->group_dihedral_restraint, size);
    memcpy(out + gd_energies_group_jvalue_restraint(nb, ng), e->group_jvalue, size);
    memcpy(out + gd_energies_pair_lj(nb, ng), e->pair_lj, ng * size);
    memcpy(out + gd_energies_pair_coulomb(nb, ng), e->pair_crf, ng * size);
}

void gd_md_energy_vector(const struct gd_md *md, double *out)
{
    const struct gd_md_energies *e = &md->energies;
    double dof = 0.0;
    gd_nonbonded_complete(md);
    memset(out, 0, gd_energies_count(md->num_baths, e->num_groups) * sizeof(double));
    for (size_t b = 0; b < md->num_baths; b++)
        dof += md->bath[b].dof;
    out[GD_ENERGY_KINETIC] = e->kinetic;
    out[GD_ENERGY_POTENTIAL] = e->potential;
    out[GD_ENERGY_SPECIAL] = e->special;
    out[GD_ENERGY_COVALENT] = e->covalent;
    out[GD_ENERGY_BOND] = e->bond;
    out[GD_ENERGY_ANGLE] = e->angle;
    out[GD_ENERGY_IMPROPER] = e->improper;
    out[GD_ENERGY_DIHEDRAL] = e->dihedral;
    out[GD_ENERGY_CROSSDIHEDRAL] = e->crossdihedral;
    out[GD_ENERGY_NONBONDED] = e->nonbonded;
    out[GD_ENERGY_LJ] = e->lj;
    out[GD_ENERGY_COULOMB] = e->crf;
    out[GD_ENERGY_CONSTRAINT] = e->constraint;
    out[GD_ENERGY_POSITION_RESTRAINT] = e->position_restraint;
    out[GD_ENERGY_DISTANCE_RESTRAINT] = e->distance_restraint;
    out[GD_ENERGY_ANGLE_RESTRAINT] = e->angle_restraint;
    out[GD_ENERGY_DIHEDRAL_RESTRAINT] = e->dihedral_restraint;
    out[GD_ENERGY_JVALUE_RESTRAINT] = e->jvalue;
    out[GD_ENERGY_RESERVOIR] = md->reservoir.reported;
    out[GD_ENERGY_TEMPERATURE] = dof > 0.0 ? 2.0 * e->kinetic / md->top->boltzmann / dof : 0.0;
    out[GD_ENERGY_PRESSURE] = (md->pressure[0][0] + md->pressure[1][1] + md->pressure[2][2]) / 3.0;
    out[GD_ENERGY_VOLUME] = gd_box_volume(&md->old_box);
    out[GD_ENERGY_MASS] = md->total_mass;
    memcpy(out + GD_ENERGY_VIRIAL_TENSOR, md->report_virial, sizeof md->report_virial);
    memcpy(out + GD_ENERGY_KINETIC_TENSOR, md->report_kinetic, sizeof md->report_kinetic);
    memcpy(out + GD_ENERGY_PRESSURE_TENSOR, md->report_pressure, sizeof md->report_pressure);
    copy_baths(md, out);
    copy_groups(md, out);
}
