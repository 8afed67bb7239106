/* See trajectory.h. */
#include "io/trajectory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/check.h"
#include "io/frame_blocks.h"
#include "io/output.h"

#define TRAJECTORY_MAGIC 0x67745246u
#define POSITION_WIDTH 15
#define FORCE_WIDTH 18

struct gd_trajectory {
    uint32_t magic;
    enum gd_trajectory_kind kind;
    struct gd_output *out;
    int64_t offset;
};

static const char *const kind_title[] = {
    [GD_TRAJECTORY_POSITIONS] = "position trajectory", [GD_TRAJECTORY_VELOCITIES] = "velocity trajectory",
    [GD_TRAJECTORY_FORCES] = "force trajectory",       [GD_TRAJECTORY_ENERGIES] = "energy trajectory",
    [GD_TRAJECTORY_SPECIAL] = "special trajectory",
};

char *gd_trajectory_title(const char *title, const char *what)
{
    char *text = NULL;
    return asprintf(&text, "\tgromosd\n%s\n\n\t%s", title == NULL ? "" : title, what) < 0 ? NULL : text;
}

static int wrap(struct gd_trajectory **made, struct gd_output *out, enum gd_trajectory_kind kind, int64_t offset, struct gd_err *err)
{
    struct gd_trajectory *t = calloc(1, sizeof *t);
    if (t == NULL) {
        gd_output_destroy(&out);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a trajectory");
    }
    *t = (struct gd_trajectory){.magic = TRAJECTORY_MAGIC, .kind = kind, .out = out, .offset = offset};
    *made = t;
    return 0;
}

int gd_trajectory_create(struct gd_trajectory **made, const char *path, enum gd_trajectory_kind kind, const char *title, struct gd_err *err)
{
    struct gd_output *out = NULL;
    struct gd_trajectory *t = NULL;
    char *text = gd_trajectory_title(title, kind_title[kind]);
    if (text == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its title", path);
    int rc = gd_output_create(&out, path, GD_OUTPUT_STREAM, err);
    if (rc == 0)
        rc = wrap(&t, out, kind, 0, err);
    if (rc == 0) {
        gd_frame_put_title(t->out, text);
        if (kind == GD_TRAJECTORY_ENERGIES)
            gd_output_text(t->out, "ENEVERSION\n\t2023-04-15\nEND\n");
        rc = gd_output_commit(t->out, &t->offset, err);
        if (rc != 0)
            gd_trajectory_close(&t, NULL);
    }
    free(text);
    if (rc == 0)
        *made = t;
    return rc;
}

int gd_trajectory_resume(struct gd_trajectory **made, const char *path, enum gd_trajectory_kind kind, int64_t offset, struct gd_err *err)
{
    struct gd_output *out = NULL;
    int rc = gd_output_resume(&out, path, offset, err);
    return rc != 0 ? rc : wrap(made, out, kind, offset, err);
}

int64_t gd_trajectory_offset(const struct gd_trajectory *t)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    return t->offset;
}

int gd_trajectory_sync(struct gd_trajectory *t, struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    return gd_output_sync(t->out, err);
}

int gd_trajectory_close(struct gd_trajectory **trajectory, struct gd_err *err)
{
    if (trajectory == NULL || *trajectory == NULL)
        return 0;
    GD_MAGIC_CHECK(*trajectory, TRAJECTORY_MAGIC);
    int rc = gd_output_close(&(*trajectory)->out, err);
    (*trajectory)->magic = 0;
    free(*trajectory);
    *trajectory = NULL;
    return rc;
}

static int finish(struct gd_trajectory *t, struct gd_err *err)
{
    return gd_output_commit(t->out, &t->offset, err);
}

/* ---- vectors -------------------------------------------------------------------------------------------------- */

int gd_trajectory_put_positions(struct gd_trajectory *t, int64_t step, double time, struct gd_rows positions, const struct gd_box *box,
                                struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    gd_frame_put_timestep(t->out, step, time);
    gd_frame_put_reduced(t->out, "POSITIONRED", positions.data, positions.dtype, positions.n, POSITION_WIDTH);
    if (box != NULL && box->kind != GD_BOX_VACUUM)
        gd_frame_put_genbox(t->out, box, NULL);
    return finish(t, err);
}

