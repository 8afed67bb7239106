/* Steepest descent: a step of adapted length along the forces. Source: GROMOS manual volume 2, chapter on minimisation: the
 * step grows by 1.2 while the energy falls and halves when it rises. */
#include "engine/minimise.h"

int gd_minimise_steepest_step(struct gd_md *md, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    int rc = gd_md_sum_energies(md, err);
    if (rc != 0)
        return rc;
    double energy = gd_minimise_energy(md);
    if (md->step > md->par.minimise.nmin) {
        if (fabs(energy - m->previous_energy) < md->par.minimise.dele) {
            m->converged = 1;
            return 0;
        }
        if (energy < m->previous_energy)
            m->step_size = fmin(m->step_size * 1.2, md->par.minimise.dxm);
        else
            m->step_size *= 0.5;
    } else {
        m->step_size = md->par.minimise.dx0;
    }
    m->previous_energy = energy;
    gd_minimise_limit_force(md);
    double f2 = 0.0;
    for (size_t i = 0; i < md->n; i++)
        f2 += gd_vec3_norm2(md->force[i]);
    double scale = f2 > 0.0 ? m->step_size / sqrt(f2) : 0.0;
    gd_md_exchange(md);
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + scale * md->force[i][d];
    return 0;
}
