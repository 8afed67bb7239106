/* The frame ring, one step at a time: layout, order of slots, pins, skips, memory, and reading back what is there. */
#include "core/ring.h"
#include "tests/race/reader.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { ATOMS = 40, PADDED = 48, ENERGIES = 12 };

static struct gd_segment_head like;
static struct gd_pin_set pins;
static struct gd_control_block *client;
static float positions[PADDED * 3], velocities[PADDED * 3];
static double energies[ENERGIES];

static void setup(void)
{
    memset(&like, 0, sizeof like);
    memset(like.uuid, 0xa5, sizeof like.uuid);
    like.generation = 3;
    like.num_atoms = ATOMS;
    like.num_atoms_padded = PADDED;
    like.dtype = GD_FLOAT32;
    like.num_temperature_groups = 2;
    like.num_energy_groups = 1;
    uint64_t offset = 4096;
    const uint64_t bytes[GD_ARRAY_COUNT] = {sizeof positions, sizeof velocities, sizeof positions, PADDED * 8, sizeof energies};
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
        like.array_offset[a] = offset;
        like.array_bytes[a] = bytes[a];
        offset = gd_round_up(offset + bytes[a], GD_ARRAY_ALIGN);
    }
    gd_pins_init(&pins);
    client = calloc(1, sizeof *client);
    cr_assert_eq(gd_pins_add(&pins, client, NULL), 0);
}

static void teardown(void)
{
    gd_pins_clear(&pins);
    free(client);
}

TestSuite(ring, .init = setup, .fini = teardown);

#define CARRIED (GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES) | GD_ARRAY_BIT(GD_ENERGIES))

static struct gd_ring *make(uint32_t num_slots)
{
    struct gd_ring *ring = NULL;
    struct gd_err err = {0};
    const struct gd_ring_options options = {.ring_id = 9, .num_slots = num_slots, .arrays = CARRIED};
    cr_assert_eq(gd_ring_create(&ring, &like, &options, &err), 0, "%s", err.text);
    return ring;
}

static struct gd_frame_source source(double mark)
{
    for (size_t i = 0; i < PADDED * 3; i++) {
        positions[i] = (float)(mark + (double)i);
        velocities[i] = (float)(mark - (double)i);
    }
    energies[0] = mark * 0.5;
    struct gd_frame_source s = {.version = (uint64_t)mark + 100};
    s.array[GD_POSITIONS] = positions;
    s.array[GD_VELOCITIES] = velocities;
    s.array[GD_ENERGIES] = energies;
    s.small.step = (int64_t)mark;
    s.small.time = mark * 0.002;
    s.small.box.kind = GD_BOX_RECTANGULAR;
    s.small.box.vectors[0][0] = mark + 1;
    return s;
}

static int publish(struct gd_ring *ring, double mark, uint64_t *sequence)
{
    struct gd_err err = {0};
    struct gd_frame_source s = source(mark);
    int rc = gd_ring_publish(ring, &s, &pins, sequence, &err);
    cr_assert_geq(rc, 0, "%s", err.text);
    return rc;
}

static void pin(struct gd_ring *ring, uint32_t entry, struct reader_pin *out)
{
    uint64_t retries = 0;
    cr_assert_eq(reader_pin_newest(ring->header, client, entry, out, &retries), 0);
    cr_assert_eq(retries, 0);
}

static void expect_frame(const struct gd_ring *ring, const struct reader_pin *pin_, double mark)
{
    const struct gd_frame_header *frame = reader_frame(ring->header, pin_);
    const struct gd_segment_head *head = &ring->header->head;
    const float *x = (const void *)((const char *)frame + head->array_offset[GD_POSITIONS]);
    const float *v = (const void *)((const char *)frame + head->array_offset[GD_VELOCITIES]);
    const double *e = (const void *)((const char *)frame + head->array_offset[GD_ENERGIES]);
    cr_assert_eq(frame->sequence, pin_->sequence);
    cr_assert_eq(frame->version, (uint64_t)mark + 100);
    cr_assert_eq(frame->small.step, (int64_t)mark);
    cr_assert_eq(frame->small.box.vectors[0][0], mark + 1);
    for (size_t i = 0; i < PADDED * 3; i++) {
        cr_assert_eq(x[i], (float)(mark + (double)i));
        cr_assert_eq(v[i], (float)(mark - (double)i));
    }
    cr_assert_eq(e[0], mark * 0.5);
}

