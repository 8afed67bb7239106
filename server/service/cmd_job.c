/* Commands about jobs: start a run, watch it, steer it. */
#include "core/configuration.h"
#include "core/state.h"
#include "kernels/compute.h"
#include "service/jobs.h"
#include "service/request.h"
#include "service/service.h"
#include "service/session.h"
#include "service/topologies.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int check_bytes(const struct gd_value *value, const char *name, struct gd_err *err)
{
    if (!value->present || value->array.element == GD_ELEMENT_U1)
        return 0;
    return gd_err_set(err, GD_E_INVALID_DTYPE, "'%s' holds the bytes of a file: its dtype must be u1", name);
}

/* ---- what a run starts from ---- */

static int take_texts(struct gd_request *request, struct gd_job_order *order, struct gd_err *err)
{
    static const unsigned arguments[GD_JOB_TEXTS] = {
        [GD_JOB_INPUT] = GD_JOB_START_INPUT,       [GD_JOB_POSRESSPEC] = GD_JOB_START_POSRESSPEC, [GD_JOB_REFPOS] = GD_JOB_START_REFPOS,
        [GD_JOB_DISTREST] = GD_JOB_START_DISTREST, [GD_JOB_ANGREST] = GD_JOB_START_ANGREST,       [GD_JOB_DIHREST] = GD_JOB_START_DIHREST,
        [GD_JOB_JVAL] = GD_JOB_START_JVAL};
    for (int k = GD_JOB_INPUT; k < GD_JOB_TEXTS; k++) {
        const struct gd_value *value = gd_arg(request, arguments[k]);
        if (!value->present)
            continue;
        int code = check_bytes(value, gd_job_text_name((enum gd_job_text)k), err);
        if (code != 0)
            return code;
        order->text[k].data = value->array.data;
        order->text[k].bytes = value->array.bytes;
    }
    uint64_t topology = (uint64_t)gd_arg(request, GD_JOB_START_TOPOLOGY)->integer;
    order->text[GD_JOB_TOPOLOGY].data = gd_topologies_text(request->service, topology, &order->text[GD_JOB_TOPOLOGY].bytes);
    return 0;
}

/* Optional parts a coordinate file may bring along (stochastic integrals, averages, reference positions, ...) come from the State's
 * origin as long as the State is still as it was read; positions, velocities, box and time always from the State. */
static int take_start(struct gd_request *request, struct gd_job_spec *spec, struct gd_err *err)
{
    struct gd_state *state = request->state;
    const struct gd_kernels *kernels = &request->service->kernels;
    size_t n = state->spec.num_atoms;
    int fresh = state->origin != NULL && gd_state_version(state) == state->origin_version;
    int code = fresh ? gd_configuration_clone(&spec->start, state->origin, err) : gd_configuration_create(&spec->start, n, err);
    if (code == 0)
        code = gd_configuration_add(spec->start, GD_CONF_VELOCITY, err);
    if (code == 0 && state->origin != NULL && state->origin->labels != NULL && spec->start->labels == NULL) {
        code = gd_configuration_add(spec->start, GD_CONF_LABELS, err);
        if (code == 0)
            memcpy(spec->start->labels, state->origin->labels, n * sizeof *spec->start->labels);
    }
    if (code != 0)
        return code;
    struct gd_configuration *start = spec->start;
    struct gd_small small;
    gd_state_small(state, &small);
    /* A float State that was just read has its file's digits in the origin; what others wrote is only in the arrays. */
    if (!fresh || state->spec.dtype == GD_FLOAT64) {
        gd_compute_convert(kernels, GD_FLOAT64, start->position, state->spec.dtype, gd_state_array(state, GD_POSITIONS), 3 * n);
        gd_compute_convert(kernels, GD_FLOAT64, start->velocity, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), 3 * n);
    }
    start->box = small.box;
    start->has_box = 1;
    start->has_time = 1;
    start->step = small.step;
    start->time = small.time;
    return 0;
}

static int take_path(const struct gd_request *request, unsigned argument, const char *name, const char **out, struct gd_err *err)
{
    const struct gd_value *value = gd_arg(request, argument);
    if (!value->present || value->text.bytes == 0)
        return 0;
    if (!request->session->local)
        return gd_err_set(err, GD_E_NOT_AUTHORIZED, "'%s': only sessions on the daemon's machine may have files written", name);
    if (value->text.data[0] != '/')
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' is '%s'; the daemon has its own working folder, so it must be absolute", name,
                          value->text.data);
    *out = value->text.data;
    return 0;
}

/* Several may write to one, such as /dev/null. */
static int is_device(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

static int take_paths(const struct gd_request *request, struct gd_job_order *order, struct gd_err *err)
{
    static const struct {
        unsigned argument;
        const char *name;
    } files[GD_MD_FILES] = {{GD_JOB_START_TRC, "trc"}, {GD_JOB_START_TRV, "trv"}, {GD_JOB_START_TRF, "trf"},
                            {GD_JOB_START_TRE, "tre"}, {GD_JOB_START_TRS, "trs"}, {GD_JOB_START_FIN, "fin"}};
    for (int k = 0; k < GD_MD_FILES; k++) {
        int code = take_path(request, files[k].argument, files[k].name, &order->path[k], err);
        if (code != 0)
            return code;
        for (int other = 0; other < k; other++)
            if (order->path[k] != NULL && order->path[other] != NULL && strcmp(order->path[k], order->path[other]) == 0 &&
                !is_device(order->path[k]))
                return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' and '%s' are both %s; every file needs a name of its own",
                                  files[other].name, files[k].name, order->path[k]);
    }
    return 0;
}

