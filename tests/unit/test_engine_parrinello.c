/* The barostat of Parrinello and Rahman: an ideal gas against its equations solved by another method, the
 * conserved quantity with forces, the volume's distribution, continuation, refusals. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/md_internal.h"
#include "test_engine_systems.h"

/* An ideal gas whose pressure differs from axis to axis, at 300 K or so. */
static void ideal_gas(struct test_system *s, enum gd_pressure_scale scale, double dt)
{
    test_ideal_gas_create(s, dt);
    s->par.pressure.scale = scale;
    s->par.pressure.barostat = GD_BAROSTAT_PARRINELLO_RAHMAN;
    s->par.pressure.tau = 0.5;
    unsigned seed = 5;
    for (size_t m = 0; m < 27; m++) /* velocities of the molecules as wholes, more along x than along z */
        for (int d = 0; d < 3; d++) {
            double v = (1.6 - 0.4 * d) * (test_random(&seed) - 0.5);
            for (size_t k = 0; k < 3; k++)
                s->conf->velocity[3 * m + k][d] = v;
        }
}

/* The same by Runge-Kutta. An axis' kinetic energy goes as 1 / edge^2; a set of k axes has one relative size
 * y (its edges' product over the start's) with the inertia 3 V0 (tau / 2 pi)^2 / (k beta). */
struct box_motion {
    int set[3], count[3]; /* the set of each axis; axes in each set */
    double kinetic[3], edge, inertia[3], reference;
    double y[3], velocity[3]; /* of sets */
};

static void accelerate(const struct box_motion *b, const double y[3], double out[3])
{
    double edge[3], volume = 1.0, sum[3] = {0.0, 0.0, 0.0};
    for (int d = 0; d < 3; d++) {
        edge[d] = b->edge * pow(y[b->set[d]], 1.0 / b->count[b->set[d]]);
        volume *= edge[d];
    }
    for (int d = 0; d < 3; d++)
        sum[b->set[d]] += 2.0 * b->kinetic[d] * (b->edge / edge[d]) * (b->edge / edge[d]) / volume - b->reference;
    for (int k = 0; k < 3; k++)
        out[k] = b->count[k] > 0 ? volume / y[k] * sum[k] / b->count[k] / b->inertia[k] : 0.0;
}

static void runge_kutta(struct box_motion *b, double dt)
{
    double v[4][3], a[4][3], y[3];
    for (int stage = 0; stage < 4; stage++) {
        double h = stage == 0 ? 0.0 : stage == 3 ? dt : 0.5 * dt;
        for (int k = 0; k < 3; k++) {
            y[k] = b->y[k] + (stage > 0 ? h * v[stage - 1][k] : 0.0);
            v[stage][k] = b->velocity[k] + (stage > 0 ? h * a[stage - 1][k] : 0.0);
        }
        accelerate(b, y, a[stage]);
    }
    for (int k = 0; k < 3; k++) {
        b->y[k] += dt / 6.0 * (v[0][k] + 2.0 * v[1][k] + 2.0 * v[2][k] + v[3][k]);
        b->velocity[k] += dt / 6.0 * (a[0][k] + 2.0 * a[1][k] + 2.0 * a[2][k] + a[3][k]);
    }
}

/* The largest difference of an edge over 0.4 ps, nm. */
static double compare(enum gd_pressure_scale scale, double dt, double *moved)
{
    struct test_system s;
    ideal_gas(&s, scale, dt);
    static const int sets[][3] = {[GD_SCALE_ISO] = {0, 0, 0}, [GD_SCALE_ANISO] = {0, 1, 2}, [GD_SCALE_SEMIANISO] = {0, 0, 2}};
    struct box_motion b = {.edge = 3.0, .reference = s.par.pressure.reference[0][0], .y = {1.0, 1.0, 1.0}};
    s.par.pressure.semi[0] = s.par.pressure.semi[1] = 1;
    s.par.pressure.semi[2] = 2;
    for (int d = 0; d < 3; d++) {
        b.set[d] = sets[scale][d];
        b.count[b.set[d]]++;
        for (size_t m = 0; m < 27; m++)
            b.kinetic[d] += 0.5 * (15.9994 + 2.016) * s.conf->velocity[3 * m][d] * s.conf->velocity[3 * m][d];
    }
    double first[3], time = s.par.pressure.tau / (2.0 * GD_PI), worst = 0.0;
    for (int k = 0; k < 3; k++)
        b.inertia[k] = b.count[k] > 0 ? 3.0 * 27.0 * time * time / (b.count[k] * s.par.pressure.compressibility) : 1.0;
    accelerate(&b, b.y, first);
    for (int k = 0; k < 3; k++)
        b.velocity[k] = 0.5 * dt * first[k]; /* the run's is zero half a step before the start */
    struct gd_md *md = test_run(&s, 1);
    *moved = 0.0;
    for (int n = 0; n < (int)lround(0.4 / dt); n++) {
        test_steps(md, 1);
        for (int part = 0; part < 4; part++)
            runge_kutta(&b, dt / 4.0);
        for (int d = 0; d < 3; d++) {
            double edge = 3.0 * pow(b.y[b.set[d]], 1.0 / b.count[b.set[d]]);
            worst = fmax(worst, fabs(gd_md_box(md)->vectors[d][d] - edge));
            *moved = fmax(*moved, fabs(edge - 3.0));
        }
    }
    gd_md_destroy(&md);
    test_system_destroy(&s);
    return worst;
}

