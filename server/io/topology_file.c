/* See topology_file.h. One function per kind of block; a fault in one block does not keep the others from
 * being read. */
#include "io/topology_file.h"

#include <float.h>
#include <limits.h>
#include <stdlib.h>

#include "io/blocks_common.h"
#include "io/faults.h"

#define WORD 32
#define MAX_ATOM_TYPES 4096 /* gd_topology_resize's limit */

struct reader {
    struct gd_faults faults;
    struct gd_topology *top;
};

/* A row count that the block's own length proves: each row takes at least `bytes` characters. Nothing is
 * allocated on the word of a count alone. */
static int read_count(struct gd_cursor *c, const char *what, size_t bytes, size_t *out, struct gd_err *err)
{
    long n;
    int rc = gd_cursor_long(c, what, 0, INT_MAX / 64, &n, err);
    if (rc == 0 && (size_t)n > (size_t)(c->block->end - c->at) / bytes)
        rc = gd_cursor_fault(c, err, "%s is %ld, but the block is too short for so many", what, n);
    if (rc == 0)
        *out = (size_t)n;
    return rc;
}

/* A number of the file that counts from 1, as an index into `limit` things. When a block was faulty before,
 * none of them may mean only that they could not be read: the number is then not held against them. */
static int read_index(const struct reader *r, struct gd_cursor *c, const char *what, size_t limit, int32_t *out, struct gd_err *err)
{
    int n, rc = gd_cursor_int(c, what, 1, limit == 0 ? INT_MAX : (int)limit, &n, err);
    if (rc == 0 && limit == 0 && r->faults.code == 0)
        rc = gd_cursor_fault(c, err, "%s is %d, but the topology has none", what, n);
    if (rc == 0)
        *out = n - 1;
    return rc;
}

static int read_title(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    char *title = NULL;
    int rc = gd_blocks_read_title(c->file, c->block, &title, err);
    if (rc == 0)
        rc = gd_topology_set_title(r->top, title, err);
    free(title);
    return rc;
}

static int read_version(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    char version[WORD];
    (void)r;
    int rc = gd_cursor_word(c, "the topology version", version, sizeof version, err);
    return rc != 0 ? rc : gd_cursor_finish(c, "the topology version", err);
}

static int read_constants(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    int rc = gd_cursor_double_in(c, "FPEPSI", 0.0, DBL_MAX, &r->top->four_pi_eps_i, err);
    if (rc == 0)
        rc = gd_cursor_double_in(c, "HBAR", 0.0, DBL_MAX, &r->top->hbar, err);
    if (rc == 0)
        rc = gd_cursor_double_in(c, "SPDL", 0.0, DBL_MAX, &r->top->speed_of_light, err);
    if (rc == 0)
        rc = gd_cursor_double_in(c, "BOLTZ", 0.0, DBL_MAX, &r->top->boltzmann, err);
    return rc != 0 ? rc : gd_cursor_finish(c, "BOLTZ", err);
}

