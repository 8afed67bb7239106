/* The reaction field beyond the cutoff, and its action between excluded pairs and on each charge itself. Source: Tironi et
 * al. 1995, equations 15 to 17 (with kappa); EPSRF = 0 stands for a conductor. Within a rigid solvent molecule the forces
 * cancel and the distance-independent parts add up to zero, so only the distance-dependent energy is counted. */
#include "engine/nonbonded.h"

struct gd_reaction_field gd_reaction_field_constants(double epsilon_rf, double kappa, double cutoff)
{
    struct gd_reaction_field rf = {0.0, 0.0, 0.0};
    if (cutoff <= 0.0)
        return rf;
    double crf = -1.0;
    if (epsilon_rf != 0.0) {
        double kr = kappa * cutoff;
        crf =
            (2.0 * (1.0 - epsilon_rf) * (1.0 + kr) - epsilon_rf * kr * kr) / ((1.0 + 2.0 * epsilon_rf) * (1.0 + kr) + epsilon_rf * kr * kr);
    }
    rf.cut3i = crf / (cutoff * cutoff * cutoff);
    rf.two_cut3i = rf.cut3i / 2.0;
    rf.cut = (1.0 - crf / 2.0) / cutoff;
    return rf;
}

static void add_pair(const struct gd_md *md, struct gd_pair_sums *sums, int32_t i, int32_t j)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    double r[3], qq = nb->charge[i] * nb->charge[j] * nb->four_pi_eps;
    gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
    for (int a = 0; a < 3; a++) {
        double f = qq * nb->rf.cut3i * r[a];
        sums->force[i][a] += f;
        sums->force[j][a] -= f;
        for (int b = 0; b < 3; b++)
            sums->virial[b][a] += r[b] * f;
    }
    sums->crf[(size_t)md->energy_group[i] * nb->num_groups + (size_t)md->energy_group[j]] +=
        qq * (-nb->rf.two_cut3i * gd_vec3_norm2(r) - nb->rf.cut);
}

void gd_reaction_field_excluded_solute(const struct gd_md *md, struct gd_pair_sums *sums)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    for (size_t i = 0; i < md->top->num_solute_atoms; i++) {
        size_t group = (size_t)md->energy_group[i];
        sums->crf[group * nb->num_groups + group] -= 0.5 * nb->charge[i] * nb->charge[i] * nb->four_pi_eps * nb->rf.cut;
        for (int32_t k = md->top->exclusion_start[i]; k < md->top->exclusion_start[i + 1]; k++)
            add_pair(md, sums, (int32_t)i, md->top->exclusions[k]);
    }
}

void gd_reaction_field_excluded_solvent(const struct gd_md *md, const struct gd_nonbonded_thread *thread, struct gd_pair_sums *sums)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    for (size_t m = thread->molecule_begin; m < thread->molecule_end; m++) {
        size_t first = md->top->num_solute_atoms + m * nb->sites;
        for (size_t a = 0; a < nb->sites; a++)
            for (size_t b = a + 1; b < nb->sites; b++) {
                double r[3];
                gd_nearest_image(&md->pbc, md->pos[first + a], md->pos[first + b], r);
                sums->crf[(size_t)md->energy_group[first + a] * nb->num_groups + (size_t)md->energy_group[first + b]] -=
                    nb->site_qq[a * nb->sites + b] * nb->rf.two_cut3i * gd_vec3_norm2(r);
            }
    }
}
