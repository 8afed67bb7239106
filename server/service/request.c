#include "service/request.h"

#include "core/check.h"
#include "core/log.h"
#include "service/door_calls.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/registering.h"
#include "service/remote_leases.h"
#include "service/results.h"
#include "service/router.h"
#include "service/service.h"
#include "service/session.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_FREE 64 /* requests kept for reuse, with their zones */
#define INLINE_PAIRS 1000000u
#define DEFAULT_TIMEOUT_NS 10000000000ull

/* ---- making and freeing ---- */

struct gd_request *gd_request_new(struct gd_service *service)
{
    struct gd_request *request = service->free_requests;
    if (request != NULL) {
        service->free_requests = request->next;
        service->num_free_requests--;
    } else {
        request = calloc(1, sizeof *request);
        if (request == NULL)
            return NULL;
        if (!msgpack_zone_init(&request->zone, 4096)) {
            free(request);
            return NULL;
        }
        gd_reply_init(&request->reply);
    }
    request->magic = GD_REQUEST_MAGIC;
    request->service = service;
    request->next = NULL;
    request->session = NULL;
    request->from.line = NULL;
    request->raw.count = 0;
    request->arguments = NULL;
    request->in_place = 0;
    request->id = 0;
    request->has_id = 0;
    request->command = NULL;
    request->state = request->other = request->made = NULL;
    request->waiter.lease = NULL;
    request->has_lease = request->changed = request->publish = request->deferred = 0;
    request->version = 0;
    request->has_frame = 0;
    request->code = 0;
    request->result = GD_RESULT_NONE;
    request->result_number = 0;
    gd_err_clear(&request->err);
    memset(&request->faults, 0, sizeof request->faults);
    zmq_msg_init(&request->map);
    service->in_flight++;
    return request;
}

static void really_free(struct gd_request *request)
{
    gd_reply_free(&request->reply);
    msgpack_zone_destroy(&request->zone);
    request->magic = 0;
    free(request);
}

static void give_back(struct gd_request *request)
{
    struct gd_service *service = request->service;
    GD_CHECK(request->waiter.lease == NULL);
    zmq_msg_close(&request->map);
    for (unsigned i = 0; i < request->raw.count; i++)
        zmq_msg_close(&request->parts[i]);
    gd_state_unref(&request->state);
    gd_state_unref(&request->other);
    gd_state_unref(&request->made);
    gd_messages_clear(&request->faults);
    free(request->arguments);
    gd_result_drop(&request->result);
    if (request->session != NULL) {
        request->session->in_flight--;
        request->session->arguments_read -= (size_t)request->in_place;
        gd_session_unref(&request->session);
    }
    service->in_flight--;
    if (service->num_free_requests >= KEEP_FREE || request->reply.map.alloc > 65536) {
        really_free(request);
        return;
    }
    gd_reply_free(&request->reply);
    gd_reply_init(&request->reply);
    msgpack_zone_clear(&request->zone);
    request->next = service->free_requests;
    service->free_requests = request;
    service->num_free_requests++;
}

void gd_request_free_all(struct gd_service *service)
{
    while (service->free_requests != NULL) {
        struct gd_request *request = service->free_requests;
        service->free_requests = request->next;
        really_free(request);
    }
    service->num_free_requests = 0;
}

/* ---- answering ---- */

void gd_request_count(struct gd_service *service, const struct gd_command *command, int code, uint64_t started_ns)
{
    service->requests++;
    service->request_errors += code != 0;
    if (command == NULL)
        return;
    struct gd_command_stats *stats = &service->command_stats[command - gd_commands];
    stats->count++;
    stats->errors += code != 0;
    stats->microseconds += (gd_now_ns() - started_ns) / 1000;
}

static void send_answer(struct gd_request *request, msgpack_sbuffer *map, struct gd_reply *reply)
{
    if (request->from.line != NULL)
        gd_door_call_answer(request->from.line, request->id, map, reply);
    else
        gd_router_send(&request->from, map, reply);
}