static int read_names(struct reader *r, struct gd_cursor *c, enum gd_topology_table table, struct gd_name **names, const char *what,
                      size_t n, struct gd_err *err)
{
    char word[WORD];
    int rc = gd_topology_resize(r->top, table, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = gd_cursor_word(c, what, word, sizeof word, err);
        if (rc == 0)
            gd_name_set(&(*names)[i], word);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last name", err);
}

/* The square matrices over atom types are made here: their size must be proved by the pair blocks, not by the
 * names. */
static int read_atom_types(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    static const char *const pair_block[2] = {"LJPARAMETERS", "CGPARAMETERS"};
    size_t n = 0, longest = 0;
    int rc = read_count(c, "NRATT", 2, &n, err);
    if (rc == 0 && n > MAX_ATOM_TYPES)
        rc = gd_cursor_fault(c, err, "NRATT is %zu; at most %d atom types are possible", n, MAX_ATOM_TYPES);
    for (int k = 0; k < 2; k++) {
        const struct gd_block *pairs = gd_block_file_find(r->faults.file, pair_block[k]);
        if (pairs != NULL && (size_t)(pairs->end - pairs->begin) > longest)
            longest = (size_t)(pairs->end - pairs->begin);
    }
    if (rc == 0 && n * (n + 1) / 2 > longest / 8)
        rc = gd_cursor_fault(c, err, "NRATT is %zu; neither LJPARAMETERS nor CGPARAMETERS is long enough for their %zu pairs", n,
                             n * (n + 1) / 2);
    return rc != 0 ? rc : read_names(r, c, GD_TOP_ATOM_TYPES, &r->top->type_names, "an atom type name", n, err);
}

static int read_residues(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NRAA2", 2, &n, err);
    return rc != 0 ? rc : read_names(r, c, GD_TOP_RESIDUES, &r->top->residue_names, "a residue name", n, err);
}

/* ---- solute atoms
 * --------------------------------------------------------------------------------------------- */

struct index_list {
    int32_t *items;
    size_t count, capacity;
};

static int push(struct index_list *list, int32_t item, struct gd_err *err)
{
    if (list->count == list->capacity) {
        size_t bigger = list->capacity == 0 ? 256 : list->capacity * 2;
        int32_t *moved = realloc(list->items, bigger * sizeof *moved);
        if (moved == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the exclusions of a topology");
        list->items = moved;
        list->capacity = bigger;
    }
    list->items[list->count++] = item;
    return 0;
}

/* INE and its atoms, or INE14 and its atoms: higher numbers than the atom's own, ascending, each once. Files
 * that do not keep the order are put into it. */
static int read_partners(struct gd_cursor *c, const char *what, size_t atom, size_t num_atoms, struct index_list *list, struct gd_err *err)
{
    int n, partner;
    size_t first = list->count;
    int rc = gd_cursor_int(c, what, 0, (int)(num_atoms - atom - 1), &n, err);
    for (int k = 0; k < n && rc == 0; k++) {
        rc = gd_cursor_int(c, "an excluded atom or 1-4 neighbour", (int)atom + 2, (int)num_atoms, &partner, err);
        if (rc == 0)
            rc = push(list, partner - 1, err);
        if (rc != 0)
            break;
        size_t at = list->count - 1;
        for (; at > first && list->items[at - 1] > partner - 1; at--)
            list->items[at] = list->items[at - 1];
        list->items[at] = partner - 1;
        if (at > first && list->items[at - 1] == partner - 1)
            rc = gd_cursor_fault(c, err, "atom %zu names atom %d twice", atom + 1, partner);
    }
    return rc;
}

static int read_atom(struct reader *r, struct gd_cursor *c, size_t i, size_t n, struct index_list *exclusions, struct index_list *one_fours,
                     struct gd_err *err)
{
    struct gd_topology *top = r->top;
    char name[WORD];
    int number, group_end = 0;
    int rc = gd_cursor_int(c, "ATNM", (int)i + 1, (int)i + 1, &number, err);
    if (rc == 0)
        rc = read_index(r, c, "MRES", top->num_residues, &top->residue[i], err);
    if (rc == 0)
        rc = gd_cursor_word(c, "PANM", name, sizeof name, err);
    if (rc == 0)
        rc = read_index(r, c, "IAC", top->num_atom_types, &top->type[i], err);
    if (rc == 0)
        rc = gd_cursor_double_in(c, "MASS", 0.0, DBL_MAX, &top->mass[i], err);
    if (rc == 0)
        rc = gd_cursor_double(c, "CG", &top->charge[i], err);
    if (rc == 0)
        rc = gd_cursor_int(c, "CGC", 0, 1, &group_end, err);
    if (rc == 0)
        rc = read_partners(c, "INE", i, n, exclusions, err);
    if (rc == 0)
        rc = read_partners(c, "INE14", i, n, one_fours, err);
    if (rc != 0)
        return rc;
    gd_name_set(&top->name[i], name);
    top->charge_group_end[i] = (uint8_t)group_end;
    top->exclusion_start[i + 1] = (int32_t)exclusions->count;
    top->one_four_start[i + 1] = (int32_t)one_fours->count;
    return 0;
}

static int read_solute_atoms(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    struct gd_topology *top = r->top;
    struct index_list exclusions = {0}, one_fours = {0};
    size_t n = 0;
    int rc = read_count(c, "NRP", 16, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(top, GD_TOP_ATOMS, n, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_atom(r, c, i, n, &exclusions, &one_fours, err);
    if (rc == 0)
        rc = gd_cursor_finish(c, "the last solute atom", err);
    if (rc == 0 && n > 0 && !top->charge_group_end[n - 1])
        rc = gd_cursor_fault(c, err, "the last atom has CGC 0; the last charge group must end there (CGC 1)");
    if (rc == 0)
        rc = gd_topology_resize(top, GD_TOP_EXCLUSIONS, exclusions.count, err);
    if (rc == 0)
        rc = gd_topology_resize(top, GD_TOP_ONE_FOURS, one_fours.count, err);
    for (size_t k = 0; k < exclusions.count && rc == 0; k++)
        top->exclusions[k] = exclusions.items[k];
    for (size_t k = 0; k < one_fours.count && rc == 0; k++)
        top->one_fours[k] = one_fours.items[k];
    free(exclusions.items);
    free(one_fours.items);
    return rc;
}

/* ---- types
 * ---------------------------------------------------------------------------------------------------- */

static int read_bond_types(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NBTY", 6, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_BOND_TYPES, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct gd_bond_type *type = &r->top->bond_types[i];
        rc = gd_cursor_double(c, "CB", &type->quartic, err);
        if (rc == 0)
            rc = gd_cursor_double(c, "CHB", &type->harmonic, err);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "B0", 0.0, DBL_MAX, &type->length, err);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last bond type", err);
}

static int read_angle_types(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NTTY", 6, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_ANGLE_TYPES, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct gd_angle_type *type = &r->top->angle_types[i];
        rc = gd_cursor_double(c, "CT", &type->cosine, err);
        if (rc == 0)
            rc = gd_cursor_double(c, "CHT", &type->harmonic, err);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "T0", 0.0, 180.0, &type->angle, err);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last bond-angle type", err);
}

static int read_improper_types(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NQTY", 4, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_IMPROPER_TYPES, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = gd_cursor_double(c, "CQ", &r->top->improper_types[i].force, err);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "Q0", -360.0, 360.0, &r->top->improper_types[i].angle, err);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last improper-dihedral type", err);
}

static int read_dihedral_types(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NPTY", 6, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_DIHEDRAL_TYPES, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct gd_dihedral_type *type = &r->top->dihedral_types[i];
        int multiplicity = 0;
        rc = gd_cursor_double(c, "CP", &type->force, err);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "PD", -360.0, 360.0, &type->phase, err);
        if (rc == 0)
            rc = gd_cursor_int(c, "NP", 0, 1000, &multiplicity, err);
        type->multiplicity = multiplicity;
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last dihedral type", err);
}

