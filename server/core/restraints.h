/* Restraint specifications as data: what the special input files of a GROMOS run say. Indices 0-based. Angles in degrees,
 * distances nm. Restraints on positions refer to reference positions, which come with this structure too (from the
 * file of reference positions, else from the start configuration). Not thread-safe. */
#ifndef GD_CORE_RESTRAINTS_H
#define GD_CORE_RESTRAINTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define GD_RESTRAINTS_MAGIC 0x67524553u

/* GROMOS virtual and pseudo atom types, the ICONS numbers. The geometry follows from up to four atoms. */
enum gd_virtual_type {
    GD_VA_EXPLICIT = 0,   /* the atom itself */
    GD_VA_CH1 = 1,        /* aliphatic CH1 */
    GD_VA_AROMATIC = 2,   /* aromatic CH */
    GD_VA_CH2 = 3,        /* non-stereospecific CH2 (pseudo site) */
    GD_VA_STEREO_CH2 = 4, /* stereospecific CH2 */
    GD_VA_CH3 = 5,        /* CH3 (pseudo site) */
    GD_VA_CH3_PAIR = 6,   /* two CH3 (Val, Leu) */
    GD_VA_RING_FLIP = 7,  /* (-CH3)3 or flipping ring, as md++ numbers it */
    GD_VA_COG = -1,       /* centre of geometry */
    GD_VA_COM = -2,       /* centre of mass */
};

struct gd_virtual_atom {
    int32_t type;  /* enum gd_virtual_type */
    int32_t count; /* atoms given (non-zero entries of the file) */
    int32_t atom[4];
};

struct gd_distance_restraint {
    struct gd_virtual_atom a, b;
    double r0;     /* nm */
    double weight; /* w0 */
    int32_t rah;   /* as in the file: kind -1/0/1 plus the dimension code (0, 10, 20, ... 60) */
    int32_t reserved;
};

struct gd_angle_restraint {
    int32_t atom[3];
    int32_t reserved;
    double weight;
    double angle; /* degrees */
};

struct gd_dihedral_restraint {
    int32_t atom[4];
    double weight;
    double angle; /* PDLR, degrees */
    double delta; /* DDLR, degrees: where the period is cut */
};

struct gd_jvalue_restraint {
    int32_t atom[4];
    double weight;         /* WJVR */
    double j0;             /* PJR0, Hz */
    double phase;          /* PSJR, degrees */
    double a, b, c;        /* Karplus, Hz */
    int32_t half_harmonic; /* H: 0 full, -1, 1 */
    int32_t reserved;
};

enum gd_restraint_table {
    GD_REST_POSITION_ATOMS,
    GD_REST_REFERENCE, /* reference_position and bfactor, one row per atom of the system */
    GD_REST_DISTANCES,
    GD_REST_ANGLES,
    GD_REST_DIHEDRALS,
    GD_REST_JVALUES,
};

struct gd_restraints {
    uint32_t magic;

    size_t num_position_atoms;
    int32_t *position_atom; /* POSRESSPEC: atoms, ascending */
    size_t num_reference;   /* 0: take the start configuration */
    double (*reference_position)[3];
    double *bfactor;     /* nm^2 */
    int32_t has_bfactor; /* a BFACTOR block was read */

    /* DISTANCERESSPEC */
    double dish, disc; /* carbon-hydrogen and carbon-carbon lengths of virtual atoms, nm (0.1, 0.153) */
    size_t num_distances;
    struct gd_distance_restraint *distances;

    size_t num_angles; /* ANGRESSPEC */
    struct gd_angle_restraint *angles;
    size_t num_dihedrals; /* DIHEDRALRESSPEC */
    struct gd_dihedral_restraint *dihedrals;
    size_t num_jvalues; /* JVALRESSPEC */
    struct gd_jvalue_restraint *jvalues;
};

int gd_restraints_create(struct gd_restraints **out, struct gd_err *err);
void gd_restraints_destroy(struct gd_restraints **res);
/* Deep copy. */
int gd_restraints_clone(struct gd_restraints **out, const struct gd_restraints *res, struct gd_err *err);
/* Exactly n rows, zeroed where new. */
int gd_restraints_resize(struct gd_restraints *res, enum gd_restraint_table table, size_t n, struct gd_err *err);
/* Every index below num_atoms, numbers finite, virtual types known with the atoms they need. */
int gd_restraints_check(const struct gd_restraints *res, size_t num_atoms, struct gd_err *err);

#endif
