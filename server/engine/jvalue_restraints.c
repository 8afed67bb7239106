/* Restraints on 3J couplings, J = a cos^2(phi + delta) + b cos(phi + delta) + c: instantaneous, time-averaged, or biquadratic
 * in both, zero within DELTA of the target; or local elevation of the angle. Source: GROMOS manual volume 2; Torda et al. 1993;
 * Scott et al. 1998 for the biquadratic form; Christen, Keller and van Gunsteren 2007 for local elevation. */
#include "engine/dihedral.h"
#include "engine/special.h"

#define DEGREE (GD_PI / 180.0)

enum { BIQUADRATIC_WEIGHTED = -3, AVERAGED_WEIGHTED = -2, AVERAGED = -1, INSTANT = 1, INSTANT_WEIGHTED = 2 };

static int create_elevation(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    size_t grid = (size_t)md->par.jvalue.ngrid, all = md->special->jvalue.count * grid;
    int rc = gd_md_allocate((void **)&md->special->jvalue_elevation, all, sizeof(double), err);
    if (rc != 0)
        return rc;
    md->special->jvalue_grid = grid;
    if (md->par.jvalue.ntjvra == 0)
        return 0;
    if (conf->num_jvalue_elevations != all)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "JVALUERES: NTJVRA %d with LE 1, but the configuration holds %zu elevations for %zu restraints of NGRID %zu "
                          "(JVALUERESEPS)",
                          md->par.jvalue.ntjvra, conf->num_jvalue_elevations, md->special->jvalue.count, grid);
    memcpy(md->special->jvalue_elevation, conf->jvalue_elevation, all * sizeof(double));
    return 0;
}

int gd_jvalue_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    int mode = md->par.jvalue.ntjvr;
    size_t n = md->res->num_jvalues;
    if (mode == 0)
        return 0;
    if (n == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "JVALUERES: NTJVR %d needs a list of restraints (JVALRESSPEC)", mode);
    if (mode < 0 && md->par.jvalue.taujvr <= 0.0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "JVALUERES: TAUJVR %g must be positive", md->par.jvalue.taujvr);
    if (md->par.jvalue.ntjvra != 0 && mode < 0 && conf->num_jvalue_averages != n)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "JVALUERES: NTJVRA %d, but the configuration holds %zu averages for %zu restraints (JVALUERESEXPAVE)",
                          md->par.jvalue.ntjvra, conf->num_jvalue_averages, n);
    int rc = gd_restraint_values_create(&md->special->jvalue, n, err);
    for (size_t k = 0; k < n && rc == 0; k++)
        md->special->jvalue.average[k] = md->par.jvalue.ntjvra != 0 && mode < 0 ? conf->jvalue_average[k] : md->res->jvalues[k].j0;
    return rc == 0 && md->par.jvalue.le != 0 ? create_elevation(md, conf, err) : rc;
}

/* The deviation beyond the flat bottom. */
static double beyond(double deviation, double width)
{
    if (fabs(deviation) <= width)
        return 0.0;
    return deviation > 0.0 ? deviation - width : deviation + width;
}

/* Half-harmonic restraints: 1 when the value lies on the side that is free. */
static int is_free(const struct gd_jvalue_restraint *restraint, double j)
{
    return (restraint->half_harmonic < 0 && j - restraint->j0 > 0.0) || (restraint->half_harmonic > 0 && j - restraint->j0 <= 0.0);
}

/* Energy, and dV/dJ as it acts on the angle of the moment. */
static double quadratic(const struct gd_md *md, const struct gd_jvalue_restraint *restraint, double average, double gain, double *slope)
{
    int mode = md->par.jvalue.ntjvr;
    double constant = md->par.jvalue.cjvr;
    *slope = 0.0;
    if (is_free(restraint, average))
        return 0.0;
    if (mode == INSTANT_WEIGHTED || mode == AVERAGED_WEIGHTED)
        constant *= restraint->weight;
    double deviation = beyond(average - restraint->j0, md->par.jvalue.delta);
    *slope = constant * deviation;
    if (mode < 0 && md->par.jvalue.njvrtars == 1)
        *slope *= gain;
    return 0.5 * constant * deviation * deviation;
}

