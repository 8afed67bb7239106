#include "core/lease.h"

#include "core/check.h"
#include "core/futex.h"

#include <string.h>

void gd_lease_init(struct gd_lease *lease, const struct gd_lease_hooks *hooks)
{
    memset(lease, 0, sizeof *lease);
    lease->hooks = hooks;
}

/* ---- the queue ---- */

static void enqueue(struct gd_lease *lease, struct gd_lease_waiter *waiter, uint64_t now)
{
    if (lease->first == NULL)
        lease->contended_since = now;
    waiter->lease = lease;
    waiter->next = NULL;
    waiter->previous = lease->last;
    if (lease->last != NULL)
        lease->last->next = waiter;
    else
        lease->first = waiter;
    lease->last = waiter;
    lease->num_waiting++;
    lease->contended++;
}

void gd_lease_cancel(struct gd_lease_waiter *waiter)
{
    struct gd_lease *lease = waiter->lease;
    if (lease == NULL)
        return;
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        lease->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        lease->last = waiter->previous;
    waiter->next = waiter->previous = NULL;
    waiter->lease = NULL;
    lease->num_waiting--;
}

struct gd_lease_waiter *gd_lease_find(const struct gd_lease *lease, uint32_t session)
{
    struct gd_lease_waiter *waiter = lease->first;
    while (waiter != NULL && waiter->session != session)
        waiter = waiter->next;
    return waiter;
}

/* ---- who holds ---- */

uint32_t gd_lease_holder(const struct gd_lease *lease, const struct gd_live_header *live)
{
    return lease->holder != 0 ? lease->holder : atomic_load(&live->lease) & GD_LEASE_HOLDER;
}

int gd_lease_is_held_by(const struct gd_lease *lease, const struct gd_live_header *live, uint32_t session)
{
    return session != 0 && gd_lease_holder(lease, live) == session;
}

/* What every holder finds: nothing changed yet, and the present small part kept aside. */
static void prepare_edit(struct gd_live_header *live, uint64_t now)
{
    atomic_store(&live->dirty_mask, 0);
    atomic_store(&live->undo_mask, 0);
    live->small_undo = live->small;
    atomic_store(&live->lease_since, now);
}

/* The record of a grant. An uncontended client's lease ends without the daemon, so there is no record of it. */
static void record(struct gd_lease *lease, const struct gd_lease_waiter *waiter, uint64_t now)
{
    int known = waiter->managed || lease->first != NULL;
    lease->holder = known ? waiter->session : 0;
    lease->managed = waiter->managed;
    lease->contended_since = now;
    lease->granted++;
}

/* Hands the lease from hand to hand along the queue, for as long as those who get it give it back inside their hook. Nobody but
 * the daemon may write the word now. */
static void serve(struct gd_lease *lease, struct gd_live_header *live, uint64_t now)
{
    if (lease->serving)
        return; /* the loop below, further up the stack, goes on */
    lease->serving = 1;
    while (lease->holder == 0 && lease->first != NULL) {
        struct gd_lease_waiter *waiter = lease->first;
        gd_lease_cancel(waiter);
        record(lease, waiter, now);
        prepare_edit(live, now);
        uint32_t more = lease->first != NULL ? GD_LEASE_CONTENDED : 0;
        atomic_store(&live->lease, waiter->session | more);
        gd_futex_wake_bits(&live->lease, gd_futex_bit(waiter->session));
        if (lease->holder == 0) {
            /* The client may give back by itself from now on: the word is no longer ours to write, and the hook no part of this loop. */
            lease->serving = 0;
            lease->hooks->granted(lease->hooks->context, waiter);
            return;
        }
        lease->hooks->granted(lease->hooks->context, waiter);
    }
    if (lease->holder == 0)
        atomic_store(&live->lease, 0);
    lease->serving = 0;
}

/* ---- asking and giving back ---- */

int gd_lease_request(struct gd_lease *lease, struct gd_live_header *live, struct gd_lease_waiter *waiter, uint64_t now, struct gd_err *err)
{
    GD_CHECK(waiter->lease == NULL && waiter->session != 0 && waiter->session <= GD_LEASE_HOLDER);
    if (lease->closed)
        return gd_err_set(err, GD_E_STATE_DELETED, "the State was deleted");
    if (!waiter->managed && gd_lease_is_held_by(lease, live, waiter->session))
        return GD_LEASE_GRANTED;
    if (!waiter->managed && gd_lease_find(lease, waiter->session) != NULL)
        return GD_LEASE_QUEUED;
    while (lease->holder == 0) {
        uint32_t word = atomic_load(&live->lease);
        uint32_t holder = word & GD_LEASE_HOLDER;
        if (holder == 0) {
            if (!atomic_compare_exchange_strong(&live->lease, &word, waiter->session))
                continue;
            record(lease, waiter, now);
            prepare_edit(live, now);
            return GD_LEASE_GRANTED;
        }
        if (word != (holder | GD_LEASE_CONTENDED) && !atomic_compare_exchange_strong(&live->lease, &word, holder | GD_LEASE_CONTENDED))
            continue;
        lease->holder = holder;
        lease->managed = 0;
    }
    if ((atomic_load(&live->lease) & GD_LEASE_CONTENDED) == 0) /* a managed holder's, or scribbled over */
        atomic_store(&live->lease, lease->holder | GD_LEASE_CONTENDED);
    enqueue(lease, waiter, now);
    return GD_LEASE_QUEUED;
}

