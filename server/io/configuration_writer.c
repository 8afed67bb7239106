/* The writing half of configuration.h. Layout, column by column, as md++ writes its final configurations: step %15d and
 * time %15.9f; labels of 24 characters; coordinates 3 x %15.9f; shifts 3 x %10d; stochastic integrals 3 x %15.7e; averages
 * %15.7f. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/configuration.h"
#include "io/frame_blocks.h"
#include "io/labelled_rows.h"
#include "io/output.h"

static void put_label(struct gd_output *out, const struct gd_configuration *conf, size_t i)
{
    static const struct gd_atom_label nameless = {.residue_number = 1, .residue = {"UNK"}, .atom = {"X"}};
    char label[GD_LABEL_WIDTH + 1];
    gd_label_format(conf->labels == NULL ? &nameless : &conf->labels[i], i + 1, label);
    gd_output_bytes(out, label, GD_LABEL_WIDTH);
}

static void put_labelled(struct gd_output *out, const struct gd_configuration *conf, const char *block, bool hint, const double (*rows)[3])
{
    gd_output_printf(out, hint ? "%s\n# first 24 chars ignored\n" : "%s\n", block);
    for (size_t i = 0; i < conf->num_atoms; i++) {
        put_label(out, conf, i);
        gd_frame_put_row(out, rows[i]);
    }
    gd_output_text(out, "END\n");
}

static void put_stochastic(struct gd_output *out, const struct gd_configuration *conf)
{
    gd_output_text(out, "STOCHINT\n# first 24 chars ignored\n");
    for (size_t i = 0; i < conf->num_atoms; i++) {
        put_label(out, conf, i);
        for (int k = 0; k < 3; k++)
            gd_output_scientific(out, conf->stochastic_integral[i][k], 15, 7);
        gd_output_text(out, "\n");
    }
    if (conf->stochastic_seed != NULL) {
        gd_output_text(out, "# seed\n");
        gd_output_text(out, conf->stochastic_seed);
        gd_output_text(out, "\n");
    }
    gd_output_text(out, "END\n");
}

static void put_bfactors(struct gd_output *out, const struct gd_configuration *conf)
{
    gd_output_text(out, "BFACTOR\n");
    for (size_t i = 0; i < conf->num_atoms; i++) {
        put_label(out, conf, i);
        gd_output_fixed(out, conf->bfactor[i], 15, 9);
        gd_output_text(out, "\n");
    }
    gd_output_text(out, "END\n");
}

static void put_shifts(struct gd_output *out, const struct gd_configuration *conf)
{
    gd_output_text(out, "LATTICESHIFTS\n");
    for (size_t i = 0; i < conf->num_atoms; i++)
        gd_output_printf(out, "%10" PRId32 "%10" PRId32 "%10" PRId32 "\n", conf->lattice_shift[i][0], conf->lattice_shift[i][1],
                         conf->lattice_shift[i][2]);
    gd_output_text(out, "END\n");
}

static void put_nhc(struct gd_output *out, const struct gd_configuration *conf)
{
    gd_output_text(out, "NHCVARIABLES\n");
    for (size_t b = 0; b < conf->nhc_baths; b++) {
        for (size_t k = 0; k < conf->nhc_chain_length; k++)
            gd_output_fixed(out, conf->nhc_zeta[b * conf->nhc_chain_length + k], 15, 9);
        gd_output_text(out, "\n");
    }
    gd_output_text(out, "END\n");
}

static void put_rottrans(struct gd_output *out, const struct gd_configuration *conf)
{
    gd_output_text(out, "ROTTRANSREFPOS\n# translational matrix\n");
    for (int k = 0; k < 3; k++)
        gd_frame_put_row(out, conf->rottrans_axis[k]);
    gd_output_text(out, "# rotational matrix\n");
    for (int k = 0; k < 3; k++)
        gd_frame_put_row(out, conf->rottrans_theta_inv[k]);
    gd_output_text(out, "# reference positions\n");
    for (size_t i = 0; i < conf->rottrans_atoms; i++)
        gd_frame_put_row(out, conf->rottrans_reference[i]);
    gd_output_text(out, "END\n");
}

static void put_averages(struct gd_output *out, const char *block, const double *values, size_t n, size_t per_line)
{
    gd_output_printf(out, "%s\n", block);
    for (size_t i = 0; i < n; i++) {
        gd_output_fixed(out, values[i], 15, 7);
        if ((i + 1) % per_line == 0 || i + 1 == n)
            gd_output_text(out, "\n");
    }
    gd_output_text(out, "END\n");
}

/* A line per restraint, as there are averages; all in one when there are none. */
static void put_elevations(struct gd_output *out, const struct gd_configuration *conf)
{
    size_t rows = conf->num_jvalue_averages > 0 ? conf->num_jvalue_averages : 1, grid = conf->num_jvalue_elevations / rows;
    gd_output_text(out, "JVALUERESEPS\n");
    for (size_t i = 0; i < conf->num_jvalue_elevations; i++) {
        gd_output_scientific(out, conf->jvalue_elevation[i], 15, 7);
        if ((i + 1) % grid == 0 || i + 1 == conf->num_jvalue_elevations)
            gd_output_text(out, "\n");
    }
    gd_output_text(out, "END\n");
}

int gd_io_check_configuration_path(const char *path, struct gd_err *err)
{
    struct gd_output *out = NULL;
    struct stat st;
    /* Who reads a pipe would take its being opened and closed for the end. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return access(path, W_OK) == 0 ? 0 : gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
    int rc = gd_output_create(&out, path, GD_OUTPUT_REPLACE, err);
    gd_output_destroy(&out);
    return rc;
}

int gd_io_write_configuration(const char *path, const struct gd_configuration *conf, struct gd_err *err)
{
    struct gd_output *out = NULL;
    int rc = gd_output_create(&out, path, GD_OUTPUT_REPLACE, err);
    if (rc != 0)
        return rc;
    gd_frame_put_title(out, conf->title);
    if (conf->has_time)
        gd_frame_put_timestep(out, conf->step, conf->time);
    put_labelled(out, conf, "POSITION", true, (const double(*)[3])conf->position);
    if (conf->lattice_shift != NULL)
        put_shifts(out, conf);
    if (conf->velocity != NULL)
        put_labelled(out, conf, "VELOCITY", true, (const double(*)[3])conf->velocity);
    gd_frame_put_genbox(out, &conf->box, conf->origin);
    if (conf->stochastic_integral != NULL)
        put_stochastic(out, conf);
    if (conf->reference_position != NULL)
        put_labelled(out, conf, "REFPOSITION", false, (const double(*)[3])conf->reference_position);
    if (conf->bfactor != NULL)
        put_bfactors(out, conf);
    if (conf->nhc_zeta != NULL)
        put_nhc(out, conf);
    if (conf->has_rottrans)
        put_rottrans(out, conf);
    if (conf->num_distance_averages > 0)
        put_averages(out, "DISRESEXPAVE", conf->distance_average, conf->num_distance_averages, 5);
    if (conf->num_jvalue_averages > 0)
        put_averages(out, "JVALUERESEXPAVE", conf->jvalue_average, conf->num_jvalue_averages, 1);
    if (conf->num_jvalue_elevations > 0)
        put_elevations(out, conf);
    return gd_output_close(&out, err);
}
