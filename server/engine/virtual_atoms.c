/* Virtual atoms (hydrogens that a united-atom force field leaves out) and pseudo atoms (sites between indistinguishable
 * ones): their places follow from the atoms around, and a force on one goes to those atoms by the chain rule.
 * Source: GROMOS manual volume 2, table of virtual and pseudo atoms; van Gunsteren et al. 1985. */
#include "engine/special.h"

#define COS_TETRAHEDRAL 0.5773502692 /* cos and sin of half the tetrahedral angle, to the digits GROMOS uses */
#define SIN_TETRAHEDRAL 0.8164965809

/* The site lies at r_i + reach s / |s| with s = sum over neighbours of (r_i - r_n). */
static double reach_of(const struct gd_md *md, int32_t type)
{
    double dish = md->res->dish, disc = md->res->disc;
    switch (type) {
    case GD_VA_CH1:
    case GD_VA_AROMATIC:
        return dish;
    case GD_VA_CH2:
    case GD_VA_STEREO_CH2:
        return dish * COS_TETRAHEDRAL;
    case GD_VA_CH3:
        return dish / 3.0;
    case GD_VA_CH3_PAIR:
        return -COS_TETRAHEDRAL * (disc + dish / 3.0);
    case GD_VA_RING_FLIP:
        return (disc + dish / 3.0) / 3.0;
    default:
        return 0.0;
    }
}

static int is_average(const struct gd_virtual_atom *v)
{
    return v->type == GD_VA_COG || v->type == GD_VA_COM;
}

/* Vectors from the first atom to the others, and their sum s towards the site. */
static void neighbours(const struct gd_md *md, const struct gd_virtual_atom *v, double r[4][3], double s[3])
{
    s[0] = s[1] = s[2] = 0.0;
    for (int k = 1; k < v->count; k++) {
        gd_nearest_image(&md->pbc, md->pos[v->atom[k]], md->pos[v->atom[0]], r[k]);
        gd_vec3_add_scaled(s, -1.0, r[k]);
    }
}

static double weight_of(const struct gd_md *md, const struct gd_virtual_atom *v, int k)
{
    double sum = 0.0;
    if (v->type == GD_VA_COG)
        return 1.0 / (double)v->count;
    for (int l = 0; l < v->count; l++)
        sum += md->mass[v->atom[l]];
    return md->mass[v->atom[k]] / sum;
}

/* The force on a centre of mass goes out by the masses of the topology's first `count` atoms, not those of the site's own:
 * so the reference does, and its numbers are kept. The two agree where the masses do. */
static double force_weight(const struct gd_md *md, const struct gd_virtual_atom *v, int k)
{
    double sum = 0.0;
    if (v->type == GD_VA_COG)
        return 1.0 / (double)v->count;
    for (int l = 0; l < v->count; l++)
        sum += md->mass[l];
    return md->mass[k] / sum;
}

void gd_virtual_atom_position(const struct gd_md *md, const struct gd_virtual_atom *v, double out[3])
{
    double r[4][3], s[3];
    gd_vec3_copy(out, md->pos[v->atom[0]]);
    if (v->type == GD_VA_EXPLICIT)
        return;
    neighbours(md, v, r, s);
    if (is_average(v)) {
        for (int k = 1; k < v->count; k++)
            gd_vec3_add_scaled(out, weight_of(md, v, k), r[k]);
        return;
    }
    gd_vec3_add_scaled(out, reach_of(md, v->type) / gd_vec3_norm(s), s);
    if (v->type == GD_VA_STEREO_CH2) {
        double t[3];
        gd_vec3_cross(r[1], r[2], t);
        gd_vec3_add_scaled(out, md->res->dish * SIN_TETRAHEDRAL / gd_vec3_norm(t), t);
    }
}

/* What a force on a vector of fixed length along u does to u: (f - n (n . f)) length / |u|. */
static void project(const double u[3], double length, const double f[3], double out[3])
{
    double norm = gd_vec3_norm(u), along = gd_vec3_dot(u, f) / (norm * norm);
    for (int d = 0; d < 3; d++)
        out[d] = length / norm * (f[d] - along * u[d]);
}

void gd_virtual_atom_force(struct gd_md *md, const struct gd_virtual_atom *v, const double force[3])
{
    if (v->type == GD_VA_EXPLICIT) {
        gd_vec3_add_scaled(md->force[v->atom[0]], 1.0, force);
        return;
    }
    if (is_average(v)) {
        for (int k = 0; k < v->count; k++)
            gd_vec3_add_scaled(md->force[v->atom[k]], force_weight(md, v, k), force);
        return;
    }
    double r[4][3], s[3], g[3];
    neighbours(md, v, r, s);
    project(s, reach_of(md, v->type), force, g);
    gd_vec3_add_scaled(md->force[v->atom[0]], 1.0, force);
    gd_vec3_add_scaled(md->force[v->atom[0]], (double)(v->count - 1), g);
    for (int k = 1; k < v->count; k++)
        gd_vec3_add_scaled(md->force[v->atom[k]], -1.0, g);
    if (v->type != GD_VA_STEREO_CH2)
        return;
    double t[3], h[3], on_j[3], on_k[3];
    gd_vec3_cross(r[1], r[2], t);
    project(t, md->res->dish * SIN_TETRAHEDRAL, force, h);
    gd_vec3_cross(r[2], h, on_j); /* d/dr1 of h . (r1 x r2) = r2 x h */
    gd_vec3_cross(h, r[1], on_k);
    gd_vec3_add_scaled(md->force[v->atom[1]], 1.0, on_j);
    gd_vec3_add_scaled(md->force[v->atom[2]], 1.0, on_k);
    gd_vec3_add_scaled(md->force[v->atom[0]], -1.0, on_j);
    gd_vec3_add_scaled(md->force[v->atom[0]], -1.0, on_k);
}
