/* Commands about States: life, description, whole-array access, files. */
#include "core/box.h"
#include "core/configuration.h"
#include "core/frames.h"
#include "core/state.h"
#include "core/uuid.h"
#include "io/configuration.h"
#include "kernels/compute.h"
#include "service/events.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/registering.h"
#include "service/remote_leases.h"
#include "service/request.h"
#include "service/results.h"
#include "service/service.h"
#include "service/session.h"
#include "service/waits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum gd_dtype dtype_of(const struct gd_value *value)
{
    return strcmp(value->text.data, "float64") == 0 ? GD_FLOAT64 : GD_FLOAT32;
}

static const char *text_or_null(const struct gd_value *value)
{
    return value->present ? value->text.data : NULL;
}

static int reply_state(struct gd_request *request)
{
    gd_pack_str(&request->reply.packer, "state");
    request->reply.fields++;
    gd_pack_state(&request->reply.packer, request->state, request->started_ns);
    return 0;
}

/* ---- life ---- */

static int make_state(struct gd_request *request, const struct gd_state_spec *spec, const char *name, struct gd_err *err)
{
    return gd_state_create(&request->made, spec, name, gd_registry_ring_id(&request->service->registry), request->started_ns, err);
}

int gd_cmd_state_create(struct gd_request *request, struct gd_err *err)
{
    struct gd_state_spec spec = {
        .num_atoms = (size_t)gd_arg(request, GD_STATE_CREATE_NUM_ATOMS)->integer,
        .num_temperature_groups = (uint32_t)gd_arg(request, GD_STATE_CREATE_NUM_TEMPERATURE_GROUPS)->integer,
        .num_energy_groups = (uint32_t)gd_arg(request, GD_STATE_CREATE_NUM_ENERGY_GROUPS)->integer,
        .dtype = dtype_of(gd_arg(request, GD_STATE_CREATE_DTYPE)),
        .slots = (uint32_t)gd_arg(request, GD_STATE_CREATE_SLOTS)->integer,
        .frame_forces = gd_arg(request, GD_STATE_CREATE_FRAME_FORCES)->truth,
    };
    return make_state(request, &spec, text_or_null(gd_arg(request, GD_STATE_CREATE_NAME)), err);
}

/* Early refusals, on the loop thread, before a worker makes anything. */
int gd_register_check_request(struct gd_request *request, struct gd_err *err)
{
    if (request->command->handler == gd_cmd_state_create) {
        struct gd_state_spec spec = {
            .num_atoms = (size_t)gd_arg(request, GD_STATE_CREATE_NUM_ATOMS)->integer,
            .num_temperature_groups = (uint32_t)gd_arg(request, GD_STATE_CREATE_NUM_TEMPERATURE_GROUPS)->integer,
            .num_energy_groups = (uint32_t)gd_arg(request, GD_STATE_CREATE_NUM_ENERGY_GROUPS)->integer,
            .dtype = dtype_of(gd_arg(request, GD_STATE_CREATE_DTYPE)),
        };
        return gd_register_check(request->service, request->session, &spec, text_or_null(gd_arg(request, GD_STATE_CREATE_NAME)), err);
    }
    if (request->command->handler == gd_cmd_state_clone)
        return gd_register_check(request->service, request->session, &request->state->spec,
                                 text_or_null(gd_arg(request, GD_STATE_CLONE_NAME)), err);
    return 0;
}

static void copy_extras(struct gd_state *to, const struct gd_state *from)
{
    to->masses_set = from->masses_set;
    size_t bytes = (from->num_molecules + 1) * sizeof(int32_t);
    if (from->molecules != NULL && (to->molecules = malloc(bytes)) != NULL) {
        memcpy(to->molecules, from->molecules, bytes);
        to->num_molecules = from->num_molecules;
    }
}

