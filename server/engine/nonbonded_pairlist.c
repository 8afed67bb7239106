/* The twin-range pair list. Charge groups within RCUTP of each other interact in every step, those between RCUTP and RCUTL
 * once per list. Solute groups are compared by their centres of geometry, solvent molecules by their first atoms; exclusions
 * are tested within the short range only, as GROMOS does. With the atomic cutoff atoms are compared directly. */
#include "engine/nonbonded.h"

#include <stdlib.h>

static int rows_create(struct gd_pair_rows *rows, size_t count, size_t expected, struct gd_err *err)
{
    rows->capacity = expected + 64;
    int rc = gd_md_allocate((void **)&rows->start, count + 1, sizeof *rows->start, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&rows->list, rows->capacity, sizeof *rows->list, err);
    return rc;
}

static void rows_destroy(struct gd_pair_rows *rows)
{
    free(rows->start);
    free(rows->list);
}

/* Room for `more` entries behind `used`. Growing is rare: only when a system condenses. 0 when memory is out. */
static int rows_reserve(struct gd_pair_rows *rows, size_t used, size_t more)
{
    if (used + more <= rows->capacity)
        return 1;
    size_t capacity = (used + more) + (used + more) / 4;
    int32_t *grown = capacity > INT32_MAX ? NULL : realloc(rows->list, capacity * sizeof *grown);
    if (grown == NULL)
        return 0;
    rows->list = grown;
    rows->capacity = capacity;
    return 1;
}

/* First row of part t of `parts` when row i of n costs n - i (a half list). */
static size_t triangular_cut(size_t n, size_t t, size_t parts)
{
    if (t == parts)
        return n;
    double rest = 1.0 - (double)t / (double)parts;
    return (size_t)((double)n * (1.0 - sqrt(rest)));
}

int gd_pairlist_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    const struct gd_topology *top = md->top;
    nb->num_points = nb->atomic ? md->n : top->num_charge_groups;
    int rc = gd_md_allocate((void **)&nb->centre, nb->num_points, sizeof *nb->centre, err);
    if (rc == 0)
        rc = gd_cell_grid_create(&nb->grid, nb->num_points, err);
    for (size_t t = 0; t < nb->num_threads && rc == 0; t++) {
        struct gd_nonbonded_thread *th = &nb->thread[t];
        size_t groups = top->num_solute_charge_groups;
        if (nb->atomic) {
            th->atom_begin = triangular_cut(md->n, t, nb->num_threads);
            th->atom_end = triangular_cut(md->n, t + 1, nb->num_threads);
        } else {
            th->group_begin = triangular_cut(groups, t, nb->num_threads);
            th->group_end = triangular_cut(groups, t + 1, nb->num_threads);
            if (top->num_solvent_molecules > 4 * groups) { /* rows are long with solvent: equal shares */
                th->group_begin = groups * t / nb->num_threads;
                th->group_end = groups * (t + 1) / nb->num_threads;
            }
            th->atom_begin = (size_t)top->charge_group_start[th->group_begin];
            th->atom_end = (size_t)top->charge_group_start[th->group_end];
            th->molecule_begin = triangular_cut(top->num_solvent_molecules, t, nb->num_threads);
            th->molecule_end = triangular_cut(top->num_solvent_molecules, t + 1, nb->num_threads);
        }
        size_t atoms = th->atom_end - th->atom_begin, molecules = th->molecule_end - th->molecule_begin;
        rc = rows_create(&th->atom_short, atoms, 64 * atoms, err);
        if (rc == 0)
            rc = rows_create(&th->atom_long, atoms, 64 * atoms, err);
        if (rc == 0)
            rc = rows_create(&th->solvent_short, molecules, 64 * molecules, err);
        if (rc == 0)
            rc = rows_create(&th->solvent_long, molecules, 64 * molecules, err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->scratch_short, nb->num_points, sizeof(int32_t), err);
        if (rc == 0)
            rc = gd_md_allocate((void **)&th->scratch_long, nb->num_points, sizeof(int32_t), err);
    }
    return rc;
}

void gd_pairlist_destroy(struct gd_nonbonded *nb)
{
    free(nb->centre);
    gd_cell_grid_destroy(&nb->grid);
    for (size_t t = 0; nb->thread != NULL && t < nb->num_threads; t++) {
        rows_destroy(&nb->thread[t].atom_short);
        rows_destroy(&nb->thread[t].atom_long);
        rows_destroy(&nb->thread[t].solvent_short);
        rows_destroy(&nb->thread[t].solvent_long);
        free(nb->thread[t].scratch_short);
        free(nb->thread[t].scratch_long);
    }
}

struct candidates {
    size_t num_short, num_long;
};