int gd_trajectory_put_velocities(struct gd_trajectory *t, int64_t step, double time, struct gd_rows velocities, struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    gd_frame_put_timestep(t->out, step, time);
    gd_frame_put_reduced(t->out, "VELOCITYRED", velocities.data, velocities.dtype, velocities.n, POSITION_WIDTH);
    return finish(t, err);
}

int gd_trajectory_put_forces(struct gd_trajectory *t, int64_t step, double time, struct gd_rows free_forces, struct gd_rows constraint,
                             struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    gd_frame_put_timestep(t->out, step, time);
    gd_frame_put_reduced(t->out, "FREEFORCERED", free_forces.data, free_forces.dtype, free_forces.n, FORCE_WIDTH);
    if (constraint.data != NULL)
        gd_frame_put_reduced(t->out, "CONSFORCERED", constraint.data, constraint.dtype, constraint.n, FORCE_WIDTH);
    return finish(t, err);
}

/* ---- energies ------------------------------------------------------------------------------------------------- */

static void put_row(struct gd_output *out, const double *values, size_t n)
{
    for (size_t k = 0; k < n; k++)
        gd_output_scientific(out, values[k], 18, 9);
    gd_output_bytes(out, "\n", 1);
}

static void put_lines(struct gd_output *out, const double *values, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        put_row(out, values + i * columns, columns);
}

static void put_headings(struct gd_output *out, const char *const *names, size_t n)
{
    char heading[32];
    for (size_t k = 0; k < n; k++) {
        snprintf(heading, sizeof heading, k == 0 ? "# %s" : "%s", names[k]);
        gd_output_printf(out, "%*s", k + 1 == n ? 17 : 18, heading); /* the original's last column is one narrower */
    }
    gd_output_bytes(out, "\n", 1);
}

/* Sections of the format for methods that are not done here: present, and empty or zero. */
static void put_unused_sections(struct gd_output *out, const struct gd_energy_frame *f)
{
    static const char *const eds[] = {"total", "nonbonded", "special", "offset", "total_orig", "total_phys"};
    static const char *const gamd[] = {"E_dihedral", "E_potential", "K_dihedral", "K_potential", "dV_group"};
    static const char *const lambda[] = {"A_e_lj",   "B_e_lj",      "A_e_crf",   "B_e_crf",   "AB_kinetic", "AB_bond",
                                         "AB_angle", "AB_improper", "AB_disres", "AB_angres", "AB_dihres",  "AB_disfld"};
    static const char *const dihedral[] = {"A_dihedral", "B_dihedral"};
    gd_output_text(out, "# eds\n# numstates\n0\n");
    put_headings(out, eds, 6);
    gd_output_text(out, "# gamd\n# numaccelgroups\n1\n");
    put_headings(out, gamd, 5);
    put_row(out, f->accelerated, 5);
    gd_output_text(out, "# precalclam\n# nr_lambdas\n0\n");
    put_headings(out, lambda, 12);
    gd_output_text(out, "# ABdih\n");
    put_headings(out, dihedral, 2);
    put_row(out, f->ab_dihedral, 2);
}

static void put_energy_block(struct gd_output *out, const struct gd_energy_frame *f)
{
    gd_output_text(out, "ENERGY03\n# totals\n");
    put_lines(out, f->total, GD_ENERGY_TOTALS, 1);
    gd_output_printf(out, "# baths\n%zu\n", f->num_baths);
    put_lines(out, f->bath[0], f->num_baths, 3);
    gd_output_printf(out, "# bonded\n%zu\n", f->num_groups);
    put_lines(out, f->bonded[0], f->num_groups, 5);
    gd_output_text(out, "# nonbonded\n");
    put_lines(out, f->nonbonded[0], gd_energy_num_pairs(f->num_groups), 6);
    gd_output_text(out, "# special\n");
    put_lines(out, f->special[0], f->num_groups, 13);
    put_unused_sections(out, f);
    gd_output_text(out, "END\n");
}

