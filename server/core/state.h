/* One State: its segments, its ring of frames, its lease, and what the daemon alone knows of it.
 *
 * The loop thread owns all of it; a worker touches the arrays only while the daemon holds the lease for it. */
#ifndef GD_CORE_STATE_H
#define GD_CORE_STATE_H

#include "core/err.h"
#include "core/lease.h"
#include "core/pins.h"
#include "core/ring.h"
#include "core/rollback.h"
#include "core/segment.h"
#include "proto/gd_door.h"
#include "proto/gd_shm.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct gd_charge;
struct gd_configuration;

struct gd_state_spec {
    size_t num_atoms;
    uint32_t num_temperature_groups, num_energy_groups;
    enum gd_dtype dtype;
    uint32_t slots; /* 0: chosen by size */
    int frame_forces;
};

struct gd_state {
    uint32_t magic;
    unsigned refs; /* registry, handles, requests */
    int deleted;
    uint8_t uuid[16];
    char name[GD_DOOR_NAME]; /* empty: unnamed, ends with the last handle */
    struct gd_state_spec spec;
    size_t padded;
    uint64_t generation;
    uint64_t created_ns;

    struct gd_segment live, undo; /* undo is made at the first write handle */
    struct gd_ring *ring;         /* made at the first publish */
    uint32_t altered;             /* arrays that a daemon that died left otherwise than the version had them; told once all is taken up */
    struct gd_segment before;     /* ring of a daemon that died in somebody's edit, until there is memory to undo that */
    struct gd_lease lease;
    uint64_t version;       /* commits so far: the daemon's count */
    uint64_t next_sequence; /* of the first frame of the next ring */
    struct gd_pin_set pins; /* control blocks of the sessions that have the ring */
    uint32_t ring_id;
    uint64_t published, skipped; /* of rings that are gone; those of the present one are added when asked */
    int publishing;              /* a frame is being copied by a worker */

    size_t num_handles;           /* sessions that have it open */
    pthread_mutex_t first_masses; /* while the masses get their first value */
    int masses_set;
    int32_t *molecules; /* first atom of each, then num_atoms; NULL: not told */
    size_t num_molecules;
    /* Where the last run on this State ended, complete: the next one goes on from it if `version` is still the State's. */
    struct gd_run_state {
        void *data;
        size_t bytes;
        uint64_t version, fingerprint;
    } run_state;
    uint64_t origin_version;         /* of the State as it was read: while it is this, origin is all of it */
    struct gd_configuration *origin; /* labels of the file it came from, for writing one; may be NULL */

    struct gd_segment kept; /* core/kept.h; fd -1 when nothing keeps the daemon's memory */
    uint64_t kept_sequence, kept_blob_checksum;
    struct gd_handed {
        int kept, live, undo, ring; /* descriptors the holder has been given; -1: none */
        uint64_t generation;
        uint32_t ring_id;
        uint32_t kept_number; /* of the record: the next one is there before this one goes */
        uint32_t place;       /* the State's number there; 0: none yet */
        uint64_t run;         /* version of the run state it has; 0: none */
    } handed;

    struct gd_charge *charge; /* service/charges.h: who is charged for this generation; NULL: not counted */
    size_t job_bytes;         /* charged for a job on it */
    size_t run_bytes;         /* charged for run_state */
    uint32_t not_evicted;     /* session whose eviction there was no memory for, */
    uint64_t not_evicted_ns;  /* and when; 0: never */
    int left_out;             /* the last frame was, for want of memory or quota */
};

/* What a State can be made of. GD_E_INVALID_ARGUMENT. */
int gd_state_check_spec(const struct gd_state_spec *spec, struct gd_err *err);

/* All arrays zero, masses 1 u, vacuum. name may be NULL; ring_id must be new. Any thread (touches nothing shared). */
int gd_state_create(struct gd_state **out, const struct gd_state_spec *spec, const char *name, uint32_t ring_id, uint64_t now_ns,
                    struct gd_err *err);

