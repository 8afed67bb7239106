/* What commands compute on a State: the kernel table behind functions that take arrays of either precision, check what a
 * client can get wrong, and combine kernels into results.
 *
 * The caller has checked: array lengths, that coordinates are finite, and that indices are in range (gd_compute_check_*
 * below do the latter two). Everything else that a client can cause is an error here; outputs are untouched then.
 * Reentrant; two calls may work on the same array if both only read it.
 *
 * Units: nm, ps, u, kJ/mol, K. */
#ifndef GD_KERNELS_COMPUTE_H
#define GD_KERNELS_COMPUTE_H

#include "core/err.h"
#include "kernels/kernels.h"

/* The Boltzmann constant (times Avogadro's number), kJ mol^-1 K^-1: exact in the SI of 2019. A topology that carries its
 * own value is used instead where one is there. */
#define GD_BOLTZMANN 0.00831446261815324

/* Rows of a packed (num_atoms, 3) array: all of them, or a selection (may repeat an atom). */
struct gd_view {
    enum gd_dtype dtype;
    void *data;           /* const for every function that only reads */
    size_t num_atoms;     /* rows of data */
    const int32_t *atoms; /* NULL: all rows */
    size_t count;         /* length of atoms; num_atoms when atoms is NULL */
};

static inline struct gd_view gd_view_all(enum gd_dtype dtype, const void *data, size_t num_atoms)
{
    struct gd_view view = {dtype, (void *)data, num_atoms, NULL, num_atoms};
    return view;
}

static inline struct gd_view gd_view_of(enum gd_dtype dtype, const void *data, size_t num_atoms, const int32_t *atoms, size_t count)
{
    struct gd_view view = {dtype, (void *)data, num_atoms, atoms, atoms != NULL ? count : num_atoms};
    return view;
}

/* ---- checks of what comes in ---- */

/* GD_E_NOT_FINITE naming `what`, row and component of the first bad value of a (rows, columns) array. */
int gd_compute_check_finite(const struct gd_kernels *k, enum gd_dtype dtype, const void *values, size_t rows, size_t columns,
                            const char *what, struct gd_err *err);

/* GD_E_INDEX_OUT_OF_RANGE naming `what`, position and value of the first index outside 0 .. limit - 1. */
int gd_compute_check_indices(const struct gd_kernels *k, const int32_t *indices, size_t count, size_t limit, const char *what,
                             struct gd_err *err);

/* The error of gd_compute_check_indices for an index found at this place. */
int gd_compute_bad_index(size_t place, int32_t index, size_t limit, const char *what, struct gd_err *err);

/* GD_E_INVALID_ARGUMENT unless starts[0..num_molecules] rises strictly from 0 to num_atoms. */
int gd_compute_check_molecules(const int32_t *starts, size_t num_molecules, size_t num_atoms, struct gd_err *err);

/* Element copy between dtypes (or a plain copy); no overlap. */
void gd_compute_convert(const struct gd_kernels *k, enum gd_dtype to_dtype, void *to, enum gd_dtype from_dtype, const void *from,
                        size_t count);

/* ---- reductions: GD_E_INVALID_ARGUMENT when nothing is selected, or the selected mass is not positive ---- */

int gd_compute_center_of_geometry(const struct gd_kernels *k, struct gd_view x, double out[3], struct gd_err *err);
int gd_compute_center_of_mass(const struct gd_kernels *k, struct gd_view x, const double *masses, double out[3], struct gd_err *err);
/* About the centre of mass (of geometry when masses is NULL): sqrt(sum m |x - c|^2 / sum m). */
int gd_compute_radius_of_gyration(const struct gd_kernels *k, struct gd_view x, const double *masses, double *out, struct gd_err *err);
int gd_compute_bounds(const struct gd_kernels *k, struct gd_view x, double min[3], double max[3], struct gd_err *err);
/* Sum over the rows; zero for no rows. */
void gd_compute_sum(const struct gd_kernels *k, struct gd_view x, double out[3]);
/* |x| of each selected row, out (count,) in the view's dtype. */
void gd_compute_norms(const struct gd_kernels *k, struct gd_view x, void *out);

