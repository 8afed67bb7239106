/* The scheme verlet: energies against the plain sum, the list's life, conservation of energy. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/md_internal.h"
#include "test_engine_systems.h"

static void use_verlet(struct test_system *s, double cutoff)
{
    s->par.pairlist.scheme = GD_SCHEME_VERLET;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = cutoff;
}

/* Lennard-Jones energy of all oxygen pairs within the cutoff, less its value there. */
static double plain_lj(const struct gd_md *md, double edge, double cutoff)
{
    const double(*x)[3] = gd_md_previous_positions(md);
    const struct gd_lj *lj = gd_md_topology(md)->lj;
    double sum = 0.0, r0 = pow(cutoff, -6.0);
    size_t n = gd_md_num_atoms(md);
    for (size_t i = 0; i < n; i += 3)
        for (size_t j = i + 3; j < n; j += 3) {
            double r2 = 0.0;
            for (int d = 0; d < 3; d++) {
                double r = x[i][d] - x[j][d];
                r -= edge * rint(r / edge);
                r2 += r * r;
            }
            double r6 = 1.0 / (r2 * r2 * r2);
            if (r2 <= cutoff * cutoff)
                sum += (lj->c12 * r6 - lj->c6) * r6 - (lj->c12 * r0 - lj->c6) * r0;
        }
    return sum;
}

