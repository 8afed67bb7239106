/* The publisher of frames.
 *
 * A ring is a sparse segment that only this process can ever write (F_SEAL_FUTURE_WRITE). A slot's memory is allocated when
 * the slot is first used. Readers hold frames with pins (core/pins.h); the publisher goes round them and never waits.
 *
 * The steps are those of proto/gd_shm.h and of the model in tests/spin/ring.pml, in the same order, and marked by the
 * same names (look, clear, look again, restore, copy, store, announce). Sequences, pins and `newest` are accessed
 * sequentially consistently.
 *   No frame is overwritten under a pin: see the argument in proto/gd_shm.h.
 *   No frame tears: the copy's plain stores stand between the clearing and the storing of the slot's sequence. A reader that loaded the
 *   old sequence under its pin is seen at the second look; the copy starts only when no pin names the slot, and a pin that was
 *   there earlier was cleared with release order after its reader's last load. A reader that loads the new sequence has
 *   all of the copy behind it.
 *
 * One publish at a time for one ring; begin, copy and end may run on different threads as long as one happens before the next. A
 * begun publish must be ended or abandoned before the next one begins. */
#ifndef GD_CORE_RING_H
#define GD_CORE_RING_H

#include "core/frames.h"
#include "core/pins.h"
#include "core/segment.h"

struct gd_ring {
    struct gd_segment segment;
    struct gd_frames_header *header;
    uint64_t next_sequence;
    uint64_t last[GD_MAX_SLOTS];            /* sequence of what was published last in the slot; 0: never used */
    uint64_t conflicts;                     /* slots found pinned at the second look */
    uint64_t allocated_bytes, may_allocate; /* bytes: so far; from now on (set by who keeps account, at first without limit) */
    uint32_t newest;                        /* slot; GD_MAX_SLOTS before the first publish */
    uint32_t open;                          /* slot of the publish that has begun; GD_MAX_SLOTS when there is none */
};

#define GD_RING_SKIPPED 1 /* positive: not an error, counted in the header */

struct gd_ring_options {
    uint32_t ring_id;        /* never used twice by one daemon, nor by the daemon whose States it took up */
    uint32_t num_slots;      /* 2 .. GD_MAX_SLOTS */
    uint32_t arrays;         /* GD_ARRAY_BIT of what frames carry */
    uint64_t first_sequence; /* 0 or 1 for a new State; else above the last one of the ring this one replaces */
};

/* What goes into a frame. array[k] has the padded length of the live array; needed for each array the ring carries. */
struct gd_frame_source {
    const void *array[GD_ARRAY_COUNT];
    struct gd_small small;
    uint64_t version;
};

/* A begun publish. */
struct gd_ring_ticket {
    uint64_t sequence;
    uint32_t slot;
};

/* Errors: GD_E_OUT_OF_MEMORY, GD_E_INVALID_ARGUMENT. */
int gd_ring_create(struct gd_ring **out, const struct gd_segment_head *like, const struct gd_ring_options *options, struct gd_err *err);
void gd_ring_destroy(struct gd_ring **ring); /* readers' mappings stay */

/* Chooses a slot and makes it invalid. Returns 0, GD_RING_SKIPPED when all slots are pinned, or when no free slot has memory
 * and none can be allocated GD_E_OUT_OF_MEMORY or GD_E_QUOTA_EXCEEDED (may_allocate); nothing has changed then, but the
 * first and the last are counted as skipped. The oldest frame goes first. */
int gd_ring_begin(struct gd_ring *ring, struct gd_pin_set *pins, struct gd_ring_ticket *out, struct gd_err *err);

/* The copy: nothing but plain stores into the slot. */
void gd_ring_copy(struct gd_ring *ring, const struct gd_ring_ticket *ticket, const struct gd_frame_source *source);

/* Makes the frame valid and newest; or gives the publish up (the slot's old frame is lost). Neither wakes anybody. */
void gd_ring_end(struct gd_ring *ring, const struct gd_ring_ticket *ticket);
void gd_ring_abandon(struct gd_ring *ring, const struct gd_ring_ticket *ticket);

/* All three. *sequence (may be NULL) is set only when 0 is returned. */
int gd_ring_publish(struct gd_ring *ring, const struct gd_frame_source *source, struct gd_pin_set *pins, uint64_t *sequence,
                    struct gd_err *err);

#endif
