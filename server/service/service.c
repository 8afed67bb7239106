#include "service/service.h"

#include "core/accepting.h"
#include "core/check.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/uuid.h"
#include "core/version.h"
#include "service/charges.h"
#include "service/checkpoints.h"
#include "service/door.h"
#include "service/edit.h"
#include "service/events.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/registering.h"
#include "service/remote_leases.h"
#include "service/request.h"
#include "service/results.h"
#include "service/router.h"
#include "service/session.h"
#include "service/stopper.h"
#include "service/topologies.h"
#include "service/waits.h"
#include "service/zap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define SERVICE_MAGIC 0x5e7571ceu
#define TICK_MS 100
#define SOON_MS 2
#define GIVE_BACK_NS 1000000000ull
#define ORPHAN_NS 30000000000ull

uint64_t gd_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ---- time and signals ---- */

static void end_silent_sessions(struct gd_service *service, uint64_t now_ns)
{
    uint64_t ttl = (uint64_t)(service->settings.session_ttl * 1e9);
    size_t cursor = 0;
    struct gd_session *session;
    while ((session = gd_table_next(&service->sessions, &cursor)) != NULL) {
        if (!session->local && session->in_flight == 0 && now_ns - session->seen_ns > ttl)
            gd_session_end(service, session, "silent for too long");
    }
}

/* A private daemon without sessions, named States and work has nobody left to serve. */
static void end_when_idle(struct gd_service *service, uint64_t now_ns)
{
    int busy = service->sessions.used > 0 || service->registry.named > 0 || service->in_flight > 0 || gd_jobs_active(service->jobs) > 0;
    if (!service->settings.private || busy) {
        service->idle_since_ns = now_ns;
        return;
    }
    if (now_ns - service->idle_since_ns > (uint64_t)(service->settings.idle_timeout * 1e9))
        gd_service_stop(service, "private and idle");
}

/* An unnamed State that survived a restart ends unless one of those who had it comes back for it. */
static void end_orphans(struct gd_service *service, uint64_t now_ns)
{
    size_t cursor = 0;
    struct gd_state *state;
    while ((state = gd_table_next(&service->registry.by_uuid, &cursor)) != NULL) {
        if (state->name[0] == '\0' && state->num_handles == 0 && now_ns - state->created_ns > ORPHAN_NS)
            gd_unregister_state(service, state, "nobody came back for it after the restart");
    }
}

/* At most once a minute: a flood of connections is not to become one of lines. */
static void tell_turned_away(struct gd_service *service, uint64_t now_ns)
{
    uint64_t count = gd_accepting_turned_away();
    if (count == service->turned_away || (service->turned_away_ns != 0 && now_ns - service->turned_away_ns < 60000000000ull))
        return;
    gd_log_warn("service",
                "%llu connections were closed at once: too few descriptors are left; raise the limit (ulimit -n, or LimitNOFILE= of the "
                "unit) or look who connects",
                (unsigned long long)(count - service->turned_away));
    service->turned_away = count;
    service->turned_away_ns = now_ns;
}

