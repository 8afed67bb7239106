/* Topologies, input files and restraint specifications: values, and all faults of a broken file at once. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/parameters_file.h"
#include "io/restraints_file.h"
#include "io/topology_file.h"
#include "io_data.h"

/* ---- topology ------------------------------------------------------------------------------------------------- */

Test(io_topology, reads_every_block)
{
    struct gd_topology *t = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_topology(io_data_path("small.top"), &t, &err), 0, "%s", err.text);
    cr_assert_eq(t->four_pi_eps_i, 138.9354);
    cr_assert_eq(t->boltzmann, 0.00831441);
    cr_assert_eq(t->num_solute_atoms, 6);
    cr_assert_eq(t->num_atom_types, 3);
    cr_assert_str_eq(t->name[4].text, "H5");
    cr_assert_eq(t->residue[3], 1);
    cr_assert_eq(t->type[4], 1);
    cr_assert_eq(t->mass[0], 15.035);
    cr_assert_eq(t->charge[3], -0.2);
    cr_assert_eq(t->charge_group_end[0], 0);
    cr_assert_eq(t->charge_group_end[1], 1);
    cr_assert_eq(t->exclusion_start[1], 2);
    cr_assert_eq(t->exclusions[1], 2);
    cr_assert_eq(t->num_exclusions, 10);
    cr_assert_eq(t->num_one_fours, 3);
    cr_assert_eq(t->one_fours[2], 5);
    cr_assert_eq(t->num_bonds, 5);
    cr_assert_eq(t->bonds[0].hydrogen, 1); /* those of BONDH come first */
    cr_assert_eq(t->bonds[0].atom[1], 4);
    cr_assert_eq(t->bonds[1].hydrogen, 0);
    cr_assert_eq(t->bonds[4].atom[1], 5);
    cr_assert_eq(t->bond_types[1].length, 0.109);
    cr_assert_eq(t->num_angles, 5);
    cr_assert_eq(t->angles[0].type, 1);
    cr_assert_eq(t->angle_types[1].angle, 120.0);
    cr_assert_eq(t->num_impropers, 1);
    cr_assert_eq(t->impropers[0].hydrogen, 1);
    cr_assert_eq(t->num_dihedrals, 2);
    cr_assert_eq(t->dihedral_types[1].phase, 180.0);
    cr_assert_eq(t->dihedral_types[0].multiplicity, 3);
    cr_assert_eq(t->num_cross_dihedrals, 1);
    cr_assert_eq(t->cross_dihedrals[0].atom[7], 5);
    cr_assert_eq(t->lj[0 * 3 + 2].cs12, 4.0e-6);
    cr_assert_eq(t->lj[2 * 3 + 0].cs12, 4.0e-6);
    cr_assert_eq(t->has_lj, 1);
    cr_assert_eq(t->has_cg_lj, 0);
    cr_assert_eq(t->lj_exceptions[0].atom[1], 5);
    cr_assert_eq(t->lj_exceptions[0].c6, 2.0e-3);
    cr_assert_eq(t->molecule_start[1], 6);
    cr_assert_eq(t->num_solvent_atoms, 3);
    cr_assert_eq(t->solvent_charge[0], -0.82);
    cr_assert_eq(t->solvent_constraints[2].length, 0.163299);
    cr_assert_eq(gd_topology_expand(t, 1, 2, &err), 0, "%s", err.text);
    cr_assert_eq(gd_topology_check(t, &err), 0, "%s", err.text);
    cr_assert_eq(t->num_atoms, 12);
    gd_topology_destroy(&t);
}

