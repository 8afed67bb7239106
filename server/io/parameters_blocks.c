/* The blocks of an input file whose form depends on their own values. See parameters_file.h. */
#include <string.h>

#include "io/parameters_tables.h"

static bool read_values(struct gd_faults *f, struct gd_cursor *c, const struct gd_field *fields, size_t count, void *base)
{
    return gd_fields_read(f, c, fields, count, base);
}

/* A word on which the form of the rest depends: false when it is not known. */
static bool read_choice(struct gd_faults *f, struct gd_cursor *c, const struct gd_field *field, void *base)
{
    size_t before = f->list->count;
    return gd_fields_read(f, c, field, 1, base) && f->list->count == before;
}

/* ---- MULTIBATH ------------------------------------------------------------------------------------------------ */

static bool read_baths(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field count = GD_I32("NBATHS", multibath.num_baths, 0, GD_MAX_BATHS);
    static const struct gd_field row[] = {
        {.name = "TEMP0", .type = GD_FIELD_DOUBLE, .offset = offsetof(struct gd_bath, temperature), .low = 0, .high = 1e6},
        {.name = "TAU", .type = GD_FIELD_DOUBLE, .offset = offsetof(struct gd_bath, tau), .low = -1, .high = 1e12},
    };
    if (!read_values(f, c, &count, 1, p))
        return false;
    for (int b = 0; b < p->multibath.num_baths; b++)
        if (!read_values(f, c, row, 2, &p->multibath.bath[b]))
            return false;
    return true;
}

/* Baths are numbered from 1 in the file. */
static bool read_sets(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field count = GD_I32("DOFSET", multibath.num_dof_sets, 0, GD_MAX_DOF_SETS);
    if (!read_values(f, c, &count, 1, p))
        return false;
    for (int s = 0; s < p->multibath.num_dof_sets; s++) {
        struct gd_dof_set *set = &p->multibath.dof_set[s];
        double baths = p->multibath.num_baths;
        const struct gd_field row[] = {
            {.name = "LAST", .type = GD_FIELD_INT64, .offset = offsetof(struct gd_dof_set, last), .low = 1, .high = GD_BIG},
            {.name = "COM-BATH", .type = GD_FIELD_INT32, .offset = offsetof(struct gd_dof_set, com_bath), .low = 1, .high = baths},
            {.name = "IR-BATH", .type = GD_FIELD_INT32, .offset = offsetof(struct gd_dof_set, ir_bath), .low = 1, .high = baths},
        };
        set->com_bath = set->ir_bath = 1;
        if (!read_values(f, c, row, 3, set))
            return false;
        set->com_bath--;
        set->ir_bath--;
    }
    return true;
}

void gd_parameters_read_multibath(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word words[] = {{"weak-coupling", GD_THERMOSTAT_WEAK_COUPLING},
                                                 {"nose-hoover", GD_THERMOSTAT_NOSE_HOOVER},
                                                 {"nose-hoover-chains", GD_THERMOSTAT_NOSE_HOOVER_CHAINS},
                                                 {"bussi", GD_THERMOSTAT_BUSSI},
                                                 {NULL, 0}};
    static const struct gd_field algorithm = GD_WORD("ALGORITHM", multibath.thermostat, words);
    static const struct gd_field chain = GD_I32("NUM", multibath.chain_length, 2, GD_MAX_NHC_CHAIN);
    p->multibath.present = 1;
    p->multibath.thermostat = GD_THERMOSTAT_WEAK_COUPLING;
    if (!read_choice(f, c, &algorithm, p))
        return;
    if (p->multibath.thermostat == GD_THERMOSTAT_NOSE_HOOVER_CHAINS && !read_values(f, c, &chain, 1, p))
        return;
    if (read_baths(f, c, p) && read_sets(f, c, p))
        gd_fields_finish(f, c, "the last set of degrees of freedom");
}

/* ---- PRESSURESCALE -------------------------------------------------------------------------------------------- */

void gd_parameters_read_pressure(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word couple[] = {{"off", 0}, {"calc", 1}, {"scale", 2}, {NULL, 0}};
    static const struct gd_field_word scale[] = {{"off", 0}, {"iso", 1}, {"aniso", 2}, {"full", 3}, {"semianiso", 4}, {NULL, 0}};
    static const struct gd_field_word virial[] = {{"none", 0}, {"atomic", 1}, {"molecular", 2}, {NULL, 0}};
    static const struct gd_field fields[] = {
        GD_WORD("COUPLE", pressure.couple, couple),
        GD_WORD("SCALE", pressure.scale, scale),
        GD_F64("COMP", pressure.compressibility, 0, GD_ANY_REAL),
        GD_F64("TAUP", pressure.tau, 0, GD_ANY_REAL),
        GD_WORD("VIRIAL", pressure.virial, virial),
        GD_I32("SEMI(X)", pressure.semi[0], 0, 2),
        GD_I32("SEMI(Y)", pressure.semi[1], 0, 2),
        GD_I32("SEMI(Z)", pressure.semi[2], 0, 2),
    };
    struct gd_err err;
    gd_err_clear(&err);
    if (!read_values(f, c, fields, sizeof fields / sizeof fields[0], p))
        return;
    for (int k = 0; k < 9; k++)
        if (gd_faults_note(f, gd_cursor_double(c, "PRES0", &p->pressure.reference[k / 3][k % 3], &err), &err) != 0)
            return;
    gd_fields_finish(f, c, "PRES0");
}