/* ---- terms
 * ---------------------------------------------------------------------------------------------------- */

/* Every term is a row of int32: its atoms, its type, its hydrogen flag. */
_Static_assert(sizeof(struct gd_bond) == 4 * sizeof(int32_t) && sizeof(struct gd_angle) == 5 * sizeof(int32_t) &&
                   sizeof(struct gd_dihedral) == 6 * sizeof(int32_t) && sizeof(struct gd_cross_dihedral) == 10 * sizeof(int32_t),
               "terms are read as rows of int32");

struct term {
    const char *block[2]; /* with hydrogen, without */
    enum gd_topology_table table;
    size_t atoms;
    size_t rows_offset;  /* of the pointer to the rows in gd_topology */
    size_t types_offset; /* of the number of types */
    bool required;
};

static const struct term terms[] = {
    {{"BONDH", "BOND"}, GD_TOP_BONDS, 2, offsetof(struct gd_topology, bonds), offsetof(struct gd_topology, num_bond_types), true},
    {{"BONDANGLEH", "BONDANGLE"},
     GD_TOP_ANGLES,
     3,
     offsetof(struct gd_topology, angles),
     offsetof(struct gd_topology, num_angle_types),
     true},
    {{"IMPDIHEDRALH", "IMPDIHEDRAL"},
     GD_TOP_IMPROPERS,
     4,
     offsetof(struct gd_topology, impropers),
     offsetof(struct gd_topology, num_improper_types),
     true},
    {{"DIHEDRALH", "DIHEDRAL"},
     GD_TOP_DIHEDRALS,
     4,
     offsetof(struct gd_topology, dihedrals),
     offsetof(struct gd_topology, num_dihedral_types),
     true},
    {{"CROSSDIHEDRALH", "CROSSDIHEDRAL"},
     GD_TOP_CROSS_DIHEDRALS,
     8,
     offsetof(struct gd_topology, cross_dihedrals),
     offsetof(struct gd_topology, num_dihedral_types),
     false},
};