/* A second after the last request: what large messages and results took from the heap is not kept for the next time they come. */
static void give_memory_back(struct gd_service *service, uint64_t now_ns)
{
    if (service->requests != service->requests_seen || gd_jobs_active(service->jobs) > 0) {
        service->requests_seen = service->requests;
        service->give_back_at_ns = now_ns + GIVE_BACK_NS;
    } else if (service->give_back_at_ns != 0 && now_ns >= service->give_back_at_ns) {
        gd_memory_give_back();
        service->give_back_at_ns = 0;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct gd_service *service = timer->data;
    GD_MAGIC_CHECK(service, SERVICE_MAGIC);
    uint64_t now_ns = gd_now_ns();
    gd_edit_tick(service, now_ns);
    gd_waits_tick(service, now_ns);
    gd_remote_leases_tick(service, now_ns);
    gd_results_tick(service, now_ns);
    gd_keep_tick(service->keep);
    gd_keep_look(service->keep, now_ns);
    gd_jobs_tick(service->jobs, now_ns);
    gd_checkpoints_tick(service->checkpoints, now_ns);
    tell_turned_away(service, now_ns);
    give_memory_back(service, now_ns);
    end_silent_sessions(service, now_ns);
    end_orphans(service, now_ns);
    if (!service->stopping)
        end_when_idle(service, now_ns);
    else if ((service->in_flight == 0 && gd_jobs_active(service->jobs) == 0 && !gd_checkpoints_busy(service->checkpoints)) ||
             now_ns >= service->stop_at_ns)
        uv_stop(service->loop);
}

void gd_service_tick_soon(struct gd_service *service)
{
    if (uv_is_active((uv_handle_t *)&service->tick))
        uv_timer_start(&service->tick, on_tick, SOON_MS, uv_timer_get_repeat(&service->tick));
}

void gd_service_stop(struct gd_service *service, const char *why)
{
    gd_stopper_arm(service->stopper, service->stopping);
    if (service->stopping) {
        service->stop_at_ns = 0; /* asked twice: no more patience */
        return;
    }
    gd_log_info("service", "stopping (%s), %zu requests in progress", why, service->in_flight);
    service->stopping = 1;
    gd_keep_tell(service->keep, "STOPPING=1");
    service->stop_at_ns = gd_now_ns() + (uint64_t)(service->settings.drain_timeout * 1e9);
    gd_waits_forget(service, NULL);
    gd_jobs_stop(service->jobs);
    uv_timer_start(&service->tick, on_tick, 10, 10);
}

/* ---- setting up ---- */

static int choose_kernels(struct gd_service *service, struct gd_err *err)
{
    const char *text = service->settings.cpu, *environment = getenv("GROMOSD_CPU");
    if (environment != NULL && strcmp(text, "auto") == 0)
        text = environment;
    setenv("GROMOSD_CPU", text, 1); /* for the engine, which chooses for itself */
    unsigned mask = 0;
    if (gd_cpu_parse_mask(text, &mask, err) != 0)
        return gd_err_context(err, "$GROMOSD_CPU"); /* the setting has been looked at */
    gd_kernels_init(&service->kernels, gd_cpu_detect() & mask);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    service->threads = service->settings.threads > 0 ? (int)service->settings.threads : cores > 0 ? (int)cores : 1;
    gd_team_init(&service->team, service->threads);
    char count[16];
    snprintf(count, sizeof count, "%d", service->threads < 2 ? 2 : service->threads);
    setenv("UV_THREADPOOL_SIZE", count, 1); /* read by libuv at the first piece of work */
    return 0;
}

static int is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "tcp://127.", 10) == 0 || strncmp(endpoint, "tcp://[::1]:", 12) == 0;
}

static int bind_remote(struct gd_service *service, const char *secret, struct gd_err *err)
{
    int code = gd_router_create(&service->routers[1], service, 1, service->settings.listen, 0, secret, err);
    return code == 0 ? 0 : gd_settings_blame(&service->settings, GD_SETTING_listen, err);
}

static int open_remote(struct gd_service *service, struct gd_err *err)
{
    const struct gd_settings *settings = &service->settings;
    char path[GD_PATH + 32], secret[41];
    if (settings->listen[0] == '\0')
        return 0;
    if (settings->plain_loopback) {
        if (!is_loopback(settings->listen))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "plain_loopback is for 127.0.0.1 and [::1] alone; %s needs keys",
                              settings->listen),
                   gd_settings_blame(settings, GD_SETTING_plain_loopback, err);
        gd_log_warn("auth", "%s takes any user of this machine without a key (plain_loopback)", settings->listen);
        return bind_remote(service, NULL, err);
    }
    snprintf(path, sizeof path, "%s/authorized_keys", service->instance.directory);
    int code = gd_zap_create(&service->zap, service, settings->authorized_keys[0] ? settings->authorized_keys : path, err);
    if (code != 0)
        return code;
    snprintf(path, sizeof path, "%s/server.key_secret", service->instance.directory);
    code = gd_zap_server_key(settings->server_key[0] ? settings->server_key : path, secret, err);
    if (code != 0)
        gd_settings_blame(settings, GD_SETTING_server_key, err);
    else
        code = bind_remote(service, secret, err);
    explicit_bzero(secret, sizeof secret);
    return code;
}

