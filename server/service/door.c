/* Local sessions: one peer of this socket each.
 *
 * Everything a peer sends is a fixed structure of 192 bytes; anything else ends the connection. A peer that does not take its
 * replies is hung up on, the loop never waits. */
#include "service/door_internal.h"

#include "core/check.h"
#include "core/log.h"
#include "core/version.h"
#include "service/request.h"
#include "service/results.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DOOR_MAGIC 0xd00d0001u
#define BATCH 32

static void on_readable(uv_poll_t *poll, int status, int events);

/* ---- what takes longer ---- */

void gd_door_wait_for_work(struct gd_door_peer *peer)
{
    if (!peer->busy || peer->ended)
        return;
    peer->paused = 1;
    GD_CHECK(uv_poll_start(&peer->poll, UV_DISCONNECT, on_readable) == 0);
}

void gd_door_work_is_done(struct gd_door_peer *peer)
{
    if (peer->paused && !peer->ended)
        GD_CHECK(uv_poll_start(&peer->poll, UV_READABLE | UV_DISCONNECT, on_readable) == 0);
    peer->paused = 0;
}

/* ---- sending ---- */

void gd_door_send(struct gd_door_peer *peer, const struct gd_door_reply *reply, const int *fds, unsigned num_fds)
{
    struct iovec part = {(void *)(uintptr_t)reply, sizeof *reply};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(GD_DOOR_MOST_FDS * sizeof(int))];
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
        gd_door_hang_up(peer, errno == EAGAIN ? "does not take its replies" : strerror(errno));
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