int gd_cmd_state_clone(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *from = request->state;
    int code = make_state(request, &from->spec, text_or_null(gd_arg(request, GD_STATE_CLONE_NAME)), err);
    if (code != 0)
        return code;
    struct gd_state *to = request->made;
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        memcpy(gd_state_array(to, (enum gd_array)a), gd_state_array(from, (enum gd_array)a),
               gd_state_array_bytes(&from->spec, (enum gd_array)a));
    gd_state_small(from, &gd_state_header(to)->small);
    copy_extras(to, from);
    return 0;
}

int gd_cmd_state_delete(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    uint32_t holder = gd_lease_holder(&state->lease, gd_state_header(state));
    int job_holds = holder == GD_LEASE_DAEMON && gd_jobs_has(request->service->jobs, state); /* it is cancelled */
    if (holder != 0 && !job_holds && holder != request->session->number && !gd_arg(request, GD_STATE_DELETE_FORCE)->truth)
        return gd_err_set(err, GD_E_CONFLICT, "session %u holds the State's write lease; delete it with force, or wait", holder);
    gd_unregister_state(request->service, state, "deleted");
    return 0;
}

int gd_cmd_state_rename(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    int code = gd_registry_rename(&request->service->registry, state, gd_arg(request, GD_STATE_RENAME_NAME)->text.data, err);
    if (code == 0) {
        gd_keep_update(request->service->keep, state);
        gd_events_tell(request->service, state, &(struct gd_state_event){"renamed", request->session->number, "it has another name"});
    }
    if (code == 0 && state->name[0] == '\0' && state->num_handles == 0)
        gd_unregister_state(request->service, state, "it has neither a name nor a handle");
    return code;
}

int gd_cmd_state_open(struct gd_request *request, struct gd_err *err)
{
    int code = gd_session_open_state(request->service, request->session, request->state, NULL, err);
    return code != 0 ? code : reply_state(request);
}

int gd_cmd_state_close(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    gd_session_close_state(request->service, request->session, request->state);
    return 0;
}

/* ---- description ---- */

int gd_cmd_state_describe(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    request->reply.fields += GD_STATE_FIELDS;
    gd_pack_state_fields(&request->reply.packer, request->state, request->started_ns);
    return 0;
}

int gd_cmd_state_list(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    const struct gd_registry *registry = &request->service->registry;
    gd_reply_list(&request->reply, "states", registry->by_uuid.used);
    size_t cursor = 0;
    const struct gd_state *state;
    while ((state = gd_table_next(&registry->by_uuid, &cursor)) != NULL)
        gd_pack_state(&request->reply.packer, state, request->started_ns);
    return 0;
}

int gd_cmd_state_frames(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    const struct gd_ring *ring = request->state->ring;
    uint64_t sequences[GD_MAX_SLOTS];
    uint32_t slots[GD_MAX_SLOTS], count = 0;
    for (uint32_t slot = 0; ring != NULL && slot < ring->header->num_slots; slot++) {
        uint64_t sequence = atomic_load(&ring->header->sequence[slot]);
        if (sequence == 0)
            continue;
        uint32_t at = count++;
        for (; at > 0 && sequences[at - 1] > sequence; at--) {
            sequences[at] = sequences[at - 1];
            slots[at] = slots[at - 1];
        }
        sequences[at] = sequence;
        slots[at] = slot;
    }
    gd_reply_list(&request->reply, "frames", count);
    msgpack_packer *packer = &request->reply.packer;
    for (uint32_t i = 0; i < count; i++) {
        const struct gd_frame_header *frame =
            (const void *)((const char *)ring->segment.base + ring->header->slot_offset + slots[i] * ring->header->slot_stride);
        msgpack_pack_map(packer, 4);
        gd_pack_str(packer, "sequence");
        msgpack_pack_uint64(packer, sequences[i]);
        gd_pack_str(packer, "version");
        msgpack_pack_uint64(packer, frame->version);
        gd_pack_str(packer, "step");
        msgpack_pack_int64(packer, frame->small.step);
        gd_pack_str(packer, "time");
        msgpack_pack_double(packer, frame->small.time);
    }
    return 0;
}

