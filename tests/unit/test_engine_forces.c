/* Forces against finite differences of the energy, the virial against a numerical one, momentum. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "test_engine_systems.h"

static double energy_at(struct gd_md *md, const double (*x)[3])
{
    struct gd_err err = {0};
    cr_assert_eq(gd_md_set_state(md, x, NULL, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    return gd_md_energies(md)->potential + gd_md_energies(md)->special;
}

/* Central differences with h = 1e-5 nm: the truncation error of a stiff bond (fourth derivatives of about 1e9) is 1e-3 of forces
 * of 1e3 at most, round-off 1e-10 / h. The bound is relative to the largest force. */
static void check_forces(const struct test_system *s)
{
    struct gd_md *md = test_run(s, 1);
    size_t n = gd_md_num_atoms(md);
    double x[64][3], force[64][3], largest = 1.0;
    cr_assert_leq(n, 64);
    memcpy(x, s->conf->position, n * sizeof x[0]);
    energy_at(md, (const double(*)[3])x);
    memcpy(force, gd_md_forces(md), n * sizeof force[0]);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            largest = fmax(largest, fabs(force[i][d]));
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++) {
            const double h = 1e-5;
            double kept = x[i][d];
            x[i][d] = kept + h;
            double up = energy_at(md, (const double(*)[3])x);
            x[i][d] = kept - h;
            double down = energy_at(md, (const double(*)[3])x);
            x[i][d] = kept;
            cr_expect_float_eq(force[i][d], -(up - down) / (2.0 * h), 2e-6 * largest, "atom %zu component %d: %.10g, %.10g", i, d,
                               force[i][d], -(up - down) / (2.0 * h));
        }
    gd_md_destroy(&md);
}

static void check_molecule(int box_kind, int harmonic)
{
    struct test_system s;
    test_molecule_create(&s, box_kind, 5);
    s.par.covalent.ntbbh = s.par.covalent.ntbah = harmonic;
    check_forces(&s);
    test_system_destroy(&s);
}

Test(engine_forces, covalent_and_pairs_in_vacuum)
{
    check_molecule(GD_BOX_VACUUM, 0);
    check_molecule(GD_BOX_VACUUM, 1);
}

Test(engine_forces, covalent_and_pairs_in_boxes)
{
    check_molecule(GD_BOX_RECTANGULAR, 0);
    check_molecule(GD_BOX_TRICLINIC, 0);
    check_molecule(GD_BOX_TRUNCATED_OCTAHEDRON, 1);
}

Test(engine_forces, each_term_alone)
{
    for (int term = 0; term < 6; term++) {
        struct test_system s;
        test_molecule_create(&s, GD_BOX_RECTANGULAR, 9);
        int32_t *flags[6] = {&s.par.force.bond,     &s.par.force.angle,         &s.par.force.improper,
                             &s.par.force.dihedral, &s.par.force.electrostatic, &s.par.force.vdw};
        for (int k = 0; k < 6; k++)
            *flags[k] = k == term;
        check_forces(&s);
        test_system_destroy(&s);
    }
}

Test(engine_forces, reaction_field_variants)
{
    const double variant[4][3] = {{0.0, 0.0, 1.2}, {61.0, 1.5, 1.2}, {1.0, 0.0, 1.2}, {78.5, 0.0, 1.0}};
    for (int k = 0; k < 4; k++) {
        struct test_system s;
        test_molecule_create(&s, GD_BOX_RECTANGULAR, 3);
        s.par.nonbonded.epsrf = variant[k][0];
        s.par.nonbonded.appak = variant[k][1];
        s.par.nonbonded.rcrf = variant[k][2];
        check_forces(&s);
        test_system_destroy(&s);
    }
}

Test(engine_forces, shifted_coarse_grained)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_RECTANGULAR, 3);
    memcpy(s.top->cg_lj, s.top->lj, 4 * sizeof *s.top->lj);
    s.top->has_cg_lj = 1;
    s.par.coarse.ntcgran = 1;
    check_forces(&s);
    test_system_destroy(&s);
}

static void add_distance(struct test_system *s, size_t row, int type, int rah, double r0)
{
    static const int count[] = {1, 4, 3, 3, 3, 2, 3, 2};
    struct gd_distance_restraint *d = &s->res->distances[row];
    d->a = (struct gd_virtual_atom){.type = type, .count = type < 0 ? 3 : count[type], .atom = {2, 1, 3, 4}};
    d->b = (struct gd_virtual_atom){.type = 0, .count = 1, .atom = {7}};
    d->r0 = r0;
    d->weight = 1.0 + 0.1 * (double)row;
    d->rah = rah;
}

