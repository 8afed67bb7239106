/* A frames segment as data: its layout, computed once, and reading it with every number checked.
 *
 * The publisher (core/ring.h) writes what is laid out here; this side serves the daemon when it looks back: to roll an edit
 * back to the newest frame, and to take a State up again from what a dead daemon left. */
#ifndef GD_CORE_FRAMES_H
#define GD_CORE_FRAMES_H

#include "core/err.h"
#include "proto/gd_shm.h"

#include <stddef.h>

/* One valid frame; array[k] is NULL when the ring does not carry that array. */
struct gd_frame_view {
    const struct gd_frame_header *header;
    const void *array[GD_ARRAY_COUNT];
    uint64_t sequence;
    uint32_t slot;
};

/* Fills *out (uuid, generation, counts and dtype from `like`, offsets, sizes) for a ring of num_slots slots that carries
 * the arrays in `arrays`; out->layout stays 0. `like` is the head of the live segment: its array_bytes are the lengths.
 * Errors: GD_E_INVALID_ARGUMENT (slots outside 2..GD_MAX_SLOTS, an array the State does not have, sizes that
 * overflow). Reentrant. */
int gd_frames_layout(struct gd_frames_header *out, const struct gd_segment_head *like, uint32_t ring_id, uint32_t num_slots,
                     uint32_t arrays, struct gd_err *err);

/* Whether `bytes` bytes at `base` are a frames segment of the State that `like` describes, in every field that is used as
 * a size or an offset. uuid, counts, dtype and array lengths must be those of `like`; the generation may be older.
 * Errors: GD_E_CORRUPT_DATA. */
int gd_frames_check(const void *base, size_t bytes, const struct gd_segment_head *like, struct gd_err *err);

/* The newest frame of a checked segment that is complete: the greatest sequence that stands in the table and in
 * its slot. Returns 0, or GD_E_NOT_FOUND when there is none. What a publish left half done is passed over. */
int gd_frames_newest(const void *base, struct gd_frame_view *out);

/* The frame with this sequence in a segment that nobody writes meanwhile. Returns 0 or GD_E_NOT_FOUND. */
int gd_frames_find(const void *base, uint64_t sequence, struct gd_frame_view *out);

#endif
