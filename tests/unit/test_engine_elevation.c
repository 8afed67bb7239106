/* Local elevation of J-value restraints: against its formulas worked out here, forces against differences, continuation. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/md_internal.h"
#include "test_engine_systems.h"

#define GRID 12
#define DEGREE (GD_PI / 180.0)

static const struct gd_jvalue_restraint restraints[2] = {
    {.atom = {0, 1, 2, 3}, .weight = 1.5, .j0 = 7.3, .phase = -60.0, .a = 9.4, .b = -1.1, .c = 0.4},
    {.atom = {2, 3, 4, 5}, .weight = 0.5, .j0 = 2.0, .phase = 120.0, .a = 6.0, .b = 0.3, .c = 1.4},
};

static void restrained_molecule(struct test_system *s, int mode)
{
    struct gd_err err = {0};
    test_molecule_create(s, GD_BOX_VACUUM, 6);
    s->par.step.dt = 0.0005;
    s->par.jvalue.ntjvr = mode;
    s->par.jvalue.cjvr = 3.0;
    s->par.jvalue.taujvr = 0.01;
    s->par.jvalue.delta = 0.3;
    s->par.jvalue.le = 1;
    s->par.jvalue.ngrid = GRID;
    cr_assert_eq(gd_restraints_resize(s->res, GD_REST_JVALUES, 2, &err), 0, "%s", err.text);
    memcpy(s->res->jvalues, restraints, sizeof restraints);
}

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* IUPAC, 0 to 2 pi. */
static double dihedral(const double (*x)[3], const int32_t atom[4])
{
    double b[3][3], m[3], n[3], t[3];
    for (int k = 0; k < 3; k++)
        for (int d = 0; d < 3; d++)
            b[k][d] = x[atom[k + 1]][d] - x[atom[k]][d];
    cross(b[0], b[1], m);
    cross(b[1], b[2], n);
    cross(m, n, t);
    double phi = atan2(gd_vec3_dot(t, b[1]) / gd_vec3_norm(b[1]), gd_vec3_dot(m, n));
    return phi < 0.0 ? phi + 2.0 * GD_PI : phi;
}

static double coupling(const struct gd_jvalue_restraint *r, double phi)
{
    double c = cos(phi + r->phase * DEGREE);
    return r->a * c * c + r->b * c + r->c;
}

static double flat(double off)
{
    return fabs(off) <= 0.3 ? 0.0 : off > 0.0 ? off - 0.3 : off + 0.3;
}

static double potential(const struct gd_jvalue_restraint *r, const double *elevation, double phi)
{
    double width = 2.0 * GD_PI / GRID, sum = 0.0;
    for (int g = 0; g < GRID; g++) {
        double off = fabs(phi - (g + 0.5) * width);
        off = off > GD_PI ? 2.0 * GD_PI - off : off;
        sum += 3.0 * r->weight * elevation[g] * exp(-0.5 * off * off / (width * width));
    }
    return sum;
}

