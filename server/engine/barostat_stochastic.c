/* Stochastic cell rescaling: the logarithm e of the volume (or of an edge, or of the area of two) follows
 *   de = -(c beta / tau) (P0 - P) dt + sqrt(2 c kT beta / (V tau)) dW,   c = 1, 1/3, 2/3,
 * which samples the isothermal-isobaric ensemble. With the molecular virial the centres of mass of pressure groups are scaled
 * and their velocities inversely, the groups themselves stay as they are, so constraints hold on.
 * Source: Bernetti and Bussi, J. Chem. Phys. 153 (2020) 114107. */
#include "core/box.h"
#include "engine/constraints.h"

int gd_barostat_stochastic_check(const struct gd_md *md, struct gd_err *err)
{
    if (md->par.pressure.couple != GD_PRESSURE_SCALE || md->par.pressure.barostat != GD_BAROSTAT_STOCHASTIC_CELL)
        return 0;
    if (md->par.pressure.scale == GD_SCALE_FULL)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "PRESSURESCALE: the stochastic-cell barostat does not scale in full; use iso, "
                          "aniso or semianiso");
    if (!md->coupled || md->bath[0].reference <= 0.0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "PRESSURESCALE: the stochastic-cell barostat needs a temperature: couple a bath (MULTIBATH)");
    int constrained = md->constraints->solute != GD_CONSTRAINT_OFF || md->constraints->solvent != GD_CONSTRAINT_OFF;
    if (md->par.pressure.virial == GD_VIRIAL_ATOMIC && constrained)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "PRESSURESCALE: with constraints the stochastic-cell barostat needs VIRIAL "
                          "molecular");
    return 0;
}

/* Increment of the logarithm of a size that takes `share` of the three dimensions. */
static double increment(struct gd_md *md, double share, double pressure_minus_reference)
{
    double k = share * md->par.pressure.compressibility / md->par.pressure.tau * md->par.step.dt;
    double kt = md->top->boltzmann * md->bath[0].reference, volume = gd_box_volume(&md->old_box);
    return k * pressure_minus_reference + sqrt(2.0 * k * kt / volume) * gd_random_gauss(&md->random, 1.0);
}

/* Factors of the three axes; axes with one number move together, those with 0 not at all. */
static void factors(struct gd_md *md, const int32_t together[3], double mu[3])
{
    int done[3] = {0, 0, 0};
    for (int a = 0; a < 3; a++) {
        double difference = 0.0;
        int count = 0, member[3] = {0, 0, 0};
        for (int b = a; b < 3 && !done[a]; b++) {
            member[b] = together[b] == together[a];
            count += member[b];
            difference += member[b] ? md->pressure[b][b] - md->par.pressure.reference[b][b] : 0.0;
        }
        if (count == 0)
            continue;
        double factor = together[a] < 1 ? 1.0 : exp(increment(md, count / 3.0, difference / count) / count);
        for (int b = a; b < 3; b++)
            if (member[b]) {
                mu[b] = factor;
                done[b] = 1;
            }
    }
}

/* Moves a pressure group as a whole; atoms may be images of the group's others, the shift between them scales too. */
static void scale_group(struct gd_md *md, int32_t first, int32_t last, const double mu[3], double dt)
{
    double at[3], r[3], centre[3] = {0.0, 0.0, 0.0}, v[3] = {0.0, 0.0, 0.0}, mass = 0.0;
    gd_vec3_copy(at, md->pos[first]);
    for (int32_t i = first; i < last; i++) {
        gd_nearest_image(&md->pbc, md->pos[i], at, r);
        mass += md->mass[i];
        for (int d = 0; d < 3; d++) {
            at[d] += r[d];
            centre[d] += md->mass[i] * at[d];
            v[d] += md->mass[i] * md->vel[i][d];
        }
    }
    gd_vec3_copy(at, md->pos[first]);
    for (int32_t i = first; i < last; i++) {
        gd_nearest_image(&md->pbc, md->pos[i], at, r);
        for (int d = 0; d < 3; d++) {
            at[d] += r[d];
            double shift = at[d] - md->pos[i][d];
            md->pos[i][d] += (mu[d] - 1.0) * ((centre[d] - dt * v[d]) / mass - shift);
            md->vel[i][d] += (1.0 / mu[d] - 1.0) * v[d] / mass;
        }
    }
}

void gd_barostat_scale(struct gd_md *md, const double mu[3], double dt)
{
    if (md->par.pressure.virial == GD_VIRIAL_MOLECULAR) {
        for (size_t g = 0; g < md->top->num_pressure_groups; g++)
            scale_group(md, md->top->pressure_group_start[g], md->top->pressure_group_start[g + 1], mu, dt);
        return;
    }
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++) {
            md->pos[i][d] += (mu[d] - 1.0) * (md->pos[i][d] - dt * md->vel[i][d]);
            md->vel[i][d] /= mu[d];
        }
}

void gd_barostat_stochastic(struct gd_md *md, double mu[3])
{
    static const int32_t each[3] = {1, 2, 3};
    enum gd_pressure_scale scale = md->par.pressure.scale;
    if (scale == GD_SCALE_ISO) {
        double mean = (md->pressure[0][0] + md->pressure[1][1] + md->pressure[2][2]) / 3.0;
        mu[0] = mu[1] = mu[2] = exp(increment(md, 1.0, mean - md->par.pressure.reference[0][0]) / 3.0);
    } else {
        factors(md, scale == GD_SCALE_ANISO ? each : md->par.pressure.semi, mu);
    }
    gd_barostat_scale(md, mu, 0.0);
}
