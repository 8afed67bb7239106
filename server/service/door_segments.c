/* The door's requests for memory: a State's segments, a new State, results, argument memory. */
#include "service/door_internal.h"

#include "core/check.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/results.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* ---- OPEN ---- */

static int collect_segments(struct gd_door_peer *peer, struct gd_state *state, uint32_t flags, int *fds, unsigned *num_fds,
                            struct gd_err *err)
{
    struct gd_service *service = peer->door->service;
    struct gd_handle *handle = NULL;
    int code = 0;
    if (flags & GD_OPEN_LIVE_WRITE)
        code = gd_edit_need_undo(service, state, err);
    gd_keep_sync(service->keep, state);
    if (code == 0 && (flags & GD_OPEN_FRAMES))
        code = gd_edit_first_frame(service, state, err);
    if (code == 0 && (flags & GD_OPEN_FRAMES)) /* before the descriptor leaves: see core/pins.h */
        code = gd_pins_add(&state->pins, peer->session->control.base, err);
    if (code == 0)
        code = gd_session_open_state(service, peer->session, state, &handle, err);
    if (code != 0)
        return code;
    if (flags & GD_OPEN_LIVE_WRITE)
        fds[(*num_fds)++] = state->live.fd;
    else if (flags & GD_OPEN_LIVE)
        fds[(*num_fds)++] = state->live.fd_reader;
    if (flags & GD_OPEN_FRAMES)
        fds[(*num_fds)++] = state->ring->segment.fd_reader;
    if (flags & GD_OPEN_LIVE_WRITE)
        fds[(*num_fds)++] = state->undo.fd;
    handle->has_live_write |= (flags & GD_OPEN_LIVE_WRITE) != 0;
    handle->has_frames |= (flags & GD_OPEN_FRAMES) != 0;
    return 0;
}

static void reply_segments(struct gd_door_peer *peer, const struct gd_state *state, const int *fds, unsigned num_fds)
{
    memcpy(peer->reply.uuid, state->uuid, sizeof state->uuid);
    memcpy(peer->reply.name, state->name, sizeof state->name);
    peer->reply.generation = state->generation;
    peer->reply.num_fds = num_fds;
    gd_door_send(peer, &peer->reply, fds, num_fds);
}

static void masses_on_worker(uv_work_t *work)
{
    struct gd_door_peer *peer = work->data;
    gd_state_set_masses(peer->masses_of);
}

static void masses_are_set(uv_work_t *work, int status)
{
    GD_CHECK(status == 0);
    struct gd_door_peer *peer = work->data;
    GD_MAGIC_CHECK(peer, GD_DOOR_PEER_MAGIC);
    struct gd_state *state = peer->masses_of;
    peer->busy = 0;
    if (peer->ended) {
        gd_door_close_handle(peer);
    } else {
        reply_segments(peer, state, NULL, 0);
        gd_door_work_is_done(peer);
    }
    gd_state_unref(&state);
}

static void set_masses(struct gd_door_peer *peer, struct gd_state *state)
{
    peer->masses.data = peer;
    peer->masses_of = state;
    gd_state_ref(state);
    peer->busy = 1;
    if (state->spec.num_atoms > GD_INLINE_ATOMS &&
        uv_queue_work(peer->door->service->loop, &peer->masses, masses_on_worker, masses_are_set) == 0) {
        gd_door_wait_for_work(peer);
        return;
    }
    masses_on_worker(&peer->masses);
    masses_are_set(&peer->masses, 0);
}

void gd_door_on_open(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    int fds[GD_DOOR_MOST_FDS];
    unsigned num_fds = 0;
    struct gd_state *state = gd_door_find_state(peer, request, &err);
    if (state == NULL)
        gd_door_refuse(peer, &err);
    else if (request->flags == GD_OPEN_MASSES)
        set_masses(peer, state);
    else if (collect_segments(peer, state, request->flags, fds, &num_fds, &err) != 0)
        gd_door_refuse(peer, &err);
    else
        reply_segments(peer, state, fds, num_fds);
}

/* ---- CREATE ---- */

static void created(struct gd_creation *creation)
{
    struct gd_door_peer *peer = (struct gd_door_peer *)((char *)creation - offsetof(struct gd_door_peer, creation));
    GD_MAGIC_CHECK(peer, GD_DOOR_PEER_MAGIC);
    peer->busy = 0;
    if (peer->ended) {
        gd_door_close_handle(peer);
        return;
    }
    if (creation->state == NULL)
        gd_door_refuse(peer, &creation->err);
    else
        reply_segments(peer, creation->state, &creation->state->live.fd_reader, 1);
    gd_door_work_is_done(peer);
}

void gd_door_on_create(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->flags & ~(GD_CREATE_FLOAT64 | GD_CREATE_FRAME_FORCES)) {
        gd_err_set(&err, GD_E_INVALID_ARGUMENT, "CREATE has no flags 0x%x", request->flags & ~(GD_CREATE_FLOAT64 | GD_CREATE_FRAME_FORCES));
        gd_door_refuse(peer, &err);
        return;
    }
    peer->creation = (struct gd_creation){
        .service = peer->door->service,
        .session = peer->session,
        .spec =
            {
                .num_atoms = (size_t)request->number,
                .num_temperature_groups = request->more[0],
                .num_energy_groups = request->more[1],
                .dtype = request->flags & GD_CREATE_FLOAT64 ? GD_FLOAT64 : GD_FLOAT32,
                .slots = request->more[2],
                .frame_forces = (request->flags & GD_CREATE_FRAME_FORCES) != 0,
            },
        .done = created,
    };
    memcpy(peer->creation.name, request->name, sizeof peer->creation.name);
    peer->busy = 1;
    gd_create_state(&peer->creation);
    gd_door_wait_for_work(peer);
}

/* ---- results and arguments ---- */

void gd_door_on_result(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    struct gd_fetched result;
    if (gd_result_take(peer->door->service, peer->session, request->number, &result, &err) != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    peer->reply.number[0] = result.bytes;
    peer->reply.number[1] = result.place >= 0 ? (uint64_t)result.place + 1 : 0;
    peer->reply.num_fds = 1;
    gd_door_send(peer, &peer->reply, &result.fd, 1);
    close(result.fd);
}

/* Argument memory, at most of this size: the loop thread copies what a request has there. */
#define MOST_ARGUMENTS ((size_t)8 << 20)

size_t gd_door_most_arguments(const struct gd_service *service)
{
    size_t pool = (size_t)service->settings.result_pool;
    return pool < MOST_ARGUMENTS ? pool : MOST_ARGUMENTS;
}

void gd_door_on_arguments(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    struct gd_session *session = peer->session;
    struct gd_segment segment = GD_SEGMENT_NONE;
    size_t most = gd_door_most_arguments(peer->door->service);
    int code = 0;
    if (request->number > most)
        code = gd_err_set(&err, GD_E_QUOTA_EXCEEDED, "argument memory has at most %zu bytes", most);
    else if (session->arguments_read > 0)
        code = gd_err_set(&err, GD_E_CONFLICT, "a request still reads the argument memory there is");
    if (code == 0)
        code = gd_segment_create(&segment, "gromosd-arguments", request->number, 0, &err);
    if (code != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    gd_segment_close(&session->arguments);
    session->arguments = segment;
    peer->reply.number[0] = segment.bytes;
    peer->reply.number[1] = ++session->arguments_number;
    peer->reply.num_fds = 1;
    gd_door_send(peer, &peer->reply, &segment.fd, 1);
}
