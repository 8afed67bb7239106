/* The inner loops over pair rows, for one precision: distances and sums in double, what a pair does to each other in REAL. Each
 * function is written once and compiled for each box shape, with and without virial. The file that includes this defines REAL,
 * ROOT (its square root), ATOM_ROWS and SOLVENT_ROWS. The shifted form is always in double. */
#include "engine/nonbonded.h"

#define INLINE static inline __attribute__((always_inline))

struct field {
    REAL cut3i, two_cut3i, cut;
};

INLINE struct field field_of(const struct gd_nonbonded *nb)
{
    return (struct field){(REAL)nb->rf.cut3i, (REAL)nb->rf.two_cut3i, (REAL)nb->rf.cut};
}

/* As gd_pair_lj_rf. */
INLINE void pair(const struct field *rf, REAL r2, REAL c6, REAL c12, REAL qq, REAL *f, REAL *lj, REAL *crf)
{
    REAL r2i = (REAL)1 / r2;
    REAL r6i = r2i * r2i * r2i;
    REAL ri = ROOT(r2i);
    REAL c12_r6 = c12 * r6i;
    *lj = (c12_r6 - c6) * r6i;
    *crf = qq * (ri - rf->two_cut3i * r2 - rf->cut);
    *f = (c12_r6 + c12_r6 - c6) * (REAL)6 * r6i * r2i + qq * (ri * r2i + rf->cut3i);
}

INLINE void atom_rows(const struct gd_md *md, const struct gd_nonbonded_thread *th, const struct gd_pair_rows *rows,
                      struct gd_pair_sums *sums, int kind, int form, int with_virial)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    const struct field rf = field_of(nb);
    double virial[6] = {0.0};
    for (size_t i = th->atom_begin; i < th->atom_end; i++) {
        const struct gd_lj *lj_row = &nb->lj[(size_t)md->type[i] * nb->num_types];
        double *lj_sum = &sums->lj[(size_t)md->energy_group[i] * nb->num_groups];
        double *crf_sum = &sums->crf[(size_t)md->energy_group[i] * nb->num_groups];
        double force_i[3], q = nb->charge[i];
        gd_vec3_copy(force_i, sums->force[i]);
        for (int32_t k = rows->start[i - th->atom_begin]; k < rows->start[i - th->atom_begin + 1]; k++) {
            int32_t j = rows->list[k];
            const struct gd_lj *lj = &lj_row[md->type[j]];
            double r[3], f[3], scale, e_lj, e_crf;
            gd_nearest_image_of(&md->pbc, kind, md->pos[i], md->pos[j], r);
            if (form == GD_FORM_LJ_RF) {
                REAL to_r, part_lj, part_crf;
                pair(&rf, (REAL)gd_vec3_norm2(r), (REAL)lj->c6, (REAL)lj->c12, (REAL)(q * nb->charge[j] * nb->four_pi_eps), &to_r, &part_lj,
                     &part_crf);
                scale = to_r;
                e_lj = part_lj;
                e_crf = part_crf;
            } else {
                gd_pair_shifted(nb, gd_vec3_norm2(r), lj->c6, lj->c12, q * nb->charge[j] * nb->four_pi_eps, &scale, &e_lj, &e_crf);
            }
            for (int d = 0; d < 3; d++) {
                f[d] = scale * r[d];
                force_i[d] += f[d];
                sums->force[j][d] -= f[d];
            }
            if (with_virial)
                gd_pair_virial(virial, r, f);
            lj_sum[md->energy_group[j]] += e_lj;
            crf_sum[md->energy_group[j]] += e_crf;
        }
        gd_vec3_copy(sums->force[i], force_i);
    }
    if (with_virial)
        gd_pair_virial_spread(virial, sums->virial);
}

#define MAX_SITES 8
#define MAX_PAIRS (MAX_SITES * MAX_SITES)

struct molecule {
    double x[MAX_SITES], y[MAX_SITES], z[MAX_SITES];
};

