/* Restraints on 3J couplings, J = a cos^2(phi + delta) + b cos(phi + delta) + c: instantaneous, time-averaged, or biquadratic
 * in both, zero within DELTA of the target. Source: GROMOS manual volume 2; Torda et al. 1993; Scott et al. 1998 for the
 * biquadratic form. */
#include "engine/dihedral.h"
#include "engine/special.h"

#define DEGREE (GD_PI / 180.0)

enum { BIQUADRATIC_WEIGHTED = -3, AVERAGED_WEIGHTED = -2, AVERAGED = -1, INSTANT = 1, INSTANT_WEIGHTED = 2 };

int gd_jvalue_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    int mode = md->par.jvalue.ntjvr;
    size_t n = md->res->num_jvalues;
    if (mode == 0)
        return 0;
    if (n == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "JVALUERES: NTJVR %d needs a list of restraints (JVALRESSPEC)", mode);
    if (md->par.jvalue.le != 0)
        return gd_err_set(err, GD_E_UNSUPPORTED, "JVALUERES: LE %d (local elevation) is not available", md->par.jvalue.le);
    if (mode < 0 && md->par.jvalue.taujvr <= 0.0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "JVALUERES: TAUJVR %g must be positive", md->par.jvalue.taujvr);
    if (md->par.jvalue.ntjvra != 0 && mode < 0 && conf->num_jvalue_averages != n)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "JVALUERES: NTJVRA %d, but the configuration holds %zu averages for %zu restraints (JVALUERESEXPAVE)",
                          md->par.jvalue.ntjvra, conf->num_jvalue_averages, n);
    int rc = gd_restraint_values_create(&md->special->jvalue, n, err);
    for (size_t k = 0; k < n && rc == 0; k++)
        md->special->jvalue.average[k] =
            md->par.jvalue.ntjvra != 0 && mode < 0 ? conf->jvalue_average[k] : md->res->jvalues[k].j0;
    return rc;
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
    return (restraint->half_harmonic < 0 && j - restraint->j0 > 0.0) ||
           (restraint->half_harmonic > 0 && j - restraint->j0 <= 0.0);
}

/* Energy, and dV/dJ as it acts on the angle of the moment. */
static double quadratic(const struct gd_md *md, const struct gd_jvalue_restraint *restraint, double average, double gain,
                        double *slope)
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

static double biquadratic(const struct gd_md *md, const struct gd_jvalue_restraint *restraint, double now, double average,
                          double gain, double *slope)
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

void gd_jvalue_restraints_forces(struct gd_md *md)
{
    struct gd_restraint_values *values = &md->special->jvalue;
    const double gain = md->par.jvalue.ntjvr < 0 ? 1.0 - exp(-md->par.step.dt / md->par.jvalue.taujvr) : 1.0;
    for (size_t k = 0; k < values->count; k++) {
        const struct gd_jvalue_restraint *restraint = &md->res->jvalues[k];
        struct gd_dihedral_geometry g;
        gd_dihedral_geometry(md, restraint->atom, &g);
        double angle = g.phi + restraint->phase * DEGREE, c = cos(angle), s = sin(angle), slope;
        double now = restraint->a * c * c + restraint->b * c + restraint->c;
        values->value[k] = now;
        values->average[k] = gain * now + (1.0 - gain) * values->average[k];
        if (md->par.jvalue.ntjvr == BIQUADRATIC_WEIGHTED)
            values->energy[k] = biquadratic(md, restraint, now, values->average[k], gain, &slope);
        else
            values->energy[k] = quadratic(md, restraint, values->average[k], gain, &slope);
        md->energies.group_jvalue[md->energy_group[restraint->atom[0]]] += values->energy[k];
        gd_dihedral_force(md, restraint->atom, &g, -slope * (2.0 * restraint->a * c * s + restraint->b * s), 0);
    }
}
