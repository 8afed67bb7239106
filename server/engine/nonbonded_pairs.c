/* Pairs that no cutoff applies to: third neighbours with their own Lennard-Jones parameters, and the exceptions of
 * LJEXCEPTIONS; both with the full electrostatic term. */
#include "engine/nonbonded.h"

static void add_pair(const struct gd_md *md, struct gd_pair_sums *sums, int32_t i, int32_t j, double c6, double c12)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    double r[3], f, lj, crf;
    gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
    double qq = nb->charge[i] * nb->charge[j] * nb->four_pi_eps;
    if (nb->form == GD_FORM_SHIFTED)
        gd_pair_shifted(nb, gd_vec3_norm2(r), c6, c12, qq, &f, &lj, &crf);
    else
        gd_pair_lj_rf(&nb->rf, gd_vec3_norm2(r), c6, c12, qq, &f, &lj, &crf);
    for (int a = 0; a < 3; a++) {
        double force = f * r[a];
        sums->force[i][a] += force;
        sums->force[j][a] -= force;
        for (int b = 0; b < 3; b++)
            sums->virial[b][a] += r[b] * force;
    }
    size_t pair = (size_t)md->energy_group[i] * nb->num_groups + (size_t)md->energy_group[j];
    sums->lj[pair] += lj;
    sums->crf[pair] += crf;
}

void gd_nonbonded_one_four(const struct gd_md *md, struct gd_pair_sums *sums)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    for (size_t i = 0; i < md->top->num_solute_atoms; i++)
        for (int32_t k = md->top->one_four_start[i]; k < md->top->one_four_start[i + 1]; k++) {
            int32_t j = md->top->one_fours[k];
            const struct gd_lj *lj = &nb->lj[(size_t)md->type[i] * nb->num_types + (size_t)md->type[j]];
            add_pair(md, sums, (int32_t)i, j, lj->cs6, lj->cs12);
        }
}

void gd_nonbonded_exceptions(const struct gd_md *md, struct gd_pair_sums *sums)
{
    for (size_t k = 0; k < md->top->num_lj_exceptions; k++) {
        const struct gd_lj_exception *e = &md->top->lj_exceptions[k];
        double on = md->par.force.vdw ? 1.0 : 0.0;
        add_pair(md, sums, e->atom[0], e->atom[1], on * e->c6, on * e->c12);
    }
}