/* sum m v^2 / 2, kJ/mol; zero for no rows. */
double gd_compute_kinetic_energy(const struct gd_kernels *k, struct gd_view v, const double *masses);
/* sum m v v / 2, kJ/mol; the trace is the kinetic energy. */
void gd_compute_kinetic_tensor(const struct gd_kernels *k, struct gd_view v, const double *masses, double out[3][3]);
/* 2 E / (dof kB), K. GD_E_INVALID_ARGUMENT unless dof > 0 and boltzmann > 0. */
int gd_compute_temperature(double kinetic_energy, double dof, double boltzmann, double *out, struct gd_err *err);

/* ---- maps: change the selected rows in place; an atom listed twice is moved twice ---- */

void gd_compute_translate(const struct gd_kernels *k, struct gd_view x, const double shift[3]);
void gd_compute_rotate(const struct gd_kernels *k, struct gd_view x, const double m[3][3], const double about[3]);
void gd_compute_scale(const struct gd_kernels *k, struct gd_view x, const double factor[3], const double about[3]);
/* Cells: see wrap in kernel_set.h. Vacuum: nothing moves. Errors of gd_box_check. */
int gd_compute_wrap(const struct gd_kernels *k, struct gd_view x, const struct gd_box *box, struct gd_err *err);
/* Whole molecules. Rows starts[m] .. starts[m+1] - 1 are molecule m. Each atom is put at the image nearest to the atom
 * before it, so that a molecule cut by the boundary becomes whole; then the molecule is shifted by box vectors so that
 * its centre of geometry lies in the cell. The view's selection is ignored: all rows move. A molecule in which two
 * successive atoms are more than half a box apart is put together differently from what its bonds say. */
int gd_compute_wrap_molecules(const struct gd_kernels *k, struct gd_view x, const int32_t *starts, size_t num_molecules,
                              const struct gd_box *box, struct gd_err *err);

/* Subtracts the centre-of-mass velocity of the selected rows; `removed` (may be NULL) receives it. Needs a positive mass. */
int gd_compute_remove_com_motion(const struct gd_kernels *k, struct gd_view v, const double *masses, double removed[3], struct gd_err *err);

/* Maxwell-Boltzmann velocities: each component normal with variance kB T / m; rows without mass get zero. The numbers
 * depend on (seed, row index) alone: not on the kernel variant, the selection, the dtype beyond rounding, or the machine.
 * Generator: Philox 4x32-10 (Salmon et al., SC11) keyed by the seed, counter = (row, draw), polar method.
 * GD_E_INVALID_ARGUMENT unless temperature >= 0 and boltzmann > 0. Remove the centre-of-mass motion separately. */
int gd_compute_maxwell_velocities(const struct gd_kernels *k, struct gd_view v, const double *masses, double temperature, double boltzmann,
                                  uint64_t seed, struct gd_err *err);

/* ---- superposition ---- */

/* x' = rotation (x - center_x) + center_y lies best on y. */
struct gd_fit {
    double rotation[3][3]; /* row-major, proper (determinant +1) */
    double center_x[3];
    double center_y[3];
    double rmsd; /* after the fit, nm */
};

/* Best superposition of the selected rows of x on those of y (same dtype and count; each with its own selection, row k on
 * row k). weights: one per row of x->data, NULL for all one; they need a positive sum. Own implementation of Horn's
 * quaternion method (J. Opt. Soc. Am. A 4 (1987) 629) in double; a small residual is summed explicitly, so that the
 * RMSD of equal structures is good to rounding of the coordinates.
 * GD_E_INVALID_ARGUMENT (nothing selected, no weight), GD_E_INVALID_SHAPE (counts differ), GD_E_INVALID_DTYPE. */
int gd_compute_fit(const struct gd_kernels *k, struct gd_view x, struct gd_view y, const double *weights, struct gd_fit *out,
                   struct gd_err *err);
/* RMSD where they are, without fitting. Same errors. */
int gd_compute_rmsd(const struct gd_kernels *k, struct gd_view x, struct gd_view y, const double *weights, double *out, struct gd_err *err);
/* Moves the rows of x by a fit (commonly all rows, by the fit of a selection). */
void gd_compute_apply_fit(const struct gd_kernels *k, struct gd_view x, const struct gd_fit *fit);

