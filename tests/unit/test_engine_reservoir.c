/* Total energy + reservoir is conserved, whatever is coupled: as well as the total is when nothing is. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/md_internal.h"
#include "proto/gd_energies.h"
#include "test_engine_systems.h"

#define STEPS 600
#define QUARTER (STEPS / 4)

/* Steps of the scheme verlet at 2 fs; a conductor beyond the cutoff, so that forces end smoothly. */
static void make_water(struct test_system *s)
{
    struct gd_err err = {0};
    test_water_create(s, 4, 8);
    s->par.pairlist.scheme = GD_SCHEME_VERLET;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = 0.56;
    s->par.nonbonded.epsrf = 0.0;
    test_couple(s, GD_THERMOSTAT_WEAK_COUPLING, 0.01);
    struct gd_md *md = test_run(s, 1);
    test_steps(md, 1000);
    gd_configuration_destroy(&s->conf);
    cr_assert_eq(gd_md_get_configuration(md, &s->conf, &err), 0, "%s", err.text);
    gd_md_destroy(&md);
    s->par.multibath.thermostat = GD_THERMOSTAT_NONE;
    s->par.multibath.bath[0] = (struct gd_bath){330.0, 0.05};
    s->par.constraint.solvent_tolerance = 1e-10;
}

struct record {
    double conserved; /* mean of the last quarter less that of the first, kJ/mol */
    double ripple;    /* of the conserved energy about its mean */
    double exchanged; /* largest size of the reservoir */
};

static struct record record(const struct test_system *s)
{
    struct gd_md *md = test_run(s, 1);
    struct record r = {0.0, 0.0, 0.0};
    double sum = 0.0, square = 0.0, numbers[256], first = 0.0;
    cr_assert_leq(gd_energies_count(gd_md_num_baths(md), 1), sizeof numbers / sizeof numbers[0]);
    for (int k = 0; k < STEPS; k++) {
        test_steps(md, 1);
        gd_md_energy_vector(md, numbers);
        double taken = numbers[GD_ENERGY_RESERVOIR], conserved = gd_md_energies(md)->total + taken;
        first = k == 0 ? conserved : first;
        sum += conserved - first;
        square += (conserved - first) * (conserved - first);
        r.conserved += k < QUARTER ? -conserved / QUARTER : k >= STEPS - QUARTER ? conserved / QUARTER : 0.0;
        r.exchanged = fmax(r.exchanged, fabs(taken));
    }
    r.ripple = sqrt(square / STEPS - sum / STEPS * sum / STEPS);
    gd_md_destroy(&md);
    return r;
}

/* What leap-frog and the pairs that cross the cutoff make of the energy of 64 molecules in 1.2 ps: about 0.5
 * kJ/mol; and the mean of two half steps' kinetic energies is off by 0.6 % of what it has risen, at 2 fs.
 * Exchanges are tens of kJ/mol, so that one that is counted wrongly by some per cent shows. */
static void check(const struct test_system *s, const char *what)
{
    struct record r = record(s);
    cr_expect_lt(fabs(r.conserved), 0.6 + 0.006 * r.exchanged, "%s: %g of %g kJ/mol", what, r.conserved, r.exchanged);
    cr_expect_lt(r.ripple, 0.7 + 0.003 * r.exchanged, "%s: %g", what, r.ripple);
    cr_expect_gt(r.exchanged, 15.0, "%s: %g", what, r.exchanged);
}

static const enum gd_integrator integrators[] = {GD_INTEGRATOR_LEAP_FROG, GD_INTEGRATOR_VELOCITY_VERLET};

Test(engine_reservoir, nothing_coupled)
{
    struct test_system s;
    make_water(&s);
    for (int k = 0; k < 2; k++) {
        s.par.integrator = integrators[k];
        struct record r = record(&s);
        cr_expect_lt(fabs(r.conserved), 0.8, "%g", r.conserved);
        cr_expect_lt(r.ripple, 0.8, "%g", r.ripple);
        cr_expect_eq(r.exchanged, 0.0);
    }
    test_system_destroy(&s);
}

/* From 300 K to baths of 330 K. */
Test(engine_reservoir, thermostats)
{
    struct test_system s;
    make_water(&s);
    for (int k = 0; k < 2; k++)
        for (int thermostat = GD_THERMOSTAT_WEAK_COUPLING; thermostat <= GD_THERMOSTAT_BUSSI; thermostat++) {
            s.par.integrator = integrators[k];
            s.par.multibath.thermostat = (enum gd_thermostat)thermostat;
            char what[64];
            snprintf(what, sizeof what, "integrator %d, thermostat %d", k, thermostat);
            check(&s, what);
        }
    test_system_destroy(&s);
}