/* ---- whole arrays ---- */

/* `arrays` as a mask of GD_ARRAY_BIT. */
static int wanted_arrays(const msgpack_object_array *list, uint32_t *mask, struct gd_err *err)
{
    *mask = 0;
    for (uint32_t i = 0; i < list->size; i++) {
        const msgpack_object *name = &list->ptr[i];
        int a = 0;
        while (a < GD_ARRAY_COUNT && !(name->type == MSGPACK_OBJECT_STR && name->via.str.size == strlen(gd_array_name((enum gd_array)a)) &&
                                       memcmp(name->via.str.ptr, gd_array_name((enum gd_array)a), name->via.str.size) == 0))
            a++;
        if (a == GD_ARRAY_COUNT)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'arrays': element %u is none of positions, velocities, forces, masses, energies",
                              i);
        *mask |= GD_ARRAY_BIT(a);
    }
    return 0;
}

static struct gd_result_array describe_array(const struct gd_state *state, enum gd_array array)
{
    struct gd_result_array out = {.name = gd_array_name(array), .element = GD_ELEMENT_F8, .dimensions = 1};
    size_t bytes = gd_state_array_bytes(&state->spec, array);
    if (array <= GD_FORCES) {
        out.element = state->spec.dtype == GD_FLOAT32 ? GD_ELEMENT_F4 : GD_ELEMENT_F8;
        out.dimensions = 2;
        out.shape[0] = state->spec.num_atoms;
        out.shape[1] = 3;
    } else {
        out.shape[0] = bytes / sizeof(double);
    }
    return out;
}

#define FRAME_BYTES (4u << 20) /* copied on the loop thread although the lease is free */

/* Readers do not wait for who writes, nor keep them waiting: where the newest frame is the newest commit and carries what is
 * asked for, that is the answer. A large one is copied here, on the loop thread, only if the lease is taken. */
int gd_state_get_finds_frame(struct gd_request *request)
{
    const struct gd_state *state = request->state;
    struct gd_err unused; /* the handler says what is wrong */
    uint32_t mask;
    if (state->ring == NULL || wanted_arrays(&gd_arg(request, GD_STATE_GET_ARRAYS)->list, &mask, &unused) != 0 ||
        gd_frames_newest(state->ring->header, &request->frame) != 0 || request->frame.header->version != gd_state_version(state))
        return 0;
    size_t bytes = 0;
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        if ((mask & GD_ARRAY_BIT(a)) == 0)
            continue;
        if (request->frame.array[a] == NULL)
            return 0;
        bytes += gd_state_array_bytes(&state->spec, (enum gd_array)a);
    }
    request->has_frame = bytes <= FRAME_BYTES || gd_lease_holder(&state->lease, gd_state_header(state)) != 0;
    return request->has_frame;
}