/* ---- distances: minimum image in box (vacuum: plain); results in the view's dtype; errors of gd_box_check ---- */

/* out (count,): |x[pairs[k][1]] - x[pairs[k][0]]|. pairs are row numbers of x->data; the selection is ignored. Nobody needs to have checked
 * them, and they may be in memory that somebody is writing: GD_E_INDEX_OUT_OF_RANGE names the first bad one, with `out` partly written. */
int gd_compute_pair_distances(const struct gd_kernels *k, struct gd_view x, const int32_t (*pairs)[2], size_t count,
                              const struct gd_box *box, void *out, struct gd_err *err);
/* out (a.count, b.count). One to many: a.count = 1. Selections are packed into temporary memory: GD_E_OUT_OF_MEMORY.
 * GD_E_INVALID_DTYPE when a and b differ. */
int gd_compute_distance_array(const struct gd_kernels *k, struct gd_view a, struct gd_view b, const struct gd_box *box, void *out,
                              struct gd_err *err);

/* ---- pairs within a cutoff ---- */

/* All pairs i < j of selected atoms with minimum-image distance <= cutoff (rounding of the array's precision decides at the
 * cutoff itself). Two steps, so that the caller can place the result:
 *
 *     struct gd_pairs *p = NULL;
 *     gd_pairs_create(&p, k, x, box, cutoff, err);       finds and counts
 *     size_t m = gd_pairs_count(p);
 *     gd_pairs_fill(p, GD_PAIRS_SORTED, pairs, distances, err);
 *     gd_pairs_destroy(&p);
 *
 * The search keeps its own copy of the coordinates; x may change after create. Any box; in vacuum there is no limit on the
 * cutoff. GD_E_INVALID_ARGUMENT: cutoff not positive and finite, or above half the shortest lattice vector (then a pair has
 * several images within it). GD_E_OUT_OF_MEMORY. */
struct gd_pairs;
int gd_pairs_create(struct gd_pairs **out, const struct gd_kernels *k, struct gd_view x, const struct gd_box *box, double cutoff,
                    struct gd_err *err);
void gd_pairs_destroy(struct gd_pairs **pairs);
size_t gd_pairs_count(const struct gd_pairs *pairs);

enum gd_pairs_order {
    GD_PAIRS_GROUPED = 0, /* ascending i; j in no particular, but reproducible, order: fastest */
    GD_PAIRS_SORTED = 1,  /* ascending i, then ascending j */
};

/* pairs (m, 2) int32 atom indices; distances (m,) in the view's dtype. May be called again. */
int gd_pairs_fill(struct gd_pairs *pairs, enum gd_pairs_order order, int32_t (*out)[2], void *distances, struct gd_err *err);

/* ---- radial distribution ---- */

/* counts[bin] (overwritten) = number of ordered pairs (one of a, one of b, not the same atom) at minimum-image distance
 * [bin, bin + 1) * r_max / bins. a and b are views of the same array; a pair of atoms that are both in a and in b counts
 * twice, as the usual normalisation by count_a * count_b expects. Selections must not repeat an atom. Limits and errors
 * of gd_pairs_create; bins > 0. */
int gd_compute_rdf_counts(const struct gd_kernels *k, struct gd_view a, struct gd_view b, const struct gd_box *box, double r_max,
                          size_t bins, uint64_t *counts, struct gd_err *err);
/* r (bins,) bin centres, nm; g (bins,) = counts / (pairs * shell volume / box volume), pairs = ordered pairs of different
 * atoms. In vacuum the sphere of radius r_max stands in for the box, so that g is 1 for points that are uniform in it.
 * shared: number of atoms that are in both selections. GD_E_INVALID_ARGUMENT when there are no pairs. */
int gd_compute_rdf_normalize(const uint64_t *counts, size_t bins, double r_max, size_t count_a, size_t count_b, size_t shared,
                             const struct gd_box *box, double *r, double *g, struct gd_err *err);

#endif
