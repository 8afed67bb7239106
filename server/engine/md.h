/* Molecular dynamics on one system: GROMOS physics. Precision float32 means that pairs within the cutoff are worked out in
 * single precision; everything else is in double always.
 *
 * gd_md_create copies what it is given and prepares the start (gathers charge groups, generates and constrains velocities as
 * INITIALISE says). gd_md_step advances by one step. As in GROMOS, step n computes the forces at positions n and moves on:
 * afterwards gd_md_positions and gd_md_velocities are those of step n + 1 (velocities half a step earlier), while energies,
 * forces, pressure and gd_md_previous_positions belong to step n. With velocity Verlet the velocities are those of step n + 1
 * itself; restraint reports then already are those of step n + 1.
 *
 * No sockets, no files, no globals. One caller at a time per object; different objects are independent. A step allocates
 * nothing (pair lists grow, rarely, when a system condenses). Same input, same thread count: the same bits; with the scheme
 * verlet on the same kind of processor (GROMOSD_CPU restrains the choice of its kernel). */
#ifndef GD_ENGINE_MD_H
#define GD_ENGINE_MD_H

#include <stddef.h>
#include <stdint.h>

#include "core/configuration.h"
#include "core/err.h"
#include "core/parameters.h"
#include "core/restraints.h"
#include "core/topology.h"
#include "proto/gd_types.h"

struct gd_md;

/* Energies of the last step in kJ/mol. Arrays belong to the gd_md. Pair (i, j) of energy groups stands at
 * [min * num_groups + max]; the half below the diagonal is zero. */
struct gd_md_energies {
    double total, kinetic, potential, special;
    double covalent, bond, angle, improper, dihedral, crossdihedral;
    double nonbonded, lj, crf;
    double constraint, position_restraint, distance_restraint, angle_restraint, dihedral_restraint, jvalue;
    size_t num_groups, num_baths;
    double *bath_kinetic, *bath_com, *bath_internal;                                          /* [num_baths] */
    double *group_bond, *group_angle, *group_improper, *group_dihedral, *group_crossdihedral; /* [num_groups] */
    double *group_constraint, *group_position, *group_distance, *group_angle_restraint, *group_dihedral_restraint,
        *group_jvalue;          /* [num_groups] */
    double *pair_lj, *pair_crf; /* [num_groups * num_groups] */
};

/* A temperature bath. Temperatures in K are 2 E / (kB dof) of the last step's kinetic energies. */
struct gd_md_bath {
    double reference, tau; /* K, ps (-1: not coupled) */
    double dof, com_dof, internal_dof;
    double scale;                  /* last factor on the velocities */
    double kinetic_new;            /* kinetic energy of the half step ahead, what coupling looks at */
    double zeta[GD_MAX_NHC_CHAIN]; /* Nose-Hoover variables, ps^-1 */
};

/* restraints may be NULL. threads >= 1. The configuration must have as many atoms as the expanded topology.
 * GD_E_INVALID_ARGUMENT, GD_E_UNSUPPORTED (names block and value), GD_E_INVALID_SHAPE, GD_E_OUT_OF_MEMORY. */
int gd_md_create(struct gd_md **out, const struct gd_topology *topology, const struct gd_parameters *parameters,
                 const struct gd_configuration *configuration, const struct gd_restraints *restraints, int threads, struct gd_err *err);
void gd_md_destroy(struct gd_md **md);

/* One step. GD_E_SIMULATION_FAILED names the step and the atoms (NaN, constraint failure, box too small); positions, velocities
 * and box are then those before the step. */
int gd_md_step(struct gd_md *md, struct gd_err *err);

/* Whether the energies of the steps to come will be looked at (1 from the start). Where they are not, the pairs' are left out
 * of a step, and worked out, the same to the last bit, should somebody ask for them (gd_md_energies, gd_md_energy_vector,
 * gd_md_save_state) before the next step. With the scheme verlet and leap-frog; elsewhere it changes nothing. */
void gd_md_want_energies(struct gd_md *md, int wanted);

/* Forces and energies at the current positions without moving anything. */
int gd_md_single_point(struct gd_md *md, struct gd_err *err);

/* 1 when a minimiser has converged; nothing more will change. */
int gd_md_converged(const struct gd_md *md);

size_t gd_md_num_atoms(const struct gd_md *md);
/* Messages that name a step count from this number (0 unless told): that of the State whose run this is. */
void gd_md_name_steps_from(struct gd_md *md, int64_t number);
int64_t gd_md_step_number(const struct gd_md *md); /* of the current positions, counted from the start of this run */
double gd_md_time(const struct gd_md *md);         /* ps, of the current positions */
const struct gd_topology *gd_md_topology(const struct gd_md *md);
const struct gd_parameters *gd_md_parameters(const struct gd_md *md);