/* ---- CONSTRAINT ----------------------------------------------------------------------------------------------- */

static bool read_positive(struct gd_faults *f, struct gd_cursor *c, const char *name, double *out)
{
    const struct gd_field field = {.name = name, .type = GD_FIELD_DOUBLE, .low = 1e-15, .high = 1e3};
    return read_values(f, c, &field, 1, out);
}

static bool read_order(struct gd_faults *f, struct gd_cursor *c, const char *name, int32_t *out)
{
    const struct gd_field field = {.name = name, .type = GD_FIELD_INT32, .low = 1, .high = 64};
    return read_values(f, c, &field, 1, out);
}

/* Flexible constraints: whether their lengths go on changing as the start says, and what they answer to. */
static bool read_flexible(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field rest[] = {
        GD_I32("NTCP0(2)", constraint.flexible_start, 0, 1),
        {.name = "NTCP0(3)",
         .type = GD_FIELD_INT32,
         .offset = offsetof(struct gd_parameters, constraint.flexible_mode),
         .low = 0,
         .high = 1,
         .missing = "the exact form of flexible constraints"},
    };
    return read_positive(f, c, "NTCP0(1)", &p->constraint.solute_tolerance) && read_values(f, c, rest, 2, p);
}

static bool read_algorithm(struct gd_faults *f, struct gd_cursor *c, enum gd_constraint_algorithm algorithm, const char *parameter,
                           double *tolerance, int32_t *order)
{
    switch (algorithm) {
    case GD_CONSTRAINT_SHAKE:
    case GD_CONSTRAINT_M_SHAKE:
        return read_positive(f, c, parameter, tolerance);
    case GD_CONSTRAINT_LINCS:
        return read_order(f, c, parameter, order);
    case GD_CONSTRAINT_FLEXIBLE_SHAKE: /* only the solute's, which reads more than this */
    case GD_CONSTRAINT_OFF:
    case GD_CONSTRAINT_SETTLE:
        return true;
    }
    return true;
}

void gd_parameters_read_constraint(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word which[] = {{"off", 0}, {"solvent", 1}, {"hydrogen", 2}, {"all", 3}, {"specified", 4}, {NULL, 0}};
    static const struct gd_field_word solute[] = {{"off", 0}, {"shake", 1}, {"lincs", 2}, {"flexshake", 3}, {NULL, 0}};
    static const struct gd_field_word solvent[] = {{"off", 0}, {"shake", 1}, {"lincs", 2}, {"settle", 4}, {"m_shake", 5}, {NULL, 0}};
    static const struct gd_field ntc = {
        .name = "NTC", .type = GD_FIELD_ENUM, .offset = offsetof(struct gd_parameters, constraint.ntc), .words = which};
    static const struct gd_field ntcp = GD_WORD("NTCP", constraint.solute, solute);
    static const struct gd_field ntcs = GD_WORD("NTCS", constraint.solvent, solvent);
    if (!read_values(f, c, &ntc, 1, p) || !read_choice(f, c, &ntcp, p) ||
        !read_algorithm(f, c, p->constraint.solute, "NTCP0", &p->constraint.solute_tolerance, &p->constraint.solute_lincs_order) ||
        (p->constraint.solute == GD_CONSTRAINT_FLEXIBLE_SHAKE && !read_flexible(f, c, p)))
        return;
    if (!read_choice(f, c, &ntcs, p) ||
        !read_algorithm(f, c, p->constraint.solvent, "NTCS0", &p->constraint.solvent_tolerance, &p->constraint.solvent_lincs_order))
        return;
    gd_fields_finish(f, c, "the solvent's constraint algorithm");
}

/* ---- FORCE, PAIRLIST, ENERGYMIN ------------------------------------------------------------------------------- */

void gd_parameters_read_force(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word on_off[] = {{"off", 0}, {"on", 1}, {NULL, 0}};
    static const struct gd_field terms[] = {
        GD_WORD("NTF(1)", force.bond, on_off),
        GD_WORD("NTF(2)", force.angle, on_off),
        GD_WORD("NTF(3)", force.improper, on_off),
        GD_WORD("NTF(4)", force.dihedral, on_off),
        GD_WORD("NTF(5)", force.electrostatic, on_off),
        GD_WORD("NTF(6)", force.vdw, on_off),
        GD_I32("NEGR", force.num_energy_groups, 1, GD_MAX_ENERGY_GROUPS),
    };
    p->force.num_energy_groups = 0;
    if (!read_values(f, c, terms, sizeof terms / sizeof terms[0], p))
        return;
    for (int g = 0; g < p->force.num_energy_groups; g++) {
        double low = g == 0 ? 1.0 : (double)p->force.energy_group_last[g - 1] + 1.0;
        const struct gd_field last = {.name = "NRE", .type = GD_FIELD_INT64, .low = low, .high = GD_BIG};
        if (!read_values(f, c, &last, 1, &p->force.energy_group_last[g]))
            return;
    }
    gd_fields_finish(f, c, "the last atom of the last energy group");
}