static int read_term(struct reader *r, struct gd_cursor *c, const struct term *term, int32_t *row, int hydrogen, struct gd_err *err)
{
    size_t types = *(size_t *)((char *)r->top + term->types_offset);
    int rc = 0;
    for (size_t k = 0; k < term->atoms && rc == 0; k++)
        rc = read_index(r, c, "an atom of a term", r->top->num_solute_atoms, &row[k], err);
    for (size_t k = 1; k < (term->atoms < 4 ? term->atoms : 4) && rc == 0; k++)
        for (size_t l = 0; l < k && rc == 0; l++)
            if (row[k] == row[l])
                rc = gd_cursor_fault(c, err, "atom %d occurs twice in one term", (int)row[k] + 1);
    if (rc == 0)
        rc = read_index(r, c, "the type of a term", types, &row[term->atoms], err);
    row[term->atoms + 1] = hydrogen;
    return rc;
}

static int read_terms_of(struct reader *r, const struct term *term, struct gd_cursor *c, int hydrogen, size_t *rows, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "the number of terms", 2 * (term->atoms + 1), &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, term->table, *rows + n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int32_t *all = *(int32_t **)((char *)r->top + term->rows_offset);
        rc = read_term(r, c, term, all + (*rows + i) * (term->atoms + 2), hydrogen, err);
    }
    if (rc == 0)
        rc = gd_cursor_finish(c, "the last term", err);
    if (rc == 0)
        *rows += n;
    return rc;
}

/* Distances that are rigid besides the bonds: their types are those of bonds. */
static int read_constraints(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    static const struct term distance = {
        {NULL, NULL}, GD_TOP_CONSTRAINTS, 2, offsetof(struct gd_topology, constraints), offsetof(struct gd_topology, num_bond_types),
        false};
    size_t rows = 0;
    return read_terms_of(r, &distance, c, 0, &rows, err);
}

static void read_all_terms(struct reader *r)
{
    for (size_t t = 0; t < sizeof terms / sizeof terms[0]; t++) {
        size_t rows = 0;
        for (int k = 0; k < 2; k++) {
            struct gd_cursor c;
            struct gd_err err;
            struct gd_block *block = gd_faults_block(&r->faults, terms[t].block[k], terms[t].required);
            if (block == NULL)
                continue;
            gd_err_clear(&err);
            gd_cursor_start(&c, r->faults.file, block);
            gd_faults_note(&r->faults, read_terms_of(r, &terms[t], &c, k == 0, &rows, &err), &err);
        }
    }
}

/* ---- non-bonded
 * ----------------------------------------------------------------------------------------------- */

static int read_pair_table(struct reader *r, struct gd_cursor *c, bool coarse, struct gd_err *err)
{
    size_t types = r->top->num_atom_types, n = 0;
    struct gd_lj *matrix = coarse ? r->top->cg_lj : r->top->lj;
    int columns = coarse ? 2 : 4;
    if (types == 0 && r->faults.code != 0)
        return 0; /* the atom types themselves were faulty: nothing can be said about their pairs */
    int rc = read_count(c, "NRATT2", coarse ? 8 : 12, &n, err);
    if (rc == 0 && n != 0 && n != types * (types + 1) / 2)
        rc = gd_cursor_fault(c, err, "NRATT2 is %zu; %zu atom types have %zu pairs", n, types, types * (types + 1) / 2);
    char *seen = rc == 0 ? calloc(types * types + 1, 1) : NULL;
    if (rc == 0 && seen == NULL)
        rc = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu pairs of atom types", n);
    for (size_t k = 0; k < n && rc == 0; k++) {
        int32_t i = 0, j = 0;
        double value[4] = {0.0, 0.0, 0.0, 0.0};
        rc = read_index(r, c, "IAC", types, &i, err);
        if (rc == 0)
            rc = read_index(r, c, "JAC", types, &j, err);
        for (int v = 0; v < columns && rc == 0; v++)
            rc = gd_cursor_double(c, "a Lennard-Jones parameter", &value[v], err);
        if (rc != 0)
            break;
        size_t at = (size_t)i * types + (size_t)j, mirror = (size_t)j * types + (size_t)i;
        if (seen[at])
            rc = gd_cursor_fault(c, err, "the pair of atom types %d %d is given twice", (int)i + 1, (int)j + 1);
        seen[at] = seen[mirror] = 1;
        matrix[at] = matrix[mirror] = (struct gd_lj){.c12 = value[0], .c6 = value[1], .cs12 = value[2], .cs6 = value[3]};
    }
    free(seen);
    return rc != 0 ? rc : gd_cursor_finish(c, "the last pair of atom types", err);
}