static void put_volume_block(struct gd_output *out, const struct gd_energy_frame *f)
{
    gd_output_text(out, "VOLUMEPRESSURE03\n# mass\n");
    put_row(out, &f->mass, 1);
    gd_output_printf(out, "# temperature\n%zu\n", f->num_baths);
    put_lines(out, f->bath_temperature[0], f->num_baths, 4);
    gd_output_text(out, "# volume\n");
    put_row(out, &f->volume, 1);
    put_lines(out, f->box[0], 3, 3);
    gd_output_text(out, "# pressure\n");
    put_row(out, &f->pressure, 1);
    put_row(out, &f->virial, 1);
    put_row(out, &f->molecular_kinetic, 1);
    put_lines(out, f->pressure_tensor[0], 3, 3);
    put_lines(out, f->virial_tensor[0], 3, 3);
    put_lines(out, f->molecular_kinetic_tensor[0], 3, 3);
    gd_output_text(out, "END\n");
}

int gd_trajectory_put_energies(struct gd_trajectory *t, const struct gd_energy_frame *frame, struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    gd_frame_put_timestep(t->out, frame->step, frame->time);
    put_energy_block(t->out, frame);
    if (frame->has_volume)
        put_volume_block(t->out, frame);
    return finish(t, err);
}

/* ---- restraints ----------------------------------------------------------------------------------------------- */

static void put_data(struct gd_output *out, const char *block, int count_width, const double *values, size_t rows, size_t columns)
{
    if (rows == 0)
        return;
    gd_output_printf(out, "%s\n%*zu\n", block, count_width, rows);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < columns; k++)
            gd_output_fixed(out, values[i * columns + k], 15, 7);
        gd_output_bytes(out, "\n", 1);
    }
    gd_output_text(out, "END\n");
}

static void put_jvalues(struct gd_output *out, const struct gd_special_frame *f)
{
    gd_output_text(out, "JVALUERESEXPAVE\n# I J K L <J>\n");
    for (size_t i = 0; i < f->num_jvalues; i++) {
        for (int k = 0; k < 4; k++)
            gd_output_printf(out, "%5" PRId32, f->jvalue_atoms[i][k] + 1);
        gd_output_fixed(out, f->jvalue_averages[i], 15, 7);
        gd_output_bytes(out, "\n", 1);
    }
    gd_output_text(out, "END\n");
}

static void put_elevations(struct gd_output *out, const struct gd_special_frame *f)
{
    gd_output_printf(out, "JVALUERESEPS\n# I J K L\n# GRID[1..%zu]\n", f->jvalue_grid);
    for (size_t i = 0; i < f->num_jvalues; i++) {
        for (int k = 0; k < 4; k++)
            gd_output_printf(out, "%5" PRId32, f->jvalue_atoms[i][k] + 1);
        gd_output_bytes(out, "\n", 1);
        for (size_t g = 0; g < f->jvalue_grid; g++)
            gd_output_scientific(out, f->jvalue_elevations[i * f->jvalue_grid + g], 15, 7);
        gd_output_bytes(out, "\n", 1);
    }
    gd_output_text(out, "END\n");
}

int gd_trajectory_put_special(struct gd_trajectory *t, const struct gd_special_frame *f, struct gd_err *err)
{
    GD_MAGIC_CHECK(t, TRAJECTORY_MAGIC);
    gd_frame_put_timestep(t->out, f->step, f->time);
    put_data(t->out, "DISRESDATA", 1, f->distances == NULL ? NULL : f->distances[0], f->num_distances, 3);
    put_data(t->out, "ANGRESDATA", 15, f->angles == NULL ? NULL : f->angles[0], f->num_angles, 2);
    put_data(t->out, "DIHRESDATA", 15, f->dihedrals == NULL ? NULL : f->dihedrals[0], f->num_dihedrals, 2);
    if (f->num_jvalues > 0)
        put_jvalues(t->out, f);
    if (f->num_jvalues > 0 && f->jvalue_grid > 0)
        put_elevations(t->out, f);
    return finish(t, err);
}