void gd_request_answer(struct gd_request *request)
{
    GD_MAGIC_CHECK(request, GD_REQUEST_MAGIC);
    if (request->code == 0 && request->reply.failed)
        request->code = gd_err_set(&request->err, GD_E_OUT_OF_MEMORY, "no memory for the reply");
    if (request->code == 0)
        request->code = gd_result_register(request);
    if (request->code == GD_E_OUT_OF_MEMORY)
        gd_results_release_idle(request->service); /* the next try may have it */
    gd_request_count(request->service, request->command, request->code, request->started_ns);
    msgpack_sbuffer map;
    msgpack_sbuffer_init(&map);
    if (request->code == 0) {
        gd_codec_finish(&map, request->id, &request->reply);
        send_answer(request, &map, &request->reply);
    } else {
        gd_log_debug("request", "%s: %s", request->command != NULL ? request->command->name : "?", request->err.text);
        gd_codec_error(&map, request->id, &request->err, &request->faults);
        send_answer(request, &map, NULL);
    }
    msgpack_sbuffer_destroy(&map);
    give_back(request);
}

static void answer_error(struct gd_request *request, int code)
{
    request->code = code;
    gd_request_answer(request);
}

/* ---- after the handler: commit, register, release ---- */

static void release_lease(struct gd_request *request)
{
    if (!request->has_lease)
        return;
    request->has_lease = 0;
    gd_edit_release(request->service, request->state, GD_LEASE_DAEMON);
}

static int register_made(struct gd_request *request)
{
    int code = gd_register_state(request->service, request->session, request->made, NULL, &request->err);
    if (code != 0)
        return code;
    gd_pack_str(&request->reply.packer, "state");
    request->reply.fields++;
    gd_pack_state(&request->reply.packer, request->made, gd_now_ns());
    return 0;
}

static void conclude(struct gd_request *request)
{
    release_lease(request);
    if (request->code == 0 && request->made != NULL)
        request->code = register_made(request);
    gd_request_answer(request);
}

static void committed(struct gd_publish *publish)
{
    struct gd_request *request = (struct gd_request *)((char *)publish - offsetof(struct gd_request, publish_job));
    GD_MAGIC_CHECK(request, GD_REQUEST_MAGIC);
    request->version = publish->version;
    gd_reply_int(&request->reply, "version", (int64_t)publish->version);
    conclude(request);
}

static void handled(struct gd_request *request)
{
    if (request->deferred)
        return;
    if (request->code == 0 && request->changed)
        gd_edit_commit(request->service, request->state, request->publish, &request->publish_job, committed);
    else
        conclude(request);
}

/* ---- the handler, here or on a worker ---- */

static void call_handler(struct gd_request *request)
{
    struct gd_running *running = &request->service->running;
    int slot = gd_running_begin(running, request->command->name, "of session", request->session != NULL ? request->session->number : 0);
    request->code = request->command->handler(request, &request->err);
    gd_running_end(running, slot);
}

static void work_on_worker(uv_work_t *work)
{
    call_handler(work->data);
}

static void worked_on_worker(uv_work_t *work, int status)
{
    GD_CHECK(status == 0);
    handled(work->data);
}

/* Whether the work is long enough for a worker. */
static int is_large(const struct gd_request *request)
{
    const struct gd_command *command = request->command;
    if (command->handler == gd_cmd_state_create)
        return gd_arg(request, GD_STATE_CREATE_NUM_ATOMS)->integer > GD_INLINE_ATOMS;
    size_t atoms = request->state->spec.num_atoms;
    size_t rows = atoms, pairs = 0;
    for (unsigned i = 0; i < command->num_args; i++) {
        const struct gd_value *value = &request->args[i];
        if (command->args[i].type != GD_FIELD_ARRAY || !value->present || command->args[i].kind != GD_KIND_INT)
            continue;
        rows = value->array.shape[0];
    }
    if (command->handler == gd_cmd_state_distance_array) {
        const struct gd_value *a = gd_arg(request, GD_STATE_DISTANCE_ARRAY_ATOMS_A), *b = gd_arg(request, GD_STATE_DISTANCE_ARRAY_ATOMS_B);
        pairs = (a->present ? a->array.shape[0] : atoms) * (b->present ? b->array.shape[0] : atoms);
    }
    return rows > GD_INLINE_ATOMS || pairs > INLINE_PAIRS;
}

