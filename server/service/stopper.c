#include "service/stopper.h"

#include "core/check.h"
#include "core/log.h"
#include "service/service.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define URGENT_NS 2000000000ull
#define SAME_NS 500000000ull /* a Ctrl-C reaches the process from the terminal and from its keeper */

struct gd_stopper {
    struct gd_service *service;
    pthread_t thread;
    int signals, wake;
    uint64_t first_ns; /* of the first signal; the thread's own */
    _Atomic int finished;
    _Atomic uint64_t deadline_ns; /* 0: no stop yet */

    pthread_mutex_t mutex; /* of what follows: the loop may be about to end */
    uv_async_t async;
    int open;
    int taken; /* the signal that came last */
    unsigned told;
};

static void wake(struct gd_stopper *stopper)
{
    uint64_t one = 1;
    ssize_t n = write(stopper->wake, &one, sizeof one);
    (void)n;
}

static void shorten(struct gd_stopper *stopper, uint64_t deadline)
{
    uint64_t present = atomic_load(&stopper->deadline_ns);
    while ((present == 0 || deadline < present) && !atomic_compare_exchange_weak(&stopper->deadline_ns, &present, deadline))
        ;
}

static uint64_t patience_ns(const struct gd_stopper *stopper)
{
    const struct gd_settings *settings = &stopper->service->settings;
    return (uint64_t)((settings->drain_timeout + settings->stop_timeout) * 1e9);
}

/* The loop thread may be stuck, or tearing down: nothing of it is touched but what is fixed since the start. */
static _Noreturn void end_anyway(struct gd_stopper *stopper)
{
    struct gd_service *service = stopper->service;
    char text[1024];
    size_t count = gd_running_text(&service->running, text, sizeof text);
    gd_log_warn("service", "the stop has taken too long; still at work: %s; ending without it",
                count > 0 ? text : "nothing that has a name");
    unlink(service->instance.door_path);
    unlink(service->instance.zmq_path);
    _exit(EXIT_SUCCESS);
}

static void take_signal(struct gd_stopper *stopper)
{
    struct signalfd_siginfo info;
    if (read(stopper->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    uint64_t now = gd_now_ns();
    if (stopper->first_ns != 0 && now - stopper->first_ns < SAME_NS)
        return;
    if (stopper->first_ns == 0)
        stopper->first_ns = now;
    int again = atomic_load(&stopper->deadline_ns) != 0;
    shorten(stopper, now + (again ? URGENT_NS : patience_ns(stopper)));
    pthread_mutex_lock(&stopper->mutex);
    stopper->taken = (int)info.ssi_signo;
    stopper->told++;
    if (stopper->open)
        uv_async_send(&stopper->async);
    pthread_mutex_unlock(&stopper->mutex);
}

static void *watch(void *argument)
{
    struct gd_stopper *stopper = argument;
    while (!atomic_load(&stopper->finished)) {
        uint64_t deadline = atomic_load(&stopper->deadline_ns), now = gd_now_ns(), number;
        if (deadline != 0 && now >= deadline)
            end_anyway(stopper);
        struct pollfd fds[2] = {{stopper->signals, POLLIN, 0}, {stopper->wake, POLLIN, 0}};
        if (poll(fds, 2, deadline == 0 ? -1 : (int)((deadline - now) / 1000000u) + 1) <= 0)
            continue;
        if (fds[1].revents & POLLIN)
            (void)!read(stopper->wake, &number, sizeof number);
        if (fds[0].revents & POLLIN)
            take_signal(stopper);
    }
    return NULL;
}

static void on_async(uv_async_t *async)
{
    struct gd_stopper *stopper = async->data;
    pthread_mutex_lock(&stopper->mutex);
    unsigned told = stopper->told;
    int number = stopper->taken;
    stopper->told = 0;
    pthread_mutex_unlock(&stopper->mutex);
    for (; told > 0; told--)
        gd_service_stop(stopper->service, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

int gd_stopper_start(struct gd_stopper **out, struct gd_service *service, struct gd_err *err)
{
    struct gd_stopper *stopper = calloc(1, sizeof *stopper);
    if (stopper == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to watch for signals");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    stopper->service = service;
    stopper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    stopper->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&stopper->mutex, NULL);
    GD_CHECK(uv_async_init(service->loop, &stopper->async, on_async) == 0);
    stopper->async.data = stopper;
    stopper->open = 1;
    *out = stopper;
    if (stopper->signals >= 0 && stopper->wake >= 0 && pthread_create(&stopper->thread, NULL, watch, stopper) == 0)
        return 0;
    atomic_store(&stopper->finished, 1);
    return gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot watch for signals");
}

void gd_stopper_arm(struct gd_stopper *stopper, int again)
{
    shorten(stopper, gd_now_ns() + (again ? URGENT_NS : patience_ns(stopper)));
    wake(stopper);
}

void gd_stopper_close(struct gd_stopper *stopper)
{
    if (stopper == NULL)
        return;
    pthread_mutex_lock(&stopper->mutex);
    stopper->open = 0;
    pthread_mutex_unlock(&stopper->mutex);
    uv_close((uv_handle_t *)&stopper->async, NULL);
}

void gd_stopper_finish(struct gd_stopper **pointer)
{
    struct gd_stopper *stopper = *pointer;
    *pointer = NULL;
    if (stopper == NULL)
        return;
    if (!atomic_exchange(&stopper->finished, 1)) {
        wake(stopper);
        pthread_join(stopper->thread, NULL);
    }
    if (stopper->signals >= 0)
        close(stopper->signals);
    if (stopper->wake >= 0)
        close(stopper->wake);
    pthread_mutex_destroy(&stopper->mutex);
    free(stopper);
}
