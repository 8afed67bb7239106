/* Kinetic energies. The reported energy of a step averages the kinetic energies of the half steps before and behind it;
 * its centre-of-mass part takes the mean velocity. Thermostats look at the half step ahead. Source: GROMOS manual volume 2;
 * conventions as the reference output shows them. */
#include "engine/md_internal.h"

struct group_kinetic {
    double com, all;         /* of the step */
    double new_com, new_all; /* of the half step ahead */
};

static struct group_kinetic kinetic_of(const struct gd_md *md, int32_t first, int32_t last)
{
    double mean[3] = {0.0, 0.0, 0.0}, ahead[3] = {0.0, 0.0, 0.0}, mass = 0.0;
    struct group_kinetic k = {0.0, 0.0, 0.0, 0.0};
    for (int32_t i = first; i < last; i++) {
        double m = md->mass[i];
        const double *v = md->vel[i], *o = md->old_vel[i];
        mass += m;
        for (int d = 0; d < 3; d++) {
            mean[d] += m * (0.5 * (v[d] + o[d]));
            ahead[d] += m * v[d];
        }
        k.all += m * (gd_vec3_norm2(v) + gd_vec3_norm2(o)) / 2.0;
        k.new_all += m * gd_vec3_norm2(v);
    }
    k.com = 0.5 * gd_vec3_norm2(mean) / mass;
    k.new_com = 0.5 * gd_vec3_norm2(ahead) / mass;
    k.all *= 0.5;
    k.new_all *= 0.5;
    return k;
}

void gd_temperature_compute(struct gd_md *md)
{
    struct gd_md_energies *e = &md->energies;
    for (size_t b = 0; b < md->num_baths; b++) {
        md->bath[b].kinetic_new = 0.0;
        e->bath_com[b] = e->bath_internal[b] = 0.0;
    }
    for (size_t s = 0; s < md->num_ranges; s++) {
        const struct gd_bath_range *range = &md->range[s];
        for (size_t g = range->first_group; g < range->last_group; g++) {
            struct group_kinetic k = kinetic_of(md, md->top->temperature_group_start[g], md->top->temperature_group_start[g + 1]);
            md->bath[range->com_bath].kinetic_new += k.new_com;
            md->bath[range->internal_bath].kinetic_new += k.new_all - k.new_com;
            e->bath_com[range->com_bath] += k.com;
            e->bath_internal[range->internal_bath] += k.all - k.com;
        }
    }
    gd_flexible_take_kinetic(md);
    for (size_t b = 0; b < md->num_baths; b++)
        e->bath_kinetic[b] = e->bath_com[b] + e->bath_internal[b];
}