Test(engine_elevation, grows_where_the_angle_has_been)
{
    const int modes[] = {-3, -1, 1};
    for (int k = 0; k < 3; k++) {
        struct test_system s;
        restrained_molecule(&s, modes[k]);
        struct gd_md *md = test_run(&s, 1);
        double elevation[2][GRID] = {{0.0}}, average[2] = {restraints[0].j0, restraints[1].j0}, most = 0.0;
        double gain = modes[k] < 0 ? 1.0 - exp(-s.par.step.dt / 0.01) : 1.0;
        for (int n = 0; n < 400; n++) {
            double phi[2], expected = 0.0, time = n * s.par.step.dt;
            for (int r = 0; r < 2; r++)
                phi[r] = dihedral(gd_md_positions(md), restraints[r].atom);
            test_steps(md, 1);
            for (int r = 0; r < 2; r++) {
                double now = coupling(&restraints[r], phi[r]);
                average[r] += gain * (now - average[r]);
                double a = flat(average[r] - restraints[r].j0), i = flat(now - restraints[r].j0);
                double grows = modes[k] == -3 ? (a * i < 0.0 ? 0.0 : a * a * i * i) : modes[k] < 0 ? a * a : i * i;
                double *at = &elevation[r][(int)(phi[r] / (2.0 * GD_PI) * GRID)];
                *at = n > 0 ? ((time - s.par.step.dt) * *at + s.par.step.dt * grows) / time : 0.0;
                expected += potential(&restraints[r], elevation[r], phi[r]);
            }
            cr_expect_float_eq(gd_md_energies(md)->jvalue, expected, 1e-9 * (1.0 + expected), "mode %d, step %d", modes[k], n);
            most = fmax(most, expected);
        }
        struct gd_md_restraint_report report = gd_md_restraint_report(md);
        cr_assert_eq(report.jvalue_grid, GRID);
        for (int r = 0; r < 2; r++)
            for (int g = 0; g < GRID; g++)
                cr_expect_float_eq(report.jvalue_elevation[r * GRID + g], elevation[r][g], 1e-9 * (1.0 + elevation[r][g]));
        cr_expect_gt(most, 0.1, "mode %d: %g", modes[k], most);
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* The configuration's own elevations (NTJVRA 1); at time 0 only the place of the angle is emptied. */
static void given_elevations(struct test_system *s)
{
    struct gd_err err = {0};
    restrained_molecule(s, 2);
    s->par.jvalue.ntjvra = 1;
    cr_assert_eq(gd_configuration_set_jvalue_elevations(s->conf, 2 * GRID, &err), 0);
    for (int g = 0; g < 2 * GRID; g++)
        s->conf->jvalue_elevation[g] = 2.0 + sin(3.0 * g);
}

Test(engine_elevation, forces_are_minus_the_gradient)
{
    struct test_system s;
    struct gd_err err = {0};
    given_elevations(&s);
    s.par.force.bond = s.par.force.angle = s.par.force.improper = s.par.force.dihedral = 0;
    memset(s.top->lj, 0, 4 * sizeof *s.top->lj);
    memset(s.top->charge, 0, s.top->num_atoms * sizeof *s.top->charge);
    s.top->num_lj_exceptions = 0;
    struct gd_md *md = test_run(&s, 1);
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    double force[6][3], largest = 0.0;
    memcpy(force, gd_md_forces(md), sizeof force);
    gd_md_destroy(&md);
    for (int i = 0; i < 6; i++)
        for (int d = 0; d < 3; d++) {
            double energy[2], at = s.conf->position[i][d];
            for (int k = 0; k < 2; k++) {
                s.conf->position[i][d] = at + (k ? 1e-6 : -1e-6);
                md = test_run(&s, 1);
                cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
                energy[k] = gd_md_energies(md)->jvalue;
                gd_md_destroy(&md);
            }
            s.conf->position[i][d] = at;
            cr_expect_float_eq(force[i][d], (energy[0] - energy[1]) / 2e-6, 1e-4, "atom %d: %g", i + 1, force[i][d]);
            largest = fmax(largest, fabs(force[i][d]));
        }
    cr_expect_gt(largest, 1.0);
    test_system_destroy(&s);
}

Test(engine_elevation, goes_on_from_a_configuration_and_bit_for_bit)
{
    struct test_system s;
    struct gd_err err = {0};
    given_elevations(&s);
    s.par.step.t0 = -1.0;
    struct gd_md *md = test_run(&s, 1), *second = NULL;
    test_steps(md, 20);
    struct gd_configuration *reached = NULL;
    cr_assert_eq(gd_md_get_configuration(md, &reached, &err), 0, "%s", err.text);
    cr_assert_eq(reached->num_jvalue_elevations, 2 * GRID);
    gd_configuration_destroy(&s.conf);
    s.conf = reached;
    second = test_run(&s, 1);
    test_steps(md, 5);
    test_steps(second, 5);
    cr_expect_float_eq(gd_md_energies(second)->jvalue, gd_md_energies(md)->jvalue, 1e-9);
    void *saved = malloc(gd_md_state_size(md));
    gd_md_save_state(md, saved);
    cr_assert_eq(gd_md_load_state(second, saved, gd_md_state_size(md), &err), 0, "%s", err.text);
    test_steps(md, 10);
    test_steps(second, 10);
    cr_expect_eq(memcmp(gd_md_positions(md), gd_md_positions(second), 10 * sizeof(gd_vec3)), 0);
    free(saved);
    gd_md_destroy(&md);
    gd_md_destroy(&second);
    s.par.jvalue.ngrid = GRID + 1;
    cr_expect_eq(gd_md_create(&md, s.top, &s.par, s.conf, s.res, 1, &err), GD_E_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(err.text, "JVALUERESEPS"), "%s", err.text);
    test_system_destroy(&s);
}