Test(engine_verlet, list_with_buffer_loses_no_pair)
{
    const double buffers[] = {-1.0, 0.02, 0.0};
    for (int k = 0; k < 3; k++) {
        struct test_system s;
        test_water_create(&s, 4, 8);
        use_verlet(&s, 0.55);
        s.par.pairlist.buffer = buffers[k];
        struct gd_md *md = test_run(&s, 2);
        for (int step = 0; step < 30; step++) {
            test_steps(md, 1);
            double expected = plain_lj(md, s.conf->box.vectors[0][0], 0.55);
            cr_expect_float_eq(gd_md_energies(md)->lj, expected, 1e-9 * fabs(expected) + 1e-9, "step %d: %.12g, %.12g", step,
                               gd_md_energies(md)->lj, expected);
        }
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* Forces from a list that has aged in a changing box are those from a fresh one. */
Test(engine_verlet, list_follows_the_box)
{
    struct test_system s;
    struct gd_err err = {0};
    test_water_create(&s, 4, 8);
    use_verlet(&s, 0.5);
    s.par.pressure.couple = GD_PRESSURE_SCALE;
    s.par.pressure.scale = GD_SCALE_ANISO;
    s.par.pressure.tau = 0.5;
    s.par.pressure.compressibility = 1e-4;
    struct gd_md *md = test_run(&s, 1), *fresh = test_run(&s, 1);
    for (int step = 0; step < 25; step++) {
        test_steps(md, 1);
        struct gd_box box = *gd_md_previous_box(md);
        cr_assert_eq(gd_md_set_state(fresh, gd_md_previous_positions(md), NULL, &box, &err), 0, "%s", err.text);
        cr_assert_eq(gd_md_single_point(fresh, &err), 0, "%s", err.text);
        double expected = gd_md_energies(fresh)->potential;
        cr_expect_float_eq(gd_md_energies(md)->potential, expected, 1e-9 * fabs(expected));
    }
    cr_expect_float_neq(gd_md_box(md)->vectors[0][0], s.conf->box.vectors[0][0], 1e-4);
    gd_md_destroy(&md);
    gd_md_destroy(&fresh);
    test_system_destroy(&s);
}

Test(engine_verlet, energies_of_the_molecule_agree_between_schemes)
{
    struct test_system s;
    struct gd_err err = {0};
    test_molecule_create(&s, GD_BOX_TRICLINIC, 5);
    s.par.pairlist.rcutp = s.par.pairlist.rcutl = s.par.nonbonded.rcrf = 1.42; /* everything is within reach */
    struct gd_md *group = test_run(&s, 1);
    use_verlet(&s, 1.42);
    struct gd_md *atoms = test_run(&s, 1);
    cr_assert_eq(gd_md_single_point(group, &err), 0);
    cr_assert_eq(gd_md_single_point(atoms, &err), 0);
    cr_expect_float_eq(gd_md_energies(group)->crf, gd_md_energies(atoms)->crf, 1e-9);
    for (size_t i = 0; i < gd_md_num_atoms(group); i++)
        for (int d = 0; d < 3; d++)
            cr_expect_float_eq(gd_md_forces(group)[i][d], gd_md_forces(atoms)[i][d], 1e-8);
    gd_md_destroy(&group);
    gd_md_destroy(&atoms);
    test_system_destroy(&s);
}

/* 125 rigid waters, brought to 300 K first, then 4 ps at 2 fs with nothing coupled. */
Test(engine_verlet, energy_is_conserved)
{
    struct test_system s;
    test_water_create(&s, 5, 8);
    use_verlet(&s, 0.7);
    s.par.nonbonded.epsrf = 0.0; /* a conductor: the reaction field's force ends smoothly at the cutoff */
    s.par.multibath.present = 1;
    s.par.multibath.thermostat = GD_THERMOSTAT_WEAK_COUPLING;
    s.par.multibath.num_baths = 1;
    s.par.multibath.bath[0] = (struct gd_bath){300.0, 0.02};
    s.par.multibath.num_dof_sets = 1;
    s.par.multibath.dof_set[0] = (struct gd_dof_set){.last = 375};
    struct gd_err err = {0};
    struct gd_md *md = test_run(&s, 1);
    test_steps(md, 1500);
    cr_assert_eq(gd_md_set_bath(md, 0, 300.0, -1.0, &err), 0, "%s", err.text);
    test_steps(md, 100);
    double x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
    const int steps = 2000;
    for (int k = 0; k < steps; k++) {
        test_steps(md, 1);
        double t = 0.002 * k, e = gd_md_energies(md)->total;
        x += t;
        y += e;
        xx += t * t;
        xy += t * e;
    }
    double slope = (xy - x * y / steps) / (xx - x * x / steps); /* kJ/mol/ps */
    /* a missing pair or a jump at the cutoff drifts by some kJ/mol/ps; 4 ps cannot tell less than about 0.3 */
    cr_expect_lt(fabs(slope), 1.0, "%g kJ/mol/ps", slope);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

Test(engine_verlet, continues_bit_for_bit)
{
    struct test_system s;
    struct gd_err err = {0};
    test_water_create(&s, 4, 8);
    use_verlet(&s, 0.55);
    struct gd_md *one = test_run(&s, 2), *two = test_run(&s, 2);
    test_steps(one, 5);
    static unsigned char bytes[1 << 20];
    size_t size = gd_md_state_size(one), n = gd_md_num_atoms(one);
    cr_assert_leq(size, sizeof bytes);
    gd_md_save_state(one, bytes);
    test_steps(one, 20);
    cr_assert_eq(gd_md_load_state(two, bytes, size, &err), 0, "%s", err.text);
    test_steps(two, 20);
    cr_expect_eq(memcmp(gd_md_positions(one), gd_md_positions(two), n * sizeof(gd_vec3)), 0);
    gd_md_destroy(&one);
    gd_md_destroy(&two);
    test_system_destroy(&s);
}

Test(engine_verlet, refuses_two_ranges)
{
    struct test_system s;
    struct gd_err err = {0};
    struct gd_md *md = NULL;
    test_water_create(&s, 4, 8);
    use_verlet(&s, 0.55);
    s.par.pairlist.rcutp = 0.4;
    cr_expect_eq(gd_md_create(&md, s.top, &s.par, s.conf, s.res, 1, &err), GD_E_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(err.text, "RCUTP"), "%s", err.text);
    s.par.pairlist.rcutp = 0.55;
    s.par.nonbonded.rcrf = 0.5;
    cr_expect_eq(gd_md_create(&md, s.top, &s.par, s.conf, s.res, 1, &err), GD_E_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(err.text, "RCRF"), "%s", err.text);
    test_system_destroy(&s);
}

/* Forces from lists that age, over hot water that has just left its lattice, are those of the reference rows from a fresh one. Without a
 * reaction field a pair that is lost at the cutoff takes a force of 30 kJ/(mol nm) and more with it. */
static void compare_aging(double buffer, const char *kernel)
{
    struct test_system s;
    struct gd_err err = {0};
    setenv("GROMOSD_CPU", kernel, 1);
    test_water_create(&s, 5, 8);
    use_verlet(&s, 0.7);
    s.par.nonbonded.epsrf = 1.0;
    s.par.pairlist.buffer = buffer;
    struct gd_md *md = test_run(&s, 2), *rows = test_run(&s, 1);
    gd_nonbonded_use_reference(rows);
    for (int step = 0; step < 120; step++) {
        test_steps(md, 1);
        cr_assert_eq(gd_md_set_state(rows, gd_md_previous_positions(md), NULL, NULL, &err), 0, "%s", err.text);
        cr_assert_eq(gd_md_single_point(rows, &err), 0, "%s", err.text);
        double worst = 0.0;
        for (size_t i = 0; i < gd_md_num_atoms(md); i++)
            for (int d = 0; d < 3; d++)
                worst = fmax(worst, fabs(gd_md_forces(md)[i][d] - gd_md_forces(rows)[i][d]));
        cr_assert_lt(worst, 1e-6, "%s, buffer %g, step %d: %g", kernel, buffer, step, worst);
    }
    gd_md_destroy(&md);
    gd_md_destroy(&rows);
    test_system_destroy(&s);
    unsetenv("GROMOSD_CPU");
}

Test(engine_verlet, lists_that_age_lose_no_pair)
{
    const char *kernels[] = {"scalar", "avx2", "avx512"};
    for (int k = 0; k < 3; k++) {
        compare_aging(-1.0, kernels[k]);
        compare_aging(0.1, kernels[k]);
        compare_aging(0.003, kernels[k]);
    }
}

/* A step by cluster pairs against the same step by the reference rows; bounds relative to the largest number of the kind. */
static void compare_with_reference(struct test_system *s, enum gd_precision precision, double bound)
{
    struct gd_err err = {0};
    s->par.precision = GD_PRECISION_FLOAT64;
    struct gd_md *rows = test_run(s, 2);
    gd_nonbonded_use_reference(rows);
    s->par.precision = precision;
    struct gd_md *clusters = test_run(s, 2);
    cr_assert_eq(gd_md_single_point(rows, &err), 0, "%s", err.text);
    cr_assert_eq(gd_md_single_point(clusters, &err), 0, "%s", err.text);
    /* float and double may disagree on whether a pair is within the cutoff, where the dispersion force of water is 0.1 */
    double largest = 0.0, energy = 0.0, virial = 0.0, jump = precision == GD_PRECISION_FLOAT32 ? 0.1 : 0.0;
    size_t n = gd_md_num_atoms(rows), groups = gd_md_energies(rows)->num_groups;
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            largest = fmax(largest, fabs(gd_md_forces(rows)[i][d]));
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            cr_expect_float_eq(gd_md_forces(clusters)[i][d], gd_md_forces(rows)[i][d], bound * largest + jump, "atom %zu: %g %g", i,
                               gd_md_forces(clusters)[i][d], gd_md_forces(rows)[i][d]);
    for (size_t k = 0; k < groups * groups; k++)
        energy = fmax(energy, fmax(fabs(gd_md_energies(rows)->pair_lj[k]), fabs(gd_md_energies(rows)->pair_crf[k])));
    for (size_t k = 0; k < groups * groups; k++) {
        cr_expect_float_eq(gd_md_energies(clusters)->pair_lj[k], gd_md_energies(rows)->pair_lj[k], 30.0 * bound * energy);
        cr_expect_float_eq(gd_md_energies(clusters)->pair_crf[k], gd_md_energies(rows)->pair_crf[k], 30.0 * bound * energy);
    }
    for (int a = 0; a < 3; a++)
        virial = fmax(virial, fabs(gd_md_virial(rows)[a][a]));
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            cr_expect_float_eq(gd_md_virial(clusters)[a][b], gd_md_virial(rows)[a][b], 10.0 * bound * fmax(virial, largest) + jump);
    gd_md_destroy(&rows);
    gd_md_destroy(&clusters);
}

/* Float: coordinates of 3 nm to 2e-7 nm, and sums of some hundred terms that cancel. With each kernel the processor has: one
 * that it has not gives way to the next below. */
static void compare_both(struct test_system *s)
{
    const char *kernels[] = {"scalar", "avx2", "avx512"};
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
        setenv("GROMOSD_CPU", kernels[k], 1);
        compare_with_reference(s, GD_PRECISION_FLOAT64, 1e-12);
        compare_with_reference(s, GD_PRECISION_FLOAT32, 3e-6);
    }
    unsetenv("GROMOSD_CPU");
}

Test(engine_verlet, clusters_are_the_rows_water)
{
    for (int virial = GD_VIRIAL_ATOMIC; virial <= GD_VIRIAL_MOLECULAR; virial++)
        for (int edge = 3; edge <= 8; edge++) { /* small boxes list pairs of clusters through several images */
            struct test_system s;
            test_water_create(&s, edge, 8);
            use_verlet(&s, 0.155 * (edge > 5 ? 5 : edge));
            s.par.nonbonded.epsrf = 0.0; /* its force is zero at the cutoff */
            s.par.pressure.virial = (enum gd_virial)virial;
            s.par.force.num_energy_groups = edge % 2 ? 1 : 2;
            s.par.force.energy_group_last[0] = edge % 2 ? (int64_t)s.top->num_atoms : 30;
            s.par.force.energy_group_last[1] = (int64_t)s.top->num_atoms;
            compare_both(&s);
            test_system_destroy(&s);
        }
}

/* Columns of more clusters than are looked at in one go: the water of an 8 x 8 x 8 box as 4 x 4 x 32. */
Test(engine_verlet, clusters_are_the_rows_tall_box)
{
    struct test_system s;
    test_water_create(&s, 8, 8);
    double edge = s.conf->box.vectors[0][0];
    for (size_t m = 0; m < 512; m++) {
        double move[3] = {m % 8 >= 4 ? -0.5 * edge : 0.0, m / 8 % 8 >= 4 ? -0.5 * edge : 0.0,
                          (double)(2 * (m / 8 % 8 >= 4) + (m % 8 >= 4)) * edge};
        for (size_t k = 0; k < 3; k++)
            for (int d = 0; d < 3; d++)
                s.conf->position[3 * m + k][d] += move[d];
    }
    s.conf->box.vectors[0][0] = s.conf->box.vectors[1][1] = 0.5 * edge;
    s.conf->box.vectors[2][2] = 4.0 * edge;
    use_verlet(&s, 0.6);
    s.par.nonbonded.epsrf = 0.0;
    compare_both(&s);
    test_system_destroy(&s);
}

/* Steps whose energies nobody announced an interest in give the same bits, and the same energies when asked after all. */
static void compare_late_energies(enum gd_precision precision, const char *kernel)
{
    struct test_system s;
    setenv("GROMOSD_CPU", kernel, 1);
    test_water_create(&s, 5, 8);
    use_verlet(&s, 0.7);
    s.par.precision = precision;
    s.par.force.num_energy_groups = 2;
    s.par.force.energy_group_last[0] = 31; /* within a molecule: clusters of both groups */
    s.par.force.energy_group_last[1] = 375;
    struct gd_md *always = test_run(&s, 2), *late = test_run(&s, 2);
    size_t n = gd_md_num_atoms(late), size = gd_md_state_size(late);
    unsigned char *one = malloc(size), *two = malloc(size);
    gd_md_want_energies(late, 0);
    for (int step = 0; step < 40; step++) {
        test_steps(always, 1);
        test_steps(late, 1);
        cr_assert_eq(memcmp(gd_md_forces(always), gd_md_forces(late), n * sizeof(gd_vec3)), 0, "step %d", step);
        if (step % 7 == 3) {
            const struct gd_md_energies *a = gd_md_energies(always), *b = gd_md_energies(late);
            cr_expect_eq(a->total, b->total, "step %d: %.17g %.17g", step, a->total, b->total);
            cr_expect_eq(memcmp(a->pair_lj, b->pair_lj, 4 * sizeof(double)), 0);
            cr_expect_eq(memcmp(a->pair_crf, b->pair_crf, 4 * sizeof(double)), 0);
        }
        if (step % 7 == 5) {
            gd_md_save_state(always, one);
            gd_md_save_state(late, two);
            cr_expect_eq(memcmp(one, two, size), 0, "step %d", step);
        }
    }
    free(one);
    free(two);
    gd_md_destroy(&always);
    gd_md_destroy(&late);
    test_system_destroy(&s);
    unsetenv("GROMOSD_CPU");
}

Test(engine_verlet, energies_when_asked_for)
{
    const char *kernels[] = {"scalar", "avx2", "avx512"};
    for (int k = 0; k < 3; k++) {
        compare_late_energies(GD_PRECISION_FLOAT64, kernels[k]);
        compare_late_energies(GD_PRECISION_FLOAT32, kernels[k]);
    }
}

Test(engine_verlet, clusters_are_the_rows_molecule)
{
    const int boxes[] = {GD_BOX_VACUUM, GD_BOX_RECTANGULAR, GD_BOX_TRICLINIC, GD_BOX_TRUNCATED_OCTAHEDRON};
    for (int k = 0; k < 4; k++) {
        struct test_system s;
        test_molecule_create(&s, boxes[k], 5);
        s.conf->position[9][2] += 0.3; /* off the ion beside it, whose force would hide all others' */
        s.par.force.bond = s.par.force.angle = s.par.force.improper = s.par.force.dihedral = 0;
        use_verlet(&s, 0.8);
        s.par.pressure.couple = GD_PRESSURE_CALC;
        s.par.pressure.virial = GD_VIRIAL_ATOMIC;
        compare_both(&s);
        test_system_destroy(&s);
    }
}
