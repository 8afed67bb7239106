/* A ZeroMQ socket in a libuv loop.
 *
 * ZMQ_FD is edge-triggered and says only "look again": ZMQ_EVENTS decides. So the socket is looked at once every turn of the
 * loop (check), and before the loop would sleep (prepare): if something is waiting then, an idle handle keeps it awake. Each turn
 * the callback may drain a bounded batch; what is left is taken the next turn, so no socket starves the others. */
#ifndef GD_SERVICE_ZMQ_WATCHER_H
#define GD_SERVICE_ZMQ_WATCHER_H

#include "core/err.h"

#include <uv.h>

struct gd_zmq_watcher;
typedef void gd_zmq_ready(struct gd_zmq_watcher *watcher, void *context);

struct gd_zmq_watcher {
    uint32_t magic;
    void *socket;
    gd_zmq_ready *ready; /* reads with ZMQ_DONTWAIT until EAGAIN or its batch is full */
    void *context;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    int open_handles;
    int armed;
};

/* Loop thread only. The socket stays the caller's. */
int gd_zmq_watcher_start(struct gd_zmq_watcher *watcher, uv_loop_t *loop, void *socket, gd_zmq_ready *ready, void *context,
                         struct gd_err *err);

/* Closes the handles; the watcher's memory must live until the loop has run the close callbacks. Twice is fine. */
void gd_zmq_watcher_stop(struct gd_zmq_watcher *watcher);

#endif