static int read_lj(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    int rc = read_pair_table(r, c, false, err);
    struct gd_cursor first;
    long n = 0;
    gd_cursor_start(&first, c->file, c->block);
    if (rc == 0 && gd_cursor_long(&first, "NRATT2", 0, LONG_MAX, &n, err) == 0)
        r->top->has_lj = n > 0;
    return rc;
}

static int read_cg_lj(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    int rc = read_pair_table(r, c, true, err);
    struct gd_cursor first;
    long n = 0;
    gd_cursor_start(&first, c->file, c->block);
    if (rc == 0 && gd_cursor_long(&first, "NRATT2", 0, LONG_MAX, &n, err) == 0)
        r->top->has_cg_lj = n > 0;
    return rc;
}

static int read_lj_exceptions(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NEX", 8, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_LJ_EXCEPTIONS, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct gd_lj_exception *row = &r->top->lj_exceptions[i];
        rc = read_index(r, c, "AT1", r->top->num_solute_atoms, &row->atom[0], err);
        if (rc == 0)
            rc = read_index(r, c, "AT2", r->top->num_solute_atoms, &row->atom[1], err);
        if (rc == 0 && row->atom[0] == row->atom[1])
            rc = gd_cursor_fault(c, err, "an exception of atom %d with itself", (int)row->atom[0] + 1);
        if (rc == 0)
            rc = gd_cursor_double(c, "C12", &row->c12, err);
        if (rc == 0)
            rc = gd_cursor_double(c, "C6", &row->c6, err);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last exception", err);
}

/* ---- groups and solvent
 * --------------------------------------------------------------------------------------- */

/* A count and that many last atoms, ascending, the last one being the last solute atom. */
static int read_groups(struct reader *r, struct gd_cursor *c, enum gd_topology_table table, int32_t **start, struct gd_err *err)
{
    size_t n = 0, atoms = r->top->num_solute_atoms;
    int last = 0;
    int rc = read_count(c, "the number of groups", 2, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, table, n, err);
    for (size_t g = 0; g < n && rc == 0; g++) {
        rc = gd_cursor_int(c, "the last atom of a group", last + 1, atoms == 0 ? INT_MAX : (int)atoms, &last, err);
        (*start)[g + 1] = last;
    }
    if (rc == 0)
        rc = gd_cursor_finish(c, "the last group", err);
    if (rc == 0 && (size_t)last != atoms && r->faults.code == 0)
        rc = gd_cursor_fault(c, err, "the last group ends with atom %d; the solute has %zu atoms", last, atoms);
    return rc;
}

static int read_molecules(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    return read_groups(r, c, GD_TOP_MOLECULES, &r->top->molecule_start, err);
}

static int read_temperature_groups(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    return read_groups(r, c, GD_TOP_TEMPERATURE_GROUPS, &r->top->temperature_group_start, err);
}

static int read_pressure_groups(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    return read_groups(r, c, GD_TOP_PRESSURE_GROUPS, &r->top->pressure_group_start, err);
}

