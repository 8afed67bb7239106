/* Runs one reference case (a folder with case.json, inputs and expected/) and holds every number of the original's output
 * against ours: energies of each written step, temperatures, box and pressure, free and constraint forces, trajectory frames,
 * the final configuration.
 *
 *   run_case [--threads n] [--precision float64|float32] [--verbose] FOLDER
 *
 * A value passes within the largest of one unit in its last printed digit, a relative 1e-8, and three times what two builds of
 * the original differ by (engine_noise of case.json). "Relative" is taken of the larger of the value and the largest of the
 * terms it is a sum or component of (a force or virial component of its vector or tensor, a total of its parts): a sum of
 * large terms that cancel is not known better than its terms.
 *
 * In float32 the first ten steps are compared, before round-off has spread: relative 256 times the epsilon (3e-5), energies and
 * virials to 0.005 kJ/mol and forces to 0.01 kJ/mol/nm at least, what a contact pair of charges is rounded to, and the noise
 * grown by the ratio of the two epsilons.
 *
 * Prints the worst deviation of each quantity; exit status 0 when all pass, 1 when one fails, 2 when the case cannot be run. */
#include <float.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/md.h"
#include "io/configuration.h"
#include "io/parameters_file.h"
#include "io/restraints_file.h"
#include "io/topology_file.h"
#include "io/trajectory_reader.h"

#define PATH_SIZE 1024

/* The worst deviation of one quantity over the whole run. */
struct quantity {
    const char *name;
    size_t compared, failed;
    double ratio; /* deviation / tolerance */
    double deviation, tolerance, expected, got;
    char where[64];
};

enum {
    Q_ENERGY,
    Q_BATHS,
    Q_BONDED,
    Q_NONBONDED,
    Q_SPECIAL,
    Q_TEMPERATURE,
    Q_VOLUME,
    Q_PRESSURE,
    Q_FREE_FORCE,
    Q_CONSTRAINT_FORCE,
    Q_FRAME,
    Q_POSITION,
    Q_VELOCITY,
    Q_BOX,
    Q_SHIFT,
    Q_COUNT
};

static struct quantity quantities[Q_COUNT] = {
    [Q_ENERGY] = {.name = "energies"},
    [Q_BATHS] = {.name = "kinetic energies of baths"},
    [Q_BONDED] = {.name = "bonded per group"},
    [Q_NONBONDED] = {.name = "nonbonded per pair of groups"},
    [Q_SPECIAL] = {.name = "special per group"},
    [Q_TEMPERATURE] = {.name = "temperatures and scaling"},
    [Q_VOLUME] = {.name = "mass, volume, box"},
    [Q_PRESSURE] = {.name = "pressure and virial"},
    [Q_FREE_FORCE] = {.name = "free forces"},
    [Q_CONSTRAINT_FORCE] = {.name = "constraint forces"},
    [Q_FRAME] = {.name = "trajectory frames"},
    [Q_POSITION] = {.name = "final positions"},
    [Q_VELOCITY] = {.name = "final velocities"},
    [Q_BOX] = {.name = "final box"},
    [Q_SHIFT] = {.name = "final lattice shifts"},
};

static double relative_bound = 1e-8, noise_growth = 1.0, energy_floor = 0.0;
static int64_t last_step = INT64_MAX;
static enum gd_precision precision = GD_PRECISION_FLOAT64;

static void use_float32(void)
{
    precision = GD_PRECISION_FLOAT32;
    relative_bound = 256.0 * FLT_EPSILON;
    energy_floor = 0.005;
    last_step = 10;
    noise_growth = FLT_EPSILON / DBL_EPSILON;
}

struct noise {
    double energy, force, position, velocity;
};

struct test_case {
    char folder[PATH_SIZE];
    char *json;
    struct noise noise;
    struct gd_topology *top;
    struct gd_parameters par;
    struct gd_configuration *conf;
    struct gd_restraints *res;
};

static int verbose;

_Noreturn static void stop(const char *what, const struct gd_err *err)
{
    printf("ERROR %s: %s\n", what, err != NULL ? err->text : "");
    exit(2);
}