/* The file with `from` replaced by `to` must be refused, with all of these messages (NULL ends them), no others. */
static void refuse_topology(const char *from, const char *to, const char *const *messages)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.top"), &size);
    char *at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    char *broken = malloc(size + strlen(to) + 1);
    cr_assert_not_null(broken);
    sprintf(broken, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    struct gd_topology *t = NULL;
    struct gd_messages faults = {0};
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_topology_memory("mem", broken, strlen(broken), &t, &faults, &err), GD_E_FILE_FORMAT, "%s", to);
    cr_assert_null(t);
    size_t n = 0;
    for (; messages[n] != NULL; n++) {
        cr_assert_lt(n, faults.kept, "too few messages; last: %s", err.text);
        cr_assert_not_null(strstr(faults.text[n], messages[n]), "said '%s', expected '%s'", faults.text[n], messages[n]);
    }
    cr_assert_eq(faults.count, n, "one more: %s", faults.text[n]);
    if (n > 1)
        cr_assert_not_null(strstr(err.text, "faults; the first: mem"), "%s", err.text);
    gd_messages_clear(&faults);
    free(broken);
    free(text);
}

#define REFUSE_TOPOLOGY(from, to, ...) refuse_topology(from, to, (const char *const[]){__VA_ARGS__, NULL})

/* Besides the bonds: rows of two atoms and a bond's type. */
Test(io_topology, listed_constraints)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.top"), &size), *more = malloc(size + 64);
    struct gd_topology *t = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    sprintf(more, "%sCONSTRAINT\n 2\n# I J type\n 1 3 2\n 2 4 1\nEND\n", text);
    cr_assert_eq(gd_io_read_topology_memory("mem", more, strlen(more), &t, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(t->num_constraints, 2);
    cr_assert_eq(t->constraints[0].atom[0], 0);
    cr_assert_eq(t->constraints[0].atom[1], 2);
    cr_assert_eq(t->constraints[0].type, 1);
    cr_assert_eq(t->constraints[1].atom[1], 3);
    cr_assert_eq(gd_topology_expand(t, 0, 2, &err), 0, "%s", err.text);
    cr_assert_eq(t->num_constraints, 0); /* without the solute there is nothing to constrain */
    gd_topology_destroy(&t);
    free(more);
    free(text);
    REFUSE_TOPOLOGY("BONDSTRETCHTYPE\n", "CONSTRAINT\n 1\n 1 3 9\nEND\nBONDSTRETCHTYPE\n", "block CONSTRAINT: the type of a term is 9");
    REFUSE_TOPOLOGY("BONDSTRETCHTYPE\n", "CONSTRAINT\n 1\n 3 3 1\nEND\nBONDSTRETCHTYPE\n", "block CONSTRAINT: atom 3 occurs twice");
}

Test(io_topology, faults_name_line_and_block)
{
    REFUSE_TOPOLOGY("  4 5 2\nEND", "  4 7 2\nEND", "mem:53: block BONDH: an atom of a term is 7; expected an integer from 1 to 6");
    REFUSE_TOPOLOGY("  4 5 2\nEND", "  4 4 2\nEND", "mem:53: block BONDH: atom 4 occurs twice in one term");
    REFUSE_TOPOLOGY("  4 5 2\nEND", "  4 5 3\nEND", "mem:53: block BONDH: the type of a term is 3; expected an integer from 1 to 2");
    REFUSE_TOPOLOGY("  4 5 2\nEND", "  4 5 2 6\nEND", "mem:53: block BONDH: '6' after the last term; expected END");
    REFUSE_TOPOLOGY("BONDH\n  1\n", "BONDH\n  1000\n", "mem:52: block BONDH: the number of terms is 1000, but the block is too short");
    REFUSE_TOPOLOGY("DIHEDRALH\n  0\nEND\n", "", "mem: block DIHEDRALH is missing");
    REFUSE_TOPOLOGY("TEMPERATUREGROUPS", "POLARISATION", "block POLARISATION: not supported in a topology file");
    REFUSE_TOPOLOGY("  3  1   C3  1", "  4  1   C3  1", "mem:36: block SOLUTEATOM: ATNM is 4; expected an integer from 3 to 3");
    REFUSE_TOPOLOGY("15.035   0.10", "-15.035  0.10", "block SOLUTEATOM: MASS is -15.035");
    REFUSE_TOPOLOGY("3    4   5   6", "3    4   4   6", "block SOLUTEATOM: atom 3 names atom 4 twice");
    REFUSE_TOPOLOGY("0.00  1   0\n", "0.00  0   0\n", "block SOLUTEATOM: the last atom has CGC 0");
    REFUSE_TOPOLOGY("  1 2  0.0  ", "  1 1  0.0  ", "block LJPARAMETERS: the pair of atom types 1 1 is given twice");
    REFUSE_TOPOLOGY("LJPARAMETERS\n  6\n", "LJPARAMETERS\n  5\n", "block LJPARAMETERS: NRATT2 is 5; 3 atom types have 6 pairs");
    REFUSE_TOPOLOGY("SOLUTEMOLECULES\n  1\n  6", "SOLUTEMOLECULES\n  1\n  5", "block SOLUTEMOLECULES: the last group ends with atom 5");
    REFUSE_TOPOLOGY("  1 2 0.1\n", "  1 2 -0.1\n", "block SOLVENTCONSTR: CONS is -0.1");
}

Test(io_topology, all_faults_are_told_at_once)
{
    REFUSE_TOPOLOGY("IMPDIHEDRALTYPE\n  1\n  0.051 0.0\nEND\nIMPDIHEDRALH", "IMPDIHEDRALTYPE\n  1\n  x 0.0\nEND\nXIMPDIHEDRALH",
                    "block IMPDIHEDRALTYPE: CQ is 'x'; expected a finite decimal number", "block IMPDIHEDRALH is missing",
                    "block XIMPDIHEDRALH: not supported");
    REFUSE_TOPOLOGY("2.0\nEND\nATOMTYPENAME\n# NRATT\n  3", "2.0 1\nEND\nATOMTYPENAME\n# NRATT\n  4000",
                    "block TOPVERSION: '1' after the topology version", "block ATOMTYPENAME: NRATT is 4000, but the block is too short");
}

Test(io_topology, exclusions_are_put_in_order)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.top"), &size);
    struct gd_topology *t = NULL;
    char *row = strstr(text, "3    4   5   6");
    cr_assert_not_null(row);
    memcpy(row, "3    6   4   5", 14);
    cr_assert_eq(gd_io_read_topology_memory("mem", text, size, &t, NULL, NULL), 0);
    int32_t first = t->exclusion_start[2];
    for (int k = 0; k < 3; k++)
        cr_assert_eq(t->exclusions[first + k], 3 + k);
    gd_topology_destroy(&t);
    free(text);
}