int gd_cmd_state_get(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    struct gd_reply *reply = &request->reply;
    uint32_t mask;
    int code = wanted_arrays(&gd_arg(request, GD_STATE_GET_ARRAYS)->list, &mask, err);
    if (code != 0)
        return code;
    /* A client's commit may come between the choice of the frame and this line. */
    uint64_t version = request->has_frame ? request->frame.header->version : gd_state_version(state);
    if ((int64_t)version <= gd_arg(request, GD_STATE_GET_NEWER_THAN)->integer)
        mask = 0;
    struct gd_result_array arrays[GD_ARRAY_COUNT];
    unsigned count = 0;
    size_t bytes = 0;
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        if ((mask & GD_ARRAY_BIT(a)) == 0)
            continue;
        arrays[count] = describe_array(state, (enum gd_array)a);
        arrays[count++].offset = bytes;
        bytes += (size_t)gd_round_up(gd_state_array_bytes(&state->spec, (enum gd_array)a), 64);
    }
    struct gd_result_buffer buffer;
    if (count > 0 && (code = gd_result_allocate(&buffer, request, bytes, err)) != 0)
        return code;
    for (int a = 0, k = 0; a < GD_ARRAY_COUNT; a++) {
        if (mask & GD_ARRAY_BIT(a))
            memcpy((char *)buffer.data + arrays[k++].offset,
                   request->has_frame ? request->frame.array[a] : gd_state_array(state, (enum gd_array)a),
                   gd_state_array_bytes(&state->spec, (enum gd_array)a));
    }
    struct gd_small small;
    gd_state_small(state, &small);
    if (request->has_frame)
        small = request->frame.header->small;
    gd_reply_int(reply, "version", (int64_t)version);
    gd_reply_int(reply, "generation", (int64_t)state->generation);
    gd_reply_int(reply, "step", small.step);
    gd_reply_real(reply, "time", small.time);
    gd_reply_box(reply, "box", &small.box);
    if (count > 0)
        gd_result_reply_map(request, "arrays", &buffer, arrays, count);
    else
        gd_reply_map(reply, "arrays", 0);
    return 0;
}

/* The frame with this sequence, if it still stands in the ring. Only the loop thread overwrites frames, and it is here. */
static int find_frame(const struct gd_state *state, uint64_t sequence, struct gd_frame_view *out, struct gd_err *err)
{
    const struct gd_frames_header *ring = state->ring != NULL ? state->ring->header : NULL;
    if (ring != NULL && gd_frames_find(ring, sequence, out) == 0)
        return 0;
    uint64_t newest = ring != NULL ? GD_NEWEST_SEQUENCE(atomic_load(&ring->newest)) : 0;
    return gd_err_set(err, GD_E_NOT_FOUND, "frame %llu is not in the ring (any more); the newest is %llu", (unsigned long long)sequence,
                      (unsigned long long)newest);
}

static void copy_rows(void *out, const void *in, size_t row, const int32_t *atoms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy((char *)out + i * row, (const char *)in + (size_t)atoms[i] * row, row);
}

int gd_cmd_state_frame(struct gd_request *request, struct gd_err *err)
{
    const struct gd_state *state = request->state;
    const struct gd_value *atoms = gd_arg(request, GD_STATE_FRAME_ATOMS);
    size_t n = state->spec.num_atoms, count = atoms->present ? atoms->array.shape[0] : n;
    struct gd_frame_view frame;
    uint32_t mask;
    int code = wanted_arrays(&gd_arg(request, GD_STATE_FRAME_ARRAYS)->list, &mask, err);
    if (code == 0)
        code = find_frame(state, (uint64_t)gd_arg(request, GD_STATE_FRAME_SEQUENCE)->integer, &frame, err);
    if (code != 0)
        return code;
    size_t bad = atoms->present ? request->service->kernels.check_indices(atoms->array.data, count, n) : count;
    if (bad < count)
        return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "'atoms': element %zu is %d; the State has %zu atoms", bad,
                          ((const int32_t *)atoms->array.data)[bad], n);
    struct gd_result_array arrays[GD_ARRAY_COUNT];
    const void *from[GD_ARRAY_COUNT];
    unsigned found = 0;
    size_t bytes = 0, row = 3 * (size_t)state->spec.dtype;
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        if ((mask & GD_ARRAY_BIT(a)) == 0 || frame.array[a] == NULL)
            continue;
        from[found] = frame.array[a];
        arrays[found] = describe_array(state, (enum gd_array)a);
        if (a <= GD_FORCES)
            arrays[found].shape[0] = count;
        arrays[found++].offset = bytes;
        bytes += (size_t)gd_round_up(a <= GD_FORCES ? count * row : gd_state_array_bytes(&state->spec, (enum gd_array)a), 64);
    }
    struct gd_result_buffer buffer;
    if (found > 0 && (code = gd_result_allocate(&buffer, request, bytes, err)) != 0)
        return code;
    for (unsigned k = 0; k < found; k++) {
        char *out = (char *)buffer.data + arrays[k].offset;
        if (arrays[k].dimensions == 2 && atoms->present)
            copy_rows(out, from[k], row, atoms->array.data, count);
        else
            memcpy(out, from[k], arrays[k].dimensions == 2 ? count * row : arrays[k].shape[0] * sizeof(double));
    }
    gd_reply_int(&request->reply, "version", (int64_t)frame.header->version);
    gd_reply_int(&request->reply, "step", frame.header->small.step);
    gd_reply_real(&request->reply, "time", frame.header->small.time);
    gd_reply_box(&request->reply, "box", &frame.header->small.box);
    if (found > 0)
        gd_result_reply_map(request, "arrays", &buffer, arrays, found);
    else
        gd_reply_map(&request->reply, "arrays", 0);
    return 0;
}

