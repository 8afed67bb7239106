/* What the laws of motion leave unchanged, for each term and each way to move: forces sum to nothing and do not turn a molecule, the
 * virial is the energy's derivative by the shape of the box, motion runs backwards. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/md_internal.h"
#include "test_engine_systems.h"

static void use_verlet(struct test_system *s, double cutoff)
{
    s->par.pairlist.scheme = GD_SCHEME_VERLET;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = cutoff;
}

/* Term `only` of the six NTF flags, all of them when it is -1. */
static void choose_term(struct test_system *s, int only)
{
    int32_t *flags[6] = {&s->par.force.bond,     &s->par.force.angle,         &s->par.force.improper,
                         &s->par.force.dihedral, &s->par.force.electrostatic, &s->par.force.vdw};
    for (int k = 0; k < 6; k++)
        *flags[k] = only < 0 || k == only;
}

static void add_inner_restraints(struct test_system *s)
{
    struct gd_err err = {0};
    cr_assert_eq(gd_restraints_resize(s->res, GD_REST_DISTANCES, 1, &err), 0);
    s->res->distances[0].a = (struct gd_virtual_atom){.type = 1, .count = 4, .atom = {2, 1, 3, 4}};
    s->res->distances[0].b = (struct gd_virtual_atom){.type = 0, .count = 1, .atom = {7}};
    s->res->distances[0].r0 = 0.2;
    s->res->distances[0].weight = 1.0;
    cr_assert_eq(gd_restraints_resize(s->res, GD_REST_ANGLES, 1, &err), 0);
    s->res->angles[0] = (struct gd_angle_restraint){.atom = {1, 3, 5}, .weight = 2.0, .angle = 100.0};
    cr_assert_eq(gd_restraints_resize(s->res, GD_REST_DIHEDRALS, 1, &err), 0);
    s->res->dihedrals[0] = (struct gd_dihedral_restraint){.atom = {0, 2, 4, 6}, .weight = 1.5, .angle = 40.0, .delta = 180.0};
    cr_assert_eq(gd_restraints_resize(s->res, GD_REST_JVALUES, 1, &err), 0);
    s->res->jvalues[0] =
        (struct gd_jvalue_restraint){.atom = {1, 2, 3, 4}, .weight = 1.0, .j0 = 2.0, .phase = -60.0, .a = 9.4, .b = -1.1, .c = 0.4};
    s->par.distance_restraint.ntdir = 2;
    s->par.distance_restraint.cdir = 800.0;
    s->par.distance_restraint.dir0 = 0.3;
    s->par.angle_restraint.ntalr = 2;
    s->par.angle_restraint.calr = 0.05;
    s->par.dihedral_restraint.ntdlr = 2;
    s->par.dihedral_restraint.cdlr = 0.03;
    s->par.dihedral_restraint.philin = 30.0;
    s->par.jvalue.ntjvr = 2;
    s->par.jvalue.cjvr = 4.0;
}

/* Sums of forces, and in vacuum of torques, to rounding: 1e-12 of the largest force, times some tens of additions. */
static void check_sums(const struct test_system *s, const char *what)
{
    struct gd_md *md = test_run(s, 1);
    struct gd_err err = {0};
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    double force[3] = {0.0}, torque[3] = {0.0}, part[3], largest = 1.0;
    for (size_t i = 0; i < gd_md_num_atoms(md); i++) {
        gd_vec3_add_scaled(force, 1.0, gd_md_forces(md)[i]);
        gd_vec3_cross(gd_md_positions(md)[i], gd_md_forces(md)[i], part);
        gd_vec3_add_scaled(torque, 1.0, part);
        largest = fmax(largest, gd_vec3_norm(gd_md_forces(md)[i]));
    }
    for (int d = 0; d < 3; d++) {
        cr_expect_float_eq(force[d], 0.0, 1e-12 * largest, "%s: %g of %g", what, force[d], largest);
        if (gd_md_box(md)->kind == GD_BOX_VACUUM)
            cr_expect_float_eq(torque[d], 0.0, 1e-11 * largest, "%s: %g of %g", what, torque[d], largest);
    }
    gd_md_destroy(&md);
}

Test(engine_symmetries, forces_and_torques_sum_to_nothing)
{
    const int boxes[] = {GD_BOX_VACUUM, GD_BOX_RECTANGULAR, GD_BOX_TRICLINIC, GD_BOX_TRUNCATED_OCTAHEDRON};
    for (int k = 0; k < 8; k++)
        for (int term = -1; term < 6; term++) {
            struct test_system s;
            char what[64];
            test_molecule_create(&s, boxes[k % 4], 5);
            choose_term(&s, term);
            add_inner_restraints(&s);
            if (k >= 4)
                use_verlet(&s, 1.2);
            snprintf(what, sizeof what, "box %d, scheme %d, term %d", boxes[k % 4], k / 4, term);
            check_sums(&s, what);
            test_system_destroy(&s);
        }
}

