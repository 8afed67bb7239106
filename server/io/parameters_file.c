/* See parameters_file.h. Blocks that are plain sequences of values are tables here; the others are in
 * parameters_blocks.c. Ranges say what the engine does, not what the format could express. */
#include "io/parameters_file.h"

#include <stdlib.h>
#include <string.h>

#include "io/blocks_common.h"
#include "io/parameters_tables.h"

static const struct gd_field system_fields[] = {
    GD_PART("NPM", GD_FIELD_INT32, system.npm, 0, 1, "more than one copy of the solute"),
    GD_I64("NSM", system.nsm, 0, 1e8),
};

static const struct gd_field initialise_fields[] = {
    GD_I32("NTIVEL", initialise.ntivel, 0, 1), GD_I32("NTISHK", initialise.ntishk, 0, 3),
    GD_I32("NTINHT", initialise.ntinht, 0, 1), GD_PART("NTINHB", GD_FIELD_INT32, initialise.ntinhb, 0, 0, "a Nose-Hoover barostat"),
    GD_I32("NTISHI", initialise.ntishi, 0, 1), GD_I32("NTIRTC", initialise.ntirtc, 0, 1),
    GD_I32("NTICOM", initialise.nticom, 0, 2), GD_I32("NTISTI", initialise.ntisti, 0, 1),
    GD_I64("IG", initialise.ig, 0, GD_BIG),    GD_F64("TEMPI", initialise.tempi, 0, 1e6),
};

static const struct gd_field step_fields[] = {
    GD_I64("NSTLIM", step.nstlim, 0, GD_BIG),
    GD_F64("T", step.t0, -1, GD_ANY_REAL),
    GD_F64("DT", step.dt, 1e-12, 1.0),
};

static const struct gd_field boundary_fields[] = {
    {.name = "NTB",
     .type = GD_FIELD_ENUM,
     .offset = offsetof(struct gd_parameters, boundary.ntb),
     .words = (const struct gd_field_word[]){{"truncoct", -1}, {"vacuum", 0}, {"rectangular", 1}, {"triclinic", 2}, {NULL, 0}}},
    GD_I32("NDFMIN", boundary.ndfmin, 0, 1e9),
};

static const struct gd_field com_fields[] = {GD_I64("NSCM", com.nscm, -GD_BIG, GD_BIG)};

static const struct gd_field print_fields[] = {
    GD_I64("NTPR", print.ntpr, 0, GD_BIG),
    GD_PART("NTPP", GD_FIELD_INT64, print.ntpp, 0, 0, "monitoring of dihedral transitions"),
};

static const struct gd_field write_fields[] = {
    GD_I64("NTWX", write.ntwx, 0, GD_BIG),
    GD_PART("NTWSE", GD_FIELD_INT64, write.ntwse, 0, 0, "selection of frames by energy"),
    GD_I64("NTWV", write.ntwv, 0, GD_BIG),
    GD_I64("NTWF", write.ntwf, 0, GD_BIG),
    GD_I64("NTWE", write.ntwe, 0, GD_BIG),
    GD_PART("NTWG", GD_FIELD_INT64, write.ntwg, 0, 0, "a free-energy trajectory"),
    GD_PART("NTWB", GD_FIELD_INT64, write.ntwb, 0, 0, "a trajectory of block averages"),
};

static const struct gd_field covalent_fields[] = {
    GD_I32("NTBBH", covalent.ntbbh, 0, 1),
    GD_I32("NTBAH", covalent.ntbah, 0, 1),
    GD_I32("NTBDN", covalent.ntbdn, 0, 1),
};

