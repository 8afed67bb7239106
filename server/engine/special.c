/* Restraints in the order of GROMOS, and what they keep between steps. Contract: special.h. */
#include "engine/special.h"

#include <stdlib.h>

int gd_restraint_values_create(struct gd_restraint_values *values, size_t count, struct gd_err *err)
{
    values->count = count;
    int rc = gd_md_allocate((void **)&values->value, count, sizeof(double), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&values->energy, count, sizeof(double), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&values->average, count, sizeof(double), err);
    return rc;
}

static void values_destroy(struct gd_restraint_values *values)
{
    free(values->value);
    free(values->energy);
    free(values->average);
}

static void values_visit(struct gd_restraint_values *values, gd_state_visitor *visit, void *context)
{
    if (values->count == 0)
        return;
    visit(context, values->value, values->count * sizeof(double));
    visit(context, values->energy, values->count * sizeof(double));
    visit(context, values->average, values->count * sizeof(double));
}

int gd_special_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    md->special = calloc(1, sizeof *md->special);
    if (md->special == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for restraints");
    int rc = gd_position_restraints_create(md, conf, err);
    if (rc == 0)
        rc = gd_distance_restraints_create(md, conf, err);
    if (rc == 0)
        rc = gd_angle_restraints_create(md, err);
    if (rc == 0)
        rc = gd_dihedral_restraints_create(md, err);
    if (rc == 0)
        rc = gd_jvalue_restraints_create(md, conf, err);
    return rc;
}

void gd_special_destroy(struct gd_special **special)
{
    if (special == NULL || *special == NULL)
        return;
    values_destroy(&(*special)->distance);
    values_destroy(&(*special)->angle);
    values_destroy(&(*special)->dihedral);
    values_destroy(&(*special)->jvalue);
    free((*special)->jvalue_elevation);
    free(*special);
    *special = NULL;
}

int gd_special_forces(struct gd_md *md, struct gd_err *err)
{
    (void)err;
    gd_position_restraints_forces(md);
    gd_distance_restraints_forces(md);
    gd_angle_restraints_forces(md);
    gd_dihedral_restraints_forces(md);
    gd_jvalue_restraints_forces(md);
    return 0;
}

void gd_special_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    values_visit(&md->special->distance, visit, context);
    values_visit(&md->special->angle, visit, context);
    values_visit(&md->special->dihedral, visit, context);
    values_visit(&md->special->jvalue, visit, context);
    if (md->special->jvalue_grid > 0)
        visit(context, md->special->jvalue_elevation, md->special->jvalue.count * md->special->jvalue_grid * sizeof(double));
}

struct gd_md_restraint_report gd_md_restraint_report(const struct gd_md *md)
{
    const struct gd_special *s = md->special;
    return (struct gd_md_restraint_report){
        .num_distances = s->distance.count,
        .distance = s->distance.value,
        .distance_energy = s->distance.energy,
        .distance_average = s->distance.average,
        .num_angles = s->angle.count,
        .angle = s->angle.value,
        .angle_energy = s->angle.energy,
        .num_dihedrals = s->dihedral.count,
        .dihedral = s->dihedral.value,
        .dihedral_energy = s->dihedral.energy,
        .num_jvalues = s->jvalue.count,
        .jvalue = s->jvalue.value,
        .jvalue_average = s->jvalue.average,
        .jvalue_grid = s->jvalue_grid,
        .jvalue_elevation = s->jvalue_elevation,
    };
}
