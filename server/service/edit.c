#include "service/edit.h"

#include "core/check.h"
#include "core/log.h"
#include "core/uuid.h"
#include "service/events.h"
#include "service/charges.h"
#include "service/keep.h"
#include "service/service.h"
#include "service/session.h"
#include "service/waits.h"

#include <string.h>

/* A frame up to this size is copied on the loop thread: cheaper than two changes of thread. */
#define INLINE_COPY_BYTES (3u << 20)

#define RETRY_NS 1000000000ull /* of an eviction for which there was no memory */

/* ---- hooks of every lease ---- */

static int session_alive(void *context, uint32_t number)
{
    return gd_session_by_number(context, number) != NULL;
}

static void on_granted(void *context, struct gd_lease_waiter *waiter)
{
    (void)context;
    struct gd_edit_owner *owner = waiter->owner;
    owner->granted(owner);
}

static void on_dropped(void *context, struct gd_lease_waiter *waiter, int code)
{
    (void)context;
    struct gd_edit_owner *owner = waiter->owner;
    owner->dropped(owner, code);
}

void gd_edit_hooks(struct gd_service *service, struct gd_lease_hooks *out)
{
    *out = (struct gd_lease_hooks){service, session_alive, on_granted, on_dropped};
}

/* ---- names for the log ---- */

static const char *label(const struct gd_state *state, char text[GD_DOOR_NAME])
{
    if (state->name[0] != '\0')
        return state->name;
    gd_uuid_format(state->uuid, text);
    return text;
}

/* ---- commit and publish ---- */

static void finish(struct gd_publish *publish)
{
    struct gd_state *state = publish->state;
    if (publish->sequence != 0) {
        gd_ring_end(state->ring, &publish->ticket);
        gd_keep_sync(publish->service->keep, state); /* the first publish made a ring */
        state->publishing = 0;
    } else {
        atomic_store(&gd_state_header(state)->version,
                     publish->version); /* before the masks: no frame tells a successor what this commit is */
    }
    state->version = publish->version;
    gd_live_commit(gd_state_header(state), publish->version);
    gd_subscriptions_frame(publish->service, state);
    gd_waits_version(publish->service, state);
    publish->done(publish); /* *publish may be gone now */
    /* After the writer has its answer: waking many sleepers takes time, and those that run at once take this processor away. */
    gd_live_wake(gd_state_header(state));
    gd_state_unref(&state);
}

static void copy_on_worker(uv_work_t *work)
{
    struct gd_publish *publish = work->data;
    gd_ring_copy(publish->state->ring, &publish->ticket, &publish->source);
}

static void copied_on_worker(uv_work_t *work, int status)
{
    GD_CHECK(status == 0);
    finish(work->data);
}

int gd_edit_need_undo(struct gd_service *service, struct gd_state *state, struct gd_err *err)
{
    if (state->undo.fd >= 0)
        return 0;
    int code = gd_charge_check_more(service, state, state->live.bytes, "the undo copy an edit needs,", err);
    if (code == 0)
        code = gd_state_need_undo(state, err);
    gd_charge_settle(service, state);
    return code;
}

static int need_ring(struct gd_service *service, struct gd_state *state, struct gd_err *err)
{
    if (state->ring != NULL)
        return 0;
    int code = gd_charge_check_more(service, state, GD_PAGE, "the head of a ring of frames,", err);
    if (code == 0)
        code = gd_state_need_ring(state, err);
    gd_charge_settle(service, state);
    return code;
}

/* gd_ring_begin within the quota. */
static int begin_frame(struct gd_service *service, struct gd_state *state, struct gd_ring_ticket *ticket, struct gd_err *err)
{
    int code = need_ring(service, state, err);
    if (code != 0) {
        state->skipped += code == GD_E_QUOTA_EXCEEDED;
        return code;
    }
    uint64_t allocated = state->ring->allocated_bytes;
    state->ring->may_allocate = gd_charge_room(service, state);
    code = gd_ring_begin(state->ring, &state->pins, ticket, err);
    if (state->ring->allocated_bytes != allocated)
        gd_charge_settle(service, state);
    return code;
}

/* Makes a ring and chooses a slot; what stands in the way is logged and the publish is left out. Returns 1 when a slot is open. */
static int open_slot(struct gd_service *service, struct gd_state *state, struct gd_ring_ticket *ticket)
{
    struct gd_err err = {0};
    char text[GD_DOOR_NAME];
    int code = begin_frame(service, state, ticket, &err);
    if (code == GD_RING_SKIPPED)
        gd_log_debug("frames", "%s: every slot is held by a reader, frame left out", label(state, text));
    else if (code != 0 && !state->left_out) /* once, not for every step of a run */
        gd_log_warn("frames", "%s: frames are not published: %s", label(state, text), err.text);
    state->left_out = code < 0;
    return code == 0;
}

