#include "core/rollback.h"

#include "proto/gd_undo.h"

#include <string.h>

/* What the edit's holder wrote about it, read once. */
struct marks {
    uint32_t dirty, undo;
    uint64_t undo_bytes[GD_ARRAY_COUNT];
    struct gd_small small_undo;
};

static struct marks read_marks(const struct gd_live_header *live)
{
    struct marks marks = {.dirty = atomic_load(&live->dirty_mask), .undo = atomic_load(&live->undo_mask), .small_undo = live->small_undo};
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        marks.undo_bytes[a] = atomic_load(&live->undo_bytes[a]);
    return marks;
}

static void *live_array(const struct gd_rollback *r, uint32_t array)
{
    return (char *)r->live + r->layout->array_offset[array];
}

static const void *undo_array(const struct gd_rollback *r, uint32_t array)
{
    if (r->undo == NULL || r->layout->array_offset[array] == 0 || r->undo_layout->array_offset[array] == 0 ||
        r->undo_layout->array_bytes[array] != r->layout->array_bytes[array])
        return NULL;
    return (const char *)r->undo + r->undo_layout->array_offset[array];
}

/* Arrays the State has, as a mask. */
static uint32_t present_arrays(const struct gd_segment_head *layout)
{
    uint32_t mask = 0;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (layout->array_offset[a] != 0)
            mask |= GD_ARRAY_BIT(a);
    return mask;
}

static uint32_t carried_arrays(const struct gd_frame_view *frame)
{
    uint32_t mask = 0;
    for (uint32_t a = 0; frame != NULL && a < GD_ARRAY_COUNT; a++)
        if (frame->array[a] != NULL)
            mask |= GD_ARRAY_BIT(a);
    return mask;
}

static void restore_from_frame(const struct gd_rollback *r, uint32_t arrays)
{
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (arrays & GD_ARRAY_BIT(a))
            memcpy(live_array(r, a), r->newest->array[a], (size_t)r->layout->array_bytes[a]);
}

static uint32_t restore_from_undo(const struct gd_rollback *r, const struct marks *marks)
{
    uint32_t done = 0;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
        const void *old = marks->dirty & marks->undo & GD_ARRAY_BIT(a) ? undo_array(r, a) : NULL;
        if (old == NULL)
            continue;
        gd_undo_put_back(live_array(r, a), old, marks->undo_bytes[a], r->layout->array_bytes[a]);
        done |= GD_ARRAY_BIT(a);
    }
    return done;
}

static void apply(const struct gd_rollback *r, const struct marks *marks, struct gd_rollback_report *report)
{
    const uint32_t present = present_arrays(r->layout);
    const uint32_t carried = carried_arrays(r->newest) & present;
    const int same_version = r->newest != NULL && r->newest->header->version == r->version;

    *report = (struct gd_rollback_report){.dirty = marks->dirty & (present | GD_DIRTY_SMALL)};
    if (report->dirty == 0)
        return;
    uint32_t left = marks->dirty & present;
    left &= ~restore_from_undo(r, marks);
    if (same_version) {
        restore_from_frame(r, left & carried);
        left &= ~carried;
    }
    if (marks->dirty & GD_DIRTY_SMALL)
        r->live->small = same_version ? r->newest->header->small : marks->small_undo;
    report->outcome = left == 0 ? GD_ROLLBACK_DONE : GD_ROLLBACK_PARTLY;
    if (left & carried) {
        restore_from_frame(r, carried);
        r->live->small = r->newest->header->small;
        left &= ~carried;
        report->outcome = GD_ROLLBACK_OLDER;
        report->frame_version = r->newest->header->version;
    }
    report->left = left;
}

static void settle(struct gd_live_header *live)
{
    live->small_undo = live->small;
    atomic_store(&live->dirty_mask, 0);
    atomic_store(&live->undo_mask, 0);
}

void gd_rollback(const struct gd_rollback *rollback, struct gd_rollback_report *report)
{
    struct gd_live_header *live = rollback->live;
    const struct marks marks = read_marks(live);
    apply(rollback, &marks, report);
    settle(live);
}

void gd_rollback_rescue(const struct gd_rollback *rollback, const struct gd_live_header *old, struct gd_rollback_report *report)
{
    const struct gd_segment_head *layout = rollback->layout;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (layout->array_offset[a] != 0)
            memcpy(live_array(rollback, a), (const char *)old + layout->array_offset[a], (size_t)layout->array_bytes[a]);
    rollback->live->small = old->small;
    atomic_thread_fence(memory_order_seq_cst);
    const struct marks marks = read_marks(old);
    apply(rollback, &marks, report);
    settle(rollback->live);
}

const char *gd_rollback_outcome_name(enum gd_rollback_outcome outcome)
{
    static const char *const names[] = {"nothing", "done", "older", "partly"};
    return names[outcome];
}
