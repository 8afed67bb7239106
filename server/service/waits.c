#include "service/waits.h"

#include "core/check.h"
#include "core/frames.h"
#include "core/state.h"
#include "service/events.h"
#include "service/request.h"
#include "service/router.h"
#include "service/service.h"
#include "service/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- state.wait ---- */

static void answer(struct gd_request *request, int code)
{
    uint64_t version = gd_state_version(request->state);
    if (code == GD_E_TIMEOUT)
        gd_err_set(&request->err, code, "version %llu was not passed in time", (unsigned long long)version);
    else if (code == GD_E_STATE_DELETED)
        gd_err_set(&request->err, code, "the State was deleted");
    else if (code == GD_E_SHUTTING_DOWN)
        gd_err_set(&request->err, code, "the daemon is stopping");
    else
        gd_reply_int(&request->reply, "version", (int64_t)version);
    request->code = code;
    gd_request_answer(request);
}

static int passed(const struct gd_request *request)
{
    return (int64_t)gd_state_version(request->state) > request->wait_after;
}

void gd_waits_add(struct gd_request *request, int64_t after)
{
    request->deferred = 1;
    request->wait_after = after;
    if (passed(request)) {
        answer(request, 0);
        return;
    }
    request->next = request->service->waits;
    request->service->waits = request;
}

/* Answers the waits `test` has a code for (positive: keep waiting). */
static void sweep(struct gd_service *service, int (*test)(const struct gd_request *request, const void *what), const void *what)
{
    struct gd_request **at = &service->waits;
    while (*at != NULL) {
        struct gd_request *request = *at;
        int code = test(request, what);
        if (code > 0) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        answer(request, code);
    }
}

static int test_version(const struct gd_request *request, const void *what)
{
    return request->state == what && passed(request) ? 0 : 1;
}

static int test_deleted(const struct gd_request *request, const void *what)
{
    return request->state == what ? GD_E_STATE_DELETED : 1;
}

/* Clients commit without the daemon too, so versions are looked at now and then. */
static int test_time(const struct gd_request *request, const void *what)
{
    if (passed(request))
        return 0;
    return request->deadline_ns <= *(const uint64_t *)what ? GD_E_TIMEOUT : 1;
}

static int test_session(const struct gd_request *request, const void *what)
{
    return what == NULL || request->session == what ? GD_E_SHUTTING_DOWN : 1;
}

void gd_waits_version(struct gd_service *service, struct gd_state *state)
{
    if (service->waits != NULL)
        sweep(service, test_version, state);
}

void gd_waits_deleted(struct gd_service *service, struct gd_state *state)
{
    sweep(service, test_deleted, state);
}

void gd_waits_tick(struct gd_service *service, uint64_t now_ns)
{
    sweep(service, test_time, &now_ns);
}

void gd_waits_forget(struct gd_service *service, const struct gd_session *session)
{
    sweep(service, test_session, session);
}

/* ---- subscriptions ---- */

#define MOST_CREDIT 4096

struct gd_subscription {
    uint64_t number;
    struct gd_session *session; /* borrowed: forgotten before it ends */
    struct gd_state *state;     /* holds a reference */
    struct gd_address address;
    uint64_t every, seen, missed, credit;
    uint64_t noticed; /* newest sequence that was sent or left out */
    uint64_t sent;    /* newest sequence that was sent */
    int velocities, forces;
    int gone;       /* its connection */
    int32_t *atoms; /* NULL: all */
    size_t num_atoms;
};

static void drop(struct gd_service *service, struct gd_subscription *subscription)
{
    gd_table_remove(&service->subscriptions, &subscription->number, sizeof subscription->number);
    subscription->session->num_subscriptions--;
    gd_state_unref(&subscription->state);
    free(subscription->atoms);
    free(subscription);
}

