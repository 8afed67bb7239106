/* Restraints: everything that acts besides the force field. One module per kind; special.c calls them in order. */
#ifndef GD_ENGINE_SPECIAL_H
#define GD_ENGINE_SPECIAL_H

#include "engine/md_internal.h"

/* Per restraint: the value and energy of the last step, and the running average of time-averaged kinds. */
struct gd_restraint_values {
    size_t count;
    double *value, *energy, *average;
};

struct gd_special {
    struct gd_restraint_values distance, angle, dihedral, jvalue;
    size_t jvalue_grid;       /* 0: no local elevation */
    double *jvalue_elevation; /* [jvalue.count][jvalue_grid] */
};

/* position_restraints.c */
int gd_position_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_position_restraints_forces(struct gd_md *md);

/* virtual_atoms.c: where a virtual or pseudo atom is, and its force spread over the atoms it is made of */
void gd_virtual_atom_position(const struct gd_md *md, const struct gd_virtual_atom *v, double out[3]);
void gd_virtual_atom_force(struct gd_md *md, const struct gd_virtual_atom *v, const double force[3]);

/* distance_restraints.c, angle_restraints.c, dihedral_restraints.c, jvalue_restraints.c */
int gd_distance_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_distance_restraints_forces(struct gd_md *md);
int gd_angle_restraints_create(struct gd_md *md, struct gd_err *err);
void gd_angle_restraints_forces(struct gd_md *md);
int gd_dihedral_restraints_create(struct gd_md *md, struct gd_err *err);
void gd_dihedral_restraints_forces(struct gd_md *md);
int gd_jvalue_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_jvalue_restraints_forces(struct gd_md *md);

int gd_restraint_values_create(struct gd_restraint_values *values, size_t count, struct gd_err *err);

#endif
