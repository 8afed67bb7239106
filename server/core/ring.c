#include "core/ring.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Three switches of the tests, which plant the faults the torture test must find and widen the windows between two steps. */
#ifndef GD_RING_PAUSE
#define GD_RING_PAUSE() ((void)0)
#endif
/* GD_RING_NO_RECHECK      leaves the second look at the pins out
 * GD_RING_EARLY_SEQUENCE  stores the sequence before the copy */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define NO_SLOT GD_MAX_SLOTS

int gd_ring_create(struct gd_ring **out, const struct gd_segment_head *like, const struct gd_ring_options *options, struct gd_err *err)
{
    struct gd_frames_header layout;
    int code = gd_frames_layout(&layout, like, options->ring_id, options->num_slots, options->arrays, err);
    if (code != 0)
        return code;
    struct gd_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a frame ring");
    code =
        gd_segment_create(&ring->segment, "gd-frames", (size_t)layout.head.segment_bytes, GD_SEGMENT_SPARSE | GD_SEGMENT_WRITER_ONLY, err);
    if (code != 0)
        goto fail;
    code = gd_segment_allocate(&ring->segment, 0, (size_t)layout.slot_offset, err);
    if (code != 0)
        goto fail;
    ring->header = ring->segment.base;
    memcpy(ring->header, &layout, sizeof layout);
    ring->allocated_bytes = layout.slot_offset;
    ring->may_allocate = UINT64_MAX;
    ring->next_sequence = options->first_sequence > 0 ? options->first_sequence : 1;
    ring->newest = ring->open = NO_SLOT;
    atomic_store_explicit(&ring->header->head.layout, GD_LAYOUT, memory_order_release);
    *out = ring;
    return 0;
fail:
    gd_segment_close(&ring->segment);
    free(ring);
    return gd_err_context(err, "frame ring of %u slots", options->num_slots), code;
}

void gd_ring_destroy(struct gd_ring **ring)
{
    if (ring == NULL || *ring == NULL)
        return;
    gd_segment_close(&(*ring)->segment);
    free(*ring);
    *ring = NULL;
}

static char *slot_base(const struct gd_ring *ring, uint32_t slot)
{
    return (char *)ring->segment.base + ring->header->slot_offset + slot * ring->header->slot_stride;
}

/* Memory for a slot that was never used. Page-table entries too, so that the first copy into it does not stop at every page. */
static int allocate_slot(struct gd_ring *ring, uint32_t slot, struct gd_err *err)
{
    size_t stride = (size_t)ring->header->slot_stride;
    size_t offset = (size_t)(slot_base(ring, slot) - (char *)ring->segment.base);
    if (stride > ring->may_allocate)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED,
                          "a frame of %zu bytes is more than the %llu left to the session that made the State, or to the "
                          "daemon (session_bytes, max_bytes)",
                          stride, (unsigned long long)ring->may_allocate);
    int code = gd_segment_allocate(&ring->segment, offset, stride, err);
    if (code != 0)
        return gd_err_context(err, "frame slot %u", slot), code;
    madvise(slot_base(ring, slot), stride, MADV_POPULATE_WRITE); /* an older kernel takes the faults one by one */
    ring->allocated_bytes += stride;
    ring->may_allocate -= stride;
    return 0;
}

/* The slot with the oldest frame that is neither excluded nor the newest; those never used come first, or not at all. */
static uint32_t oldest_slot(const struct gd_ring *ring, const struct gd_pin_mask *excluded, int may_be_new)
{
    uint32_t best = NO_SLOT;
    for (uint32_t slot = 0; slot < ring->header->num_slots; slot++) {
        if (slot == ring->newest || gd_pin_mask_has(excluded, slot) || (ring->last[slot] == 0 && !may_be_new))
            continue;
        if (best == NO_SLOT || ring->last[slot] < ring->last[best])
            best = slot;
    }
    return best;
}

static void exclude(struct gd_pin_mask *mask, uint32_t slot)
{
    mask->word[slot / 64u] |= (uint64_t)1 << (slot % 64u);
}

