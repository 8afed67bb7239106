/* Constraints: flexible ones against closed formulas and against minimised bonds, listed ones, constraining
 * of the start. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "engine/md_internal.h"
#include "engine/settle.h"
#include "test_engine_systems.h"

/* Diatomic molecules of masses 12 and 16 in vacuum, bonds of 0.12 nm and 3e5 kJ mol^-1 nm^-2, charges 0.3 and
 * -0.3, without Lennard-Jones terms; the k-th lies along x at y = 0.3 k. */
static void diatomics(struct test_system *s, int molecules)
{
    struct gd_err err = {0};
    memset(s, 0, sizeof *s);
    size_t n = 2 * (size_t)molecules;
    cr_assert_eq(gd_topology_create(&s->top, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_ATOM_TYPES, 1, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_RESIDUES, 1, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_ATOMS, n, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_BOND_TYPES, 1, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_BONDS, (size_t)molecules, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_EXCLUSIONS, (size_t)molecules, &err), 0);
    cr_assert_eq(gd_topology_resize(s->top, GD_TOP_MOLECULES, (size_t)molecules, &err), 0);
    s->top->bond_types[0] = (struct gd_bond_type){.quartic = 1.0e7, .harmonic = 3.0e5, .length = 0.12};
    cr_assert_eq(gd_configuration_create(&s->conf, n, &err), 0);
    cr_assert_eq(gd_configuration_add(s->conf, GD_CONF_VELOCITY, &err), 0);
    for (int m = 0; m < molecules; m++) {
        for (int a = 0; a < 2; a++) {
            int i = 2 * m + a;
            s->top->mass[i] = a ? 16.0 : 12.0;
            s->top->charge[i] = a ? -0.3 : 0.3;
            s->top->charge_group_end[i] = (uint8_t)a;
            s->top->exclusion_start[i] = m + a;
            s->conf->position[i][0] = 0.12 * a;
            s->conf->position[i][1] = 0.3 * m;
        }
        s->top->bonds[m] = (struct gd_bond){.atom = {2 * m, 2 * m + 1}};
        s->top->exclusions[m] = 2 * m + 1;
        s->top->molecule_start[m + 1] = 2 * m + 2;
    }
    s->top->exclusion_start[n] = molecules;
    cr_assert_eq(gd_topology_expand(s->top, 1, 0, &err), 0);
    gd_parameters_default(&s->par);
    s->par.step.nstlim = 100;
    s->par.step.dt = 0.0005;
    s->par.force.num_energy_groups = 1;
    s->par.force.energy_group_last[0] = (int64_t)n;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = 9.0;
    s->par.nonbonded.epsrf = 1.0;
    s->par.covalent.ntbbh = 1;
    s->par.constraint.ntc = 3;
    s->par.constraint.solute = GD_CONSTRAINT_FLEXIBLE_SHAKE;
    s->par.constraint.solute_tolerance = 1e-13;
    cr_assert_eq(gd_restraints_create(&s->res, &err), 0);
}

static void bond_vector(const double (*x)[3], size_t i, size_t j, double r[3])
{
    for (int d = 0; d < 3; d++)
        r[d] = x[i][d] - x[j][d];
}

static double bond_length(const double (*x)[3], size_t i, size_t j)
{
    double r[3];
    bond_vector(x, i, j, r);
    return gd_vec3_norm(r);
}

/* A molecule that turns by the same angle each step, at the same length: with the kinetic part the free step
 * is 2 r(t) - r(t - dt), so that K (l - b0) = mu / dt^2 l (sqrt(5 - 4 cos angle) - 1), which is mu omega^2 l
 * for small steps. */
