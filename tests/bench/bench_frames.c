/* Publishing a frame beside the plain copy of the same bytes: what choosing a slot, looking at pins, copying and announcing cost, and
 * what waking sleepers adds.
 *
 *   bench_frames [atoms]     (default 100000; positions and velocities, float32)
 *
 * Copy and publish alternate in one loop, over rings of the same number of buffers that were all written before, so both see the
 * same caches, frequency and neighbours. Medians, with the quartiles as spread. */
#include "core/futex.h"
#include "core/ring.h"
#include "tests/race/reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 8, ROUNDS = 1500, MOST_READERS = 16, PINS = 4 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

struct sample {
    double time[ROUNDS];
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(struct sample *s, double q)
{
    qsort(s->time, ROUNDS, sizeof *s->time, by_value);
    return s->time[(size_t)(q * (ROUNDS - 1))];
}

static void print(const char *what, struct sample *s, double base)
{
    printf("  %-46s %9.2f us (%.2f to %.2f)", what, quantile(s, 0.5), quantile(s, 0.25), quantile(s, 0.75));
    if (base > 0)
        printf("   %.3f of the plain copy", quantile(s, 0.5) / base);
    putchar('\n');
}

static double copy_plainly(const struct gd_frame_source *source, char *to, size_t bytes)
{
    double start = now_us();
    memcpy(to, source->array[GD_POSITIONS], bytes);
    memcpy(to + bytes, source->array[GD_VELOCITIES], bytes);
    return now_us() - start;
}

/* Which of the two goes first, and finds the source colder, changes from round to round. */
static int compare(struct gd_ring *ring, const struct gd_frame_source *source, struct gd_pin_set *pins, char *const *buffers,
                   unsigned readers)
{
    static struct sample copy, begin, body, end, whole;
    size_t bytes = (size_t)ring->header->head.array_bytes[GD_POSITIONS];
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct gd_ring_ticket ticket;
        if (round % 2 == 0)
            copy.time[round] = copy_plainly(source, buffers[round % SLOTS], bytes);
        double t2 = now_us();
        if (gd_ring_begin(ring, pins, &ticket, NULL) != 0)
            return 1;
        double t3 = now_us();
        gd_ring_copy(ring, &ticket, source);
        double t4 = now_us();
        gd_ring_end(ring, &ticket);
        double t5 = now_us();
        if (round % 2 == 1)
            copy.time[round] = copy_plainly(source, buffers[round % SLOTS], bytes);
        begin.time[round] = t3 - t2;
        body.time[round] = t4 - t3;
        end.time[round] = t5 - t4;
        whole.time[round] = t5 - t2;
    }
    printf("%u readers with %d pins each:\n", readers, PINS);
    double base = quantile(&copy, 0.5);
    print("plain memcpy", &copy, 0);
    print("choose a slot, look at the pins twice", &begin, 0);
    print("copy", &body, base);
    print("announce", &end, 0);
    print("publish", &whole, base);
    return 0;
}

/* ---- waking ---- */

static struct gd_live_header live;
static _Atomic unsigned awake;

static void *sleep_on_wake(void *argument)
{
    (void)argument;
    for (uint64_t seen = 0; seen < UINT64_MAX;) {
        seen = reader_await_version(&live, seen, NULL);
        atomic_fetch_add(&awake, 1);
    }
    return NULL;
}

static void measure_wakes(unsigned sleepers)
{
    static struct sample wake;
    static pthread_t threads[MOST_READERS];
    enum { WAKES = 200 };
    atomic_store(&live.version, 0);
    for (unsigned i = 0; i < sleepers; i++)
        if (pthread_create(&threads[i], NULL, sleep_on_wake, NULL) != 0)
            return;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round >= WAKES) { /* enough: the rest repeats what was measured */
            wake.time[round] = wake.time[round % WAKES];
            continue;
        }
        struct timespec pause = {0, 300000};
        nanosleep(&pause, NULL);
        atomic_store(&awake, 0);
        atomic_fetch_add(&live.version, 1);
        double begin = now_us();
        atomic_fetch_add(&live.wake, 1);
        gd_futex_wake_all(&live.wake);
        wake.time[round] = now_us() - begin;
        while (atomic_load(&awake) < sleepers)
            nanosleep(&pause, NULL);
    }
    atomic_store(&live.version, UINT64_MAX);
    atomic_fetch_add(&live.wake, 1);
    gd_futex_wake_all(&live.wake);
    for (unsigned i = 0; i < sleepers; i++)
        pthread_join(threads[i], NULL);
    char what[64];
    snprintf(what, sizeof what, "wake %u sleepers", sleepers);
    print(what, &wake, 0);
}

int main(int argc, char **argv)
{
    size_t atoms = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    size_t bytes = (size_t)gd_round_up(atoms, GD_ATOM_BLOCK) * 12;
    struct gd_segment_head like = {.generation = 1, .num_atoms = atoms, .num_atoms_padded = bytes / 12, .dtype = GD_FLOAT32};
    like.array_offset[GD_POSITIONS] = like.array_offset[GD_VELOCITIES] = 64;
    like.array_bytes[GD_POSITIONS] = like.array_bytes[GD_VELOCITIES] = bytes;
    const struct gd_ring_options options = {
        .ring_id = 1, .num_slots = SLOTS, .arrays = GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES)};
    struct gd_ring *ring;
    struct gd_err err = {0};
    struct gd_frame_source source = {0};
    struct gd_pin_set pins;
    char *buffers[SLOTS], *arrays = aligned_alloc(64, gd_round_up(2 * bytes, 64));
    if (arrays == NULL || gd_ring_create(&ring, &like, &options, &err) != 0)
        return fprintf(stderr, "bench_frames: %s\n", err.text), 2;
    memset(arrays, 1, 2 * bytes);
    source.array[GD_POSITIONS] = arrays;
    source.array[GD_VELOCITIES] = arrays + bytes;
    for (int i = 0; i < SLOTS; i++) {
        if ((buffers[i] = aligned_alloc(64, gd_round_up(2 * bytes, 64))) == NULL)
            return 2;
        memset(buffers[i], 2, 2 * bytes);
    }
    gd_pins_init(&pins);
    for (int i = 0; i < SLOTS; i++)
        gd_ring_publish(ring, &source, &pins, NULL, NULL);
    printf("%zu atoms, %zu bytes a frame, %d slots, medians of %d (quartiles)\n", atoms, 2 * bytes, SLOTS, ROUNDS);
    static struct gd_control_block blocks[MOST_READERS];
    for (unsigned readers = 0; readers <= MOST_READERS; readers = readers == 0 ? 1 : readers * 4) {
        for (unsigned i = 0; i < readers; i++) {
            blocks[i].pins_used = PINS;
            for (unsigned p = 0; p < PINS; p++)
                blocks[i].pins[p] = GD_PIN_WORD(99, p); /* of another ring: all are looked at, none is in the way */
            if (gd_pins_add(&pins, &blocks[i], &err) != 0)
                return 2;
        }
        if (compare(ring, &source, &pins, buffers, readers) != 0)
            return 1;
    }
    puts("and for the sleepers:");
    for (unsigned sleepers = 1; sleepers <= MOST_READERS; sleepers *= 4)
        measure_wakes(sleepers);
    return 0;
}
