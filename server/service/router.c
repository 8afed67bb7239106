#include "service/router.h"

#include "core/check.h"
#include "core/log.h"
#include "service/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define ROUTER_MAGIC 0x70075e7au
#define BATCH 64 /* messages taken per turn of the loop */
#define BACKLOG 1000
#define HANDSHAKE_MS 10000 /* a connection that has not said who it is by then is closed */

/* Reads and drops what is left of a message. */
static void drop_rest(void *socket)
{
    int more = 1;
    size_t size = sizeof more;
    while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        zmq_msg_recv(&part, socket, ZMQ_DONTWAIT);
        zmq_msg_close(&part);
    }
}

/* Takes the parts behind the routing id. Returns how many there were too many or too few of: 0 is right. */
static int take_parts(struct gd_request *request, void *socket, zmq_msg_t *routing)
{
    if (!zmq_msg_more(routing))
        return -1;
    if (zmq_msg_recv(&request->map, socket, ZMQ_DONTWAIT) < 0)
        return -1;
    int more = zmq_msg_more(&request->map);
    while (more && request->raw.count < GD_PROTOCOL_MAX_PARTS - 1) {
        zmq_msg_t *part = &request->parts[request->raw.count];
        zmq_msg_init(part);
        request->raw.count++;
        if (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0)
            return -1;
        request->raw.data[request->raw.count - 1] = zmq_msg_data(part);
        request->raw.bytes[request->raw.count - 1] = zmq_msg_size(part);
        more = zmq_msg_more(part);
    }
    return more;
}

static int take_message(struct gd_router *router)
{
    zmq_msg_t routing;
    zmq_msg_init(&routing);
    int n = zmq_msg_recv(&routing, router->socket, ZMQ_DONTWAIT);
    if (n < 0) {
        zmq_msg_close(&routing);
        return -1;
    }
    struct gd_request *request = n <= GD_ROUTING_BYTES ? gd_request_new(router->service) : NULL;
    if (request == NULL) { /* no memory: the client's time limit will tell it */
        drop_rest(router->socket);
        zmq_msg_close(&routing);
        router->service->dropped_replies++;
        return 0;
    }
    request->from.router = router;
    request->from.bytes = (size_t)n;
    memcpy(request->from.routing, zmq_msg_data(&routing), (size_t)n);
    if (take_parts(request, router->socket, &routing) != 0) {
        drop_rest(router->socket);
        request->code = gd_err_set(&request->err, GD_E_INVALID_MESSAGE, "a request has 1 to %d parts", GD_PROTOCOL_MAX_PARTS);
    }
    zmq_msg_close(&routing);
    gd_request_begin(request);
    return 0;
}

static void on_ready(struct gd_zmq_watcher *watcher, void *context)
{
    (void)watcher;
    struct gd_router *router = context;
    GD_MAGIC_CHECK(router, ROUTER_MAGIC);
    for (int i = 0; i < BATCH; i++) {
        if (take_message(router) != 0)
            return;
    }
}

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int configure(struct gd_router *router, const char *curve_secret, struct gd_err *err)
{
    void *socket = router->socket;
    int64_t largest = router->service->settings.message_bytes;
    int bad = set_int(socket, ZMQ_ROUTER_MANDATORY, 1) | set_int(socket, ZMQ_ROUTER_HANDOVER, 1) | set_int(socket, ZMQ_LINGER, 0) |
              set_int(socket, ZMQ_SNDHWM, BACKLOG) | set_int(socket, ZMQ_RCVHWM, BACKLOG) |
              set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) | set_int(socket, ZMQ_HEARTBEAT_IVL, router->local ? 0 : 5000) |
              zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    if (curve_secret != NULL)
        bad |= set_int(socket, ZMQ_CURVE_SERVER, 1) | zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve_secret, strlen(curve_secret) + 1);
    return bad == 0 ? 0 : gd_err_set(err, GD_E_INTERNAL, "cannot configure a ZeroMQ socket: %s", zmq_strerror(errno));
}