Test(ring, layout_is_aligned_and_describes_the_state)
{
    struct gd_ring *ring = make(4);
    const struct gd_frames_header *h = ring->header;
    cr_assert_eq(h->head.layout, GD_LAYOUT);
    cr_assert_eq(h->head.role, GD_SEGMENT_FRAMES);
    cr_assert_eq(memcmp(h->head.uuid, like.uuid, 16), 0);
    cr_assert_eq(h->head.generation, 3);
    cr_assert_eq(h->head.num_atoms, ATOMS);
    cr_assert_eq(h->num_slots, 4);
    cr_assert_eq(h->ring_id, 9);
    cr_assert_eq(h->slot_offset % GD_PAGE, 0);
    cr_assert_eq(h->slot_stride % GD_PAGE, 0);
    cr_assert_eq(h->head.segment_bytes, h->slot_offset + 4 * h->slot_stride);
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
        int carried = (CARRIED & GD_ARRAY_BIT(a)) != 0;
        cr_assert_eq(h->head.array_offset[a] != 0, carried);
        cr_assert_eq(h->head.array_offset[a] % GD_ARRAY_ALIGN, 0);
        cr_assert_eq(h->head.array_bytes[a], carried ? like.array_bytes[a] : 0);
    }
    cr_assert_eq(gd_frames_check(h, ring->segment.bytes, &like, NULL), 0);
    gd_ring_destroy(&ring);
    cr_assert_null(ring);
    gd_ring_destroy(&ring);
    gd_ring_destroy(NULL);
}

Test(ring, impossible_rings_are_refused)
{
    struct gd_ring *ring = NULL;
    struct gd_ring_options options = {.ring_id = 1, .num_slots = 1, .arrays = CARRIED};
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), GD_E_INVALID_ARGUMENT);
    options.num_slots = GD_MAX_SLOTS + 1;
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), GD_E_INVALID_ARGUMENT);
    options.num_slots = 2;
    options.ring_id = 0;
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), GD_E_INVALID_ARGUMENT);
    options.ring_id = 1;
    like.array_offset[GD_VELOCITIES] = 0;
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), GD_E_INVALID_ARGUMENT);
    like.array_offset[GD_VELOCITIES] = 64;
    like.array_bytes[GD_VELOCITIES] = UINT64_MAX / 2;
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), GD_E_INVALID_ARGUMENT);
    cr_assert_null(ring);
}

Test(ring, memory_is_taken_slot_by_slot)
{
    struct gd_ring *ring = make(8);
    struct stat st;
    fstat(ring->segment.fd, &st);
    uint64_t before = (uint64_t)st.st_blocks * 512;
    cr_assert_eq(before, ring->header->slot_offset);
    publish(ring, 1, NULL);
    fstat(ring->segment.fd, &st);
    cr_assert_eq((uint64_t)st.st_blocks * 512, before + ring->header->slot_stride);
    cr_assert_eq(ring->allocated_bytes, before + ring->header->slot_stride);
    for (int i = 2; i < 30; i++)
        publish(ring, i, NULL);
    cr_assert_eq(ring->allocated_bytes, ring->header->slot_offset + 8 * ring->header->slot_stride);
    gd_ring_destroy(&ring);
}

Test(ring, nothing_to_read_before_the_first_publish)
{
    struct gd_ring *ring = make(2);
    struct reader_pin p;
    struct gd_frame_view view;
    uint64_t retries = 0;
    cr_assert_eq(reader_pin_newest(ring->header, client, 0, &p, &retries), READER_NOTHING);
    cr_assert_eq(gd_frames_newest(ring->header, &view), GD_E_NOT_FOUND);
    gd_ring_destroy(&ring);
}

Test(ring, sequences_count_from_one_and_the_last_k_stay_readable)
{
    struct gd_ring *ring = make(4);
    struct reader_pin p;
    uint64_t sequence = 0;
    for (int i = 1; i <= 11; i++) {
        cr_assert_eq(publish(ring, i, &sequence), 0);
        cr_assert_eq(sequence, i);
        pin(ring, 0, &p);
        expect_frame(ring, &p, i);
        reader_unpin(client, &p);
    }
    for (uint64_t s = 1; s <= 11; s++) {
        int there = reader_pin_sequence(ring->header, client, 0, s, &p) == 0;
        cr_assert_eq(there, s > 11 - 4, "frame %d", (int)s);
        if (there) {
            expect_frame(ring, &p, (double)s);
            reader_unpin(client, &p);
        }
    }
    cr_assert_eq(ring->header->published, 11);
    cr_assert_eq(ring->header->skipped, 0);
    gd_ring_destroy(&ring);
}