static int open_sockets(struct gd_service *service, struct gd_err *err)
{
    char endpoint[GD_PATH + 8];
    service->zmq = zmq_ctx_new();
    if (service->zmq == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a ZeroMQ context");
    zmq_ctx_set(service->zmq, ZMQ_MAX_SOCKETS, 65535);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", service->instance.zmq_path);
    int code = open_remote(service, err); /* authentication first: libzmq asks for it when a connection comes */
    if (code == 0)
        code = gd_router_create(&service->routers[0], service, 0, endpoint, 1, NULL, err);
    if (code == 0)
        code = gd_door_create(&service->door, service, service->instance.door_path, err);
    return code;
}

static void start_handles(struct gd_service *service)
{
    uv_loop_t *loop = service->loop;
    GD_CHECK(uv_timer_init(loop, &service->tick) == 0);
    service->tick.data = service;
    uv_timer_start(&service->tick, on_tick, TICK_MS, TICK_MS);
}

int gd_service_create(struct gd_service **out, const struct gd_settings *settings, uv_loop_t *loop, struct gd_err *err)
{
    struct gd_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the service");
    service->magic = SERVICE_MAGIC;
    service->settings = *settings;
    service->loop = loop;
    service->instance.lock_fd = -1;
    service->started_ns = service->idle_since_ns = gd_now_ns();
    service->next_session = GD_LEASE_DAEMON + 1;
    gd_uuid_make(service->instance_id);
    struct gd_table *tables[] = {&service->connections,   &service->sessions,  &service->tokens,        &service->results,
                                 &service->subscriptions, &service->listeners, &service->remote_leases, &service->topologies};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        gd_table_init(tables[i]);
    gd_registry_init(&service->registry);
    gd_edit_hooks(service, &service->lease_hooks);
    start_handles(service);
    gd_memory_set_reserve((size_t)settings->memory_reserve);
    int code = gd_stopper_start(&service->stopper, service, err); /* first: threads inherit which signals are blocked */
    if (code == 0)
        code = gd_jobs_create(&service->jobs, service, err);
    if (code == 0)
        code = choose_kernels(service, err);
    if (code == 0)
        code = gd_keep_create(&service->keep, service, err);
    if (code == 0)
        code = gd_instance_open(&service->instance, settings, gd_keep_take_lock(service->keep), err);
    if (code == 0)
        gd_keep_adopt(service->keep); /* before anybody can come in */
    if (code == 0)
        code = gd_checkpoints_create(&service->checkpoints, service, err);
    if (code == 0)
        code = open_sockets(service, err);
    if (code != 0) {
        gd_service_destroy(&service);
        return code;
    }
    gd_log_info("service", "gromosd %s serves ipc://%s%s%s (kernels %s, %d threads, pid %ld)", GD_VERSION, service->instance.zmq_path,
                service->routers[1] != NULL ? " and " : "", service->routers[1] != NULL ? service->routers[1]->endpoint : "",
                service->kernels.name, service->threads, (long)getpid());
    gd_keep_tell(service->keep, "READY=1");
    *out = service;
    return 0;
}

void gd_service_run(struct gd_service *service)
{
    uv_run(service->loop, UV_RUN_DEFAULT);
    service->served = 1;
}

/* ---- taking down, in reverse ---- */

static void close_handles(struct gd_service *service)
{
    uv_close((uv_handle_t *)&service->tick, NULL);
    gd_stopper_close(service->stopper);
    for (int i = 0; i < GD_MAX_ROUTERS; i++)
        gd_router_stop(service->routers[i]);
    gd_zap_stop(service->zap);
    gd_jobs_close(service->jobs);
    /* Runs the close callbacks, and what workers still have to say. */
    uv_run(service->loop, UV_RUN_DEFAULT);
}

void gd_service_destroy(struct gd_service **pointer)
{
    struct gd_service *service = *pointer;
    *pointer = NULL;
    if (service == NULL)
        return;
    GD_MAGIC_CHECK(service, SERVICE_MAGIC);
    if (service->stopper != NULL)
        gd_stopper_arm(service->stopper, 0);
    gd_jobs_stop(service->jobs);
    while ((service->jobs != NULL && gd_jobs_active(service->jobs) > 0) || gd_checkpoints_busy(service->checkpoints))
        uv_run(service->loop, UV_RUN_ONCE); /* their threads end at the next step */
    gd_door_stop(service->door);
    size_t cursor = 0;
    struct gd_session *session;
    while ((session = gd_table_next(&service->sessions, &cursor)) != NULL)
        gd_session_end(service, session, "the daemon stops");
    close_handles(service);
    gd_results_forget(service, NULL);
    gd_topologies_forget(service, NULL);
    gd_jobs_free(&service->jobs);
    gd_subscriptions_forget(service, NULL);
    gd_events_forget(service, NULL);
    gd_remote_leases_free(service);
    cursor = 0;
    struct gd_state *state;
    while ((state = gd_table_next(&service->registry.by_uuid, &cursor)) != NULL)
        gd_charge_end(service, state);
    gd_registry_free(&service->registry);
    gd_checkpoints_free(&service->checkpoints);
    gd_team_free(&service->team);
    gd_request_free_all(service);
    gd_door_free(&service->door);
    for (int i = 0; i < GD_MAX_ROUTERS; i++)
        gd_router_free(&service->routers[i]);
    gd_zap_free(&service->zap);
    gd_keep_free(&service->keep);
    if (service->zmq != NULL)
        zmq_ctx_term(service->zmq);
    gd_instance_close(&service->instance);
    struct gd_table *tables[] = {&service->connections,   &service->sessions,  &service->tokens,    &service->results,
                                 &service->subscriptions, &service->listeners, &service->topologies};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        gd_table_free(tables[i]);
    gd_stopper_finish(&service->stopper);
    if (service->served) /* not after a start that failed: its cause is told by whoever started it */
        gd_log_info("service", "stopped");
    service->magic = 0;
    free(service);
}