static void free_part(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* The chosen rows of one array of a frame, in memory of their own. */
static struct gd_reply_part copy_rows(const struct gd_subscription *subscription, const void *array)
{
    size_t row = 3 * (size_t)subscription->state->spec.dtype;
    struct gd_reply_part part = {malloc(subscription->num_atoms * row + 1), subscription->num_atoms * row, free_part, NULL};
    if (part.data == NULL) {
        part.bytes = 0;
    } else if (subscription->atoms == NULL) {
        memcpy(part.data, array, part.bytes);
    } else {
        for (size_t i = 0; i < subscription->num_atoms; i++)
            memcpy((char *)part.data + i * row, (const char *)array + (size_t)subscription->atoms[i] * row, row);
    }
    return part;
}

/* The frame's energies, in memory of their own. */
static void pack_energies(const struct gd_subscription *subscription, const struct gd_frame_view *frame, struct gd_reply *event)
{
    size_t bytes = gd_state_array_bytes(&subscription->state->spec, GD_ENERGIES), count = bytes / sizeof(double);
    struct gd_reply_part part = {malloc(bytes), bytes, free_part, NULL};
    if (part.data == NULL)
        part.bytes = 0;
    else
        memcpy(part.data, frame->array[GD_ENERGIES], part.bytes);
    gd_reply_array(event, "energies", GD_ELEMENT_F8, &count, 1, part);
}

static void pack_event(const struct gd_subscription *subscription, const struct gd_frame_view *frame, struct gd_reply *event)
{
    size_t shape[2] = {subscription->num_atoms, 3};
    enum gd_element element = subscription->state->spec.dtype == GD_FLOAT32 ? GD_ELEMENT_F4 : GD_ELEMENT_F8;
    gd_reply_int(event, "v", GD_PROTOCOL_VERSION);
    gd_reply_str(event, "event", "frame");
    gd_reply_int(event, "subscription", (int64_t)subscription->number);
    gd_reply_int(event, "sequence", (int64_t)frame->sequence);
    gd_reply_int(event, "version", (int64_t)frame->header->version);
    gd_reply_int(event, "step", frame->header->small.step);
    gd_reply_real(event, "time", frame->header->small.time);
    gd_reply_box(event, "box", &frame->header->small.box);
    gd_reply_int(event, "missed", (int64_t)subscription->missed);
    gd_reply_array(event, "positions", element, shape, 2, copy_rows(subscription, frame->array[GD_POSITIONS]));
    if (subscription->velocities)
        gd_reply_array(event, "velocities", element, shape, 2, copy_rows(subscription, frame->array[GD_VELOCITIES]));
    if (subscription->forces && frame->array[GD_FORCES] != NULL)
        gd_reply_array(event, "forces", element, shape, 2, copy_rows(subscription, frame->array[GD_FORCES]));
    pack_energies(subscription, frame, event);
}

/* The newest frame cannot change while the loop thread looks at it: only the loop thread publishes. */
static void send_frame(struct gd_subscription *subscription, const struct gd_frame_view *frame)
{
    struct gd_reply event;
    gd_reply_init(&event);
    pack_event(subscription, frame, &event);
    if (gd_router_send_event(&subscription->address, &event) == 0) {
        subscription->credit--;
        subscription->missed = 0;
        subscription->sent = frame->sequence;
    } else {
        subscription->gone = errno == EHOSTUNREACH;
        subscription->missed++;
    }
    gd_reply_free(&event);
}

void gd_subscriptions_frame(struct gd_service *service, struct gd_state *state)
{
    if (service->subscriptions.used == 0 || state->ring == NULL)
        return;
    struct gd_frame_view frame;
    if (gd_frames_newest(state->ring->header, &frame) != 0)
        return;
    size_t cursor = 0;
    struct gd_subscription *subscription;
    while ((subscription = gd_table_next(&service->subscriptions, &cursor)) != NULL) {
        if (subscription->state != state || subscription->noticed == frame.sequence)
            continue;
        subscription->noticed = frame.sequence;
        if (subscription->seen++ % subscription->every != 0)
            continue;
        if (subscription->credit > 0)
            send_frame(subscription, &frame);
        else
            subscription->missed++;
        if (subscription->gone)
            drop(service, subscription);
    }
}

void gd_subscriptions_forget(struct gd_service *service, const struct gd_session *session)
{
    size_t cursor = 0;
    struct gd_subscription *subscription;
    while ((subscription = gd_table_next(&service->subscriptions, &cursor)) != NULL) {
        if (session == NULL || subscription->session == session)
            drop(service, subscription);
    }
}

void gd_subscriptions_event(struct gd_service *service, const struct gd_state *state, const struct gd_state_event *what)
{
    size_t cursor = 0;
    const struct gd_subscription *subscription;
    while ((subscription = gd_table_next(&service->subscriptions, &cursor)) != NULL) {
        if (subscription->state != state)
            continue;
        struct gd_reply event;
        gd_reply_init(&event);
        gd_events_pack(&event, subscription->number, state, what, 0);
        gd_router_send_event(&subscription->address, &event);
        gd_reply_free(&event);
    }
}

void gd_subscriptions_deleted(struct gd_service *service, const struct gd_state *state)
{
    size_t cursor = 0;
    struct gd_subscription *subscription;
    while ((subscription = gd_table_next(&service->subscriptions, &cursor)) != NULL) {
        if (subscription->state == state)
            drop(service, subscription);
    }
}

/* ---- their commands ---- */

int gd_cmd_state_wait(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    request->deadline_ns = request->started_ns + (uint64_t)(gd_arg(request, GD_STATE_WAIT_TIMEOUT)->real * 1e9);
    gd_waits_add(request, gd_arg(request, GD_STATE_WAIT_AFTER)->integer);
    return 0;
}

int gd_cmd_state_subscribe(struct gd_request *request, struct gd_err *err)
{
    struct gd_service *service = request->service;
    struct gd_session *session = request->session;
    const struct gd_value *atoms = gd_arg(request, GD_STATE_SUBSCRIBE_ATOMS);
    size_t n = request->state->spec.num_atoms;
    if (session->num_subscriptions >= (size_t)service->settings.session_subscriptions)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "the session has %zu subscriptions, its limit (session_subscriptions)",
                          session->num_subscriptions);
    size_t count = atoms->present ? atoms->array.shape[0] : n;
    if (atoms->present) {
        size_t bad = service->kernels.check_indices(atoms->array.data, count, n);
        if (bad < count)
            return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "'atoms': element %zu is %d; the State has %zu atoms", bad,
                              ((const int32_t *)atoms->array.data)[bad], n);
    }
    struct gd_subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription != NULL && atoms->present) {
        subscription->atoms = malloc(count * sizeof(int32_t) + 1);
        if (subscription->atoms != NULL)
            memcpy(subscription->atoms, atoms->array.data, count * sizeof(int32_t));
    }
    uint64_t number = ++service->next_subscription;
    if (subscription == NULL || (atoms->present && subscription->atoms == NULL) ||
        gd_table_put(&service->subscriptions, &number, sizeof number, subscription) != 0) {
        if (subscription != NULL)
            free(subscription->atoms);
        free(subscription);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a subscription");
    }
    subscription->number = number;
    subscription->session = session;
    session->num_subscriptions++;
    subscription->state = request->state;
    gd_state_ref(request->state);
    subscription->address = request->from;
    subscription->every = (uint64_t)gd_arg(request, GD_STATE_SUBSCRIBE_EVERY)->integer;
    subscription->credit = (uint64_t)gd_arg(request, GD_STATE_SUBSCRIBE_CREDIT)->integer;
    subscription->velocities = gd_arg(request, GD_STATE_SUBSCRIBE_VELOCITIES)->truth;
    subscription->forces = gd_arg(request, GD_STATE_SUBSCRIBE_FORCES)->truth;
    subscription->num_atoms = count;
    struct gd_frame_view newest;
    if (request->state->ring != NULL && gd_frames_newest(request->state->ring->header, &newest) == 0)
        subscription->noticed = subscription->sent = newest.sequence; /* frames from now on */
    gd_reply_int(&request->reply, "subscription", (int64_t)number);
    return 0;
}