static const struct gd_field nonbonded_fields[] = {
    GD_PART("NLRELE", GD_FIELD_INT32, nonbonded.nlrele, -1, 1, "a lattice-sum method"),
    GD_F64("APPAK", nonbonded.appak, 0, 1e6),
    GD_F64("RCRF", nonbonded.rcrf, 0, 1e6),
    GD_F64("EPSRF", nonbonded.epsrf, 0, 1e12),
    GD_I32("NSLFEXCL", nonbonded.nslfexcl, 0, 1),
    GD_I32("NSHAPE", nonbonded.nshape, -1, 10),
    GD_F64("ASHAPE", nonbonded.ashape, 0, GD_ANY_REAL),
    GD_I32("NA2CLC", nonbonded.na2clc, 0, 4),
    GD_F64("TOLA2", nonbonded.tola2, 0, GD_ANY_REAL),
    GD_F64("EPSLS", nonbonded.epsls, 0, GD_ANY_REAL),
    GD_I32("NKX", nonbonded.nkx, 0, 1e9),
    GD_I32("NKY", nonbonded.nky, 0, 1e9),
    GD_I32("NKZ", nonbonded.nkz, 0, 1e9),
    GD_F64("KCUT", nonbonded.kcut, 0, GD_ANY_REAL),
    GD_I32("NGX", nonbonded.ngx, 0, 1e9),
    GD_I32("NGY", nonbonded.ngy, 0, 1e9),
    GD_I32("NGZ", nonbonded.ngz, 0, 1e9),
    GD_I32("NASORD", nonbonded.nasord, 0, 5),
    GD_I32("NFDORD", nonbonded.nfdord, 0, 5),
    GD_I32("NALIAS", nonbonded.nalias, 0, 1e9),
    GD_I32("NSPORD", nonbonded.nspord, 0, 1e9),
    GD_I64("NQEVAL", nonbonded.nqeval, 0, GD_BIG),
    GD_F64("FACCUR", nonbonded.faccur, 0, GD_ANY_REAL),
    GD_I32("NRDGRD", nonbonded.nrdgrd, 0, 1),
    GD_I32("NWRGRD", nonbonded.nwrgrd, 0, 1),
    GD_PART("NLRLJ", GD_FIELD_INT32, nonbonded.nlrlj, 0, 0, "a long-range correction of Lennard-Jones terms"),
    GD_F64("SLVDNS", nonbonded.slvdns, 0, GD_ANY_REAL),
};

static const struct gd_field position_fields[] = {
    GD_I32("NTPOR", position_restraint.ntpor, 0, 3),
    GD_I32("NTPORB", position_restraint.ntporb, 0, 1),
    GD_I32("NTPORS", position_restraint.ntpors, 0, 1),
    GD_F64("CPOR", position_restraint.cpor, 0, GD_ANY_REAL),
};

static const struct gd_field distance_fields[] = {
    GD_I32("NTDIR", distance_restraint.ntdir, -2, 2),
    GD_I32("NTDIRA", distance_restraint.ntdira, 0, 1),
    GD_F64("CDIR", distance_restraint.cdir, 0, GD_ANY_REAL),
    GD_F64("DIR0", distance_restraint.dir0, 0, GD_ANY_REAL),
    GD_F64("TAUDIR", distance_restraint.taudir, 0, GD_ANY_REAL),
    GD_I32("FORCESCALE", distance_restraint.forcescale, 0, 2),
    GD_I32("VDIR", distance_restraint.vdir, 0, 1),
    GD_I64("NTWDIR", distance_restraint.ntwdir, 0, GD_BIG),
};

static const struct gd_field angle_fields[] = {
    GD_I32("NTALR", angle_restraint.ntalr, 0, 3),
    GD_F64("CALR", angle_restraint.calr, 0, GD_ANY_REAL),
    GD_I32("VARES", angle_restraint.vares, 0, 1),
    GD_I64("NTWALR", angle_restraint.ntwalr, 0, GD_BIG),
    GD_F64("TOLBAC", angle_restraint.tolbac, 0, GD_ANY_REAL),
};

static const struct gd_field dihedral_fields[] = {
    GD_I32("NTDLR", dihedral_restraint.ntdlr, 0, 3),        GD_F64("CDLR", dihedral_restraint.cdlr, 0, GD_ANY_REAL),
    GD_F64("PHILIN", dihedral_restraint.philin, -180, 180), GD_I32("VDIH", dihedral_restraint.vdih, 0, 1),
    GD_I64("NTWDLR", dihedral_restraint.ntwdlr, 0, GD_BIG), GD_F64("TOLDAC", dihedral_restraint.toldac, 0, GD_ANY_REAL),
};

static const struct gd_field jvalue_fields[] = {
    GD_I32("NTJVR", jvalue.ntjvr, -3, 2),
    GD_I32("NTJVRA", jvalue.ntjvra, 0, 1),
    GD_F64("CJVR", jvalue.cjvr, 0, GD_ANY_REAL),
    GD_F64("TAUJVR", jvalue.taujvr, 0, GD_ANY_REAL),
    GD_I32("NJVRTARS", jvalue.njvrtars, 0, 1),
    GD_I32("NJVRBIQW", jvalue.njvrbiqw, 0, 2),
    GD_I32("LE", jvalue.le, 0, 1),
    GD_I32("NGRID", jvalue.ngrid, 0, 1e6),
    GD_F64("DELTA", jvalue.delta, 0, GD_ANY_REAL),
    GD_I64("NTWJV", jvalue.ntwjv, 0, GD_BIG),
};

