/* Motion: conservation, reversibility, constraints, thermostats, determinism, continuation. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/md_internal.h"
#include "engine/nonbonded.h"
#include "test_engine_systems.h"

Test(engine_motion, rigid_water_keeps_its_shape)
{
    const enum gd_constraint_algorithm algorithms[] = {GD_CONSTRAINT_SETTLE, GD_CONSTRAINT_SHAKE, GD_CONSTRAINT_M_SHAKE,
                                                       GD_CONSTRAINT_LINCS};
    for (int k = 0; k < 4; k++) {
        struct test_system s;
        test_water_create(&s, 3, 4);
        s.par.constraint.solvent = algorithms[k];
        s.par.constraint.solvent_tolerance = 1e-8;
        struct gd_md *md = test_run(&s, 1);
        test_steps(md, 20);
        const double(*x)[3] = gd_md_positions(md);
        /* SHAKE kinds to their tolerance; LINCS of order 4 on a triangle, whose couplings are strong, to 1e-2
         */
        double bound = algorithms[k] == GD_CONSTRAINT_LINCS ? 1e-2 : 1e-7;
        for (size_t m = 0; m < gd_md_num_atoms(md); m += 3) {
            double r[3];
            for (int d = 0; d < 3; d++)
                r[d] = x[m + 1][d] - x[m][d];
            cr_expect_float_eq(gd_vec3_norm(r), 0.1, bound * 0.1, "algorithm %d: %.12g", k, gd_vec3_norm(r));
        }
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* Leap-frog is its own inverse: from x(n - 1) with -v(n - 1/2) it runs back. Round-off grows with the
 * collisions. */
Test(engine_motion, runs_backwards)
{
    struct test_system s;
    test_water_create(&s, 4, 8);
    struct gd_md *md = test_run(&s, 1);
    static double start[192][3], x[192][3], v[192][3];
    struct gd_err err = {0};
    const int steps = 40;
    size_t n = gd_md_num_atoms(md);
    test_steps(md, 1);
    memcpy(start, gd_md_previous_positions(md), n * sizeof start[0]);
    test_steps(md, steps - 1);
    memcpy(x, gd_md_previous_positions(md), n * sizeof x[0]);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            v[i][d] = -gd_md_velocities(md)[i][d];
    cr_assert_eq(gd_md_set_state(md, (const double(*)[3])x, (const double(*)[3])v, NULL, &err), 0, "%s", err.text);
    test_steps(md, steps - 1);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++) {
            double edge = s.conf->box.vectors[d][d], off = gd_md_positions(md)[i][d] - start[i][d];
            off -= edge * rint(off / edge);
            cr_expect_float_eq(off, 0.0, 1e-8);
        }
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* The made-up start is strained; steepest descent takes it near a minimum. */
static void relax(struct test_system *s)
{
    struct gd_err err = {0};
    s->par.minimise.ntem = GD_MINIMISE_STEEPEST_DESCENT;
    s->par.minimise.dele = 1e-3;
    s->par.minimise.dx0 = 0.001;
    s->par.minimise.dxm = 0.02;
    struct gd_md *md = test_run(s, 1);
    for (int k = 0; k < 2000 && !gd_md_converged(md); k++)
        cr_assert_eq(gd_md_step(md, &err), 0, "%s", err.text);
    memcpy(s->conf->position, gd_md_positions(md), gd_md_num_atoms(md) * sizeof(gd_vec3));
    gd_md_destroy(&md);
    s->par.minimise.ntem = GD_MINIMISE_OFF;
}

Test(engine_motion, momentum_and_energy_of_a_cluster)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_VACUUM, 6);
    relax(&s);
    s.par.step.dt = 0.0002;
    s.par.pairlist.rcutp = s.par.pairlist.rcutl = 9.0;
    s.par.nonbonded.rcrf = 9.0;
    s.par.nonbonded.epsrf = 1.0;
    struct gd_md *md = test_run(&s, 1);
    double momentum[2][3] = {{0.0}}, energy[2] = {0.0};
    test_steps(md, 1);
    for (int when = 0; when < 2; when++) {
        if (when == 1)
            test_steps(md, 2000);
        energy[when] = gd_md_energies(md)->total;
        for (size_t i = 0; i < 10; i++)
            for (int d = 0; d < 3; d++)
                momentum[when][d] += gd_md_topology(md)->mass[i] * gd_md_velocities(md)[i][d];
    }
    for (int d = 0; d < 3; d++)
        cr_expect_float_eq(momentum[0][d], momentum[1][d], 1e-9);
    /* leap-frog of stiff bonds at 0.2 fs: the energy of averaged half steps ripples by some 1e-2 of its
     * kinetic part */
    cr_expect_float_eq(energy[0], energy[1], 0.02 * fabs(gd_md_energies(md)->kinetic), "%.8g and %.8g", energy[0], energy[1]);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* Rigid water at 0.5 fs: energies of the two integrators ripple differently but neither may run away;
 * velocity Verlet's positions and velocities satisfy the constraints. */
