/* One frame of an energy trajectory (.tre): the blocks TIMESTEP, ENERGY03 and VOLUMEPRESSURE03 as data.
 * Energies kJ/mol, temperatures K, volume nm^3, pressure and virial kJ mol^-1 nm^-3 and kJ/mol as the original prints them. */
#ifndef GD_IO_ENERGY_FRAME_H
#define GD_IO_ENERGY_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "proto/gd_types.h"

#define GD_ENERGY_TOTALS 52
#define GD_ENERGY_MAX_GROUPS 4096 /* energy groups or baths in a file */

/* Rows of "# totals" that are known by name; the others belong to methods not done here and are zero. */
enum gd_energy_total {
    GD_ENE_TOTAL = 0,
    GD_ENE_KINETIC = 1,
    GD_ENE_POTENTIAL = 2,
    GD_ENE_COVALENT = 3,
    GD_ENE_BOND = 4,
    GD_ENE_ANGLE = 5,
    GD_ENE_IMPROPER = 6,
    GD_ENE_DIHEDRAL = 7,
    GD_ENE_CROSS_DIHEDRAL = 8,
    GD_ENE_NONBONDED = 9,
    GD_ENE_LJ = 10,
    GD_ENE_COULOMB = 11,
    GD_ENE_SPECIAL = 20,
    GD_ENE_CONSTRAINT = 23,
    GD_ENE_DISTANCE_RESTRAINT = 24,
    GD_ENE_DIHEDRAL_RESTRAINT = 26,
    GD_ENE_POSITION_RESTRAINT = 27,
    GD_ENE_JVALUE_RESTRAINT = 28,
    GD_ENE_ANGLE_RESTRAINT = 43,
    GD_ENE_EDS_VR = 46,        /* equal to the total without enveloping distribution sampling */
    GD_ENE_EDS_REFERENCE = 47, /* likewise */
};

/* Columns of "# special", per group. */
enum gd_energy_special {
    GD_ENE_SPECIAL_CONSTRAINT = 0,
    GD_ENE_SPECIAL_POSITION = 1,
    GD_ENE_SPECIAL_DISTANCE = 2,
    GD_ENE_SPECIAL_ANGLE = 4,
    GD_ENE_SPECIAL_DIHEDRAL = 5,
    GD_ENE_SPECIAL_JVALUE = 8,
};

struct gd_energy_frame {
    int64_t step;
    double time;
    double total[GD_ENERGY_TOTALS];
    size_t num_baths;
    double (*bath)[3]; /* kinetic, of the centres of mass, internal and rotational */
    size_t num_groups;
    double (*bonded)[5];    /* bond, angle, improper, dihedral, cross dihedral */
    double (*nonbonded)[6]; /* [num_pairs]: LJ, Coulomb, lattice-sum real, k-space, a-term, pair; see gd_energy_pair */
    double (*special)[13];  /* enum gd_energy_special */
    double accelerated[5];  /* the one line of "# gamd" */
    double ab_dihedral[2];  /* "# ABdih" */
    int32_t has_volume;     /* the block VOLUMEPRESSURE03 is there */
    double mass;
    double (*bath_temperature)[4]; /* of all, centres of mass, internal and rotational; scaling factor */
    double volume;
    double box[3][3]; /* rows a, b, c */
    double pressure, virial, molecular_kinetic;
    double pressure_tensor[3][3], virial_tensor[3][3], molecular_kinetic_tensor[3][3];
};

/* Zeroed, with its arrays. Limits GD_ENERGY_MAX_GROUPS. */
int gd_energy_frame_create(struct gd_energy_frame **out, size_t num_baths, size_t num_groups, struct gd_err *err);
void gd_energy_frame_destroy(struct gd_energy_frame **frame);

/* num_groups (num_groups + 1) / 2, and the row of the pair (i, j), i <= j, in the file's order. */
size_t gd_energy_num_pairs(size_t num_groups);
size_t gd_energy_pair(size_t num_groups, size_t i, size_t j);

/* box and volume. A truncated octahedron appears as the triclinic cell that the original computes in. */
void gd_energy_frame_set_box(struct gd_energy_frame *frame, const struct gd_box *box);

#endif
