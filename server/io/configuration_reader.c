/* The reading half of configuration.h: one function per block, in a table. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "io/block_reader.h"
#include "io/blocks_common.h"
#include "io/configuration.h"
#include "io/labelled_rows.h"

struct reader {
    struct gd_block_file *file;
    struct gd_configuration *conf;
};

typedef int read_block(const struct reader *r, const struct gd_block *block, struct gd_err *err);

static int read_title(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    char *title = NULL;
    int rc = gd_blocks_read_title(r->file, block, &title, err);
    if (rc == 0)
        rc = gd_configuration_set_title(r->conf, title, err);
    free(title);
    return rc;
}

static int read_timestep(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_blocks_read_timestep(r->file, block, &r->conf->step, &r->conf->time, err);
    if (rc == 0)
        r->conf->has_time = 1;
    return rc;
}

static int read_positions(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_configuration_add(r->conf, GD_CONF_LABELS, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_labelled(r->file, block, r->conf->num_atoms, 3, r->conf->position[0], r->conf->labels, NULL, err);
}

static int read_positions_plain(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    return gd_rows_read_plain(r->file, block, r->conf->num_atoms, 3, r->conf->position[0], err);
}

static int read_velocities(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_configuration_add(r->conf, GD_CONF_VELOCITY, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_labelled(r->file, block, r->conf->num_atoms, 3, r->conf->velocity[0], NULL, NULL, err);
}

static int read_velocities_plain(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_configuration_add(r->conf, GD_CONF_VELOCITY, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_plain(r->file, block, r->conf->num_atoms, 3, r->conf->velocity[0], err);
}

static int read_reference(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_configuration_add(r->conf, GD_CONF_REFERENCE_POSITION, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_labelled(r->file, block, r->conf->num_atoms, 3, r->conf->reference_position[0], NULL, NULL, err);
}

static int read_bfactor(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_configuration_add(r->conf, GD_CONF_BFACTOR, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_labelled(r->file, block, r->conf->num_atoms, 1, r->conf->bfactor, NULL, NULL, err);
}

static int read_stochint(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_token seed;
    int rc = gd_configuration_add(r->conf, GD_CONF_STOCHASTIC_INTEGRAL, err);
    if (rc == 0)
        rc = gd_rows_read_labelled(r->file, block, r->conf->num_atoms, 3, r->conf->stochastic_integral[0], NULL, &seed, err);
    if (rc != 0 || seed.length == 0)
        return rc;
    r->conf->stochastic_seed = strndup(seed.text, seed.length);
    if (r->conf->stochastic_seed == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for the seed of STOCHINT", r->file->path);
    return 0;
}

static int read_lattice_shifts(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_cursor c;
    int rc = gd_configuration_add(r->conf, GD_CONF_LATTICE_SHIFT, err);
    gd_cursor_start(&c, r->file, block);
    for (size_t i = 0; i < r->conf->num_atoms && rc == 0; i++)
        for (int k = 0; k < 3 && rc == 0; k++)
            rc = gd_cursor_int(&c, "a lattice shift", INT_MIN, INT_MAX, &r->conf->lattice_shift[i][k], err);
    return rc != 0 ? rc : gd_cursor_finish(&c, "one line of three shifts per atom", err);
}

static int read_genbox(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_blocks_read_genbox(r->file, block, &r->conf->box, r->conf->euler, r->conf->origin, err);
    if (rc == 0)
        r->conf->has_box = 1;
    return rc;
}

static int read_box(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    int rc = gd_blocks_read_box(r->file, block, &r->conf->box, err);
    if (rc == 0)
        r->conf->has_box = 2;
    return rc;
}

/* One line per bath, all of the same length. */
static int read_nhc(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_cursor c, counter;
    struct gd_token token;
    size_t baths = gd_rows_count(r->file, block), numbers = 0;
    gd_cursor_start(&counter, r->file, block);
    while (gd_cursor_token(&counter, &token))
        numbers++;
    gd_cursor_start(&c, r->file, block);
    if (baths == 0 || numbers % baths != 0)
        return gd_cursor_fault(&c, err, "%zu numbers in %zu lines; expected one line of equal length per bath", numbers, baths);
    int rc = gd_configuration_set_nhc(r->conf, baths, numbers / baths, err);
    if (rc != 0)
        return rc;
    return gd_rows_read_plain(r->file, block, baths, (int)(numbers / baths), r->conf->nhc_zeta, err);
}

static int read_rottrans(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    struct gd_cursor c;
    size_t rows = gd_rows_count(r->file, block);
    gd_cursor_start(&c, r->file, block);
    if (rows < 7 || rows - 6 > r->conf->num_atoms)
        return gd_cursor_fault(&c, err, "%zu lines; expected two matrices of three lines and 1 to %zu reference positions", rows,
                               r->conf->num_atoms);
    int rc = gd_configuration_set_rottrans(r->conf, rows - 6, err);
    double *all = rc == 0 ? malloc(rows * 3 * sizeof *all) : NULL;
    if (rc == 0 && all == NULL)
        rc = gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for ROTTRANSREFPOS", r->file->path);
    if (rc == 0)
        rc = gd_rows_read_plain(r->file, block, rows, 3, all, err);
    if (rc == 0) {
        memcpy(r->conf->rottrans_axis, all, 9 * sizeof *all);
        memcpy(r->conf->rottrans_theta_inv, all + 9, 9 * sizeof *all);
        memcpy(r->conf->rottrans_reference, all + 18, (rows - 6) * 3 * sizeof *all);
        r->conf->has_rottrans = 1;
    }
    free(all);
    return rc;
}

