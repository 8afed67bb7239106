/* The daemon's side of the write lease of one State's live arrays.
 *
 * The lease word (proto/gd_shm.h) is 0 when free, else the holder's session number, with GD_LEASE_CONTENDED when
 * somebody queues here. Two moves are the clients' own, both compare-and-swaps:
 *     take    0 -> n      on failure: ask at the door, gd_lease_request
 *     give    n -> 0      on failure: tell the door, gd_lease_released
 * An edit with changes is ended by giving and clearing the dirty mask beside the word in one 8-byte swap; a contended word keeps its
 * value then and the door is told.
 * Everything else is the daemon's.
 *
 * Why the contended bit is safe. The daemon sets it by compare-and-swap from exactly n to n|C, so of this swap and the
 * client's n -> 0 one comes first in the word's modification order and the other fails. Daemon first: the client's give fails and the client
 * comes to the door, where the queue is served. Client first: the daemon's swap fails, it loads the word again, finds 0
 * and takes the lease for the waiter by 0 -> m, or fails against another client's take and tries the bit again with
 * that one. There is no order in which a waiter is queued and the holder gives the lease back without the daemon hearing
 * of it. The bit is taken away only by a grant to the last waiter, which overwrites a word that no client may swap: its holder
 * is at the door, dead, or was the daemon. A waiter that leaves the queue leaves the bit: one give more goes through the door.
 *
 * Whose word counts. A word in a live segment is written by clients, so it is a hint. While the bit is set, or the daemon itself
 * writes for the holder or works on its commit, `holder` here is the record and the word is repaired from it; only an uncontended lease
 * taken by a client is known from the word alone. A word that names no living session is never simply overwritten, because a client that has
 * not noticed a restart yet may stand behind it, writing: the verdict is GD_LEASE_EVICT, and the State moves to
 * a new generation. The worst a client gets by scribbling is that its own edit is rolled back.
 *
 * An edit, in the holder's order: small_undo = small; undo_mask = dirty_mask = 0; for each array about to change: its old content into
 * the undo segment, before or while it is overwritten (proto/gd_undo.h), its bit in undo_mask, its bit in dirty_mask, release fence, write.
 * An array need not be kept while the newest frame carries it and has the live version.
 *
 * Loop thread only; nothing here blocks, and time is what the caller says it is (CLOCK_MONOTONIC, ns). */
#ifndef GD_CORE_LEASE_H
#define GD_CORE_LEASE_H

#include "core/err.h"
#include "core/frames.h"
#include "proto/gd_shm.h"

#include <stddef.h>
#include <stdint.h>

struct gd_lease;

#define GD_LEASE_NEVER UINT64_MAX

/* A place in the queue; memory of the caller's, in place until it was granted, dropped or cancelled. */
struct gd_lease_waiter {
    uint32_t session;  /* session number, or GD_LEASE_DAEMON */
    int managed;       /* the daemon does the writing: a remote session, a command, a job at its step boundary */
    uint64_t deadline; /* ns, or GD_LEASE_NEVER */
    void *owner;       /* the caller's */

    struct gd_lease *lease; /* not NULL while queued */
    struct gd_lease_waiter *next, *previous;
};

/* Called from within the functions below, the waiter already out of the queue. Both may call back into the lease. */
struct gd_lease_hooks {
    void *context;
    int (*alive)(void *context, uint32_t session); /* whether a session of this number is connected */
    void (*granted)(void *context, struct gd_lease_waiter *waiter);
    void (*dropped)(void *context, struct gd_lease_waiter *waiter, int code); /* GD_E_LEASE_TIMEOUT, GD_E_STATE_DELETED */
};

struct gd_lease {
    const struct gd_lease_hooks *hooks;
    struct gd_lease_waiter *first, *last;
    size_t num_waiting;
    uint32_t holder;          /* 0: free, or taken by a client and uncontended: the word tells */
    int managed;              /* the holder is */
    int serving;              /* inside the loop that grants */
    int closed;               /* the State is deleted */
    uint64_t contended_since; /* when the first of those who wait now for this holder came */
    uint64_t granted;         /* statistics: grants by the daemon */
    uint64_t contended;       /* requests that had to wait */
};

enum gd_lease_answer { GD_LEASE_GRANTED = 0, GD_LEASE_QUEUED = 1 };

void gd_lease_init(struct gd_lease *lease, const struct gd_lease_hooks *hooks);

/* Session number of the holder as far as it is known, 0 when the lease is free. What a tool shows. */
uint32_t gd_lease_holder(const struct gd_lease *lease, const struct gd_live_header *live);

/* Asks for the lease. GD_LEASE_GRANTED: the waiter's session holds it (no hook is called). GD_LEASE_QUEUED: `granted` or
 * `dropped` will be called, a sleeper on the word is woken when it names its session. Either way a granted session
 * that is not managed may give back with its own swap. After QUEUED call gd_lease_check: the word may name nobody.
 *
 * For a session that is not managed asking again is harmless: the answer is where it stands, holder or in its old place (the new
 * waiter is not linked then, its `lease` is NULL). A sleeper that finds its generation stale starts again from the
 * top with the new one, and needs exactly this: it may have been granted, and even evicted, before it woke. A process asks for
 * one of its threads at a time.
 * Errors: GD_E_STATE_DELETED (after gd_lease_close). */