/* One array of state.set: what it must be like. Nothing is written yet. */
static int check_array(const struct gd_request *request, enum gd_array array, const struct gd_value *value, struct gd_err *err)
{
    const struct gd_state *state = request->state;
    if (!value->present)
        return 0;
    size_t columns = array <= GD_FORCES ? 3 : 1;
    size_t rows = array == GD_ENERGIES ? gd_state_array_bytes(&state->spec, array) / sizeof(double) : state->spec.num_atoms;
    const struct gd_array_value *given = &value->array;
    if (given->shape[0] != rows) {
        if (columns == 3)
            return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s' has shape (%zu, 3); the State's is (%zu, 3)", gd_array_name(array),
                              given->shape[0], rows);
        return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s' has shape (%zu,); the State's is (%zu,)", gd_array_name(array), given->shape[0],
                          rows);
    }
    enum gd_dtype dtype = given->element == GD_ELEMENT_F4 ? GD_FLOAT32 : GD_FLOAT64;
    int code = gd_compute_check_finite(&request->service->kernels, dtype, given->data, rows, columns, gd_array_name(array), err);
    if (code != 0)
        return code;
    for (size_t i = 0; array == GD_MASSES && i < rows; i++) {
        double mass = dtype == GD_FLOAT32 ? (double)((const float *)given->data)[i] : ((const double *)given->data)[i];
        if (!(mass > 0.0))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'masses': element %zu is %g u; masses are above 0", i, mass);
    }
    return 0;
}

/* A double that does not fit a float State would become infinite. */
static int check_narrowing(const struct gd_request *request, enum gd_array array, const struct gd_value *value, struct gd_err *err)
{
    if (!value->present || array > GD_FORCES || request->state->spec.dtype != GD_FLOAT32 || value->array.element != GD_ELEMENT_F8)
        return 0;
    const double *x = value->array.data;
    for (size_t i = 0; i < 3 * request->state->spec.num_atoms; i++) {
        if (fabs(x[i]) > (double)__FLT_MAX__)
            return gd_err_set(err, GD_E_NOT_FINITE, "'%s': row %zu has %g, beyond the range of float32", gd_array_name(array), i / 3, x[i]);
    }
    return 0;
}

static void write_array(const struct gd_request *request, enum gd_array array, const struct gd_value *value)
{
    if (!value->present)
        return;
    const struct gd_state *state = request->state;
    enum gd_dtype to = array <= GD_FORCES ? state->spec.dtype : GD_FLOAT64;
    enum gd_dtype from = value->array.element == GD_ELEMENT_F4 ? GD_FLOAT32 : GD_FLOAT64;
    size_t count = gd_state_array_bytes(&state->spec, array) / (size_t)to;
    gd_compute_convert(&request->service->kernels, to, gd_state_array(state, array), from, value->array.data, count);
}

