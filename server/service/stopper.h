/* Signals, and the end of a stop that does not come to one.
 *
 * SIGTERM and SIGINT are taken by a thread of its own, so that they count also while the loop thread is busy: the first begins the
 * orderly stop (gd_service_stop), the second shortens it (within half a second of the first it is the same one). What does not end by
 * itself (a long computation, a file system that does not answer) cannot hold the process for ever: `drain_timeout` and `stop_timeout`
 * after the beginning, or two seconds after the second signal, the log says what was still at work, the sockets are taken away, and the
 * process ends with status 0 all the same. That is then like a death for what runs: memory that somebody keeps stays consistent. */
#ifndef GD_SERVICE_STOPPER_H
#define GD_SERVICE_STOPPER_H

#include "core/err.h"

struct gd_service;
struct gd_stopper;

/* Blocks the signals in this thread and those it starts from now on. */
int gd_stopper_start(struct gd_stopper **out, struct gd_service *service, struct gd_err *err);

/* A stop begins (again: 1, it is urgent now): the clock runs. Loop thread. */
void gd_stopper_arm(struct gd_stopper *stopper, int again);

/* Closes its handle: signals shorten the stop from now on, no more. Before the loop's last run. NULL-safe, as the next. */
void gd_stopper_close(struct gd_stopper *stopper);
/* Everything has ended. */
void gd_stopper_finish(struct gd_stopper **stopper);

#endif
