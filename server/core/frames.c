#include "core/frames.h"

#include <string.h>

static const char *const array_names[GD_ARRAY_COUNT] = {"positions", "velocities", "forces", "masses", "energies"};

int gd_frames_layout(struct gd_frames_header *out, const struct gd_segment_head *like, uint32_t ring_id, uint32_t num_slots,
                     uint32_t arrays, struct gd_err *err)
{
    struct gd_frames_header h;
    memset(&h, 0, sizeof h);
    if (num_slots < 2 || num_slots > GD_MAX_SLOTS)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a frame ring has 2 to %u slots, not %u", GD_MAX_SLOTS, num_slots);
    if (ring_id == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "ring numbers start at 1");
    h.head.role = GD_SEGMENT_FRAMES;
    memcpy(h.head.uuid, like->uuid, sizeof h.head.uuid);
    h.head.generation = like->generation;
    h.head.num_atoms = like->num_atoms;
    h.head.num_atoms_padded = like->num_atoms_padded;
    h.head.dtype = like->dtype;
    h.head.num_temperature_groups = like->num_temperature_groups;
    h.head.num_energy_groups = like->num_energy_groups;
    h.ring_id = ring_id;
    h.num_slots = num_slots;

    uint64_t offset = sizeof(struct gd_frame_header);
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
        if ((arrays & GD_ARRAY_BIT(a)) == 0)
            continue;
        if (like->array_offset[a] == 0)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "frames cannot carry %s: the State has none", array_names[a]);
        if (like->array_bytes[a] > (uint64_t)INT64_MAX / GD_MAX_SLOTS / 16)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "frames with %llu bytes of %s are too large",
                              (unsigned long long)like->array_bytes[a], array_names[a]);
        h.head.array_offset[a] = offset;
        h.head.array_bytes[a] = like->array_bytes[a];
        offset = gd_round_up(offset + like->array_bytes[a], GD_ARRAY_ALIGN);
    }
    h.slot_offset = gd_round_up(sizeof h, GD_PAGE);
    h.slot_stride = gd_round_up(offset, GD_PAGE);
    h.head.segment_bytes = h.slot_offset + num_slots * h.slot_stride;
    memcpy(out, &h, sizeof h);
    return 0;
}

static int same_state(const struct gd_segment_head *head, const struct gd_segment_head *like)
{
    return memcmp(head->uuid, like->uuid, sizeof head->uuid) == 0 && head->generation <= like->generation &&
           head->num_atoms == like->num_atoms && head->num_atoms_padded == like->num_atoms_padded && head->dtype == like->dtype &&
           head->num_temperature_groups == like->num_temperature_groups && head->num_energy_groups == like->num_energy_groups;
}

int gd_frames_check(const void *base, size_t bytes, const struct gd_segment_head *like, struct gd_err *err)
{
    const struct gd_frames_header *h = base;
    struct gd_frames_header expected;
    if (bytes < sizeof *h || atomic_load_explicit(&h->head.layout, memory_order_acquire) != GD_LAYOUT || h->head.role != GD_SEGMENT_FRAMES)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a segment of %zu bytes is not a frame ring of this layout version", bytes);
    if (!same_state(&h->head, like))
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a frame ring belongs to another State or another shape of it");
    uint32_t arrays = 0;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (h->head.array_offset[a] != 0)
            arrays |= GD_ARRAY_BIT(a);
    /* The layout follows from these few numbers; anything else that stands there was not written by a publisher. */
    if (gd_frames_layout(&expected, like, h->ring_id, h->num_slots, arrays, err) != 0) {
        if (err != NULL)
            err->code = GD_E_CORRUPT_DATA;
        gd_err_context(err, "frame ring %u", h->ring_id);
        return GD_E_CORRUPT_DATA;
    }
    if (memcmp(h->head.array_offset, expected.head.array_offset, sizeof expected.head.array_offset) != 0 ||
        memcmp(h->head.array_bytes, expected.head.array_bytes, sizeof expected.head.array_bytes) != 0 ||
        h->slot_offset != expected.slot_offset || h->slot_stride != expected.slot_stride ||
        h->head.segment_bytes != expected.head.segment_bytes || expected.head.segment_bytes > bytes)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "frame ring %u does not have the layout its %u slots ask for", h->ring_id, h->num_slots);
    return 0;
}

static void view_arrays(const struct gd_frames_header *h, struct gd_frame_view *view)
{
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        view->array[a] = h->head.array_offset[a] != 0 ? (const char *)view->header + h->head.array_offset[a] : NULL;
}

int gd_frames_find(const void *base, uint64_t sequence, struct gd_frame_view *out)
{
    const struct gd_frames_header *h = base;
    for (uint32_t slot = 0; slot < h->num_slots && sequence != 0; slot++) {
        if (atomic_load(&h->sequence[slot]) != sequence)
            continue;
        out->header = (const void *)((const char *)base + h->slot_offset + slot * h->slot_stride);
        out->sequence = sequence;
        out->slot = slot;
        view_arrays(h, out);
        return 0;
    }
    return GD_E_NOT_FOUND;
}

int gd_frames_newest(const void *base, struct gd_frame_view *out)
{
    const struct gd_frames_header *h = base;
    struct gd_frame_view view = {0};
    for (uint32_t slot = 0; slot < h->num_slots; slot++) {
        uint64_t sequence = atomic_load(&h->sequence[slot]);
        if (sequence <= view.sequence)
            continue;
        const struct gd_frame_header *frame = (const void *)((const char *)base + h->slot_offset + slot * h->slot_stride);
        if (frame->sequence != sequence)
            continue;
        view.sequence = sequence;
        view.slot = slot;
        view.header = frame;
    }
    if (view.header == NULL)
        return GD_E_NOT_FOUND;
    view_arrays(h, &view);
    *out = view;
    return 0;
}