static double deformed_energy(struct gd_md *md, const double (*start)[3], const struct gd_box *box0, int a, int b, double h)
{
    static double x[192][3];
    struct gd_err err = {0};
    struct gd_box box = *box0;
    size_t n = gd_md_num_atoms(md);
    cr_assert_leq(n, 192);
    memcpy(x, start, n * sizeof x[0]);
    for (size_t i = 0; i < n; i++)
        x[i][a] += h * start[i][b];
    for (int e = 0; e < 3; e++)
        box.vectors[e][a] += h * box0->vectors[e][b];
    cr_assert_eq(gd_md_set_state(md, (const double(*)[3])x, NULL, &box, &err), 0, "%s", err.text);
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    return gd_md_energies(md)->potential;
}

/* dU / dh for x_a -> x_a + h x_b of atoms and box is twice the element of the atomic virial, -1/2 sum r f. Central differences: rounding
 * 1e-12 of energies of 1e4 over h; h^2 times third derivatives, of stiff bonds some 1e8. */
static void check_virial(struct test_system *s, int shear, const char *what)
{
    const double h = 1e-6;
    struct gd_err err = {0};
    s->par.pressure.couple = GD_PRESSURE_CALC;
    s->par.pressure.virial = GD_VIRIAL_ATOMIC;
    struct gd_md *md = test_run(s, 1);
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    double start[64][3], virial[3][3], largest = 1.0;
    struct gd_box box = *gd_md_box(md);
    memcpy(start, gd_md_positions(md), gd_md_num_atoms(md) * sizeof start[0]);
    memcpy(virial, gd_md_virial(md), sizeof virial);
    for (int d = 0; d < 3; d++)
        largest = fmax(largest, fabs(virial[d][d]));
    for (int a = 0; a < 3; a++)
        for (int b = a; b < (shear ? 3 : a + 1); b++) { /* the other half would turn the edges */
            double up = deformed_energy(md, (const double(*)[3])start, &box, a, b, h);
            double down = deformed_energy(md, (const double(*)[3])start, &box, a, b, -h);
            cr_expect_float_eq((up - down) / (2.0 * h), 2.0 * virial[a][b], 1e-6 * largest + 1e-4, "%s, element %d %d: %.10g, %.10g", what,
                               a, b, (up - down) / (2.0 * h), 2.0 * virial[a][b]);
            cr_expect_float_eq(virial[a][b], virial[b][a], 1e-9 * largest, "%s, element %d %d", what, a, b);
        }
    gd_md_destroy(&md);
}

Test(engine_symmetries, virial_of_each_term_is_the_energy_derivative)
{
    for (int k = 0; k < 4; k++)
        for (int term = -1; term < 6; term++) {
            struct test_system s;
            char what[64];
            int triclinic = k % 2;
            test_molecule_create(&s, triclinic ? GD_BOX_TRICLINIC : GD_BOX_RECTANGULAR, 5);
            choose_term(&s, term);
            if (k >= 2)
                use_verlet(&s, 1.2);
            snprintf(what, sizeof what, "triclinic %d, scheme %d, term %d", triclinic, k / 2, term);
            check_virial(&s, triclinic, what);
            test_system_destroy(&s);
        }
}

/* How far from the start one is after `steps` there and back. */
static double reversal(const struct test_system *s, int steps)
{
    static double start[192][3], x[192][3], v[192][3];
    struct gd_err err = {0};
    int at_once = s->par.integrator == GD_INTEGRATOR_VELOCITY_VERLET; /* x and v of the same time; else v is half a step behind */
    struct gd_md *md = test_run(s, 1);
    size_t n = gd_md_num_atoms(md);
    cr_assert_leq(n, 192);
    test_steps(md, 1);
    memcpy(start, at_once ? gd_md_positions(md) : gd_md_previous_positions(md), n * sizeof start[0]);
    test_steps(md, steps - 1);
    memcpy(x, at_once ? gd_md_positions(md) : gd_md_previous_positions(md), n * sizeof x[0]);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            v[i][d] = -gd_md_velocities(md)[i][d];
    cr_assert_eq(gd_md_set_state(md, (const double(*)[3])x, (const double(*)[3])v, NULL, &err), 0, "%s", err.text);
    test_steps(md, steps - 1);
    double most = 0.0;
    for (size_t i = 0; i < n; i++) {
        double off[3];
        gd_nearest_image(&md->pbc, gd_md_positions(md)[i], start[i], off);
        most = fmax(most, gd_vec3_norm(off));
    }
    gd_md_destroy(&md);
    return most;
}