int gd_lease_released(struct gd_lease *lease, struct gd_live_header *live, uint32_t session, uint64_t now, struct gd_err *err)
{
    if (!gd_lease_is_held_by(lease, live, session))
        return gd_err_set(err, GD_E_LEASE_LOST, "session %u does not hold the State's write lease", session);
    atomic_store(&live->dirty_mask, 0);
    atomic_store(&live->undo_mask, 0);
    if (lease->holder == 0) {
        /* Uncontended, and the client chose to tell us; it may have lost the race for its own swap to nobody. */
        uint32_t word = session;
        atomic_compare_exchange_strong(&live->lease, &word, 0);
        return 0;
    }
    lease->holder = 0;
    lease->managed = 0;
    serve(lease, live, now);
    return 0;
}

void gd_lease_take_over(struct gd_lease *lease, struct gd_live_header *live)
{
    GD_CHECK(lease->holder != 0 && lease->managed);
    lease->holder = GD_LEASE_DAEMON;
    atomic_store(&live->lease, GD_LEASE_DAEMON | (lease->first != NULL ? GD_LEASE_CONTENDED : 0));
}

int gd_lease_confirm(struct gd_lease *lease, struct gd_live_header *live)
{
    uint32_t word = atomic_load(&live->lease);
    if (lease->holder != 0)
        return 1;
    while ((word & GD_LEASE_HOLDER) != 0) {
        if (!atomic_compare_exchange_strong(&live->lease, &word, word | GD_LEASE_CONTENDED))
            continue;
        lease->holder = word & GD_LEASE_HOLDER;
        lease->managed = 0;
        return 1;
    }
    return 0;
}

int gd_lease_session_gone(struct gd_lease *lease, struct gd_live_header *live, uint32_t session)
{
    for (struct gd_lease_waiter *waiter = lease->first, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->session == session)
            gd_lease_cancel(waiter);
    }
    return gd_lease_is_held_by(lease, live, session);
}

/* ---- time ---- */

static void drop_late(struct gd_lease *lease, uint64_t now)
{
    struct gd_lease_waiter *waiter = lease->first;
    while (waiter != NULL) {
        struct gd_lease_waiter *next = waiter->next;
        if (waiter->deadline <= now) {
            gd_lease_cancel(waiter);
            lease->hooks->dropped(lease->hooks->context, waiter, GD_E_LEASE_TIMEOUT);
            next = lease->first; /* the hook may have changed the queue */
        }
        waiter = next;
    }
}

enum gd_lease_verdict gd_lease_check(struct gd_lease *lease, struct gd_live_header *live, uint64_t now, uint64_t max_hold,
                                     uint32_t *session)
{
    drop_late(lease, now);
    uint32_t holder = gd_lease_holder(lease, live);
    if (lease->first == NULL || holder == 0 || holder == GD_LEASE_DAEMON)
        return GD_LEASE_FINE;
    int late = max_hold != 0 && now - lease->contended_since >= max_hold;
    int unknown = !lease->managed && !lease->hooks->alive(lease->hooks->context, holder);
    if (!late && !unknown)
        return GD_LEASE_FINE;
    *session = holder;
    return lease->managed ? GD_LEASE_EVICT_HERE : GD_LEASE_EVICT;
}

uint64_t gd_lease_next_check(const struct gd_lease *lease, uint64_t max_hold)
{
    if (lease->first == NULL)
        return GD_LEASE_NEVER;
    uint64_t next = max_hold != 0 ? lease->contended_since + max_hold : GD_LEASE_NEVER;
    for (const struct gd_lease_waiter *waiter = lease->first; waiter != NULL; waiter = waiter->next)
        if (waiter->deadline < next)
            next = waiter->deadline;
    return next;
}

/* ---- generations and the end ---- */

enum gd_lease_verdict gd_lease_adopt(struct gd_lease *lease, const struct gd_live_header *live, uint32_t *session)
{
    GD_CHECK(lease->first == NULL);
    uint32_t word = atomic_load(&live->lease);
    if (word == 0)
        return GD_LEASE_FINE;
    *session = word & GD_LEASE_HOLDER;
    return GD_LEASE_EVICT;
}

/* The daemon's own number in the word keeps every client's swap out, for ever. Nobody falls asleep on the ended word: who reads it
 * reads the flags after it, and they were set before it. */
static void end_live(struct gd_live_header *live, uint32_t flag)
{
    atomic_fetch_or(&live->flags, flag);
    atomic_store(&live->lease, GD_LEASE_DAEMON | GD_LEASE_CONTENDED);
}

static void wake_everybody(struct gd_live_header *live)
{
    gd_futex_wake_all(&live->lease);
    gd_live_wake(live);
}

void gd_lease_seize(struct gd_live_header *old)
{
    end_live(old, GD_STATE_STALE);
}

void gd_lease_move(struct gd_lease *lease, struct gd_live_header *old, struct gd_live_header *fresh, uint64_t now)
{
    gd_lease_seize(old);
    wake_everybody(old);
    lease->holder = 0;
    lease->managed = 0;
    serve(lease, fresh, now);
}

void gd_lease_close(struct gd_lease *lease, struct gd_live_header *live)
{
    end_live(live, GD_STATE_DELETED);
    wake_everybody(live);
    lease->closed = 1;
    lease->holder = GD_LEASE_DAEMON;
    lease->managed = 1;
    while (lease->first != NULL) {
        struct gd_lease_waiter *waiter = lease->first;
        gd_lease_cancel(waiter);
        lease->hooks->dropped(lease->hooks->context, waiter, GD_E_STATE_DELETED);
    }
}

/* ---- what readers wait for ---- */

void gd_live_wake(struct gd_live_header *live)
{
    atomic_fetch_add(&live->wake, 1);
    gd_futex_wake_all(&live->wake);
}

void gd_live_commit(struct gd_live_header *live, uint64_t version)
{
    live->small_undo = live->small;
    atomic_store(&live->dirty_mask, 0);
    atomic_store(&live->undo_mask, 0);
    atomic_store(&live->version, version);
}