/* Centres of mass to one bath, rotation to another. */
Test(engine_reservoir, two_baths_of_the_same_atoms)
{
    struct test_system s;
    make_water(&s);
    s.par.multibath.thermostat = GD_THERMOSTAT_BUSSI;
    s.par.multibath.num_baths = 2;
    s.par.multibath.bath[1] = (struct gd_bath){270.0, 0.1};
    s.par.multibath.dof_set[0].ir_bath = 1;
    check(&s, "two baths");
    test_system_destroy(&s);
}

static void couple_pressure(struct test_system *s, enum gd_barostat barostat, enum gd_pressure_scale scale)
{
    s->par.multibath.thermostat = GD_THERMOSTAT_BUSSI;
    s->par.multibath.bath[0] = (struct gd_bath){300.0, 0.1};
    s->par.pressure.couple = GD_PRESSURE_SCALE;
    s->par.pressure.barostat = barostat;
    s->par.pressure.scale = scale;
    s->par.pressure.tau = 0.5;
    s->par.pressure.compressibility = 4.575e-4;
    memset(s->par.pressure.reference, 0, sizeof s->par.pressure.reference);
}

/* With constraints weak coupling's other forms are not exact. */
Test(engine_reservoir, barostats)
{
    const struct {
        enum gd_barostat barostat;
        enum gd_pressure_scale scale;
        enum gd_integrator integrator;
    } cases[] = {
        {GD_BAROSTAT_STOCHASTIC_CELL, GD_SCALE_ISO, GD_INTEGRATOR_LEAP_FROG},
        {GD_BAROSTAT_STOCHASTIC_CELL, GD_SCALE_ISO, GD_INTEGRATOR_VELOCITY_VERLET},
        {GD_BAROSTAT_STOCHASTIC_CELL, GD_SCALE_ANISO, GD_INTEGRATOR_LEAP_FROG},
        {GD_BAROSTAT_STOCHASTIC_CELL, GD_SCALE_ANISO, GD_INTEGRATOR_VELOCITY_VERLET},
        {GD_BAROSTAT_PARRINELLO_RAHMAN, GD_SCALE_ISO, GD_INTEGRATOR_LEAP_FROG},
        {GD_BAROSTAT_PARRINELLO_RAHMAN, GD_SCALE_ANISO, GD_INTEGRATOR_LEAP_FROG},
        {GD_BAROSTAT_BERENDSEN, GD_SCALE_ISO, GD_INTEGRATOR_LEAP_FROG},
        {GD_BAROSTAT_BERENDSEN, GD_SCALE_ISO, GD_INTEGRATOR_VELOCITY_VERLET},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct test_system s;
        make_water(&s);
        couple_pressure(&s, cases[k].barostat, cases[k].scale);
        s.par.integrator = cases[k].integrator;
        char what[64];
        snprintf(what, sizeof what, "case %zu", k);
        check(&s, what);
        test_system_destroy(&s);
    }
}

struct flatness {
    double ripple;    /* of the conserved energy about its mean, kJ/mol */
    double off;       /* of the reservoir from what the box has gained, at most */
    double exchanged; /* what the box has gained, at most */
};

/* 0.4 ps of water under 2000 bar with a light box and no thermostat. What the box has at step n: the kinetic energies of the half steps
 * around it, and P0 V(n). */
static struct flatness box_in_motion(enum gd_pressure_scale scale, double dt)
{
    const double reference = 120.0;
    struct test_system s;
    make_water(&s);
    couple_pressure(&s, GD_BAROSTAT_PARRINELLO_RAHMAN, scale);
    s.par.multibath.bath[0].tau = -1.0;
    s.par.pressure.tau = 0.2;
    for (int d = 0; d < 3; d++)
        s.par.pressure.reference[d][d] = reference;
    s.par.step.dt = dt;
    struct gd_md *md = test_run(&s, 1);
    struct flatness f = {0.0, 0.0, 0.0};
    double numbers[256], sum = 0.0, square = 0.0, total0 = 0.0, box0 = 0.0, taken0 = 0.0;
    const int steps = (int)lround(0.4 / dt);
    test_steps(md, 1);
    for (int k = 0; k < steps; k++) {
        double volume = gd_md_volume(md), behind = gd_barostat_parrinello_energy(md) - reference * volume;
        test_steps(md, 1);
        double ahead = gd_barostat_parrinello_energy(md) - reference * gd_md_volume(md);
        double box = 0.5 * (behind + ahead) + reference * volume;
        gd_md_energy_vector(md, numbers);
        double taken = numbers[GD_ENERGY_RESERVOIR], total = gd_md_energies(md)->total + taken;
        if (k == 0) {
            total0 = total;
            box0 = box;
            taken0 = taken;
        }
        sum += total - total0;
        square += (total - total0) * (total - total0);
        f.off = fmax(f.off, fabs(taken - taken0 - (box - box0)));
        f.exchanged = fmax(f.exchanged, fabs(box - box0));
    }
    f.ripple = sqrt(square / steps - sum / steps * sum / steps);
    gd_md_destroy(&md);
    test_system_destroy(&s);
    return f;
}