Test(engine_motion, velocity_verlet_conserves_energy)
{
    const enum gd_constraint_algorithm algorithms[] = {GD_CONSTRAINT_SETTLE, GD_CONSTRAINT_SHAKE};
    for (int k = 0; k < 2; k++) {
        struct test_system s;
        test_water_create(&s, 3, 8);
        s.par.step.dt = 0.0005;
        s.par.boundary.ntb = GD_BOUND_VACUUM; /* a cluster: no cutoff noise */
        s.conf->box = (struct gd_box){0};
        s.par.pairlist.rcutp = s.par.pairlist.rcutl = s.par.nonbonded.rcrf = 9.0;
        s.par.nonbonded.epsrf = 1.0;
        s.par.integrator = GD_INTEGRATOR_VELOCITY_VERLET;
        s.par.constraint.solvent = algorithms[k];
        s.par.constraint.solvent_tolerance = 1e-10;
        struct gd_md *md = test_run(&s, 1);
        test_steps(md, 1);
        double first = gd_md_energies(md)->total;
        test_steps(md, 2000);
        /* the ripple of the shadow Hamiltonian at 0.5 fs, some 1e-4 of the kinetic energy */
        cr_expect_float_eq(gd_md_energies(md)->total, first, 2e-3 * gd_md_energies(md)->kinetic, "%.9g and %.9g", first,
                           gd_md_energies(md)->total);
        for (size_t m = 0; m < gd_md_num_atoms(md); m += 3) {
            double r[3], v[3];
            gd_vec3_sub(gd_md_positions(md)[m], gd_md_positions(md)[m + 1], r);
            gd_vec3_sub(gd_md_velocities(md)[m], gd_md_velocities(md)[m + 1], v);
            cr_expect_float_eq(gd_vec3_norm(r), 0.1, 1e-9);
            cr_expect_float_eq(gd_vec3_dot(r, v), 0.0, 1e-9);
        }
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* Constraint forces and pressure do not depend on the integrator: with a step of 0.01 fs they agree to its
 * order. */
Test(engine_motion, integrators_agree_on_constraint_forces)
{
    struct test_system s;
    test_water_create(&s, 3, 8);
    s.par.step.dt = 1e-5;
    s.par.pressure.virial = GD_VIRIAL_ATOMIC;
    s.par.constraint.solvent = GD_CONSTRAINT_SHAKE;
    s.par.constraint.solvent_tolerance = 1e-14;
    struct gd_md *frog = test_run(&s, 1);
    s.par.integrator = GD_INTEGRATOR_VELOCITY_VERLET;
    struct gd_md *verlet = test_run(&s, 1);
    test_steps(frog, 1);
    test_steps(verlet, 1);
    for (size_t i = 0; i < gd_md_num_atoms(frog); i++)
        for (int d = 0; d < 3; d++)
            cr_expect_float_eq(gd_md_constraint_forces(frog)[i][d], gd_md_constraint_forces(verlet)[i][d], 5.0);
    for (int d = 0; d < 3; d++)
        cr_expect_float_eq(gd_md_pressure(frog)[d][d], gd_md_pressure(verlet)[d][d], 1.0, "%g %g", gd_md_pressure(frog)[d][d],
                           gd_md_pressure(verlet)[d][d]);
    gd_md_destroy(&frog);
    gd_md_destroy(&verlet);
    test_system_destroy(&s);
}

Test(engine_motion, com_motion_is_removed)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_VACUUM, 6);
    relax(&s);
    s.par.step.dt = 1e-4;
    s.par.com.nscm = -5;
    struct gd_md *md = test_run(&s, 1);
    test_steps(md, 5);
    gd_com_motion_remove(md, 1, 1);
    double momentum[3] = {0.0}, angular[3] = {0.0}, centre[3] = {0.0}, part[3], r[3];
    for (size_t i = 0; i < 10; i++)
        for (int d = 0; d < 3; d++)
            centre[d] += md->mass[i] / md->total_mass * md->pos[i][d];
    for (size_t i = 0; i < 10; i++) {
        gd_vec3_sub(md->pos[i], centre, r);
        gd_vec3_cross(r, md->vel[i], part);
        gd_vec3_add_scaled(momentum, md->mass[i], md->vel[i]);
        gd_vec3_add_scaled(angular, md->mass[i], part);
    }
    for (int d = 0; d < 3; d++) {
        cr_expect_float_eq(momentum[d], 0.0, 1e-10);
        cr_expect_float_eq(angular[d], 0.0, 1e-3); /* about positions half a step earlier, not these */
    }
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* A run saved in mid-list, loaded into a fresh object, continues bit for bit. */
static void check_continuation(struct test_system *s, int threads)
{
    struct gd_err err = {0};
    struct gd_md *one = test_run(s, threads), *two = test_run(s, threads);
    size_t n = gd_md_num_atoms(one);
    test_steps(one, 7);
    size_t size = gd_md_state_size(one);
    void *bytes = malloc(size);
    gd_md_save_state(one, bytes);
    test_steps(one, 9);
    cr_assert_eq(gd_md_load_state(two, bytes, size, &err), 0, "%s", err.text);
    cr_expect_eq(gd_md_step_number(two), 7);
    test_steps(two, 9);
    cr_expect_eq(memcmp(gd_md_positions(one), gd_md_positions(two), n * sizeof(gd_vec3)), 0);
    cr_expect_eq(memcmp(gd_md_velocities(one), gd_md_velocities(two), n * sizeof(gd_vec3)), 0);
    cr_expect_eq(memcmp(gd_md_box(one), gd_md_box(two), sizeof(struct gd_box)), 0);
    cr_expect_eq(gd_md_energies(one)->total, gd_md_energies(two)->total);
    cr_expect_eq(one->reservoir.reported, two->reservoir.reported);
    cr_expect_eq(one->reservoir.taken, two->reservoir.taken);
    ((unsigned char *)bytes)[size / 2] ^= 1;
    cr_expect_eq(gd_md_load_state(two, bytes, size, &err), GD_E_CORRUPT_DATA);
    cr_expect_eq(gd_md_load_state(two, bytes, size - 1, &err), GD_E_CORRUPT_DATA);
    free(bytes);
    gd_md_destroy(&one);
    gd_md_destroy(&two);
}

Test(engine_motion, continues_bit_for_bit)
{
    const enum gd_thermostat thermostats[] = {GD_THERMOSTAT_WEAK_COUPLING, GD_THERMOSTAT_NOSE_HOOVER_CHAINS, GD_THERMOSTAT_BUSSI};
    for (int k = 0; k < 3; k++) {
        struct test_system s;
        test_water_create(&s, 4, 8);
        test_couple(&s, thermostats[k], 0.1);
        s.par.pairlist.nsnb = 5;
        s.par.pairlist.rcutp *= 0.7;
        s.par.pressure.couple = GD_PRESSURE_SCALE;
        s.par.pressure.tau = 5.0;
        s.par.pressure.compressibility = 1e-6;
        check_continuation(&s, 1 + k % 2);
        s.par.integrator = GD_INTEGRATOR_VELOCITY_VERLET;
        check_continuation(&s, 1 + k % 2);
        test_system_destroy(&s);
    }
}

Test(engine_motion, stochastic_dynamics_continues_bit_for_bit)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_VACUUM, 6);
    s.par.step.dt = 0.0005;
    s.par.stochastic.ntsd = s.par.stochastic.ntfr = 1;
    s.par.stochastic.cfric = 10.0;
    s.par.stochastic.tempsd = 300.0;
    s.par.initialise.ntisti = 1;
    check_continuation(&s, 1);
    test_system_destroy(&s);
}