/* A State that outlives this process must not be left half written by it. */
static int prepare_write(struct gd_request *request)
{
    if (!request->has_lease || request->command->lease != GD_LEASE_WRITE || !gd_keep_used(request->service->keep))
        return 0;
    uint32_t what = GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES);
    if (request->command->handler == gd_cmd_state_set)
        what |= (gd_arg(request, GD_STATE_SET_FORCES)->present ? GD_ARRAY_BIT(GD_FORCES) : 0) |
                (gd_arg(request, GD_STATE_SET_MASSES)->present ? GD_ARRAY_BIT(GD_MASSES) : 0) |
                (gd_arg(request, GD_STATE_SET_ENERGIES)->present ? GD_ARRAY_BIT(GD_ENERGIES) : 0);
    int code = gd_state_wants_undo(request->state, what) ? gd_edit_need_undo(request->service, request->state, &request->err) : 0;
    if (code == 0)
        gd_keep_sync(request->service->keep, request->state);
    return code;
}

static void run(struct gd_request *request)
{
    enum gd_run where = request->command->run;
    request->threads = 1;
    request->code = prepare_write(request);
    if (request->code != 0) {
        handled(request);
        return;
    }
    if (where == GD_RUN_WORKER || (where == GD_RUN_SIZE && is_large(request))) {
        request->work.data = request;
        request->threads = request->service->threads - gd_jobs_threads(request->service->jobs);
        if (uv_queue_work(request->service->loop, &request->work, work_on_worker, worked_on_worker) == 0)
            return;
        request->threads = 1;
    }
    call_handler(request);
    handled(request);
}

/* ---- the lease ---- */

static void on_granted(struct gd_edit_owner *owner)
{
    struct gd_request *request = (struct gd_request *)((char *)owner - offsetof(struct gd_request, owner));
    GD_MAGIC_CHECK(request, GD_REQUEST_MAGIC);
    request->has_lease = 1;
    run(request);
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    struct gd_request *request = (struct gd_request *)((char *)owner - offsetof(struct gd_request, owner));
    GD_MAGIC_CHECK(request, GD_REQUEST_MAGIC);
    if (code == GD_E_STATE_DELETED)
        gd_err_set(&request->err, code, "the State was deleted while the request waited for its lease");
    else
        gd_err_set(&request->err, code, "%s: somebody else held the State's write lease for the whole waiting time",
                   request->command->name);
    answer_error(request, code);
}

static uint64_t lease_deadline(const struct gd_request *request)
{
    for (unsigned i = 0; i < request->command->num_args; i++) {
        if (strcmp(request->command->args[i].name, "timeout") == 0)
            return request->started_ns + (uint64_t)(request->args[i].real * 1e9);
    }
    return request->started_ns + DEFAULT_TIMEOUT_NS;
}

/* Not so a clone and a checkpoint, which take a run's state along. */
static int only_looks(const struct gd_command *command)
{
    return command->lease == GD_LEASE_READ && command->handler != gd_cmd_state_checkpoint && command->handler != gd_cmd_state_clone;
}

/* Runs under the lease; a session that holds it itself may read in the middle of its own edit. Not into a checkpoint: that is of a commit,
 * and waits for the edit, which another thread of the session may be making. */
static void run_under_lease(struct gd_request *request)
{
    struct gd_state *state = request->state;
    uint32_t own = request->session->number;
    if (request->command->handler != gd_cmd_state_checkpoint && gd_lease_is_held_by(&state->lease, gd_state_header(state), own)) {
        int under_fence = request->command->handler == gd_cmd_state_set && !request->session->local;
        if (request->command->lease == GD_LEASE_READ) {
            run(request);
        } else if (under_fence) {
            uint64_t fence = (uint64_t)gd_arg(request, GD_STATE_SET_FENCE)->integer;
            int code = gd_remote_lease_check(request, fence, &request->err);
            if (code != 0) {
                answer_error(request, code);
                return;
            }
            gd_remote_lease_done(request->service, state->uuid);
            gd_lease_take_over(&state->lease, gd_state_header(state));
            request->has_lease = 1; /* the commit gives the lease back */
            run(request);
        } else {
            answer_error(request, gd_err_set(&request->err, GD_E_CONFLICT,
                                             "%s inside an edit of this session: finish the edit first, or "
                                             "change the arrays it hands out",
                                             request->command->name));
        }
        return;
    }
    if (request->command->handler == gd_cmd_state_set && gd_arg(request, GD_STATE_SET_FENCE)->integer != 0) {
        answer_error(request, gd_remote_lease_check(request, (uint64_t)gd_arg(request, GD_STATE_SET_FENCE)->integer, &request->err));
        return;
    }
    if (request->command->handler == gd_cmd_state_get && gd_state_get_finds_frame(request)) {
        call_handler(request);
        handled(request);
        return;
    }
    request->owner = (struct gd_edit_owner){on_granted, on_dropped};
    request->waiter =
        (struct gd_lease_waiter){.session = GD_LEASE_DAEMON, .managed = 1, .deadline = lease_deadline(request), .owner = &request->owner};
    int code = gd_lease_request(&state->lease, gd_state_header(state), &request->waiter, request->started_ns, &request->err);
    if (code < 0) {
        answer_error(request, code);
    } else if (code == GD_LEASE_GRANTED) {
        request->has_lease = 1;
        run(request);
    } else {
        gd_jobs_nudge(request->service->jobs, state, only_looks(request->command) ? GD_NUDGE_LOOK : GD_NUDGE_USE);
    }
}