static int read_solvent_atoms(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    struct gd_topology *top = r->top;
    char name[WORD];
    int number;
    size_t n = 0;
    int rc = read_count(c, "NRAM", 10, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(top, GD_TOP_SOLVENT_ATOMS, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = gd_cursor_int(c, "I", (int)i + 1, (int)i + 1, &number, err);
        if (rc == 0)
            rc = gd_cursor_word(c, "ANMS", name, sizeof name, err);
        if (rc == 0)
            rc = read_index(r, c, "IACS", top->num_atom_types, &top->solvent_type[i], err);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "MASS", 0.0, DBL_MAX, &top->solvent_mass[i], err);
        if (rc == 0)
            rc = gd_cursor_double(c, "CGS", &top->solvent_charge[i], err);
        if (rc == 0)
            gd_name_set(&top->solvent_name[i], name);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last solvent atom", err);
}

static int read_solvent_constraints(struct reader *r, struct gd_cursor *c, struct gd_err *err)
{
    size_t n = 0;
    int rc = read_count(c, "NCONS", 6, &n, err);
    if (rc == 0)
        rc = gd_topology_resize(r->top, GD_TOP_SOLVENT_CONSTRAINTS, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct gd_solvent_constraint *row = &r->top->solvent_constraints[i];
        rc = read_index(r, c, "ICONS", r->top->num_solvent_atoms, &row->atom[0], err);
        if (rc == 0)
            rc = read_index(r, c, "JCONS", r->top->num_solvent_atoms, &row->atom[1], err);
        if (rc == 0 && row->atom[0] == row->atom[1])
            rc = gd_cursor_fault(c, err, "a constraint of atom %d with itself", (int)row->atom[0] + 1);
        if (rc == 0)
            rc = gd_cursor_double_in(c, "CONS", DBL_MIN, DBL_MAX, &row->length, err);
    }
    return rc != 0 ? rc : gd_cursor_finish(c, "the last constraint", err);
}

/* ---- the whole file
 * ------------------------------------------------------------------------------------------- */

typedef int read_block(struct reader *r, struct gd_cursor *c, struct gd_err *err);

/* In the order in which they need each other, not that of the file. */
static const struct {
    const char *name;
    read_block *read;
    bool required;
} block_table[] = {
    {"TITLE", read_title, false},
    {"TOPVERSION", read_version, false},
    {"PHYSICALCONSTANTS", read_constants, true},
    {"ATOMTYPENAME", read_atom_types, true},
    {"RESNAME", read_residues, true},
    {"SOLUTEATOM", read_solute_atoms, true},
    {"BONDSTRETCHTYPE", read_bond_types, true},
    {"CONSTRAINT", read_constraints, false},
    {"BONDANGLEBENDTYPE", read_angle_types, true},
    {"IMPDIHEDRALTYPE", read_improper_types, true},
    {"TORSDIHEDRALTYPE", read_dihedral_types, true},
    {"LJPARAMETERS", read_lj, false},
    {"CGPARAMETERS", read_cg_lj, false},
    {"LJEXCEPTIONS", read_lj_exceptions, false},
    {"SOLUTEMOLECULES", read_molecules, false},
    {"TEMPERATUREGROUPS", read_temperature_groups, false},
    {"PRESSUREGROUPS", read_pressure_groups, false},
    {"SOLVENTATOM", read_solvent_atoms, true},
    {"SOLVENTCONSTR", read_solvent_constraints, true},
};

static void read_blocks(struct reader *r)
{
    for (size_t i = 0; i < sizeof block_table / sizeof block_table[0]; i++) {
        struct gd_cursor c;
        struct gd_err err;
        struct gd_block *block = gd_faults_block(&r->faults, block_table[i].name, block_table[i].required);
        if (block == NULL)
            continue;
        gd_err_clear(&err);
        gd_cursor_start(&c, r->faults.file, block);
        gd_faults_note(&r->faults, block_table[i].read(r, &c, &err), &err);
    }
    read_all_terms(r);
    gd_faults_unused(&r->faults, "topology");
}

static int read_file(struct gd_block_file *file, struct gd_topology **out, struct gd_messages *faults, struct gd_err *err)
{
    struct gd_messages own = {0};
    struct reader r = {.top = NULL};
    int rc = gd_topology_create(&r.top, err);
    if (rc != 0)
        return rc;
    gd_faults_start(&r.faults, file, faults == NULL ? &own : faults);
    read_blocks(&r);
    rc = gd_faults_result(&r.faults, err);
    gd_messages_clear(&own);
    if (rc != 0)
        gd_topology_destroy(&r.top);
    else
        *out = r.top;
    return rc;
}

int gd_io_read_topology_faults(const char *path, struct gd_topology **out, struct gd_messages *faults, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_faults_open(&file, path, faults, err);
    if (rc == 0)
        rc = read_file(file, out, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_topology_memory(const char *name, const void *data, size_t size, struct gd_topology **out, struct gd_messages *faults,
                               struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_from_memory(&file, name, data, size, err);
    if (rc == 0)
        rc = read_file(file, out, faults, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_topology(const char *path, struct gd_topology **out, struct gd_err *err)
{
    return gd_io_read_topology_faults(path, out, NULL, err);
}