Test(engine_motion, same_threads_same_bits)
{
    struct test_system s;
    test_water_create(&s, 5, 8);
    struct gd_md *one = test_run(&s, 2), *two = test_run(&s, 2), *single = test_run(&s, 1);
    test_steps(one, 10);
    test_steps(two, 10);
    test_steps(single, 10);
    size_t n = gd_md_num_atoms(one);
    cr_expect_eq(memcmp(gd_md_positions(one), gd_md_positions(two), n * sizeof(gd_vec3)), 0);
    cr_expect_float_eq(gd_md_energies(one)->total, gd_md_energies(single)->total,
                       1e-9 * fabs(gd_md_energies(one)->total)); /* sums in another order */
    gd_md_destroy(&one);
    gd_md_destroy(&two);
    gd_md_destroy(&single);
    test_system_destroy(&s);
}

Test(engine_motion, grid_finds_the_pairs_of_the_plain_search)
{
    struct test_system s;
    test_water_create(&s, 13, 8); /* 2197 molecules: above the size from which the grid is used */
    s.par.pairlist.rcutp = 0.6;
    s.par.pairlist.rcutl = s.par.nonbonded.rcrf = 0.8;
    struct gd_md *md = test_run(&s, 2);
    struct gd_err err = {0};
    cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
    /* the plain sum over all pairs of molecules within the cutoff */
    const double(*x)[3] = gd_md_positions(md);
    double edge = s.conf->box.vectors[0][0];
    size_t n = gd_md_num_atoms(md), pairs = 0, listed = 0;
    for (size_t i = 0; i < n; i += 3)
        for (size_t j = i + 3; j < n; j += 3) {
            double r2 = 0.0;
            for (int d = 0; d < 3; d++) {
                double r = x[i][d] - x[j][d];
                r -= edge * rint(r / edge);
                r2 += r * r;
            }
            pairs += r2 <= 0.64;
        }
    listed = gd_nonbonded_listed_pairs(md);
    cr_expect_eq(pairs, listed, "%zu pairs, %zu listed", pairs, listed);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* Bussi's factor leaves the canonical distribution of the kinetic energy as it is: mean n/2 kT, variance n/2
 * (kT)^2. */
Test(engine_motion, bussi_samples_the_canonical_distribution)
{
    struct gd_random random;
    gd_random_seed(&random, GD_RANDOM_GSL, 1);
    const double dof = 60.0, reference = 0.5 * dof;
    const int draws = 200000;
    double kinetic = reference, sum = 0.0, square = 0.0;
    for (int k = 0; k < draws; k++) {
        double factor = gd_bussi_factor(&random, kinetic, reference, dof, 0.5);
        kinetic *= factor * factor;
        sum += kinetic;
        square += kinetic * kinetic;
    }
    double mean = sum / draws, variance = square / draws - mean * mean;
    /* correlation time 2 draws: standard error of the mean sqrt(30 * 4 / 2e5) = 0.025, of the variance about
     * 0.3 */
    cr_expect_float_eq(mean, 30.0, 0.12, "%g", mean);
    cr_expect_float_eq(variance, 30.0, 1.5, "%g", variance);
}

Test(engine_motion, stochastic_cell_samples_the_volume)
{
    struct test_system s;
    test_ideal_gas_create(&s, 0.004);
    s.par.pressure.barostat = GD_BAROSTAT_STOCHASTIC_CELL;
    s.par.pressure.tau = 0.1;
    test_ideal_gas_volume(&s);
    test_system_destroy(&s);
}

/* ISO C++ [rand.predef]: the 10000th number of MT19937 with seed 5489. */
Test(engine_motion, mersenne_twister_is_the_standard_one)
{
    struct gd_random random;
    gd_random_seed(&random, GD_RANDOM_GSL, 5489);
    uint32_t bits = 0;
    for (int k = 0; k < 10000; k++)
        bits = gd_random_bits(&random);
    cr_expect_eq(bits, 4123659995u);
}

Test(engine_motion, a_run_that_blows_up_says_where)
{
    struct test_system s;
    struct gd_err err = {0};
    test_water_create(&s, 3, 8);
    for (int d = 0; d < 3; d++)
        for (int k = 0; k < 3; k++) /* molecule 5 on molecule 2 */
            s.conf->position[12 + k][d] = s.conf->position[3 + k][d] + 1e-4;
    struct gd_md *md = test_run(&s, 1);
    int rc = 0;
    for (int k = 0; k < 50 && rc == 0; k++)
        rc = gd_md_step(md, &err);
    cr_assert_eq(rc, GD_E_SIMULATION_FAILED);
    for (size_t i = 0; i < gd_md_num_atoms(md); i++)
        cr_expect(isfinite(gd_md_positions(md)[i][0]) && isfinite(gd_md_velocities(md)[i][0]));
    cr_expect_not_null(strstr(err.text, "step"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "atom"), "%s", err.text);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

Test(engine_motion, refuses_what_does_not_fit)
{
    struct test_system s;
    test_water_create(&s, 3, 8);
    s.par.pairlist.rcutl = 0.6;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "RCUTL");
    s.par.pairlist.rcutl = s.par.pairlist.rcutp;
    s.par.boundary.ntb = GD_BOUND_VACUUM;
    s.par.boundary.ntb = GD_BOUND_TRICLINIC;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "NTB");
    s.par.boundary.ntb = GD_BOUND_RECTANGULAR;
    s.par.force.energy_group_last[0] = 80;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "NRE");
    s.par.force.energy_group_last[0] = 81;
    test_couple(&s, GD_THERMOSTAT_WEAK_COUPLING, 0.1);
    s.par.multibath.dof_set[0].last = 40;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "LAST");
    s.conf->position[4][1] = NAN;
    s.par.multibath.num_dof_sets = 0;
    test_refused(&s, GD_E_NOT_FINITE, "atom 5");
    test_system_destroy(&s);
}

