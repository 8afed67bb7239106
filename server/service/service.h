/* The running daemon: everything the loop thread owns. One object, composed in main.c and service.c; no globals.
 *
 * Threads: the loop thread runs everything in this folder. A worker (uv_queue_work) runs only the middle part of a
 * request (request.h), on data that belongs to that request and on a State whose lease it holds. */
#ifndef GD_SERVICE_SERVICE_H
#define GD_SERVICE_SERVICE_H

#include "core/err.h"
#include "core/table.h"
#include "kernels/kernels.h"
#include "service/commands_generated.h"
#include "service/instance.h"
#include "core/registry.h"
#include "service/running.h"
#include "service/settings.h"
#include "service/team.h"

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

struct gd_router;
struct gd_door;
struct gd_checkpoints;
struct gd_jobs;
struct gd_keep;
struct gd_zap;
struct gd_session;
struct gd_stopper;
struct gd_request;

#define GD_MAX_ROUTERS 2

struct gd_command_stats {
    uint64_t count, errors, microseconds;
};

struct gd_service {
    uint32_t magic;
    struct gd_settings settings;
    uv_loop_t *loop;
    void *zmq; /* context */
    struct gd_kernels kernels;
    struct gd_team team;
    struct gd_instance instance;
    uint8_t instance_id[16]; /* new at every start */
    uint64_t started_ns;

    struct gd_router *routers[GD_MAX_ROUTERS]; /* 0: local (ipc); 1: remote (tcp), or NULL */
    struct gd_door *door;
    struct gd_zap *zap;
    struct gd_keep *keep;
    struct gd_jobs *jobs;
    struct gd_checkpoints *checkpoints; /* by the clock; NULL: none asked for */
    struct gd_table topologies;         /* number (8 bytes) -> gd_topology_entry */
    uint64_t next_topology;

    struct gd_table connections; /* router index + routing id -> gd_session */
    struct gd_table sessions;    /* number (4 bytes) -> gd_session */
    struct gd_table tokens;      /* token -> gd_session */
    uint32_t next_session;

    struct gd_registry registry;
    _Atomic size_t charged_bytes; /* in segments of States (charges.h) */
    struct gd_lease_hooks lease_hooks;

    struct gd_table results; /* number (8 bytes) -> gd_result */
    uint64_t next_result;
    struct gd_table subscriptions; /* number (8 bytes) -> gd_subscription */
    struct gd_table listeners;     /* number (8 bytes) -> listener of events.c */
    uint64_t next_subscription;
    uint64_t next_fence;
    struct gd_table remote_leases; /* uuid -> gd_remote_lease */
    struct gd_request *waits;      /* state.wait requests */

    struct gd_stopper *stopper;
    struct gd_running running; /* what is at work, for saying so when it holds up a stop */
    uv_timer_t tick;           /* once a tenth of a second: lease limits, idle end, silent sessions, drained stop */
    uint64_t idle_since_ns;
    uint64_t stop_at_ns; /* 0: not stopping; else the time to give up waiting */
    int stopping, served;
    size_t in_flight; /* requests that are not answered yet */
    struct gd_request *free_requests;
    size_t num_free_requests;

    uint64_t requests, request_errors, dropped_replies;
    uint64_t requests_seen, give_back_at_ns; /* 0: the heap has been given back since the last request */
    uint64_t turned_away, turned_away_ns;    /* connections that were told of in the log, and when */
    uint64_t ended_published, ended_skipped; /* of States that are gone */
    int threads;
    struct gd_command_stats command_stats[GD_NUM_COMMANDS];
};

/* Makes the instance's folder and lock, opens sockets; on success the daemon is reachable. Errors: GD_E_ALREADY_RUNNING,
 * GD_E_FILE_ACCESS, GD_E_INVALID_ARGUMENT. */
int gd_service_create(struct gd_service **out, const struct gd_settings *settings, uv_loop_t *loop, struct gd_err *err);

/* Runs until a signal, the shutdown command or idleness ends it. */
void gd_service_run(struct gd_service *service);

/* The next tick in two milliseconds instead of a hundred, for what should not wait that long. */
void gd_service_tick_soon(struct gd_service *service);

/* Starts the orderly end: no new work, what is in progress may finish within drain_timeout. */
void gd_service_stop(struct gd_service *service, const char *why);

void gd_service_destroy(struct gd_service **service);

uint64_t gd_now_ns(void); /* CLOCK_MONOTONIC */

#endif