INLINE void load_molecule(const gd_vec3 *pos, int sites, struct molecule *m)
{
    for (int a = 0; a < sites; a++) {
        m->x[a] = pos[a][0];
        m->y[a] = pos[a][1];
        m->z[a] = pos[a][2];
    }
}

/* Distance vectors of all site pairs. When the first sites' image is clear of half the box by more than two molecules reach,
 * every pair has the same image. */
INLINE void site_distances(const struct gd_md *md, int kind, int sites, const gd_vec3 *pos_i, const gd_vec3 *pos_j,
                           const struct molecule *mi, double *x, double *y, double *z)
{
    const struct gd_periodicity *pbc = &md->pbc;
    double shift[3] = {0.0, 0.0, 0.0};
    int together = kind == GD_BOX_VACUUM;
    if (kind == GD_BOX_RECTANGULAR && md->nonbonded->site_extent >= 0.0) {
        together = 1;
        for (int d = 0; d < 3; d++) {
            double r = pos_i[0][d] - pos_j[0][d];
            if (fabs(r) >= pbc->half[d])
                shift[d] = pbc->length[d] * rint(r / pbc->length[d]);
            together &= fabs(r - shift[d]) + 2.0 * md->nonbonded->site_extent < pbc->half[d];
        }
    }
    if (together) {
        for (int a = 0; a < sites; a++)
            for (int b = 0; b < sites; b++) {
                x[a * sites + b] = mi->x[a] - pos_j[b][0] - shift[0];
                y[a * sites + b] = mi->y[a] - pos_j[b][1] - shift[1];
                z[a * sites + b] = mi->z[a] - pos_j[b][2] - shift[2];
            }
        return;
    }
    for (int a = 0; a < sites; a++)
        for (int b = 0; b < sites; b++) {
            double r[3];
            gd_nearest_image_of(pbc, kind, pos_i[a], pos_j[b], r);
            x[a * sites + b] = r[0];
            y[a * sites + b] = r[1];
            z[a * sites + b] = r[2];
        }
}

INLINE void solvent_rows(const struct gd_md *md, const struct gd_nonbonded_thread *th, const struct gd_pair_rows *rows,
                         struct gd_pair_sums *sums, int kind, int sites, int with_virial)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    const struct field rf = field_of(nb);
    const int pairs = sites * sites;
    const size_t solute = md->top->num_solute_atoms;
    REAL c6[MAX_PAIRS], c12[MAX_PAIRS], qq[MAX_PAIRS];
    for (int p = 0; p < pairs; p++) {
        c6[p] = (REAL)nb->site_c6[p];
        c12[p] = (REAL)nb->site_c12[p];
        qq[p] = (REAL)nb->site_qq[p];
    }
    double virial[6] = {0.0}, total_lj = 0.0, total_crf = 0.0;
    for (size_t m = th->molecule_begin; m < th->molecule_end; m++) {
        size_t i = solute + m * (size_t)sites;
        struct molecule mi;
        double fi[MAX_SITES][3] = {{0.0}};
        load_molecule((const gd_vec3 *)&md->pos[i], sites, &mi);
        for (int32_t k = rows->start[m - th->molecule_begin]; k < rows->start[m - th->molecule_begin + 1]; k++) {
            size_t j = solute + (size_t)rows->list[k] * (size_t)sites;
            double x[MAX_PAIRS], y[MAX_PAIRS], z[MAX_PAIRS];
            REAL scale[MAX_PAIRS], lj[MAX_PAIRS], crf[MAX_PAIRS];
            site_distances(md, kind, sites, (const gd_vec3 *)&md->pos[i], (const gd_vec3 *)&md->pos[j], &mi, x, y, z);
            for (int p = 0; p < pairs; p++) {
                REAL r2 = (REAL)(x[p] * x[p] + y[p] * y[p] + z[p] * z[p]);
                pair(&rf, r2, c6[p], c12[p], qq[p], &scale[p], &lj[p], &crf[p]);
            }
            for (int a = 0; a < sites; a++)
                for (int b = 0; b < sites; b++) {
                    int p = a * sites + b;
                    double r[3] = {x[p], y[p], z[p]}, f[3] = {scale[p] * x[p], scale[p] * y[p], scale[p] * z[p]};
                    for (int d = 0; d < 3; d++) {
                        fi[a][d] += f[d];
                        sums->force[j + (size_t)b][d] -= f[d];
                    }
                    if (with_virial)
                        gd_pair_virial(virial, r, f);
                }
            if (nb->solvent_one_group) {
                for (int p = 0; p < pairs; p++) {
                    total_lj += lj[p];
                    total_crf += crf[p];
                }
                continue;
            }
            for (int a = 0; a < sites; a++)
                for (int b = 0; b < sites; b++) {
                    size_t both = (size_t)md->energy_group[i + (size_t)a] * nb->num_groups + (size_t)md->energy_group[j + (size_t)b];
                    sums->lj[both] += lj[a * sites + b];
                    sums->crf[both] += crf[a * sites + b];
                }
        }
        for (int a = 0; a < sites; a++)
            gd_vec3_add_scaled(sums->force[i + (size_t)a], 1.0, fi[a]);
    }
    if (with_virial)
        gd_pair_virial_spread(virial, sums->virial);
    if (nb->solvent_one_group && md->n > solute) {
        size_t group = (size_t)md->energy_group[solute];
        sums->lj[group * nb->num_groups + group] += total_lj;
        sums->crf[group * nb->num_groups + group] += total_crf;
    }
}