/* SIZE may be the word auto, for half of the short-range cutoff. */
static bool read_cell_size(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field size = GD_F64("SIZE", pairlist.size, 1e-6, 1e6);
    struct gd_token token;
    if (gd_cursor_peek(c, &token) && gd_token_is(&token, "auto")) {
        p->pairlist.size = 0.0;
        return gd_cursor_token(c, &token);
    }
    return read_values(f, c, &size, 1, p);
}

void gd_parameters_read_pairlist(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word algorithm[] = {{"standard", 0}, {"grid", 1}, {"grid_cell", 2}, {NULL, 0}};
    static const struct gd_field_word type[] = {{"chargegroup", 0}, {"atomic", 1}, {NULL, 0}};
    static const struct gd_field first[] = {
        GD_WORD("ALGORITHM", pairlist.algorithm, algorithm),
        GD_I64("NSNB", pairlist.nsnb, 1, GD_BIG),
        GD_F64("RCUTP", pairlist.rcutp, 0, 1e6),
        GD_F64("RCUTL", pairlist.rcutl, 0, 1e6),
    };
    static const struct gd_field last = GD_WORD("TYPE", pairlist.type, type);
    if (read_values(f, c, first, sizeof first / sizeof first[0], p) && read_cell_size(f, c, p) && read_values(f, c, &last, 1, p))
        gd_fields_finish(f, c, "TYPE");
}

void gd_parameters_read_minimise(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word method[] = {
        {"off", 0}, {"steepest-descent", 1}, {"fletcher-reeves", 2}, {"polak-ribiere", 3}, {NULL, 0}};
    static const struct gd_field fields[] = {
        GD_WORD("NTEM", minimise.ntem, method),        GD_I64("NCYC", minimise.ncyc, 0, GD_BIG),
        GD_F64("DELE", minimise.dele, 0, GD_ANY_REAL), GD_F64("DX0", minimise.dx0, 0, GD_ANY_REAL),
        GD_F64("DXM", minimise.dxm, 0, GD_ANY_REAL),   GD_I64("NMIN", minimise.nmin, 0, GD_BIG),
        GD_F64("FLIM", minimise.flim, 0, GD_ANY_REAL),
    };
    static const struct gd_field conjugate[] = {
        GD_I32("CGIM", minimise.cgim, 1, 1e9),
        GD_F64("CGIC", minimise.cgic, 0, GD_ANY_REAL),
    };
    if (!read_values(f, c, fields, sizeof fields / sizeof fields[0], p))
        return;
    if (p->minimise.ntem > GD_MINIMISE_STEEPEST_DESCENT && !read_values(f, c, conjugate, 2, p))
        return;
    gd_fields_finish(f, c, "the last value");
}

/* ---- GROMOSD -------------------------------------------------------------------------------------------------- */

void gd_parameters_read_extension(struct gd_faults *f, struct gd_cursor *c, struct gd_parameters *p)
{
    static const struct gd_field_word scheme[] = {{"chargegroup", 0}, {"verlet", 1}, {NULL, 0}};
    static const struct gd_field_word integrator[] = {{"leap-frog", 0}, {"velocity-verlet", 1}, {NULL, 0}};
    static const struct gd_field_word precision[] = {{"float64", 0}, {"float32", 1}, {NULL, 0}};
    static const struct gd_field_word barostat[] = {{"berendsen", 0}, {"stochastic-cell", 1}, {"parrinello-rahman", 2}, {NULL, 0}};
    static const struct gd_field fields[] = {
        GD_WORD("scheme", pairlist.scheme, scheme),       GD_F64("buffer", pairlist.buffer, -1, 1e3),
        GD_WORD("integrator", integrator, integrator),    GD_WORD("precision", precision, precision),
        GD_WORD("barostat", pressure.barostat, barostat),
    };
    struct gd_token key;
    while (gd_cursor_token(c, &key)) {
        const struct gd_field *field = NULL;
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
            if (gd_token_is(&key, fields[i].name))
                field = &fields[i];
        if (field == NULL) {
            gd_faults_at(f, c, "'%.*s' is no keyword; expected scheme, buffer, integrator, precision or barostat",
                         key.length > 40 ? 40 : (int)key.length, key.text);
            return;
        }
        if (!read_values(f, c, field, 1, p))
            return;
    }
}