/* `unit`: one in the last printed digit; 0: ten significant digits as in %.9e. `scale`: see the head. */
static void compare(int which, double expected, double got, double unit, double scale, double noise, const char *where, int64_t step)
{
    struct quantity *q = &quantities[which];
    if (step > last_step)
        return;
    double magnitude = fabs(expected);
    if (unit == 0.0)
        unit = magnitude > 0.0 ? pow(10.0, floor(log10(magnitude)) - 9.0) : 1e-9;
    if (which <= Q_CONSTRAINT_FORCE)
        unit = fmax(unit, which < Q_FREE_FORCE ? energy_floor : 2.0 * energy_floor);
    double tolerance = fmax(fmax(unit, relative_bound * fmax(magnitude, scale)), 3.0 * noise_growth * noise);
    double deviation = fabs(expected - got), ratio = deviation / tolerance;
    if (!(ratio >= 0.0))
        ratio = HUGE_VAL; /* NaN */
    q->compared++;
    q->failed += ratio > 1.0;
    if (verbose && ratio > 1.0)
        printf("  %s %s step %lld: expected %.12g got %.12g (%.1f times the tolerance)\n", q->name, where, (long long)step, expected, got,
               ratio);
    if (ratio > q->ratio || q->compared == 1) {
        q->ratio = ratio;
        q->deviation = deviation;
        q->tolerance = tolerance;
        q->expected = expected;
        q->got = got;
        snprintf(q->where, sizeof q->where, "%s step %lld", where, (long long)step);
    }
}

/* ------------------------------------------------------------------ the case's files */

/* case.json is ours to read but not worth a parser: keys are unique in it. */
static double json_number(const char *json, const char *key, double otherwise)
{
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = json != NULL ? strstr(json, quoted) : NULL;
    return at != NULL ? strtod(at + strlen(quoted), NULL) : otherwise;
}

static int json_string(const char *json, const char *key, char *out, size_t size)
{
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (at == NULL || (at = strchr(at + strlen(quoted), '"')) == NULL)
        return 0;
    size_t n = strcspn(at + 1, "\"");
    if (n >= size)
        return 0;
    memcpy(out, at + 1, n);
    out[n] = '\0';
    return 1;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    char *text = calloc(1, 1 << 16);
    size_t n = text != NULL ? fread(text, 1, (1 << 16) - 1, file) : 0;
    (void)n;
    fclose(file);
    return text;
}

/* FOLDER/name, or the same with .gz; 0 when neither exists. */
static int find_file(const char *folder, const char *name, char *out)
{
    struct stat status;
    snprintf(out, PATH_SIZE, "%.700s/%.200s", folder, name);
    if (stat(out, &status) == 0)
        return 1;
    snprintf(out, PATH_SIZE, "%.700s/%.200s.gz", folder, name);
    return stat(out, &status) == 0;
}

/* The file of an argument: named in md_args or files, or by its usual name. */
static int case_file(const struct test_case *t, const char *argument, const char *key, const char *usual, char *out)
{
    char name[256];
    if (json_string(t->json, argument, name, sizeof name) || (key != NULL && json_string(t->json, key, name, sizeof name)))
        return find_file(t->folder, name, out);
    return usual != NULL && find_file(t->folder, usual, out);
}

static void load_case(struct test_case *t, const char *folder)
{
    struct gd_err err = {0};
    char path[PATH_SIZE];
    snprintf(t->folder, sizeof t->folder, "%s", folder);
    snprintf(path, sizeof path, "%.1000s/case.json", folder);
    t->json = read_text(path);
    if (t->json == NULL)
        stop("no case.json in the folder", NULL);
    t->noise.energy = fmax(json_number(t->json, "totene", 0.0), 0.0);
    const char *noise = strstr(t->json, "\"engine_noise\"");
    t->noise = (struct noise){0};
    if (noise != NULL) {
        t->noise.energy =
            fmax(fmax(json_number(noise, "totene", 0.0), json_number(noise, "totpot", 0.0)), json_number(noise, "totkin", 0.0));
        t->noise.force = fmax(json_number(noise, "force_max_abs_first", 0.0), json_number(noise, "force_max_abs_last", 0.0));
        t->noise.position = json_number(noise, "final_pos_max_abs", 0.0);
        t->noise.velocity = json_number(noise, "final_vel_max_abs", 0.0);
    }
    if (!case_file(t, "@topo", "topology", NULL, path) || gd_io_read_topology(path, &t->top, &err) != 0)
        stop("topology", &err);
    if (!case_file(t, "@input", "parameters", NULL, path) || gd_io_read_parameters(path, &t->par, &err) != 0)
        stop("input", &err);
    if (!case_file(t, "@conf", "configuration", NULL, path) || gd_io_read_configuration(path, &t->conf, &err) != 0)
        stop("configuration", &err);
    if (gd_topology_expand(t->top, t->par.system.npm, (size_t)t->par.system.nsm, &err) != 0)
        stop("SYSTEM", &err);
    static const struct {
        const char *argument, *usual;
        enum gd_restraints_kind kind;
    } specs[] = {
        {"@posresspec", "posresspec.por", GD_RESTRAINTS_POSRESSPEC},
        {"@refpos", "refpos.rpr", GD_RESTRAINTS_REFPOS},
        {"@distrest", NULL, GD_RESTRAINTS_DISTREST},
        {"@angrest", NULL, GD_RESTRAINTS_ANGREST},
        {"@dihrest", NULL, GD_RESTRAINTS_DIHREST},
        {"@jval", NULL, GD_RESTRAINTS_JVAL},
    };
    if (gd_restraints_create(&t->res, &err) != 0)
        stop("restraints", &err);
    for (size_t k = 0; k < sizeof specs / sizeof specs[0]; k++)
        if (case_file(t, specs[k].argument, NULL, specs[k].usual, path) &&
            gd_io_read_restraints(path, specs[k].kind, t->res, NULL, &err) != 0)
            stop(specs[k].argument, &err);
}

