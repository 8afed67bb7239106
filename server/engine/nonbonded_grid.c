/* A grid of cells over the box, by fractional coordinates: points are sorted into cells by counting, so that the list
 * update is linear in their number. */
#include "engine/nonbonded.h"

#include <stdlib.h>

#define LEAST 5 /* cells in a direction: two on each side of one */
#define MOST 1024

int gd_cell_grid_create(struct gd_cell_grid *grid, size_t points, struct gd_err *err)
{
    /* More cells than points never pay; the grid is coarsened to this. */
    grid->capacity = points + 64;
    int rc = gd_md_allocate((void **)&grid->start, grid->capacity + 1, sizeof *grid->start, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&grid->member, points, sizeof *grid->member, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&grid->cell, points, sizeof *grid->cell, err);
    return rc;
}

void gd_cell_grid_destroy(struct gd_cell_grid *grid)
{
    free(grid->start);
    free(grid->member);
    free(grid->cell);
}

static size_t count_cells(const struct gd_cell_grid *grid)
{
    return (size_t)grid->cells[0] * (size_t)grid->cells[1] * (size_t)grid->cells[2];
}

/* Half as many cells where there are most; 0 if that is not possible. Wider cells are right as well: neighbours are looked for in the
 * next two on each side. */
static int coarsen(struct gd_cell_grid *grid)
{
    int most = 0;
    for (int d = 1; d < 3; d++)
        if (grid->cells[d] > grid->cells[most])
            most = d;
    int fewer = (grid->cells[most] + 1) / 2;
    if (grid->cells[most] <= LEAST)
        return 0;
    grid->cells[most] = fewer < LEAST ? LEAST : fewer;
    return 1;
}

static int choose_cells(struct gd_cell_grid *grid, const struct gd_periodicity *pbc, double cutoff)
{
    if (pbc->kind == GD_BOX_VACUUM)
        return 0;
    for (int d = 0; d < 3; d++) {
        double width = 1.0 / gd_vec3_norm(pbc->reciprocal[d]); /* between opposite faces */
        double cells = floor(width / (0.5 * cutoff));
        if (!(cells >= LEAST))
            return 0;
        grid->cells[d] = (int)fmin(cells, MOST);
    }
    while (count_cells(grid) > grid->capacity)
        if (!coarsen(grid))
            return 0;
    grid->num_cells = count_cells(grid);
    return 1;
}

static int cell_of(const struct gd_cell_grid *grid, const struct gd_periodicity *pbc, const double point[3])
{
    int index = 0;
    for (int d = 0; d < 3; d++) {
        double fraction = gd_vec3_dot(pbc->reciprocal[d], point);
        fraction -= floor(fraction);
        int c = (int)(fraction * grid->cells[d]);
        c = c < 0 ? 0 : c >= grid->cells[d] ? grid->cells[d] - 1 : c; /* also where a NaN came in */
        index = index * grid->cells[d] + c;
    }
    return index;
}

void gd_cell_grid_fill(struct gd_cell_grid *grid, const struct gd_periodicity *pbc, const gd_vec3 *point, size_t points, double cutoff)
{
    grid->in_use = points >= 2000 && choose_cells(grid, pbc, cutoff);
    if (!grid->in_use)
        return;
    memset(grid->start, 0, (grid->num_cells + 1) * sizeof *grid->start);
    for (size_t p = 0; p < points; p++) {
        grid->cell[p] = cell_of(grid, pbc, point[p]);
        grid->start[grid->cell[p] + 1]++;
    }
    for (size_t c = 0; c < grid->num_cells; c++)
        grid->start[c + 1] += grid->start[c];
    /* start[c] runs to the end of its cell while members are placed, then everything moves one to the right again */
    for (size_t p = 0; p < points; p++)
        grid->member[grid->start[grid->cell[p]]++] = (int32_t)p;
    for (size_t c = grid->num_cells; c > 0; c--)
        grid->start[c] = grid->start[c - 1];
    grid->start[0] = 0;
}