static const struct gd_field stochastic_fields[] = {
    GD_I32("NTSD", stochastic.ntsd, 0, 1),       GD_I32("NTFR", stochastic.ntfr, 0, 3),
    GD_I64("NSFR", stochastic.nsfr, 0, GD_BIG),  GD_I64("NBREF", stochastic.nbref, 0, GD_BIG),
    GD_F64("RCUTF", stochastic.rcutf, 0, 1e6),   GD_F64("CFRIC", stochastic.cfric, 0, GD_ANY_REAL),
    GD_F64("TEMPSD", stochastic.tempsd, 0, 1e6),
};

static const struct gd_field rottrans_fields[] = {
    GD_I32("RTC", rottrans.rtc, 0, 1),
    GD_I64("RTCLAST", rottrans.last, 0, GD_BIG),
};

static const struct gd_field coarse_fields[] = {
    GD_PART("NTCGRAN", GD_FIELD_INT32, coarse.ntcgran, 0, 1, "a coarse-grained form other than MARTINI's"),
    GD_F64("EPS", coarse.eps, 0, GD_ANY_REAL),
    GD_F64("EPSM", coarse.epsm, 0, GD_ANY_REAL),
};

static const struct gd_field random_fields[] = {
    {.name = "NTRNG",
     .type = GD_FIELD_ENUM,
     .offset = offsetof(struct gd_parameters, random.generator),
     .words = (const struct gd_field_word[]){{"g96", 0}, {"gsl", 1}, {NULL, 0}}},
    GD_PART("NTGSL", GD_FIELD_INT32, random.gsl_generator, -1, -1, "a generator other than mt19937"),
};

#define FIELDS(array) .fields = array, .num_fields = sizeof array / sizeof array[0]

static const struct {
    const char *name;
    bool required;
    const struct gd_field *fields; /* a plain sequence, or */
    size_t num_fields;
    gd_parameters_block *read; /* a function of its own */
} block_table[] = {
    {.name = "SYSTEM", .required = true, FIELDS(system_fields)},
    {.name = "INITIALISE", .required = true, FIELDS(initialise_fields)},
    {.name = "STEP", .required = true, FIELDS(step_fields)},
    {.name = "BOUNDCOND", .required = true, FIELDS(boundary_fields)},
    {.name = "MULTIBATH", .read = gd_parameters_read_multibath},
    {.name = "PRESSURESCALE", .read = gd_parameters_read_pressure},
    {.name = "COMTRANSROT", FIELDS(com_fields)},
    {.name = "PRINTOUT", FIELDS(print_fields)},
    {.name = "WRITETRAJ", FIELDS(write_fields)},
    {.name = "CONSTRAINT", .required = true, .read = gd_parameters_read_constraint},
    {.name = "FORCE", .required = true, .read = gd_parameters_read_force},
    {.name = "COVALENTFORM", FIELDS(covalent_fields)},
    {.name = "PAIRLIST", .required = true, .read = gd_parameters_read_pairlist},
    {.name = "NONBONDED", .required = true, FIELDS(nonbonded_fields)},
    {.name = "POSITIONRES", FIELDS(position_fields)},
    {.name = "DISTANCERES", FIELDS(distance_fields)},
    {.name = "ANGLERES", FIELDS(angle_fields)},
    {.name = "DIHEDRALRES", FIELDS(dihedral_fields)},
    {.name = "JVALUERES", FIELDS(jvalue_fields)},
    {.name = "STOCHDYN", FIELDS(stochastic_fields)},
    {.name = "ENERGYMIN", .read = gd_parameters_read_minimise},
    {.name = "ROTTRANS", FIELDS(rottrans_fields)},
    {.name = "CGRAIN", FIELDS(coarse_fields)},
    {.name = "RANDOMNUMBERS", FIELDS(random_fields)},
    {.name = "GROMOSD", .read = gd_parameters_read_extension},
};

/* Blocks of the original for methods that are not done here: accepted when their first value switches them
 * off, or (the integrator) says what is done anyway. */
