/* Calls at the door: connections a local session asks on, packets in and out (proto/gd_call.h). A packet becomes a request like any
 * other. Whoever sends what is no packet, or does not take replies, loses that connection and nothing else. Loop thread. */
#include "service/door_internal.h"

#include "core/check.h"
#include "core/log.h"
#include "proto/gd_call.h"
#include "service/door_calls.h"
#include "service/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL_LINE_MAGIC 0xca111141u

struct gd_call_line {
    uint32_t magic;
    struct gd_door *door;
    struct gd_session *session; /* NULL once it has ended */
    struct gd_call_line *next, *previous;
    int fd;
    uv_poll_t poll;
    unsigned in_flight; /* requests that will look here for where to answer */
    int ended, closed;  /* not read any more; its handle is closed too */
};

/* ---- life ---- */

static void free_if_unused(struct gd_call_line *line)
{
    if (!line->closed || line->in_flight > 0)
        return;
    line->magic = 0;
    free(line);
}

static void on_line_closed(uv_handle_t *handle)
{
    struct gd_call_line *line = handle->data;
    GD_MAGIC_CHECK(line, CALL_LINE_MAGIC);
    line->door->open_handles--;
    line->closed = 1;
    free_if_unused(line);
}

static void end_line(struct gd_call_line *line, const char *why)
{
    if (line->ended)
        return;
    line->ended = 1;
    struct gd_session *session = line->session;
    line->session = NULL;
    gd_log_debug("door", "session %u: a connection for calls ended: %s", session->number, why);
    if (line->previous != NULL)
        line->previous->next = line->next;
    else
        session->call_lines = line->next;
    if (line->next != NULL)
        line->next->previous = line->previous;
    session->num_call_lines--;
    uv_close((uv_handle_t *)&line->poll, on_line_closed);
    close(line->fd);
}

void gd_door_calls_forget(struct gd_session *session)
{
    while (session->call_lines != NULL)
        end_line(session->call_lines, "the session ended");
}

/* ---- requests ---- */

static int copy_part(zmq_msg_t *message, const void *data, size_t bytes)
{
    if (zmq_msg_init_size(message, bytes) != 0) {
        zmq_msg_init(message); /* it may be closed */
        return -1;
    }
    memcpy(zmq_msg_data(message), data, bytes);
    return 0;
}

/* A request with copies of the parts, or NULL when there is no memory for it. */
static struct gd_request *request_from(struct gd_call_line *line, const void *const *parts, const size_t *bytes, unsigned count)
{
    struct gd_request *request = gd_request_new(line->door->service);
    if (request == NULL)
        return NULL;
    request->from.line = line;
    line->in_flight++;
    int bad = copy_part(&request->map, parts[0], bytes[0]);
    for (unsigned i = 1; i < count && bad == 0; i++) {
        zmq_msg_t *part = &request->parts[request->raw.count];
        bad = copy_part(part, parts[i], bytes[i]);
        if (bad != 0)
            break;
        request->raw.data[request->raw.count] = zmq_msg_data(part);
        request->raw.bytes[request->raw.count++] = bytes[i];
    }
    if (bad != 0)
        request->code = gd_err_set(&request->err, GD_E_OUT_OF_MEMORY, "no memory for the request");
    return request;
}

/* One packet a turn: the next comes when this one is answered, and the poll sees it. */
static void on_packet_or_end(uv_poll_t *poll, int status, int events)
{
    struct gd_call_line *line = poll->data;
    GD_MAGIC_CHECK(line, CALL_LINE_MAGIC);
    (void)events;
    static _Alignas(64) char packet[GD_CALL_BYTES]; /* the loop thread's alone */
    const void *parts[GD_PROTOCOL_MAX_PARTS];
    size_t bytes[GD_PROTOCOL_MAX_PARTS];
    ssize_t n = status < 0 ? -1 : recv(line->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && status == 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_line(line, n == 0 ? "hung up" : status < 0 ? uv_strerror(status) : strerror(errno));
        return;
    }
    unsigned count = (size_t)n <= sizeof packet ? gd_call_split(packet, (size_t)n, parts, bytes) : 0;
    if (count == 0) {
        end_line(line, "sent a packet that is no call");
        return;
    }
    struct gd_request *request = request_from(line, parts, bytes, count);
    if (request == NULL)
        end_line(line, "no memory for a request");
    else
        gd_request_begin(request);
}