Test(ring, a_pinned_frame_survives_any_number_of_publishes)
{
    struct gd_ring *ring = make(3);
    struct reader_pin held, p;
    publish(ring, 1, NULL);
    pin(ring, 5, &held);
    for (int i = 2; i < 100; i++) {
        cr_assert_eq(publish(ring, i, NULL), 0);
        expect_frame(ring, &held, 1);
        pin(ring, 0, &p);
        expect_frame(ring, &p, i);
        reader_unpin(client, &p);
    }
    cr_assert_eq(client->pins_used, 6);
    gd_ring_destroy(&ring);
}

Test(ring, all_pinned_is_a_counted_skip_and_the_next_publish_works_again)
{
    struct gd_ring *ring = make(3);
    struct reader_pin p[3];
    uint64_t sequence = 77;
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(publish(ring, i + 1, NULL), 0);
        pin(ring, i, &p[i]);
    }
    cr_assert_eq(publish(ring, 4, &sequence), GD_RING_SKIPPED);
    cr_assert_eq(publish(ring, 4, &sequence), GD_RING_SKIPPED);
    cr_assert_eq(sequence, 77, "outputs are untouched");
    cr_assert_eq(ring->header->skipped, 2);
    for (uint32_t i = 0; i < 3; i++)
        expect_frame(ring, &p[i], i + 1);
    reader_unpin(client, &p[1]);
    cr_assert_eq(publish(ring, 4, &sequence), 0);
    cr_assert_eq(sequence, 4, "a skip uses no number up");
    expect_frame(ring, &p[0], 1);
    expect_frame(ring, &p[2], 3);
    gd_ring_destroy(&ring);
}

Test(ring, the_newest_frame_is_never_chosen)
{
    struct gd_ring *ring = make(2);
    struct reader_pin p;
    publish(ring, 1, NULL);
    publish(ring, 2, NULL);
    cr_assert_eq(reader_pin_sequence(ring->header, client, 0, 1, &p), 0);
    cr_assert_eq(publish(ring, 3, NULL), GD_RING_SKIPPED, "one slot is pinned, the other the newest");
    reader_unpin(client, &p);
    pin(ring, 0, &p);
    expect_frame(ring, &p, 2);
    gd_ring_destroy(&ring);
}

/* A pin that appears between the first look and the clearing: as from another process, here put in by hand. */
Test(ring, a_pin_of_a_block_that_joins_late_is_found_by_the_second_look)
{
    struct gd_ring *ring = make(2);
    publish(ring, 1, NULL);
    publish(ring, 2, NULL);
    uint32_t old_slot = GD_NEWEST_SLOT(ring->header->newest) ^ 1u;
    struct gd_pin_mask mask;
    client->pins_used = 1;
    client->pins[0] = GD_PIN_WORD(9, old_slot);
    cr_assert_eq(gd_pins_collect(&pins, 9, 2, &mask), 1);
    cr_assert(gd_pin_mask_has(&mask, old_slot));
    cr_assert_not(gd_pin_mask_has(&mask, old_slot ^ 1u));
    cr_assert(gd_pins_find(&pins, 9, old_slot));
    cr_assert_not(gd_pins_find(&pins, 9, old_slot ^ 1u));
    cr_assert_not(gd_pins_find(&pins, 8, old_slot), "another ring's number");
    gd_ring_destroy(&ring);
}

Test(ring, an_abandoned_publish_uses_no_number_and_leaves_the_newest)
{
    struct gd_ring *ring = make(3);
    struct gd_ring_ticket ticket;
    struct gd_frame_source s = source(1);
    struct reader_pin p;
    uint64_t sequence;
    publish(ring, 1, NULL);
    cr_assert_eq(gd_ring_begin(ring, &pins, &ticket, NULL), 0);
    gd_ring_copy(ring, &ticket, &s);
    pin(ring, 0, &p);
    expect_frame(ring, &p, 1);
    reader_unpin(client, &p);
    gd_ring_abandon(ring, &ticket);
    cr_assert_eq(ring->header->sequence[ticket.slot], 0);
    cr_assert_eq(publish(ring, 2, &sequence), 0);
    cr_assert_eq(sequence, 2);
    for (int i = 3; i < 9; i++)
        cr_assert_eq(publish(ring, i, NULL), 0);
    gd_ring_destroy(&ring);
}

