/* Charge groups and the box. A solute group is placed by its centre of geometry, a solvent group (one molecule) by its
 * first atom; the atoms of a group always move together. Source: GROMOS manual volume 2, pair-list construction. */
#include "engine/md_internal.h"

void gd_charge_group_centre(const struct gd_md *md, size_t group, const gd_vec3 *pos, double centre[3])
{
    int32_t first = md->top->charge_group_start[group], last = md->top->charge_group_start[group + 1];
    if (group >= md->top->num_solute_charge_groups) {
        gd_vec3_copy(centre, pos[first]);
        return;
    }
    double sum[3] = {0.0, 0.0, 0.0};
    for (int32_t i = first; i < last; i++)
        gd_vec3_add_scaled(sum, 1.0, pos[i]);
    for (int d = 0; d < 3; d++)
        centre[d] = sum[d] / (double)(last - first);
}

void gd_charge_groups_gather(struct gd_md *md)
{
    static const double origin[3] = {0.0, 0.0, 0.0};
    if (md->pbc.kind == GD_BOX_VACUUM)
        return;
    for (size_t g = 0; g < md->top->num_charge_groups; g++) {
        int32_t first = md->top->charge_group_start[g], last = md->top->charge_group_start[g + 1];
        double anchor[3], r[3];
        gd_nearest_image(&md->pbc, md->pos[first], origin, anchor);
        for (int32_t i = first; i < last; i++) {
            gd_nearest_image(&md->pbc, md->pos[i], anchor, r);
            for (int d = 0; d < 3; d++)
                md->pos[i][d] = anchor[d] + r[d];
        }
    }
}

/* Moves every group so that its place is the image nearest to `middle`. */
static void put_around(const struct gd_md *md, const double middle[3], int by_first_atom, gd_vec3 *pos, int32_t (*shift)[3])
{
    if (md->pbc.kind == GD_BOX_VACUUM)
        return;
    for (size_t g = 0; g < md->top->num_charge_groups; g++) {
        int32_t first = md->top->charge_group_start[g], last = md->top->charge_group_start[g + 1];
        double centre[3], inside[3], move[3];
        if (by_first_atom)
            gd_vec3_copy(centre, pos[first]);
        else
            gd_charge_group_centre(md, g, (const gd_vec3 *)pos, centre);
        gd_nearest_image(&md->pbc, centre, middle, inside);
        for (int d = 0; d < 3; d++)
            move[d] = inside[d] + middle[d] - centre[d];
        if (move[0] == 0.0 && move[1] == 0.0 && move[2] == 0.0)
            continue;
        int32_t boxes[3];
        for (int d = 0; d < 3; d++)
            boxes[d] = (int32_t)lrint(gd_vec3_dot(md->pbc.reciprocal[d], move));
        for (int32_t i = first; i < last; i++) {
            gd_vec3_add_scaled(pos[i], 1.0, move);
            for (int d = 0; shift != NULL && d < 3; d++)
                shift[i][d] += boxes[d];
        }
    }
}

void gd_charge_groups_put_into_box(struct gd_md *md)
{
    static const double origin[3] = {0.0, 0.0, 0.0};
    put_around(md, origin, 0, md->pos, md->lattice_shift);
}

void gd_charge_groups_put_uncounted(struct gd_md *md)
{
    static const double origin[3] = {0.0, 0.0, 0.0};
    put_around(md, origin, 0, md->pos, NULL);
}

void gd_charge_groups_wrap(const struct gd_md *md, gd_vec3 *pos)
{
    double middle[3];
    for (int d = 0; d < 3; d++)
        middle[d] = 0.5 * (md->pbc.edge[0][d] + md->pbc.edge[1][d] + md->pbc.edge[2][d]);
    put_around(md, middle, 1, pos, NULL);
}
