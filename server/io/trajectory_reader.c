/* See trajectory_reader.h. */
#include "io/trajectory_reader.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/block_reader.h"
#include "io/blocks_common.h"
#include "io/labelled_rows.h"

/* ---- energies ------------------------------------------------------------------------------------------------- */

static int doubles(struct gd_cursor *c, const char *what, double *out, size_t n, struct gd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = gd_cursor_double(c, what, &out[i], err);
    return rc;
}

/* A count that the block itself proves: each counted thing takes at least `bytes` of what is left. */
static int counted(struct gd_cursor *c, const char *what, size_t bytes, size_t *out, struct gd_err *err)
{
    int n;
    int rc = gd_cursor_int(c, what, 0, GD_ENERGY_MAX_GROUPS, &n, err);
    if (rc == 0 && (size_t)n * bytes > (size_t)(c->block->end - c->at))
        rc = gd_cursor_fault(c, err, "%s is %d, more than the rest of the block can hold", what, n);
    if (rc == 0)
        *out = (size_t)n;
    return rc;
}

/* Sections of methods that are not done here: their count, their numbers, all passed over. */
static int skip_section(struct gd_cursor *c, const char *what, size_t columns, struct gd_err *err)
{
    size_t n = 0;
    double ignored;
    int rc = counted(c, what, 2 * columns, &n, err);
    for (size_t i = 0; i < n * columns && rc == 0; i++)
        rc = gd_cursor_double(c, what, &ignored, err);
    return rc;
}

static int read_groups(struct gd_cursor *c, struct gd_energy_frame *f, struct gd_err *err)
{
    int rc = doubles(c, "a bonded energy", f->bonded[0], f->num_groups * 5, err);
    if (rc == 0)
        rc = doubles(c, "a non-bonded energy", f->nonbonded[0], gd_energy_num_pairs(f->num_groups) * 6, err);
    if (rc == 0)
        rc = doubles(c, "a special energy", f->special[0], f->num_groups * 13, err);
    if (rc == 0)
        rc = skip_section(c, "the number of EDS states", 6, err);
    size_t accelerated = 0;
    if (rc == 0)
        rc = counted(c, "the number of acceleration groups", 10, &accelerated, err);
    if (rc == 0 && accelerated != 1)
        rc = gd_cursor_fault(c, err, "%zu acceleration groups; expected 1", accelerated);
    if (rc == 0)
        rc = doubles(c, "an acceleration energy", f->accelerated, 5, err);
    if (rc == 0)
        rc = skip_section(c, "the number of lambdas", 12, err);
    if (rc == 0)
        rc = doubles(c, "an energy of ABdih", f->ab_dihedral, 2, err);
    return rc != 0 ? rc : gd_cursor_finish(c, "the energies", err);
}

static int read_energy_block(const struct gd_block_file *file, const struct gd_block *block, struct gd_energy_frame **out,
                             struct gd_err *err)
{
    struct gd_cursor c, probe;
    double total[GD_ENERGY_TOTALS], ignored;
    size_t baths = 0, groups = 0;
    gd_cursor_start(&c, file, block);
    int rc = doubles(&c, "a total energy", total, GD_ENERGY_TOTALS, err);
    if (rc == 0)
        rc = counted(&c, "the number of baths", 6, &baths, err);
    probe = c;
    for (size_t i = 0; i < baths * 3 && rc == 0; i++)
        rc = gd_cursor_double(&probe, "a bath's kinetic energy", &ignored, err);
    if (rc == 0)
        rc = counted(&probe, "the number of energy groups", 36, &groups, err);
    if (rc == 0 && gd_energy_num_pairs(groups) * 12 > (size_t)(block->end - probe.at))
        rc = gd_cursor_fault(&probe, err, "%zu energy groups are more than the rest of the block can hold", groups);
    if (rc == 0)
        rc = gd_energy_frame_create(out, baths, groups, err);
    if (rc != 0)
        return rc;
    memcpy((*out)->total, total, sizeof total);
    rc = doubles(&c, "a bath's kinetic energy", (*out)->bath[0], baths * 3, err);
    return rc != 0 ? rc : read_groups(&probe, *out, err);
}