Test(ring, a_ring_that_replaces_another_counts_on)
{
    struct gd_ring *ring = NULL;
    uint64_t sequence;
    const struct gd_ring_options options = {.ring_id = 10, .num_slots = 2, .arrays = CARRIED, .first_sequence = 1235};
    cr_assert_eq(gd_ring_create(&ring, &like, &options, NULL), 0);
    publish(ring, 1, &sequence);
    cr_assert_eq(sequence, 1235);
    gd_ring_destroy(&ring);
}

Test(ring, readers_keep_their_frames_after_the_ring_is_gone)
{
    struct gd_ring *ring = make(2);
    publish(ring, 6, NULL);
    size_t bytes = ring->segment.bytes;
    struct gd_frames_header *mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, ring->segment.fd_reader, 0);
    cr_assert_neq(mapped, MAP_FAILED);
    struct gd_frame_view view;
    gd_ring_destroy(&ring);
    cr_assert_eq(gd_frames_check(mapped, bytes, &like, NULL), 0);
    cr_assert_eq(gd_frames_newest(mapped, &view), 0);
    cr_assert_eq(view.header->small.step, 6);
    cr_assert_eq(((const float *)view.array[GD_POSITIONS])[5], 11.0f);
    cr_assert_null(view.array[GD_FORCES]);
    munmap(mapped, bytes);
}

Test(ring, reading_back_passes_over_what_is_half_done)
{
    struct gd_ring *ring = make(3);
    struct gd_ring_ticket ticket;
    struct gd_frame_view view;
    struct gd_frame_source s = source(3);
    publish(ring, 1, NULL);
    publish(ring, 2, NULL);
    cr_assert_eq(gd_ring_begin(ring, &pins, &ticket, NULL), 0);
    gd_ring_copy(ring, &ticket, &s);
    cr_assert_eq(gd_frames_newest(ring->header, &view), 0);
    cr_assert_eq(view.sequence, 2);
    gd_ring_end(ring, &ticket);
    cr_assert_eq(gd_frames_newest(ring->header, &view), 0);
    cr_assert_eq(view.sequence, 3);
    /* a number in the table that its slot does not bear out */
    atomic_store(&ring->header->sequence[view.slot], 50);
    cr_assert_eq(gd_frames_newest(ring->header, &view), 0);
    cr_assert_eq(view.sequence, 2);
    gd_ring_destroy(&ring);
}

Test(ring, every_changed_field_of_a_ring_header_is_found)
{
    struct gd_ring *ring = make(3);
    size_t bytes = ring->segment.bytes;
    char *copy = malloc(bytes);
    const size_t fields[] = {offsetof(struct gd_segment_head, layout),
                             offsetof(struct gd_segment_head, role),
                             offsetof(struct gd_segment_head, uuid),
                             offsetof(struct gd_segment_head, segment_bytes),
                             offsetof(struct gd_segment_head, num_atoms),
                             offsetof(struct gd_segment_head, num_atoms_padded),
                             offsetof(struct gd_segment_head, dtype),
                             offsetof(struct gd_segment_head, num_temperature_groups),
                             offsetof(struct gd_segment_head, num_energy_groups),
                             offsetof(struct gd_segment_head, array_offset) + 8 * GD_POSITIONS,
                             offsetof(struct gd_segment_head, array_offset) + 8 * GD_FORCES,
                             offsetof(struct gd_segment_head, array_offset) + 8 * 7,
                             offsetof(struct gd_segment_head, array_bytes) + 8 * GD_ENERGIES,
                             offsetof(struct gd_frames_header, num_slots),
                             offsetof(struct gd_frames_header, slot_offset),
                             offsetof(struct gd_frames_header, slot_stride)};
    struct gd_err err;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        memcpy(copy, ring->segment.base, bytes);
        cr_assert_eq(gd_frames_check(copy, bytes, &like, &err), 0);
        copy[fields[i] + 1] ^= 0x40;
        gd_err_clear(&err);
        cr_assert_eq(gd_frames_check(copy, bytes, &like, &err), GD_E_CORRUPT_DATA, "field at %zu", fields[i]);
        cr_assert_eq(err.code, GD_E_CORRUPT_DATA);
    }
    memcpy(copy, ring->segment.base, bytes);
    cr_assert_eq(gd_frames_check(copy, bytes - 1, &like, NULL), GD_E_CORRUPT_DATA, "cut off");
    cr_assert_eq(gd_frames_check(copy, 100, &like, NULL), GD_E_CORRUPT_DATA);
    free(copy);
    gd_ring_destroy(&ring);
}