/* ---- from the wire to the handler ---- */

static int find_state(struct gd_request *request, const struct gd_value *value, struct gd_state **out)
{
    struct gd_registry *registry = &request->service->registry;
    struct gd_state *state = value->state.name != NULL ? gd_registry_find(registry, value->state.name, &request->err)
                                                       : gd_registry_find_uuid(registry, value->state.uuid, &request->err);
    if (state == NULL && request->command->handler == gd_cmd_state_close &&
        value->state.name == NULL) { /* deleted, and held all the same */
        const struct gd_handle *handle = gd_table_get(&request->session->handles, value->state.uuid, sizeof value->state.uuid);
        state = handle != NULL ? handle->state : NULL;
    }
    if (state == NULL)
        return GD_E_NOT_FOUND;
    gd_state_ref(state);
    *out = state;
    return 0;
}

static int find_states(struct gd_request *request)
{
    const struct gd_command *command = request->command;
    for (unsigned i = 0; i < command->num_args; i++) {
        if (command->args[i].type != GD_FIELD_STATE || !request->args[i].present)
            continue;
        struct gd_state **slot = strcmp(command->args[i].name, "state") == 0 ? &request->state : &request->other;
        int code = find_state(request, &request->args[i], slot);
        if (code != 0)
            return code;
    }
    return 0;
}

static int check_session(struct gd_request *request)
{
    const struct gd_command *command = request->command;
    const struct gd_session *session = request->session;
    if (command->role == GD_ROLE_ANYONE)
        return 0;
    if (session == NULL)
        return gd_err_set(&request->err, GD_E_NOT_AUTHORIZED, "%s before hello: a connection says hello first", command->name);
    if (session->role < command->role)
        return gd_err_set(&request->err, GD_E_NOT_AUTHORIZED, "%s needs the role %s", command->name,
                          command->role == GD_ROLE_ADMIN ? "admin" : "writer");
    if (command->local && !session->local)
        return gd_err_set(&request->err, GD_E_NOT_AUTHORIZED, "%s is for sessions on the daemon's machine", command->name);
    if (session->in_flight > (size_t)request->service->settings.session_requests)
        return gd_err_set(&request->err, GD_E_TOO_MANY_REQUESTS, "the session has %zu requests in flight already", session->in_flight - 1);
    return 0;
}