int gd_lease_request(struct gd_lease *lease, struct gd_live_header *live, struct gd_lease_waiter *waiter, uint64_t now, struct gd_err *err);

/* Takes a waiter out; no hook is called. Nothing happens when it is not queued (it was granted or dropped before). */
void gd_lease_cancel(struct gd_lease_waiter *waiter);

/* The queued waiter of a session, NULL if it has none. */
struct gd_lease_waiter *gd_lease_find(const struct gd_lease *lease, uint32_t session);

/* From a session that the daemon writes for to the daemon itself, while a command of that session's edit is at work: nobody is evicted from
 * under a write, and the session may end. Given back as GD_LEASE_DAEMON. */
void gd_lease_take_over(struct gd_lease *lease, struct gd_live_header *live);

/* From the word to the record, before the daemon works on the holder's commit: what clients write into the word meanwhile changes nothing,
 * and the holder gives back at the door. 1 when there is a holder, 0 when the word says that there is none. */
int gd_lease_confirm(struct gd_lease *lease, struct gd_live_header *live);

/* 1 when `session` holds the lease: by the record if there is one, else by the word. Before a commit or a rollback. */
int gd_lease_is_held_by(const struct gd_lease *lease, const struct gd_live_header *live, uint32_t session);

/* The holder gives back, its edit committed or rolled back: the next waiter gets the lease, or it is free. Clears the masks.
 * Errors: GD_E_LEASE_LOST (the session does not hold it); nothing changes then. */
int gd_lease_released(struct gd_lease *lease, struct gd_live_header *live, uint32_t session, uint64_t now, struct gd_err *err);

/* The session hung up: its waiters leave the queue, without a hook. Returns 1 when it holds the lease: the caller
 * rolls the edit back and then calls gd_lease_released. Until then nobody else gets in. */
int gd_lease_session_gone(struct gd_lease *lease, struct gd_live_header *live, uint32_t session);

enum gd_lease_verdict {
    GD_LEASE_FINE = 0,
    GD_LEASE_EVICT = 1,     /* a holder hangs, or cannot be asked: the State needs a new generation, see core/rollback.h */
    GD_LEASE_EVICT_HERE = 2 /* the same for a managed holder: nobody else can write, end its edit and call gd_lease_released */
};

/* Drops waiters whose deadline has passed, and judges the holder: evict when somebody has waited for it longer than
 * max_hold (0: no limit). The daemon itself (GD_LEASE_DAEMON) is never judged. *session is set with a verdict other than FINE. */
enum gd_lease_verdict gd_lease_check(struct gd_lease *lease, struct gd_live_header *live, uint64_t now, uint64_t max_hold,
                                     uint32_t *session);

/* When gd_lease_check should be called next; GD_LEASE_NEVER when nobody waits. */
uint64_t gd_lease_next_check(const struct gd_lease *lease, uint64_t max_hold);

/* A taken-up State: what the old daemon's clients did with the word. FINE: free. EVICT: *session held it when the daemon died. */
enum gd_lease_verdict gd_lease_adopt(struct gd_lease *lease, const struct gd_live_header *live, uint32_t *session);

/* Before gd_rollback_rescue, when nothing can fail any more: marks `old` stale and takes its word away for ever. A holder that is
 * alive ends its edit by one compare-and-swap over the word and the dirty mask beside it (they share 8 bytes): either that came first, the
 * masks are clear and the edit stands, or it fails, and the masks are what the rescue has to undo. So version and masks
 * are read after this. Flag first: a sleeper that sees the new word sees why. */
void gd_lease_seize(struct gd_live_header *old);

/* After gd_rollback_rescue: `old` is seized if it was not; everybody who sleeps on it wakes and looks
 * for the new generation; the queue keeps its order and its first waiter gets the lease of `fresh`. */
void gd_lease_move(struct gd_lease *lease, struct gd_live_header *old, struct gd_live_header *fresh, uint64_t now);

/* The State is deleted: marked so, the lease never comes free again, every waiter is dropped with GD_E_STATE_DELETED, all sleepers wake. */
void gd_lease_close(struct gd_lease *lease, struct gd_live_header *live);

/* ---- what readers wait for ---- */

/* Wakes everybody who waits for this State to change. The word changes before the wake, so that a reader who looked
 * before and sleeps after does not sleep: the kernel compares the word again. */
void gd_live_wake(struct gd_live_header *live);

/* Makes the edit one step: `version` (the daemon's count, not the segment's) is stored, the masks are cleared, small becomes
 * what a rollback goes back to. Under the lease. The caller wakes (after publishing, so that readers wake once). */
void gd_live_commit(struct gd_live_header *live, uint64_t version);

#endif