Test(engine_motion, steepest_descent_goes_down)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_RECTANGULAR, 6);
    relax(&s);
    for (size_t i = 0; i < 10; i++)
        s.conf->position[i][i % 3] += i % 2 ? 0.004 : -0.004;
    for (int kind = GD_MINIMISE_STEEPEST_DESCENT; kind <= GD_MINIMISE_POLAK_RIBIERE; kind++) {
        s.par.minimise.ntem = (enum gd_minimiser)kind;
        s.par.minimise.dele = kind == GD_MINIMISE_STEEPEST_DESCENT ? 1e-4 : 5.0;
        s.par.minimise.dx0 = 0.001;
        s.par.minimise.dxm = 0.02;
        s.par.minimise.ncyc = 10; /* Fletcher-Reeves stalls without fresh starts */
        s.par.minimise.cgim = 3;
        s.par.minimise.cgic = 1e-4;
        struct gd_md *md = test_run(&s, 1);
        struct gd_err err = {0};
        test_steps(md, 1);
        double first = gd_md_energies(md)->potential;
        for (int k = 0; k < 2000 && !gd_md_converged(md); k++)
            cr_assert_eq(gd_md_step(md, &err), 0, "%s", err.text);
        cr_expect(gd_md_converged(md), "minimiser %d: %g after %g", kind, gd_md_energies(md)->potential, first);
        cr_expect_lt(gd_md_energies(md)->potential, first);
        gd_md_destroy(&md);
    }
    test_system_destroy(&s);
}