static double biquadratic(const struct gd_md *md, const struct gd_jvalue_restraint *restraint, double now, double average, double gain,
                          double *slope)
{
    *slope = 0.0;
    if (is_free(restraint, now) || is_free(restraint, average))
        return 0.0;
    double constant = md->par.jvalue.cjvr * restraint->weight;
    double a = beyond(average - restraint->j0, md->par.jvalue.delta), n = beyond(now - restraint->j0, md->par.jvalue.delta);
    if (a * n < 0.0)
        return 0.0; /* on different sides: no force */
    double share = md->par.jvalue.njvrbiqw == 0 ? 1.0 : md->par.jvalue.njvrbiqw == 1 ? gain : 0.0;
    *slope = constant * n * a * a + share * constant * n * n * a;
    return 0.5 * constant * n * n * a * a;
}

/* What the value of this moment adds to the elevation where the angle is. */
static double elevation_gain(const struct gd_md *md, const struct gd_jvalue_restraint *restraint, double now, double average)
{
    double a = beyond(average - restraint->j0, md->par.jvalue.delta), n = beyond(now - restraint->j0, md->par.jvalue.delta);
    switch (md->par.jvalue.ntjvr) {
    case BIQUADRATIC_WEIGHTED:
        return a * n < 0.0 ? 0.0 : a * a * n * n;
    case AVERAGED:
    case AVERAGED_WEIGHTED:
        return a * a;
    default:
        return n * n;
    }
}

/* Local elevation: Gaussians as wide as the grid's spacing, each as high as the mean over the run's time of the deviations seen at
 * its place. Energy, and dV/dphi in *torque. */
static double elevated(const struct gd_md *md, size_t k, double phi, double gain, double *torque)
{
    const struct gd_jvalue_restraint *restraint = &md->res->jvalues[k];
    const size_t grid = md->special->jvalue_grid;
    double *elevation = md->special->jvalue_elevation + k * grid;
    const double width = 2.0 * GD_PI / (double)grid, constant = md->par.jvalue.cjvr * restraint->weight, time = md->time;
    phi -= 2.0 * GD_PI * floor(phi / (2.0 * GD_PI));
    size_t at = (size_t)(phi / width);
    at = at < grid ? at : grid - 1;
    elevation[at] = time > 0.0 ? ((time - md->par.step.dt) * elevation[at] + gain * md->par.step.dt) / time : 0.0;
    double energy = 0.0;
    *torque = 0.0;
    for (size_t g = 0; g < grid; g++) {
        double off = phi - ((double)g + 0.5) * width;
        off -= 2.0 * GD_PI * rint(off / (2.0 * GD_PI));
        double part = elevation[g] * constant * exp(-off * off / (2.0 * width * width));
        energy += part;
        *torque -= part * off / (width * width);
    }
    return energy;
}

void gd_jvalue_restraints_forces(struct gd_md *md)
{
    struct gd_restraint_values *values = &md->special->jvalue;
    const double gain = md->par.jvalue.ntjvr < 0 ? 1.0 - exp(-md->par.step.dt / md->par.jvalue.taujvr) : 1.0;
    for (size_t k = 0; k < values->count; k++) {
        const struct gd_jvalue_restraint *restraint = &md->res->jvalues[k];
        struct gd_dihedral_geometry g;
        gd_dihedral_geometry(md, restraint->atom, &g);
        double angle = g.phi + restraint->phase * DEGREE, c = cos(angle), s = sin(angle), slope = 0.0, torque = 0.0;
        double now = restraint->a * c * c + restraint->b * c + restraint->c;
        values->value[k] = now;
        values->average[k] = gain * now + (1.0 - gain) * values->average[k];
        if (md->special->jvalue_grid > 0)
            values->energy[k] = elevated(md, k, g.phi, elevation_gain(md, restraint, now, values->average[k]), &torque);
        else if (md->par.jvalue.ntjvr == BIQUADRATIC_WEIGHTED)
            values->energy[k] = biquadratic(md, restraint, now, values->average[k], gain, &slope);
        else
            values->energy[k] = quadratic(md, restraint, values->average[k], gain, &slope);
        md->energies.group_jvalue[md->energy_group[restraint->atom[0]]] += values->energy[k];
        if (md->special->jvalue_grid == 0)
            torque = -slope * (2.0 * restraint->a * c * s + restraint->b * s);
        gd_dihedral_force(md, restraint->atom, &g, torque, 0);
    }
}
