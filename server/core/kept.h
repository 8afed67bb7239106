/* What the daemon alone knows of a State, in memory that survives it.
 *
 * The live segment belongs to its clients as much as to the daemon, so a restarted daemon does not learn a State's name, layout or
 * ring from it but from this segment, which never leaves the daemon and its holder. The record stands there twice, written in turn, each
 * with a sequence and a checksum: a daemon that dies while it writes one leaves the other. Molecules and atom labels follow;
 * they are written once, before the first record. */
#ifndef GD_CORE_KEPT_H
#define GD_CORE_KEPT_H

#include "core/err.h"
#include "core/segment.h"
#include "core/state.h"

/* Makes state->kept anew with everything the State has now (also after its molecules changed). */
int gd_kept_create(struct gd_state *state, struct gd_err *err);

/* Writes the record again (a new name, generation, ring, version). Does nothing when there is no segment. */
void gd_kept_update(struct gd_state *state);

/* From an adopted segment: everything but the arrays. The State comes without live segment. The segment is consumed on success.
 * GD_E_CORRUPT_DATA when neither record is sound. */
int gd_kept_restore(struct gd_segment *segment, struct gd_state **out, struct gd_err *err);

/* The daemon's own counters, which must not start again. */
struct gd_kept_counters {
    struct gd_segment_head head;
    _Atomic uint64_t next_session, next_ring_id, next_fence, starts;
    _Atomic uint64_t next_job; /* the last one given */
};

#endif
