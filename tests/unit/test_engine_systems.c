#include "test_engine_systems.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

double test_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / 16777216.0;
}

static void must(int rc, const struct gd_err *err)
{
    cr_assert_eq(rc, 0, "%s", err->text);
}

static void resize(struct gd_topology *top, enum gd_topology_table table, size_t n)
{
    struct gd_err err = {0};
    must(gd_topology_resize(top, table, n, &err), &err);
}

static void set_lj(struct gd_topology *top, size_t i, size_t j, double c12, double c6)
{
    struct gd_lj lj = {.c12 = c12, .c6 = c6, .cs12 = 0.7 * c12, .cs6 = 0.9 * c6};
    top->lj[i * top->num_atom_types + j] = top->lj[j * top->num_atom_types + i] = lj;
}

static void common_parameters(struct gd_parameters *par, size_t atoms)
{
    gd_parameters_default(par);
    par->step.dt = 0.002;
    par->step.nstlim = 100;
    par->pairlist.nsnb = 1;
    par->force.num_energy_groups = 1;
    par->force.energy_group_last[0] = (int64_t)atoms;
    par->nonbonded.epsrf = 61.0;
}

void test_water_create(struct test_system *s, int per_edge, unsigned seed)
{
    struct gd_err err = {0};
    size_t molecules = (size_t)(per_edge * per_edge * per_edge);
    memset(s, 0, sizeof *s);
    must(gd_topology_create(&s->top, &err), &err);
    resize(s->top, GD_TOP_ATOM_TYPES, 2);
    gd_name_set(&s->top->type_names[0], "OW");
    gd_name_set(&s->top->type_names[1], "H");
    set_lj(s->top, 0, 0, 2.634129e-06, 0.002617346); /* SPC */
    resize(s->top, GD_TOP_SOLVENT_ATOMS, 3);
    resize(s->top, GD_TOP_SOLVENT_CONSTRAINTS, 3);
    for (int k = 0; k < 3; k++) {
        s->top->solvent_type[k] = k > 0;
        s->top->solvent_mass[k] = k > 0 ? 1.008 : 15.9994;
        s->top->solvent_charge[k] = k > 0 ? 0.41 : -0.82;
    }
    s->top->solvent_constraints[0] = (struct gd_solvent_constraint){{0, 1}, 0.1};
    s->top->solvent_constraints[1] = (struct gd_solvent_constraint){{0, 2}, 0.1};
    s->top->solvent_constraints[2] = (struct gd_solvent_constraint){{1, 2}, 0.1632990};
    must(gd_topology_expand(s->top, 0, molecules, &err), &err);
    common_parameters(&s->par, 3 * molecules);
    s->par.system.npm = 0;
    s->par.system.nsm = (int64_t)molecules;
    double edge = 0.31 * per_edge;
    s->par.boundary.ntb = GD_BOUND_RECTANGULAR;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = 0.45 * edge;
    s->par.constraint.solvent = GD_CONSTRAINT_SETTLE;
    s->par.pressure.couple = GD_PRESSURE_CALC;
    s->par.pressure.scale = GD_SCALE_ISO;
    s->par.pressure.virial = GD_VIRIAL_MOLECULAR;
    must(gd_configuration_create(&s->conf, 3 * molecules, &err), &err);
    must(gd_configuration_add(s->conf, GD_CONF_VELOCITY, &err), &err);
    s->conf->box.kind = GD_BOX_RECTANGULAR;
    s->conf->has_box = 1;
    for (int d = 0; d < 3; d++)
        s->conf->box.vectors[d][d] = edge;
    for (size_t m = 0; m < molecules; m++) {
        double at[3] = {0.31 * (double)(m % (size_t)per_edge), 0.31 * (double)(m / (size_t)per_edge % (size_t)per_edge),
                        0.31 * (double)(m / (size_t)(per_edge * per_edge))};
        double a[3], b[3], length = 0.0, along = 0.0;
        for (int d = 0; d < 3; d++) {
            at[d] += 0.03 * test_random(&seed) - 0.5 * edge;
            a[d] = test_random(&seed) - 0.5;
            b[d] = test_random(&seed) - 0.5;
            length += a[d] * a[d];
        }
        for (int d = 0; d < 3; d++)
            a[d] /= sqrt(length);
        for (int d = 0; d < 3; d++)
            along += a[d] * b[d];
        length = 0.0;
        for (int d = 0; d < 3; d++) {
            b[d] -= along * a[d];
            length += b[d] * b[d];
        }
        const double half = asin(0.5 * 0.1632990 / 0.1);
        for (int d = 0; d < 3; d++) {
            b[d] /= sqrt(length);
            s->conf->position[3 * m][d] = at[d];
            s->conf->position[3 * m + 1][d] = at[d] + 0.1 * (cos(half) * a[d] + sin(half) * b[d]);
            s->conf->position[3 * m + 2][d] = at[d] + 0.1 * (cos(half) * a[d] - sin(half) * b[d]);
            double v = 0.6 * (test_random(&seed) - 0.5); /* the molecule moves as one: constraints hold from the start */
            for (size_t k = 0; k < 3; k++)
                s->conf->velocity[3 * m + k][d] = v;
        }
    }
    must(gd_restraints_create(&s->res, &err), &err);
}

