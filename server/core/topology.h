/* Topology: what atoms, terms and parameters exist. Plain arrays with counts, no positions.
 *
 * A topology is filled in three steps, by a file reader or from arrays:
 *   1. gd_topology_create, then gd_topology_resize for each table, then write the rows;
 *   2. gd_topology_expand(top, npm, nsm): repeats the solvent nsm times behind the solute, after which the per-atom
 *      tables, charge groups and molecules cover num_atoms atoms;
 *   3. gd_topology_check: indices, ranges and the consistency of groups; everything after it trusts the tables.
 *
 * Indices are 0-based everywhere; "last" of GROMOS blocks becomes "start": group g holds [start[g], start[g + 1]).
 * Units: nm, u, e, kJ/mol, degrees where GROMOS keeps degrees (stated at the field). Not thread-safe while being filled,
 * constant and shareable afterwards. */
#ifndef GD_CORE_TOPOLOGY_H
#define GD_CORE_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define GD_TOPOLOGY_MAGIC 0x67744f50u
#define GD_NAME_LEN 8 /* atom, residue and type names, NUL-terminated, truncated to 7 characters */

struct gd_name {
    char text[GD_NAME_LEN];
};

/* BONDSTRETCHTYPE: V = 1/4 CB (r^2 - b0^2)^2 quartic, or 1/2 CHB (r - b0)^2 harmonic. */
struct gd_bond_type {
    double quartic;  /* CB, kJ mol^-1 nm^-4 */
    double harmonic; /* CHB, kJ mol^-1 nm^-2 */
    double length;   /* b0, nm */
};

/* BONDANGLEBENDTYPE: V = 1/2 CT (cos t - cos t0)^2, or 1/2 CHT (t - t0)^2 with t in degrees. */
struct gd_angle_type {
    double cosine;   /* CT, kJ mol^-1 */
    double harmonic; /* CHT, kJ mol^-1 deg^-2 */
    double angle;    /* t0, degrees */
};

/* IMPDIHEDRALTYPE: V = 1/2 CQ (xi - xi0)^2, xi in degrees. */
struct gd_improper_type {
    double force; /* CQ, kJ mol^-1 deg^-2 */
    double angle; /* q0, degrees */
};

/* TORSDIHEDRALTYPE: V = CP (1 + cos(PD) cos(m phi)), or CP (1 + cos(m phi - PD)). */
struct gd_dihedral_type {
    double force; /* CP, kJ mol^-1 */
    double phase; /* PD, degrees */
    int32_t multiplicity;
    int32_t reserved;
};

/* One term: its atoms, its type (0-based), and whether it came from the ...H block (a hydrogen is involved). GROMOS
 * order is kept: the rows of the ...H block first, then the others. */
struct gd_bond {
    int32_t atom[2], type, hydrogen;
};
struct gd_angle {
    int32_t atom[3], type, hydrogen;
};
struct gd_dihedral { /* proper and improper */
    int32_t atom[4], type, hydrogen;
};
struct gd_cross_dihedral {
    int32_t atom[8], type, hydrogen; /* two dihedrals of four atoms; type is one of dihedral_types */
};

/* One pair of atom types (symmetric square matrix) or, for the exceptions, one pair of atoms. nm^12, nm^6 kJ mol^-1 */
struct gd_lj {
    double c12, c6;   /* normal */
    double cs12, cs6; /* third neighbours (1-4) */
};
struct gd_lj_exception {
    int32_t atom[2];
    double c12, c6;
};

/* A rigid solvent's distance, atoms counted within one molecule. */
struct gd_solvent_constraint {
    int32_t atom[2];
    double length;
};

/* What gd_topology_resize takes. */
enum gd_topology_table {
    GD_TOP_ATOM_TYPES, /* type_names and the lj and cg_lj matrices (n x n) */
    GD_TOP_RESIDUES,   /* residue_names */
    GD_TOP_ATOMS,      /* solute atoms: name, residue, type, mass, charge, charge_group_end, is_... */
    GD_TOP_EXCLUSIONS, /* exclusions */
    GD_TOP_ONE_FOURS,  /* one_fours */
    GD_TOP_BOND_TYPES,
    GD_TOP_BONDS,
    GD_TOP_ANGLE_TYPES,
    GD_TOP_ANGLES,
    GD_TOP_IMPROPER_TYPES,
    GD_TOP_IMPROPERS,
    GD_TOP_DIHEDRAL_TYPES,
    GD_TOP_DIHEDRALS,
    GD_TOP_CROSS_DIHEDRALS,
    GD_TOP_LJ_EXCEPTIONS,
    GD_TOP_CONSTRAINTS,
    GD_TOP_MOLECULES,          /* n molecules: molecule_start[n + 1] */
    GD_TOP_TEMPERATURE_GROUPS, /* temperature_group_start[n + 1] */
    GD_TOP_PRESSURE_GROUPS,    /* pressure_group_start[n + 1] */
    GD_TOP_SOLVENT_ATOMS,      /* solvent_name, _type, _mass, _charge */
    GD_TOP_SOLVENT_CONSTRAINTS,
    GD_TOP_TABLES,
};

struct gd_topology {
    uint32_t magic;
    char *title; /* may be NULL */

    /* PHYSICALCONSTANTS */
    double four_pi_eps_i;  /* 1/(4 pi eps0), kJ mol^-1 nm e^-2 */
    double hbar;           /* kJ mol^-1 ps */
    double speed_of_light; /* nm ps^-1 */
    double boltzmann;      /* kJ mol^-1 K^-1 */