Test(io_topology, cut_at_every_byte)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.top"), &size);
    for (size_t cut = 0; cut + 1 < size; cut++) {
        struct gd_topology *t = NULL;
        struct gd_err err;
        gd_err_clear(&err);
        cr_assert_eq(gd_io_read_topology_memory("mem", text, cut, &t, NULL, &err), GD_E_FILE_FORMAT, "cut at byte %zu", cut);
    }
    free(text);
}

/* ---- input ---------------------------------------------------------------------------------------------------- */

Test(io_parameters, reads_every_block)
{
    struct gd_parameters p;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_parameters(io_data_path("small.imd"), &p, &err), 0, "%s", err.text);
    cr_assert_str_eq(p.title, "Input of the reader's tests\nsecond line");
    cr_assert_eq(p.system.nsm, 2);
    cr_assert_eq(p.initialise.ntivel, 1);
    cr_assert_eq(p.initialise.nticom, 1);
    cr_assert_eq(p.initialise.ig, 210185);
    cr_assert_eq(p.initialise.tempi, 298.15);
    cr_assert_eq(p.step.nstlim, 50);
    cr_assert_eq(p.step.dt, 0.002);
    cr_assert_eq(p.boundary.ntb, GD_BOUND_TRICLINIC);
    cr_assert_eq(p.boundary.ndfmin, 3);
    cr_assert_eq(p.multibath.thermostat, GD_THERMOSTAT_NOSE_HOOVER_CHAINS);
    cr_assert_eq(p.multibath.chain_length, 3);
    cr_assert_eq(p.multibath.bath[1].tau, -1.0);
    cr_assert_eq(p.multibath.dof_set[0].last, 6);
    cr_assert_eq(p.multibath.dof_set[0].com_bath, 0);
    cr_assert_eq(p.multibath.dof_set[0].ir_bath, 1);
    cr_assert_eq(p.pressure.couple, GD_PRESSURE_SCALE);
    cr_assert_eq(p.pressure.scale, GD_SCALE_SEMIANISO);
    cr_assert_eq(p.pressure.semi[2], 2);
    cr_assert_eq(p.pressure.reference[2][2], 0.06102);
    cr_assert_eq(p.com.nscm, -1000);
    cr_assert_eq(p.write.ntwf, 20);
    cr_assert_eq(p.constraint.ntc, 3);
    cr_assert_eq(p.constraint.solute, GD_CONSTRAINT_LINCS);
    cr_assert_eq(p.constraint.solute_lincs_order, 4);
    cr_assert_eq(p.constraint.solvent, GD_CONSTRAINT_SETTLE);
    cr_assert_eq(p.force.bond, 0);
    cr_assert_eq(p.force.angle, 1);
    cr_assert_eq(p.force.num_energy_groups, 2);
    cr_assert_eq(p.force.energy_group_last[1], 12);
    cr_assert_eq(p.covalent.ntbah, 1);
    cr_assert_eq(p.pairlist.algorithm, GD_PAIRLIST_GRID_CELL);
    cr_assert_eq(p.pairlist.size, 0.4);
    cr_assert_eq(p.pairlist.type, GD_CUTOFF_ATOMIC);
    cr_assert_eq(p.nonbonded.epsrf, 0.0);
    cr_assert_eq(p.nonbonded.nslfexcl, 0);
    cr_assert_eq(p.nonbonded.slvdns, 33.3);
    cr_assert_eq(p.position_restraint.cpor, 2.5e4);
    cr_assert_eq(p.distance_restraint.ntdir, -2);
    cr_assert_eq(p.angle_restraint.calr, 0.02);
    cr_assert_eq(p.dihedral_restraint.philin, 180.0);
    cr_assert_eq(p.jvalue.ntjvr, -3);
    cr_assert_eq(p.stochastic.ntfr, 3);
    cr_assert_eq(p.minimise.ntem, GD_MINIMISE_POLAK_RIBIERE);
    cr_assert_eq(p.minimise.cgic, 1e-4);
    cr_assert_eq(p.rottrans.last, 6);
    cr_assert_eq(p.random.generator, GD_RANDOM_G96);
    cr_assert_eq(p.pairlist.scheme, GD_SCHEME_VERLET);
    cr_assert_eq(p.pairlist.buffer, 0.125);
    cr_assert_eq(p.precision, GD_PRECISION_FLOAT32);
}