static void fill_terms(struct gd_topology *top)
{
    resize(top, GD_TOP_BOND_TYPES, 2);
    top->bond_types[0] = (struct gd_bond_type){.quartic = 7.15e6, .harmonic = 3.3e5, .length = 0.153};
    top->bond_types[1] = (struct gd_bond_type){.quartic = 1.5e7, .harmonic = 3.0e5, .length = 0.12};
    resize(top, GD_TOP_BONDS, 7);
    for (int k = 0; k < 7; k++)
        top->bonds[k] = (struct gd_bond){.atom = {k, k + 1}, .type = k % 2};
    resize(top, GD_TOP_ANGLE_TYPES, 1);
    top->angle_types[0] = (struct gd_angle_type){.cosine = 520.0, .harmonic = 0.13, .angle = 109.5};
    resize(top, GD_TOP_ANGLES, 6);
    for (int k = 0; k < 6; k++)
        top->angles[k] = (struct gd_angle){.atom = {k, k + 1, k + 2}};
    resize(top, GD_TOP_IMPROPER_TYPES, 1);
    top->improper_types[0] = (struct gd_improper_type){.force = 0.0510, .angle = 35.26};
    resize(top, GD_TOP_IMPROPERS, 1);
    top->impropers[0] = (struct gd_dihedral){.atom = {2, 1, 3, 4}};
    resize(top, GD_TOP_DIHEDRAL_TYPES, 2);
    top->dihedral_types[0] = (struct gd_dihedral_type){.force = 5.92, .phase = 0.0, .multiplicity = 3};
    top->dihedral_types[1] = (struct gd_dihedral_type){.force = 2.5, .phase = 70.0, .multiplicity = 2};
    resize(top, GD_TOP_DIHEDRALS, 4);
    for (int k = 0; k < 4; k++)
        top->dihedrals[k] = (struct gd_dihedral){.atom = {k, k + 1, k + 2, k + 3}, .type = k % 2};
    resize(top, GD_TOP_CROSS_DIHEDRALS, 1);
    top->cross_dihedrals[0] = (struct gd_cross_dihedral){.atom = {1, 2, 3, 4, 3, 4, 5, 6}, .type = 0};
    resize(top, GD_TOP_LJ_EXCEPTIONS, 1);
    top->lj_exceptions[0] = (struct gd_lj_exception){.atom = {1, 6}, .c12 = 4e-6, .c6 = 3e-3};
    resize(top, GD_TOP_EXCLUSIONS, 13);
    resize(top, GD_TOP_ONE_FOURS, 5);
    int32_t used = 0, fours = 0;
    for (int i = 0; i < 10; i++) {
        top->exclusion_start[i] = used;
        top->one_four_start[i] = fours;
        for (int j = i + 1; j <= i + 2 && j < 8 && i < 8; j++)
            top->exclusions[used++] = j;
        if (i + 3 < 8)
            top->one_fours[fours++] = i + 3;
    }
    top->exclusion_start[10] = used;
    top->one_four_start[10] = fours;
}

void test_molecule_create(struct test_system *s, int box_kind, unsigned seed)
{
    struct gd_err err = {0};
    memset(s, 0, sizeof *s);
    must(gd_topology_create(&s->top, &err), &err);
    resize(s->top, GD_TOP_ATOM_TYPES, 2);
    set_lj(s->top, 0, 0, 2.6e-6, 2.6e-3);
    set_lj(s->top, 0, 1, 1.1e-6, 2.0e-3);
    set_lj(s->top, 1, 1, 5.0e-7, 1.0e-3);
    resize(s->top, GD_TOP_RESIDUES, 1);
    gd_name_set(&s->top->residue_names[0], "TST");
    resize(s->top, GD_TOP_ATOMS, 10);
    for (int i = 0; i < 10; i++) {
        s->top->type[i] = i % 2;
        s->top->mass[i] = 12.0 + i;
        s->top->charge[i] = (i % 2 ? 0.3 : -0.3) + (i == 8 ? 0.7 : 0.0);
        s->top->charge_group_end[i] = i % 2 || i >= 8;
    }
    fill_terms(s->top);
    resize(s->top, GD_TOP_MOLECULES, 3);
    const int32_t start[4] = {0, 8, 9, 10};
    memcpy(s->top->molecule_start, start, sizeof start);
    must(gd_topology_expand(s->top, 1, 0, &err), &err);
    common_parameters(&s->par, 10);
    s->par.boundary.ntb = box_kind == GD_BOX_VACUUM        ? GD_BOUND_VACUUM
                          : box_kind == GD_BOX_RECTANGULAR ? GD_BOUND_RECTANGULAR
                          : box_kind == GD_BOX_TRICLINIC   ? GD_BOUND_TRICLINIC
                                                           : GD_BOUND_TRUNCATED_OCTAHEDRON;
    s->par.pairlist.rcutp = 0.9;
    s->par.pairlist.rcutl = s->par.nonbonded.rcrf = 1.2;
    s->par.constraint.ntc = 1;
    must(gd_configuration_create(&s->conf, 10, &err), &err);
    must(gd_configuration_add(s->conf, GD_CONF_VELOCITY, &err), &err);
    s->conf->box.kind = box_kind;
    for (int d = 0; d < 3 && box_kind != GD_BOX_VACUUM; d++)
        s->conf->box.vectors[d][d] = 3.0;
    if (box_kind == GD_BOX_TRICLINIC) {
        s->conf->box.vectors[1][0] = 0.5;
        s->conf->box.vectors[2][0] = -0.4;
        s->conf->box.vectors[2][1] = 0.3;
    }
    for (int i = 0; i < 10; i++) {
        const double place[3] = {0.11 * i, i % 2 ? 0.08 : 0.0, i % 4 < 2 ? 0.05 : -0.03};
        for (int d = 0; d < 3; d++) {
            /* across the box boundary, so that images matter */
            s->conf->position[i][d] = 1.2 + place[d] + 0.02 * test_random(&seed) + (i >= 8 ? 0.25 : 0.0);
            s->conf->velocity[i][d] = test_random(&seed) - 0.5;
        }
    }
    must(gd_restraints_create(&s->res, &err), &err);
}

