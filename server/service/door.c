/* Local sessions: one peer of this socket each.
 *
 * Everything a peer sends is a fixed structure of 192 bytes; anything else ends the connection. A peer that does not take its
 * replies is hung up on, the loop never waits. */
#include "service/door.h"

#include "core/check.h"
#include "core/log.h"
#include "core/version.h"
#include "proto/gd_door.h"
#include "service/creating.h"
#include "service/edit.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/results.h"
#include "service/service.h"
#include "service/session.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define DOOR_MAGIC 0xd00d0001u
#define PEER_MAGIC 0xd00d0002u
#define BATCH 32
#define MOST_FDS 3

/* A place in the queue of a State's lease. */
struct lease_wait {
    struct gd_edit_owner owner;
    struct gd_lease_waiter waiter;
    struct lease_wait *next;
    struct gd_door_peer *peer;
    struct gd_state *state;
};

struct gd_door_peer {
    uint32_t magic;
    struct gd_door *door;
    struct gd_door_peer *next, *previous;
    int fd;
    uv_poll_t poll;
    struct gd_session *session; /* NULL before HELLO */
    struct lease_wait *waits;
    struct gd_door_reply reply; /* being made, or waiting for a publish */
    int busy;   /* what was asked for takes longer: the reply comes later, and nothing is read before */
    int paused; /* for that */
    int ended;
    struct gd_publish publish;
    uint32_t commit_flags;
    uint32_t commit_session;
    struct gd_creation creation;
    uv_work_t masses;
    struct gd_state *masses_of; /* holds a reference */
};

struct gd_door {
    uint32_t magic;
    struct gd_service *service;
    int fd;
    uv_poll_t poll;
    int open_handles; /* its own poll and those of its peers */
    int stopped;
    struct gd_door_peer *peers;
};

static void hang_up(struct gd_door_peer *peer, const char *why);
static void close_handle(struct gd_door_peer *peer);
static void on_readable(uv_poll_t *poll, int status, int events);

/* ---- what takes longer ---- */

/* Nothing is read until the work is done, but a hang-up is noticed. */
static void wait_for_work(struct gd_door_peer *peer)
{
    if (!peer->busy || peer->ended)
        return;
    peer->paused = 1;
    GD_CHECK(uv_poll_start(&peer->poll, UV_DISCONNECT, on_readable) == 0);
}

/* Reading goes on, once the reply is sent. */
static void work_is_done(struct gd_door_peer *peer)
{
    if (peer->paused && !peer->ended)
        GD_CHECK(uv_poll_start(&peer->poll, UV_READABLE | UV_DISCONNECT, on_readable) == 0);
    peer->paused = 0;
}

/* ---- sending ---- */

static void send_reply(struct gd_door_peer *peer, const struct gd_door_reply *reply, const int *fds, unsigned num_fds)
{
    struct iovec part = {(void *)(uintptr_t)reply, sizeof *reply};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (num_fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
        memcpy(CMSG_DATA(head), fds, num_fds * sizeof(int));
    }
    if (sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof *reply)
        hang_up(peer, errno == EAGAIN ? "does not take its replies" : strerror(errno));
}

static void start_reply(struct gd_door_peer *peer, uint32_t op)
{
    memset(&peer->reply, 0, sizeof peer->reply);
    peer->reply.magic = GD_DOOR_MAGIC;
    peer->reply.op = op;
    peer->reply.protocol = GD_PROTOCOL_VERSION;
    if (peer->session != NULL)
        peer->reply.session = peer->session->number;
}

static void reply_error(struct gd_door_peer *peer, const struct gd_err *err)
{
    peer->reply.code = err->code;
    snprintf(peer->reply.text, sizeof peer->reply.text, "%.*s", GD_DOOR_TEXT - 1, err->text);
    send_reply(peer, &peer->reply, NULL, 0);
}

/* ---- HELLO ---- */

