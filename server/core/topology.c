/* Contract: topology.h. The tables are described once, by `columns`, and created, resized, copied and freed from there. */
#include "core/topology.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"

#define MAX_ROWS ((size_t)1 << 28)

/* One array of one table: where its pointer lies, how large an element is, and how many elements n rows need. */
enum extent { ROWS, ROWS_AND_ONE, ROWS_SQUARED };

struct column {
    enum gd_topology_table table;
    size_t offset, size;
    enum extent extent;
};

#define COLUMN(table_, member, extent_)                                                                  \
    {                                                                                                    \
        table_, offsetof(struct gd_topology, member), sizeof *((struct gd_topology *)0)->member, extent_ \
    }

static const struct column columns[] = {
    COLUMN(GD_TOP_ATOM_TYPES, type_names, ROWS),
    COLUMN(GD_TOP_ATOM_TYPES, lj, ROWS_SQUARED),
    COLUMN(GD_TOP_ATOM_TYPES, cg_lj, ROWS_SQUARED),
    COLUMN(GD_TOP_RESIDUES, residue_names, ROWS),
    COLUMN(GD_TOP_ATOMS, name, ROWS),
    COLUMN(GD_TOP_ATOMS, residue, ROWS),
    COLUMN(GD_TOP_ATOMS, type, ROWS),
    COLUMN(GD_TOP_ATOMS, mass, ROWS),
    COLUMN(GD_TOP_ATOMS, charge, ROWS),
    COLUMN(GD_TOP_ATOMS, charge_group_end, ROWS),
    COLUMN(GD_TOP_ATOMS, is_coarse, ROWS),
    COLUMN(GD_TOP_ATOMS, exclusion_start, ROWS_AND_ONE),
    COLUMN(GD_TOP_ATOMS, one_four_start, ROWS_AND_ONE),
    COLUMN(GD_TOP_EXCLUSIONS, exclusions, ROWS),
    COLUMN(GD_TOP_ONE_FOURS, one_fours, ROWS),
    COLUMN(GD_TOP_BOND_TYPES, bond_types, ROWS),
    COLUMN(GD_TOP_BONDS, bonds, ROWS),
    COLUMN(GD_TOP_ANGLE_TYPES, angle_types, ROWS),
    COLUMN(GD_TOP_ANGLES, angles, ROWS),
    COLUMN(GD_TOP_IMPROPER_TYPES, improper_types, ROWS),
    COLUMN(GD_TOP_IMPROPERS, impropers, ROWS),
    COLUMN(GD_TOP_DIHEDRAL_TYPES, dihedral_types, ROWS),
    COLUMN(GD_TOP_DIHEDRALS, dihedrals, ROWS),
    COLUMN(GD_TOP_CROSS_DIHEDRALS, cross_dihedrals, ROWS),
    COLUMN(GD_TOP_LJ_EXCEPTIONS, lj_exceptions, ROWS),
    COLUMN(GD_TOP_CONSTRAINTS, constraints, ROWS),
    COLUMN(GD_TOP_MOLECULES, molecule_start, ROWS_AND_ONE),
    COLUMN(GD_TOP_TEMPERATURE_GROUPS, temperature_group_start, ROWS_AND_ONE),
    COLUMN(GD_TOP_PRESSURE_GROUPS, pressure_group_start, ROWS_AND_ONE),
    COLUMN(GD_TOP_SOLVENT_ATOMS, solvent_name, ROWS),
    COLUMN(GD_TOP_SOLVENT_ATOMS, solvent_type, ROWS),
    COLUMN(GD_TOP_SOLVENT_ATOMS, solvent_mass, ROWS),
    COLUMN(GD_TOP_SOLVENT_ATOMS, solvent_charge, ROWS),
    COLUMN(GD_TOP_SOLVENT_CONSTRAINTS, solvent_constraints, ROWS),
};
#define NUM_COLUMNS (sizeof columns / sizeof columns[0])

