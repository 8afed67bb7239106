/* Distance constraints: lists and the algorithms that satisfy them. Each algorithm moves `pos` so that the distances hold,
 * along the directions of `old_pos`, and leaves the constraint forces (kJ mol^-1 nm^-1) and, for the atomic virial, their
 * virial behind. */
#ifndef GD_ENGINE_CONSTRAINTS_H
#define GD_ENGINE_CONSTRAINTS_H

#include "engine/md_internal.h"
#include "engine/settle.h"

struct gd_distance {
    int32_t atom[2];
    double length2; /* nm^2 */
};

struct gd_lincs;

struct gd_constraints {
    enum gd_constraint_algorithm solute, solvent; /* GD_CONSTRAINT_OFF when there is nothing to do */
    size_t num_distances;                         /* of the solute */
    struct gd_distance *distances;
    struct gd_bond *bonds; /* the same as bonds of the topology */
    size_t num_solvent;    /* distances of one solvent molecule, atoms counted within it */
    struct gd_distance *solvent_distances;
    size_t sites;
    double solute_tolerance, solvent_tolerance;
    int max_iterations;
    int angles, dihedrals;         /* angle and dihedral constraints take part */
    uint8_t *solute_constrained;   /* [solute atoms] */
    uint8_t *skip_now, *skip_next; /* [solute atoms] scratch of SHAKE */
    struct gd_lincs *lincs_solute, *lincs_solvent;
    double *lincs_scratch;
    double *flexible_velocity; /* [num_distances] nm/ps, change of the flexible lengths in the last step */
    gd_mat3 *thread_virial;    /* [threads] */
    gd_settle_kernel *settle;  /* where that is the solvent's algorithm */
    int *thread_failed;        /* [threads] first molecule that failed + 1, or 0 */
};

/* Flexible lengths of this step into `distances`, their energies, and how fast they change. */
int gd_flexible_create(struct gd_md *md, struct gd_err *err);
int gd_flexible_lengths(struct gd_md *md, struct gd_err *err);
void gd_flexible_reset(struct gd_md *md, double factor); /* multiplies how fast they change */

int gd_shake_solute(struct gd_md *md, struct gd_err *err);
/* Molecules [begin, end); the number of the first one that failed, or -1. */
int64_t gd_shake_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial);
int gd_settle_check(const struct gd_md *md, struct gd_err *err);
int gd_settle_choose(struct gd_constraints *constraints, struct gd_err *err); /* the kernel */
int64_t gd_settle_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial, int correct_velocity);
int gd_mshake_check(const struct gd_md *md, struct gd_err *err);
int64_t gd_mshake_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial);

/* One set of coupled constraints; `mass` of the first molecule's atoms when there are many. */
int gd_lincs_create(struct gd_lincs **out, const struct gd_distance *distances, size_t count, const double *mass, struct gd_err *err);
void gd_lincs_destroy(struct gd_lincs **lincs);
/* Atoms of the constraints counted from `first`. */
void gd_lincs_apply(struct gd_md *md, const struct gd_lincs *lincs, size_t first, int order, double *scratch);
size_t gd_lincs_scratch(const struct gd_lincs *lincs); /* doubles */

#endif