static int make_control(struct gd_session *session, size_t result_pool, struct gd_err *err)
{
    int code = gd_segment_create(&session->control, "gromosd-control", sizeof(struct gd_control_block), 0, err);
    if (code != 0)
        return code;
    struct gd_control_block *block = session->control.base;
    block->head.role = GD_SEGMENT_CONTROL;
    block->head.segment_bytes = session->control.bytes;
    block->session = session->number;
    atomic_store_explicit(&block->head.layout, GD_LAYOUT, memory_order_release);
    gd_result_pool_open(&session->results, block, result_pool);
    return 0;
}

/* Argument memory, at most of this size: the loop thread copies what a request has there. */
#define MOST_ARGUMENTS ((size_t)8 << 20)

static size_t most_arguments(const struct gd_service *service)
{
    size_t pool = (size_t)service->settings.result_pool;
    return pool < MOST_ARGUMENTS ? pool : MOST_ARGUMENTS;
}

static void on_hello(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_service *service = peer->door->service;
    struct gd_err err = {0};
    struct ucred who;
    socklen_t size = sizeof who;
    char user[64];
    snprintf(peer->reply.name, sizeof peer->reply.name, "%s", GD_VERSION);
    if (request->protocol != GD_PROTOCOL_VERSION) {
        gd_err_set(&err, GD_E_PROTOCOL_MISMATCH, "the client (version %.32s) speaks protocol %u, this daemon (version %s) %d; use the same "
                   "release of both", request->name, request->protocol, GD_VERSION, GD_PROTOCOL_VERSION);
        reply_error(peer, &err);
        return;
    }
    if (peer->session != NULL || getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        gd_err_set(&err, GD_E_CONFLICT, "this connection said hello already");
        reply_error(peer, &err);
        return;
    }
    /* The folder admits only this user; root may come in anywhere. */
    if (who.uid != geteuid() && who.uid != 0) {
        gd_err_set(&err, GD_E_NOT_AUTHORIZED, "this daemon serves user %u, not %u", (unsigned)geteuid(), (unsigned)who.uid);
        reply_error(peer, &err);
        return;
    }
    snprintf(user, sizeof user, "uid:%u", (unsigned)who.uid);
    struct gd_session *session = NULL;
    int code = gd_session_create(service, 1, who.uid, GD_ROLE_ADMIN, user, &session, &err);
    if (code == 0 && (code = make_control(session, (size_t)service->settings.result_pool, &err)) != 0)
        gd_session_end(service, session, err.text);
    if (code != 0) {
        reply_error(peer, &err);
        return;
    }
    session->pid = who.pid;
    session->peer = peer;
    peer->session = session;
    peer->reply.session = session->number;
    peer->reply.number[0] = (uint64_t)service->settings.session_pins;
    peer->reply.number[1] = (uint64_t)(service->settings.lease_limit * 1e3);
    peer->reply.number[2] = most_arguments(service);
    memcpy(peer->reply.token, session->token, GD_TOKEN_BYTES);
    peer->reply.num_fds = 1;
    send_reply(peer, &peer->reply, &session->control.fd, 1);
}

/* ---- OPEN ---- */

static struct gd_state *find_state(struct gd_door_peer *peer, const struct gd_door_request *request, struct gd_err *err)
{
    static const uint8_t none[16];
    struct gd_registry *registry = &peer->door->service->registry;
    if (memcmp(request->uuid, none, sizeof none) != 0)
        return gd_registry_find_uuid(registry, request->uuid, err);
    return gd_registry_find(registry, request->name, err);
}

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
    send_reply(peer, &peer->reply, fds, num_fds);
}

static void masses_on_worker(uv_work_t *work)
{
    struct gd_door_peer *peer = work->data;
    gd_state_array(peer->masses_of, GD_MASSES);
}