static const size_t count_offset[GD_TOP_TABLES] = {
    [GD_TOP_ATOM_TYPES] = offsetof(struct gd_topology, num_atom_types),
    [GD_TOP_RESIDUES] = offsetof(struct gd_topology, num_residues),
    [GD_TOP_ATOMS] = offsetof(struct gd_topology, num_atoms),
    [GD_TOP_EXCLUSIONS] = offsetof(struct gd_topology, num_exclusions),
    [GD_TOP_ONE_FOURS] = offsetof(struct gd_topology, num_one_fours),
    [GD_TOP_BOND_TYPES] = offsetof(struct gd_topology, num_bond_types),
    [GD_TOP_BONDS] = offsetof(struct gd_topology, num_bonds),
    [GD_TOP_ANGLE_TYPES] = offsetof(struct gd_topology, num_angle_types),
    [GD_TOP_ANGLES] = offsetof(struct gd_topology, num_angles),
    [GD_TOP_IMPROPER_TYPES] = offsetof(struct gd_topology, num_improper_types),
    [GD_TOP_IMPROPERS] = offsetof(struct gd_topology, num_impropers),
    [GD_TOP_DIHEDRAL_TYPES] = offsetof(struct gd_topology, num_dihedral_types),
    [GD_TOP_DIHEDRALS] = offsetof(struct gd_topology, num_dihedrals),
    [GD_TOP_CROSS_DIHEDRALS] = offsetof(struct gd_topology, num_cross_dihedrals),
    [GD_TOP_LJ_EXCEPTIONS] = offsetof(struct gd_topology, num_lj_exceptions),
    [GD_TOP_CONSTRAINTS] = offsetof(struct gd_topology, num_constraints),
    [GD_TOP_MOLECULES] = offsetof(struct gd_topology, num_molecules),
    [GD_TOP_TEMPERATURE_GROUPS] = offsetof(struct gd_topology, num_temperature_groups),
    [GD_TOP_PRESSURE_GROUPS] = offsetof(struct gd_topology, num_pressure_groups),
    [GD_TOP_SOLVENT_ATOMS] = offsetof(struct gd_topology, num_solvent_atoms),
    [GD_TOP_SOLVENT_CONSTRAINTS] = offsetof(struct gd_topology, num_solvent_constraints),
};

static size_t *count_of(const struct gd_topology *top, enum gd_topology_table table)
{
    return (size_t *)((char *)(uintptr_t)top + count_offset[table]);
}

static void **pointer_of(const struct gd_topology *top, const struct column *column)
{
    return (void **)((char *)(uintptr_t)top + column->offset);
}

static size_t elements(enum extent extent, size_t rows)
{
    return extent == ROWS ? rows : extent == ROWS_AND_ONE ? rows + 1 : rows * rows;
}