/* Sorts points [from, to) into the two ranges around `point`. `kind` is a constant in each caller. */
static inline __attribute__((always_inline)) void scan(const struct gd_md *md, int kind, const double point[3], size_t from, size_t to,
                                                       struct gd_nonbonded_thread *th, struct candidates *found)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    size_t near = found->num_short, far = found->num_long;
    for (size_t p = from; p < to; p++) {
        double r[3];
        gd_nearest_image_of(&md->pbc, kind, point, nb->centre[p], r);
        double d2 = gd_vec3_norm2(r);
        if (d2 > nb->cutoff_long2)
            continue;
        if (d2 > nb->cutoff_short2)
            th->scratch_long[far++] = (int32_t)p;
        else
            th->scratch_short[near++] = (int32_t)p;
    }
    found->num_short = near;
    found->num_long = far;
}

static void scan_range(const struct gd_md *md, const double point[3], size_t from, size_t to, struct gd_nonbonded_thread *th,
                       struct candidates *found)
{
    switch (md->pbc.kind) {
    case GD_BOX_VACUUM:
        scan(md, GD_BOX_VACUUM, point, from, to, th, found);
        return;
    case GD_BOX_RECTANGULAR:
        scan(md, GD_BOX_RECTANGULAR, point, from, to, th, found);
        return;
    default:
        scan(md, GD_BOX_TRICLINIC, point, from, to, th, found);
        return;
    }
}

static void scan_grid(const struct gd_md *md, size_t self, struct gd_nonbonded_thread *th, struct candidates *found)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    const struct gd_cell_grid *grid = &nb->grid;
    int c = grid->cell[self];
    int at[3] = {c / (grid->cells[1] * grid->cells[2]), c / grid->cells[2] % grid->cells[1], c % grid->cells[2]};
    for (int x = -2; x <= 2; x++)
        for (int y = -2; y <= 2; y++)
            for (int z = -2; z <= 2; z++) {
                int u = (at[0] + x + grid->cells[0]) % grid->cells[0];
                int v = (at[1] + y + grid->cells[1]) % grid->cells[1];
                int w = (at[2] + z + grid->cells[2]) % grid->cells[2];
                int cell = (u * grid->cells[1] + v) * grid->cells[2] + w;
                for (int32_t k = grid->start[cell]; k < grid->start[cell + 1]; k++) {
                    int32_t p = grid->member[k];
                    if ((size_t)p <= self)
                        continue;
                    double r[3];
                    gd_nearest_image(&md->pbc, nb->centre[self], nb->centre[p], r);
                    double d2 = gd_vec3_norm2(r);
                    if (d2 > nb->cutoff_long2)
                        continue;
                    if (d2 > nb->cutoff_short2)
                        th->scratch_long[found->num_long++] = p;
                    else
                        th->scratch_short[found->num_short++] = p;
                }
            }
}

/* The later points within range of point `self`. */
static struct candidates find_candidates(const struct gd_md *md, size_t self, struct gd_nonbonded_thread *th)
{
    const struct gd_nonbonded *nb = md->nonbonded;
    struct candidates found = {0, 0};
    if (nb->grid.in_use)
        scan_grid(md, self, th, &found);
    else
        scan_range(md, nb->centre[self], self + 1, nb->num_points, th, &found);
    return found;
}

/* Excluded, third neighbour or exception: not in the short-range list. */
static int left_out(const struct gd_topology *top, int32_t i, int32_t j)
{
    if ((size_t)j >= top->num_solute_atoms)
        return 0;
    if (gd_topology_excluded(top, i, j))
        return 1;
    for (int32_t k = top->one_four_start[i]; k < top->one_four_start[i + 1]; k++)
        if (top->one_fours[k] == j)
            return 1;
    for (size_t k = 0; k < top->num_lj_exceptions; k++) {
        const int32_t *e = top->lj_exceptions[k].atom;
        if ((e[0] == i && e[1] == j) || (e[0] == j && e[1] == i))
            return 1;
    }
    return 0;
}

/* Appends the atoms of the candidate groups to atom i's row. */
static size_t append_groups(const struct gd_topology *top, struct gd_pair_rows *rows, size_t used, int32_t i, const int32_t *group,
                            size_t groups, int test_exclusions)
{
    for (size_t k = 0; k < groups; k++)
        for (int32_t j = top->charge_group_start[group[k]]; j < top->charge_group_start[group[k] + 1]; j++)
            if (!test_exclusions || !left_out(top, i, j))
                rows->list[used++] = j;
    return used;
}

static size_t atoms_in(const struct gd_topology *top, const int32_t *group, size_t groups)
{
    size_t atoms = 0;
    for (size_t k = 0; k < groups; k++)
        atoms += (size_t)(top->charge_group_start[group[k] + 1] - top->charge_group_start[group[k]]);
    return atoms;
}