/* ------------------------------------------------------------------ comparisons */

static double largest(const double *value, size_t n)
{
    double most = 0.0;
    for (size_t k = 0; k < n; k++)
        most = fmax(most, fabs(value[k]));
    return most;
}

static void fill_totals(const struct gd_md_energies *e, double total[GD_ENERGY_TOTALS])
{
    memset(total, 0, GD_ENERGY_TOTALS * sizeof *total);
    total[GD_ENE_TOTAL] = total[GD_ENE_EDS_VR] = total[GD_ENE_EDS_REFERENCE] = e->total;
    total[GD_ENE_KINETIC] = e->kinetic;
    total[GD_ENE_POTENTIAL] = e->potential;
    total[GD_ENE_COVALENT] = e->covalent;
    total[GD_ENE_BOND] = e->bond;
    total[GD_ENE_ANGLE] = e->angle;
    total[GD_ENE_IMPROPER] = e->improper;
    total[GD_ENE_DIHEDRAL] = e->dihedral;
    total[GD_ENE_CROSS_DIHEDRAL] = e->crossdihedral;
    total[GD_ENE_NONBONDED] = e->nonbonded;
    total[GD_ENE_LJ] = e->lj;
    total[GD_ENE_COULOMB] = e->crf;
    total[GD_ENE_SPECIAL] = e->special;
    total[GD_ENE_CONSTRAINT] = e->constraint;
    total[GD_ENE_DISTANCE_RESTRAINT] = e->distance_restraint;
    total[GD_ENE_DIHEDRAL_RESTRAINT] = e->dihedral_restraint;
    total[GD_ENE_POSITION_RESTRAINT] = e->position_restraint;
    total[GD_ENE_JVALUE_RESTRAINT] = e->jvalue;
    total[GD_ENE_ANGLE_RESTRAINT] = e->angle_restraint;
}

static void compare_groups(const struct gd_energy_frame *f, const struct gd_md_energies *e, double noise)
{
    char where[48];
    if (f->num_groups != e->num_groups) {
        compare(Q_BONDED, (double)f->num_groups, (double)e->num_groups, 0.1, 0.0, 0.0, "number of groups", f->step);
        return;
    }
    for (size_t g = 0; g < e->num_groups; g++) {
        const double bonded[5] = {e->group_bond[g], e->group_angle[g], e->group_improper[g], e->group_dihedral[g],
                                  e->group_crossdihedral[g]};
        double special[13] = {0.0};
        special[GD_ENE_SPECIAL_CONSTRAINT] = e->group_constraint[g];
        special[GD_ENE_SPECIAL_POSITION] = e->group_position[g];
        special[GD_ENE_SPECIAL_DISTANCE] = e->group_distance[g];
        special[GD_ENE_SPECIAL_ANGLE] = e->group_angle_restraint[g];
        special[GD_ENE_SPECIAL_DIHEDRAL] = e->group_dihedral_restraint[g];
        snprintf(where, sizeof where, "group %zu", g + 1);
        for (size_t k = 0; k < 5; k++)
            compare(Q_BONDED, f->bonded[g][k], bonded[k], 0.0, 0.0, noise, where, f->step);
        for (size_t k = 0; k < 13; k++)
            compare(Q_SPECIAL, f->special[g][k], special[k], 0.0, 0.0, noise, where, f->step);
        for (size_t h = g; h < e->num_groups; h++) {
            const double *row = f->nonbonded[gd_energy_pair(e->num_groups, g, h)];
            double lj = e->pair_lj[g * e->num_groups + h], crf = e->pair_crf[g * e->num_groups + h];
            snprintf(where, sizeof where, "pair %zu-%zu", g + 1, h + 1);
            compare(Q_NONBONDED, row[0], lj, 0.0, 0.0, noise, where, f->step);
            compare(Q_NONBONDED, row[1], crf, 0.0, fabs(lj), noise, where, f->step);
        }
    }
}