int gd_cmd_state_set(struct gd_request *request, struct gd_err *err)
{
    static const unsigned args[GD_ARRAY_COUNT] = {GD_STATE_SET_POSITIONS, GD_STATE_SET_VELOCITIES, GD_STATE_SET_FORCES, GD_STATE_SET_MASSES,
                                                  GD_STATE_SET_ENERGIES};
    struct gd_live_header *live = gd_state_header(request->state);
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        int code = check_array(request, (enum gd_array)a, gd_arg(request, args[a]), err);
        if (code == 0)
            code = check_narrowing(request, (enum gd_array)a, gd_arg(request, args[a]), err);
        if (code != 0)
            return code;
    }
    uint32_t dirty = GD_DIRTY_SMALL;
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        dirty |= gd_arg(request, args[a])->present ? GD_ARRAY_BIT(a) : 0;
    gd_state_begin_write(request->state, dirty, gd_keep_used(request->service->keep));
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        write_array(request, (enum gd_array)a, gd_arg(request, args[a]));
    if (gd_arg(request, GD_STATE_SET_BOX)->present)
        live->small.box = gd_arg(request, GD_STATE_SET_BOX)->box;
    if (gd_arg(request, GD_STATE_SET_STEP)->present)
        live->small.step = gd_arg(request, GD_STATE_SET_STEP)->integer;
    if (gd_arg(request, GD_STATE_SET_TIME)->present)
        live->small.time = gd_arg(request, GD_STATE_SET_TIME)->real;
    if (gd_arg(request, GD_STATE_SET_MASSES)->present)
        request->state->masses_set = 1;
    request->changed = 1;
    request->publish = gd_arg(request, GD_STATE_SET_PUBLISH)->truth;
    return 0;
}

int gd_cmd_state_set_molecules(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    const struct gd_array_value *starts = &gd_arg(request, GD_STATE_SET_MOLECULES_STARTS)->array;
    if (starts->shape[0] < 2)
        return gd_err_set(err, GD_E_INVALID_SHAPE, "'starts' has %zu elements; one molecule needs two, 0 and the number of atoms",
                          starts->shape[0]);
    size_t molecules = starts->shape[0] - 1;
    int code = gd_compute_check_molecules(starts->data, molecules, state->spec.num_atoms, err);
    if (code != 0)
        return code;
    int32_t *copy = malloc(starts->bytes);
    if (copy == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu molecules", molecules);
    memcpy(copy, starts->data, starts->bytes);
    free(state->molecules);
    state->molecules = copy;
    state->num_molecules = molecules;
    gd_keep_renew(request->service->keep, state);
    return 0;
}

/* ---- files ---- */

static int check_path(const char *path, struct gd_err *err)
{
    if (path[0] == '/')
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'path' is '%s'; the daemon has its own working folder, so it must be absolute", path);
}

static void fill_from(struct gd_request *request, struct gd_state *state, const struct gd_configuration *conf)
{
    const struct gd_kernels *kernels = &request->service->kernels;
    size_t count = 3 * conf->num_atoms;
    gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_POSITIONS), GD_FLOAT64, conf->position, count);
    if (conf->velocity != NULL)
        gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), GD_FLOAT64, conf->velocity, count);
    struct gd_small *small = &gd_state_header(state)->small;
    small->box = conf->box;
    small->step = conf->step;
    small->time = conf->time;
}

/* A State with what a file holds; the configuration becomes its origin, or is freed. */
static int make_from(struct gd_request *request, struct gd_configuration *conf, const char *file, struct gd_state_spec spec,
                     const char *name, struct gd_err *err)
{
    spec.num_atoms = conf->num_atoms;
    int code = gd_box_check(&conf->box, err);
    if (code == 0)
        code = make_state(request, &spec, name, err);
    if (code != 0) {
        gd_configuration_destroy(&conf);
        return gd_err_context(err, "%s", file), code;
    }
    fill_from(request, request->made, conf);
    request->made->origin = conf; /* for its labels */
    return 0;
}

