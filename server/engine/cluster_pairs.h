/* Cluster pairs of the scheme verlet: atoms in clusters of four, pairs of clusters whose sixteen distances are worked out side
 * by side, in float or double.
 *
 * Atoms stand in slots, four to a cluster, sorted into columns of the cell and along its third edge; slots left over hold no
 * atom, no charge and lie far away. A row is a cluster moved by a lattice shift, with the clusters whose bounding boxes are
 * within the list radius of its own. A pair of clusters stands in one row, that of the cluster which comes first when one goes
 * along the columns and through the cell's faces: shifts up to GD_CLUSTER_CENTRE suffice, and rows are equally long.
 *
 * There are two lists. `found` comes from a search for near bounding boxes, of which pairs without near atoms are sifted out at once, and
 * holds for some tens of steps; every few steps the pairs of it that may come within the cutoff in the next few are taken over into
 * `kept`, in the same order, and forces are worked out from those. For that, each atom has a place where it is expected half-way and
 * a reach around it; pairs that were well within the cutoff from the start are kept unseen. What is left out would add zeros: forces
 * do not depend on when that was done, to the last bit.
 * Source of the idea: Pall and Hess, Comput. Phys. Commun. 184 (2013) 2641; of two lists: Pall et al., J. Chem. Phys. 153
 * (2020) 134110. */
#ifndef GD_ENGINE_CLUSTER_PAIRS_H
#define GD_ENGINE_CLUSTER_PAIRS_H

#include "engine/nonbonded.h"

#define GD_CLUSTER 4
#define GD_CLUSTER_SHIFTS 27
#define GD_CLUSTER_CENTRE 13   /* the shift by nothing */
#define GD_CLUSTER_ALL 0xffffu /* mask of all pairs of two clusters */
#define GD_CLUSTER_BLOCK 16    /* bounding boxes are looked at in blocks; arrays of them have room for one more */

/* What a pair of clusters needs besides charges: no Lennard-Jones terms at all, those between atoms of the one type that most
 * atoms with such terms have, or any. */
enum gd_cluster_kind { GD_CLUSTER_CHARGES, GD_CLUSTER_COMMON, GD_CLUSTER_ANY, GD_CLUSTER_KINDS };

struct gd_cluster_row {
    int32_t cluster, shift;
    int32_t begin[GD_CLUSTER_KINDS + 1]; /* entries of kind k: [begin[k], begin[k + 1]) */
    int32_t sure[GD_CLUSTER_KINDS];      /* of these, [begin[k], sure[k]) are never pruned */
};

struct gd_cluster_entry {
    int32_t cluster;
    uint16_t mask;   /* bit 4 a + b: atom a of the row's cluster acts on atom b of this one */
    uint16_t common; /* the same for the Lennard-Jones terms of two atoms of the common type */
};

struct gd_cluster_list {
    struct gd_cluster_row *row;
    size_t num_rows, row_capacity;
    struct gd_cluster_entry *entry;
    size_t num_entries, entry_capacity;
};

enum gd_cluster_energies { GD_CLUSTER_NO_ENERGIES, GD_CLUSTER_ONE_GROUP, GD_CLUSTER_GROUPS };

/* What a kernel reads and writes; arrays of float or double as the kernel is. */
struct gd_cluster_job {
    const struct gd_cluster_list *list;
    const double (*shift)[3]; /* [27] nm */
    const void *place;        /* [clusters][4][4] x, y, z in nm and charge with (4 pi eps0)^-1/2 */
    struct gd_lj common;      /* of two atoms of the common type */
    const void *c6, *c12;     /* [local types][slots] parameters of a type with each slot's atom */
    size_t slots;
    const int32_t *type;          /* [slots] local type */
    const int32_t *group;         /* [slots] energy group */
    const int32_t *cluster_group; /* [clusters] the energy group of all its atoms, or -1 */
    size_t num_groups;
    enum gd_cluster_energies energies;
    double cutoff2, shift_r6, shift_r12;
    struct gd_reaction_field rf;
    void *force;              /* [clusters][4][4] x, y, z and nothing, added to */
    double (*shift_force)[4]; /* [27], added to: forces on rows moved by each shift, x, y, z and nothing */
    double *lj, *crf;         /* [groups * groups], added to; row: the row's group */
};

/* Bounding boxes of clusters or columns, nm, rounded outwards. */
struct gd_cluster_boxes {
    float *low[3], *high[3];
};

/* Boxes [from, to). */
struct gd_cluster_run {
    int32_t from, to;
};

/* The innermost loops for one instruction set.
 * forces: of all pairs of a list.
 * sift: into `sifted`, which has room for a block more, the pairs of `found` with two atoms within radius of each other, those with two
 *   within the sure one first. spare: [entries of a row, and a block more].
 * prune: into `kept`, which has room for a block more, the pairs of `found` that are sure or have two atoms within radius and both their
 *   reaches; a reach stands where `place` has the charge.
 * near: those of the runs' boxes whose distance from the box low..high is at most the root of radius2, in order, into out
 *   [all boxes of the runs], and a block more; returns how many. Looks at up to a block of boxes more. */
