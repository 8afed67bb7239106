/* Cluster pairs of the scheme verlet: atoms in clusters of four, pairs of clusters whose sixteen distances are worked out side
 * by side, in float or double.
 *
 * Atoms stand in slots, four to a cluster, sorted into columns of the cell and along its third edge; slots left over hold no
 * atom, no charge and lie far away. A row is a cluster moved by one of 27 lattice shifts, with the clusters that have atoms
 * within the list radius of it. Each pair of clusters has one owner, by the parity of its numbers, so that rows are
 * equally long. Source of the idea: Pall and Hess, Comput. Phys. Commun. 184 (2013) 2641. */
#ifndef GD_ENGINE_CLUSTER_PAIRS_H
#define GD_ENGINE_CLUSTER_PAIRS_H

#include "engine/nonbonded.h"

#define GD_CLUSTER 4
#define GD_CLUSTER_SHIFTS 27

struct gd_cluster_row {
    int32_t cluster, shift, begin, end; /* entries [begin, end) */
};

struct gd_cluster_entry {
    int32_t cluster;
    uint32_t mask; /* bit 4 a + b: atom a of the row's cluster acts on atom b of this one */
};

/* What a kernel reads and writes; arrays of float or double as `precision` says. */
struct gd_cluster_job {
    const struct gd_cluster_row *row;
    size_t num_rows;
    const struct gd_cluster_entry *entry;
    const double (*shift)[3];              /* [27] nm */
    const void *x, *y, *z, *charge;        /* [slots]; charge with (4 pi eps0)^-1/2 */
    const void *c6, *c12;                  /* [local types][slots] parameters of a type with each slot's atom */
    size_t slots;
    const int32_t *type;                   /* [slots] local type */
    const int32_t *group;                  /* [slots] energy group; NULL when there is one */
    size_t num_groups;
    double cutoff2, shift_r6, shift_r12;
    struct gd_reaction_field rf;
    void *fx, *fy, *fz;                    /* [slots], added to */
    double (*shift_force)[3];              /* [27], added to: forces on rows moved by each shift */
    double *lj, *crf;                      /* [groups * groups], added to; row: the row's group */
};

typedef void gd_cluster_kernel(const struct gd_cluster_job *job);
void gd_cluster_kernel_f32(const struct gd_cluster_job *job);
void gd_cluster_kernel_f64(const struct gd_cluster_job *job);
void gd_cluster_kernel_f32_avx2(const struct gd_cluster_job *job);
void gd_cluster_kernel_f64_avx2(const struct gd_cluster_job *job);
void gd_cluster_kernel_f32_avx512(const struct gd_cluster_job *job);
void gd_cluster_kernel_f64_avx512(const struct gd_cluster_job *job);

struct gd_cluster_box {
    double low[3], high[3];             /* nm */
    double low_part[3], high_part[3];   /* fractions of the cell */
};

struct gd_cluster_thread {
    size_t begin, end; /* clusters */
    struct gd_cluster_row *row;
    size_t num_rows, row_capacity;
    struct gd_cluster_entry *entry;
    int32_t *next;     /* [entry_capacity] the entry before of the same cluster, or -1 */
    size_t num_entries, entry_capacity;
    int32_t *head;     /* [clusters] last entry of a cluster in the present rows, or -1 */
    void *force[3];    /* [slots] of the kernel's precision */
    double shift_force[GD_CLUSTER_SHIFTS][3];
    int failed;
};

struct gd_cluster_pairs {
    size_t real_size;           /* 4 or 8 */
    gd_cluster_kernel *kernel;
    size_t slot_capacity, num_slots, num_clusters;
    int columns[2], column_capacity;
    int32_t *column_start;      /* [columns + 1] clusters */
    int32_t *column_of;         /* [n] */
    int32_t *atom;              /* [slots] or -1 */
    int32_t *slot;              /* [n] */
    gd_vec3 *home;              /* [slots] positions within the cell when the list was built */
    double *part;               /* [n] fraction along the third edge */
    struct gd_cluster_box *box; /* [clusters] */
    double shift[GD_CLUSTER_SHIFTS][3];
    gd_mat3 edge, reciprocal;   /* of the cell the clusters were sorted in */
    double origin[3];           /* of the vacuum's bounding box */
    int periodic;
    size_t num_local;           /* types that occur */
    int32_t *local_type;        /* [atom types] or -1 */
    int32_t *type, *group;      /* [slots] */
    void *x, *y, *z, *charge, *c6, *c12;
    int32_t *partner_start, *partner; /* of solute atoms: all that is left out, both ways */
    size_t num_threads;
    struct gd_cluster_thread *thread;
};

/* cluster_pairs.c */
int gd_cluster_pairs_create(struct gd_md *md, struct gd_err *err);
void gd_cluster_pairs_destroy(struct gd_cluster_pairs **pairs);
int gd_cluster_pairs_update(struct gd_md *md, struct gd_err *err); /* from pos and pbc */
void gd_cluster_pairs_begin(struct gd_md *md);                     /* before the threads: shifts of the present box */
void gd_cluster_pairs_place(struct gd_md *md, int thread);         /* the thread's share of positions into slots */
void gd_cluster_pairs_forces(struct gd_md *md, int thread, struct gd_pair_sums *sums); /* after all have placed */
void gd_cluster_pairs_add_forces(struct gd_md *md, size_t begin, size_t end); /* of atoms, into md->force */

/* cluster_sort.c */
void gd_cluster_sort(struct gd_md *md);
/* cluster_search.c: rows of the thread's clusters; sets failed when memory is out */
void gd_cluster_search(const struct gd_md *md, struct gd_cluster_thread *thread);

#endif
