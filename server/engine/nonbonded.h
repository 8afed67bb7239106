/* Nonbonded forces of the chargegroup scheme: structures shared by pair list, inner loops and excluded pairs.
 *
 * Pairs stand in rows. An atom row belongs to a solute atom (with the atomic cutoff: to any atom) and lists partner atoms; a
 * solvent row belongs to a solvent molecule and lists partner molecules, whose every site interacts with every site. Rows are
 * dealt to threads in contiguous ranges fixed at creation, so that the same thread adds the same pairs in the same order in
 * every run. Long-range rows act once per list update; their forces are kept and added in every step. */
#ifndef GD_ENGINE_NONBONDED_H
#define GD_ENGINE_NONBONDED_H

#include "engine/md_internal.h"

struct gd_pair_rows {
    int32_t *start; /* [rows + 1] offsets into list */
    int32_t *list;
    size_t capacity;
};

struct gd_pair_sums {
    gd_vec3 *force;   /* [n] */
    double *lj, *crf; /* [groups * groups], row: group of the row's atom */
    gd_mat3 virial;
};

struct gd_nonbonded_thread {
    /* Solute charge groups [group_begin, group_end) and their atoms; with the atomic cutoff atoms directly. */
    size_t group_begin, group_end;
    size_t atom_begin, atom_end;
    size_t molecule_begin, molecule_end; /* solvent molecules */
    struct gd_pair_rows atom_short, atom_long, solvent_short, solvent_long;
    int32_t *scratch_short, *scratch_long; /* [charge groups] candidates of one row */
    struct gd_pair_sums near, far;         /* this step's, and those kept from the last list update */
    int failed;                            /* a list could not grow */
};

/* E = q (1/r - two_cut3i r^2 - cut), F/r = q (1/r^3 + cut3i) */
struct gd_reaction_field {
    double cut3i, two_cut3i, cut;
};

/* r^-a shifted to zero at the cutoff with its first two derivatives: 1/r^a - A/3 r^3 - B/4 r^4 - C */
struct gd_shift {
    double a, b, c;
};

struct gd_cluster_pairs;

/* Pairs of rows in one precision. */
typedef void gd_inner_rows(const struct gd_md *md, const struct gd_nonbonded_thread *thread, const struct gd_pair_rows *rows,
                           struct gd_pair_sums *sums);

enum gd_pair_form { GD_FORM_LJ_RF, GD_FORM_SHIFTED };

struct gd_cell_grid {
    int cells[3];
    size_t num_cells;
    size_t capacity;
    int32_t *start;  /* [capacity + 1] */
    int32_t *member; /* [charge groups or atoms] */
    int32_t *cell;   /* [charge groups or atoms] */
    int in_use;
};

struct gd_nonbonded {
    enum gd_pair_form form;
    struct gd_reaction_field rf;
    struct gd_shift shift12, shift6, shift1;
    double shift_eps;
    size_t num_types, num_groups;
    struct gd_lj *lj; /* [types * types], zero when van der Waals terms are off */
    double *charge;   /* [n], zero when electrostatics are off */
    double four_pi_eps;
    int with_virial;
    int excluded_rf;
    int atomic;                              /* atomic cutoff */
    gd_inner_rows *atom_rows, *solvent_rows; /* of the precision asked for */
    double cutoff_short2, cutoff_long2;
    int verlet;       /* scheme verlet: one cutoff, a list with a buffer (nonbonded_verlet.c) */
    int use_clusters; /* by cluster pairs; 0: by the reference rows */
    struct gd_cluster_pairs *clusters;
    double cutoff, list_radius, prune_room;
    double shift_r6, shift_r12; /* cutoff^-6, cutoff^-12 */

    size_t num_points; /* what the list is built from: charge groups, or atoms */
    gd_vec3 *centre;   /* [num_points] */
    struct gd_cell_grid grid;

    /* One solvent molecule */
    size_t sites;
    double *site_c6, *site_c12, *site_qq; /* [sites * sites]; qq with 1/(4 pi eps0) */
    double site_extent;                   /* no site is farther from the first one, nm; < 0 unknown */
    int solvent_one_group;

    int energies_missing; /* the last forces came without energies of cluster pairs */
    int valid;            /* the list belongs to this run's positions */
    gd_vec3 *list_pos;    /* [n] positions the list was built from */
    struct gd_box list_box;
    size_t num_threads;
    struct gd_nonbonded_thread *thread;
};

/* nonbonded_pairlist.c */
int gd_pairlist_create(struct gd_md *md, struct gd_err *err);
void gd_pairlist_destroy(struct gd_nonbonded *nb);
int gd_pairlist_update(struct gd_md *md, struct gd_err *err); /* from md->pos */

/* nonbonded_grid.c: cells of at least half the cutoff; in_use 0 when the box is too small or its shape has none */
int gd_cell_grid_create(struct gd_cell_grid *grid, size_t points, struct gd_err *err);
void gd_cell_grid_destroy(struct gd_cell_grid *grid);
void gd_cell_grid_fill(struct gd_cell_grid *grid, const struct gd_periodicity *pbc, const gd_vec3 *point, size_t points, double cutoff);

