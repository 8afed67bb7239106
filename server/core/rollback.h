/* Undoing an edit that will not be finished: what stood in the live arrays when the lease was granted is put back.
 *
 * Where the old content of an array comes from, best first:
 *   the undo segment, if the holder keeps it there (its bit in undo_mask): as many bytes as it had got to, beyond which it has not
 *   written (proto/gd_undo.h);
 *   the newest frame, if it carries the array and has the live version;
 *   the newest frame of an older version: then the whole State goes back to that frame, for a mixture of two steps would be
 *   worse than an older one;
 *   nowhere: the array stays as it is and the report says so.
 *
 * Masks, undo_bytes, small_undo and the undo segment are written by clients: hints about content, never about places. Offsets and
 * lengths come from the daemon's own record of the layout. */
#ifndef GD_CORE_ROLLBACK_H
#define GD_CORE_ROLLBACK_H

#include "core/frames.h"
#include "proto/gd_shm.h"

#include <stdint.h>

struct gd_rollback {
    const struct gd_segment_head *layout;      /* the daemon's copy of the live segment's head; the generation may differ */
    struct gd_live_header *live;               /* mapped writable: what is put right */
    const void *undo;                          /* start of the undo segment, NULL when there is none */
    const struct gd_segment_head *undo_layout; /* the daemon's copy of its head */
    const struct gd_frame_view *newest;        /* NULL when there is none */
    uint64_t version;                          /* the daemon's count of commits */
};

enum gd_rollback_outcome {
    GD_ROLLBACK_NOTHING = 0, /* the edit had changed nothing */
    GD_ROLLBACK_DONE = 1,    /* all as it was at the grant */
    GD_ROLLBACK_OLDER = 2,   /* the State is what the newest frame has: commits after it are lost */
    GD_ROLLBACK_PARTLY = 3,  /* the arrays in `left` are as the edit left them */
};

struct gd_rollback_report {
    enum gd_rollback_outcome outcome;
    uint32_t dirty;         /* what the edit had begun to change; bit 31: step, time and box */
    uint32_t left;          /* what could not be restored */
    uint64_t frame_version; /* with OLDER: of the frame */
};

/* Puts the live arrays right and clears the masks; the lease word stays as it is. Only while nobody else can write: the holder is at the
 * door, dead, or was the daemon. */
void gd_rollback(const struct gd_rollback *rollback, struct gd_rollback_report *report);

/* For a holder that may still write, after gd_lease_seize: copies the arrays of `old` into the fresh segment rollback->live (same layout) and
 * rolls back there. Masks and undo_bytes are read after the copy: a holder sets its bit before it writes and tells how far it has kept
 * the old content before it overwrites it, so whatever of its writing the copy caught, they tell. */
void gd_rollback_rescue(const struct gd_rollback *rollback, const struct gd_live_header *old, struct gd_rollback_report *report);

/* One word for the log and for events: "nothing", "done", "older", "partly". */
const char *gd_rollback_outcome_name(enum gd_rollback_outcome outcome);

#endif