static int memory_number(const msgpack_object_array *memory, uint32_t at, uint64_t *out)
{
    if (at >= memory->size || memory->ptr[at].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return -1;
    *out = memory->ptr[at].via.u64;
    return 0;
}

/* Commands whose handlers take every element from there once and check what they took; no array of them is converted or looked at before. */
static int reads_in_place(const struct gd_command *command)
{
    return command->handler == gd_cmd_state_distances;
}

/* Arrays that lie in the session's argument memory: [number, offset, bytes, offset, bytes, ...]. They are copied before anything looks at
 * them, since the client could change them after they were checked; except for handlers that mind that. */
static int take_arguments(struct gd_request *request, const msgpack_object_array *memory)
{
    static const char wanted[] =
        "'memory' must be [number, offset, bytes, ...] of the session's argument memory, with no parts behind the map";
    const struct gd_segment *from = &request->session->arguments;
    uint64_t number, offset = 0, bytes = 0, total = 0;
    unsigned count = (memory->size - 1) / 2;
    if (request->raw.count > 0 || memory->size % 2 == 0 || count > GD_PROTOCOL_MAX_PARTS - 1 || memory_number(memory, 0, &number) != 0)
        return gd_err_set(&request->err, GD_E_INVALID_MESSAGE, "%s", wanted);
    if (from->base == NULL || number != request->session->arguments_number)
        return gd_err_set(&request->err, GD_E_NOT_FOUND, "the session has no argument memory %llu", (unsigned long long)number);
    for (unsigned i = 0; i < count; i++) {
        if (memory_number(memory, 1 + 2 * i, &offset) != 0 || memory_number(memory, 2 + 2 * i, &bytes) != 0 || offset > from->bytes ||
            bytes > from->bytes - offset)
            return gd_err_set(&request->err, GD_E_INVALID_MESSAGE, "%s", wanted);
        total += gd_round_up(bytes, 64);
    }
    request->in_place = reads_in_place(request->command);
    request->session->arguments_read += (size_t)request->in_place;
    char *to = request->in_place ? NULL : aligned_alloc(64, total + 64);
    request->arguments = to;
    if (to == NULL && !request->in_place)
        return gd_err_set(&request->err, GD_E_OUT_OF_MEMORY, "no memory for arguments of %llu bytes", (unsigned long long)total);
    for (unsigned i = 0; i < count; i++) {
        memory_number(memory, 1 + 2 * i, &offset);
        memory_number(memory, 2 + 2 * i, &bytes);
        const char *there = (const char *)from->base + offset;
        request->raw.data[i] = request->in_place ? there : memcpy(to, there, bytes);
        request->raw.bytes[i] = bytes;
        to += request->in_place ? 0 : gd_round_up(bytes, 64);
        zmq_msg_init(&request->parts[request->raw.count++]); /* empty, closed with the others */
    }
    return 0;
}

static int decode(struct gd_request *request)
{
    struct gd_envelope envelope;
    int code = gd_codec_envelope(&envelope, zmq_msg_data(&request->map), zmq_msg_size(&request->map), &request->zone, &request->err);
    request->id = envelope.id;
    request->has_id = envelope.has_id;
    if (code != 0)
        return code;
    if (envelope.version != GD_PROTOCOL_VERSION)
        return gd_err_set(&request->err, GD_E_PROTOCOL_MISMATCH,
                          "the client speaks protocol %lld, this daemon %d; use the same release of both", (long long)envelope.version,
                          GD_PROTOCOL_VERSION);
    request->command = gd_dispatch_find(envelope.command, envelope.command_bytes);
    if (request->command == NULL)
        return gd_err_set(&request->err, GD_E_UNKNOWN_COMMAND, "there is no command '%.*s' in protocol %d",
                          envelope.command_bytes < 64 ? (int)envelope.command_bytes : 64, envelope.command, GD_PROTOCOL_VERSION);
    if (request->from.line != NULL && !request->command->door)
        return gd_err_set(&request->err, GD_E_INVALID_MESSAGE, "%s is asked for over ZeroMQ, not at the door", request->command->name);
    code = check_session(request);
    if (code == 0 && envelope.memory.size > 0 && request->session != NULL)
        code = take_arguments(request, &envelope.memory);
    if (code == 0)
        code = gd_dispatch_args(request->command, &envelope.args, &request->raw, &request->zone, request->args, &request->err);
    return code;
}

/* The key of a connection: which router, which routing id. */
static struct gd_session *session_of(const struct gd_request *request)
{
    unsigned char key[GD_ROUTING_BYTES + 1];
    if (request->from.line != NULL)
        return gd_door_call_session(request->from.line);
    key[0] = (unsigned char)request->from.router->index;
    memcpy(key + 1, request->from.routing, request->from.bytes);
    return gd_session_by_connection(request->service, key, request->from.bytes + 1);
}

static void bind_session(struct gd_request *request)
{
    struct gd_session *session = session_of(request);
    if (session == NULL)
        return;
    gd_session_ref(session);
    session->in_flight++;
    session->seen_ns = request->started_ns;
    request->session = session;
}

void gd_request_begin(struct gd_request *request)
{
    struct gd_service *service = request->service;
    request->started_ns = gd_now_ns();
    bind_session(request);
    if (request->code == 0)
        request->code = decode(request);
    if (request->code == 0 && service->stopping && request->command->handler != gd_cmd_ping)
        request->code = gd_err_set(&request->err, GD_E_SHUTTING_DOWN, "the daemon is stopping and takes no new work");
    if (request->code == 0)
        request->code = find_states(request);
    if (request->code == 0)
        request->code = gd_register_check_request(request, &request->err);
    if (request->code != 0)
        gd_request_answer(request);
    else if (request->command->lease == GD_LEASE_NONE)
        run(request);
    else
        run_under_lease(request);
}