int gd_cmd_state_load(struct gd_request *request, struct gd_err *err)
{
    const char *path = gd_arg(request, GD_STATE_LOAD_PATH)->text.data;
    struct gd_configuration *conf = NULL;
    int code = check_path(path, err);
    if (code == 0)
        code = gd_io_read_configuration(path, &conf, err);
    if (code != 0)
        return code;
    struct gd_state_spec spec = {
        .num_temperature_groups = (uint32_t)gd_arg(request, GD_STATE_LOAD_NUM_TEMPERATURE_GROUPS)->integer,
        .num_energy_groups = (uint32_t)gd_arg(request, GD_STATE_LOAD_NUM_ENERGY_GROUPS)->integer,
        .dtype = dtype_of(gd_arg(request, GD_STATE_LOAD_DTYPE)),
    };
    return make_from(request, conf, path, spec, text_or_null(gd_arg(request, GD_STATE_LOAD_NAME)), err);
}

int gd_cmd_state_read(struct gd_request *request, struct gd_err *err)
{
    const struct gd_array_value *data = &gd_arg(request, GD_STATE_READ_DATA)->array;
    const char *file = gd_arg(request, GD_STATE_READ_FILE)->text.data;
    struct gd_configuration *conf = NULL;
    if (data->element != GD_ELEMENT_U1)
        return gd_err_set(err, GD_E_INVALID_DTYPE, "'data' holds the bytes of a file: its dtype must be u1");
    int code = gd_io_read_configuration_memory(file, data->data, data->bytes, &conf, NULL, err);
    if (code != 0)
        return code;
    struct gd_state_spec spec = {
        .num_temperature_groups = (uint32_t)gd_arg(request, GD_STATE_READ_NUM_TEMPERATURE_GROUPS)->integer,
        .num_energy_groups = (uint32_t)gd_arg(request, GD_STATE_READ_NUM_ENERGY_GROUPS)->integer,
        .dtype = dtype_of(gd_arg(request, GD_STATE_READ_DTYPE)),
    };
    return make_from(request, conf, file, spec, text_or_null(gd_arg(request, GD_STATE_READ_NAME)), err);
}

/* The State's origin (or a configuration without labels) with the present numbers in it. Under the lease, so alone. */
static int fill_origin(struct gd_request *request, const char *title, struct gd_err *err)
{
    struct gd_state *state = request->state;
    const struct gd_kernels *kernels = &request->service->kernels;
    int code = state->origin == NULL ? gd_configuration_create(&state->origin, state->spec.num_atoms, err) : 0;
    if (code == 0)
        code = gd_configuration_add(state->origin, GD_CONF_VELOCITY, err);
    if (code == 0)
        code = gd_configuration_set_title(state->origin, title, err);
    if (code != 0)
        return code;
    struct gd_configuration *conf = state->origin;
    struct gd_small small;
    gd_state_small(state, &small);
    gd_compute_convert(kernels, GD_FLOAT64, conf->position, state->spec.dtype, gd_state_array(state, GD_POSITIONS), 3 * conf->num_atoms);
    gd_compute_convert(kernels, GD_FLOAT64, conf->velocity, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), 3 * conf->num_atoms);
    conf->box = small.box;
    conf->has_box = 1;
    conf->has_time = 1;
    conf->step = small.step;
    conf->time = small.time;
    return 0;
}

int gd_cmd_state_save(struct gd_request *request, struct gd_err *err)
{
    const char *path = gd_arg(request, GD_STATE_SAVE_PATH)->text.data;
    int code = check_path(path, err);
    if (code == 0)
        code = fill_origin(request, gd_arg(request, GD_STATE_SAVE_TITLE)->text.data, err);
    return code != 0 ? code : gd_io_write_configuration(path, request->state->origin, err);
}
