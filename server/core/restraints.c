/* Contract: restraints.h. */
#include "core/restraints.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"

#define MAX_ROWS ((size_t)1 << 28)

int gd_restraints_create(struct gd_restraints **out, struct gd_err *err)
{
    struct gd_restraints *res = calloc(1, sizeof *res);
    if (res == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for restraints");
    res->magic = GD_RESTRAINTS_MAGIC;
    res->dish = 0.1;
    res->disc = 0.153;
    *out = res;
    return 0;
}

void gd_restraints_destroy(struct gd_restraints **res)
{
    if (res == NULL || *res == NULL)
        return;
    GD_MAGIC_CHECK(*res, GD_RESTRAINTS_MAGIC);
    free((*res)->position_atom);
    free((*res)->reference_position);
    free((*res)->bfactor);
    free((*res)->distances);
    free((*res)->angles);
    free((*res)->dihedrals);
    free((*res)->jvalues);
    (*res)->magic = 0;
    free(*res);
    *res = NULL;
}

static int resize(void **array, size_t size, size_t old, size_t n, struct gd_err *err)
{
    if (n > MAX_ROWS)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%zu rows of restraints", n);
    char *grown = realloc(*array, (n + 1) * size);
    if (grown == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu rows of restraints", n);
    if (n > old)
        memset(grown + old * size, 0, (n - old) * size);
    *array = grown;
    return 0;
}

int gd_restraints_resize(struct gd_restraints *res, enum gd_restraint_table table, size_t n, struct gd_err *err)
{
    int rc = 0;
    switch (table) {
    case GD_REST_POSITION_ATOMS:
        rc = resize((void **)&res->position_atom, sizeof *res->position_atom, res->num_position_atoms, n, err);
        res->num_position_atoms = rc == 0 ? n : res->num_position_atoms;
        return rc;
    case GD_REST_REFERENCE:
        rc = resize((void **)&res->reference_position, sizeof *res->reference_position, res->num_reference, n, err);
        if (rc == 0)
            rc = resize((void **)&res->bfactor, sizeof *res->bfactor, res->num_reference, n, err);
        res->num_reference = rc == 0 ? n : res->num_reference;
        return rc;
    case GD_REST_DISTANCES:
        rc = resize((void **)&res->distances, sizeof *res->distances, res->num_distances, n, err);
        res->num_distances = rc == 0 ? n : res->num_distances;
        return rc;
    case GD_REST_ANGLES:
        rc = resize((void **)&res->angles, sizeof *res->angles, res->num_angles, n, err);
        res->num_angles = rc == 0 ? n : res->num_angles;
        return rc;
    case GD_REST_DIHEDRALS:
        rc = resize((void **)&res->dihedrals, sizeof *res->dihedrals, res->num_dihedrals, n, err);
        res->num_dihedrals = rc == 0 ? n : res->num_dihedrals;
        return rc;
    case GD_REST_JVALUES:
        rc = resize((void **)&res->jvalues, sizeof *res->jvalues, res->num_jvalues, n, err);
        res->num_jvalues = rc == 0 ? n : res->num_jvalues;
        return rc;
    }
    return gd_err_set(err, GD_E_INTERNAL, "unknown restraint table %d", (int)table);
}

/* Copies the rows of one table of `from` into `to`, which has them already. */
#define COPY_ROWS(to, from, member, count) memcpy((to)->member, (from)->member, (from)->count * sizeof *(to)->member)

int gd_restraints_clone(struct gd_restraints **out, const struct gd_restraints *res, struct gd_err *err)
{
    struct gd_restraints *copy;
    int rc = gd_restraints_create(&copy, err);
    if (rc != 0)
        return rc;
    const struct {
        enum gd_restraint_table table;
        size_t rows;
    } tables[] = {
        {GD_REST_POSITION_ATOMS, res->num_position_atoms}, {GD_REST_REFERENCE, res->num_reference},
        {GD_REST_DISTANCES, res->num_distances},           {GD_REST_ANGLES, res->num_angles},
        {GD_REST_DIHEDRALS, res->num_dihedrals},           {GD_REST_JVALUES, res->num_jvalues},
    };
    for (size_t t = 0; t < sizeof tables / sizeof tables[0] && rc == 0; t++)
        if (tables[t].rows > 0)
            rc = gd_restraints_resize(copy, tables[t].table, tables[t].rows, err);
    if (rc != 0) {
        gd_restraints_destroy(&copy);
        return rc;
    }
    if (res->num_position_atoms > 0)
        COPY_ROWS(copy, res, position_atom, num_position_atoms);
    if (res->num_reference > 0) {
        COPY_ROWS(copy, res, reference_position, num_reference);
        COPY_ROWS(copy, res, bfactor, num_reference);
    }
    if (res->num_distances > 0)
        COPY_ROWS(copy, res, distances, num_distances);
    if (res->num_angles > 0)
        COPY_ROWS(copy, res, angles, num_angles);
    if (res->num_dihedrals > 0)
        COPY_ROWS(copy, res, dihedrals, num_dihedrals);
    if (res->num_jvalues > 0)
        COPY_ROWS(copy, res, jvalues, num_jvalues);
    copy->has_bfactor = res->has_bfactor;
    copy->dish = res->dish;
    copy->disc = res->disc;
    *out = copy;
    return 0;
}

static int check_index(const char *what, size_t row, int32_t atom, size_t num_atoms, struct gd_err *err)
{
    if (atom >= 0 && (size_t)atom < num_atoms)
        return 0;
    return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s row %zu: atom %d of %zu", what, row + 1, atom + 1, num_atoms);
}

static int check_numbers(const char *what, size_t row, const double *value, int n, struct gd_err *err)
{
    for (int k = 0; k < n; k++)
        if (!isfinite(value[k]))
            return gd_err_set(err, GD_E_NOT_FINITE, "%s row %zu: %g is not a finite number", what, row + 1, value[k]);
    return 0;
}

/* How many atoms each kind of virtual atom is made of: at least, at most. */
static int check_virtual(const char *what, size_t row, const struct gd_virtual_atom *v, size_t num_atoms, struct gd_err *err)
{
    int least = 0, most = 4;
    switch (v->type) {
    case GD_VA_EXPLICIT:
        least = most = 1;
        break;
    case GD_VA_CH1:
        least = most = 4;
        break;
    case GD_VA_AROMATIC:
    case GD_VA_CH2:
    case GD_VA_STEREO_CH2:
    case GD_VA_CH3_PAIR:
        least = most = 3;
        break;
    case GD_VA_CH3:
    case GD_VA_RING_FLIP:
        least = most = 2;
        break;
    case GD_VA_COG:
    case GD_VA_COM:
        least = 1;
        break;
    default:
        return gd_err_set(err, GD_E_UNSUPPORTED, "%s row %zu: virtual atom type %d", what, row + 1, v->type);
    }
    if (v->count < least || v->count > most)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s row %zu: a virtual atom of type %d from %d atoms (%d to %d)", what, row + 1,
                          v->type, v->count, least, most);
    for (int k = 0; k < v->count; k++) {
        int rc = check_index(what, row, v->atom[k], num_atoms, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_atoms(const char *what, size_t row, const int32_t *atom, int n, size_t num_atoms, struct gd_err *err)
{
    int rc = 0;
    for (int k = 0; k < n && rc == 0; k++)
        rc = check_index(what, row, atom[k], num_atoms, err);
    return rc;
}

int gd_restraints_check(const struct gd_restraints *res, size_t num_atoms, struct gd_err *err)
{
    int rc = 0;
    for (size_t k = 0; k < res->num_position_atoms && rc == 0; k++)
        rc = check_index("POSRESSPEC", k, res->position_atom[k], num_atoms, err);
    if (rc == 0 && res->num_reference != 0 && res->num_reference != num_atoms)
        rc = gd_err_set(err, GD_E_INVALID_SHAPE, "REFPOSITION: %zu atoms, the system has %zu", res->num_reference, num_atoms);
    for (size_t k = 0; k < res->num_reference && rc == 0; k++)
        rc = check_numbers("REFPOSITION", k, res->reference_position[k], 3, err);
    for (size_t k = 0; k < res->num_distances && rc == 0; k++) {
        const struct gd_distance_restraint *d = &res->distances[k];
        rc = check_virtual("DISTANCERESSPEC", k, &d->a, num_atoms, err);
        if (rc == 0)
            rc = check_virtual("DISTANCERESSPEC", k, &d->b, num_atoms, err);
        if (rc == 0)
            rc = check_numbers("DISTANCERESSPEC", k, (const double[]){d->r0, d->weight}, 2, err);
    }
    for (size_t k = 0; k < res->num_angles && rc == 0; k++) {
        rc = check_atoms("ANGRESSPEC", k, res->angles[k].atom, 3, num_atoms, err);
        if (rc == 0)
            rc = check_numbers("ANGRESSPEC", k, (const double[]){res->angles[k].weight, res->angles[k].angle}, 2, err);
    }
    for (size_t k = 0; k < res->num_dihedrals && rc == 0; k++) {
        const struct gd_dihedral_restraint *d = &res->dihedrals[k];
        rc = check_atoms("DIHEDRALRESSPEC", k, d->atom, 4, num_atoms, err);
        if (rc == 0)
            rc = check_numbers("DIHEDRALRESSPEC", k, (const double[]){d->weight, d->angle, d->delta}, 3, err);
    }
    for (size_t k = 0; k < res->num_jvalues && rc == 0; k++) {
        const struct gd_jvalue_restraint *j = &res->jvalues[k];
        rc = check_atoms("JVALRESSPEC", k, j->atom, 4, num_atoms, err);
        if (rc == 0)
            rc = check_numbers("JVALRESSPEC", k, (const double[]){j->weight, j->j0, j->phase, j->a, j->b, j->c}, 6, err);
    }
    return rc;
}
