/* Parrinello-Rahman: the sizes X of the box that may change (its volume, the area of two edges, an edge) move by an equation of
 * their own,
 *   M X'' = V / X (P - P0),
 * P the mean of the pressure's diagonal over the edges of X. With r = h s and v = h s' (atoms, or with the molecular virial the
 * centres of mass of pressure groups) the particles follow h, and v loses what h gains: H = K + U + 1/2 sum M X'^2 + P0 V is
 * conserved. For the volume this is Andersen's equation and samples the isobaric ensemble exactly. M follows from TAUP, the
 * period of the box's oscillation for the compressibility COMP: with X of k edges M = 3 V0 (TAUP / 2 pi)^2 / (k COMP X0^2),
 * 0 the box the run was made with. The kinetic part of P is the mean of the half steps around.
 * Source: Andersen, J. Chem. Phys. 72 (1980) 2384; Parrinello and Rahman, J. Appl. Phys. 52 (1981) 7182. */
#include "core/box.h"
#include "engine/constraints.h"

int gd_barostat_parrinello_create(struct gd_md *md, struct gd_err *err)
{
    const struct gd_parameters *p = &md->par;
    if (p->pressure.couple != GD_PRESSURE_SCALE || p->pressure.barostat != GD_BAROSTAT_PARRINELLO_RAHMAN)
        return 0;
    if (p->pressure.scale == GD_SCALE_FULL)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "PRESSURESCALE: the parrinello-rahman barostat does not scale in full; use iso, "
                          "aniso or semianiso");
    if (p->integrator != GD_INTEGRATOR_LEAP_FROG || p->stochastic.ntsd != 0 || p->minimise.ntem != GD_MINIMISE_OFF)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "PRESSURESCALE: the parrinello-rahman barostat needs the integrator leap-frog, "
                          "without STOCHDYN and ENERGYMIN; use stochastic-cell");
    int constrained = md->constraints->solute != GD_CONSTRAINT_OFF || md->constraints->solvent != GD_CONSTRAINT_OFF;
    if (p->pressure.virial == GD_VIRIAL_ATOMIC && constrained)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "PRESSURESCALE: with constraints the parrinello-rahman barostat needs VIRIAL "
                          "molecular");
    for (int d = 0; d < 3; d++)
        md->cell.start[d] = md->box.vectors[d][d];
    md->cell.start_volume = gd_box_volume(&md->box);
    return 0;
}

/* The axes that move with axis a, of which a is the first; 0 when there is nothing to do for a. */
static int set_of(const struct gd_md *md, int a, int member[3])
{
    enum gd_pressure_scale scale = md->par.pressure.scale;
    const int32_t *semi = md->par.pressure.semi;
    int count = 0;
    for (int b = 0; b < 3; b++) {
        member[b] = scale == GD_SCALE_ISO || (scale == GD_SCALE_ANISO ? a == b : semi[a] > 0 && semi[a] == semi[b]);
        if (member[b] && b < a)
            return 0;
        count += member[b];
    }
    return count;
}

/* X / X0 of a set, and M X0^2. */
static double relative_size(const struct gd_md *md, const int member[3])
{
    double y = 1.0;
    for (int d = 0; d < 3; d++)
        y *= member[d] ? md->box.vectors[d][d] / md->cell.start[d] : 1.0;
    return y;
}

static double inertia(const struct gd_md *md, int count)
{
    double time = md->par.pressure.tau / (2.0 * GD_PI);
    return 3.0 * md->cell.start_volume * time * time / (count * md->par.pressure.compressibility);
}

/* P - P0 over a set, its kinetic part from `kinetic`. */
static double excess(const struct gd_md *md, const int member[3], int count, const gd_mat3 kinetic, double volume)
{
    double sum = 0.0;
    for (int d = 0; d < 3; d++) {
        int reference = md->par.pressure.scale == GD_SCALE_ISO ? 0 : d;
        if (member[d])
            sum += (kinetic[d][d] + 0.5 * md->virial[d][d]) * 2.0 / volume - md->par.pressure.reference[reference][reference];
    }
    return sum / count;
}

void gd_barostat_parrinello(struct gd_md *md, double mu[3])
{
    const double dt = md->par.step.dt, volume = gd_box_volume(&md->box);
    gd_mat3 before, kinetic;
    memcpy(before, md->kinetic_tensor, sizeof before);
    gd_virial_kinetic(md);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            kinetic[a][b] = 0.5 * (before[a][b] + md->kinetic_tensor[a][b]);
    memcpy(md->kinetic_tensor, before, sizeof before);
    mu[0] = mu[1] = mu[2] = 1.0;
    for (int a = 0; a < 3; a++) {
        int member[3], count = set_of(md, a, member);
        if (count == 0)
            continue;
        double y = relative_size(md, member);
        md->cell.velocity[a] += dt * volume / y * excess(md, member, count, (const gd_vec3 *)kinetic, volume) / inertia(md, count);
        double factor = pow(1.0 + dt * md->cell.velocity[a] / y, 1.0 / count);
        for (int d = 0; d < 3; d++)
            mu[d] = member[d] ? factor : mu[d];
    }
    gd_barostat_scale(md, mu, dt);
}

double gd_barostat_parrinello_energy(const struct gd_md *md)
{
    double energy = 0.0, volume = gd_box_volume(&md->box);
    if (md->par.pressure.couple != GD_PRESSURE_SCALE || md->par.pressure.barostat != GD_BAROSTAT_PARRINELLO_RAHMAN)
        return 0.0;
    for (int a = 0; a < 3; a++) {
        int member[3], count = set_of(md, a, member);
        if (count > 0)
            energy += 0.5 * inertia(md, count) * md->cell.velocity[a] * md->cell.velocity[a];
    }
    return energy + md->par.pressure.reference[0][0] * volume;
}

void gd_barostat_parrinello_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    if (md->par.pressure.couple == GD_PRESSURE_SCALE && md->par.pressure.barostat == GD_BAROSTAT_PARRINELLO_RAHMAN)
        visit(context, &md->cell, sizeof md->cell);
}