/* The same without segments, with a uuid that exists already: the caller adds the live segment (core/kept.h). */
int gd_state_create_bare(struct gd_state **out, const struct gd_state_spec *spec, const char *name, const uint8_t uuid[16],
                         struct gd_err *err);

/* Gives a bare State its live segment from what survived (consumed on success), after checking it against the spec. */
int gd_state_adopt_live(struct gd_state *state, struct gd_segment *live, struct gd_err *err);

/* Bytes of the live segment for this spec; 0 when it cannot be a size. */
size_t gd_state_live_bytes(const struct gd_state_spec *spec);
/* Of everything it holds now. */
size_t gd_state_bytes(const struct gd_state *state);

void gd_state_ref(struct gd_state *state);
/* Gives a reference back; the last one frees. Mapped arrays in clients stay valid. */
void gd_state_unref(struct gd_state **state);

struct gd_live_header *gd_state_header(const struct gd_state *state);
/* First byte of an array in the live segment, by the daemon's own layout, not by what the segment says. Masses that nobody has asked
 * for before get their first value. */
void *gd_state_array(const struct gd_state *state, enum gd_array array);
/* That first value. Any thread, and without the State's lease: it keeps a new generation waiting until it is done. */
void gd_state_set_masses(const struct gd_state *state);
size_t gd_state_array_offset(const struct gd_state_spec *spec, enum gd_array array);
size_t gd_state_array_bytes(const struct gd_state_spec *spec, enum gd_array array); /* without padding */
const char *gd_array_name(enum gd_array array);

/* A State's small part: checked when it is read back from memory that clients may write. */
void gd_state_small(const struct gd_state *state, struct gd_small *out);

/* The undo segment, made if it is missing. */
int gd_state_need_undo(struct gd_state *state, struct gd_err *err);
/* Before the daemon itself writes arrays in `what` under the lease, in a State that somebody keeps: whether the undo segment must be
 * there, because what they hold now does not stand in the newest frame. Loop thread. */
int gd_state_wants_undo(const struct gd_state *state, uint32_t what);
/* Then, on whatever thread writes: sets the dirty bits and, in a State that somebody keeps, copies aside what is not in the newest frame, as far
 * as there is a place, so that whoever finds the State after this process died in the middle can put it back. */
void gd_state_begin_write(struct gd_state *state, uint32_t what, int kept);
/* The ring, made if it is missing. */
int gd_state_need_ring(struct gd_state *state, struct gd_err *err);

/* What a publish copies: pointers into the live segment. */
struct gd_frame_source gd_state_frame_source(const struct gd_state *state);

/* Commits so far: the daemon's count, or the word in the segment where clients committed by themselves since. */
uint64_t gd_state_version(const struct gd_state *state);

/* Undoes the edit of a holder that cannot write any more; the lease word stays as it is. newest: of a ring that is not the State's (one
 * that survived a restart), or NULL: of its own. */
void gd_state_rollback(struct gd_state *state, const struct gd_frame_view *newest, struct gd_rollback_report *report);

/* Moves the State to new segments (generation + 1) with what was there at the grant of the lease somebody still holds: what that
 * holder maps is marked stale and never looked at again. The old ring stays as it is for whoever holds frames of it. The lease's
 * queue goes on with the new segments. On failure nothing changed. */
int gd_state_new_generation(struct gd_state *state, const struct gd_frame_view *newest, uint32_t ring_id, uint64_t now_ns,
                            struct gd_rollback_report *report, struct gd_err *err);

/* Marks the segments deleted and wakes everybody who waits. */
void gd_state_mark(struct gd_state *state, uint32_t flag);

/* Names: 1 to 127 bytes of printable UTF-8 without control characters, not of the form of a uuid. */
int gd_state_check_name(const char *name, struct gd_err *err);

#endif