static void list_solute_groups(const struct gd_md *md, struct gd_nonbonded_thread *th)
{
    const struct gd_topology *top = md->top;
    size_t near = 0, far = 0;
    for (size_t g = th->group_begin; g < th->group_end; g++) {
        struct candidates found = find_candidates(md, g, th);
        int32_t first = top->charge_group_start[g], last = top->charge_group_start[g + 1];
        size_t width = (size_t)(last - first);
        size_t most_near = width * (atoms_in(top, th->scratch_short, found.num_short) + width);
        size_t most_far = width * atoms_in(top, th->scratch_long, found.num_long);
        if (!rows_reserve(&th->atom_short, near, most_near) || !rows_reserve(&th->atom_long, far, most_far)) {
            th->failed = 1;
            return;
        }
        for (int32_t i = first; i < last; i++) {
            size_t row = (size_t)i - th->atom_begin;
            th->atom_short.start[row] = (int32_t)near;
            th->atom_long.start[row] = (int32_t)far;
            for (int32_t j = i + 1; j < last; j++)
                if (!left_out(top, i, j))
                    th->atom_short.list[near++] = j;
            near = append_groups(top, &th->atom_short, near, i, th->scratch_short, found.num_short, 1);
            far = append_groups(top, &th->atom_long, far, i, th->scratch_long, found.num_long, 0);
        }
    }
    th->atom_short.start[th->atom_end - th->atom_begin] = (int32_t)near;
    th->atom_long.start[th->atom_end - th->atom_begin] = (int32_t)far;
}

static void list_solvent(const struct gd_md *md, struct gd_nonbonded_thread *th)
{
    size_t near = 0, far = 0, solute_groups = md->top->num_solute_charge_groups;
    for (size_t m = th->molecule_begin; m < th->molecule_end; m++) {
        struct candidates found = find_candidates(md, solute_groups + m, th);
        if (!rows_reserve(&th->solvent_short, near, found.num_short) || !rows_reserve(&th->solvent_long, far, found.num_long)) {
            th->failed = 1;
            return;
        }
        th->solvent_short.start[m - th->molecule_begin] = (int32_t)near;
        th->solvent_long.start[m - th->molecule_begin] = (int32_t)far;
        for (size_t k = 0; k < found.num_short; k++)
            th->solvent_short.list[near++] = th->scratch_short[k] - (int32_t)solute_groups;
        for (size_t k = 0; k < found.num_long; k++)
            th->solvent_long.list[far++] = th->scratch_long[k] - (int32_t)solute_groups;
    }
    th->solvent_short.start[th->molecule_end - th->molecule_begin] = (int32_t)near;
    th->solvent_long.start[th->molecule_end - th->molecule_begin] = (int32_t)far;
}

static int same_solvent_molecule(const struct gd_md *md, size_t i, size_t j)
{
    size_t solute = md->top->num_solute_atoms, sites = md->top->num_solvent_atoms;
    return i >= solute && j >= solute && (i - solute) / sites == (j - solute) / sites;
}

static void list_atoms(const struct gd_md *md, struct gd_nonbonded_thread *th)
{
    size_t near = 0, far = 0;
    for (size_t i = th->atom_begin; i < th->atom_end; i++) {
        struct candidates found = find_candidates(md, i, th);
        if (!rows_reserve(&th->atom_short, near, found.num_short) || !rows_reserve(&th->atom_long, far, found.num_long)) {
            th->failed = 1;
            return;
        }
        size_t row = i - th->atom_begin;
        th->atom_short.start[row] = (int32_t)near;
        th->atom_long.start[row] = (int32_t)far;
        for (size_t k = 0; k < found.num_short; k++) {
            int32_t j = th->scratch_short[k];
            if (!same_solvent_molecule(md, i, (size_t)j) && (i >= md->top->num_solute_atoms || !left_out(md->top, (int32_t)i, j)))
                th->atom_short.list[near++] = j;
        }
        for (size_t k = 0; k < found.num_long; k++)
            if (!same_solvent_molecule(md, i, (size_t)th->scratch_long[k]))
                th->atom_long.list[far++] = th->scratch_long[k];
    }
    th->atom_short.start[th->atom_end - th->atom_begin] = (int32_t)near;
    th->atom_long.start[th->atom_end - th->atom_begin] = (int32_t)far;
}

static void update_thread(void *argument, int number)
{
    struct gd_md *md = argument;
    struct gd_nonbonded_thread *th = &md->nonbonded->thread[number];
    if (md->nonbonded->atomic) {
        list_atoms(md, th);
        return;
    }
    list_solute_groups(md, th);
    if (!th->failed)
        list_solvent(md, th);
}

int gd_pairlist_update(struct gd_md *md, struct gd_err *err)
{
    struct gd_nonbonded *nb = md->nonbonded;
    for (size_t p = 0; p < nb->num_points; p++) {
        if (nb->atomic)
            gd_vec3_copy(nb->centre[p], md->pos[p]);
        else
            gd_charge_group_centre(md, p, (const gd_vec3 *)md->pos, nb->centre[p]);
    }
    gd_cell_grid_fill(&nb->grid, &md->pbc, (const gd_vec3 *)nb->centre, nb->num_points, sqrt(nb->cutoff_long2));
    gd_thread_pool_run(md->pool, update_thread, md);
    for (size_t t = 0; t < nb->num_threads; t++)
        if (nb->thread[t].failed) {
            nb->thread[t].failed = 0;
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the pair list at step %lld", gd_md_named_step(md));
        }
    return 0;
}