void gd_edit_commit(struct gd_service *service, struct gd_state *state, int frame, struct gd_publish *publish,
                    void (*done)(struct gd_publish *publish))
{
    /* From here to the end the record says whose lease it is. Who scribbled over the word just before gets a commit without a frame, while the
     * frame of the other one is copied. */
    int known = gd_lease_confirm(&state->lease, gd_state_header(state));
    memset(publish, 0, sizeof *publish);
    publish->service = service;
    publish->state = state;
    publish->done = done;
    publish->version = gd_state_version(state) + 1;
    if (atomic_load(&gd_state_header(state)->dirty_mask) & GD_ARRAY_BIT(GD_MASSES))
        state->masses_set = 1; /* a hint of the client's, for state.describe only */
    gd_state_ref(state);
    if (!frame || state->publishing || !open_slot(service, state, &publish->ticket)) {
        finish(publish);
        return;
    }
    publish->sequence = publish->ticket.sequence;
    publish->source = gd_state_frame_source(state);
    publish->source.version = publish->version;
    state->publishing = 1;
    publish->work.data = publish;
    if (!known || gd_state_array_bytes(&state->spec, GD_POSITIONS) <= INLINE_COPY_BYTES / 2 ||
        uv_queue_work(service->loop, &publish->work, copy_on_worker, copied_on_worker) != 0) {
        gd_ring_copy(state->ring, &publish->ticket, &publish->source);
        finish(publish);
    }
}

/* Copies the present commit into a frame while `holder` of the lease, a client, has changed nothing yet. A client keeps the old
 * content and sets its bits before it writes; so if word, masks, version, small and the instant of the grant are afterwards what they were
 * before, the copy met no write. */
static int publish_beside(struct gd_service *service, struct gd_state *state, struct gd_err *err)
{
    struct gd_live_header *live = gd_state_header(state);
    uint32_t word = atomic_load(&live->lease), undo = atomic_load(&live->undo_mask);
    uint64_t version = atomic_load(&live->version), since = atomic_load(&live->lease_since);
    struct gd_frame_source source = gd_state_frame_source(state);
    struct gd_ring_ticket ticket;
    int clean = atomic_load(&live->dirty_mask) == 0 && !state->lease.managed; /* what the daemon writes it publishes */
    int code = clean ? begin_frame(service, state, &ticket, err) : 0;
    if (code != 0)
        return code < 0 ? code : 0;
    if (clean) {
        gd_ring_copy(state->ring, &ticket, &source);
        atomic_thread_fence(memory_order_seq_cst);
        struct gd_small after;
        gd_state_small(state, &after);
        if (atomic_load(&live->dirty_mask) == 0 && atomic_load(&live->undo_mask) == undo && atomic_load(&live->lease) == word &&
            atomic_load(&live->version) == version && atomic_load(&live->lease_since) == since &&
            memcmp(&after, &source.small, sizeof after) == 0) {
            gd_ring_end(state->ring, &ticket);
            return 0;
        }
        gd_ring_abandon(state->ring, &ticket);
    }
    return gd_err_set(err, GD_E_CONFLICT, "the State has no frame yet and is being edited; try again when the edit is committed");
}

int gd_edit_first_frame(struct gd_service *service, struct gd_state *state, struct gd_err *err)
{
    int code = need_ring(service, state, err);
    if (code != 0 || atomic_load(&state->ring->header->newest) != 0 || state->publishing)
        return code;
    struct gd_live_header *live = gd_state_header(state);
    struct gd_lease_waiter waiter = {.session = GD_LEASE_DAEMON, .managed = 1, .deadline = GD_LEASE_NEVER};
    if (gd_lease_holder(&state->lease, live) == 0 && gd_lease_request(&state->lease, live, &waiter, gd_now_ns(), err) == GD_LEASE_GRANTED) {
        struct gd_frame_source source = gd_state_frame_source(state);
        struct gd_ring_ticket ticket;
        code = begin_frame(service, state, &ticket, err);
        if (code == 0) {
            gd_ring_copy(state->ring, &ticket, &source);
            gd_ring_end(state->ring, &ticket);
        }
        gd_edit_release(service, state, GD_LEASE_DAEMON);
    } else {
        gd_lease_cancel(&waiter); /* somebody was quicker */
        code = publish_beside(service, state, err);
    }
    gd_keep_sync(service->keep, state);
    return code < 0 ? code : 0;
}

/* ---- rollback, release, eviction ---- */