/* There and back; positions differ by rounding, grown with the collisions of 80 steps. */
static void check_reversal(const struct test_system *s, const char *what)
{
    double most = reversal(s, 40);
    cr_expect_lt(most, 1e-8, "%s: %g nm", what, most);
}

Test(engine_symmetries, rigid_water_runs_backwards)
{
    const enum gd_constraint_algorithm algorithms[] = {GD_CONSTRAINT_SETTLE, GD_CONSTRAINT_SHAKE, GD_CONSTRAINT_M_SHAKE};
    for (int k = 0; k < 12; k++) {
        struct test_system s;
        char what[64];
        test_water_create(&s, 4, 8);
        s.par.constraint.solvent = algorithms[k % 3];
        s.par.constraint.solvent_tolerance = 1e-13;
        s.par.integrator = k / 3 % 2 ? GD_INTEGRATOR_VELOCITY_VERLET : GD_INTEGRATOR_LEAP_FROG;
        if (k >= 6)
            use_verlet(&s, 0.55);
        snprintf(what, sizeof what, "algorithm %d, integrator %d, scheme %d", k % 3, k / 3 % 2, k / 6);
        check_reversal(&s, what);
        test_system_destroy(&s);
    }
}

Test(engine_symmetries, a_molecule_runs_backwards)
{
    for (int k = 0; k < 4; k++) {
        struct test_system s;
        char what[64];
        test_molecule_create(&s, GD_BOX_TRICLINIC, 6);
        s.par.step.dt = 0.0002;
        s.par.integrator = k % 2 ? GD_INTEGRATOR_VELOCITY_VERLET : GD_INTEGRATOR_LEAP_FROG;
        if (k >= 2) {
            s.par.constraint.ntc = 3;
            s.par.constraint.solute = GD_CONSTRAINT_SHAKE;
            s.par.constraint.solute_tolerance = 1e-13;
            s.par.initialise.ntishk = 3;
        }
        snprintf(what, sizeof what, "integrator %d, constraints %d", k % 2, k / 2);
        check_reversal(&s, what);
        test_system_destroy(&s);
    }
}

/* Bonds at their lengths and velocities along them, by SHAKE. */
static void settle_molecule(struct test_system *s)
{
    test_molecule_create(s, GD_BOX_TRICLINIC, 6);
    s->par.step.dt = 0.0002;
    s->par.constraint.ntc = 3;
    s->par.constraint.solute = GD_CONSTRAINT_SHAKE;
    s->par.constraint.solute_tolerance = 1e-13;
    s->par.initialise.ntishk = 3;
    struct gd_md *md = test_run(s, 1);
    test_steps(md, 20);
    memcpy(s->conf->position, gd_md_positions(md), s->conf->num_atoms * sizeof(gd_vec3));
    memcpy(s->conf->velocity, gd_md_velocities(md), s->conf->num_atoms * sizeof(gd_vec3));
    gd_md_destroy(&md);
    s->par.initialise.ntishk = 0;
}

/* LINCS does not iterate: its correction for the lengthening by rotation is of the fourth order of the angle, which the way back does not
 * undo. With a series that has converged the distance from the start goes with dt^3, as fourth orders added up over the steps. */
Test(engine_symmetries, lincs_runs_backwards_to_third_order)
{
    for (int k = 0; k < 4; k++) {
        double off[2];
        int water = k / 2;
        for (int half = 0; half < 2; half++) {
            struct test_system s;
            if (water) {
                test_water_create(&s, 4, 8);
                s.par.constraint.solvent = GD_CONSTRAINT_LINCS;
                s.par.constraint.solvent_lincs_order = 16;
            } else {
                settle_molecule(&s);
                s.par.constraint.solute = GD_CONSTRAINT_LINCS;
                s.par.constraint.solute_lincs_order = 16;
            }
            s.par.integrator = k % 2 ? GD_INTEGRATOR_VELOCITY_VERLET : GD_INTEGRATOR_LEAP_FROG;
            s.par.step.dt = (water ? 0.0005 : 0.001) / (half + 1);
            off[half] = reversal(&s, (water ? 160 : 40) * (half + 1));
            test_system_destroy(&s);
        }
        cr_expect_lt(off[0], water ? 2e-4 : 3e-6, "water %d, integrator %d: %g nm", water, k % 2, off[0]);
        cr_expect(off[0] / off[1] > 7.0 && off[0] / off[1] < 9.0, "water %d, integrator %d: %g and %g nm", water, k % 2, off[0], off[1]);
    }
}