/* The State's vector of energies was laid out when it was made. */
static int check_groups(const struct gd_state *state, const struct gd_parameters *parameters, struct gd_err *err)
{
    uint32_t baths = parameters->multibath.num_baths > 0 ? (uint32_t)parameters->multibath.num_baths : 1;
    uint32_t groups = parameters->force.num_energy_groups > 0 ? (uint32_t)parameters->force.num_energy_groups : 1;
    if (baths == state->spec.num_temperature_groups && groups == state->spec.num_energy_groups)
        return 0;
    return gd_err_set(err, GD_E_CONFLICT,
                      "the input has %u baths and %u energy groups, the State was made for %u and %u; load it with "
                      "num_temperature_groups=%u and num_energy_groups=%u",
                      baths, groups, state->spec.num_temperature_groups, state->spec.num_energy_groups, baths, groups);
}

static int make_order(struct gd_request *request, struct gd_job_order *order, struct gd_err *err)
{
    order->steps = gd_arg(request, GD_JOB_START_STEPS)->integer;
    order->publish_every = gd_arg(request, GD_JOB_START_PUBLISH_EVERY)->integer;
    order->threads = (int)gd_arg(request, GD_JOB_START_THREADS)->integer;
    order->continue_run = gd_arg(request, GD_JOB_START_CONTINUE_RUN)->truth;
    order->resume = gd_arg(request, GD_JOB_START_RESUME)->truth;
    int code = take_texts(request, order, err);
    return code != 0 ? code : take_paths(request, order, err);
}

int gd_cmd_job_start(struct gd_request *request, struct gd_err *err)
{
    struct gd_job_order order = {0};
    struct gd_job_spec spec = {0};
    uint64_t number = 0;
    const struct gd_topology *topology =
        gd_topologies_find(request->service, request->session, (uint64_t)gd_arg(request, GD_JOB_START_TOPOLOGY)->integer, err);
    if (topology == NULL)
        return GD_E_NOT_FOUND;
    int code = make_order(request, &order, err);
    if (code == 0)
        code = gd_job_spec_read(&spec, &order, topology, request->state->spec.num_atoms, &request->faults, err);
    if (code == 0)
        code = check_groups(request->state, spec.parameters, err);
    if (code == 0)
        code = take_start(request, &spec, err);
    if (code != 0) {
        gd_job_spec_clear(&spec);
        return code;
    }
    code = gd_jobs_start(request->service->jobs, request->state, request->session, &spec, &number, err);
    if (code != 0)
        return code;
    /* Whoever attaches before the first step is published finds a frame (the job asks for the lease in a later turn of the loop);
     * without memory for one the run goes on all the same. */
    (void)gd_edit_first_frame(request->service, request->state, NULL);
    gd_reply_int(&request->reply, "job", (int64_t)number);
    return 0;
}

/* ---- watching and steering ---- */

static struct gd_job *find(struct gd_request *request, unsigned argument, struct gd_err *err)
{
    return gd_jobs_find(request->service->jobs, (uint64_t)gd_arg(request, argument)->integer, err);
}

int gd_cmd_job_list(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    gd_jobs_pack_all(request->service->jobs, request);
    return 0;
}

int gd_cmd_job_describe(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_DESCRIBE_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    gd_job_reply(job, request);
    return 0;
}

int gd_cmd_job_energies(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_ENERGIES_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    return gd_job_reply_energies(job, request, (uint64_t)gd_arg(request, GD_JOB_ENERGIES_AFTER)->integer,
                                 (size_t)gd_arg(request, GD_JOB_ENERGIES_LIMIT)->integer, err);
}

int gd_cmd_job_log(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_LOG_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    gd_job_reply_log(job, request, (uint64_t)gd_arg(request, GD_JOB_LOG_AFTER)->integer,
                     (size_t)gd_arg(request, GD_JOB_LOG_LIMIT)->integer);
    return 0;
}

int gd_cmd_job_wait(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_WAIT_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    request->deadline_ns = request->started_ns + (uint64_t)(gd_arg(request, GD_JOB_WAIT_TIMEOUT)->real * 1e9);
    gd_job_wait(job, request);
    return 0;
}

int gd_cmd_job_pause(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_PAUSE_JOB, err);
    return job == NULL ? GD_E_NOT_FOUND : gd_job_pause(job, err);
}

int gd_cmd_job_resume(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_RESUME_JOB, err);
    return job == NULL ? GD_E_NOT_FOUND : gd_job_resume(job, err);
}

int gd_cmd_job_cancel(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_CANCEL_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    gd_job_cancel(job);
    return 0;
}

static double real_or_nan(const struct gd_value *value)
{
    return value->present ? value->real : NAN;
}

static int64_t integer_or_none(const struct gd_value *value)
{
    return value->present ? value->integer : -1;
}

int gd_cmd_job_change(struct gd_request *request, struct gd_err *err)
{
    struct gd_job *job = find(request, GD_JOB_CHANGE_JOB, err);
    if (job == NULL)
        return GD_E_NOT_FOUND;
    struct gd_job_change change = {
        .bath = (size_t)gd_arg(request, GD_JOB_CHANGE_BATH)->integer,
        .temperature = real_or_nan(gd_arg(request, GD_JOB_CHANGE_TEMPERATURE)),
        .tau = real_or_nan(gd_arg(request, GD_JOB_CHANGE_TAU)),
        .pressure = real_or_nan(gd_arg(request, GD_JOB_CHANGE_PRESSURE)),
        .publish_every = integer_or_none(gd_arg(request, GD_JOB_CHANGE_PUBLISH_EVERY)),
        .energies_every = integer_or_none(gd_arg(request, GD_JOB_CHANGE_ENERGIES_EVERY)),
        .positions_every = integer_or_none(gd_arg(request, GD_JOB_CHANGE_POSITIONS_EVERY)),
    };
    return gd_job_change(job, &change, err);
}