void test_ideal_gas_create(struct test_system *s, double dt)
{
    test_water_create(s, 3, 8);
    memset(s->top->lj, 0, 4 * sizeof *s->top->lj);
    memset(s->top->charge, 0, s->top->num_atoms * sizeof *s->top->charge);
    memset(s->top->solvent_charge, 0, 3 * sizeof *s->top->solvent_charge);
    const double kt = s->top->boltzmann * 300.0, volume = 27.0;
    s->par.step.dt = dt;
    s->par.pairlist.nsnb = 1000;
    s->par.pairlist.rcutp = s->par.pairlist.rcutl = s->par.nonbonded.rcrf = 0.1;
    s->par.pressure.couple = GD_PRESSURE_SCALE;
    for (int d = 0; d < 3; d++) {
        s->conf->box.vectors[d][d] = 3.0;
        s->par.pressure.reference[d][d] = 28.0 * kt / volume;
    }
    s->par.pressure.compressibility = 1.0 / s->par.pressure.reference[0][0];
}

void test_ideal_gas_volume(struct test_system *s)
{
    test_couple(s, GD_THERMOSTAT_BUSSI, 0.05);
    s->par.multibath.num_baths = 2;
    s->par.multibath.bath[1] = s->par.multibath.bath[0];
    s->par.multibath.dof_set[0].ir_bath = 1;
    struct gd_md *md = test_run(s, 1);
    test_steps(md, 2000);
    double sum = 0.0, square = 0.0;
    const int steps = 60000;
    for (int k = 0; k < steps; k++) {
        test_steps(md, 1);
        sum += gd_md_volume(md);
        square += gd_md_volume(md) * gd_md_volume(md);
    }
    double mean = sum / steps, variance = square / steps - mean * mean;
    /* 240 ps at a correlation time of 0.2 ps or so, about 1200 samples: standard error of the mean 27 /
     * sqrt(28 * 1200) = 0.15, of the variance, 26, about 1.1; bounds of three to four of them */
    cr_expect_float_eq(mean, 27.0, 0.5, "%g", mean);
    cr_expect_float_eq(variance, 26.0, 4.0, "%g", variance);
    gd_md_destroy(&md);
}

void test_couple(struct test_system *s, enum gd_thermostat thermostat, double tau)
{
    s->par.multibath.present = 1;
    s->par.multibath.thermostat = thermostat;
    s->par.multibath.chain_length = 3;
    s->par.multibath.num_baths = 1;
    s->par.multibath.bath[0] = (struct gd_bath){300.0, tau};
    s->par.multibath.num_dof_sets = 1;
    s->par.multibath.dof_set[0] = (struct gd_dof_set){.last = (int64_t)s->top->num_atoms};
}

void test_refused(const struct test_system *s, int code, const char *word)
{
    struct gd_err err = {0};
    struct gd_md *md = NULL;
    cr_expect_eq(gd_md_create(&md, s->top, &s->par, s->conf, s->res, 1, &err), code, "%s", err.text);
    cr_expect_not_null(strstr(err.text, word), "%s", err.text);
    cr_expect_null(md);
}

void test_system_destroy(struct test_system *s)
{
    gd_topology_destroy(&s->top);
    gd_configuration_destroy(&s->conf);
    gd_restraints_destroy(&s->res);
}

struct gd_md *test_run(const struct test_system *s, int threads)
{
    struct gd_err err = {0};
    struct gd_md *md = NULL;
    must(gd_md_create(&md, s->top, &s->par, s->conf, s->res, threads, &err), &err);
    return md;
}

void test_steps(struct gd_md *md, int n)
{
    struct gd_err err = {0};
    for (int k = 0; k < n; k++)
        must(gd_md_step(md, &err), &err);
}