static void masses_are_set(uv_work_t *work, int status)
{
    GD_CHECK(status == 0);
    struct gd_door_peer *peer = work->data;
    GD_MAGIC_CHECK(peer, PEER_MAGIC);
    struct gd_state *state = peer->masses_of;
    peer->busy = 0;
    if (peer->ended) {
        close_handle(peer);
    } else {
        reply_segments(peer, state, NULL, 0);
        work_is_done(peer);
    }
    gd_state_unref(&state);
}

static void set_masses(struct gd_door_peer *peer, struct gd_state *state)
{
    peer->masses.data = peer;
    peer->masses_of = state;
    gd_state_ref(state);
    peer->busy = 1;
    if (state->spec.num_atoms > GD_INLINE_ATOMS && uv_queue_work(peer->door->service->loop, &peer->masses, masses_on_worker, masses_are_set) == 0) {
        wait_for_work(peer);
        return;
    }
    masses_on_worker(&peer->masses);
    masses_are_set(&peer->masses, 0);
}

static void on_open(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    int fds[MOST_FDS];
    unsigned num_fds = 0;
    struct gd_state *state = find_state(peer, request, &err);
    if (state == NULL)
        reply_error(peer, &err);
    else if (request->flags == GD_OPEN_MASSES)
        set_masses(peer, state);
    else if (collect_segments(peer, state, request->flags, fds, &num_fds, &err) != 0)
        reply_error(peer, &err);
    else
        reply_segments(peer, state, fds, num_fds);
}

/* ---- CREATE ---- */

static void created(struct gd_creation *creation)
{
    struct gd_door_peer *peer = (struct gd_door_peer *)((char *)creation - offsetof(struct gd_door_peer, creation));
    GD_MAGIC_CHECK(peer, PEER_MAGIC);
    peer->busy = 0;
    if (peer->ended) {
        close_handle(peer);
        return;
    }
    if (creation->state == NULL)
        reply_error(peer, &creation->err);
    else
        reply_segments(peer, creation->state, &creation->state->live.fd_reader, 1);
    work_is_done(peer);
}

static void on_create(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->flags & ~(GD_CREATE_FLOAT64 | GD_CREATE_FRAME_FORCES)) {
        gd_err_set(&err, GD_E_INVALID_ARGUMENT, "CREATE has no flags 0x%x", request->flags & ~(GD_CREATE_FLOAT64 | GD_CREATE_FRAME_FORCES));
        reply_error(peer, &err);
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
    wait_for_work(peer);
}

static void on_result(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    struct gd_fetched result;
    if (gd_result_take(peer->door->service, peer->session, request->number, &result, &err) != 0) {
        reply_error(peer, &err);
        return;
    }
    peer->reply.number[0] = result.bytes;
    peer->reply.number[1] = result.place >= 0 ? (uint64_t)result.place + 1 : 0;
    peer->reply.num_fds = 1;
    send_reply(peer, &peer->reply, &result.fd, 1);
    close(result.fd);
}

static void on_arguments(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    struct gd_session *session = peer->session;
    struct gd_segment segment = GD_SEGMENT_NONE;
    size_t most = most_arguments(peer->door->service);
    int code = request->number > most ? gd_err_set(&err, GD_E_QUOTA_EXCEEDED, "argument memory has at most %zu bytes", most) : 0;
    if (code == 0)
        code = gd_segment_create(&segment, "gromosd-arguments", request->number, 0, &err);
    if (code != 0) {
        reply_error(peer, &err);
        return;
    }
    gd_segment_close(&session->arguments);
    session->arguments = segment;
    peer->reply.number[0] = segment.bytes;
    peer->reply.number[1] = ++session->arguments_number;
    peer->reply.num_fds = 1;
    send_reply(peer, &peer->reply, &segment.fd, 1);
}

/* ---- leases ---- */

static void forget_wait(struct lease_wait *wait)
{
    struct lease_wait **at = &wait->peer->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    gd_state_unref(&wait->state);
    free(wait);
}