static struct gd_messages read_changed_input(const char *from, const char *to, int expected, struct gd_parameters *p)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.imd"), &size);
    char *at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    char *changed = malloc(size + strlen(to) + 1);
    cr_assert_not_null(changed);
    sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    struct gd_messages faults = {0};
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_parameters_memory("mem", changed, strlen(changed), p, &faults, &err), expected, "%s: %s", to, err.text);
    free(changed);
    free(text);
    return faults;
}

static void refuse_input(const char *from, const char *to, const char *const *messages)
{
    struct gd_parameters p;
    struct gd_messages faults = read_changed_input(from, to, GD_E_FILE_FORMAT, &p);
    size_t n = 0;
    for (; messages[n] != NULL; n++) {
        cr_assert_lt(n, faults.kept, "too few messages for %s", to);
        cr_assert_not_null(strstr(faults.text[n], messages[n]), "said '%s', expected '%s'", faults.text[n], messages[n]);
    }
    cr_assert_eq(faults.count, n, "one more: %s", faults.text[n]);
    gd_messages_clear(&faults);
}

#define REFUSE_INPUT(from, to, ...) refuse_input(from, to, (const char *const[]){__VA_ARGS__, NULL})

Test(io_parameters, words_and_numbers_mean_the_same)
{
    struct gd_parameters a, b;
    struct gd_messages none = read_changed_input("nose-hoover-chains 3", "2 3", 0, &a);
    cr_assert_eq(a.multibath.thermostat, GD_THERMOSTAT_NOSE_HOOVER_CHAINS);
    gd_messages_clear(&none);
    none = read_changed_input("  scale semianiso 0.0004575 0.5 molecular", "  2 4 0.0004575 0.5 2", 0, &b);
    cr_assert_eq(b.pressure.scale, GD_SCALE_SEMIANISO);
    cr_assert_eq(b.pressure.virial, GD_VIRIAL_MOLECULAR);
    gd_messages_clear(&none);
    none = read_changed_input("  3\n  lincs 4\n  settle", "  All 1 1e-4 M_SHAKE 1e-5", 0, &b);
    cr_assert_eq(b.constraint.ntc, 3);
    cr_assert_eq(b.constraint.solute, GD_CONSTRAINT_SHAKE);
    cr_assert_eq(b.constraint.solvent_tolerance, 1e-5);
    gd_messages_clear(&none);
    none = read_changed_input("  3\n  lincs 4\n  settle", "  specified flexshake 1e-5 1 1 settle", 0, &b);
    cr_assert_eq(b.constraint.ntc, 4);
    cr_assert_eq(b.constraint.solute, GD_CONSTRAINT_FLEXIBLE_SHAKE);
    cr_assert_eq(b.constraint.solute_tolerance, 1e-5);
    cr_assert_eq(b.constraint.flexible_start, 1);
    cr_assert_eq(b.constraint.flexible_mode, 1);
    gd_messages_clear(&none);
    none = read_changed_input("grid_cell 5 0.8 1.2 0.4 atomic", "0 5 0.8 1.2 auto 0", 0, &b);
    cr_assert_eq(b.pairlist.algorithm, GD_PAIRLIST_STANDARD);
    cr_assert_eq(b.pairlist.size, 0.0);
    gd_messages_clear(&none);
}

