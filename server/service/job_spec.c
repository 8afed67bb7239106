#include "service/job_spec.h"

#include "io/parameters_file.h"
#include "io/restraints_file.h"
#include "io/topology_file.h"
#include "service/topologies.h"

#include <stdlib.h>
#include <string.h>

static const char *const text_names[GD_JOB_TEXTS] = {"topology", "input", "posresspec", "refpos", "distrest", "angrest", "dihrest", "jval"};

const char *gd_job_text_name(enum gd_job_text text)
{
    return text_names[text];
}

static int read_input(struct gd_job_spec *spec, const struct gd_job_order *order, struct gd_messages *faults, struct gd_err *err)
{
    spec->parameters = calloc(1, sizeof *spec->parameters);
    if (spec->parameters == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for run parameters");
    int code = gd_io_read_parameters_memory("input", order->text[GD_JOB_INPUT].data, order->text[GD_JOB_INPUT].bytes, spec->parameters,
                                            faults, err);
    if (code == 0 && order->steps >= 0)
        spec->parameters->step.nstlim = order->steps;
    spec->steps = code == 0 ? spec->parameters->step.nstlim : 0;
    return code;
}

/* Every file is read, so that all faults are told; the error is that of the first. */
static int read_restraints(struct gd_job_spec *spec, const struct gd_job_order *order, struct gd_messages *faults, struct gd_err *err)
{
    static const struct {
        enum gd_job_text text;
        enum gd_restraints_kind kind;
    } files[] = {{GD_JOB_POSRESSPEC, GD_RESTRAINTS_POSRESSPEC}, {GD_JOB_REFPOS, GD_RESTRAINTS_REFPOS},
                 {GD_JOB_DISTREST, GD_RESTRAINTS_DISTREST},     {GD_JOB_ANGREST, GD_RESTRAINTS_ANGREST},
                 {GD_JOB_DIHREST, GD_RESTRAINTS_DIHREST},       {GD_JOB_JVAL, GD_RESTRAINTS_JVAL}};
    int first = 0;
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        struct gd_err own = {0};
        enum gd_job_text text = files[k].text;
        if (order->text[text].data == NULL)
            continue;
        int code = spec->restraints == NULL ? gd_restraints_create(&spec->restraints, &own) : 0;
        if (code == 0)
            code = gd_io_read_restraints_memory(text_names[text], order->text[text].data, order->text[text].bytes, files[k].kind,
                                                spec->restraints, faults, &own);
        if (code != 0 && first == 0) {
            first = code;
            *err = own;
        }
        if (spec->restraints == NULL)
            break;
    }
    return first;
}

static int read_topology(struct gd_job_spec *spec, const struct gd_job_order *order, const struct gd_topology *topology, size_t num_atoms,
                         struct gd_messages *faults, struct gd_err *err)
{
    struct gd_topology *read = NULL;
    int code = topology == NULL ? gd_io_read_topology_memory("topology", order->text[GD_JOB_TOPOLOGY].data,
                                                             order->text[GD_JOB_TOPOLOGY].bytes, &read, faults, err)
                                : 0;
    if (code == 0)
        code = gd_topologies_expand(&spec->topology, topology != NULL ? topology : read, spec->parameters->system.npm, num_atoms, err);
    gd_topology_destroy(&read);
    return code;
}

int gd_job_spec_read(struct gd_job_spec *spec, const struct gd_job_order *order, const struct gd_topology *topology, size_t num_atoms,
                     struct gd_messages *faults, struct gd_err *err)
{
    struct gd_err second = {0};
    int code = read_input(spec, order, faults, err), restraints = read_restraints(spec, order, faults, &second);
    if (code == 0 && restraints != 0) {
        code = restraints;
        *err = second;
    }
    if (code == 0)
        code = read_topology(spec, order, topology, num_atoms, faults, err);
    for (int k = 0; code == 0 && k < GD_MD_FILES; k++) {
        spec->path[k] = order->path[k] != NULL ? strdup(order->path[k]) : NULL;
        if (order->path[k] != NULL && spec->path[k] == NULL)
            code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a path");
    }
    spec->publish_every = order->publish_every;
    spec->threads = order->threads;
    spec->continue_run = order->continue_run;
    spec->resume = order->resume;
    spec->order = order;
    return code;
}

void gd_job_spec_clear(struct gd_job_spec *spec)
{
    gd_topology_destroy(&spec->topology);
    gd_restraints_destroy(&spec->restraints);
    gd_configuration_destroy(&spec->start);
    free(spec->parameters);
    spec->parameters = NULL;
    for (int k = 0; k < GD_MD_FILES; k++) {
        free(spec->path[k]);
        spec->path[k] = NULL;
    }
}
