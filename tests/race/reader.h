/* The reader's side of frames and the client's side of the lease, in C, for the tests: the same steps, in the same
 * order, as the Python extension takes, and as proto/gd_shm.h and tests/spin describe them. */
#ifndef GD_TESTS_READER_H
#define GD_TESTS_READER_H

#include "core/futex.h"
#include "proto/gd_shm.h"

#include <errno.h>
#include <stdint.h>

/* Steps between which a test wants to be interrupted. */
#ifndef READER_PAUSE
#define READER_PAUSE() ((void)0)
#endif

struct reader_pin {
    uint64_t sequence;
    uint32_t slot;
    uint32_t entry; /* in the control block; one thread owns it */
};

#define READER_NOTHING (-1) /* no frame was published yet, or the one asked for is gone */

/* Entries at and after pins_used are not looked at by the publisher: raise it before the first pin behind it. */
static inline void reader_use_entry(struct gd_control_block *block, uint32_t entry)
{
    uint32_t used = atomic_load(&block->pins_used);
    while (used <= entry && !atomic_compare_exchange_weak(&block->pins_used, &used, entry + 1))
        ;
}

static inline void reader_unpin(struct gd_control_block *block, const struct reader_pin *pin)
{
    atomic_store(&block->pins[pin->entry], 0);
}

/* Pins the newest frame. *retries counts the times it was gone before the pin stood. */
static inline int reader_pin_newest(const struct gd_frames_header *frames, struct gd_control_block *block, uint32_t entry,
                                    struct reader_pin *out, uint64_t *retries)
{
    reader_use_entry(block, entry);
    for (;;) {
        uint64_t newest = atomic_load(&frames->newest);
        if (newest == 0)
            return READER_NOTHING;
        out->slot = GD_NEWEST_SLOT(newest);
        out->sequence = GD_NEWEST_SEQUENCE(newest);
        out->entry = entry;
        READER_PAUSE();
        atomic_store(&block->pins[entry], GD_PIN_WORD(frames->ring_id, out->slot)); /* pin */
        READER_PAUSE();
        if (atomic_load(&frames->sequence[out->slot]) == out->sequence) /* check */
            return 0;
        reader_unpin(block, out);
        (*retries)++;
    }
}

/* Pins the frame with this sequence, if it is still in the ring. A sequence of 0 may be the publisher between clearing and
 * restoring, because of this very pin or another; it is looked at a few times before the frame counts as gone. The
 * pin stays set meanwhile: the load that returns the wanted sequence then comes after the pin, as the argument asks. */
static inline int reader_pin_sequence(const struct gd_frames_header *frames, struct gd_control_block *block, uint32_t entry,
                                      uint64_t sequence, struct reader_pin *out)
{
    reader_use_entry(block, entry);
    for (uint32_t slot = 0; slot < frames->num_slots; slot++) {
        uint64_t seen = atomic_load(&frames->sequence[slot]);
        if (seen != sequence && seen != 0)
            continue;
        *out = (struct reader_pin){sequence, slot, entry};
        atomic_store(&block->pins[entry], GD_PIN_WORD(frames->ring_id, slot)); /* pin */
        for (int look = 0; look < 64; look++) {
            seen = atomic_load(&frames->sequence[slot]); /* check */
            if (seen != 0)
                break;
        }
        if (seen == sequence)
            return 0;
        reader_unpin(block, out);
    }
    return READER_NOTHING;
}

static inline const struct gd_frame_header *reader_frame(const struct gd_frames_header *frames, const struct reader_pin *pin)
{
    return (const void *)((const char *)frames + frames->slot_offset + pin->slot * frames->slot_stride);
}

/* ---- lease ---- */

static inline int reader_take_lease(struct gd_live_header *live, uint32_t session)
{
    uint32_t word = 0;
    return atomic_compare_exchange_strong(&live->lease, &word, session);
}

/* 0: the daemon has to be told, somebody waits. */
static inline int reader_give_lease(struct gd_live_header *live, uint32_t session)
{
    uint32_t word = session;
    return atomic_compare_exchange_strong(&live->lease, &word, 0);
}

enum reader_end { READER_LOST, READER_ENDED, READER_TELL };

/* Ends an edit that changed something: dirty mask and word in one 8-byte swap. LOST: taken away, and the masks tell the daemon what to
 * undo. TELL: done, and the door has to be told, somebody waits. */
static inline enum reader_end reader_end_edit(struct gd_live_header *live, uint32_t session)
{
    _Static_assert(offsetof(struct gd_live_header, dirty_mask) == offsetof(struct gd_live_header, lease) + 4, "side by side");
    _Atomic uint64_t *pair = (_Atomic uint64_t *)(void *)&live->lease; /* little-endian: the word is the lower half */
    uint64_t seen = atomic_load(pair), next;
    do {
        if (((uint32_t)seen & GD_LEASE_HOLDER) != session)
            return READER_LOST;
        next = ((uint32_t)seen & GD_LEASE_CONTENDED) != 0 ? (uint32_t)seen : 0;
    } while (!atomic_compare_exchange_weak(pair, &seen, next));
    return next != 0 ? READER_TELL : READER_ENDED;
}

/* Sleeps until the daemon has put our number into the word, or the State has ended or moved on. Returns 1 when it is ours. */
static inline int reader_await_lease(struct gd_live_header *live, uint32_t session)
{
    for (;;) {
        uint32_t word = atomic_load(&live->lease);
        if (atomic_load(&live->flags) != 0)
            return 0;
        if ((word & GD_LEASE_HOLDER) == session)
            return 1;
        gd_futex_wait(&live->lease, word, NULL, gd_futex_bit(session));
    }
}

/* ---- waiting for a commit ---- */

/* The wake word is read before the version, and slept on with the value read then: whatever happens in between changes it, and
 * the kernel does not put us to sleep. Returns the version seen, which is above `after` unless the deadline passed. */
static inline uint64_t reader_await_version(const struct gd_live_header *live, uint64_t after, const struct timespec *deadline)
{
    for (;;) {
        uint32_t wake = atomic_load(&live->wake);
        READER_PAUSE();
        uint64_t version = atomic_load(&live->version);
        if (version > after || atomic_load(&live->flags) != 0)
            return version;
        READER_PAUSE();
        if (gd_futex_wait(&live->wake, wake, deadline, FUTEX_BITSET_MATCH_ANY) != 0 && errno == ETIMEDOUT)
            return version;
    }
}

#endif
