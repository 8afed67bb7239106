/* Shared memory, defined once: what the daemon and the Python extension both map.
 *
 * A State has up to three segments, each a sealed memfd:
 *   live    the writable arrays at a fixed address, the lease word, the word readers sleep on;
 *   frames  a ring of published frames, written by the daemon alone (F_SEAL_FUTURE_WRITE);
 *   undo    what stood in the live arrays when the lease was granted, filled as an edit overwrites them (proto/gd_undo.h).
 * A client has one more, its control block, which it writes and the daemon only reads: its pins.
 *
 * Rules
 *   - Fixed-width fields, offsets from the start of the segment, never pointers. The layout word is stored last with release
 *     order and loaded first with acquire order; a segment whose layout word is not GD_LAYOUT is not used.
 *   - Everything in a live or undo segment or a control block may be written by a client, so for the daemon it is a hint: it is never
 *     used as a size, an offset or an index without a check against the daemon's own record.
 *   - Every futex here is shared (no FUTEX_PRIVATE_FLAG) and may be waited on through a read-only mapping.
 *
 * Pins and publishing (hazard pointers; all accesses to pins, slot sequences and `newest` are sequentially consistent)
 *   publisher: choose a slot that is neither newest nor pinned; sequence[slot] = 0; look at all pins again; if one names
 *              the slot, put the old sequence back and choose another; else copy; sequence[slot] = s; newest = s,slot.
 *   reader:    read newest (s, slot); store the pin; read sequence[slot]; if it is not s, clear the pin and start again.
 *   Why it holds: the reader stores its pin before it loads the sequence, the publisher clears the sequence before it loads the pins.
 *   In the single total order of these four operations either the publisher's look at the pins comes after the reader's store, and it
 *   leaves the slot alone, or the reader's load comes after the publisher's clearing, and it retries.
 *
 * Lease word: 0 free; else the holder's session number, with GD_LEASE_CONTENDED set while somebody queues at the
 * daemon. Taking a free lease and giving back an uncontended one is a compare-and-swap by the client; everything else is
 * the daemon's. Publishing happens only under the lease, so the newest frame does not change while an edit runs.
 */
#ifndef GD_PROTO_SHM_H
#define GD_PROTO_SHM_H

#include "proto/gd_types.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GD_LAYOUT 0x67640003u /* "gd", layout version 3; changes with every change of a structure below that one side could take amiss */
#define GD_PAGE 4096u
#define GD_ARRAY_ALIGN 64u
#define GD_ATOM_BLOCK 16u /* per-atom arrays are padded with zeros to a whole number of this many atoms */

enum gd_segment_role { GD_SEGMENT_LIVE = 1, GD_SEGMENT_FRAMES = 2, GD_SEGMENT_UNDO = 3, GD_SEGMENT_CONTROL = 4, GD_SEGMENT_RESULT = 5 };

/* Arrays of a State, in this order everywhere; also bit numbers in masks. */
enum gd_array {
    GD_POSITIONS = 0,  /* (n, 3) nm          float32 or float64 */
    GD_VELOCITIES = 1, /* (n, 3) nm/ps       float32 or float64 */
    GD_FORCES = 2,     /* (n, 3) kJ/(mol nm) float32 or float64 */
    GD_MASSES = 3,     /* (n,)   u           float64 */
    GD_ENERGIES = 4,   /* (gd_energies_count(...),) float64, fields as in proto/energies.toml */
    GD_ARRAY_COUNT = 5,
};
#define GD_ARRAY_BIT(array) (1u << (array))

/* The part of a State that is not per atom. */
struct gd_small {
    int64_t step;
    double time; /* ps */
    struct gd_box box;
    uint8_t reserved[32];
};
_Static_assert(sizeof(struct gd_small) == 128, "gd_small is part of the shared-memory layout");

/* First 200 bytes of every segment; constant once `layout` is stored. */
struct gd_segment_head {
    _Atomic uint32_t layout; /* GD_LAYOUT, stored last */
    uint32_t role;           /* enum gd_segment_role */
    uint8_t uuid[16];        /* of the State; zero in a control block */
    uint64_t generation;     /* from 1 */
    uint64_t segment_bytes;
    uint64_t num_atoms;
    uint64_t num_atoms_padded;
    uint32_t dtype; /* enum gd_dtype of positions, velocities and forces */
    uint32_t num_temperature_groups;
    uint32_t num_energy_groups;
    uint32_t reserved0;
    uint64_t array_offset[8]; /* live, undo: from the segment's start; frames: from the slot's start; 0 = not there */
    uint64_t array_bytes[8];  /* padded length */
};
_Static_assert(sizeof(struct gd_segment_head) == 200, "gd_segment_head is part of the shared-memory layout");

#define GD_STATE_DELETED 1u /* the State is gone; its memory stays as long as somebody maps it */
#define GD_STATE_STALE 2u   /* a newer generation exists; these arrays do not move any more */

#define GD_LEASE_CONTENDED 0x80000000u
#define GD_LEASE_HOLDER 0x7fffffffu
#define GD_LEASE_DAEMON 1u /* session numbers of clients start at 2 */

struct gd_live_header {
    struct gd_segment_head head;
    uint8_t pad0[256 - sizeof(struct gd_segment_head)];

