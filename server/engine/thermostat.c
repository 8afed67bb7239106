/* Temperature coupling: one factor per bath on the velocities ahead, with the translation of molecules and the rest scaled
 * apart where their baths differ. Weak coupling: Berendsen et al. 1984. Nose-Hoover: Hoover 1985; chains: Martyna et al.
 * 1992, integrated by Euler steps as GROMOS does. Velocity rescaling: Bussi, Donadio and Parrinello 2007. */
#include "engine/md_internal.h"

static void nose_hoover_chain(struct gd_md_bath *bath, int length, double ratio, double dt)
{
    double *zeta = bath->zeta;
    double tau2 = bath->tau * bath->tau, tau2_chain = tau2 / bath->dof;
    double before = length == 2 ? tau2 : tau2_chain;
    zeta[length - 1] += (before * zeta[length - 2] * zeta[length - 2] - 1.0 / bath->dof) / tau2_chain * dt;
    for (int k = length - 2; k >= 1; k--) {
        before = k - 1 == 0 ? tau2 : tau2_chain;
        zeta[k] += ((before * zeta[k - 1] * zeta[k - 1] - 1.0 / bath->dof) / tau2_chain - zeta[k] * zeta[k + 1]) * dt;
    }
    zeta[0] += ((ratio - 1.0) / tau2 - zeta[1] * zeta[0]) * dt;
}

static void bath_scale(struct gd_md *md, struct gd_md_bath *bath)
{
    const double dt = md->par.step.dt;
    if (bath->tau == -1.0) {
        bath->scale = 1.0;
        return;
    }
    double temperature = 2.0 * bath->kinetic_new / (bath->dof * md->top->boltzmann);
    if (temperature < 1e-14)
        temperature = bath->reference;
    int length = md->par.multibath.chain_length;
    switch (md->par.multibath.thermostat) {
    case GD_THERMOSTAT_WEAK_COUPLING:
        bath->scale = sqrt(1.0 + dt / bath->tau * (bath->reference / temperature - 1.0));
        break;
    case GD_THERMOSTAT_NOSE_HOOVER_CHAINS:
    case GD_THERMOSTAT_NOSE_HOOVER:
        if (md->par.multibath.thermostat == GD_THERMOSTAT_NOSE_HOOVER_CHAINS && length > 1)
            nose_hoover_chain(bath, length, temperature / bath->reference, dt);
        else
            bath->zeta[0] += dt / (bath->tau * bath->tau) * (temperature / bath->reference - 1.0);
        bath->scale = 1.0 - bath->zeta[0] * dt;
        break;
    case GD_THERMOSTAT_BUSSI:
        bath->scale = gd_bussi_factor(&md->random, bath->kinetic_new, 0.5 * bath->dof * md->top->boltzmann * bath->reference, bath->dof,
                                      dt / bath->tau);
        break;
    case GD_THERMOSTAT_NONE:
        bath->scale = 1.0;
        break;
    }
}

static void scale_apart(struct gd_md *md, const struct gd_bath_range *range, double com_scale, double internal_scale)
{
    for (size_t g = range->first_group; g < range->last_group; g++) {
        int32_t first = md->top->temperature_group_start[g], last = md->top->temperature_group_start[g + 1];
        double v[3] = {0.0, 0.0, 0.0}, mass = 0.0;
        for (int32_t i = first; i < last; i++) {
            mass += md->mass[i];
            gd_vec3_add_scaled(v, md->mass[i], md->vel[i]);
        }
        for (int d = 0; d < 3; d++)
            v[d] /= mass;
        for (int32_t i = first; i < last; i++)
            for (int d = 0; d < 3; d++)
                md->vel[i][d] = com_scale * v[d] + internal_scale * (md->vel[i][d] - v[d]);
    }
}

void gd_thermostat_apply(struct gd_md *md)
{
    if (!md->coupled)
        return;
    for (size_t b = 0; b < md->num_baths; b++)
        bath_scale(md, &md->bath[b]);
    for (size_t s = 0; s < md->num_ranges; s++) {
        const struct gd_bath_range *range = &md->range[s];
        double com = md->bath[range->com_bath].scale, internal = md->bath[range->internal_bath].scale;
        if (com == 1.0 && internal == 1.0)
            continue;
        if (range->com_bath != range->internal_bath) {
            scale_apart(md, range, com, internal);
            continue;
        }
        for (size_t i = range->first_atom; i < range->last_atom; i++)
            for (int d = 0; d < 3; d++)
                md->vel[i][d] *= com;
    }
}