int gd_topology_create(struct gd_topology **out, struct gd_err *err)
{
    struct gd_topology *top = calloc(1, sizeof *top);
    if (top == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a topology");
    top->magic = GD_TOPOLOGY_MAGIC;
    top->four_pi_eps_i = 138.9354;
    top->hbar = 0.0635078;
    top->speed_of_light = 299792.458;
    top->boltzmann = 0.00831441;
    for (int t = 0; t < GD_TOP_TABLES; t++) {
        int rc = gd_topology_resize(top, (enum gd_topology_table)t, 0, err);
        if (rc != 0) {
            gd_topology_destroy(&top);
            return rc;
        }
    }
    *out = top;
    return 0;
}

void gd_topology_destroy(struct gd_topology **top)
{
    if (top == NULL || *top == NULL)
        return;
    GD_MAGIC_CHECK(*top, GD_TOPOLOGY_MAGIC);
    for (size_t c = 0; c < NUM_COLUMNS; c++)
        free(*pointer_of(*top, &columns[c]));
    free((*top)->charge_group_start);
    free((*top)->title);
    (*top)->magic = 0;
    free(*top);
    *top = NULL;
}

static int resize_rows(struct gd_topology *top, enum gd_topology_table table, size_t n, struct gd_err *err)
{
    size_t limit = table == GD_TOP_ATOM_TYPES ? 4096 : MAX_ROWS;
    if (n > limit)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a topology table of %zu rows (at most %zu)", n, limit);
    size_t old = *count_of(top, table);
    for (size_t c = 0; c < NUM_COLUMNS; c++) {
        if (columns[c].table != table)
            continue;
        void **pointer = pointer_of(top, &columns[c]);
        size_t want = elements(columns[c].extent, n);
        size_t have = *pointer == NULL ? 0 : elements(columns[c].extent, old);
        if (columns[c].extent == ROWS_SQUARED && n != old)
            have = 0;
        char *grown = realloc(*pointer, (want + 1) * columns[c].size);
        if (grown == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a topology table of %zu rows", n);
        if (want > have)
            memset(grown + have * columns[c].size, 0, (want - have) * columns[c].size);
        *pointer = grown;
    }
    *count_of(top, table) = n;
    return 0;
}

int gd_topology_resize(struct gd_topology *top, enum gd_topology_table table, size_t n, struct gd_err *err)
{
    GD_MAGIC_CHECK(top, GD_TOPOLOGY_MAGIC);
    if (top->expanded)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a topology cannot change after its solvent was expanded");
    int rc = resize_rows(top, table, n, err);
    if (rc == 0 && table == GD_TOP_ATOMS)
        top->num_solute_atoms = n;
    return rc;
}

int gd_topology_set_title(struct gd_topology *top, const char *title, struct gd_err *err)
{
    char *copy = title == NULL ? NULL : strdup(title);
    if (title != NULL && copy == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a title");
    free(top->title);
    top->title = copy;
    return 0;
}

void gd_name_set(struct gd_name *name, const char *text)
{
    memset(name->text, 0, sizeof name->text);
    size_t n = strnlen(text, GD_NAME_LEN - 1);
    memcpy(name->text, text, n);
}

int gd_topology_clone(struct gd_topology **out, const struct gd_topology *top, struct gd_err *err)
{
    struct gd_topology *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a topology");
    *copy = *top;
    for (size_t c = 0; c < NUM_COLUMNS; c++)
        *pointer_of(copy, &columns[c]) = NULL;
    copy->charge_group_start = NULL;
    copy->title = NULL;
    for (size_t c = 0; c < NUM_COLUMNS; c++) {
        size_t rows = *count_of(top, columns[c].table);
        if (columns[c].extent == ROWS_AND_ONE && columns[c].table == GD_TOP_ATOMS)
            rows = top->num_solute_atoms;
        size_t n = elements(columns[c].extent, rows);
        void *to = calloc(n + 1, columns[c].size);
        if (to == NULL)
            goto fail;
        memcpy(to, *pointer_of(top, &columns[c]), n * columns[c].size);
        *pointer_of(copy, &columns[c]) = to;
    }
    if (top->charge_group_start != NULL) {
        size_t size = (top->num_charge_groups + 1) * sizeof *top->charge_group_start;
        copy->charge_group_start = malloc(size);
        if (copy->charge_group_start == NULL)
            goto fail;
        memcpy(copy->charge_group_start, top->charge_group_start, size);
    }
    if (gd_topology_set_title(copy, top->title, err) != 0)
        goto fail;
    *out = copy;
    return 0;
fail:
    gd_topology_destroy(&copy);
    return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a copy of a topology");
}

size_t gd_topology_bytes(const struct gd_topology *top)
{
    size_t bytes = sizeof *top + (top->num_charge_groups + 1) * sizeof *top->charge_group_start;
    for (size_t c = 0; c < NUM_COLUMNS; c++)
        bytes += (elements(columns[c].extent, *count_of(top, columns[c].table)) + 1) * columns[c].size;
    return bytes;
}

/* Drops every solute row: a run of solvent alone. */
static int drop_solute(struct gd_topology *top, struct gd_err *err)
{
    static const enum gd_topology_table solute[] = {
        GD_TOP_ATOMS,     GD_TOP_EXCLUSIONS,         GD_TOP_ONE_FOURS,       GD_TOP_BONDS,         GD_TOP_ANGLES,
        GD_TOP_IMPROPERS, GD_TOP_DIHEDRALS,          GD_TOP_CROSS_DIHEDRALS, GD_TOP_LJ_EXCEPTIONS, GD_TOP_CONSTRAINTS,
        GD_TOP_MOLECULES, GD_TOP_TEMPERATURE_GROUPS, GD_TOP_PRESSURE_GROUPS,
    };
    for (size_t t = 0; t < sizeof solute / sizeof solute[0]; t++) {
        int rc = gd_topology_resize(top, solute[t], 0, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* A group table that the file left out becomes `like`; then one group per solvent molecule follows. */
static int expand_groups(struct gd_topology *top, enum gd_topology_table table, int32_t **start, size_t *solute_count, const int32_t *like,
                         size_t like_count, size_t nsm, struct gd_err *err)
{
    size_t n = *count_of(top, table);
    if (n == 0 && top->num_solute_atoms > 0) {
        int rc = resize_rows(top, table, like_count, err);
        if (rc != 0)
            return rc;
        memcpy(*start, like, (like_count + 1) * sizeof *like);
        n = like_count;
    }
    *solute_count = n;
    int rc = resize_rows(top, table, n + nsm, err);
    if (rc != 0)
        return rc;
    for (size_t m = 0; m <= nsm; m++)
        (*start)[n + m] = (int32_t)(top->num_solute_atoms + m * top->num_solvent_atoms);
    return 0;
}

static int build_charge_groups(struct gd_topology *top, size_t nsm, struct gd_err *err)
{
    size_t groups = 0;
    for (size_t i = 0; i < top->num_solute_atoms; i++)
        groups += top->charge_group_end[i] != 0;
    if (top->num_solute_atoms > 0 && !top->charge_group_end[top->num_solute_atoms - 1])
        groups++; /* an open last group: gd_topology_check names it, the table stays whole */
    int32_t *start = calloc(groups + nsm + 1, sizeof *start);
    if (start == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu charge groups", groups + nsm);
    size_t g = 0;
    for (size_t i = 0; i < top->num_solute_atoms; i++)
        if (top->charge_group_end[i] || i + 1 == top->num_solute_atoms)
            start[++g] = (int32_t)(i + 1);
    for (size_t m = 0; m <= nsm; m++)
        start[groups + m] = (int32_t)(top->num_solute_atoms + m * top->num_solvent_atoms);
    free(top->charge_group_start);
    top->charge_group_start = start;
    top->num_solute_charge_groups = groups;
    top->num_charge_groups = groups + nsm;
    return 0;
}

static void copy_solvent_molecule(struct gd_topology *top, size_t molecule)
{
    size_t n = top->num_solvent_atoms, first = top->num_solute_atoms + molecule * n;
    for (size_t k = 0; k < n; k++) {
        top->name[first + k] = top->solvent_name[k];
        top->residue[first + k] = (int32_t)(top->num_residues + molecule);
        top->type[first + k] = top->solvent_type[k];
        top->mass[first + k] = top->solvent_mass[k];
        top->charge[first + k] = top->solvent_charge[k];
        top->charge_group_end[first + k] = k + 1 == n;
    }
}

int gd_topology_expand(struct gd_topology *top, int npm, size_t nsm, struct gd_err *err)
{
    GD_MAGIC_CHECK(top, GD_TOPOLOGY_MAGIC);
    if (top->expanded)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the solvent of this topology was expanded before");
    if (npm != 0 && npm != 1)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "SYSTEM: NPM is %d; 0 or 1 solute is possible", npm);
    if (nsm > 0 && top->num_solvent_atoms == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "SYSTEM: NSM is %zu but the topology has no solvent", nsm);
    if (nsm > MAX_ROWS / (top->num_solvent_atoms + 1))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "SYSTEM: NSM %zu is too large", nsm);
    int rc = npm == 0 ? drop_solute(top, err) : 0;
    if (rc != 0)
        return rc;
    size_t solute = top->num_solute_atoms;
    int32_t whole[2] = {0, (int32_t)solute};
    rc = expand_groups(top, GD_TOP_MOLECULES, &top->molecule_start, &top->num_solute_molecules, whole, 1, nsm, err);
    if (rc == 0)
        rc = expand_groups(top, GD_TOP_TEMPERATURE_GROUPS, &top->temperature_group_start, &top->num_solute_temperature_groups,
                           top->molecule_start, top->num_solute_molecules, nsm, err);
    if (rc == 0)
        rc = expand_groups(top, GD_TOP_PRESSURE_GROUPS, &top->pressure_group_start, &top->num_solute_pressure_groups, top->molecule_start,
                           top->num_solute_molecules, nsm, err);
    if (rc == 0)
        rc = build_charge_groups(top, nsm, err);
    if (rc == 0)
        rc = resize_rows(top, GD_TOP_ATOMS, solute + nsm * top->num_solvent_atoms, err);
    if (rc != 0)
        return rc;
    for (size_t m = 0; m < nsm; m++)
        copy_solvent_molecule(top, m);
    top->num_solvent_molecules = nsm;
    top->expanded = 1;
    return 0;
}

int gd_topology_excluded(const struct gd_topology *top, int32_t i, int32_t j)
{
    if (i > j) {
        int32_t swap = i;
        i = j;
        j = swap;
    }
    if ((size_t)j >= top->num_solute_atoms)
        return 0;
    int32_t low = top->exclusion_start[i], high = top->exclusion_start[i + 1];
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (top->exclusions[middle] < j)
            low = middle + 1;
        else
            high = middle;
    }
    return low < top->exclusion_start[i + 1] && top->exclusions[low] == j;
}