struct gd_session *gd_door_call_session(const struct gd_call_line *line)
{
    GD_MAGIC_CHECK(line, CALL_LINE_MAGIC);
    return line->session;
}

/* ---- replies ---- */

/* 0 or an errno. */
static int send_packet(const struct gd_call_line *line, const msgpack_sbuffer *map, const struct gd_reply *reply)
{
    static const char zeros[GD_CALL_ALIGN];
    struct gd_call_head head = {.magic = GD_CALL_MAGIC, .count = 1};
    struct iovec pieces[1 + 2 * GD_PROTOCOL_MAX_PARTS] = {{&head, sizeof head}, {map->data, map->size}};
    size_t count = 2, total = sizeof head + map->size, last = map->size;
    head.bytes[0] = (uint32_t)map->size;
    for (unsigned i = 0; reply != NULL && i < reply->num_parts; i++) {
        const struct gd_reply_part *part = &reply->parts[i];
        size_t gap = gd_call_step(last) - last;
        pieces[count++] = (struct iovec){(void *)(uintptr_t)zeros, gap};
        pieces[count++] = (struct iovec){part->data, part->bytes};
        last = part->bytes;
        total += gap + last;
        if (total > GD_CALL_BYTES)
            return EMSGSIZE;
        head.bytes[head.count++] = (uint32_t)last;
    }
    if (total > GD_CALL_BYTES)
        return EMSGSIZE;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(line->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)total ? 0 : errno;
}
_Static_assert(GD_REPLY_PARTS < GD_PROTOCOL_MAX_PARTS, "a reply's parts and its map fit into a packet");

void gd_door_call_answer(struct gd_call_line *line, uint64_t id, const msgpack_sbuffer *map, const struct gd_reply *reply)
{
    GD_MAGIC_CHECK(line, CALL_LINE_MAGIC);
    line->in_flight--;
    int code = line->ended ? EPIPE : send_packet(line, map, reply);
    if (code == EMSGSIZE) { /* larger than any command's answer should be */
        struct gd_err err = {0};
        msgpack_sbuffer other;
        msgpack_sbuffer_init(&other);
        gd_err_set(&err, GD_E_INTERNAL, "the answer is too large for a call at the door");
        gd_codec_error(&other, id, &err, NULL);
        code = send_packet(line, &other, NULL);
        msgpack_sbuffer_destroy(&other);
    }
    if (code != 0) {
        line->door->service->dropped_replies++;
        if (!line->ended)
            end_line(line, code == EAGAIN ? "does not take its replies" : strerror(code));
    }
    free_if_unused(line);
}

/* ---- CALLS ---- */

static int open_line(struct gd_door_peer *peer, int *theirs, struct gd_err *err)
{
    struct gd_session *session = peer->session;
    int ends[2], room = 2 * (int)GD_CALL_BYTES;
    if (session->num_call_lines >= (size_t)peer->door->service->settings.session_requests)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED,
                          "the session has %zu connections for calls, as many as it may have requests (session_requests)",
                          session->num_call_lines);
    struct gd_call_line *line = calloc(1, sizeof *line);
    if (line == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a connection for calls");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        free(line);
        return gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot make a connection for calls");
    }
    for (int i = 0; i < 2; i++) /* no more than the system allows; a packet that does not fit is said so to its sender */
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || uv_poll_init(peer->door->service->loop, &line->poll, ends[0]) != 0) {
        close(ends[0]);
        close(ends[1]);
        free(line);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "cannot watch a connection for calls");
    }
    line->magic = CALL_LINE_MAGIC;
    line->door = peer->door;
    line->session = session;
    line->fd = ends[0];
    line->poll.data = line;
    line->next = session->call_lines;
    if (line->next != NULL)
        line->next->previous = line;
    session->call_lines = line;
    session->num_call_lines++;
    peer->door->open_handles++;
    GD_CHECK(uv_poll_start(&line->poll, UV_READABLE | UV_DISCONNECT, on_packet_or_end) == 0);
    *theirs = ends[1];
    return 0;
}

void gd_door_on_calls(struct gd_door_peer *peer)
{
    struct gd_err err = {0};
    int theirs;
    if (open_line(peer, &theirs, &err) != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    peer->reply.num_fds = 1;
    gd_door_send(peer, &peer->reply, &theirs, 1);
    close(theirs); /* theirs alone: its end is the other's hang-up */
}