/* The client sees it in the lease word, on which it sleeps. */
static void on_granted(struct gd_edit_owner *owner)
{
    forget_wait((struct lease_wait *)owner);
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    (void)code; /* the State was deleted: its flags tell, and its sleepers were woken */
    forget_wait((struct lease_wait *)owner);
}

static void on_lease(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->number != 0 && request->number != state->generation) {
        gd_err_set(&err, GD_E_STALE_GENERATION, "the State is at generation %llu, the client at %llu: open it again",
                   (unsigned long long)state->generation, (unsigned long long)request->number);
        reply_error(peer, &err);
        return;
    }
    struct lease_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        gd_err_set(&err, GD_E_OUT_OF_MEMORY, "no memory for a place in the queue");
        reply_error(peer, &err);
        return;
    }
    wait->owner = (struct gd_edit_owner){on_granted, on_dropped};
    wait->waiter = (struct gd_lease_waiter){.session = peer->session->number, .deadline = GD_LEASE_NEVER, .owner = &wait->owner};
    int code = gd_lease_request(&state->lease, gd_state_header(state), &wait->waiter, gd_now_ns(), &err);
    if (wait->waiter.lease != NULL) { /* queued */
        wait->peer = peer;
        wait->state = state;
        gd_state_ref(state);
        wait->next = peer->waits;
        peer->waits = wait;
        gd_jobs_nudge(peer->door->service->jobs, state, GD_NUDGE_USE);
    } else {
        free(wait);
    }
    if (code < 0) {
        reply_error(peer, &err);
        return;
    }
    peer->reply.code = code == GD_LEASE_QUEUED ? GD_DOOR_QUEUED : 0;
    send_reply(peer, &peer->reply, NULL, 0);
}

static void on_cancel(struct gd_door_peer *peer, struct gd_state *state)
{
    struct gd_lease_waiter *waiter = gd_lease_find(&state->lease, peer->session->number);
    if (waiter != NULL) {
        gd_lease_cancel(waiter);
        forget_wait(waiter->owner);
    } else if (gd_lease_is_held_by(&state->lease, gd_state_header(state), peer->session->number)) {
        peer->reply.code = GD_DOOR_GRANTED;
    }
    send_reply(peer, &peer->reply, NULL, 0);
}

static void committed(struct gd_publish *publish)
{
    struct gd_door_peer *peer = (struct gd_door_peer *)((char *)publish - offsetof(struct gd_door_peer, publish));
    GD_MAGIC_CHECK(peer, PEER_MAGIC);
    peer->busy = 0;
    if ((peer->commit_flags & GD_COMMIT_RELEASE) || peer->ended)
        gd_edit_release(publish->service, publish->state, peer->commit_session);
    if (peer->ended) { /* it hung up meanwhile; the commit stands */
        close_handle(peer);
        return;
    }
    peer->reply.number[0] = publish->version;
    peer->reply.number[1] = publish->sequence;
    peer->reply.generation = publish->state->generation;
    send_reply(peer, &peer->reply, NULL, 0);
    work_is_done(peer);
}

/* A session may have lost the lease of one generation and hold that of the next: number says which it means (0: the present one). */
static int check_holder(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request, struct gd_err *err)
{
    if ((request->number == 0 || request->number == state->generation) &&
        gd_lease_is_held_by(&state->lease, gd_state_header(state), peer->session->number))
        return 0;
    return gd_err_set(err, GD_E_LEASE_LOST, "this session does not hold the State's write lease: it ended, and the edit was rolled back");
}

static void on_commit(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (check_holder(peer, state, request, &err) != 0) {
        reply_error(peer, &err);
        return;
    }
    peer->busy = 1;
    peer->commit_flags = request->flags;
    peer->commit_session = peer->session->number;
    gd_edit_commit(peer->door->service, state, (request->flags & GD_COMMIT_PUBLISH) != 0, &peer->publish, committed);
    wait_for_work(peer);
}