/* nonbonded_inner.c and nonbonded_inner_f32.c: the pairs of one thread's rows into sums */
gd_inner_rows gd_inner_atom_rows_f32, gd_inner_solvent_rows_f32;
void gd_inner_atom_rows(const struct gd_md *md, const struct gd_nonbonded_thread *thread, const struct gd_pair_rows *rows,
                        struct gd_pair_sums *sums);
void gd_inner_solvent_rows(const struct gd_md *md, const struct gd_nonbonded_thread *thread, const struct gd_pair_rows *rows,
                           struct gd_pair_sums *sums);

/* nonbonded_verlet.c: prepare after the other parameters; list_holds: the list still has every pair within the cutoff */
int gd_verlet_check(const struct gd_md *md, struct gd_err *err);
void gd_verlet_prepare(struct gd_md *md);
int gd_verlet_list_holds(const struct gd_md *md);
/* The map that takes the list's box to the present one; returns a lower bound of what it does to any length, and 1 (map
 * untouched) when the box is the same. */
double gd_verlet_box_map(const struct gd_md *md, gd_mat3 map);
void gd_verlet_rows(const struct gd_md *md, const struct gd_nonbonded_thread *thread, struct gd_pair_sums *sums);

/* reaction_field.c */
struct gd_reaction_field gd_reaction_field_constants(double epsilon_rf, double kappa, double cutoff);
void gd_reaction_field_excluded_solute(const struct gd_md *md, struct gd_pair_sums *sums);
void gd_reaction_field_excluded_solvent(const struct gd_md *md, const struct gd_nonbonded_thread *thread, struct gd_pair_sums *sums);

/* nonbonded_pairs.c: third neighbours and exceptions */
void gd_nonbonded_one_four(const struct gd_md *md, struct gd_pair_sums *sums);
void gd_nonbonded_exceptions(const struct gd_md *md, struct gd_pair_sums *sums);

/* xx yy zz xy xz yz of r f of one pair. */
static inline __attribute__((always_inline)) void gd_pair_virial(double v[6], const double r[3], const double f[3])
{
    v[0] += r[0] * f[0];
    v[1] += r[1] * f[1];
    v[2] += r[2] * f[2];
    v[3] += r[0] * f[1];
    v[4] += r[0] * f[2];
    v[5] += r[1] * f[2];
}

/* A pair force lies along its distance: the tensor is symmetric. */
static inline void gd_pair_virial_spread(const double v[6], gd_mat3 out)
{
    for (int d = 0; d < 3; d++)
        out[d][d] += v[d];
    out[0][1] += v[3];
    out[1][0] += v[3];
    out[0][2] += v[4];
    out[2][0] += v[4];
    out[1][2] += v[5];
    out[2][1] += v[5];
}

/* Energy and force over distance of one pair. */
static inline __attribute__((always_inline)) void gd_pair_lj_rf(const struct gd_reaction_field *rf, double r2, double c6, double c12,
                                                                double qq, double *f, double *lj, double *crf)
{
    double r2i = 1.0 / r2;
    double r6i = r2i * r2i * r2i;
    double ri = sqrt(r2i);
    double c12_r6 = c12 * r6i;
    *lj = (c12_r6 - c6) * r6i;
    *crf = qq * (ri - rf->two_cut3i * r2 - rf->cut);
    *f = (c12_r6 + c12_r6 - c6) * 6.0 * r6i * r2i + qq * (ri * r2i + rf->cut3i);
}

/* Source: Marrink et al. 2007, the shifted potential of GROMACS with the shift from 0 (van der Spoel et al. manual). */
static inline void gd_pair_shifted(const struct gd_nonbonded *nb, double r2, double c6, double c12, double qq, double *f, double *lj,
                                   double *crf)
{
    double r = sqrt(r2), ri = 1.0 / r, r2i = ri * ri, r6i = r2i * r2i * r2i;
    double r3 = r * r2, r4 = r2 * r2;
    qq /= nb->shift_eps;
    *lj = c12 * (r6i * r6i - nb->shift12.a / 3.0 * r3 - nb->shift12.b / 4.0 * r4 - nb->shift12.c) -
          c6 * (r6i - nb->shift6.a / 3.0 * r3 - nb->shift6.b / 4.0 * r4 - nb->shift6.c);
    *crf = qq * (ri - nb->shift1.a / 3.0 * r3 - nb->shift1.b / 4.0 * r4 - nb->shift1.c);
    double slope = c12 * (12.0 * r6i * r6i * ri + nb->shift12.a * r2 + nb->shift12.b * r3) -
                   c6 * (6.0 * r6i * ri + nb->shift6.a * r2 + nb->shift6.b * r3) + qq * (r2i + nb->shift1.a * r2 + nb->shift1.b * r3);
    *f = slope * ri;
}

#endif