/* Parrinello and Rahman's box has an energy of its own, 1/2 M X'^2 + P0 V, and the particles' with it is conserved to the square of the
 * time step; what the reservoir counts is that of the box, to the same order. */
Test(engine_reservoir, is_the_energy_of_parrinello_and_rahmans_box)
{
    const enum gd_pressure_scale scales[] = {GD_SCALE_ISO, GD_SCALE_ANISO};
    for (int k = 0; k < 2; k++) {
        struct flatness coarse = box_in_motion(scales[k], 0.001), fine = box_in_motion(scales[k], 0.0005);
        cr_expect_gt(coarse.exchanged, 5.0, "scale %d: the box has gained %g", scales[k], coarse.exchanged);
        cr_expect_lt(coarse.ripple, 0.02 * coarse.exchanged, "scale %d: %g of %g", scales[k], coarse.ripple, coarse.exchanged);
        cr_expect(coarse.ripple / fine.ripple > 3.2 && coarse.ripple / fine.ripple < 4.8, "scale %d: conserved to %g and %g", scales[k],
                  coarse.ripple, fine.ripple);
        cr_expect(coarse.off / fine.off > 3.2 && coarse.off / fine.off < 4.8, "scale %d: counted to %g and %g", scales[k], coarse.off,
                  fine.off);
    }
}

/* Friction of 10 ps^-1 takes up the difference to a bath of 400 K in some tenths of a ps. */
Test(engine_reservoir, stochastic_dynamics)
{
    struct test_system s;
    make_water(&s);
    s.par.multibath.present = 0;
    s.par.stochastic.ntsd = s.par.stochastic.ntfr = 1;
    s.par.stochastic.cfric = 10.0;
    s.par.stochastic.tempsd = 400.0;
    s.par.initialise.ntisti = 1;
    s.par.constraint.solvent = GD_CONSTRAINT_SHAKE;
    check(&s, "stochastic dynamics");
    test_system_destroy(&s);
}

/* A box in motion: what is taken off is p^2 / 2M, once. */
Test(engine_reservoir, removed_motion)
{
    struct test_system s;
    make_water(&s);
    s.par.multibath.present = 0;
    s.par.com.nscm = 100;
    double momentum2 = 0.0, mass = 64 * 18.0154;
    for (size_t i = 0; i < 192; i++)
        s.conf->velocity[i][0] += 0.5;
    for (int d = 0; d < 3; d++) {
        double sum = 0.0;
        for (size_t i = 0; i < 192; i++)
            sum += (i % 3 == 0 ? 15.9994 : 1.008) * s.conf->velocity[i][d];
        momentum2 += sum * sum;
    }
    struct record r = record(&s);
    cr_expect_lt(fabs(r.conserved), 0.8, "%g", r.conserved);
    cr_expect_float_eq(r.exchanged, 0.5 * momentum2 / mass, 1e-6 * r.exchanged, "%g %g", r.exchanged, 0.5 * momentum2 / mass);
    test_system_destroy(&s);
}

/* Nose and Hoover have an extended energy of their own, N kT (tau^2 zeta^2 / 2 + the integral of zeta): the
 * same to first order in the step, in which zeta is integrated. */
Test(engine_reservoir, is_the_extended_energy_of_nose_hoover)
{
    struct test_system s;
    make_water(&s);
    s.par.multibath.thermostat = GD_THERMOSTAT_NOSE_HOOVER;
    struct gd_md *md = test_run(&s, 1);
    double numbers[256], integral = 0.0, most = 0.0;
    const double dt = s.par.step.dt, tau = s.par.multibath.bath[0].tau;
    for (int k = 0; k < STEPS; k++) {
        test_steps(md, 1);
        const struct gd_md_bath *bath = gd_md_bath(md, 0);
        double nkt = bath->dof * s.top->boltzmann * bath->reference, zeta = bath->zeta[0];
        integral += 0.5 * zeta * dt;
        double extended = nkt * (0.5 * tau * tau * zeta * zeta + integral);
        integral += 0.5 * zeta * dt;
        gd_md_energy_vector(md, numbers);
        most = fmax(most, fabs(extended));
        cr_expect_float_eq(numbers[GD_ENERGY_RESERVOIR], extended, 6.0, "step %d: %g %g", k, numbers[GD_ENERGY_RESERVOIR], extended);
    }
    cr_expect_gt(most, 60.0, "%g", most);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* A step that fails has taken nothing. */
Test(engine_reservoir, a_failed_step_counts_nothing)
{
    struct test_system s;
    struct gd_err err = {0};
    make_water(&s);
    s.par.multibath.thermostat = GD_THERMOSTAT_WEAK_COUPLING;
    struct gd_md *md = test_run(&s, 1);
    test_steps(md, 10);
    struct gd_reservoir before = md->reservoir;
    md->vel[3][0] = 1e6;
    cr_expect_eq(gd_md_step(md, &err), GD_E_SIMULATION_FAILED);
    cr_expect_eq(memcmp(&before, &md->reservoir, sizeof before), 0);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}
