/* Edits of a State as the daemon sees them: who waits for the lease, how an edit becomes a commit and a frame, how it is undone.
 * Loop thread; only the copy of a large frame runs on a worker. */
#ifndef GD_SERVICE_EDIT_H
#define GD_SERVICE_EDIT_H

#include "core/lease.h"
#include "core/ring.h"
#include "core/state.h"

#include <uv.h>

struct gd_service;

/* Whoever waits for a lease: gd_lease_waiter.owner points to one of these. */
struct gd_edit_owner {
    void (*granted)(struct gd_edit_owner *owner);
    void (*dropped)(struct gd_edit_owner *owner, int code);
};

/* The hooks all leases of this service share. */
void gd_edit_hooks(struct gd_service *service, struct gd_lease_hooks *out);

/* A commit on its way. `done` is called on the loop thread, perhaps before gd_edit_commit returns. */
struct gd_publish {
    struct gd_service *service;
    struct gd_state *state; /* holds a reference */
    void (*done)(struct gd_publish *publish);
    uint64_t version, sequence; /* results; sequence 0: no frame was published */
    struct gd_ring_ticket ticket;
    struct gd_frame_source source;
    uv_work_t work;
};

/* Makes what was changed under the lease one step, with a frame if `frame`. The caller holds the lease and keeps it
 * until `done`. A frame that finds no slot, no memory or no quota is skipped and counted; the commit stands. */
void gd_edit_commit(struct gd_service *service, struct gd_state *state, int frame, struct gd_publish *publish,
                    void (*done)(struct gd_publish *publish));

/* The State's undo segment, made if it is missing and its maker's quota has room for it. */
int gd_edit_need_undo(struct gd_service *service, struct gd_state *state, struct gd_err *err);

/* Publishes the present commit if the State has no frame yet. Under the lease or while it is free. */
int gd_edit_first_frame(struct gd_service *service, struct gd_state *state, struct gd_err *err);

/* Puts back what was there when the lease was granted. Under the lease of a holder that is gone or asks for it. */
void gd_edit_rollback(struct gd_service *service, struct gd_state *state, const char *why);

/* The holder gives back. */
void gd_edit_release(struct gd_service *service, struct gd_state *state, uint32_t session);

/* A session hung up: rolls back what it held of this State and lets the next in. */
void gd_edit_session_gone(struct gd_service *service, struct gd_state *state, uint32_t session);

/* Takes the lease from a holder that is alive: the State moves to a new generation. Without room for its memory nothing changes and the
 * event "not_evicted" says why: GD_E_QUOTA_EXCEEDED, GD_E_OUT_OF_MEMORY; the clock tries again each second. GD_E_CONFLICT during a publish. */
int gd_edit_evict(struct gd_service *service, struct gd_state *state, uint32_t session, const char *why, struct gd_err *err);

/* Deadlines and limits of every State somebody waits for. */
void gd_edit_tick(struct gd_service *service, uint64_t now_ns);

#endif