static void compare_volume_pressure(const struct gd_energy_frame *f, const struct gd_md *md, double noise)
{
    const double(*p)[3] = gd_md_pressure(md), (*v)[3] = gd_md_virial(md), (*k)[3] = gd_md_kinetic_tensor(md);
    const struct gd_box *box = gd_md_previous_box(md);
    compare(Q_VOLUME, f->mass, gd_md_mass(md), 0.0, 0.0, 0.0, "mass", f->step);
    compare(Q_VOLUME, f->volume, gd_md_volume(md), 0.0, 0.0, 0.0, "volume", f->step);
    if (box->kind != GD_BOX_TRUNCATED_OCTAHEDRON)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                compare(Q_VOLUME, f->box[a][b], box->vectors[a][b], 0.0, largest(&box->vectors[0][0], 9), 0.0, "box", f->step);
    double pressure_scale = largest(&f->pressure_tensor[0][0], 9), virial_scale = largest(&f->virial_tensor[0][0], 9);
    double kinetic_scale = largest(&f->molecular_kinetic_tensor[0][0], 9);
    double volume = f->volume > 0.0 ? f->volume : 1.0;
    /* the pressure is a difference of kinetic energy and virial */
    pressure_scale = fmax(pressure_scale, 2.0 * fmax(virial_scale, kinetic_scale) / volume);
    double pressure_noise = 2.0 * noise / volume;
    compare(Q_PRESSURE, f->pressure, (p[0][0] + p[1][1] + p[2][2]) / 3.0, 0.0, pressure_scale, pressure_noise, "pressure", f->step);
    compare(Q_PRESSURE, f->virial, (v[0][0] + v[1][1] + v[2][2]) / 3.0, 0.0, virial_scale, noise, "virial", f->step);
    compare(Q_PRESSURE, f->molecular_kinetic, (k[0][0] + k[1][1] + k[2][2]) / 3.0, 0.0, kinetic_scale, noise, "kinetic energy", f->step);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            compare(Q_PRESSURE, f->pressure_tensor[a][b], p[a][b], 0.0, pressure_scale, pressure_noise, "pressure tensor", f->step);
            compare(Q_PRESSURE, f->virial_tensor[a][b], v[a][b], 0.0, virial_scale, noise, "virial tensor", f->step);
            compare(Q_PRESSURE, f->molecular_kinetic_tensor[a][b], k[a][b], 0.0, kinetic_scale, noise, "kinetic tensor", f->step);
        }
}

static void compare_energy_frame(const struct test_case *t, const struct gd_energy_frame *f, const struct gd_md *md)
{
    const struct gd_md_energies *e = gd_md_energies(md);
    static const char *const names[13] = {"total",    "kinetic",        "potential", "covalent", "bond", "angle",      "improper",
                                          "dihedral", "cross dihedral", "nonbonded", "lj",       "crf",  "lattice sum"};
    double total[GD_ENERGY_TOTALS], noise = t->noise.energy;
    char where[48];
    fill_totals(e, total);
    double parts = fmax(fmax(fabs(e->kinetic), fabs(e->lj)), fmax(fabs(e->crf), fabs(e->covalent)));
    for (int k = 0; k < GD_ENERGY_TOTALS; k++) {
        int is_sum = k == GD_ENE_TOTAL || k == GD_ENE_POTENTIAL || k == GD_ENE_NONBONDED || k == GD_ENE_EDS_VR || k == GD_ENE_EDS_REFERENCE;
        snprintf(where, sizeof where, "%s", k < 13 ? names[k] : "");
        if (k >= 13)
            snprintf(where, sizeof where, "row %d", k + 1);
        compare(Q_ENERGY, f->total[k], total[k], 0.0, is_sum ? parts : 0.0, noise, where, f->step);
    }
    for (size_t b = 0; b < f->num_baths && b < e->num_baths; b++) {
        const double kinetic[3] = {e->bath_kinetic[b], e->bath_com[b], e->bath_internal[b]};
        snprintf(where, sizeof where, "bath %zu", b + 1);
        for (int k = 0; k < 3; k++)
            compare(Q_BATHS, f->bath[b][k], kinetic[k], 0.0, fabs(kinetic[0]), noise, where, f->step);
        for (int k = 0; f->has_volume && k < 3; k++)
            compare(Q_TEMPERATURE, f->bath_temperature[b][k], gd_md_bath_temperature(md, b, k), 0.0, fabs(f->bath_temperature[b][0]),
                    fabs(f->bath[b][k]) > 0.0 ? noise * fabs(f->bath_temperature[b][k] / f->bath[b][k]) : 0.0, where, f->step);
        if (f->has_volume)
            compare(Q_TEMPERATURE, f->bath_temperature[b][3], gd_md_bath(md, b)->scale, 0.0, 0.0, 0.0, "scaling", f->step);
    }
    compare(Q_BATHS, (double)f->num_baths, (double)e->num_baths, 0.1, 0.0, 0.0, "number of baths", f->step);
    compare_groups(f, e, noise);
    if (f->has_volume)
        compare_volume_pressure(f, md, noise);
}