static size_t count_numbers(const struct reader *r, const struct gd_block *block)
{
    struct gd_cursor c;
    struct gd_token token;
    size_t n = 0;
    gd_cursor_start(&c, r->file, block);
    while (gd_cursor_token(&c, &token))
        n++;
    return n;
}

static int read_numbers(const struct reader *r, const struct gd_block *block, const char *what, size_t n, double *out, struct gd_err *err)
{
    struct gd_cursor c;
    int rc = 0;
    gd_cursor_start(&c, r->file, block);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = gd_cursor_double(&c, what, &out[i], err);
    return rc;
}

static int read_distance_averages(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    size_t n = count_numbers(r, block);
    int rc = gd_configuration_set_distance_averages(r->conf, n, err);
    return rc != 0 ? rc : read_numbers(r, block, "an averaged distance", n, r->conf->distance_average, err);
}

static int read_jvalue_averages(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    size_t n = count_numbers(r, block);
    int rc = gd_configuration_set_jvalue_averages(r->conf, n, err);
    return rc != 0 ? rc : read_numbers(r, block, "an averaged J-value", n, r->conf->jvalue_average, err);
}

static int read_jvalue_elevations(const struct reader *r, const struct gd_block *block, struct gd_err *err)
{
    size_t n = count_numbers(r, block);
    int rc = gd_configuration_set_jvalue_elevations(r->conf, n, err);
    return rc != 0 ? rc : read_numbers(r, block, "an elevation of a J-value", n, r->conf->jvalue_elevation, err);
}

static const struct {
    const char *name;
    read_block *read;
    const char *rival; /* another name for the same thing: only one of both may be there */
} block_table[] = {
    {"TITLE", read_title, NULL},
    {"TIMESTEP", read_timestep, NULL},
    {"POSITION", read_positions, "POSITIONRED"},
    {"POSITIONRED", read_positions_plain, NULL},
    {"VELOCITY", read_velocities, "VELOCITYRED"},
    {"VELOCITYRED", read_velocities_plain, NULL},
    {"LATTICESHIFTS", read_lattice_shifts, NULL},
    {"GENBOX", read_genbox, "BOX"},
    {"BOX", read_box, NULL},
    {"STOCHINT", read_stochint, NULL},
    {"REFPOSITION", read_reference, NULL},
    {"BFACTOR", read_bfactor, NULL},
    {"NHCVARIABLES", read_nhc, NULL},
    {"ROTTRANSREFPOS", read_rottrans, NULL},
    {"DISRESEXPAVE", read_distance_averages, NULL},
    {"JVALUERESEXPAVE", read_jvalue_averages, NULL},
    {"JVALUERESEPS", read_jvalue_elevations, NULL},
};

static int read_blocks(const struct reader *r, struct gd_err *err)
{
    for (size_t i = 0; i < sizeof block_table / sizeof block_table[0]; i++) {
        struct gd_block *block, *rival = NULL;
        int rc = gd_block_file_single(r->file, block_table[i].name, false, &block, err);
        if (rc == 0 && block_table[i].rival != NULL)
            rc = gd_block_file_single(r->file, block_table[i].rival, false, &rival, err);
        if (rc == 0 && block != NULL && rival != NULL)
            rc = gd_block_file_fault(r->file, err, "blocks %s (line %zu) and %s (line %zu) say the same thing; keep one",
                                     block_table[i].name, block->line, block_table[i].rival, rival->line);
        if (rc == 0 && block != NULL)
            rc = block_table[i].read(r, block, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int create_for(struct gd_block_file *file, struct gd_configuration **out, struct gd_err *err)
{
    struct gd_block *block = gd_block_file_find(file, "POSITION");
    if (block == NULL)
        block = gd_block_file_find(file, "POSITIONRED");
    if (block == NULL)
        return gd_block_file_fault(file, err, "neither a block POSITION nor POSITIONRED; a coordinate file needs one");
    size_t n = gd_rows_count(file, block);
    if (n == 0)
        return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s: no atoms in it", file->path, block->line, (int)block->name_length,
                          block->name);
    return gd_configuration_create(out, n, err);
}

static int read_file(struct gd_block_file *file, struct gd_configuration **out, struct gd_messages *notes, struct gd_err *err)
{
    struct reader r = {.file = file, .conf = NULL};
    int rc = create_for(file, &r.conf, err);
    if (rc == 0)
        rc = read_blocks(&r, err);
    if (rc != 0) {
        gd_configuration_destroy(&r.conf);
        return rc;
    }
    for (size_t i = 0; i < file->num_blocks; i++)
        if (!file->blocks[i].used)
            gd_messages_add(notes, "%s:%zu: block %.*s: not known in a coordinate file, ignored", file->path, file->blocks[i].line,
                            (int)file->blocks[i].name_length, file->blocks[i].name);
    *out = r.conf;
    return 0;
}

int gd_io_read_configuration_notes(const char *path, struct gd_configuration **out, struct gd_messages *notes, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_open(&file, path, 0, err);
    if (rc == 0)
        rc = read_file(file, out, notes, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_configuration_memory(const char *name, const void *data, size_t size, struct gd_configuration **out,
                                    struct gd_messages *notes, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_from_memory(&file, name, data, size, err);
    if (rc == 0)
        rc = read_file(file, out, notes, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_configuration(const char *path, struct gd_configuration **out, struct gd_err *err)
{
    struct gd_messages notes = {0};
    int rc = gd_io_read_configuration_notes(path, out, &notes, err);
    for (size_t i = 0; i < notes.kept; i++)
        gd_log_warn("io", "%s", notes.text[i]);
    gd_messages_clear(&notes);
    return rc;
}