int gd_router_create(struct gd_router **out, struct gd_service *service, unsigned index, const char *endpoint, int local,
                     const char *curve_secret, struct gd_err *err)
{
    struct gd_router *router = calloc(1, sizeof *router);
    if (router == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a socket");
    router->magic = ROUTER_MAGIC;
    router->service = service;
    router->index = index;
    router->local = local;
    int code = GD_E_INTERNAL;
    router->socket = zmq_socket(service->zmq, ZMQ_ROUTER);
    if (router->socket == NULL) {
        gd_err_set(err, code, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
        goto fail;
    }
    code = configure(router, curve_secret, err);
    if (code != 0)
        goto fail;
    if (zmq_bind(router->socket, endpoint) != 0) {
        int wrong = errno == EINVAL || errno == EPROTONOSUPPORT; /* else another moment, or another program, may make it right */
        code = gd_err_set(err, wrong ? GD_E_INVALID_ARGUMENT : GD_E_FILE_ACCESS, "cannot listen at %s: %s", endpoint, zmq_strerror(errno));
        goto fail;
    }
    size_t size = sizeof router->endpoint;
    zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, router->endpoint, &size);
    code = gd_zmq_watcher_start(&router->watcher, service->loop, router->socket, on_ready, router, err);
    if (code != 0)
        goto fail;
    *out = router;
    return 0;
fail:
    if (router->socket != NULL)
        zmq_close(router->socket);
    free(router);
    return code;
}

void gd_router_stop(struct gd_router *router)
{
    if (router != NULL)
        gd_zmq_watcher_stop(&router->watcher);
}

void gd_router_free(struct gd_router **router)
{
    if (*router == NULL)
        return;
    GD_MAGIC_CHECK(*router, ROUTER_MAGIC);
    GD_CHECK((*router)->watcher.open_handles == 0);
    set_int((*router)->socket, ZMQ_LINGER, 500); /* the last replies may leave */
    zmq_close((*router)->socket);
    (*router)->magic = 0;
    free(*router);
    *router = NULL;
}

static void release_buffer(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* The packed map becomes a message without a copy. */
static int message_from_buffer(zmq_msg_t *message, msgpack_sbuffer *map)
{
    size_t bytes = map->size;
    if (bytes <= 256) { /* small ones are cheaper copied than counted */
        if (zmq_msg_init_size(message, bytes) != 0)
            return -1;
        memcpy(zmq_msg_data(message), map->data, bytes);
        return 0;
    }
    char *data = msgpack_sbuffer_release(map);
    if (zmq_msg_init_data(message, data, bytes, release_buffer, NULL) != 0) {
        free(data);
        return -1;
    }
    return 0;
}

int gd_router_send(const struct gd_address *to, msgpack_sbuffer *map, struct gd_reply *reply)
{
    struct gd_router *router = to->router;
    unsigned parts = reply == NULL ? 0 : reply->num_parts;
    if (zmq_send(router->socket, to->routing, to->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        int why = errno;
        router->service->dropped_replies++;
        gd_log_debug("router", "a reply was dropped: %s", zmq_strerror(why));
        errno = why;
        return -1;
    }
    zmq_msg_t message;
    if (message_from_buffer(&message, map) != 0)
        zmq_msg_init(&message); /* an empty part: the peer sees a message it cannot read rather than half of one */
    if (zmq_msg_send(&message, router->socket, ZMQ_DONTWAIT | (parts > 0 ? ZMQ_SNDMORE : 0)) < 0)
        zmq_msg_close(&message);
    for (unsigned i = 0; i < parts; i++) {
        struct gd_reply_part *part = &reply->parts[i];
        if (zmq_msg_init_data(&message, part->data, part->bytes, part->release, part->hint) != 0)
            zmq_msg_init(&message);
        else
            part->release = NULL; /* libzmq's now */
        if (zmq_msg_send(&message, router->socket, ZMQ_DONTWAIT | (i + 1 < parts ? ZMQ_SNDMORE : 0)) < 0)
            zmq_msg_close(&message);
    }
    return 0;
}

int gd_router_send_event(const struct gd_address *to, struct gd_reply *event)
{
    msgpack_sbuffer map;
    msgpack_sbuffer_init(&map);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &map, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, event->fields);
    msgpack_sbuffer_write(&map, event->map.data, event->map.size);
    errno = 0;
    int code = event->failed ? -1 : gd_router_send(to, &map, event);
    int why = errno;
    msgpack_sbuffer_destroy(&map);
    errno = why;
    return code;
}
