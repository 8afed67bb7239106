/* See restraints_file.h. */
#include "io/restraints_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "io/faults.h"
#include "io/labelled_rows.h"

#define POSRESSPEC_LABEL 17 /* characters before the atom's number */

struct reader {
    struct gd_faults faults;
    struct gd_restraints *res;
    size_t row_line; /* where the row that is being read began */
};

static int no_rows(const struct gd_cursor *c, struct gd_err *err)
{
    return gd_cursor_fault(c, err, "no restraint in it");
}

/* ---- rows of numbers
 * ------------------------------------------------------------------------------------------ */

static void begin_row(struct reader *r, const struct gd_cursor *c)
{
    struct gd_token next;
    r->row_line = gd_cursor_peek(c, &next) ? next.line : 0;
}

/* A row is one line: neither shorter nor longer. */
static int end_row(const struct reader *r, const struct gd_cursor *c, int columns, struct gd_err *err)
{
    struct gd_token next;
    if (c->line != r->row_line)
        return gd_cursor_fault(c, err, "the restraint of line %zu has fewer than %d values in its line", r->row_line, columns);
    if (gd_cursor_peek(c, &next) && next.line == r->row_line)
        return gd_cursor_fault(c, err, "more than %d values in a line", columns);
    return 0;
}

static int read_atoms(struct gd_cursor *c, int n, int32_t *atom, struct gd_err *err)
{
    int number, rc = 0;
    for (int k = 0; k < n && rc == 0; k++) {
        rc = gd_cursor_int(c, "an atom number", 1, INT_MAX, &number, err);
        if (rc == 0)
            atom[k] = number - 1;
    }
    return rc;
}

static int read_doubles(struct gd_cursor *c, const char *const *what, double *const *out, int n, struct gd_err *err)
{
    int rc = 0;
    for (int k = 0; k < n && rc == 0; k++)
        rc = gd_cursor_double(c, what[k], out[k], err);
    return rc;
}

/* ---- positions
 * ------------------------------------------------------------------------------------------------ */

static int read_position_row(struct gd_cursor *c, const struct gd_token *line, int *number, struct gd_err *err)
{
    size_t at = POSRESSPEC_LABEL, stop;
    long value = 0;
    while (at < line->length && (line->text[at] == ' ' || line->text[at] == '\t'))
        at++;
    for (stop = at; stop < line->length && line->text[stop] != ' ' && line->text[stop] != '\t' && line->text[stop] != '\r';)
        stop++;
    if (at >= line->length || gd_parse_long(line->text + at, stop - at, &value) != 0 || value < 1 || value > INT_MAX)
        return gd_cursor_fault(c, err, "expected an atom number (1 or more) behind the first %d characters", POSRESSPEC_LABEL);
    *number = (int)value;
    return 0;
}