static void on_rollback(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (check_holder(peer, state, request, &err) != 0) {
        reply_error(peer, &err);
        return;
    }
    gd_edit_rollback(peer->door->service, state, "its holder asked for it");
    gd_edit_release(peer->door->service, state, peer->session->number);
    send_reply(peer, &peer->reply, NULL, 0);
}

/* ---- one packet ---- */

static void on_state_op(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->op == GD_DOOR_CLOSE) { /* the session's own record: the State may be deleted and out of the registry by now */
        const struct gd_handle *handle = gd_table_get(&peer->session->handles, request->uuid, sizeof request->uuid);
        if (handle != NULL)
            gd_session_close_state(peer->door->service, peer->session, handle->state);
        return;
    }
    struct gd_state *state = find_state(peer, request, &err);
    int has_reply = request->op != GD_DOOR_RELEASE;
    if (state == NULL) {
        if (has_reply)
            reply_error(peer, &err);
        return;
    }
    switch (request->op) {
    case GD_DOOR_LEASE:
        on_lease(peer, state, request);
        break;
    case GD_DOOR_CANCEL:
        on_cancel(peer, state);
        break;
    case GD_DOOR_COMMIT:
        on_commit(peer, state, request);
        break;
    case GD_DOOR_ROLLBACK:
        on_rollback(peer, state, request);
        break;
    case GD_DOOR_RELEASE:
        if (check_holder(peer, state, request, &err) == 0)
            gd_edit_release(peer->door->service, state, peer->session->number);
        break;
    default: /* on_packet lets nothing else through */
        break;
    }
}

static void on_packet(struct gd_door_peer *peer, struct gd_door_request *request)
{
    int whole_name = memchr(request->name, '\0', sizeof request->name) != NULL;
    request->name[GD_DOOR_NAME - 1] = '\0';
    start_reply(peer, request->op);
    if (request->magic != GD_DOOR_MAGIC || request->op < GD_DOOR_HELLO || request->op > GD_DOOR_CREATE || !whole_name) {
        hang_up(peer, "sent a packet that is no door request");
    } else if (request->op == GD_DOOR_HELLO) {
        on_hello(peer, request);
    } else if (peer->session == NULL) {
        hang_up(peer, "asked before hello");
    } else if (request->op == GD_DOOR_OPEN) {
        on_open(peer, request);
    } else if (request->op == GD_DOOR_CREATE) {
        on_create(peer, request);
    } else if (request->op == GD_DOOR_RESULT) {
        on_result(peer, request);
    } else if (request->op == GD_DOOR_ARGUMENTS) {
        on_arguments(peer, request);
    } else {
        on_state_op(peer, request);
    }
}

/* Descriptors somebody passes us are closed by the kernel: no control buffer is given, and CLOEXEC would not matter. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct gd_door_peer *peer = poll->data;
    GD_MAGIC_CHECK(peer, PEER_MAGIC);
    if (status < 0) {
        hang_up(peer, uv_strerror(status));
        return;
    }
    for (int i = 0; i < BATCH && !peer->ended && !peer->busy; i++) {
        struct gd_door_request request;
        ssize_t n = recv(peer->fd, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n == 0) {
            hang_up(peer, "hung up");
            return;
        }
        if (n != (ssize_t)sizeof request) {
            hang_up(peer, n < 0 ? strerror(errno) : "sent a packet of the wrong size");
            return;
        }
        on_packet(peer, &request);
    }
    if (!peer->ended && (events & UV_DISCONNECT)) {
        /* What was sent before the hang-up has been read, unless a batch was full or a publish is running. */
        char byte;
        if (peer->busy || recv(peer->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0)
            hang_up(peer, "hung up");
    }
}