Test(engine_parrinello, an_ideal_gas_by_another_method)
{
    const enum gd_pressure_scale scales[] = {GD_SCALE_ISO, GD_SCALE_ANISO, GD_SCALE_SEMIANISO};
    for (int k = 0; k < 3; k++) {
        double moved, coarse = compare(scales[k], 0.002, &moved), fine = compare(scales[k], 0.001, &moved);
        cr_expect_gt(moved, 0.05, "scale %d: the box moved by %g", scales[k], moved);
        cr_expect_lt(fine, 1e-4 * moved, "scale %d: off by %g of %g", scales[k], fine, moved);
        cr_expect(coarse / fine > 3.5 && coarse / fine < 4.5, "scale %d: not of second order: %g and %g", scales[k], coarse, fine);
    }
}

/* Two atoms on a soft spring, many times: the atomic virial and the molecular one conserve H = K + U + box.
 */
Test(engine_parrinello, conserves_energy_with_forces)
{
    const enum gd_virial virials[] = {GD_VIRIAL_ATOMIC, GD_VIRIAL_MOLECULAR};
    for (int k = 0; k < 2; k++) {
        struct test_system s;
        test_molecule_create(&s, GD_BOX_RECTANGULAR, 6);
        memset(s.top->lj, 0, 4 * sizeof *s.top->lj);
        memset(s.top->charge, 0, s.top->num_atoms * sizeof *s.top->charge);
        s.top->num_lj_exceptions = 0;
        for (int t = 0; t < 2; t++) {
            s.top->bond_types[t].quartic *= 0.01;
            s.top->bond_types[t].harmonic *= 0.01;
        }
        s.par.step.dt = 0.0002;
        s.par.pairlist.rcutp = s.par.pairlist.rcutl = s.par.nonbonded.rcrf = 0.3; /* nothing is within it that counts */
        s.par.pressure.couple = GD_PRESSURE_SCALE;
        s.par.pressure.scale = GD_SCALE_ISO;
        s.par.pressure.virial = virials[k];
        s.par.pressure.barostat = GD_BAROSTAT_PARRINELLO_RAHMAN;
        s.par.pressure.tau = 0.4;
        s.par.pressure.compressibility = 1.0;
        s.par.pressure.reference[0][0] = 0.8;
        struct gd_md *md = test_run(&s, 1);
        /* the box moves at half steps, its volume stands a step ahead: the mean of two steps is that of the
         * step, nearly */
        double low = 1e300, high = -1e300, box_low = 1e300, box_high = -1e300, previous;
        test_steps(md, 1);
        previous = gd_barostat_parrinello_energy(md);
        for (int n = 0; n < 3000; n++) {
            test_steps(md, 1);
            double now = gd_barostat_parrinello_energy(md), box = 0.5 * (now + previous);
            double conserved = gd_md_energies(md)->kinetic + gd_md_energies(md)->potential + box;
            previous = now;
            low = fmin(low, conserved);
            high = fmax(high, conserved);
            box_low = fmin(box_low, box);
            box_high = fmax(box_high, box);
        }
        cr_expect_gt(box_high - box_low, 3.0, "the box's energy changed by %g", box_high - box_low);
        cr_expect_lt(high - low, 0.01 * (box_high - box_low), "virial %d: H from %.9g to %.9g, the box's part by %g", virials[k], low, high,
                     box_high - box_low);
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* With a thermostat on the translation, volumes of the ideal gas follow V^N exp(-P V / kT): mean (N + 1) kT /
 * P, variance (N + 1) (kT / P)^2. */
Test(engine_parrinello, samples_the_volume)
{
    struct test_system s;
    ideal_gas(&s, GD_SCALE_ISO, 0.004);
    s.par.pressure.tau = 0.2;
    test_ideal_gas_volume(&s);
    test_system_destroy(&s);
}

Test(engine_parrinello, goes_on_bit_for_bit)
{
    struct test_system s;
    struct gd_err err = {0};
    ideal_gas(&s, GD_SCALE_ANISO, 0.002);
    struct gd_md *whole = test_run(&s, 1), *second = test_run(&s, 1);
    test_steps(whole, 30);
    void *saved = malloc(gd_md_state_size(whole));
    gd_md_save_state(whole, saved);
    cr_assert_eq(gd_md_load_state(second, saved, gd_md_state_size(whole), &err), 0, "%s", err.text);
    test_steps(whole, 30);
    test_steps(second, 30);
    cr_expect_eq(memcmp(gd_md_box(second), gd_md_box(whole), sizeof(struct gd_box)), 0);
    cr_expect_eq(memcmp(gd_md_positions(second), gd_md_positions(whole), gd_md_num_atoms(whole) * sizeof(gd_vec3)), 0);
    free(saved);
    gd_md_destroy(&whole);
    gd_md_destroy(&second);
    test_system_destroy(&s);
}

Test(engine_parrinello, refuses_what_it_does_not_do)
{
    struct test_system s;
    ideal_gas(&s, GD_SCALE_FULL, 0.002);
    test_refused(&s, GD_E_UNSUPPORTED, "in full");
    s.par.pressure.scale = GD_SCALE_ISO;
    s.par.integrator = GD_INTEGRATOR_VELOCITY_VERLET;
    test_refused(&s, GD_E_UNSUPPORTED, "stochastic-cell");
    s.par.integrator = GD_INTEGRATOR_LEAP_FROG;
    s.par.pressure.virial = GD_VIRIAL_ATOMIC;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "VIRIAL molecular");
    test_system_destroy(&s);
}
