/* The door's requests about a State's lease: asking, cancelling, commit, rollback, release. */
#include "service/door_internal.h"

#include "core/check.h"
#include "service/jobs.h"

#include <stddef.h>
#include <stdlib.h>

/* A place in the queue of a State's lease. */
struct gd_lease_wait {
    struct gd_edit_owner owner;
    struct gd_lease_waiter waiter;
    struct gd_lease_wait *next;
    struct gd_door_peer *peer;
    struct gd_state *state;
};

static void forget_wait(struct gd_lease_wait *wait)
{
    struct gd_lease_wait **at = &wait->peer->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    gd_state_unref(&wait->state);
    free(wait);
}

/* The client sees it in the lease word, on which it sleeps. */
static void on_granted(struct gd_edit_owner *owner)
{
    forget_wait((struct gd_lease_wait *)owner);
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    (void)code; /* the State was deleted: its flags tell, and its sleepers were woken */
    forget_wait((struct gd_lease_wait *)owner);
}

void gd_door_on_lease(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (request->number != 0 && request->number != state->generation) {
        gd_err_set(&err, GD_E_STALE_GENERATION, "the State is at generation %llu, the client at %llu: open it again",
                   (unsigned long long)state->generation, (unsigned long long)request->number);
        gd_door_refuse(peer, &err);
        return;
    }
    struct gd_lease_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        gd_err_set(&err, GD_E_OUT_OF_MEMORY, "no memory for a place in the queue");
        gd_door_refuse(peer, &err);
        return;
    }
    wait->owner = (struct gd_edit_owner){on_granted, on_dropped};
    wait->waiter = (struct gd_lease_waiter){.session = peer->session->number, .deadline = GD_LEASE_NEVER, .owner = &wait->owner};
    int code = gd_lease_request(&state->lease, gd_state_header(state), &wait->waiter, gd_now_ns(), &err);
    if (wait->waiter.lease != NULL) { /* queued */
        wait->peer = peer;
        wait->state = state;
        gd_state_ref(state);
        wait->next = peer->waits;
        peer->waits = wait;
        gd_jobs_nudge(peer->door->service->jobs, state, GD_NUDGE_USE);
    } else {
        free(wait);
    }
    if (code < 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    peer->reply.code = code == GD_LEASE_QUEUED ? GD_DOOR_QUEUED : 0;
    gd_door_send(peer, &peer->reply, NULL, 0);
}

void gd_door_on_cancel(struct gd_door_peer *peer, struct gd_state *state)
{
    struct gd_lease_waiter *waiter = gd_lease_find(&state->lease, peer->session->number);
    if (waiter != NULL) {
        gd_lease_cancel(waiter);
        forget_wait(waiter->owner);
    } else if (gd_lease_is_held_by(&state->lease, gd_state_header(state), peer->session->number)) {
        peer->reply.code = GD_DOOR_GRANTED;
    }
    gd_door_send(peer, &peer->reply, NULL, 0);
}

static void committed(struct gd_publish *publish)
{
    struct gd_door_peer *peer = (struct gd_door_peer *)((char *)publish - offsetof(struct gd_door_peer, publish));
    GD_MAGIC_CHECK(peer, GD_DOOR_PEER_MAGIC);
    peer->busy = 0;
    if ((peer->commit_flags & GD_COMMIT_RELEASE) || peer->ended)
        gd_edit_release(publish->service, publish->state, peer->commit_session);
    if (peer->ended) { /* it hung up meanwhile; the commit stands */
        gd_door_close_handle(peer);
        return;
    }
    peer->reply.number[0] = publish->version;
    peer->reply.number[1] = publish->sequence;
    peer->reply.generation = publish->state->generation;
    gd_door_send(peer, &peer->reply, NULL, 0);
    gd_door_work_is_done(peer);
}

/* A session may have lost the lease of one generation and hold that of the next: number says which it means (0: the present one). */
static int check_holder(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request, struct gd_err *err)
{
    if ((request->number == 0 || request->number == state->generation) &&
        gd_lease_is_held_by(&state->lease, gd_state_header(state), peer->session->number))
        return 0;
    return gd_err_set(err, GD_E_LEASE_LOST, "this session does not hold the State's write lease: it ended, and the edit was rolled back");
}

void gd_door_on_commit(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (check_holder(peer, state, request, &err) != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    peer->busy = 1;
    peer->commit_flags = request->flags;
    peer->commit_session = peer->session->number;
    gd_edit_commit(peer->door->service, state, (request->flags & GD_COMMIT_PUBLISH) != 0, &peer->publish, committed);
    gd_door_wait_for_work(peer);
}

void gd_door_on_rollback(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (check_holder(peer, state, request, &err) != 0) {
        gd_door_refuse(peer, &err);
        return;
    }
    gd_edit_rollback(peer->door->service, state, "its holder asked for it");
    gd_edit_release(peer->door->service, state, peer->session->number);
    gd_door_send(peer, &peer->reply, NULL, 0);
}

void gd_door_on_release(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request)
{
    struct gd_err err = {0};
    if (check_holder(peer, state, request, &err) == 0)
        gd_edit_release(peer->door->service, state, peer->session->number);
}

void gd_door_cancel_waits(struct gd_door_peer *peer)
{
    while (peer->waits != NULL) {
        gd_lease_cancel(&peer->waits->waiter);
        forget_wait(peer->waits);
    }
}