/* ---- life of a peer ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    struct gd_door_peer *peer = handle->data;
    GD_MAGIC_CHECK(peer, PEER_MAGIC);
    peer->door->open_handles--;
    peer->magic = 0;
    free(peer);
}

/* The descriptor goes after the handle, which tells the kernel to forget that number: by then it must not be another connection's. */
static void close_handle(struct gd_door_peer *peer)
{
    if (peer->busy) /* when the work is done */
        return;
    uv_close((uv_handle_t *)&peer->poll, on_peer_closed);
    close(peer->fd);
}

static void hang_up(struct gd_door_peer *peer, const char *why)
{
    if (peer->ended)
        return;
    peer->ended = 1;
    uv_poll_stop(&peer->poll);
    shutdown(peer->fd, SHUT_RDWR);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        peer->door->peers = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    while (peer->waits != NULL) {
        gd_lease_cancel(&peer->waits->waiter);
        forget_wait(peer->waits);
    }
    if (peer->session != NULL) {
        struct gd_session *session = peer->session;
        peer->session = NULL;
        session->peer = NULL;
        gd_session_end(peer->door->service, session, why);
    }
    close_handle(peer);
}

void gd_door_forget(struct gd_session *session)
{
    struct gd_door_peer *peer = session->peer;
    if (peer == NULL)
        return;
    session->peer = NULL;
    peer->session = NULL;
    hang_up(peer, "evicted");
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct gd_door *door = poll->data;
    GD_MAGIC_CHECK(door, DOOR_MAGIC);
    for (int i = 0; status == 0 && i < BATCH; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                gd_log_warn("door", "cannot take a connection: %s", strerror(errno));
            return;
        }
        struct gd_door_peer *peer = calloc(1, sizeof *peer);
        if (peer == NULL || uv_poll_init(door->service->loop, &peer->poll, fd) != 0) {
            gd_log_warn("door", "no memory for a connection");
            free(peer);
            close(fd);
            return;
        }
        peer->magic = PEER_MAGIC;
        peer->door = door;
        peer->fd = fd;
        peer->poll.data = peer;
        peer->next = door->peers;
        if (peer->next != NULL)
            peer->next->previous = peer;
        door->peers = peer;
        door->open_handles++;
        GD_CHECK(uv_poll_start(&peer->poll, UV_READABLE | UV_DISCONNECT, on_readable) == 0);
    }
}

/* ---- the door itself ---- */

int gd_door_create(struct gd_door **out, struct gd_service *service, const char *path, struct gd_err *err)
{
    struct gd_door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the door");
    door->magic = DOOR_MAGIC;
    door->service = service;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    door->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->fd < 0 || bind(door->fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0600) != 0 ||
        listen(door->fd, 128) != 0) {
        int code = gd_err_errno(err, GD_E_FILE_ACCESS, "cannot open the door at %s", path);
        if (door->fd >= 0)
            close(door->fd);
        free(door);
        return code;
    }
    GD_CHECK(uv_poll_init(service->loop, &door->poll, door->fd) == 0);
    door->poll.data = door;
    door->open_handles = 1;
    GD_CHECK(uv_poll_start(&door->poll, UV_READABLE, on_accept) == 0);
    *out = door;
    return 0;
}

static void on_door_closed(uv_handle_t *handle)
{
    struct gd_door *door = handle->data;
    door->open_handles--;
}

void gd_door_stop(struct gd_door *door)
{
    if (door == NULL || door->stopped)
        return;
    door->stopped = 1;
    while (door->peers != NULL)
        hang_up(door->peers, "the daemon stops");
    uv_close((uv_handle_t *)&door->poll, on_door_closed);
    close(door->fd);
}

void gd_door_free(struct gd_door **pointer)
{
    struct gd_door *door = *pointer;
    *pointer = NULL;
    if (door == NULL)
        return;
    GD_MAGIC_CHECK(door, DOOR_MAGIC);
    GD_CHECK(door->open_handles == 0);
    door->magic = 0;
    free(door);
}