static int read_volume_block(const struct gd_block_file *file, const struct gd_block *block, struct gd_energy_frame *f, struct gd_err *err)
{
    struct gd_cursor c;
    size_t baths = 0;
    gd_cursor_start(&c, file, block);
    int rc = gd_cursor_double(&c, "the mass", &f->mass, err);
    if (rc == 0)
        rc = counted(&c, "the number of baths", 8, &baths, err);
    if (rc == 0 && baths != f->num_baths)
        rc = gd_cursor_fault(&c, err, "%zu baths; block ENERGY03 of the frame has %zu", baths, f->num_baths);
    if (rc == 0)
        rc = doubles(&c, "a bath's temperature", f->bath_temperature[0], baths * 4, err);
    if (rc == 0)
        rc = gd_cursor_double(&c, "the volume", &f->volume, err);
    if (rc == 0)
        rc = doubles(&c, "a box vector", f->box[0], 9, err);
    double scalar[3];
    if (rc == 0)
        rc = doubles(&c, "a pressure", scalar, 3, err);
    if (rc == 0)
        rc = doubles(&c, "a pressure tensor", f->pressure_tensor[0], 9, err);
    if (rc == 0)
        rc = doubles(&c, "a virial tensor", f->virial_tensor[0], 9, err);
    if (rc == 0)
        rc = doubles(&c, "a kinetic energy tensor", f->molecular_kinetic_tensor[0], 9, err);
    if (rc == 0)
        rc = gd_cursor_finish(&c, "the tensors", err);
    if (rc != 0)
        return rc;
    f->pressure = scalar[0];
    f->virial = scalar[1];
    f->molecular_kinetic = scalar[2];
    f->has_volume = 1;
    return 0;
}

static size_t count_blocks(const struct gd_block_file *file, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < file->num_blocks; i++)
        n += gd_block_is(&file->blocks[i], name);
    return n;
}

static int out_of_place(const struct gd_block_file *file, const struct gd_block *block, struct gd_err *err)
{
    return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s: not expected here; a frame starts with TIMESTEP", file->path, block->line,
                      (int)block->name_length, block->name);
}

static int read_energies(const struct gd_block_file *file, struct gd_energy_frames *all, struct gd_err *err)
{
    int64_t step = 0;
    double time = 0.0;
    bool open = false; /* TIMESTEP was seen, ENERGY03 not yet */
    struct gd_energy_frame *last = NULL;
    for (size_t i = 0; i < file->num_blocks; i++) {
        const struct gd_block *block = &file->blocks[i];
        int rc = 0;
        if (gd_block_is(block, "TITLE") || gd_block_is(block, "ENEVERSION")) {
            continue;
        } else if (gd_block_is(block, "TIMESTEP")) {
            rc = gd_blocks_read_timestep(file, block, &step, &time, err);
            open = true;
            last = NULL;
        } else if (gd_block_is(block, "ENERGY03") && open) {
            rc = read_energy_block(file, block, &all->frame[all->count], err);
            last = all->frame[all->count];
            if (last != NULL) {
                last->step = step;
                last->time = time;
                all->count++;
            }
            open = false;
        } else if (gd_block_is(block, "VOLUMEPRESSURE03") && last != NULL && !last->has_volume) {
            rc = read_volume_block(file, block, last, err);
        } else {
            rc = out_of_place(file, block, err);
        }
        if (rc != 0)
            return rc;
    }
    return open ? gd_block_file_fault(file, err, "the last frame has no block ENERGY03: the file was cut") : 0;
}

static int energy_frames(const struct gd_block_file *file, struct gd_energy_frames **out, struct gd_err *err)
{
    struct gd_energy_frames *all = calloc(1, sizeof *all);
    if (all != NULL)
        all->frame = calloc(count_blocks(file, "ENERGY03") + 1, sizeof(struct gd_energy_frame *));
    if (all == NULL || all->frame == NULL) {
        gd_io_energy_frames_destroy(&all);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its frames", file->path);
    }
    int rc = read_energies(file, all, err);
    if (rc != 0) {
        gd_io_energy_frames_destroy(&all);
        return rc;
    }
    *out = all;
    return 0;
}

int gd_io_read_energy_frames(const char *path, struct gd_energy_frames **out, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_open(&file, path, 0, err);
    if (rc == 0)
        rc = energy_frames(file, out, err);
    gd_block_file_destroy(&file);
    return rc;
}

void gd_io_energy_frames_destroy(struct gd_energy_frames **frames)
{
    if (frames == NULL || *frames == NULL)
        return;
    for (size_t i = 0; i < (*frames)->count; i++)
        gd_energy_frame_destroy(&(*frames)->frame[i]);
    free((*frames)->frame);
    free(*frames);
    *frames = NULL;
}

/* ---- vectors per atom ----------------------------------------------------------------------------------------- */