Test(ring, what_a_client_scribbles_on_its_block_is_bounded)
{
    struct gd_ring *ring = make(2);
    publish(ring, 1, NULL);
    publish(ring, 2, NULL);
    client->pins_used = UINT32_MAX;
    memset((void *)client->pins, 0xff, sizeof client->pins);
    struct gd_pin_mask mask;
    cr_assert_eq(gd_pins_collect(&pins, 9, 2, &mask), 0);
    cr_assert_eq(publish(ring, 3, NULL), 0);
    for (size_t i = 0; i < GD_MAX_PINS; i++)
        client->pins[i] = GD_PIN_WORD(9, i % 0xffff);
    cr_assert_eq(gd_pins_collect(&pins, 9, 2, &mask), 2);
    cr_assert_eq(gd_pins_count(client, 9), GD_MAX_PINS);
    cr_assert_eq(gd_pins_count(client, 4), 0);
    cr_assert_eq(publish(ring, 4, NULL), GD_RING_SKIPPED);
    gd_pins_remove(&pins, client);
    cr_assert_eq(publish(ring, 4, NULL), 0, "the block of a dead session counts no more");
    gd_pins_remove(&pins, client);
    cr_assert_eq(gd_pins_add(&pins, client, NULL), 0);
    cr_assert_eq(gd_pins_add(&pins, client, NULL), 0);
    cr_assert_eq(pins.num_blocks, 1, "adding twice is once");
    gd_ring_destroy(&ring);
}

Test(ring, many_blocks_come_and_go)
{
    struct gd_ring *ring = make(2);
    static struct gd_control_block blocks[40];
    publish(ring, 1, NULL);
    publish(ring, 2, NULL);
    uint32_t old_slot = GD_NEWEST_SLOT(ring->header->newest) ^ 1u;
    for (size_t i = 0; i < 40; i++)
        cr_assert_eq(gd_pins_add(&pins, &blocks[i], NULL), 0);
    blocks[31].pins_used = 200;
    blocks[31].pins[199] = GD_PIN_WORD(9, old_slot);
    cr_assert_eq(publish(ring, 3, NULL), GD_RING_SKIPPED);
    for (size_t i = 0; i < 31; i++)
        gd_pins_remove(&pins, &blocks[i]);
    cr_assert_eq(publish(ring, 3, NULL), GD_RING_SKIPPED);
    gd_pins_remove(&pins, &blocks[31]);
    cr_assert_eq(publish(ring, 3, NULL), 0);
    gd_ring_destroy(&ring);
}

Test(ring, no_memory_for_a_slot_is_an_error_and_the_frames_there_stay)
{
    /* a made-up length no machine has, in a sparse segment that takes none of it before it is used */
    like.array_bytes[GD_POSITIONS] = (uint64_t)1 << 40;
    struct gd_ring *ring = NULL;
    struct gd_err err = {0};
    const struct gd_ring_options options = {.ring_id = 9, .num_slots = 2, .arrays = GD_ARRAY_BIT(GD_POSITIONS)};
    if (gd_ring_create(&ring, &like, &options, &err) != 0)
        return; /* an address-space limit */
    struct gd_frame_source s = source(1);
    uint64_t sequence = 5;
    cr_assert_eq(gd_ring_publish(ring, &s, &pins, &sequence, &err), GD_E_OUT_OF_MEMORY);
    cr_assert_eq(err.code, GD_E_OUT_OF_MEMORY);
    cr_assert_eq(sequence, 5);
    cr_assert_eq(ring->header->newest, 0);
    cr_assert_eq(ring->header->skipped, 0);
    cr_assert_eq(gd_ring_publish(ring, &s, &pins, &sequence, &err), GD_E_OUT_OF_MEMORY, "and it can be tried again");
    gd_ring_destroy(&ring);
}
