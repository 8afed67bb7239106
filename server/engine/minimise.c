/* A minimiser's step: the algorithm moves the positions, constraints follow, velocities stay zero. Contract: minimise.h. */
#include "engine/minimise.h"

#include <stdlib.h>

int gd_minimiser_create(struct gd_md *md, struct gd_err *err)
{
    if (md->par.minimise.ntem == GD_MINIMISE_OFF)
        return 0;
    struct gd_minimisation *m = calloc(1, sizeof *m);
    if (m == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a minimiser");
    md->minimiser = m;
    m->step_size = md->par.minimise.dx0;
    memset(md->vel, 0, md->n * sizeof *md->vel);
    memset(md->old_vel, 0, md->n * sizeof *md->old_vel);
    gd_temperature_compute(md);
    return md->par.minimise.ntem == GD_MINIMISE_STEEPEST_DESCENT ? 0 : gd_minimise_conjugate_create(md, err);
}

void gd_minimiser_destroy(struct gd_minimisation **minimiser)
{
    if (minimiser == NULL || *minimiser == NULL)
        return;
    struct gd_minimisation *m = *minimiser;
    free(m->direction);
    free(m->previous_direction);
    free(m->force);
    free(m->start_force);
    free(m->scratch);
    free(m->energy_numbers);
    free(m);
    *minimiser = NULL;
}

double gd_minimise_energy(const struct gd_md *md)
{
    return md->energies.potential + md->energies.special;
}

void gd_minimise_limit_force(struct gd_md *md)
{
    double limit = md->par.minimise.flim;
    if (limit == 0.0)
        return;
    for (size_t i = 0; i < md->n; i++) {
        double size = gd_vec3_norm(md->force[i]);
        for (int d = 0; size > limit && d < 3; d++)
            md->force[i][d] *= limit / size;
    }
}

int gd_minimiser_step(struct gd_md *md, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    if (m->converged)
        return 0;
    int rc =
        md->par.minimise.ntem == GD_MINIMISE_STEEPEST_DESCENT ? gd_minimise_steepest_step(md, err) : gd_minimise_conjugate_step(md, err);
    if (rc != 0 || m->converged)
        return rc;
    memset(md->vel, 0, md->n * sizeof *md->vel);
    memset(md->old_vel, 0, md->n * sizeof *md->old_vel);
    rc = gd_constraints_apply(md, 0, err);
    if (rc != 0)
        return rc;
    gd_temperature_compute(md);
    gd_pressure_compute(md);
    rc = gd_barostat_apply(md, err);
    return rc == 0 ? gd_md_sum_energies(md, err) : rc;
}

int gd_minimiser_converged(const struct gd_md *md)
{
    return md->minimiser != NULL && md->minimiser->converged;
}

void gd_minimiser_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    struct gd_minimisation *m = md->minimiser;
    if (m == NULL)
        return;
    visit(context, &m->converged, sizeof m->converged);
    visit(context, &m->step_size, sizeof m->step_size);
    visit(context, &m->previous_energy, sizeof m->previous_energy);
    if (m->direction == NULL)
        return;
    visit(context, &m->has_previous, sizeof m->has_previous);
    visit(context, &m->minimum, sizeof m->minimum);
    visit(context, &m->direction2, sizeof m->direction2);
    visit(context, m->previous_direction, md->n * sizeof(gd_vec3));
    visit(context, m->force, md->n * sizeof(gd_vec3));
}
