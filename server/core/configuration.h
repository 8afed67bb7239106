/* Configuration: the dynamic variables of a run as data, what a GROMOS coordinate file holds. It is what a run starts
 * from and what it ends with. Units nm, ps, nm/ps. Plain arrays; optional ones are NULL when absent.
 * Not thread-safe. */
#ifndef GD_CORE_CONFIGURATION_H
#define GD_CORE_CONFIGURATION_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/topology.h"
#include "proto/gd_types.h"

#define GD_CONFIGURATION_MAGIC 0x67434f4eu

enum gd_configuration_part {                              /* optional arrays, for gd_configuration_add */
                             GD_CONF_VELOCITY = 0,        /* VELOCITY */
                             GD_CONF_LATTICE_SHIFT,       /* LATTICESHIFTS */
                             GD_CONF_STOCHASTIC_INTEGRAL, /* STOCHINT */
                             GD_CONF_REFERENCE_POSITION,  /* REFPOSITION */
                             GD_CONF_BFACTOR,             /* BFACTOR */
                             GD_CONF_LABELS,              /* the POSITION block's labels */
};

struct gd_atom_label {
    int32_t residue_number; /* as in the file, 1-based */
    struct gd_name residue, atom;
};

struct gd_configuration {
    uint32_t magic;
    char *title; /* may be NULL */
    size_t num_atoms;
    double (*position)[3];
    double (*velocity)[3];            /* NULL: none given */
    int32_t (*lattice_shift)[3];      /* boxes each atom was moved by, md++ sign */
    double (*stochastic_integral)[3]; /* nm, of the stochastic integrator */
    char *stochastic_seed;            /* text line of STOCHINT, the generator's state; may be NULL */
    double (*reference_position)[3];
    double *bfactor;              /* nm^2 */
    struct gd_atom_label *labels; /* NULL when built from arrays */

    struct gd_box box; /* vectors already rotated by euler */
    int32_t has_box;   /* 1: a GENBOX block was present; 2: the old BOX, which does not tell the kind of box */
    double euler[3];   /* phi, theta, psi of GENBOX, degrees as in the file */
    double origin[3];  /* GENBOX origin, nm */
    int32_t has_time;  /* a TIMESTEP block was present */
    int64_t step;
    double time;

    /* NHCVARIABLES: num_baths rows of chain_length zetas (ps^-1) */
    size_t nhc_baths, nhc_chain_length;
    double *nhc_zeta; /* [nhc_baths * nhc_chain_length] or NULL */

    /* ROTTRANSREFPOS: reference of the roto-translational constraints */
    int32_t has_rottrans;
    double rottrans_axis[3][3]; /* theta_inv_trans */
    double rottrans_theta_inv[3][3];
    size_t rottrans_atoms;
    double (*rottrans_reference)[3]; /* [rottrans_atoms] */

    /* DISRESEXPAVE and JVALUERESEXPAVE: exponentially averaged quantities in the order of the restraints */
    size_t num_distance_averages;
    double *distance_average; /* nm^-3 */
    size_t num_jvalue_averages;
    double *jvalue_average;       /* Hz */
    size_t num_jvalue_elevations; /* JVALUERESEPS: of each restraint its grid, Hz^2 (Hz^4) */
    double *jvalue_elevation;
};

/* positions zero, box vacuum, nothing else. num_atoms >= 0. */
int gd_configuration_create(struct gd_configuration **out, size_t num_atoms, struct gd_err *err);
void gd_configuration_destroy(struct gd_configuration **conf);

/* Deep copy. */
int gd_configuration_clone(struct gd_configuration **out, const struct gd_configuration *conf, struct gd_err *err);

/* Allocates the optional array (zeroed) when it is not there yet. */
int gd_configuration_add(struct gd_configuration *conf, enum gd_configuration_part part, struct gd_err *err);
int gd_configuration_set_title(struct gd_configuration *conf, const char *title, struct gd_err *err);
int gd_configuration_set_nhc(struct gd_configuration *conf, size_t baths, size_t chain_length, struct gd_err *err);
int gd_configuration_set_distance_averages(struct gd_configuration *conf, size_t n, struct gd_err *err);
int gd_configuration_set_jvalue_averages(struct gd_configuration *conf, size_t n, struct gd_err *err);
int gd_configuration_set_jvalue_elevations(struct gd_configuration *conf, size_t n, struct gd_err *err);
int gd_configuration_set_rottrans(struct gd_configuration *conf, size_t n, struct gd_err *err); /* allocates reference */

/* Finite numbers, and the box is a box. */
int gd_configuration_check(const struct gd_configuration *conf, struct gd_err *err);

#endif