static const char *const optional_blocks[][2] = {
    {"PERTURBATION", "0"}, {"LAMBDAS", "0"},        {"PRECALCLAM", "0"},    {"EDS", "0"},
    {"AEDS", "0"},         {"GAMD", "0"},           {"REPLICA", "0"},       {"REPLICA_EDS", "0"},
    {"LOCALELEV", "0"},    {"BSLEUS", "0"},         {"DISTANCEFIELD", "0"}, {"ORDERPARAMRES", "0"},
    {"RDCRES", "0"},       {"XRAYRES", "0"},        {"SYMRES", "0"},        {"COLVARRES", "0"},
    {"PERSCALE", "0"},     {"POLARISE", "0"},       {"QMMM", "0"},          {"ELECTRIC", "0"},
    {"NEMD", "0"},         {"SASA", "0"},           {"ADDECOUPLE", "0"},    {"MULTICELL", "0"},
    {"MULTISTEP", "0"},    {"MULTIGRADIENT", "0"},  {"READTRAJ", "0"},      {"CHEMICALMONTECARLO", "0"},
    {"INNERLOOP", "0"},    {"GROMOS96COMPAT", "0"}, {"DFUNCT", "0"},        {"AMBER", "0"},
    {"INTEGRATE", "1"},
};

static void read_optional(struct gd_faults *faults, const char *name, const char *harmless)
{
    struct gd_cursor c;
    struct gd_token token;
    struct gd_block *block = gd_faults_block(faults, name, false);
    if (block == NULL)
        return;
    gd_cursor_start(&c, faults->file, block);
    if (!gd_cursor_token(&c, &token) || gd_token_is(&token, harmless) || gd_token_is(&token, "off"))
        return;
    gd_faults_at(faults, &c, "%.*s asks for a method that is not available; leave the block out or give %s",
                 token.length > 40 ? 40 : (int)token.length, token.text, harmless);
}

static void read_title(struct gd_faults *faults, struct gd_parameters *p)
{
    struct gd_err err;
    char *title = NULL;
    struct gd_block *block = gd_faults_block(faults, "TITLE", false);
    gd_err_clear(&err);
    if (block == NULL || gd_faults_note(faults, gd_blocks_read_title(faults->file, block, &title, &err), &err) != 0)
        return;
    size_t n = strnlen(title, sizeof p->title - 1);
    memcpy(p->title, title, n);
    p->title[n] = '\0';
    free(title);
}

static void read_blocks(struct gd_faults *faults, struct gd_parameters *p)
{
    read_title(faults, p);
    for (size_t i = 0; i < sizeof block_table / sizeof block_table[0]; i++) {
        struct gd_cursor c;
        struct gd_block *block = gd_faults_block(faults, block_table[i].name, block_table[i].required);
        if (block == NULL)
            continue;
        gd_cursor_start(&c, faults->file, block);
        if (block_table[i].read != NULL) {
            block_table[i].read(faults, &c, p);
        } else if (gd_fields_read(faults, &c, block_table[i].fields, block_table[i].num_fields, p)) {
            gd_fields_finish(faults, &c, block_table[i].fields[block_table[i].num_fields - 1].name);
        }
    }
    for (size_t i = 0; i < sizeof optional_blocks / sizeof optional_blocks[0]; i++)
        read_optional(faults, optional_blocks[i][0], optional_blocks[i][1]);
    gd_faults_unused(faults, "input");
}

static int read_file(struct gd_block_file *file, struct gd_parameters *out, struct gd_messages *list, struct gd_err *err)
{
    struct gd_messages own = {0};
    struct gd_faults faults;
    struct gd_parameters *p = malloc(sizeof *p);
    if (p == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its parameters", file->path);
    gd_parameters_default(p);
    gd_faults_start(&faults, file, list == NULL ? &own : list);
    read_blocks(&faults, p);
    if (faults.code == 0) {
        struct gd_err why, with_file;
        gd_err_clear(&why);
        gd_err_clear(&with_file);
        if (gd_parameters_check(p, &why) != 0)
            gd_faults_note(&faults, gd_block_file_fault(file, &with_file, "block %s", why.text), &with_file);
    }
    int rc = gd_faults_result(&faults, err);
    if (rc == 0)
        *out = *p;
    gd_messages_clear(&own);
    free(p);
    return rc;
}

int gd_io_read_parameters_faults(const char *path, struct gd_parameters *out, struct gd_messages *faults, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_faults_open(&file, path, faults, err);
    if (rc == 0)
        rc = read_file(file, out, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_parameters_memory(const char *name, const void *data, size_t size, struct gd_parameters *out, struct gd_messages *faults,
                                 struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_from_memory(&file, name, data, size, err);
    if (rc == 0)
        rc = read_file(file, out, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_parameters(const char *path, struct gd_parameters *out, struct gd_err *err)
{
    return gd_io_read_parameters_faults(path, out, NULL, err);
}