    /* ATOMTYPENAME, LJPARAMETERS, CGPARAMETERS */
    size_t num_atom_types;
    struct gd_name *type_names; /* [num_atom_types] */
    struct gd_lj *lj;           /* [num_atom_types * num_atom_types], both triangles filled */
    struct gd_lj *cg_lj;        /* the same for coarse-grained interactions (only c12, c6) */
    int32_t has_lj, has_cg_lj;  /* whether the matrices were given */

    size_t num_residues; /* RESNAME */
    struct gd_name *residue_names;

    /* Atoms. Before gd_topology_expand: num_atoms == num_solute_atoms. After: solute, then solvent molecules; the
     * solvent's residue number counts on from num_residues, one per molecule. */
    size_t num_solute_atoms;
    size_t num_atoms;
    struct gd_name *name;      /* [num_atoms] */
    int32_t *residue;          /* [num_atoms] 0-based */
    int32_t *type;             /* [num_atoms] integer atom code, 0-based */
    double *mass;              /* [num_atoms] u */
    double *charge;            /* [num_atoms] e */
    uint8_t *charge_group_end; /* [num_atoms] 1 for the last atom of its charge group */
    uint8_t *is_coarse;        /* [num_atoms] 1 for coarse-grained particles */

    /* Charge groups, made from charge_group_end by gd_topology_expand: solute groups first; one per solvent molecule. */
    size_t num_solute_charge_groups;
    size_t num_charge_groups;
    int32_t *charge_group_start; /* [num_charge_groups + 1] */

    /* Solute exclusions and 1-4 neighbours: of atom i, the rows [start[i], start[i + 1]); each pair once, partner > i,
     * ascending. */
    size_t num_exclusions, num_one_fours;
    int32_t *exclusion_start; /* [num_solute_atoms + 1] */
    int32_t *exclusions;
    int32_t *one_four_start; /* [num_solute_atoms + 1] */
    int32_t *one_fours;

    size_t num_bond_types, num_bonds;
    struct gd_bond_type *bond_types;
    struct gd_bond *bonds;
    size_t num_angle_types, num_angles;
    struct gd_angle_type *angle_types;
    struct gd_angle *angles;
    size_t num_improper_types, num_impropers;
    struct gd_improper_type *improper_types;
    struct gd_dihedral *impropers;
    size_t num_dihedral_types, num_dihedrals;
    struct gd_dihedral_type *dihedral_types;
    struct gd_dihedral *dihedrals;
    size_t num_cross_dihedrals;
    struct gd_cross_dihedral *cross_dihedrals;
    size_t num_constraints; /* CONSTRAINT: distances that are rigid besides the bonds NTC names; hydrogen is 0 */
    struct gd_bond *constraints;
    size_t num_lj_exceptions;
    struct gd_lj_exception *lj_exceptions;

    /* SOLUTEMOLECULES, TEMPERATUREGROUPS, PRESSUREGROUPS; solute only before expansion, then one more per solvent
     * molecule. A block that a file leaves out: leave its count 0 and expansion takes the molecules (and, without
     * molecules, the whole solute as one). */
    size_t num_molecules, num_solute_molecules;
    int32_t *molecule_start;
    size_t num_temperature_groups, num_solute_temperature_groups;
    int32_t *temperature_group_start;
    size_t num_pressure_groups, num_solute_pressure_groups;
    int32_t *pressure_group_start;

    /* SOLVENTATOM, SOLVENTCONSTR: one molecule */
    size_t num_solvent_atoms; /* atoms per molecule */
    struct gd_name *solvent_name;
    int32_t *solvent_type;
    double *solvent_mass;
    double *solvent_charge;
    size_t num_solvent_constraints;
    struct gd_solvent_constraint *solvent_constraints;
    size_t num_solvent_molecules; /* set by gd_topology_expand */
    int32_t expanded;             /* set by gd_topology_expand */
};

/* An empty topology with the usual constants (138.9354, 0.0635078, 299792.458, 0.00831441). */
int gd_topology_create(struct gd_topology **out, struct gd_err *err);
void gd_topology_destroy(struct gd_topology **top);

/* Deep copy. */
int gd_topology_clone(struct gd_topology **out, const struct gd_topology *top, struct gd_err *err);

/* Bytes of its tables. */
size_t gd_topology_bytes(const struct gd_topology *top);

/* Gives a table exactly n rows; old rows are kept as far as they fit, new rows are zero. Resizing GD_TOP_ATOM_TYPES to a
 * different n discards the matrices. Only before expansion. GD_E_... when out of memory or n is absurd. */
int gd_topology_resize(struct gd_topology *top, enum gd_topology_table table, size_t n, struct gd_err *err);

int gd_topology_set_title(struct gd_topology *top, const char *title, struct gd_err *err);
void gd_name_set(struct gd_name *name, const char *text);

/* npm (0 or 1) solute copies and nsm solvent molecules. npm == 0 drops every solute table. Once per topology. */
int gd_topology_expand(struct gd_topology *top, int npm, size_t nsm, struct gd_err *err);

/* Every index within its table, masses positive, charge groups closed, group starts ascending and complete, exclusions
 * ordered, parameters finite. The text names the table, the row (1-based as in files) and the value. Only after
 * expansion. */
int gd_topology_check(const struct gd_topology *top, struct gd_err *err);

/* 1 when the solute pair (i, j) is excluded (1-4 pairs are not in this list). O(log exclusions of the lower atom). */
int gd_topology_excluded(const struct gd_topology *top, int32_t i, int32_t j);

/* Start of the solvent's atoms and molecule count are num_solute_atoms and num_solvent_molecules. */

#endif
