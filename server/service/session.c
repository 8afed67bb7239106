#include "service/session.h"

#include "core/check.h"
#include "core/log.h"
#include "core/pins.h"
#include "core/state.h"
#include "service/charges.h"
#include "service/door.h"
#include "service/door_calls.h"
#include "service/edit.h"
#include "service/events.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/registering.h"
#include "service/results.h"
#include "service/service.h"
#include "service/topologies.h"
#include "service/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SESSION_MAGIC 0x5e5510a7u

int gd_session_create(struct gd_service *service, int local, uid_t uid, enum gd_role role, const char *user, struct gd_session **out,
                      struct gd_err *err)
{
    if (service->sessions.used >= (size_t)service->settings.max_sessions)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "%zu sessions are open, the daemon's limit (max_sessions)", service->sessions.used);
    struct gd_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a session");
    session->magic = SESSION_MAGIC;
    session->refs = 1;
    session->local = local;
    session->uid = uid;
    session->role = role;
    session->control = session->arguments = GD_SEGMENT_NONE;
    snprintf(session->user, sizeof session->user, "%s", user);
    session->created_ns = session->seen_ns = gd_now_ns();
    gd_table_init(&session->handles);
    gd_result_pool_init(&session->results);
    do {
        session->number = service->next_session++ & GD_LEASE_HOLDER;
    } while (session->number <= GD_LEASE_DAEMON || gd_session_by_number(service, session->number) != NULL);
    if (getrandom(session->token, sizeof session->token, 0) != (ssize_t)sizeof session->token) {
        gd_err_set(err, GD_E_INTERNAL, "the kernel gives no random numbers");
        gd_session_unref(&session);
        return GD_E_INTERNAL;
    }
    if (gd_table_put(&service->sessions, &session->number, sizeof session->number, session) != 0 ||
        gd_table_put(&service->tokens, session->token, sizeof session->token, session) != 0) {
        gd_table_remove(&service->sessions, &session->number, sizeof session->number);
        gd_session_unref(&session);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a session");
    }
    gd_keep_counters(service->keep);
    *out = session;
    return 0;
}

void gd_session_ref(struct gd_session *session)
{
    GD_MAGIC_CHECK(session, SESSION_MAGIC);
    session->refs++;
}

void gd_session_unref(struct gd_session **pointer)
{
    struct gd_session *session = *pointer;
    *pointer = NULL;
    GD_MAGIC_CHECK(session, SESSION_MAGIC);
    if (--session->refs > 0)
        return;
    GD_CHECK(session->handles.used == 0);
    gd_table_free(&session->handles);
    gd_result_pool_free(&session->results);
    gd_segment_close(&session->control);
    gd_segment_close(&session->arguments);
    session->magic = 0;
    free(session);
}

static void forget_connections(struct gd_service *service, struct gd_session *session)
{
    while (session->connections != NULL) {
        struct gd_connection *connection = session->connections;
        session->connections = connection->next;
        if (gd_table_get(&service->connections, connection->key, connection->key_bytes) == session)
            gd_table_remove(&service->connections, connection->key, connection->key_bytes);
        free(connection);
    }
}

void gd_session_end(struct gd_service *service, struct gd_session *session, const char *why)
{
    if (session->ended)
        return;
    session->ended = 1;
    gd_log_info("session", "session %u (%s) ended: %s", session->number, session->client[0] ? session->client : session->user, why);
    gd_door_calls_forget(session);
    gd_door_forget(session);
    gd_waits_forget(service, session);
    gd_subscriptions_forget(service, session);
    gd_events_forget(service, session);
    gd_results_forget(service, session);
    gd_jobs_forget_session(service->jobs, session);
    gd_topologies_forget(service, session);
    forget_connections(service, session);
    gd_table_remove(&service->sessions, &session->number, sizeof session->number);
    gd_table_remove(&service->tokens, session->token, sizeof session->token);
    size_t cursor = 0;
    struct gd_handle *handle;
    while ((handle = gd_table_next(&session->handles, &cursor)) != NULL)
        gd_session_close_state(service, session, handle->state);
    gd_charges_forget(session); /* what it made and is still there is charged to nobody any more */
    gd_session_unref(&session);
}