Test(engine_constraints, a_turning_flexible_bond_is_stretched)
{
    const double mu = 12.0 * 16.0 / 28.0, stiffness = 3.0e5;
    for (int mode = 0; mode < 2; mode++) {
        struct test_system s;
        diatomics(&s, 1);
        s.conf->velocity[0][1] = 16.0 / 28.0 * 2.0;
        s.conf->velocity[1][1] = -12.0 / 28.0 * 2.0;
        s.par.constraint.flexible_mode = mode;
        struct gd_md *md = test_run(&s, 1);
        test_steps(md, 200);
        double now[3], before[3];
        bond_vector(gd_md_positions(md), 0, 1, now);
        bond_vector(gd_md_previous_positions(md), 0, 1, before);
        double length = gd_vec3_norm(now), angle = acos(gd_vec3_dot(now, before) / (length * gd_vec3_norm(before)));
        double dt = s.par.step.dt, omega = angle / dt;
        if (mode == 0) {
            double force = mu / (dt * dt) * length * (sqrt(5.0 - 4.0 * cos(angle)) - 1.0);
            cr_expect_float_eq(length, 0.12 + force / stiffness, 1e-10, "%.12g", length);
            cr_expect_float_eq(length, 0.12 / (1.0 - mu * omega * omega / stiffness), 2e-7, "%.12g", length);
            cr_expect_gt(length, 0.1205);
            cr_expect_float_eq(gd_md_energies(md)->constraint, 0.5 * stiffness * (length - 0.12) * (length - 0.12), 1e-6);
        } else {
            cr_expect_float_eq(length, 0.12, 1e-10, "%.12g", length); /* no forces, no stretch */
            cr_expect_float_eq(gd_md_energies(md)->constraint, 0.0, 1e-12);
        }
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* At rest, flexible constraints have the lengths of bonds whose energy was minimised, and the bonds' energy.
 */
Test(engine_constraints, flexible_bonds_at_rest_are_minimised_bonds)
{
    struct test_system s;
    diatomics(&s, 2);
    double stretched[2], energy;
    s.par.constraint.ntc = 1;
    s.par.constraint.solute = GD_CONSTRAINT_SHAKE;
    struct gd_err err = {0};
    /* steepest descent along the bonds alone: centres are held by taking off what moves them */
    for (int k = 0; k < 60; k++) {
        struct gd_md *md = test_run(&s, 1);
        cr_assert_eq(gd_md_single_point(md, &err), 0, "%s", err.text);
        for (size_t m = 0; m < 2; m++) {
            const double(*f)[3] = gd_md_forces(md);
            double r[3], pull = 0.0;
            bond_vector((const double(*)[3])s.conf->position, 2 * m, 2 * m + 1, r);
            double length = gd_vec3_norm(r);
            const double mu = 12.0 * 16.0 / 28.0;
            for (int d = 0; d < 3; d++)
                pull += mu * (f[2 * m][d] / 12.0 - f[2 * m + 1][d] / 16.0) * r[d] / length;
            double grow = 0.9 * pull / 3.0e5;
            for (int d = 0; d < 3; d++) {
                s.conf->position[2 * m][d] += 16.0 / 28.0 * grow * r[d] / length;
                s.conf->position[2 * m + 1][d] -= 12.0 / 28.0 * grow * r[d] / length;
            }
        }
        energy = gd_md_energies(md)->bond;
        gd_md_destroy(&md);
    }
    for (size_t m = 0; m < 2; m++)
        stretched[m] = bond_length((const double(*)[3])s.conf->position, 2 * m, 2 * m + 1);
    cr_assert_gt(fabs(stretched[0] - 0.12), 1e-5);
    s.par.constraint.ntc = 3;
    s.par.constraint.solute = GD_CONSTRAINT_FLEXIBLE_SHAKE;
    for (int mode = 0; mode < 2; mode++) {
        s.par.constraint.flexible_mode = mode;
        struct gd_md *md = test_run(&s, 1);
        test_steps(md, 1);
        for (size_t m = 0; m < 2; m++) /* the step's turn adds (dt^2 f / m)^2 / 2 l */
            cr_expect_float_eq(bond_length(gd_md_positions(md), 2 * m, 2 * m + 1), stretched[m], 1e-9);
        cr_expect_float_eq(gd_md_energies(md)->constraint, energy, 1e-6);
        gd_md_destroy(&md);
    }
    test_system_destroy(&s);
}

/* Four molecules that attract and turn one another: with the bonds' energy counted the total keeps within
 * 2e-3 of the kinetic energy's changes. */
Test(engine_constraints, flexible_bonds_conserve_energy)
{
    struct test_system s;
    diatomics(&s, 4);
    s.par.step.dt = 0.0002;
    for (int i = 0; i < 8; i++)
        s.conf->velocity[i][i % 3] = 0.8 * (i % 2 ? 1.0 : -1.0);
    s.par.initialise.ntishk = 3;
    struct gd_md *md = test_run(&s, 1);
    test_steps(md, 100); /* lengths start at rest and take some steps */
    double first = 0.0, low = 1e300, high = -1e300, moved = 0.0, bonds = 0.0;
    for (int k = 0; k < 2000; k++) {
        test_steps(md, 1);
        const struct gd_md_energies *e = gd_md_energies(md);
        first = k == 0 ? e->kinetic : first;
        moved = fmax(moved, fabs(e->kinetic - first));
        bonds = fmax(bonds, e->constraint);
        low = fmin(low, e->total);
        high = fmax(high, e->total);
    }
    cr_expect_gt(moved, 1.0);
    cr_expect_gt(bonds, 0.01);
    cr_expect_lt(high - low, 2e-3 * moved, "total from %.9g to %.9g, kinetic moved %g, bonds %g", low, high, moved, bonds);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

/* NTCP0(2) 1: a run cut in two by a configuration alone goes on as if it were one. */
Test(engine_constraints, flexible_lengths_go_on_from_velocities)
{
    struct test_system s;
    diatomics(&s, 2);
    for (int i = 0; i < 4; i++)
        s.conf->velocity[i][i % 3] = 0.8 * (i % 2 ? 1.0 : -1.0);
    s.par.initialise.ntishk = 3;
    struct gd_md *whole = test_run(&s, 1);
    test_steps(whole, 40);
    memcpy(s.conf->position, gd_md_positions(whole), 4 * sizeof(gd_vec3));
    memcpy(s.conf->velocity, gd_md_velocities(whole), 4 * sizeof(gd_vec3));
    s.par.initialise.ntishk = 0;
    s.par.constraint.flexible_start = 1;
    struct gd_md *second = test_run(&s, 1);
    test_steps(whole, 5);
    test_steps(second, 5);
    for (size_t i = 0; i < 4; i++)
        for (int d = 0; d < 3; d++)
            cr_expect_float_eq(gd_md_positions(second)[i][d], gd_md_positions(whole)[i][d], 1e-12);
    /* and bit for bit with the saved state */
    void *saved = malloc(gd_md_state_size(whole));
    gd_md_save_state(whole, saved);
    struct gd_err err = {0};
    cr_assert_eq(gd_md_load_state(second, saved, gd_md_state_size(whole), &err), 0, "%s", err.text);
    test_steps(whole, 20);
    test_steps(second, 20);
    cr_expect_eq(memcmp(gd_md_positions(second), gd_md_positions(whole), 4 * sizeof(gd_vec3)), 0);
    free(saved);
    gd_md_destroy(&whole);
    gd_md_destroy(&second);
    test_system_destroy(&s);
}

/* Thermostats do not see the motion of flexible lengths: 2 Ekin / (kB dof) of the rest is what they bring to
 * 300 K. */
Test(engine_constraints, flexible_motion_is_not_the_baths)
{
    struct test_system s;
    diatomics(&s, 2);
    for (int i = 0; i < 4; i++)
        s.conf->velocity[i][0] = 2.0 * (i % 2 ? 1.0 : -1.0); /* along the bonds */
    s.par.constraint.flexible_start = 1;
    struct gd_md *md = test_run(&s, 1);
    double all = 0.0;
    for (size_t i = 0; i < 4; i++)
        all += 0.5 * gd_md_topology(md)->mass[i] * gd_vec3_norm2(gd_md_velocities(md)[i]);
    /* what is left is the translation: momentum +-2 (16 - 12) on 28 u in each molecule */
    cr_expect_float_eq(all, 2.0 * 0.5 * 28.0 * 4.0, 1e-12);
    cr_expect_float_eq(gd_md_bath(md, 0)->kinetic_new, 2.0 * 0.5 * 8.0 * 8.0 / 28.0, 1e-9);
    gd_md_destroy(&md);
    test_system_destroy(&s);
}

Test(engine_constraints, flexible_ones_are_refused_where_they_are_not_done)
{
    struct test_system s;
    diatomics(&s, 1);
    s.par.constraint.flexible_mode = 2;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "NTCP0(3)");
    s.par.constraint.flexible_mode = 0;
    s.par.integrator = GD_INTEGRATOR_VELOCITY_VERLET;
    test_refused(&s, GD_E_UNSUPPORTED, "leap-frog");
    s.par.integrator = GD_INTEGRATOR_LEAP_FROG;
    s.top->bond_types[0].harmonic = 0.0;
    test_refused(&s, GD_E_INVALID_ARGUMENT, "CHB");
    test_system_destroy(&s);
}

/* The topology's own list: pair 0-2 rigid at the length of a bond type, alone with NTC 4, besides the bonds
 * with NTC 2 and 3; one degree of freedom less. */
Test(engine_constraints, listed_distances)
{
    for (int ntc = 1; ntc <= 4; ntc++) {
        struct test_system s;
        struct gd_err err = {0};
        test_molecule_create(&s, GD_BOX_VACUUM, 6);
        s.top->expanded = 0;
        cr_assert_eq(gd_topology_resize(s.top, GD_TOP_BOND_TYPES, 3, &err), 0, "%s", err.text);
        s.top->bond_types[2] = (struct gd_bond_type){.quartic = 1e6, .harmonic = 1e5, .length = 0.25};
        cr_assert_eq(gd_topology_resize(s.top, GD_TOP_CONSTRAINTS, 1, &err), 0, "%s", err.text);
        s.top->constraints[0] = (struct gd_bond){.atom = {0, 2}, .type = 2};
        s.top->expanded = 1;
        s.top->bonds[0].hydrogen = 1;
        s.par.constraint.ntc = ntc;
        s.par.constraint.solute_tolerance = 1e-10;
        s.par.step.dt = 0.0005;
        s.par.initialise.ntishk = 1;
        struct gd_md *md = test_run(&s, 1);
        const double rigid[] = {0, 0, 2, 8, 1};
        cr_expect_float_eq(gd_md_bath(md, 0)->dof, 30.0 - rigid[ntc], 1e-12, "NTC %d: %g", ntc, gd_md_bath(md, 0)->dof);
        test_steps(md, 5);
        double length = bond_length(gd_md_positions(md), 0, 2), bond = bond_length(gd_md_positions(md), 0, 1);
        if (ntc > 1)
            cr_expect_float_eq(length, 0.25, 1e-9, "NTC %d: %.12g", ntc, length);
        else
            cr_expect_gt(fabs(length - 0.25), 1e-6);
        cr_expect_eq(fabs(bond - 0.153) < 1e-9, ntc == 2 || ntc == 3, "NTC %d: %.12g", ntc, bond);
        gd_md_destroy(&md);
        test_system_destroy(&s);
    }
}

/* NTISHK with SETTLE is NTISHK with SHAKE of a small tolerance; the positions are rigid, and so are those of
 * the step before. */
Test(engine_constraints, the_start_with_settle)
{
    for (int ntishk = 1; ntishk <= 3; ntishk++) {
        struct test_system s;
        test_water_create(&s, 3, 8);
        unsigned seed = 7;
        size_t n = s.conf->num_atoms;
        for (size_t i = 0; i < n; i++)
            for (int d = 0; d < 3; d++) {
                s.conf->velocity[i][d] += 0.5 * (test_random(&seed) - 0.5);
                if (ntishk != 2)
                    s.conf->position[i][d] += 0.004 * (test_random(&seed) - 0.5);
            }
        s.par.initialise.ntishk = ntishk;
        struct gd_md *settle = test_run(&s, 1);
        s.par.constraint.solvent = GD_CONSTRAINT_SHAKE;
        s.par.constraint.solvent_tolerance = 1e-12;
        struct gd_md *shake = test_run(&s, 1);
        double changed = 0.0;
        for (size_t i = 0; i < n; i++)
            for (int d = 0; d < 3; d++) {
                cr_expect_float_eq(gd_md_positions(settle)[i][d], gd_md_positions(shake)[i][d], 1e-11);
                cr_expect_float_eq(gd_md_velocities(settle)[i][d], gd_md_velocities(shake)[i][d], 1e-8);
                changed = fmax(changed, fabs(gd_md_velocities(settle)[i][d] - s.conf->velocity[i][d]));
            }
        cr_expect_eq(changed > 0.01, ntishk != 1, "NTISHK %d: velocities changed by %g", ntishk, changed);
        for (size_t i = 0; i < n; i += 3) {
            double r[3];
            bond_vector(gd_md_positions(settle), i, i + 1, r);
            cr_expect_float_eq(gd_vec3_norm(r), 0.1, 1e-9);
            for (int d = 0; d < 3; d++)
                r[d] -= s.par.step.dt * (gd_md_velocities(settle)[i][d] - gd_md_velocities(settle)[i + 1][d]);
            if (ntishk != 1)
                cr_expect_float_eq(gd_vec3_norm(r), 0.1, 1e-9);
        }
        gd_md_destroy(&settle);
        gd_md_destroy(&shake);
        test_system_destroy(&s);
    }
}

enum { SETTLED = 21 };

/* Molecules of SPC water turned at random, and where their sites have gone by themselves. */
static void scatter(gd_vec3 old[3 * SETTLED], gd_vec3 new[3 * SETTLED])
{
    const double x = 0.1 * cos(GD_PI * 109.4712 / 360.0), y = 0.1 * sin(GD_PI * 109.4712 / 360.0);
    unsigned seed = 11;
    for (int m = 0; m < SETTLED; m++) {
        double u[3], v[3], w[3];
        for (int d = 0; d < 3; d++) {
            u[d] = test_random(&seed) - 0.5;
            v[d] = test_random(&seed) - 0.5;
        }
        gd_vec3_cross(u, v, w);
        gd_vec3_cross(w, u, v);
        for (int s = 0; s < 3; s++)
            for (int d = 0; d < 3; d++) {
                double along = s == 0 ? 0.0 : x * u[d] / gd_vec3_norm(u), across = s == 0 ? 0.0 : y * v[d] / gd_vec3_norm(v);
                old[3 * m + s][d] = 0.3 * m + along + (s == 1 ? across : -across);
                new[3 * m + s][d] = old[3 * m + s][d] + 0.004 * (test_random(&seed) - 0.5);
            }
    }
}

static struct gd_settle spc_settle(void)
{
    struct gd_settle t = {.heavy = 15.9994, .light = 1.008, .rate = 500.0};
    t.rc = 0.1 * sin(GD_PI * 109.4712 / 360.0);
    t.ra = 0.1 * cos(GD_PI * 109.4712 / 360.0) / (1.0 + 0.5 * t.heavy / t.light);
    t.rb = 0.5 * t.heavy / t.light * t.ra;
    return t;
}

/* The sites are as far apart as they should be, what was moved has no momentum, and the forces are along the old distances. */
static void check_settled(const struct gd_settle *t, const gd_vec3 *before, size_t m)
{
    const double mass[3] = {t->heavy, t->light, t->light}, length[3] = {0.1, 0.1, 2.0 * t->rc};
    double sum[3] = {0.0}, torque[3] = {0.0};
    for (size_t s = 0; s < 3; s++) {
        double r[3], step[3], turn[3];
        bond_vector(t->pos, 3 * m + (s == 2), 3 * m + (s == 0 ? 1 : 2), r);
        cr_expect_float_eq(gd_vec3_norm(r), length[s], 1e-14, "molecule %zu, distance %zu: %.17g", m, s, gd_vec3_norm(r));
        gd_vec3_sub(t->pos[3 * m + s], before[3 * m + s], step);
        for (int d = 0; d < 3; d++)
            cr_expect_float_eq(t->force[3 * m + s][d], mass[s] * step[d] * 250000.0, 1e-6); /* coordinates of 6 nm, rounded */
        gd_vec3_sub(t->old_pos[3 * m + s], t->old_pos[3 * m], r);
        gd_vec3_cross(r, t->force[3 * m + s], turn);
        gd_vec3_add_scaled(sum, 1.0, t->force[3 * m + s]);
        gd_vec3_add_scaled(torque, 1.0, turn);
    }
    for (int d = 0; d < 3; d++) {
        cr_expect_float_eq(sum[d], 0.0, 1e-8);
        cr_expect_float_eq(torque[d], 0.0, 1e-6); /* of forces of some 1e4 kJ/mol/nm */
    }
}

/* For any number of molecules, of which a vector takes several, in any position. */
static void settle_with(gd_settle_kernel *kernel, const char *name)
{
    static gd_vec3 old[3 * SETTLED], new[3 * SETTLED], expected[3 * SETTLED], pos[3 * SETTLED], vel[3 * SETTLED], force[3 * SETTLED];
    scatter(old, new);
    for (size_t begin = 0; begin < 3; begin++)
        for (size_t end = begin; end <= SETTLED; end++) {
            gd_mat3 virial = {{1.0}}, summed = {{1.0}};
            struct gd_settle t = spc_settle();
            memcpy(expected, new, sizeof new);
            memcpy(pos, new, sizeof new);
            memset(vel, 0, sizeof vel);
            memset(force, 0, sizeof force);
            t.old_pos = (const gd_vec3 *)old;
            t.pos = expected;
            t.force = force;
            t.begin = begin;
            t.end = end;
            cr_assert_eq(gd_settle_plain(&t), -1);
            memset(force, 0, sizeof force);
            t.pos = pos;
            t.vel = vel;
            t.virial = virial;
            cr_assert_eq(kernel(&t), -1);
            cr_expect(memcmp(pos, expected, sizeof pos) == 0, "%s, %zu to %zu: another place than without vectors", name, begin, end);
            for (size_t m = begin; m < end; m++) {
                check_settled(&t, (const gd_vec3 *)new, m);
                for (size_t s = 3 * m; s < 3 * m + 3; s++) {
                    gd_mat3_add_outer(summed, 1.0, old[s], force[s]);
                    for (int d = 0; d < 3; d++)
                        cr_expect_float_eq(vel[s][d], 500.0 * (pos[s][d] - new[s][d]), 1e-11);
                }
            }
            for (int k = 0; k < 9; k++)
                cr_expect_float_eq(virial[k / 3][k % 3], summed[k / 3][k % 3], 1e-9 * (1.0 + fabs(summed[k / 3][k % 3])));
        }
    for (size_t wrong = 0; wrong < SETTLED; wrong++) { /* a molecule beyond help is named, with another one behind it */
        struct gd_settle t = spc_settle();
        memcpy(pos, new, sizeof new);
        for (size_t later = wrong; later < SETTLED; later += 5) {
            double r[2][3], normal[3];
            gd_vec3_sub(old[3 * later + 1], old[3 * later], r[0]);
            gd_vec3_sub(old[3 * later + 2], old[3 * later], r[1]);
            gd_vec3_cross(r[0], r[1], normal);
            gd_vec3_add_scaled(pos[3 * later + 1], 0.5 / gd_vec3_norm(normal), normal);
        }
        t.old_pos = (const gd_vec3 *)old;
        t.pos = pos;
        t.force = force;
        t.end = SETTLED;
        cr_expect_eq(kernel(&t), (int64_t)wrong, "%s: molecule %zu", name, wrong);
    }
}

Test(engine_constraints, settle_is_the_same_with_every_kernel)
{
    settle_with(gd_settle_plain, "plain");
#if defined(__x86_64__)
    if (gd_cpu_detect() & GD_CPU_AVX2)
        settle_with(gd_settle_avx2, "avx2");
    if (gd_cpu_detect() & GD_CPU_AVX512)
        settle_with(gd_settle_avx512, "avx512");
#endif
}

/* How far from the start one is after so long there and back; the lengths get to go 20 fs before. */
static double flexible_reversal(int mode, double dt, double ps)
{
    struct test_system s;
    diatomics(&s, 4);
    s.par.step.dt = dt;
    s.par.constraint.flexible_mode = mode;
    for (int i = 0; i < 8; i++)
        s.conf->velocity[i][1 + i / 2 % 2] = 0.8 * (i % 2 ? 1.0 : -1.0);
    s.par.initialise.ntishk = 3;
    gd_vec3 start[8];
    int steps = (int)lround(ps / dt);
    struct gd_md *there = test_run(&s, 1);
    test_steps(there, (int)lround(0.02 / dt));
    memcpy(start, gd_md_previous_positions(there), sizeof start);
    test_steps(there, steps);
    memcpy(s.conf->position, gd_md_previous_positions(there), sizeof start);
    for (int i = 0; i < 8; i++)
        for (int d = 0; d < 3; d++)
            s.conf->velocity[i][d] = -gd_md_velocities(there)[i][d];
    s.par.initialise.ntishk = 0;
    s.par.constraint.flexible_start = 1;
    struct gd_md *back = test_run(&s, 1);
    test_steps(back, steps);
    double most = 0.0;
    for (int i = 0; i < 8; i++)
        for (int d = 0; d < 3; d++)
            most = fmax(most, fabs(gd_md_positions(back)[i][d] - start[i][d]));
    gd_md_destroy(&there);
    gd_md_destroy(&back);
    test_system_destroy(&s);
    return most;
}

/* A length follows the forces of the step before: one evaluation, one way in time. What that keeps from running backwards goes with the
 * step, 7e-5 nm after 0.1 ps at 1 fs. */
Test(engine_constraints, flexible_lengths_run_backwards_to_first_order)
{
    for (int mode = 0; mode < 2; mode++) {
        double coarse = flexible_reversal(mode, 0.001, 0.1), fine = flexible_reversal(mode, 0.0005, 0.1);
        cr_expect_lt(coarse, 1e-4, "mode %d: %g nm", mode, coarse);
        cr_expect(coarse / fine > 1.9 && coarse / fine < 2.1, "mode %d: %g and %g nm", mode, coarse, fine);
    }
}
