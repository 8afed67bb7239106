/* Contract: configuration.h. */
#include "core/configuration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "core/check.h"

#define MAX_ATOMS ((size_t)1 << 28)

static int allocate(void **array, size_t n, size_t size, struct gd_err *err)
{
    void *fresh = n > MAX_ATOMS ? NULL : calloc(n + 1, size);
    if (fresh == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu rows of a configuration", n);
    free(*array);
    *array = fresh;
    return 0;
}

int gd_configuration_create(struct gd_configuration **out, size_t num_atoms, struct gd_err *err)
{
    struct gd_configuration *conf = calloc(1, sizeof *conf);
    if (conf == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a configuration");
    conf->magic = GD_CONFIGURATION_MAGIC;
    conf->num_atoms = num_atoms;
    int rc = allocate((void **)&conf->position, num_atoms, sizeof *conf->position, err);
    if (rc != 0) {
        gd_configuration_destroy(&conf);
        return rc;
    }
    *out = conf;
    return 0;
}

void gd_configuration_destroy(struct gd_configuration **conf)
{
    if (conf == NULL || *conf == NULL)
        return;
    struct gd_configuration *c = *conf;
    GD_MAGIC_CHECK(c, GD_CONFIGURATION_MAGIC);
    free(c->title);
    free(c->position);
    free(c->velocity);
    free(c->lattice_shift);
    free(c->stochastic_integral);
    free(c->stochastic_seed);
    free(c->reference_position);
    free(c->bfactor);
    free(c->labels);
    free(c->nhc_zeta);
    free(c->rottrans_reference);
    free(c->distance_average);
    free(c->jvalue_average);
    free(c->jvalue_elevation);
    c->magic = 0;
    free(c);
    *conf = NULL;
}

int gd_configuration_add(struct gd_configuration *conf, enum gd_configuration_part part, struct gd_err *err)
{
    size_t n = conf->num_atoms;
    switch (part) {
    case GD_CONF_VELOCITY:
        return conf->velocity != NULL ? 0 : allocate((void **)&conf->velocity, n, sizeof *conf->velocity, err);
    case GD_CONF_LATTICE_SHIFT:
        return conf->lattice_shift != NULL ? 0 : allocate((void **)&conf->lattice_shift, n, sizeof *conf->lattice_shift, err);
    case GD_CONF_STOCHASTIC_INTEGRAL:
        return conf->stochastic_integral != NULL ? 0
                                                 : allocate((void **)&conf->stochastic_integral, n, sizeof *conf->stochastic_integral, err);
    case GD_CONF_REFERENCE_POSITION:
        return conf->reference_position != NULL ? 0
                                                : allocate((void **)&conf->reference_position, n, sizeof *conf->reference_position, err);
    case GD_CONF_BFACTOR:
        return conf->bfactor != NULL ? 0 : allocate((void **)&conf->bfactor, n, sizeof *conf->bfactor, err);
    case GD_CONF_LABELS:
        return conf->labels != NULL ? 0 : allocate((void **)&conf->labels, n, sizeof *conf->labels, err);
    }
    return gd_err_set(err, GD_E_INTERNAL, "unknown part %d of a configuration", (int)part);
}

int gd_configuration_set_title(struct gd_configuration *conf, const char *title, struct gd_err *err)
{
    char *copy = title == NULL ? NULL : strdup(title);
    if (title != NULL && copy == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a title");
    free(conf->title);
    conf->title = copy;
    return 0;
}

int gd_configuration_set_nhc(struct gd_configuration *conf, size_t baths, size_t chain_length, struct gd_err *err)
{
    if (baths > MAX_ATOMS || chain_length > MAX_ATOMS / (baths + 1))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%zu baths of %zu chain variables", baths, chain_length);
    int rc = allocate((void **)&conf->nhc_zeta, baths * chain_length, sizeof(double), err);
    if (rc == 0) {
        conf->nhc_baths = baths;
        conf->nhc_chain_length = chain_length;
    }
    return rc;
}

int gd_configuration_set_distance_averages(struct gd_configuration *conf, size_t n, struct gd_err *err)
{
    int rc = allocate((void **)&conf->distance_average, n, sizeof(double), err);
    if (rc == 0)
        conf->num_distance_averages = n;
    return rc;
}

int gd_configuration_set_jvalue_averages(struct gd_configuration *conf, size_t n, struct gd_err *err)
{
    int rc = allocate((void **)&conf->jvalue_average, n, sizeof(double), err);
    if (rc == 0)
        conf->num_jvalue_averages = n;
    return rc;
}

int gd_configuration_set_jvalue_elevations(struct gd_configuration *conf, size_t n, struct gd_err *err)
{
    int rc = allocate((void **)&conf->jvalue_elevation, n, sizeof(double), err);
    if (rc == 0)
        conf->num_jvalue_elevations = n;
    return rc;
}

int gd_configuration_set_rottrans(struct gd_configuration *conf, size_t n, struct gd_err *err)
{
    int rc = allocate((void **)&conf->rottrans_reference, n, sizeof *conf->rottrans_reference, err);
    if (rc == 0) {
        conf->rottrans_atoms = n;
        conf->has_rottrans = 1;
    }
    return rc;
}

static int check_vectors(const char *what, const double (*v)[3], size_t n, struct gd_err *err)
{
    for (size_t i = 0; v != NULL && i < n; i++)
        if (!isfinite(v[i][0]) || !isfinite(v[i][1]) || !isfinite(v[i][2]))
            return gd_err_set(err, GD_E_NOT_FINITE, "%s of atom %zu is not finite", what, i + 1);
    return 0;
}

int gd_configuration_check(const struct gd_configuration *conf, struct gd_err *err)
{
    int rc = gd_box_check(&conf->box, err);
    if (rc == 0)
        rc = check_vectors("the position", (const double(*)[3])conf->position, conf->num_atoms, err);
    if (rc == 0)
        rc = check_vectors("the velocity", (const double(*)[3])conf->velocity, conf->num_atoms, err);
    if (rc == 0)
        rc = check_vectors("the stochastic integral", (const double(*)[3])conf->stochastic_integral, conf->num_atoms, err);
    if (rc == 0)
        rc = check_vectors("the reference position", (const double(*)[3])conf->reference_position, conf->num_atoms, err);
    return rc;
}

/* ---- copying ---- */

/* *at points to the original's array and becomes a copy of it; NULL stays NULL. Returns 0, or -1 without memory. */
static int copy_array(void **at, size_t bytes)
{
    if (*at == NULL)
        return 0;
    void *copy = malloc(bytes > 0 ? bytes : 1);
    if (copy != NULL)
        memcpy(copy, *at, bytes);
    *at = copy;
    return copy != NULL ? 0 : -1;
}

int gd_configuration_clone(struct gd_configuration **out, const struct gd_configuration *conf, struct gd_err *err)
{
    struct gd_configuration *c = malloc(sizeof *c);
    if (c == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a configuration");
    *c = *conf;
    size_t n = conf->num_atoms;
    int failed = copy_array((void **)&c->title, conf->title != NULL ? strlen(conf->title) + 1 : 0);
    failed |= copy_array((void **)&c->position, n * sizeof *c->position);
    failed |= copy_array((void **)&c->velocity, n * sizeof *c->velocity);
    failed |= copy_array((void **)&c->lattice_shift, n * sizeof *c->lattice_shift);
    failed |= copy_array((void **)&c->stochastic_integral, n * sizeof *c->stochastic_integral);
    failed |= copy_array((void **)&c->stochastic_seed, conf->stochastic_seed != NULL ? strlen(conf->stochastic_seed) + 1 : 0);
    failed |= copy_array((void **)&c->reference_position, n * sizeof *c->reference_position);
    failed |= copy_array((void **)&c->bfactor, n * sizeof *c->bfactor);
    failed |= copy_array((void **)&c->labels, n * sizeof *c->labels);
    failed |= copy_array((void **)&c->nhc_zeta, conf->nhc_baths * conf->nhc_chain_length * sizeof *c->nhc_zeta);
    failed |= copy_array((void **)&c->rottrans_reference, conf->rottrans_atoms * sizeof *c->rottrans_reference);
    failed |= copy_array((void **)&c->distance_average, conf->num_distance_averages * sizeof *c->distance_average);
    failed |= copy_array((void **)&c->jvalue_average, conf->num_jvalue_averages * sizeof *c->jvalue_average);
    failed |= copy_array((void **)&c->jvalue_elevation, conf->num_jvalue_elevations * sizeof *c->jvalue_elevation);
    if (failed) {
        gd_configuration_destroy(&c);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to copy a configuration of %zu atoms", n);
    }
    *out = c;
    return 0;
}
