/* Nose-Hoover and its chains on molecules that do not see each other: all velocities are scaled alike, so that the kinetic energy and the
 * thermostat follow equations of their own, which are solved here another way. With r = K / K0, K0 = n kT / 2, masses Q1 = n kT tau^2 and
 * Qk = kT tau^2:
 *   r' = -2 z1 r,  z1' = (r - 1) / tau^2 - z1 z2,  z2' = (n tau^2 z1^2 - 1) / tau^2 - z2 z3,  z3' = (tau^2 z2^2 - 1) / tau^2.
 * Source: Hoover, Phys. Rev. A 31 (1985) 1695; Martyna, Klein and Tuckerman, J. Chem. Phys. 97 (1992) 2635. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/md_internal.h"
#include "test_engine_systems.h"

#define TAU 0.1

/* r, z1, z2, z3 */
static void change(int chain, double dof, const double y[4], double rate[4])
{
    rate[0] = -2.0 * y[1] * y[0];
    rate[1] = (y[0] - 1.0) / (TAU * TAU) - (chain ? y[1] * y[2] : 0.0);
    rate[2] = chain ? (dof * TAU * TAU * y[1] * y[1] - 1.0) / (TAU * TAU) - y[2] * y[3] : 0.0;
    rate[3] = chain ? (TAU * TAU * y[2] * y[2] - 1.0) / (TAU * TAU) : 0.0;
}

static void runge_kutta(int chain, double dof, double y[4], double dt)
{
    static const double share[4] = {1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0}, ahead[4] = {0.5, 0.5, 1.0, 0.0};
    double at[4], sum[4] = {0.0}, rate[4];
    memcpy(at, y, sizeof at);
    for (int stage = 0; stage < 4; stage++) {
        change(chain, dof, at, rate);
        for (int k = 0; k < 4; k++) {
            sum[k] += share[stage] * dt * rate[k];
            at[k] = y[k] + ahead[stage] * dt * rate[k];
        }
    }
    for (int k = 0; k < 4; k++)
        y[k] += sum[k];
}

static double ratio(const struct gd_md *md)
{
    const struct gd_md_bath *bath = gd_md_bath(md, 0);
    return 2.0 * bath->kinetic_new / (bath->dof * md->top->boltzmann * bath->reference);
}

/* A gas with r times the kinetic energy of the bath. */
static struct gd_md *gas(enum gd_thermostat thermostat, double dt, double r)
{
    struct test_system s;
    test_ideal_gas_create(&s, dt);
    s.par.pressure.couple = GD_PRESSURE_OFF;
    s.par.constraint.solvent_tolerance = 1e-12;
    test_couple(&s, thermostat, TAU);
    struct gd_md *md = test_run(&s, 1);
    s.par.multibath.bath[0].temperature *= ratio(md) / r;
    gd_md_destroy(&md);
    md = test_run(&s, 1);
    test_system_destroy(&s);
    return md;
}

/* The largest distance of r from the equations over 2 ps; velocities are at half steps, the thermostat at whole ones. */
static double worst(int chain, double dt)
{
    struct gd_md *md = gas(chain ? GD_THERMOSTAT_NOSE_HOOVER_CHAINS : GD_THERMOSTAT_NOSE_HOOVER, dt, 1.3);
    double y[4] = {ratio(md), 0.0, 0.0, 0.0}, dof = gd_md_bath(md, 0)->dof, rate[4], most = 0.0;
    change(chain, dof, y, rate);
    for (int k = 1; k < 4; k++)
        y[k] = 0.5 * dt * rate[k];
    for (int n = 0; n < (int)lround(2.0 / dt); n++) {
        test_steps(md, 1);
        runge_kutta(chain, dof, y, dt);
        most = fmax(most, fabs(ratio(md) - y[0]));
    }
    gd_md_destroy(&md);
    return most;
}

/* From r = 1.3 by Euler steps, to first order in the step: the short times of a chain make its error the larger one. */
Test(engine_nose_hoover, follows_its_equations)
{
    for (int chain = 0; chain < 2; chain++) {
        double coarse = worst(chain, 0.001), fine = worst(chain, 0.0005);
        cr_expect_lt(coarse, chain ? 0.03 : 5e-4, "chain %d: %g", chain, coarse);
        cr_expect(coarse / fine > 1.8 && coarse / fine < 2.5, "chain %d: %g and %g", chain, coarse, fine);
    }
}

/* Little off, the kinetic energy of a gas swings with the period sqrt(2) pi tau. */
Test(engine_nose_hoover, swings_with_the_period_of_its_mass)
{
    const double dt = 0.001;
    struct gd_md *md = gas(GD_THERMOSTAT_NOSE_HOOVER, dt, 1.02);
    double before = ratio(md), first = 0.0, last = 0.0;
    int swings = -1;
    for (int n = 0; n < 5000; n++) {
        test_steps(md, 1);
        double now = ratio(md);
        if (before < 1.0 && now >= 1.0) {
            last = n + (1.0 - before) / (now - before);
            first = swings < 0 ? last : first;
            swings++;
        }
        before = now;
    }
    cr_expect_geq(swings, 10);
    cr_expect_float_eq((last - first) * dt / swings, sqrt(2.0) * GD_PI * TAU, 1e-4 * TAU, "%g ps", (last - first) * dt / swings);
    gd_md_destroy(&md);
}