#define FOR_EACH_BOX(call)        \
    switch (md->pbc.kind) {       \
    case GD_BOX_VACUUM:           \
        call(GD_BOX_VACUUM);      \
        break;                    \
    case GD_BOX_RECTANGULAR:      \
        call(GD_BOX_RECTANGULAR); \
        break;                    \
    default:                      \
        call(GD_BOX_TRICLINIC);   \
        break;                    \
    }

void ATOM_ROWS(const struct gd_md *md, const struct gd_nonbonded_thread *th, const struct gd_pair_rows *rows, struct gd_pair_sums *sums)
{
    if (md->nonbonded->form == GD_FORM_SHIFTED) {
#define CALL(kind) atom_rows(md, th, rows, sums, kind, GD_FORM_SHIFTED, 1)
        FOR_EACH_BOX(CALL)
#undef CALL
    } else if (md->nonbonded->with_virial) {
#define CALL(kind) atom_rows(md, th, rows, sums, kind, GD_FORM_LJ_RF, 1)
        FOR_EACH_BOX(CALL)
#undef CALL
    } else {
#define CALL(kind) atom_rows(md, th, rows, sums, kind, GD_FORM_LJ_RF, 0)
        FOR_EACH_BOX(CALL)
#undef CALL
    }
}

static void any_solvent_rows(const struct gd_md *md, const struct gd_nonbonded_thread *th, const struct gd_pair_rows *rows,
                             struct gd_pair_sums *sums, int sites)
{
#define CALL(kind) solvent_rows(md, th, rows, sums, kind, sites, 1)
    FOR_EACH_BOX(CALL)
#undef CALL
}

void SOLVENT_ROWS(const struct gd_md *md, const struct gd_nonbonded_thread *th, const struct gd_pair_rows *rows, struct gd_pair_sums *sums)
{
    if (md->nonbonded->sites != 3) {
        any_solvent_rows(md, th, rows, sums, (int)md->nonbonded->sites);
        return;
    }
    if (md->nonbonded->with_virial) {
#define CALL(kind) solvent_rows(md, th, rows, sums, kind, 3, 1)
        FOR_EACH_BOX(CALL)
#undef CALL
    } else {
#define CALL(kind) solvent_rows(md, th, rows, sums, kind, 3, 0)
        FOR_EACH_BOX(CALL)
#undef CALL
    }
}
