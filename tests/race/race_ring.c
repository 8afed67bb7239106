/* The frame ring under ThreadSanitizer: one publisher, readers of the newest frame, of older frames and keepers of several,
 * and a session that comes and goes, as threads over the same memory. A frame's words are plain loads and stores, so the
 * sanitizer sees every access that the sequence and the pins do not order; the readers check the content besides. */
#include "core/ring.h"
#include "tests/race/reader.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATOMS = 64, READERS = 6, PUBLISHES = 30000, ENERGIES = 8 };

struct shared {
    struct gd_ring *ring;
    struct gd_pin_set pins;
    struct gd_control_block *blocks[READERS + 1];
    _Atomic int stop;
    _Atomic uint64_t frames, wrong, retries, gone;
};

struct reader {
    struct shared *shared;
    struct gd_control_block *block;
    unsigned kind, seed;
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Every element of a frame with sequence s is s modulo a power of two, so that float holds it exactly. */
static int frame_is(const struct gd_frames_header *h, const struct reader_pin *pin)
{
    const struct gd_frame_header *frame = reader_frame(h, pin);
    const float *x = (const void *)((const char *)frame + h->head.array_offset[GD_POSITIONS]);
    const double *e = (const void *)((const char *)frame + h->head.array_offset[GD_ENERGIES]);
    int good = frame->sequence == pin->sequence && frame->small.step == (int64_t)pin->sequence;
    for (size_t i = 0; i < ATOMS * 3; i++)
        good &= x[i] == (float)(pin->sequence % (1u << 20));
    for (size_t i = 0; i < ENERGIES; i++)
        good &= e[i] == (double)pin->sequence;
    return good;
}

static void check(struct shared *s, const struct reader_pin *pin)
{
    atomic_fetch_add(&s->frames, 1);
    if (!frame_is(s->ring->header, pin))
        atomic_fetch_add(&s->wrong, 1);
}

static void *read_frames(void *argument)
{
    struct reader *r = argument;
    struct shared *s = r->shared;
    const struct gd_frames_header *h = s->ring->header;
    struct reader_pin kept[3];
    uint64_t random = r->seed, retries = 0;
    unsigned held = 0;
    while (!atomic_load(&s->stop)) {
        struct reader_pin pin;
        if (reader_pin_newest(h, r->block, 0, &pin, &retries) != 0)
            continue;
        check(s, &pin);
        if (r->kind == 1 && pin.sequence > 3) {
            struct reader_pin old;
            if (reader_pin_sequence(h, r->block, 1, pin.sequence - 1 - next_random(&random) % 3, &old) == 0) {
                check(s, &old);
                reader_unpin(r->block, &old);
            } else {
                atomic_fetch_add(&s->gone, 1);
            }
        }
        if (r->kind == 2) { /* keeps up to three frames for a while */
            if (held == 3)
                while (held > 0) {
                    check(s, &kept[--held]);
                    reader_unpin(r->block, &kept[held]);
                }
            if (reader_pin_newest(h, r->block, 2 + held, &kept[held], &retries) == 0)
                held++;
        }
        if (next_random(&random) % 8 == 0)
            sched_yield();
        if (!frame_is(h, &pin))
            atomic_fetch_add(&s->wrong, 1);
        reader_unpin(r->block, &pin);
    }
    while (held > 0)
        reader_unpin(r->block, &kept[--held]);
    atomic_fetch_add(&s->retries, retries);
    return NULL;
}

/* A session that joins, pins, checks, and hangs up, over and over. */
static void *come_and_go(void *argument)
{
    struct shared *s = argument;
    struct gd_control_block *block = s->blocks[READERS];
    uint64_t retries = 0;
    while (!atomic_load(&s->stop)) {
        struct reader_pin pin;
        if (gd_pins_add(&s->pins, block, NULL) != 0)
            break;
        if (reader_pin_newest(s->ring->header, block, 0, &pin, &retries) == 0) {
            check(s, &pin);
            reader_unpin(block, &pin);
        }
        gd_pins_remove(&s->pins, block);
        sched_yield();
    }
    return NULL;
}

static void publish_all(struct shared *s)
{
    static float positions[ATOMS * 3];
    static double energies[ENERGIES];
    struct gd_frame_source source = {0};
    source.array[GD_POSITIONS] = positions;
    source.array[GD_ENERGIES] = energies;
    for (uint32_t n = 0; n < PUBLISHES; n++) {
        uint64_t sequence = s->ring->next_sequence;
        for (size_t i = 0; i < ATOMS * 3; i++)
            positions[i] = (float)(sequence % (1u << 20));
        for (size_t i = 0; i < ENERGIES; i++)
            energies[i] = (double)sequence;
        source.small.step = (int64_t)sequence;
        if (gd_ring_publish(s->ring, &source, &s->pins, NULL, NULL) < 0)
            atomic_fetch_add(&s->wrong, 1);
        if (n % 4 == 0)
            sched_yield();
    }
}

int main(void)
{
    static struct shared s;
    struct gd_segment_head like = {.generation = 1, .num_atoms = ATOMS, .num_atoms_padded = ATOMS, .dtype = GD_FLOAT32};
    like.array_offset[GD_POSITIONS] = like.array_offset[GD_ENERGIES] = 64;
    like.array_bytes[GD_POSITIONS] = ATOMS * 3 * sizeof(float);
    like.array_bytes[GD_ENERGIES] = ENERGIES * sizeof(double);
    const struct gd_ring_options options = {.ring_id = 1, .num_slots = 6, .arrays = GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_ENERGIES)};
    struct gd_err err = {0};
    if (gd_ring_create(&s.ring, &like, &options, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    gd_pins_init(&s.pins);
    pthread_t threads[READERS + 1];
    struct reader readers[READERS];
    for (unsigned i = 0; i <= READERS; i++)
        s.blocks[i] = calloc(1, sizeof *s.blocks[i]);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){&s, s.blocks[i], i % 3, i + 1};
        if (gd_pins_add(&s.pins, s.blocks[i], &err) != 0 || pthread_create(&threads[i], NULL, read_frames, &readers[i]) != 0)
            return 2;
    }
    if (pthread_create(&threads[READERS], NULL, come_and_go, &s) != 0)
        return 2;
    publish_all(&s);
    atomic_store(&s.stop, 1);
    for (unsigned i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    uint64_t published = s.ring->header->published, skipped = s.ring->header->skipped;
    printf("ring: %llu published, %llu skipped, %llu frames read, %llu retries, %llu conflicts, %llu older ones gone\n",
           (unsigned long long)published, (unsigned long long)skipped, (unsigned long long)s.frames, (unsigned long long)s.retries,
           (unsigned long long)s.ring->conflicts, (unsigned long long)s.gone);
    int whole = s.wrong == 0, counted = published + skipped == PUBLISHES, read = s.frames > 0;
    gd_ring_destroy(&s.ring);
    gd_pins_clear(&s.pins);
    for (unsigned i = 0; i <= READERS; i++)
        free(s.blocks[i]);
    int passed = whole + counted + read;
    printf("%d passed, %d failed\n", passed, 3 - passed);
    return passed == 3 ? 0 : 1;
}