void gd_door_refuse(struct gd_door_peer *peer, const struct gd_err *err)
{
    peer->reply.code = err->code;
    snprintf(peer->reply.text, sizeof peer->reply.text, "%.*s", GD_DOOR_TEXT - 1, err->text);
    gd_door_send(peer, &peer->reply, NULL, 0);
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

static void on_hello(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_service *service = peer->door->service;
    struct gd_err err = {0};
    struct ucred who;
    socklen_t size = sizeof who;
    char user[64];
    snprintf(peer->reply.name, sizeof peer->reply.name, "%s", GD_VERSION);
    if (request->protocol != GD_PROTOCOL_VERSION) {
        gd_err_set(&err, GD_E_PROTOCOL_MISMATCH,
                   "the client (version %.32s) speaks protocol %u, this daemon (version %s) %d; use the same "
                   "release of both",
                   request->name, request->protocol, GD_VERSION, GD_PROTOCOL_VERSION);
        gd_door_refuse(peer, &err);
        return;
    }
    if (peer->session != NULL || getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        gd_err_set(&err, GD_E_CONFLICT, "this connection said hello already");
        gd_door_refuse(peer, &err);
        return;
    }
    /* The folder admits only this user; root may come in anywhere. */
    if (who.uid != geteuid() && who.uid != 0) {
        gd_err_set(&err, GD_E_NOT_AUTHORIZED, "this daemon serves user %u, not %u", (unsigned)geteuid(), (unsigned)who.uid);
        gd_door_refuse(peer, &err);
        return;
    }
    snprintf(user, sizeof user, "uid:%u", (unsigned)who.uid);
    struct gd_session *session = NULL;
    int code = gd_session_create(service, 1, who.uid, GD_ROLE_ADMIN, user, &session, &err);
    if (code == 0 && (code = make_control(session, (size_t)service->settings.result_pool, &err)) != 0)
        gd_session_end(service, session, err.text);
    if (code != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    session->pid = who.pid;
    session->peer = peer;
    peer->session = session;
    peer->reply.session = session->number;
    peer->reply.number[0] = (uint64_t)service->settings.session_pins;
    peer->reply.number[1] = (uint64_t)(service->settings.lease_limit * 1e3);
    peer->reply.number[2] = gd_door_most_arguments(service);
    memcpy(peer->reply.token, session->token, GD_TOKEN_BYTES);
    peer->reply.num_fds = 1;
    gd_door_send(peer, &peer->reply, &session->control.fd, 1);
}

/* ---- one packet ---- */

struct gd_state *gd_door_find_state(struct gd_door_peer *peer, const struct gd_door_request *request, struct gd_err *err)
{
    static const uint8_t none[16];
    struct gd_registry *registry = &peer->door->service->registry;
    if (memcmp(request->uuid, none, sizeof none) != 0)
        return gd_registry_find_uuid(registry, request->uuid, err);
    return gd_registry_find(registry, request->name, err);
}

static void on_state_op(struct gd_door_peer *peer, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->op == GD_DOOR_CLOSE) { /* the session's own record: the State may be deleted and out of the registry by now */
        const struct gd_handle *handle = gd_table_get(&peer->session->handles, request->uuid, sizeof request->uuid);
        if (handle != NULL)
            gd_session_close_state(peer->door->service, peer->session, handle->state);
        return;
    }
    struct gd_state *state = gd_door_find_state(peer, request, &err);
    int has_reply = request->op != GD_DOOR_RELEASE;
    if (state == NULL) {
        if (has_reply)
            gd_door_refuse(peer, &err);
        return;
    }
    switch (request->op) {
    case GD_DOOR_LEASE:
        gd_door_on_lease(peer, state, request);
        break;
    case GD_DOOR_CANCEL:
        gd_door_on_cancel(peer, state);
        break;
    case GD_DOOR_COMMIT:
        gd_door_on_commit(peer, state, request);
        break;
    case GD_DOOR_ROLLBACK:
        gd_door_on_rollback(peer, state, request);
        break;
    case GD_DOOR_RELEASE:
        gd_door_on_release(peer, state, request);
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
    if (request->magic != GD_DOOR_MAGIC || request->op < GD_DOOR_HELLO || request->op > GD_DOOR_CALLS || !whole_name) {
        gd_door_hang_up(peer, "sent a packet that is no door request");
    } else if (request->op == GD_DOOR_HELLO) {
        on_hello(peer, request);
    } else if (peer->session == NULL) {
        gd_door_hang_up(peer, "asked before hello");
    } else if (request->op == GD_DOOR_OPEN) {
        gd_door_on_open(peer, request);
    } else if (request->op == GD_DOOR_CREATE) {
        gd_door_on_create(peer, request);
    } else if (request->op == GD_DOOR_RESULT) {
        gd_door_on_result(peer, request);
    } else if (request->op == GD_DOOR_ARGUMENTS) {
        gd_door_on_arguments(peer, request);
    } else if (request->op == GD_DOOR_CALLS) {
        gd_door_on_calls(peer);
    } else {
        on_state_op(peer, request);
    }
}

/* Descriptors somebody passes us are closed by the kernel: no control buffer is given, and CLOEXEC would not matter. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct gd_door_peer *peer = poll->data;
    GD_MAGIC_CHECK(peer, GD_DOOR_PEER_MAGIC);
    if (status < 0) {
        gd_door_hang_up(peer, uv_strerror(status));
        return;
    }
    for (int i = 0; i < BATCH && !peer->ended && !peer->busy; i++) {
        struct gd_door_request request;
        ssize_t n = recv(peer->fd, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n == 0) {
            gd_door_hang_up(peer, "hung up");
            return;
        }
        if (n != (ssize_t)sizeof request) {
            gd_door_hang_up(peer, n < 0 ? strerror(errno) : "sent a packet of the wrong size");
            return;
        }
        on_packet(peer, &request);
    }
    if (!peer->ended && (events & UV_DISCONNECT)) {
        /* What was sent before the hang-up has been read, unless a batch was full or a publish is running. */
        char byte;
        if (peer->busy || recv(peer->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0)
            gd_door_hang_up(peer, "hung up");
    }
}

/* ---- life of a peer ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    struct gd_door_peer *peer = handle->data;
    GD_MAGIC_CHECK(peer, GD_DOOR_PEER_MAGIC);
    peer->door->open_handles--;
    peer->magic = 0;
    free(peer);
}

/* The descriptor goes after the handle, which tells the kernel to forget that number: by then it must not be another connection's. */
void gd_door_close_handle(struct gd_door_peer *peer)
{
    if (peer->busy) /* when the work is done */
        return;
    uv_close((uv_handle_t *)&peer->poll, on_peer_closed);
    close(peer->fd);
}

void gd_door_hang_up(struct gd_door_peer *peer, const char *why)
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
    gd_door_cancel_waits(peer);
    if (peer->session != NULL) {
        struct gd_session *session = peer->session;
        peer->session = NULL;
        session->peer = NULL;
        gd_session_end(peer->door->service, session, why);
    }
    gd_door_close_handle(peer);
}

void gd_door_forget(struct gd_session *session)
{
    struct gd_door_peer *peer = session->peer;
    if (peer == NULL)
        return;
    session->peer = NULL;
    peer->session = NULL;
    gd_door_hang_up(peer, "evicted");
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
        peer->magic = GD_DOOR_PEER_MAGIC;
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
        gd_door_hang_up(door->peers, "the daemon stops");
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