/* A dilute system has room for more cells than points: the grid gets coarser, for without it the pair list takes the square of the points.
 * Every pair within the cutoff is then in cells at most two apart, around the edges too. */
Test(engine_motion, the_grid_of_a_dilute_system)
{
    enum { POINTS = 2500 };
    static gd_vec3 point[POINTS];
    const struct gd_box boxes[] = {{.kind = GD_BOX_RECTANGULAR, .vectors = {{30, 0, 0}, {0, 30, 0}, {0, 0, 30}}},
                                   {.kind = GD_BOX_RECTANGULAR, .vectors = {{900, 0, 0}, {0, 4, 0}, {0, 0, 4}}},
                                   {.kind = GD_BOX_TRICLINIC, .vectors = {{25, 0, 0}, {8, 20, 0}, {-6, 5, 30}}}};
    const double cutoff = 1.3;
    for (size_t b = 0; b < sizeof boxes / sizeof boxes[0]; b++) {
        struct gd_cell_grid grid = {0};
        struct gd_periodicity pbc = {0};
        struct gd_err err = {0};
        unsigned seed = 7;
        gd_periodicity_set(&pbc, &boxes[b]);
        for (int p = 0; p < POINTS; p++)
            for (int d = 0; d < 3; d++) {
                seed = seed * 1664525u + 1013904223u;
                point[p][d] = boxes[b].vectors[d][d] * ((double)(seed >> 8) / 16777216.0 - 0.3);
            }
        cr_assert_eq(gd_cell_grid_create(&grid, POINTS, &err), 0, "%s", err.text);
        gd_cell_grid_fill(&grid, &pbc, (const gd_vec3 *)point, POINTS, cutoff);
        cr_assert(grid.in_use && grid.num_cells <= grid.capacity && grid.num_cells > grid.capacity / 4, "box %zu: %zu cells", b,
                  grid.num_cells);
        size_t near = 0;
        for (int i = 0; i < POINTS; i++)
            for (int j = i + 1; j < POINTS; j++) {
                double r[3];
                gd_nearest_image(&pbc, point[i], point[j], r);
                if (gd_vec3_norm2(r) > cutoff * cutoff)
                    continue;
                near++;
                for (int d = 0, u = grid.cell[i], v = grid.cell[j]; d < 3; d++) {
                    int below = d == 0 ? grid.cells[1] * grid.cells[2] : d == 1 ? grid.cells[2] : 1;
                    int apart = abs(u / below % grid.cells[d] - v / below % grid.cells[d]);
                    cr_assert_leq(apart < grid.cells[d] - apart ? apart : grid.cells[d] - apart, 2);
                }
            }
        cr_assert_gt(near, 100);
        gd_cell_grid_destroy(&grid);
    }
}
