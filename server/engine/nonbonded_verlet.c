/* The scheme `verlet`: pairs of atoms within one cutoff, from a list that reaches farther by a buffer and is rebuilt as soon
 * as a pair from beyond it could have come within the cutoff. Forces are exact, whatever the buffer; NSNB is not used. The
 * Lennard-Jones energy is shifted to zero at the cutoff, as the reaction field's is by its constant, so that the potential is
 * continuous and energy conserved. The rows here are the double precision reference of the cluster pairs (cluster_pairs.h),
 * which do the work otherwise. Source: Verlet 1967; Chialvo and Debenedetti 1990 (the test). */
#include "engine/nonbonded.h"

/* nm; with 2 fs and water at 300 K the list holds for some 25 steps, its pruned part for some five (cluster_pairs.h) */
#define DEFAULT_BUFFER 0.36
#define PRUNE_ROOM 0.009 /* for each atom, besides what it is expected to move */

int gd_verlet_check(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_parameters *par = &md->par;
    if (par->pairlist.scheme != GD_SCHEME_VERLET)
        return 0;
    if (par->coarse.ntcgran != 0)
        return gd_err_set(err, GD_E_UNSUPPORTED, "CGRAIN: NTCGRAN %d needs the scheme chargegroup", (int)par->coarse.ntcgran);
    if (par->pairlist.rcutp != par->pairlist.rcutl)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "PAIRLIST: the scheme verlet has one range: RCUTP %g must equal RCUTL %g",
                          par->pairlist.rcutp, par->pairlist.rcutl);
    if (par->force.electrostatic && par->nonbonded.rcrf != par->pairlist.rcutl)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "NONBONDED: the scheme verlet needs the reaction field from its cutoff on: RCRF %g must equal RCUTL %g",
                          par->nonbonded.rcrf, par->pairlist.rcutl);
    return 0;
}

void gd_verlet_prepare(struct gd_md *md)
{
    struct gd_nonbonded *nb = md->nonbonded;
    nb->verlet = nb->use_clusters = md->par.pairlist.scheme == GD_SCHEME_VERLET;
    if (!nb->verlet)
        return;
    double cutoff = md->par.pairlist.rcutl, buffer = md->par.pairlist.buffer;
    nb->atomic = 1;
    nb->cutoff = cutoff;
    buffer = buffer < 0.0 ? DEFAULT_BUFFER : buffer;
    nb->list_radius = cutoff + (buffer < cutoff ? buffer : cutoff); /* images one box away are all that is looked at */
    nb->prune_room = buffer < PRUNE_ROOM ? buffer : PRUNE_ROOM;
    nb->cutoff_short2 = nb->cutoff_long2 = nb->list_radius * nb->list_radius;
    double r6i = pow(cutoff, -6.0);
    nb->shift_r6 = r6i;
    nb->shift_r12 = r6i * r6i;
}

double gd_verlet_box_map(const struct gd_md *md, gd_mat3 map)
{
    gd_mat3 inverse;
    double off = 0.0;
    if (memcmp(md->box.vectors, md->nonbonded->list_box.vectors, sizeof md->box.vectors) == 0)
        return 1.0;
    gd_mat3_inverse((const gd_vec3 *)md->nonbonded->list_box.vectors, inverse);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            map[a][b] = 0.0; /* edges are rows: edge_now = map edge_list */
            for (int e = 0; e < 3; e++)
                map[a][b] += md->box.vectors[e][a] * inverse[b][e];
            double difference = map[a][b] - (a == b ? 1.0 : 0.0);
            off += difference * difference;
        }
    return 1.0 - sqrt(off);
}

/* With every pair beyond the list radius at the list's time, moved by the box's map and by both atoms' own ways, still
 * beyond the cutoff, the list holds. */
int gd_verlet_list_holds(const struct gd_md *md)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    gd_mat3 map;
    double least = gd_verlet_box_map(md, map);
    double way = 0.5 * (least * nb->list_radius - nb->cutoff);
    if (!(way > 0.0))
        return 0;
    for (size_t i = 0; i < md->n; i++) {
        double r[3], from[3];
        if (least == 1.0)
            gd_vec3_copy(from, nb->list_pos[i]);
        else
            gd_mat3_mul_vec((const gd_vec3 *)map, nb->list_pos[i], from);
        gd_nearest_image(&md->pbc, md->pos[i], from, r);
        if (!(gd_vec3_norm2(r) <= way * way))
            return 0;
    }
    return 1;
}

static inline __attribute__((always_inline)) void rows(const struct gd_md *md, const struct gd_nonbonded_thread *th,
                                                       struct gd_pair_sums *sums, int kind)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    const struct gd_reaction_field rf = nb->rf;
    const struct gd_pair_rows *list = &th->atom_short;
    const double cutoff2 = nb->cutoff * nb->cutoff, shift6 = nb->shift_r6, shift12 = nb->shift_r12;
    double virial[6] = {0.0};
    for (size_t i = th->atom_begin; i < th->atom_end; i++) {
        const struct gd_lj *lj_row = &nb->lj[(size_t)md->type[i] * nb->num_types];
        size_t group = (size_t)md->energy_group[i] * nb->num_groups;
        double force_i[3] = {0.0, 0.0, 0.0}, q = nb->charge[i] * nb->four_pi_eps;
        for (int32_t k = list->start[i - th->atom_begin]; k < list->start[i - th->atom_begin + 1]; k++) {
            int32_t j = list->list[k];
            double r[3], f, lj, crf;
            gd_nearest_image_of(&md->pbc, kind, md->pos[i], md->pos[j], r);
            double r2 = gd_vec3_norm2(r);
            if (r2 > cutoff2)
                continue;
            const struct gd_lj *pair = &lj_row[md->type[j]];
            gd_pair_lj_rf(&rf, r2, pair->c6, pair->c12, q * nb->charge[j], &f, &lj, &crf);
            sums->lj[group + (size_t)md->energy_group[j]] += lj - (pair->c12 * shift12 - pair->c6 * shift6);
            sums->crf[group + (size_t)md->energy_group[j]] += crf;
            double part[3] = {f * r[0], f * r[1], f * r[2]};
            for (int d = 0; d < 3; d++) {
                force_i[d] += part[d];
                sums->force[j][d] -= part[d];
            }
            gd_pair_virial(virial, r, part);
        }
        gd_vec3_add_scaled(sums->force[i], 1.0, force_i);
    }
    gd_pair_virial_spread(virial, sums->virial);
}

void gd_verlet_rows(const struct gd_md *md, const struct gd_nonbonded_thread *th, struct gd_pair_sums *sums)
{
    switch (md->pbc.kind) {
    case GD_BOX_VACUUM:
        rows(md, th, sums, GD_BOX_VACUUM);
        return;
    case GD_BOX_RECTANGULAR:
        rows(md, th, sums, GD_BOX_RECTANGULAR);
        return;
    default:
        rows(md, th, sums, GD_BOX_TRICLINIC);
        return;
    }
}
