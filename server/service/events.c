#include "service/events.h"

#include "core/state.h"
#include "service/request.h"
#include "service/router.h"
#include "service/service.h"
#include "service/session.h"
#include "service/waits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct listener {
    uint64_t number;
    struct gd_session *session; /* borrowed: forgotten before it ends */
    struct gd_address address;
    uint8_t uuid[16]; /* of the one State it is about; zero: all */
    uint64_t missed;
};

void gd_events_pack(struct gd_reply *out, uint64_t subscription, const struct gd_state *state, const struct gd_state_event *event,
                    uint64_t missed)
{
    gd_reply_int(out, "v", GD_PROTOCOL_VERSION);
    gd_reply_str(out, "event", "state");
    gd_reply_int(out, "subscription", (int64_t)subscription);
    gd_reply_bin(out, "uuid", state->uuid, sizeof state->uuid);
    gd_reply_str(out, "name", state->name);
    gd_reply_str(out, "what", event->what);
    gd_reply_int(out, "version", (int64_t)gd_state_version(state));
    gd_reply_int(out, "generation", (int64_t)state->generation);
    gd_reply_int(out, "session", event->session);
    gd_reply_str(out, "text", event->text);
    gd_reply_int(out, "missed", (int64_t)missed);
}

static void drop(struct gd_service *service, struct listener *listener)
{
    gd_table_remove(&service->listeners, &listener->number, sizeof listener->number);
    listener->session->num_subscriptions--;
    free(listener);
}

static void tell(struct gd_service *service, struct listener *listener, const struct gd_state *state, const struct gd_state_event *event)
{
    struct gd_reply message;
    gd_reply_init(&message);
    gd_events_pack(&message, listener->number, state, event, listener->missed);
    int code = gd_router_send_event(&listener->address, &message);
    int gone = code != 0 && errno == EHOSTUNREACH;
    gd_reply_free(&message);
    listener->missed = code == 0 ? 0 : listener->missed + 1;
    if (gone)
        drop(service, listener);
}

void gd_events_tell(struct gd_service *service, const struct gd_state *state, const struct gd_state_event *event)
{
    static const uint8_t all[16];
    size_t cursor = 0;
    struct listener *listener;
    while ((listener = gd_table_next(&service->listeners, &cursor)) != NULL) {
        if (memcmp(listener->uuid, all, sizeof all) == 0 || memcmp(listener->uuid, state->uuid, sizeof all) == 0)
            tell(service, listener, state, event);
    }
    gd_subscriptions_event(service, state, event);
}

void gd_events_forget(struct gd_service *service, const struct gd_session *session)
{
    size_t cursor = 0;
    struct listener *listener;
    while ((listener = gd_table_next(&service->listeners, &cursor)) != NULL) {
        if (session == NULL || listener->session == session)
            drop(service, listener);
    }
}

/* ---- commands ---- */

int gd_cmd_events_subscribe(struct gd_request *request, struct gd_err *err)
{
    struct gd_service *service = request->service;
    struct gd_session *session = request->session;
    if (session->num_subscriptions >= (size_t)service->settings.session_subscriptions)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "the session has %zu subscriptions, its limit (session_subscriptions)",
                          session->num_subscriptions);
    struct listener *listener = calloc(1, sizeof *listener);
    uint64_t number = ++service->next_subscription;
    if (listener == NULL || gd_table_put(&service->listeners, &number, sizeof number, listener) != 0) {
        free(listener);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a subscription");
    }
    listener->number = number;
    listener->session = session;
    listener->address = request->from;
    if (request->state != NULL)
        memcpy(listener->uuid, request->state->uuid, sizeof listener->uuid);
    session->num_subscriptions++;
    gd_reply_int(&request->reply, "subscription", (int64_t)number);
    return 0;
}

int gd_cmd_events_unsubscribe(struct gd_request *request, struct gd_err *err)
{
    uint64_t number = (uint64_t)gd_arg(request, GD_EVENTS_UNSUBSCRIBE_SUBSCRIPTION)->integer;
    struct listener *listener = gd_table_get(&request->service->listeners, &number, sizeof number);
    if (listener == NULL || listener->session != request->session)
        return gd_err_set(err, GD_E_NOT_FOUND, "this session has no subscription %llu", (unsigned long long)number);
    drop(request->service, listener);
    return 0;
}