    /* what readers look at */
    _Atomic uint64_t version; /* commits so far */
    _Atomic uint32_t wake;    /* futex: +1 at every commit, publish, deletion, new generation */
    _Atomic uint32_t flags;   /* GD_STATE_* */
    _Atomic uint32_t unset;   /* bits of arrays that still wait for their first values: see GD_OPEN_MASSES */
    uint8_t pad1[44];

    /* what the lease holder writes */
    _Atomic uint32_t lease;      /* futex */
    _Atomic uint32_t dirty_mask; /* arrays (and bit 31: gd_small) this edit has begun to change */
    _Atomic uint32_t undo_mask;  /* those whose old content is in the undo segment, as far as undo_bytes says */
    uint32_t reserved1;
    _Atomic uint64_t lease_since; /* CLOCK_MONOTONIC ns of the grant */
    _Atomic uint64_t
        undo_bytes[GD_ARRAY_COUNT]; /* with the bit in undo_mask: so many first bytes of the array may differ from the undo segment's */

    struct gd_small small;
    struct gd_small small_undo; /* filled at every grant */
};
#define GD_DIRTY_SMALL 0x80000000u
_Static_assert(offsetof(struct gd_live_header, version) == 256, "layout");
_Static_assert(offsetof(struct gd_live_header, lease) == 320, "layout");
_Static_assert(offsetof(struct gd_live_header, undo_bytes) == 344, "layout");
_Static_assert(offsetof(struct gd_live_header, small) == 384, "layout");
_Static_assert(sizeof(struct gd_live_header) == 640, "layout");

#define GD_MAX_SLOTS 256u
#define GD_NEWEST_SLOT(word) ((uint32_t)((word)&0xffffu))
#define GD_NEWEST_SEQUENCE(word) ((word) >> 16)
#define GD_NEWEST_WORD(sequence, slot) (((uint64_t)(sequence) << 16) | (uint64_t)(slot))

struct gd_frames_header {
    struct gd_segment_head head;
    uint8_t pad0[256 - sizeof(struct gd_segment_head)];

    uint32_t ring_id; /* names this ring in pins; never used twice by one daemon */
    uint32_t num_slots;
    uint64_t slot_offset; /* of slot 0 from the segment's start */
    uint64_t slot_stride; /* whole pages */
    uint8_t pad1[40];

    _Atomic uint64_t newest; /* GD_NEWEST_WORD; 0 before the first publish; sequences start at 1 */
    _Atomic uint64_t published;
    _Atomic uint64_t skipped; /* publishes left out because every slot was pinned */
    uint8_t pad2[40];

    _Atomic uint64_t sequence[GD_MAX_SLOTS]; /* 0: not valid (never written, or being written) */
};
_Static_assert(offsetof(struct gd_frames_header, newest) == 320, "layout");
_Static_assert(sizeof(struct gd_frames_header) == 384 + 8 * GD_MAX_SLOTS, "layout");

/* At the start of every slot; the arrays follow at head.array_offset. */
struct gd_frame_header {
    uint64_t sequence; /* the same number as in sequence[slot] */
    uint64_t version;  /* of the live arrays this was copied from */
    struct gd_small small;
    uint8_t reserved[48];
};
_Static_assert(sizeof(struct gd_frame_header) == 192, "layout");

/* Control block: one per client process. */
#define GD_MAX_PINS 4032u
#define GD_PIN_WORD(ring_id, slot) (((uint64_t)(ring_id) << 16) | ((uint64_t)(slot) + 1u)) /* 0: no pin */
#define GD_PIN_RING(word) ((uint32_t)((word) >> 16))
#define GD_PIN_SLOT(word) ((uint32_t)((word)&0xffffu) - 1u)

/* Where large results lie that the session may be given again. The daemon lends a segment under a number of its own for every result; when
 * the client's last array over it is gone, the client writes that number to `returned`, and only then is the segment written again.
 * What the client writes is a hint about its own results: the daemon compares it with what it lent, no more. */
#define GD_RESULT_PLACES 7u
struct gd_result_place {
    _Atomic uint64_t number;   /* daemon: the result that lies here; 0: none. Stored after `segment` */
    _Atomic uint64_t segment;  /* daemon: which segment that is; not used twice in a session */
    _Atomic uint64_t taken;    /* client: the result it has come for */
    _Atomic uint64_t returned; /* client: the result that nothing refers to any more */
};

struct gd_control_block {
    struct gd_segment_head head;
    uint8_t pad0[256 - sizeof(struct gd_segment_head)];
    _Atomic uint32_t pins_used; /* entries at and after this index were never used; the daemon bounds it by GD_MAX_PINS */
    uint32_t session;           /* session number, set by the daemon */
    struct gd_result_place results[GD_RESULT_PLACES];
    uint8_t pad1[24];
    _Atomic uint64_t pins[GD_MAX_PINS];
};
_Static_assert(sizeof(struct gd_control_block) == 512 + 8 * GD_MAX_PINS, "layout");
_Static_assert(sizeof(struct gd_control_block) % GD_PAGE == 0 || sizeof(struct gd_control_block) < 9 * GD_PAGE, "layout");

static inline uint64_t gd_round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

#endif