/* ---- finding ---- */

struct gd_session *gd_session_by_token(struct gd_service *service, const void *token, size_t bytes)
{
    if (bytes != GD_TOKEN_BYTES)
        return NULL;
    /* The table is keyed by a seeded hash of the whole token; the compare at the end takes the same time for every wrong one. */
    struct gd_session *session = gd_table_get(&service->tokens, token, bytes);
    if (session == NULL)
        return NULL;
    const volatile unsigned char *a = token, *b = session->token;
    unsigned char difference = 0;
    for (size_t i = 0; i < bytes; i++)
        difference |= a[i] ^ b[i];
    return difference == 0 ? session : NULL;
}

struct gd_session *gd_session_by_number(struct gd_service *service, uint32_t number)
{
    return gd_table_get(&service->sessions, &number, sizeof number);
}

struct gd_session *gd_session_by_connection(struct gd_service *service, const void *key, size_t bytes)
{
    return gd_table_get(&service->connections, key, bytes);
}

int gd_session_join(struct gd_service *service, struct gd_session *session, const void *key, size_t bytes, struct gd_err *err)
{
    if (gd_table_get(&service->connections, key, bytes) == session)
        return 0;
    size_t count = 0;
    for (struct gd_connection *c = session->connections; c != NULL; c = c->next)
        count++;
    if (count > (size_t)service->settings.session_requests)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "the session has %zu connections, as many as it may have requests (session_requests)",
                          count);
    struct gd_connection *connection = malloc(sizeof *connection);
    if (connection == NULL || gd_table_put(&service->connections, key, bytes, session) != 0) {
        free(connection);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a connection");
    }
    connection->key_bytes = bytes;
    memcpy(connection->key, key, bytes);
    connection->next = session->connections;
    session->connections = connection;
    return 0;
}

/* ---- handles ---- */

struct gd_handle *gd_session_handle(struct gd_session *session, const struct gd_state *state)
{
    return gd_table_get(&session->handles, state->uuid, sizeof state->uuid);
}

static struct gd_handle *make_handle(struct gd_service *service, struct gd_session *session, struct gd_state *state)
{
    struct gd_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return NULL;
    handle->state = state;
    handle->generation = state->generation;
    if (gd_charge_share(handle, NULL) != 0 || gd_table_put(&session->handles, state->uuid, sizeof state->uuid, handle) != 0) {
        gd_charge_unshare(service, handle);
        free(handle);
        return NULL;
    }
    gd_state_ref(state);
    state->num_handles++;
    return handle;
}

int gd_session_open_state(struct gd_service *service, struct gd_session *session, struct gd_state *state, struct gd_handle **out,
                          struct gd_err *err)
{
    struct gd_handle *handle = gd_session_handle(session, state);
    if (handle == NULL) {
        handle = make_handle(service, session, state);
        if (handle == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a handle");
    } else if (handle->generation != state->generation) {
        int code = gd_charge_share(handle, err);
        if (code != 0)
            return code;
        handle->generation = state->generation;
        handle->has_live_write = handle->has_frames = 0;
    }
    if (out != NULL)
        *out = handle;
    return 0;
}

void gd_session_close_state(struct gd_service *service, struct gd_session *session, struct gd_state *state)
{
    struct gd_handle *handle = gd_session_handle(session, state);
    if (handle == NULL)
        return;
    gd_table_remove(&session->handles, state->uuid, sizeof state->uuid);
    if (session->control.base != NULL)
        gd_pins_remove(&state->pins, session->control.base);
    gd_edit_session_gone(service, state, session->number);
    state->num_handles--;
    gd_charge_unshare(service, handle);
    free(handle);
    if (state->num_handles == 0 && state->name[0] == '\0')
        gd_unregister_state(service, state, "its last handle was given back");
    gd_state_unref(&state);
}

size_t gd_session_pins(const struct gd_session *session)
{
    return session->control.base == NULL ? 0 : gd_pins_count(session->control.base, 0);
}

size_t gd_session_bytes(struct gd_session *session)
{
    return atomic_load(&session->made_bytes) + atomic_load(&session->result_bytes) + gd_result_pool_in_use(&session->results);
}
