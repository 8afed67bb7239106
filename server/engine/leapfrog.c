/* Leap-frog: v(t + dt/2) = v(t - dt/2) + f(t) dt / m, x(t + dt) = x(t) + v(t + dt/2) dt, with coupling and constraints where
 * GROMOS has them. Source: GROMOS manual volume 2, chapter on dynamics. */
#include "engine/md_internal.h"

/* The current state becomes the old one; the new current arrays are about to be written. */
void gd_md_exchange(struct gd_md *md)
{
    gd_vec3 *swap = md->old_pos;
    md->old_pos = md->pos;
    md->pos = swap;
    swap = md->old_vel;
    md->old_vel = md->vel;
    md->vel = swap;
    md->old_box = md->box;
}

int gd_leapfrog_step(struct gd_md *md, struct gd_err *err)
{
    const double dt = md->par.step.dt;
    double start = gd_md_clock();
    gd_md_exchange(md);
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->vel[i][d] = md->old_vel[i][d] + md->force[i][d] * dt / md->mass[i];
    gd_thermostat_apply(md);
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + md->vel[i][d] * dt;
    double moved = gd_md_clock();
    md->phase_seconds[GD_MD_INTEGRATION] += moved - start;
    int rc = gd_constraints_apply(md, 1, err);
    if (rc == 0)
        gd_rottrans_apply(md);
    double constrained = gd_md_clock();
    md->phase_seconds[GD_MD_CONSTRAINTS] += constrained - moved;
    if (rc != 0)
        return rc;
    gd_temperature_compute(md);
    gd_reservoir_leapfrog(md);
    gd_pressure_compute(md);
    rc = gd_barostat_apply(md, err);
    md->phase_seconds[GD_MD_INTEGRATION] += gd_md_clock() - constrained;
    return rc == 0 ? gd_md_sum_energies(md, err) : rc;
}
