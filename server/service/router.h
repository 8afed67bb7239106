/* A ROUTER socket: messages in become requests, replies and events go out. Loop thread only.
 *
 * Mandatory routing is on, so a peer that is gone (EHOSTUNREACH) or does not read (EAGAIN at its limit) is an error that is
 * counted, not silence; the daemon never waits for a peer. */
#ifndef GD_SERVICE_ROUTER_H
#define GD_SERVICE_ROUTER_H

#include "service/codec.h"
#include "service/service.h"
#include "service/zmq_watcher.h"

#define GD_ROUTING_BYTES 256

struct gd_call_line;

/* Where a message came from, and where answers and events for it go. */
struct gd_address {
    struct gd_call_line *line; /* a call at the door, which gets its answer there and nothing else; NULL: from a router */
    struct gd_router *router;
    size_t bytes;
    unsigned char routing[GD_ROUTING_BYTES]; /* ZeroMQ's name of the connection */
};

struct gd_router {
    uint32_t magic;
    struct gd_service *service;
    unsigned index; /* in service->routers */
    int local;      /* its peers come through the door */
    void *socket;
    char endpoint[GD_PATH + 16]; /* as bound */
    struct gd_zmq_watcher watcher;
};

/* endpoint: ipc://path or tcp://address:port (port * for any). curve_secret (Z85 text) turns encryption on. */
int gd_router_create(struct gd_router **out, struct gd_service *service, unsigned index, const char *endpoint, int local,
                     const char *curve_secret, struct gd_err *err);

/* Closes the watcher; gd_router_free() after the loop has run. Waits at most linger_ms for replies on their way. */
void gd_router_stop(struct gd_router *router);
void gd_router_free(struct gd_router **router);

/* Sends a map and the parts of a reply (which are taken over, sent or not). 0, or -1 when the peer is gone (errno EHOSTUNREACH) or
 * full. */
int gd_router_send(const struct gd_address *to, msgpack_sbuffer *map, struct gd_reply *reply);

/* The same for an event, whose whole map was built as a reply's fields. */
int gd_router_send_event(const struct gd_address *to, struct gd_reply *event);

#endif