void gd_edit_rollback(struct gd_service *service, struct gd_state *state, const char *why)
{
    struct gd_rollback_report report;
    char text[GD_DOOR_NAME];
    gd_state_rollback(state, NULL, &report);
    if (report.outcome == GD_ROLLBACK_NOTHING)
        return;
    if (report.outcome != GD_ROLLBACK_DONE) { /* the contents are not those of the present version: readers must be able to tell */
        state->version = gd_state_version(state) + 1;
        atomic_store(&gd_state_header(state)->version, state->version);
    }
    gd_log_info("lease", "%s: edit rolled back (%s): %s", label(state, text), gd_rollback_outcome_name(report.outcome), why);
    gd_events_tell(service, state, &(struct gd_state_event){"undone", gd_lease_holder(&state->lease, gd_state_header(state)), why});
    gd_live_wake(gd_state_header(state));
}

void gd_edit_release(struct gd_service *service, struct gd_state *state, uint32_t session)
{
    (void)service;
    struct gd_err err = {0};
    if (!state->deleted && gd_lease_released(&state->lease, gd_state_header(state), session, gd_now_ns(), &err) != 0)
        gd_log_debug("lease", "release without a lease: %s", err.text);
}

void gd_edit_session_gone(struct gd_service *service, struct gd_state *state, uint32_t session)
{
    if (state->deleted || !gd_lease_session_gone(&state->lease, gd_state_header(state), session))
        return;
    if (state->publishing)
        return; /* its commit was complete: the publish releases when it is done */
    gd_edit_rollback(service, state, "its session ended");
    gd_edit_release(service, state, session);
}

/* Without room for new memory nothing is touched: the holder keeps its lease, who waits goes on waiting, and it is tried again. */
static void tell_not_evicted(struct gd_service *service, struct gd_state *state, uint32_t session, const struct gd_err *why)
{
    char text[GD_DOOR_NAME];
    int first = state->not_evicted != session;
    state->not_evicted = session;
    state->not_evicted_ns = gd_now_ns();
    if (!first)
        return;
    gd_log_warn("lease", "%s: session %u cannot be evicted: %s", label(state, text), session, why->text);
    gd_events_tell(service, state, &(struct gd_state_event){"not_evicted", session, why->text});
}

int gd_edit_evict(struct gd_service *service, struct gd_state *state, uint32_t session, const char *why, struct gd_err *err)
{
    char text[GD_DOOR_NAME];
    if (state->publishing)
        return gd_err_set(err, GD_E_CONFLICT, "the State is being published; try again");
    struct gd_rollback_report report;
    int code = gd_charge_check_more(service, state, state->live.bytes, "the new memory an eviction needs,", err);
    if (code == 0)
        code = gd_state_new_generation(state, NULL, gd_registry_ring_id(&service->registry), gd_now_ns(), &report, err);
    if (code != 0) {
        tell_not_evicted(service, state, session, err);
        return code;
    }
    state->not_evicted = 0;
    (void)gd_charge_begin(service, state, gd_charge_payer(state), NULL); /* the old generation is charged until its handles are closed */
    gd_keep_sync(service->keep, state);
    gd_events_tell(service, state, &(struct gd_state_event){"generation", session, why});
    gd_log_warn("lease", "%s: session %u lost its lease (%s); rollback %s, now generation %llu", label(state, text), session, why,
                gd_rollback_outcome_name(report.outcome), (unsigned long long)state->generation);
    return 0;
}

static void check_state(struct gd_service *service, struct gd_state *state, uint64_t now_ns)
{
    uint32_t session = 0;
    struct gd_err err = {0};
    uint64_t limit = (uint64_t)(service->settings.lease_limit * 1e9);
    enum gd_lease_verdict verdict = gd_lease_check(&state->lease, gd_state_header(state), now_ns, limit, &session);
    if (verdict == GD_LEASE_EVICT && !state->publishing) {
        if (state->not_evicted != session || now_ns - state->not_evicted_ns > RETRY_NS)
            (void)gd_edit_evict(service, state, session, "held too long while others waited", &err); /* tells why not */
    } else if (verdict == GD_LEASE_EVICT_HERE && !state->publishing) {
        gd_log_warn("lease", "remote session %u lost its lease: held too long while others waited", session);
        gd_events_tell(service, state, &(struct gd_state_event){"lease_lost", session, "held too long while others waited"});
        gd_edit_release(service, state, session);
    }
}

void gd_edit_tick(struct gd_service *service, uint64_t now_ns)
{
    size_t cursor = 0;
    struct gd_state *state;
    while ((state = gd_table_next(&service->registry.by_uuid, &cursor)) != NULL) {
        if (state->lease.first != NULL)
            check_state(service, state, now_ns);
    }
}