Test(engine_forces, distance_restraints_of_every_site)
{
    struct gd_err err = {0};
    struct test_system s;
    test_molecule_create(&s, GD_BOX_RECTANGULAR, 7);
    const int types[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_DISTANCES, 12, &err), 0);
    for (size_t k = 0; k < 9; k++)
        add_distance(&s, k, types[k], 0, 0.2);
    add_distance(&s, 9, 0, 10, 0.1);  /* two dimensions */
    add_distance(&s, 10, 0, 1, 0.9);  /* attractive, satisfied */
    add_distance(&s, 11, 0, -1, 0.9); /* repulsive, far inside: linear */
    s.par.distance_restraint.ntdir = 2;
    s.par.distance_restraint.cdir = 800.0;
    s.par.distance_restraint.dir0 = 0.3;
    check_forces(&s);
    test_system_destroy(&s);
}

Test(engine_forces, other_restraints)
{
    struct gd_err err = {0};
    struct test_system s;
    test_molecule_create(&s, GD_BOX_RECTANGULAR, 7);
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_ANGLES, 1, &err), 0);
    s.res->angles[0] = (struct gd_angle_restraint){.atom = {1, 3, 5}, .weight = 2.0, .angle = 100.0};
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_DIHEDRALS, 2, &err), 0);
    s.res->dihedrals[0] = (struct gd_dihedral_restraint){.atom = {0, 2, 4, 6}, .weight = 1.5, .angle = 40.0, .delta = 180.0};
    s.res->dihedrals[1] = (struct gd_dihedral_restraint){.atom = {1, 2, 3, 5}, .weight = 0.5, .angle = -120.0, .delta = 180.0};
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_JVALUES, 1, &err), 0);
    s.res->jvalues[0] =
        (struct gd_jvalue_restraint){.atom = {1, 2, 3, 4}, .weight = 1.0, .j0 = 2.0, .phase = -60.0, .a = 9.4, .b = -1.1, .c = 0.4};
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_POSITION_ATOMS, 3, &err), 0);
    for (int k = 0; k < 3; k++)
        s.res->position_atom[k] = 3 * k;
    cr_assert_eq(gd_restraints_resize(s.res, GD_REST_REFERENCE, 10, &err), 0);
    for (int i = 0; i < 10; i++)
        for (int d = 0; d < 3; d++)
            s.res->reference_position[i][d] = s.conf->position[i][d] + 0.01 * (i + d);
    s.par.angle_restraint.ntalr = 2;
    s.par.angle_restraint.calr = 0.05;
    s.par.dihedral_restraint.ntdlr = 2;
    s.par.dihedral_restraint.cdlr = 0.03;
    s.par.dihedral_restraint.philin = 30.0;
    s.par.jvalue.ntjvr = 2;
    s.par.jvalue.cjvr = 4.0;
    s.par.position_restraint.ntpor = 1;
    s.par.position_restraint.cpor = 2000.0;
    check_forces(&s);
    test_system_destroy(&s);
}

/* Molecules moved apart as wholes by a factor 1 + h: the energy changes by -h times the trace of sum r x f between molecules,
 * that is by 2 h times the trace of the reported -1/2 sum. Pairs do not change range over h = 1e-7. */
Test(engine_forces, molecular_virial_is_the_energy_derivative)
{
    struct test_system s;
    test_water_create(&s, 4, 11);
    struct gd_md *md = test_run(&s, 1);
    struct gd_err err = {0};
    size_t n = gd_md_num_atoms(md);
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    const double(*v)[3] = gd_md_virial(md);
    double trace = v[0][0] + v[1][1] + v[2][2], energy[2];
    static double start[192][3], moved[192][3];
    memcpy(start, gd_md_positions(md), n * sizeof start[0]);
    struct gd_box box0 = *gd_md_box(md);
    for (int side = 0; side < 2; side++) {
        double h = side ? 1e-6 : -1e-6;
        struct gd_box box = box0;
        for (int d = 0; d < 3; d++)
            box.vectors[d][d] *= 1.0 + h;
        for (size_t m = 0; m < n; m += 3)
            for (int d = 0; d < 3; d++) {
                double centre = (15.9994 * start[m][d] + 1.008 * (start[m + 1][d] + start[m + 2][d])) / 18.0154;
                for (size_t k = 0; k < 3; k++)
                    moved[m + k][d] = start[m + k][d] + h * centre;
            }
        cr_assert_eq(gd_md_set_state(md, (const double(*)[3])moved, NULL, &box, &err), 0, "%s", err.text);
        cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
        energy[side] = gd_md_energies(md)->potential;
    }
    double derivative = (energy[1] - energy[0]) / 2e-6;
    cr_assert_float_eq(derivative, 2.0 * trace, 1e-4 * fabs(derivative) + 0.05, "%.8g against %.8g", derivative, 2.0 * trace);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

Test(engine_forces, sum_to_zero)
{
    struct test_system s;
    test_water_create(&s, 4, 2);
    struct gd_md *md = test_run(&s, 1);
    test_steps(md, 3);
    double sum[3] = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < gd_md_num_atoms(md); i++)
        for (int d = 0; d < 3; d++)
            sum[d] += gd_md_forces(md)[i][d];
    for (int d = 0; d < 3; d++)
        cr_expect_float_eq(sum[d], 0.0, 1e-8); /* of forces of 1e3, 192 of them */
    gd_md_destroy(&md);
    test_system_destroy(&s);
}
