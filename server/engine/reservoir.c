/* The energy the baths have taken up, so that total + reservoir is what the motion conserves.
 *
 * Leap-frog's energy of step n is V(x_n) + (K(n - 1/2) + K(n + 1/2)) / 2, which differs from the energy at the velocity
 * u = (v(n - 1/2) + v(n + 1/2)) / 2 by a term that coupling does not touch. A change dv of v(n + 1/2) therefore brings the heat
 * sum m (u dv + dv^2 / 2), taken with the u from before it. Half of what K(n + 1/2) gains is in the energy of step n at once.
 *
 * Scaling positions by 1 + e changes the leap-frog's energy by -e (W(n) + W(n + 1)) / 2 with W = sum r f: the potential's change is
 * counted half a step apart from the velocities. Both halves are added where the virial is at hand.
 *
 * Exact for thermostats and removed motion up to what constraints bend within a step (relative dt^2); to second order in dt for
 * scaled boxes, and there only for rigid molecules with the molecular virial, or free atoms with the atomic one. Friction and
 * random numbers of stochastic dynamics cannot be told from the motion: what the kinetic energy gains beyond the work of the
 * forces along the path counts as their heat. Source: Bussi, Donadio and Parrinello 2007 (effective energy); Sivak, Chodera and
 * Crooks, Phys. Rev. X 3 (2013) 011007 (heat and work of discrete dynamics). */
#include "engine/md_internal.h"

/* Sums over one temperature group, of the motion of its centre of mass and of all of it. */
struct group_sums {
    double cross_com, cross; /* m v(n - 1/2) v(n + 1/2) */
    double ahead_com, ahead; /* m v(n + 1/2)^2 */
};

static struct group_sums sums_of(const struct gd_md *md, int32_t first, int32_t last)
{
    struct group_sums s = {0.0, 0.0, 0.0, 0.0};
    double old[3] = {0.0, 0.0, 0.0}, new[3] = {0.0, 0.0, 0.0}, mass = 0.0;
    for (int32_t i = first; i < last; i++) {
        double m = md->mass[i];
        mass += m;
        gd_vec3_add_scaled(old, m, md->old_vel[i]);
        gd_vec3_add_scaled(new, m, md->vel[i]);
        s.cross += m * gd_vec3_dot(md->old_vel[i], md->vel[i]);
        s.ahead += m * gd_vec3_norm2(md->vel[i]);
    }
    s.cross_com = gd_vec3_dot(old, new) / mass;
    s.ahead_com = gd_vec3_norm2(new) / mass;
    return s;
}

/* With v(n + 1/2) = scale v': dv = (1 - 1 / scale) v(n + 1/2). */
static void add_heat(double scale, double cross, double ahead, double *heat, double *shown)
{
    if (scale == 1.0 || scale == 0.0)
        return;
    *heat += (1.0 - 1.0 / scale) * 0.5 * (cross + ahead);
    *shown += (1.0 - 1.0 / (scale * scale)) * 0.25 * ahead;
}

static double kinetic_energy(const struct gd_md *md)
{
    double sum = 0.0;
    for (size_t i = 0; i < md->n; i++)
        sum += md->mass[i] * gd_vec3_norm2(md->vel[i]);
    return 0.5 * sum;
}

void gd_reservoir_leapfrog(struct gd_md *md)
{
    struct gd_reservoir *r = &md->reservoir;
    double heat = 0.0, shown = 0.0;
    for (size_t s = 0; md->coupled && s < md->num_ranges; s++) {
        const struct gd_bath_range *range = &md->range[s];
        double com = md->bath[range->com_bath].scale, internal = md->bath[range->internal_bath].scale;
        for (size_t g = range->first_group; g < range->last_group && (com != 1.0 || internal != 1.0); g++) {
            struct group_sums k = sums_of(md, md->top->temperature_group_start[g], md->top->temperature_group_start[g + 1]);
            add_heat(com, k.cross_com, k.ahead_com, &heat, &shown);
            add_heat(internal, k.cross - k.cross_com, k.ahead - k.ahead_com, &heat, &shown);
        }
    }
    r->reported = r->taken - shown;
    r->taken -= heat;
}

void gd_reservoir_velocity_verlet(struct gd_md *md)
{
    for (size_t b = 0; md->coupled && b < md->num_baths; b++)
        md->reservoir.taken -= (md->bath[b].scale * md->bath[b].scale - 1.0) * md->bath[b].kinetic_new;
}

void gd_reservoir_report(struct gd_md *md)
{
    md->reservoir.reported = md->reservoir.taken;
}

double gd_reservoir_begin(const struct gd_md *md)
{
    return kinetic_energy(md);
}

void gd_reservoir_end(struct gd_md *md, double before)
{
    md->reservoir.taken += before - kinetic_energy(md);
}

static double work_of_strain(const struct gd_reservoir *r)
{
    double work = 0.0;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            work -= r->strain[a][b] * r->virial[b][a];
    return work;
}

/* Weak coupling moves every atom, and constraints take the change within a molecule back into its velocities: to the molecular
 * virial comes what the internal motion needs, -2 K. */
static void add_internal_motion(struct gd_md *md)
{
    gd_mat3 all = {{0.0}};
    for (size_t i = 0; i < md->n; i++)
        gd_mat3_add_outer(all, md->mass[i], md->vel[i], md->vel[i]);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            md->reservoir.virial[a][b] -= all[a][b] - 2.0 * md->kinetic_tensor[a][b];
}

void gd_reservoir_forces(struct gd_md *md)
{
    struct gd_reservoir *r = &md->reservoir;
    if (md->par.pressure.couple != GD_PRESSURE_SCALE)
        return;
    memcpy(r->virial, md->virial, sizeof r->virial);
    if (md->par.pressure.barostat == GD_BAROSTAT_BERENDSEN && md->par.pressure.virial == GD_VIRIAL_MOLECULAR)
        add_internal_motion(md);
    r->taken -= 0.5 * work_of_strain(r);
    gd_mat3_zero(r->strain);
}

void gd_reservoir_strain(struct gd_md *md)
{
    md->reservoir.taken -= 0.5 * work_of_strain(&md->reservoir);
}

/* Half of the trapezoid: forces at one end of the way from old_pos to pos. */
static double half_work(const struct gd_md *md)
{
    double work = 0.0, way[3];
    for (size_t i = 0; i < md->n; i++) {
        gd_nearest_image(&md->pbc, md->pos[i], md->old_pos[i], way);
        work += gd_vec3_dot(md->force[i], way);
    }
    return 0.5 * work;
}

void gd_reservoir_arrive(struct gd_md *md)
{
    if (md->reservoir.on_the_way)
        md->reservoir.taken += half_work(md);
    md->reservoir.on_the_way = 0;
}

void gd_reservoir_stochastic(struct gd_md *md)
{
    struct gd_reservoir *r = &md->reservoir;
    double kinetic = 0.0;
    for (size_t b = 0; b < md->num_baths; b++)
        kinetic += md->energies.bath_kinetic[b];
    if (md->step == 0)
        r->taken = kinetic;
    r->reported = r->taken - kinetic;
}

void gd_reservoir_depart(struct gd_md *md)
{
    md->reservoir.taken += half_work(md);
    md->reservoir.on_the_way = 1;
}
