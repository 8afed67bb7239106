/* Contract: dihedral.h. */
#include "engine/dihedral.h"

void gd_dihedral_geometry(const struct gd_md *md, const int32_t *atom, struct gd_dihedral_geometry *g)
{
    double rkl[3];
    gd_nearest_image(&md->pbc, md->pos[atom[0]], md->pos[atom[1]], g->rij);
    gd_nearest_image(&md->pbc, md->pos[atom[2]], md->pos[atom[1]], g->rkj);
    gd_nearest_image(&md->pbc, md->pos[atom[2]], md->pos[atom[3]], rkl);
    gd_nearest_image(&md->pbc, md->pos[atom[3]], md->pos[atom[1]], g->rlj);
    gd_vec3_cross(g->rij, g->rkj, g->rmj);
    gd_vec3_cross(g->rkj, rkl, g->rnk);
    double dkj2 = gd_vec3_norm2(g->rkj), dmj2 = gd_vec3_norm2(g->rmj), dnk2 = gd_vec3_norm2(g->rnk);
    double dkj = sqrt(dkj2);
    double cosine = gd_vec3_dot(g->rmj, g->rnk) / (sqrt(dmj2) * sqrt(dnk2));
    cosine = cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
    g->phi = acos(cosine);
    if (gd_vec3_dot(g->rij, g->rnk) < 0.0)
        g->phi = -g->phi;
    g->on_i = dkj / dmj2;
    g->on_l = dkj / dnk2;
    g->share_i = gd_vec3_dot(g->rij, g->rkj) / dkj2 - 1.0;
    g->share_l = gd_vec3_dot(rkl, g->rkj) / dkj2;
}

void gd_dihedral_force(struct gd_md *md, const int32_t *atom, const struct gd_dihedral_geometry *g, double slope, int with_virial)
{
    double fi[3], fj[3], fk[3], fl[3];
    for (int d = 0; d < 3; d++) {
        fi[d] = -slope * g->on_i * g->rmj[d];
        fl[d] = slope * g->on_l * g->rnk[d];
        fj[d] = g->share_i * fi[d] - g->share_l * fl[d];
        fk[d] = -1.0 * (fi[d] + fj[d] + fl[d]);
        md->force[atom[0]][d] += fi[d];
        md->force[atom[1]][d] += fj[d];
        md->force[atom[2]][d] += fk[d];
        md->force[atom[3]][d] += fl[d];
    }
    if (!with_virial)
        return;
    gd_mat3_add_outer(md->virial, 1.0, g->rij, fi);
    gd_mat3_add_outer(md->virial, 1.0, g->rkj, fk);
    gd_mat3_add_outer(md->virial, 1.0, g->rlj, fl);
}