struct gd_cluster_kernels {
    void (*forces)(const struct gd_cluster_job *job);
    void (*sift)(const struct gd_cluster_list *found, const double (*shift)[3], const void *place, double radius2, double sure2,
                 struct gd_cluster_entry *spare, struct gd_cluster_list *sifted);
    void (*prune)(const struct gd_cluster_list *found, const double (*shift)[3], const void *place, double radius,
                  struct gd_cluster_list *kept);
    int32_t (*near)(const struct gd_cluster_boxes *boxes, const float low[3], const float high[3], float radius2,
                    const struct gd_cluster_run *run, size_t runs, int32_t *out);
};
extern const struct gd_cluster_kernels gd_cluster_kernels_f32, gd_cluster_kernels_f64;
extern const struct gd_cluster_kernels gd_cluster_kernels_f32_avx2, gd_cluster_kernels_f64_avx2;
extern const struct gd_cluster_kernels gd_cluster_kernels_f32_avx512, gd_cluster_kernels_f64_avx512;

struct gd_cluster_extent {
    double low[3], high[3]; /* fractions of the cell */
};

struct gd_cluster_thread {
    size_t begin, end; /* clusters */
    struct gd_cluster_list found, kept;
    struct gd_cluster_entry *waiting[GD_CLUSTER_KINDS]; /* [clusters, and a block more] of the present row, of kinds but the first */
    int32_t num_waiting[GD_CLUSTER_KINDS];
    int32_t *near, *near_column;       /* [clusters], [columns], and a block more */
    struct gd_cluster_run *run;        /* [columns] */
    struct gd_cluster_entry *entry_of; /* [clusters] the entry of each: its own atoms of the common type, and the pairs with the
                                      * present cluster that are not excluded */
    void *force;                       /* [clusters][4][4] of the kernel's precision */
    double shift_force[GD_CLUSTER_SHIFTS][4];
    double *lj, *crf; /* [groups * groups] row: the group of the row's atom */
    double way2;      /* nm^2: the longest way of an atom since the list was found */
    int astray;       /* an atom is farther from where it was expected when the list was pruned than was taken into account */
    double prune_seconds;
    int failed;
};

struct gd_cluster_pairs {
    size_t real_size; /* 4 or 8 */
    const struct gd_cluster_kernels *kernels;
    size_t slot_capacity, num_slots, num_clusters;
    int columns[2], column_capacity;
    int32_t *column_start;            /* [columns + 1] clusters */
    int32_t *column_of;               /* [n] */
    int32_t *atom;                    /* [slots] or -1 */
    int32_t *slot;                    /* [n] */
    gd_vec3 *home;                    /* [slots] positions within the cell when the list was found */
    double *part;                     /* [n] fraction along the third edge */
    struct gd_cluster_extent *extent; /* [clusters] */
    struct gd_cluster_boxes boxes, column_boxes;
    double shift[GD_CLUSTER_SHIFTS][3];
    gd_mat3 edge, reciprocal; /* of the cell the clusters were sorted in */
    double origin[3];         /* of the vacuum's bounding box */
    int periodic;
    size_t num_local;                /* types that occur */
    int32_t *local_type;             /* [atom types] or -1 */
    int32_t *local_number;           /* [local types] the topology's number */
    enum gd_cluster_kind *type_kind; /* [local types] */
    struct gd_lj common;
    int any;                                /* there are atoms of kind GD_CLUSTER_ANY */
    int32_t *type, *group;                  /* [slots] */
    int32_t *cluster_group;                 /* [clusters] or -1 */
    uint8_t *cluster_kind, *cluster_common; /* [clusters] the highest kind; bit a: atom a is of the common type */
    void *place, *c6, *c12;                 /* as in the job */
    void *expected;                         /* as place: where atoms are to be half-way through the pruned list's life; reach */
    double pruned_shift[GD_CLUSTER_SHIFTS][3];
    int pruned, prune_now;
    int32_t *partner_start, *partner; /* of solute atoms: all that is left out, both ways */
    size_t num_threads;
    struct gd_cluster_thread *thread;
};

/* cluster_storage.c */
int gd_cluster_pairs_create(struct gd_md *md, struct gd_err *err);
void gd_cluster_pairs_destroy(struct gd_cluster_pairs **pairs);

/* cluster_pairs.c */
int gd_cluster_pairs_update(struct gd_md *md, struct gd_err *err); /* from pos and pbc */
void gd_cluster_pairs_begin(struct gd_md *md);                     /* before the threads: shifts of the present box */
void gd_cluster_pairs_place(struct gd_md *md, int thread);         /* the thread's share of positions into slots */
/* After all have placed: 0 when the list may miss a pair and must be updated; else whether it is to be pruned is settled. */
int gd_cluster_pairs_hold(struct gd_md *md);
void gd_cluster_pairs_forces(struct gd_md *md, int thread, struct gd_pair_sums *sums);
void gd_cluster_pairs_energies(struct gd_md *md, int thread);                 /* after forces without energies, at the same places */
void gd_cluster_pairs_add_energies(struct gd_md *md);                         /* of all threads, into md->energies */
double gd_cluster_pairs_end(struct gd_md *md);                                /* after the threads; returns the seconds that pruning took */
void gd_cluster_pairs_add_forces(struct gd_md *md, size_t begin, size_t end); /* of atoms, into md->force */

/* cluster_sort.c */
void gd_cluster_sort(struct gd_md *md);
/* cluster_search.c: rows of the thread's clusters; sets failed when memory is out */
void gd_cluster_search(const struct gd_md *md, struct gd_cluster_thread *thread);

#endif