static int compare_atoms(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int read_position_atoms(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_cursor c;
    struct gd_token line;
    size_t n = gd_rows_count(r->faults.file, block), i = 0;
    int number = 0;
    int rc = gd_restraints_resize(r->res, GD_REST_POSITION_ATOMS, n, err);
    gd_cursor_start(&c, r->faults.file, block);
    while (rc == 0 && i < n && gd_cursor_line(&c, &line)) {
        rc = read_position_row(&c, &line, &number, err);
        r->res->position_atom[i++] = number - 1;
    }
    if (rc == 0 && n == 0)
        rc = no_rows(&c, err);
    if (rc != 0)
        return rc;
    qsort(r->res->position_atom, n, sizeof *r->res->position_atom, compare_atoms);
    for (size_t k = 1; k < n; k++)
        if (r->res->position_atom[k] == r->res->position_atom[k - 1])
            return gd_cursor_fault(&c, err, "atom %d is named twice", (int)r->res->position_atom[k] + 1);
    return 0;
}

static int read_reference(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    size_t n = gd_rows_count(r->faults.file, block);
    struct gd_cursor c;
    gd_cursor_start(&c, r->faults.file, block);
    if (n == 0)
        return no_rows(&c, err);
    int rc = gd_restraints_resize(r->res, GD_REST_REFERENCE, n, err);
    return rc != 0 ? rc : gd_rows_read_labelled(r->faults.file, block, n, 3, r->res->reference_position[0], NULL, NULL, err);
}

static int read_bfactors(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    r->res->has_bfactor = 1;
    if (r->res->num_reference == 0) /* REFPOSITION was faulty: how many there should be is not known */
        return 0;
    return gd_rows_read_labelled(r->faults.file, block, r->res->num_reference, 1, r->res->bfactor, NULL, NULL, err);
}

/* ---- distances
 * ------------------------------------------------------------------------------------------------ */

/* Four atom numbers, zeros behind the last, and the type. */
static int read_virtual_atom(struct gd_cursor *c, struct gd_virtual_atom *v, struct gd_err *err)
{
    int number, type, rc = 0;
    v->count = 0;
    for (int k = 0; k < 4 && rc == 0; k++) {
        rc = gd_cursor_int(c, "an atom number (0: none)", 0, INT_MAX, &number, err);
        if (rc == 0 && number > 0 && v->count < k)
            rc = gd_cursor_fault(c, err, "atom %d follows a 0; the atoms of a virtual atom come first, then zeros", number);
        if (rc == 0 && number > 0)
            v->atom[v->count++] = number - 1;
    }
    if (rc == 0)
        rc = gd_cursor_int(c, "the type of a virtual atom", -2, 7, &type, err);
    if (rc == 0 && v->count == 0)
        rc = gd_cursor_fault(c, err, "a virtual atom made of no atom");
    if (rc == 0)
        v->type = type;
    return rc;
}

static int read_distance_row(struct reader *r, struct gd_cursor *c, struct gd_distance_restraint *row, struct gd_err *err)
{
    int rah;
    begin_row(r, c);
    int rc = read_virtual_atom(c, &row->a, err);
    if (rc == 0)
        rc = read_virtual_atom(c, &row->b, err);
    if (rc == 0)
        rc = gd_cursor_double_in(c, "r0", 0.0, 1e6, &row->r0, err);
    if (rc == 0)
        rc = gd_cursor_double(c, "w0", &row->weight, err);
    if (rc == 0)
        rc = gd_cursor_int(c, "rah", -1, 61, &rah, err);
    if (rc == 0)
        rc = end_row(r, c, 13, err);
    if (rc == 0)
        row->rah = rah;
    return rc;
}

static int read_distances(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_cursor c;
    size_t lines = gd_rows_count(r->faults.file, block), n = lines > 0 ? lines - 1 : 0;
    gd_cursor_start(&c, r->faults.file, block);
    begin_row(r, &c);
    int rc = gd_cursor_double_in(&c, "DISH", 1e-9, 10.0, &r->res->dish, err);
    if (rc == 0)
        rc = gd_cursor_double_in(&c, "DISC", 1e-9, 10.0, &r->res->disc, err);
    if (rc == 0)
        rc = end_row(r, &c, 2, err);
    if (rc == 0 && n == 0)
        rc = no_rows(&c, err);
    if (rc == 0)
        rc = gd_restraints_resize(r->res, GD_REST_DISTANCES, n, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_distance_row(r, &c, &r->res->distances[i], err);
    return rc;
}

/* ---- angles, dihedrals, J-values
 * ------------------------------------------------------------------------------ */

static int read_angle_row(struct reader *r, struct gd_cursor *c, size_t i, struct gd_err *err)
{
    struct gd_angle_restraint *row = &r->res->angles[i];
    static const char *const what[] = {"the weight", "the angle"};
    double *const out[] = {&row->weight, &row->angle};
    int rc = read_atoms(c, 3, row->atom, err);
    return rc != 0 ? rc : read_doubles(c, what, out, 2, err);
}

static int read_dihedral_row(struct reader *r, struct gd_cursor *c, size_t i, struct gd_err *err)
{
    struct gd_dihedral_restraint *row = &r->res->dihedrals[i];
    static const char *const what[] = {"the weight", "the angle", "the position of the maximum"};
    double *const out[] = {&row->weight, &row->angle, &row->delta};
    int rc = read_atoms(c, 4, row->atom, err);
    return rc != 0 ? rc : read_doubles(c, what, out, 3, err);
}

static int read_jvalue_row(struct reader *r, struct gd_cursor *c, size_t i, struct gd_err *err)
{
    struct gd_jvalue_restraint *row = &r->res->jvalues[i];
    static const char *const what[] = {"the weight", "the J-value", "the phase", "A", "B", "C"};
    double *const out[] = {&row->weight, &row->j0, &row->phase, &row->a, &row->b, &row->c};
    int half = 0, rc = read_atoms(c, 4, row->atom, err);
    if (rc == 0)
        rc = read_doubles(c, what, out, 6, err);
    if (rc == 0)
        rc = gd_cursor_int(c, "H", -1, 1, &half, err);
    row->half_harmonic = half;
    return rc;
}

static int read_rows(struct reader *r, const struct gd_block *block, enum gd_restraint_table table, int columns,
                     int (*read_row)(struct reader *, struct gd_cursor *, size_t, struct gd_err *), struct gd_err *err)
{
    struct gd_cursor c;
    size_t n = gd_rows_count(r->faults.file, block);
    gd_cursor_start(&c, r->faults.file, block);
    if (n == 0)
        return no_rows(&c, err);
    int rc = gd_restraints_resize(r->res, table, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        begin_row(r, &c);
        rc = read_row(r, &c, i, err);
        if (rc == 0)
            rc = end_row(r, &c, columns, err);
    }
    return rc;
}

static int read_angles(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    return read_rows(r, block, GD_REST_ANGLES, 5, read_angle_row, err);
}

static int read_dihedrals(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    return read_rows(r, block, GD_REST_DIHEDRALS, 7, read_dihedral_row, err);
}

static int read_jvalues(struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    return read_rows(r, block, GD_REST_JVALUES, 11, read_jvalue_row, err);
}

/* ---- the file
 * ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *argument;
    const char *block;
    int (*read)(struct reader *, const struct gd_block *, struct gd_err *);
} kinds[GD_RESTRAINTS_KINDS] = {
    [GD_RESTRAINTS_POSRESSPEC] = {"posresspec", "POSRESSPEC", read_position_atoms},
    [GD_RESTRAINTS_REFPOS] = {"refpos", "REFPOSITION", read_reference},
    [GD_RESTRAINTS_DISTREST] = {"distrest", "DISTANCERESSPEC", read_distances},
    [GD_RESTRAINTS_ANGREST] = {"angrest", "ANGRESSPEC", read_angles},
    [GD_RESTRAINTS_DIHREST] = {"dihrest", "DIHEDRALRESSPEC", read_dihedrals},
    [GD_RESTRAINTS_JVAL] = {"jval", "JVALRESSPEC", read_jvalues},
};

int gd_restraints_kind_from_name(const char *name, enum gd_restraints_kind *out)
{
    name += *name == '@';
    for (int k = 0; k < GD_RESTRAINTS_KINDS; k++)
        if (strcmp(name, kinds[k].argument) == 0) {
            *out = (enum gd_restraints_kind)k;
            return 0;
        }
    return -1;
}

static void swap(void *a, void *b, size_t size)
{
    char keep[64];
    memcpy(keep, a, size);
    memcpy(a, b, size);
    memcpy(b, keep, size);
}

#define SWAP(member) swap(&to->member, &from->member, sizeof to->member)

/* What was read takes the place of what was there, which goes with `from`. */
static void hand_over(enum gd_restraints_kind kind, struct gd_restraints *to, struct gd_restraints *from)
{
    switch (kind) {
    case GD_RESTRAINTS_POSRESSPEC:
        SWAP(num_position_atoms), SWAP(position_atom);
        break;
    case GD_RESTRAINTS_REFPOS:
        SWAP(num_reference), SWAP(reference_position), SWAP(bfactor), SWAP(has_bfactor);
        break;
    case GD_RESTRAINTS_DISTREST:
        SWAP(num_distances), SWAP(distances), SWAP(dish), SWAP(disc);
        break;
    case GD_RESTRAINTS_ANGREST:
        SWAP(num_angles), SWAP(angles);
        break;
    case GD_RESTRAINTS_DIHREST:
        SWAP(num_dihedrals), SWAP(dihedrals);
        break;
    case GD_RESTRAINTS_JVAL:
        SWAP(num_jvalues), SWAP(jvalues);
        break;
    case GD_RESTRAINTS_KINDS:
        break;
    }
}

static void read_blocks(struct reader *r, enum gd_restraints_kind kind)
{
    struct gd_err err;
    struct gd_block *block;
    gd_err_clear(&err);
    gd_faults_block(&r->faults, "TITLE", false);
    block = gd_faults_block(&r->faults, kinds[kind].block, true);
    if (block != NULL)
        gd_faults_note(&r->faults, kinds[kind].read(r, block, &err), &err);
    if (kind == GD_RESTRAINTS_REFPOS) {
        block = gd_faults_block(&r->faults, "BFACTOR", false);
        if (block != NULL)
            gd_faults_note(&r->faults, read_bfactors(r, block, &err), &err);
    }
    gd_faults_unused(&r->faults, kinds[kind].argument);
}

static int read_file(struct gd_block_file *file, enum gd_restraints_kind kind, struct gd_restraints *res, struct gd_messages *faults,
                     struct gd_err *err)
{
    struct gd_messages own = {0};
    struct reader r = {.res = NULL};
    int rc = gd_restraints_create(&r.res, err);
    if (rc != 0)
        return rc;
    gd_faults_start(&r.faults, file, faults == NULL ? &own : faults);
    read_blocks(&r, kind);
    rc = gd_faults_result(&r.faults, err);
    if (rc == 0)
        hand_over(kind, res, r.res);
    gd_messages_clear(&own);
    gd_restraints_destroy(&r.res);
    return rc;
}

int gd_io_read_restraints(const char *path, enum gd_restraints_kind kind, struct gd_restraints *res, struct gd_messages *faults,
                          struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_faults_open(&file, path, faults, err);
    if (rc == 0)
        rc = read_file(file, kind, res, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_restraints_memory(const char *name, const void *data, size_t size, enum gd_restraints_kind kind, struct gd_restraints *res,
                                 struct gd_messages *faults, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_from_memory(&file, name, data, size, err);
    if (rc == 0)
        rc = read_file(file, kind, res, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}