/* Takes the slot from the readers; 0 when a pin came first and it was given back. */
static int take_slot(struct gd_ring *ring, struct gd_pin_set *pins, uint32_t slot)
{
    struct gd_frames_header *h = ring->header;
    uint64_t old = atomic_load_explicit(&h->sequence[slot], memory_order_relaxed); /* only we write it */
    GD_RING_PAUSE();
    atomic_store(&h->sequence[slot], 0); /* clear */
    GD_RING_PAUSE();
#ifdef GD_RING_NO_RECHECK
    (void)pins;
    (void)old;
#else
    if (gd_pins_find(pins, h->ring_id, slot)) { /* look again */
        atomic_store(&h->sequence[slot], old);  /* restore */
        ring->conflicts++;
        return 0;
    }
#endif
    return 1;
}

int gd_ring_begin(struct gd_ring *ring, struct gd_pin_set *pins, struct gd_ring_ticket *out, struct gd_err *err)
{
    struct gd_frames_header *h = ring->header;
    struct gd_pin_mask excluded;
    int code = GD_RING_SKIPPED;
    GD_CHECK(ring->open == NO_SLOT);
    gd_pins_collect(pins, h->ring_id, h->num_slots, &excluded); /* look */
    for (;;) {
        uint32_t slot = oldest_slot(ring, &excluded, code == GD_RING_SKIPPED);
        if (slot == NO_SLOT)
            break;
        exclude(&excluded, slot);
        if (ring->last[slot] == 0) {
            int failed = allocate_slot(ring, slot, err);
            if (failed != 0) {
                code = failed;
                continue; /* a slot that has its memory already may be free */
            }
        }
        if (!take_slot(ring, pins, slot))
            continue;
        ring->open = slot;
        out->slot = slot;
        out->sequence = ring->next_sequence;
        return 0;
    }
    if (code != GD_E_OUT_OF_MEMORY)
        atomic_fetch_add(&h->skipped, 1);
    return code;
}

static void announce(struct gd_ring *ring, const struct gd_ring_ticket *ticket)
{
    struct gd_frames_header *h = ring->header;
    atomic_store(&h->sequence[ticket->slot], ticket->sequence); /* store */
    GD_RING_PAUSE();
    atomic_store(&h->newest, GD_NEWEST_WORD(ticket->sequence, ticket->slot)); /* announce */
}

/* memcpy of the C library is measured to be as fast as streaming stores here for frames beyond the last cache level, and faster
 * below it, where readers find the frame still in the cache. */
void gd_ring_copy(struct gd_ring *ring, const struct gd_ring_ticket *ticket, const struct gd_frame_source *source)
{
    const struct gd_segment_head *head = &ring->header->head;
    GD_CHECK(ticket->slot == ring->open);
#ifdef GD_RING_EARLY_SEQUENCE
    announce(ring, ticket);
#endif
    char *base = slot_base(ring, ticket->slot);
    struct gd_frame_header *frame = (struct gd_frame_header *)(void *)base;
    frame->sequence = ticket->sequence;
    frame->version = source->version;
    frame->small = source->small;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (head->array_offset[a] != 0) {
            memcpy(base + head->array_offset[a], source->array[a], (size_t)head->array_bytes[a]);
            GD_RING_PAUSE();
        }
}

void gd_ring_end(struct gd_ring *ring, const struct gd_ring_ticket *ticket)
{
    GD_CHECK(ticket->slot == ring->open);
    ring->last[ticket->slot] = ticket->sequence;
    ring->newest = ticket->slot;
    ring->next_sequence = ticket->sequence + 1;
    ring->open = NO_SLOT;
    announce(ring, ticket);
    atomic_fetch_add(&ring->header->published, 1);
}

void gd_ring_abandon(struct gd_ring *ring, const struct gd_ring_ticket *ticket)
{
    GD_CHECK(ticket->slot == ring->open);
    ring->last[ticket->slot] = 1; /* has memory, oldest of all */
    ring->open = NO_SLOT;
}

int gd_ring_publish(struct gd_ring *ring, const struct gd_frame_source *source, struct gd_pin_set *pins, uint64_t *sequence,
                    struct gd_err *err)
{
    struct gd_ring_ticket ticket;
    int code = gd_ring_begin(ring, pins, &ticket, err);
    if (code != 0)
        return code;
    gd_ring_copy(ring, &ticket, source);
    gd_ring_end(ring, &ticket);
    if (sequence != NULL)
        *sequence = ticket.sequence;
    return 0;
}