Test(io_parameters, what_is_not_done_is_a_fault)
{
    REFUSE_INPUT("NONBONDED\n  1\n", "NONBONDED\n  3\n", "block NONBONDED: NLRELE is 3: a lattice-sum method is not available");
    REFUSE_INPUT("  10 0 0 20 5 0 0", "  10 0 0 20 5 7 1",
                 "block WRITETRAJ: NTWG is 7: a free-energy trajectory is not available; only 0 is",
                 "block WRITETRAJ: NTWB is 1: a trajectory of block averages is not available");
    REFUSE_INPUT("PERTURBATION\n  0", "PERTURBATION\n  1", "block PERTURBATION: 1 asks for a method that is not available");
    REFUSE_INPUT("COVALENTFORM", "COVALENTFROM", "block COVALENTFROM: not supported in an input file");
    REFUSE_INPUT("  3\n  lincs 4\n  settle", "  3 flexshake 1e-5 0 2 settle",
                 "block CONSTRAINT: NTCP0(3) is 2: the exact form of flexible constraints is not available; possible are 0 to 1");
    REFUSE_INPUT("nose-hoover-chains 3", "langevin 3", "block MULTIBATH: ALGORITHM is 'langevin'; expected one of weak-coupling (0)");
}

Test(io_parameters, all_faults_are_told_at_once)
{
    REFUSE_INPUT("STEP\n  50 0.0 0.002\nEND\nBOUNDCOND\n  2 3\nEND", "STEP\n  -5 0.0 -0.002\nEND\nBOUNDCOND\n  5 x\nEND",
                 "mem:15: block STEP: NSTLIM is -5; expected 0 or more", "mem:15: block STEP: DT is -0.002",
                 "mem:18: block BOUNDCOND: NTB is '5'; expected one of truncoct (-1)",
                 "mem:18: block BOUNDCOND: NDFMIN is 'x'; expected an integer");
    REFUSE_INPUT("  2 6 12", "  2 12 6", "block FORCE: NRE is 6; expected 13 or more");
    REFUSE_INPUT("  2 6 12", "  2 6 12 18", "block FORCE: '18' after the last atom of the last energy group");
    REFUSE_INPUT("  2 6 12", "  2 6", "block FORCE: the block ends where NRE should follow");
    REFUSE_INPUT("0.8 1.2 0.4", "1.4 1.2 0.4", "mem: block PAIRLIST: RCUTL 1.2 is below RCUTP 1.4");
    REFUSE_INPUT("SYSTEM\n  1 2\nEND\n", "", "mem: block SYSTEM is missing");
    REFUSE_INPUT("  scheme verlet", "  shape verlet", "block GROMOSD: 'shape' is no keyword");
}