static struct gd_subscription *find(struct gd_request *request, int64_t number, struct gd_err *err)
{
    uint64_t key = (uint64_t)number;
    struct gd_subscription *subscription = gd_table_get(&request->service->subscriptions, &key, sizeof key);
    if (subscription == NULL || subscription->session != request->session) {
        gd_err_set(err, GD_E_NOT_FOUND, "this session has no subscription %lld", (long long)number);
        return NULL;
    }
    return subscription;
}

int gd_cmd_state_credit(struct gd_request *request, struct gd_err *err)
{
    struct gd_subscription *subscription = find(request, gd_arg(request, GD_STATE_CREDIT_SUBSCRIPTION)->integer, err);
    if (subscription == NULL)
        return GD_E_NOT_FOUND;
    subscription->credit += (uint64_t)gd_arg(request, GD_STATE_CREDIT_CREDIT)->integer;
    if (subscription->credit > MOST_CREDIT)
        subscription->credit = MOST_CREDIT;
    /* Frames were missed for want of credit: the newest one is sent at once. It is one of those, or was left out on request. */
    struct gd_frame_view frame;
    if (subscription->missed > 0 && subscription->state->ring != NULL && gd_frames_newest(subscription->state->ring->header, &frame) == 0 &&
        frame.sequence != subscription->sent) {
        subscription->missed -= subscription->noticed == frame.sequence && (subscription->seen - 1) % subscription->every == 0;
        send_frame(subscription, &frame);
    }
    return 0;
}

int gd_cmd_state_unsubscribe(struct gd_request *request, struct gd_err *err)
{
    struct gd_subscription *subscription = find(request, gd_arg(request, GD_STATE_UNSUBSCRIBE_SUBSCRIPTION)->integer, err);
    if (subscription == NULL)
        return GD_E_NOT_FOUND;
    drop(request->service, subscription);
    return 0;
}