static int read_rows(const struct gd_block_file *file, const struct gd_block *block, struct gd_vector_frame *frame, double (**rows)[3],
                     struct gd_err *err)
{
    size_t n = gd_rows_count(file, block);
    if (*rows != NULL)
        return out_of_place(file, block, err);
    if (frame->num_atoms != 0 && n != frame->num_atoms)
        return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s: %zu rows; the frame has %zu atoms", file->path, block->line,
                          (int)block->name_length, block->name, n, frame->num_atoms);
    *rows = calloc(n + 1, sizeof **rows);
    if (*rows == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for a frame of %zu atoms", file->path, n);
    frame->num_atoms = n;
    return gd_rows_read_plain(file, block, n, 3, (*rows)[0], err);
}

static int read_vectors(const struct gd_block_file *file, const char *first, const char *second, struct gd_vector_frames *all,
                        struct gd_err *err)
{
    struct gd_vector_frame *now = NULL;
    for (size_t i = 0; i < file->num_blocks; i++) {
        const struct gd_block *block = &file->blocks[i];
        int rc = 0;
        if (gd_block_is(block, "TITLE")) {
            continue;
        } else if (gd_block_is(block, "TIMESTEP")) {
            if (now != NULL && now->first == NULL && now->second == NULL)
                return out_of_place(file, block, err);
            now = &all->frame[all->count++];
            rc = gd_blocks_read_timestep(file, block, &now->step, &now->time, err);
        } else if (gd_block_is(block, first) && now != NULL) {
            rc = read_rows(file, block, now, &now->first, err);
        } else if (gd_block_is(block, second) && now != NULL) {
            rc = read_rows(file, block, now, &now->second, err);
        } else if (gd_block_is(block, "GENBOX") && now != NULL && !now->has_box) {
            rc = gd_blocks_read_genbox(file, block, &now->box, NULL, NULL, err);
            now->has_box = 1;
        } else {
            rc = out_of_place(file, block, err);
        }
        if (rc != 0)
            return rc;
    }
    if (now != NULL && now->first == NULL)
        return gd_block_file_fault(file, err, "the last frame has no block %s: the file was cut", first);
    return 0;
}

static int vector_frames(const struct gd_block_file *file, const char *first, const char *second, struct gd_vector_frames **out,
                         struct gd_err *err)
{
    struct gd_vector_frames *all = calloc(1, sizeof *all);
    if (all != NULL)
        all->frame = calloc(count_blocks(file, "TIMESTEP") + 1, sizeof *all->frame);
    if (all == NULL || all->frame == NULL) {
        gd_io_vector_frames_destroy(&all);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its frames", file->path);
    }
    int rc = read_vectors(file, first, second, all, err);
    if (rc != 0) {
        gd_io_vector_frames_destroy(&all);
        return rc;
    }
    *out = all;
    return 0;
}

static int open_vector_frames(const char *path, const char *first, const char *second, struct gd_vector_frames **out, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    int rc = gd_block_file_open(&file, path, 0, err);
    if (rc == 0)
        rc = vector_frames(file, first, second, out, err);
    gd_block_file_destroy(&file);
    return rc;
}

int gd_io_read_force_frames(const char *path, struct gd_vector_frames **out, struct gd_err *err)
{
    return open_vector_frames(path, "FREEFORCERED", "CONSFORCERED", out, err);
}

int gd_io_read_position_frames(const char *path, struct gd_vector_frames **out, struct gd_err *err)
{
    return open_vector_frames(path, "POSITIONRED", "VELOCITYRED", out, err);
}

void gd_io_vector_frames_destroy(struct gd_vector_frames **frames)
{
    if (frames == NULL || *frames == NULL)
        return;
    for (size_t i = 0; i < (*frames)->count; i++) {
        free((*frames)->frame[i].first);
        free((*frames)->frame[i].second);
    }
    free((*frames)->frame);
    free(*frames);
    *frames = NULL;
}

int gd_io_check_trajectory_memory(char kind, const char *name, const void *data, size_t size, struct gd_err *err)
{
    struct gd_block_file *file = NULL;
    struct gd_energy_frames *energies = NULL;
    struct gd_vector_frames *vectors = NULL;
    int rc = gd_block_file_from_memory(&file, name, data, size, err);
    if (rc == 0 && kind == 'e')
        rc = energy_frames(file, &energies, err);
    else if (rc == 0)
        rc = kind == 'f' ? vector_frames(file, "FREEFORCERED", "CONSFORCERED", &vectors, err)
                         : vector_frames(file, "POSITIONRED", "VELOCITYRED", &vectors, err);
    gd_io_energy_frames_destroy(&energies);
    gd_io_vector_frames_destroy(&vectors);
    gd_block_file_destroy(&file);
    return rc;
}