Test(io_parameters, cut_at_every_byte)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.imd"), &size);
    char *required = strstr(text, "POSITIONRES"); /* what follows may be left out */
    for (size_t cut = 0; cut + 1 < size; cut++) {
        struct gd_parameters p;
        struct gd_err err;
        gd_err_clear(&err);
        int rc = gd_io_read_parameters_memory("mem", text, cut, &p, NULL, &err);
        if (text + cut < required - 1 || memcmp(text + cut - 3, "END", 3) != 0)
            cr_assert(rc == GD_E_FILE_FORMAT || text[cut - 1] == '\n', "cut at byte %zu", cut);
    }
    free(text);
}

/* ---- restraints ----------------------------------------------------------------------------------------------- */

static void read_restraints(struct gd_restraints *res, const char *file, const char *argument)
{
    enum gd_restraints_kind kind;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_restraints_kind_from_name(argument, &kind), 0);
    cr_assert_eq(gd_io_read_restraints(io_data_path(file), kind, res, NULL, &err), 0, "%s", err.text);
}

Test(io_restraints, reads_every_kind)
{
    struct gd_restraints *r = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_restraints_create(&r, &err), 0);
    read_restraints(r, "small.por", "@posresspec");
    read_restraints(r, "small.rpr", "refpos");
    read_restraints(r, "small.disres", "distrest");
    read_restraints(r, "small.angres", "angrest");
    read_restraints(r, "small.dihres", "dihrest");
    read_restraints(r, "small.jval", "jval");
    cr_assert_eq(r->num_position_atoms, 3);
    cr_assert_eq(r->position_atom[0], 0); /* ascending, whatever the file's order */
    cr_assert_eq(r->position_atom[2], 3);
    cr_assert_eq(r->num_reference, 12);
    cr_assert_eq(r->reference_position[2][2], 1.123456789);
    cr_assert_eq(r->has_bfactor, 1);
    cr_assert_eq(r->bfactor[3], 1.5);
    cr_assert_eq(r->disc, 0.153);
    cr_assert_eq(r->num_distances, 3);
    cr_assert_eq(r->distances[1].a.type, GD_VA_CH1);
    cr_assert_eq(r->distances[1].a.count, 4);
    cr_assert_eq(r->distances[1].a.atom[3], 5);
    cr_assert_eq(r->distances[1].rah, -1);
    cr_assert_eq(r->distances[2].b.type, GD_VA_COM);
    cr_assert_eq(r->distances[2].weight, 1.5);
    cr_assert_eq(r->angles[1].angle, 115.0);
    cr_assert_eq(r->dihedrals[0].delta, 210.0);
    cr_assert_eq(r->jvalues[1].phase, 120.0);
    cr_assert_eq(r->jvalues[1].half_harmonic, -1);
    cr_assert_eq(gd_restraints_check(r, 12, &err), 0, "%s", err.text);
    gd_restraints_destroy(&r);
}

