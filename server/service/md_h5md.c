#include "service/md_h5md.h"

#include "core/configuration.h"
#include "io/h5md.h"
#include "proto/gd_energies.h"

#include <stdlib.h>
#include <string.h>

#define TOTAL (-1) /* kinetic + potential + special */

static const struct {
    const char *name, *unit;
    int field;
} observables[] = {
    {"total_energy", "kJ mol-1", TOTAL},
    {"kinetic_energy", "kJ mol-1", GD_ENERGY_KINETIC},
    {"potential_energy", "kJ mol-1", GD_ENERGY_POTENTIAL},
    {"special_energy", "kJ mol-1", GD_ENERGY_SPECIAL},
    {"bond_energy", "kJ mol-1", GD_ENERGY_BOND},
    {"angle_energy", "kJ mol-1", GD_ENERGY_ANGLE},
    {"improper_energy", "kJ mol-1", GD_ENERGY_IMPROPER},
    {"dihedral_energy", "kJ mol-1", GD_ENERGY_DIHEDRAL},
    {"lj_energy", "kJ mol-1", GD_ENERGY_LJ},
    {"coulomb_energy", "kJ mol-1", GD_ENERGY_COULOMB},
    {"temperature", "K", GD_ENERGY_TEMPERATURE},
    {"pressure", "kJ mol-1 nm-3", GD_ENERGY_PRESSURE},
    {"volume", "nm+3", GD_ENERGY_VOLUME},
};
#define NUM_OBSERVABLES (sizeof observables / sizeof observables[0])

struct gd_md_h5md {
    struct gd_h5md *file;
    struct gd_configuration *before;
    double *energies;
    bool forces;
};

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && strcmp(path + n - m, end) == 0;
}

bool gd_md_h5md_named(const char *path)
{
    return ends_with(path, ".h5") || ends_with(path, ".h5md");
}

static int open_file(struct gd_md_h5md *h, const char *path, const struct gd_md *md, int64_t resume_step, struct gd_err *err)
{
    const char *names[NUM_OBSERVABLES], *units[NUM_OBSERVABLES];
    const struct gd_topology *top = gd_md_topology(md);
    const struct gd_parameters *parameters = gd_md_parameters(md);
    for (size_t k = 0; k < NUM_OBSERVABLES; k++) {
        names[k] = observables[k].name;
        units[k] = observables[k].unit;
    }
    struct gd_h5md_layout layout = {.num_atoms = gd_md_num_atoms(md),
                                    .dtype = GD_FLOAT64,
                                    .velocities = parameters->write.ntwv != 0,
                                    .forces = parameters->write.ntwf != 0,
                                    .box = (enum gd_box_kind)gd_md_box(md)->kind,
                                    .num_observables = NUM_OBSERVABLES,
                                    .observables = names,
                                    .observable_units = units,
                                    .mass = top->mass,
                                    .charge = top->charge,
                                    .species = top->type};
    h->forces = layout.forces;
    return resume_step >= 0 ? gd_h5md_resume(&h->file, path, &layout, resume_step - 1, err) : gd_h5md_create(&h->file, path, &layout, err);
}

int gd_md_h5md_create(struct gd_md_h5md **out, const char *path, const struct gd_md *md, int64_t resume_step, struct gd_err *err)
{
    struct gd_md_h5md *h = calloc(1, sizeof *h);
    if (h != NULL)
        h->energies = calloc(gd_energies_count(gd_md_num_baths(md), gd_md_energies(md)->num_groups), sizeof *h->energies);
    int code = h == NULL || h->energies == NULL ? gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", path)
                                                : open_file(h, path, md, resume_step, err);
    if (code != 0)
        gd_md_h5md_close(&h, NULL);
    else
        *out = h;
    return code;
}

int gd_md_h5md_before(struct gd_md_h5md *h, const struct gd_md *md, struct gd_err *err)
{
    gd_configuration_destroy(&h->before);
    return gd_md_get_configuration(md, &h->before, err);
}

int gd_md_h5md_after(struct gd_md_h5md *h, const struct gd_md *md, int64_t step, double time, struct gd_err *err)
{
    double values[NUM_OBSERVABLES];
    const double *e = h->energies;
    gd_md_energy_vector(md, h->energies);
    for (size_t k = 0; k < NUM_OBSERVABLES; k++)
        values[k] =
            observables[k].field == TOTAL ? e[GD_ENERGY_KINETIC] + e[GD_ENERGY_POTENTIAL] + e[GD_ENERGY_SPECIAL] : e[observables[k].field];
    struct gd_h5md_frame frame = {.step = step,
                                  .time = time,
                                  .positions = h->before->position,
                                  .velocities = h->before->velocity,
                                  .forces = h->forces ? gd_md_forces(md) : NULL,
                                  .box = &h->before->box,
                                  .observables = values};
    int code = gd_h5md_put(h->file, &frame, err);
    gd_configuration_destroy(&h->before);
    return code;
}

int gd_md_h5md_close(struct gd_md_h5md **pointer, struct gd_err *err)
{
    struct gd_md_h5md *h = *pointer;
    *pointer = NULL;
    if (h == NULL)
        return 0;
    int code = gd_h5md_close(&h->file, err);
    gd_configuration_destroy(&h->before);
    free(h->energies);
    free(h);
    return code;
}
