/* Energy minimisers: what steepest descent and conjugate gradients share. */
#ifndef GD_ENGINE_MINIMISE_H
#define GD_ENGINE_MINIMISE_H

#include "engine/md_internal.h"

struct gd_minimisation {
    int converged;
    double step_size;       /* nm */
    double previous_energy; /* potential and special, of the step before */
    /* Conjugate gradients */
    int has_previous;
    double minimum;                          /* multiple of the search direction that the last step went */
    double direction2;                       /* squared length of the search direction */
    gd_vec3 *direction, *previous_direction; /* [n] */
    gd_vec3 *force;                          /* [n] of the step before, constrained */
    gd_vec3 *start_force;                    /* [n] of this step's start */
    gd_vec3 *scratch;                        /* [n] */
    double *energy_numbers;                  /* of this step's start */
};

/* Largest force allowed (FLIM), applied to md->force. */
void gd_minimise_limit_force(struct gd_md *md);
double gd_minimise_energy(const struct gd_md *md);

/* Each moves pos; `converged` ends it. minimise_steepest.c, minimise_conjugate.c */
int gd_minimise_steepest_step(struct gd_md *md, struct gd_err *err);
int gd_minimise_conjugate_create(struct gd_md *md, struct gd_err *err);
int gd_minimise_conjugate_step(struct gd_md *md, struct gd_err *err);

#endif
