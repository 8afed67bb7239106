#include "service/zmq_watcher.h"

#include "core/check.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#define WATCHER_MAGIC 0x7a77a7c4u

static int readable(struct gd_zmq_watcher *watcher)
{
    int events = 0;
    size_t size = sizeof events;
    if (zmq_getsockopt(watcher->socket, ZMQ_EVENTS, &events, &size) != 0)
        return 0; /* the context is being terminated */
    return (events & ZMQ_POLLIN) != 0;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)handle, (void)status, (void)events; /* it was only to wake the loop; on_check looks */
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void on_prepare(uv_prepare_t *handle)
{
    struct gd_zmq_watcher *watcher = handle->data;
    GD_MAGIC_CHECK(watcher, WATCHER_MAGIC);
    if (readable(watcher))
        uv_idle_start(&watcher->idle, on_idle);
}

static void on_check(uv_check_t *handle)
{
    struct gd_zmq_watcher *watcher = handle->data;
    GD_MAGIC_CHECK(watcher, WATCHER_MAGIC);
    uv_idle_stop(&watcher->idle);
    watcher->ready(watcher, watcher->context);
}

int gd_zmq_watcher_start(struct gd_zmq_watcher *watcher, uv_loop_t *loop, void *socket, gd_zmq_ready *ready, void *context,
                         struct gd_err *err)
{
    memset(watcher, 0, sizeof *watcher);
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0)
        return gd_err_set(err, GD_E_INTERNAL, "cannot watch a ZeroMQ socket: %s", zmq_strerror(errno));
    watcher->magic = WATCHER_MAGIC;
    watcher->socket = socket;
    watcher->ready = ready;
    watcher->context = context;
    int code = uv_poll_init(loop, &watcher->poll, fd);
    if (code != 0)
        return gd_err_set(err, GD_E_INTERNAL, "cannot watch a ZeroMQ socket: %s", uv_strerror(code));
    GD_CHECK(uv_prepare_init(loop, &watcher->prepare) == 0);
    GD_CHECK(uv_check_init(loop, &watcher->check) == 0);
    GD_CHECK(uv_idle_init(loop, &watcher->idle) == 0);
    watcher->poll.data = watcher->prepare.data = watcher->check.data = watcher->idle.data = watcher;
    GD_CHECK(uv_poll_start(&watcher->poll, UV_READABLE, on_poll) == 0);
    GD_CHECK(uv_prepare_start(&watcher->prepare, on_prepare) == 0);
    GD_CHECK(uv_check_start(&watcher->check, on_check) == 0);
    watcher->open_handles = 4;
    watcher->armed = 1;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct gd_zmq_watcher *watcher = handle->data;
    GD_MAGIC_CHECK(watcher, WATCHER_MAGIC);
    watcher->open_handles--;
}

void gd_zmq_watcher_stop(struct gd_zmq_watcher *watcher)
{
    if (!watcher->armed)
        return;
    watcher->armed = 0;
    uv_close((uv_handle_t *)&watcher->poll, on_closed);
    uv_close((uv_handle_t *)&watcher->prepare, on_closed);
    uv_close((uv_handle_t *)&watcher->check, on_closed);
    uv_close((uv_handle_t *)&watcher->idle, on_closed);
}