static void refuse_restraints(enum gd_restraints_kind kind, const char *text, const char *message)
{
    struct gd_restraints *r = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_restraints_create(&r, &err), 0);
    cr_assert_eq(gd_io_read_restraints_memory("mem", text, strlen(text), kind, r, NULL, &err), GD_E_FILE_FORMAT, "%s", text);
    cr_assert_not_null(strstr(err.text, message), "said '%s', expected '%s'", err.text, message);
    cr_assert_eq(r->num_distances, 0);
    cr_assert_eq(r->num_angles, 0);
    gd_restraints_destroy(&r);
}

Test(io_restraints, faults_name_line_and_block)
{
    enum gd_restraints_kind kind;
    cr_assert_eq(gd_restraints_kind_from_name("friction", &kind), -1);
    refuse_restraints(GD_RESTRAINTS_POSRESSPEC, "POSRESSPEC\n    2 TAIL  C4         x\nEND\n",
                      "mem:2: block POSRESSPEC: expected an atom number");
    refuse_restraints(GD_RESTRAINTS_POSRESSPEC, "POSRESSPEC\n    2 TAIL  C4         4\n    2 TAIL  C4         4\nEND\n",
                      "atom 4 is named twice");
    refuse_restraints(GD_RESTRAINTS_POSRESSPEC, "POSRESSPEC\nEND\n", "block POSRESSPEC: no restraint in it");
    refuse_restraints(GD_RESTRAINTS_REFPOS, "TITLE\nEND\n", "mem: block REFPOSITION is missing");
    refuse_restraints(GD_RESTRAINTS_ANGREST, "ANGRESSPEC\n1 2 3 1.0\n110 1 2 3 4\nEND\n",
                      "mem:3: block ANGRESSPEC: the restraint of line 2 has fewer than 5");
    refuse_restraints(GD_RESTRAINTS_ANGREST, "ANGRESSPEC\n1 2 3 1.0 110 4\nEND\n", "mem:2: block ANGRESSPEC: more than 5 values");
    refuse_restraints(GD_RESTRAINTS_ANGREST, "ANGRESSPEC\n1 0 3 1.0 110\nEND\n", "mem:2: block ANGRESSPEC: an atom number is 0");
    refuse_restraints(GD_RESTRAINTS_DISTREST, "DISTANCERESSPEC\n0.1 0.153\n0 0 0 0 0 1 0 0 0 0 0.5 1 0\nEND\n",
                      "a virtual atom made of no atom");
    refuse_restraints(GD_RESTRAINTS_DISTREST, "DISTANCERESSPEC\n0.1 0.153\n1 0 2 0 0 1 0 0 0 0 0.5 1 0\nEND\n", "atom 2 follows a 0");
    refuse_restraints(GD_RESTRAINTS_DISTREST, "DISTANCERESSPEC\n0.1 0.153\n1 0 0 0 9 1 0 0 0 0 0.5 1 0\nEND\n",
                      "the type of a virtual atom is 9");
    refuse_restraints(GD_RESTRAINTS_JVAL, "JVALRESSPEC\n1 2 3 4 1 7 -60 9 -1 0.4 2\nEND\n", "H is 2; expected an integer from -1 to 1");
    refuse_restraints(GD_RESTRAINTS_JVAL, "DIHEDRALRESSPEC\n1 2 3 4 1 7 -60\nEND\n",
                      "2 faults; the first: mem: block JVALRESSPEC is missing");
}