/* (n, 3) C-contiguous. The pointers change from step to step: ask again. */
const double (*gd_md_positions(const struct gd_md *md))[3];
const double (*gd_md_velocities(const struct gd_md *md))[3];
const double (*gd_md_previous_positions(const struct gd_md *md))[3];
const double (*gd_md_previous_velocities(const struct gd_md *md))[3];
const double (*gd_md_forces(const struct gd_md *md))[3];
const double (*gd_md_constraint_forces(const struct gd_md *md))[3];
const int32_t (*gd_md_lattice_shifts(const struct gd_md *md))[3];
const struct gd_box *gd_md_box(const struct gd_md *md);
const struct gd_box *gd_md_previous_box(const struct gd_md *md);

/* Replaces positions, velocities or box from outside, between steps; NULL leaves as is. The next step rebuilds its pair
 * list. */
int gd_md_set_state(struct gd_md *md, const double (*positions)[3], const double (*velocities)[3], const struct gd_box *box,
                    struct gd_err *err);

const struct gd_md_energies *gd_md_energies(const struct gd_md *md);
size_t gd_md_num_baths(const struct gd_md *md);
const struct gd_md_bath *gd_md_bath(const struct gd_md *md, size_t index);
double gd_md_bath_temperature(const struct gd_md *md, size_t index, int part); /* part 0 all, 1 centres of mass, 2 rest */
double gd_md_volume(const struct gd_md *md);                                   /* nm^3, of the last step's box */
/* Tensors; of a truncated octahedron in the frame of its triclinic cell (a along x, b in the xy plane), as GROMOS has them. */
const double (*gd_md_pressure(const struct gd_md *md))[3];       /* 3x3, kJ mol^-1 nm^-3 */
const double (*gd_md_virial(const struct gd_md *md))[3];         /* 3x3, -1/2 sum r x f, kJ/mol */
const double (*gd_md_kinetic_tensor(const struct gd_md *md))[3]; /* 3x3, kJ/mol */
double gd_md_mass(const struct gd_md *md);                       /* u */
/* The last step's numbers as the State's vector of proto/gd_energies.h; out has gd_energies_count(baths, groups). */
void gd_md_energy_vector(const struct gd_md *md, double *out);

/* Distances, averages and energies of the restraints of the last step, in the order of their specification; NULL when there
 * are none. */
struct gd_md_restraint_report {
    size_t num_distances;
    const double *distance, *distance_energy, *distance_average; /* average: r^-3 mean, nm^-3 */
    size_t num_angles;
    const double *angle, *angle_energy; /* degrees */
    size_t num_dihedrals;
    const double *dihedral, *dihedral_energy; /* degrees */
    size_t num_jvalues;
    const double *jvalue, *jvalue_average; /* Hz */
    size_t jvalue_grid;                    /* points of local elevation; 0: none */
    const double *jvalue_elevation;        /* [num_jvalues][jvalue_grid] */
};
struct gd_md_restraint_report gd_md_restraint_report(const struct gd_md *md);

/* The current state as a configuration a file can hold; charge groups gathered into the box. The caller destroys it. */
int gd_md_get_configuration(const struct gd_md *md, struct gd_configuration **out, struct gd_err *err);

/* Live changes, between steps. */
int gd_md_set_bath(struct gd_md *md, size_t index, double temperature, double tau, struct gd_err *err);
int gd_md_set_pressure(struct gd_md *md, const double reference[3][3], double tau, struct gd_err *err);

/* The complete state as bytes: after gd_md_load_state into an object created from the same topology, parameters and
 * restraints with as many threads, the run continues bit for bit. */
size_t gd_md_state_size(const struct gd_md *md);
void gd_md_save_state(const struct gd_md *md, void *buffer);                                 /* gd_md_state_size bytes */
int gd_md_load_state(struct gd_md *md, const void *buffer, size_t size, struct gd_err *err); /* GD_E_CORRUPT_DATA */

/* What gd_md_create and the steps after it will take of memory, and the bytes of a saved state: at least that, at most some two times
 * it (md_memory.c). topology: expanded. */
struct gd_md_memory {
    size_t engine, state;
};
struct gd_md_memory gd_md_memory(const struct gd_topology *topology, const struct gd_parameters *parameters,
                                 const struct gd_configuration *start, int threads);

/* Seconds spent in each phase since creation, for benchmarks. */
enum gd_md_phase { GD_MD_PAIRLIST, GD_MD_NONBONDED, GD_MD_BONDED, GD_MD_CONSTRAINTS, GD_MD_INTEGRATION, GD_MD_OTHER, GD_MD_PHASES };
double gd_md_phase_seconds(const struct gd_md *md, enum gd_md_phase phase);
const char *gd_md_phase_name(enum gd_md_phase phase);

#endif