static void compare_vectors(int which, const double (*expected)[3], const double (*got)[3], size_t n, double noise, int64_t step)
{
    char where[48];
    for (size_t i = 0; i < n; i++) {
        snprintf(where, sizeof where, "atom %zu", i + 1);
        double length = sqrt(expected[i][0] * expected[i][0] + expected[i][1] * expected[i][1] + expected[i][2] * expected[i][2]);
        for (int d = 0; d < 3; d++)
            compare(which, expected[i][d], got[i][d], 1e-9, length, noise, where, step);
    }
}

static void compare_final(const struct test_case *t, const struct gd_md *md)
{
    struct gd_err err = {0};
    struct gd_configuration *expected = NULL, *got = NULL;
    char path[PATH_SIZE], folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%.1000s/expected", t->folder);
    if (!find_file(folder, "final.conf", path) || gd_io_read_configuration(path, &expected, &err) != 0)
        stop("expected/final.conf", &err);
    if (gd_md_get_configuration(md, &got, &err) != 0)
        stop("final configuration", &err);
    int64_t step = gd_md_step_number(md);
    size_t n = got->num_atoms;
    if (expected->num_atoms != n)
        stop("the final configuration has another number of atoms", NULL);
    compare_vectors(Q_POSITION, (const double(*)[3])expected->position, (const double(*)[3])got->position, n, t->noise.position, step);
    if (expected->velocity != NULL)
        compare_vectors(Q_VELOCITY, (const double(*)[3])expected->velocity, (const double(*)[3])got->velocity, n, t->noise.velocity, step);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            compare(Q_BOX, expected->box.vectors[a][b], got->box.vectors[a][b], 1e-9, 1.0, t->noise.position, "box", step);
    /* The reference counts shifts with the transposed cell matrix; for the strongly skewed cell of a truncated octahedron that
     * does not round to numbers of cells. Ours are those numbers. */
    for (size_t i = 0;
         got->box.kind != GD_BOX_TRUNCATED_OCTAHEDRON && expected->lattice_shift != NULL && got->lattice_shift != NULL && i < n; i++)
        for (int d = 0; d < 3; d++) {
            char where[48];
            snprintf(where, sizeof where, "atom %zu", i + 1);
            compare(Q_SHIFT, expected->lattice_shift[i][d], got->lattice_shift[i][d], 0.1, 0.0, 0.0, where, step);
        }
    gd_configuration_destroy(&expected);
    gd_configuration_destroy(&got);
}

/* ------------------------------------------------------------------ the run */

struct expectations {
    struct gd_energy_frames *energies;
    struct gd_vector_frames *forces, *positions;
};

static struct expectations read_expected(const struct test_case *t)
{
    struct expectations x = {0};
    struct gd_err err = {0};
    char path[PATH_SIZE], folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%.1000s/expected", t->folder);
    if (!find_file(folder, "energies.tre", path) || gd_io_read_energy_frames(path, &x.energies, &err) != 0)
        stop("expected/energies.tre", &err);
    if (find_file(folder, "forces.trf", path) && gd_io_read_force_frames(path, &x.forces, &err) != 0)
        stop("expected/forces.trf", &err);
    if (find_file(folder, "trajectory.trc", path) && gd_io_read_position_frames(path, &x.positions, &err) != 0)
        stop("expected/trajectory.trc", &err);
    return x;
}

static void compare_frames_before(const struct test_case *t, const struct expectations *x, const struct gd_md *md)
{
    int64_t step = gd_md_step_number(md);
    for (size_t k = 0; x->positions != NULL && k < x->positions->count; k++) {
        const struct gd_vector_frame *f = &x->positions->frame[k];
        if (f->step != step || f->num_atoms != gd_md_num_atoms(md))
            continue;
        struct gd_configuration *now = NULL;
        struct gd_err err = {0};
        if (gd_md_get_configuration(md, &now, &err) != 0)
            stop("frame", &err);
        compare_vectors(Q_FRAME, (const double(*)[3])f->first, (const double(*)[3])now->position, f->num_atoms, t->noise.position, step);
        gd_configuration_destroy(&now);
    }
}

static void compare_frames_after(const struct test_case *t, const struct expectations *x, const struct gd_md *md, int64_t step)
{
    for (size_t k = 0; k < x->energies->count; k++)
        if (x->energies->frame[k]->step == step)
            compare_energy_frame(t, x->energies->frame[k], md);
    for (size_t k = 0; x->forces != NULL && k < x->forces->count; k++) {
        const struct gd_vector_frame *f = &x->forces->frame[k];
        if (f->step != step || f->num_atoms != gd_md_num_atoms(md))
            continue;
        compare_vectors(Q_FREE_FORCE, (const double(*)[3])f->first, gd_md_forces(md), f->num_atoms, t->noise.force, step);
        if (f->second != NULL)
            compare_vectors(Q_CONSTRAINT_FORCE, (const double(*)[3])f->second, gd_md_constraint_forces(md), f->num_atoms, t->noise.force,
                            step);
    }
}

static int report(const char *folder)
{
    size_t failed = 0, compared = 0;
    const char *name = strrchr(folder, '/');
    for (int q = 0; q < Q_COUNT; q++) {
        const struct quantity *x = &quantities[q];
        if (x->compared == 0)
            continue;
        compared += x->compared;
        failed += x->failed;
        printf("%-30s %8zu values, %6zu out; worst %.3g x tolerance: |%.10g - %.10g| = %.2g (%s)\n", x->name, x->compared, x->failed,
               x->ratio, x->expected, x->got, x->deviation, x->where);
    }
    printf("%s %s: %zu of %zu values out of tolerance\n", failed == 0 ? "PASS" : "FAIL", name != NULL ? name + 1 : folder, failed,
           compared);
    return failed == 0 && compared > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'}, {"precision", required_argument, NULL, 'p'}, {"verbose", no_argument, NULL, 'v'}, {0}};
    int threads = 1, option;
    while ((option = getopt_long(argc, argv, "t:p:v", options, NULL)) != -1) {
        if (option == 't')
            threads = atoi(optarg);
        else if (option == 'p' && strcmp(optarg, "float32") == 0)
            use_float32();
        else if (option == 'p' && strcmp(optarg, "float64") == 0)
            precision = GD_PRECISION_FLOAT64;
        else if (option == 'v')
            verbose = 1;
        else
            return 2;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: run_case [--threads n] [--precision float64|float32] [--verbose] FOLDER\n");
        return 2;
    }
    size_t length = strlen(argv[optind]);
    if (length > 1 && argv[optind][length - 1] == '/')
        argv[optind][length - 1] = '\0';
    struct test_case t = {0};
    struct gd_err err = {0};
    struct gd_md *md = NULL;
    load_case(&t, argv[optind]);
    t.par.precision = precision;
    struct expectations x = read_expected(&t);
    if (gd_md_create(&md, t.top, &t.par, t.conf, t.res, threads, &err) != 0)
        stop("start", &err);
    for (int64_t step = 0; step < t.par.step.nstlim && !gd_md_converged(md); step++) {
        compare_frames_before(&t, &x, md);
        if (gd_md_step(md, &err) != 0)
            stop("step", &err);
        compare_frames_after(&t, &x, md, step);
    }
    if (last_step == INT64_MAX)
        compare_final(&t, md);
    int status = report(t.folder);
    gd_md_destroy(&md);
    gd_io_energy_frames_destroy(&x.energies);
    gd_io_vector_frames_destroy(&x.forces);
    gd_io_vector_frames_destroy(&x.positions);
    gd_topology_destroy(&t.top);
    gd_configuration_destroy(&t.conf);
    gd_restraints_destroy(&t.res);
    free(t.json);
    return status;
}
