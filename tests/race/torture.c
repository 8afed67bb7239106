/* Torture of the frame ring: one writer process that publishes as fast as it can, readers in processes of their own that
 * pin frames and verify a checksum over positions, velocities, box, step, time and energies of each.
 *
 *   torture [--words N] [--seconds S] [--readers R] [--slots K] [--atoms A] [--contention C] [--expect-torn]
 *
 * Runs until N words (of 8 bytes) were verified, by every reader some, and at least C pin conflicts and retries counted, or S
 * seconds are over. Exit status 0: all reached and no frame torn; with --expect-torn: a torn frame was found in time (for builds
 * with a planted fault). Each reader maps the ring read-only through the readers' descriptor and pins through a control block of its own, as a
 * client does; it verifies a frame, holds it, and verifies it again before it lets go. Readers differ: most follow the newest
 * frame, some go back in history, some hold several frames at a time.
 *
 * Conflict: the publisher took a slot and found it pinned at the second look. Retry: a reader's frame was gone before its
 * pin stood. */
#include "core/ring.h"

#ifdef TORTURE_PAUSES
static const struct gd_frames_header *followed; /* by the reader that this process is */

/* Now and then until the publisher has gone round the ring: that it does so between two steps of a reader must not depend on how
 * many cores there are. It may not get on, when every slot is pinned. */
static void pause_reader(void)
{
    if (torture_draw() % 1024 != 1 || followed == NULL) {
        torture_pause();
        return;
    }
    uint64_t until = GD_NEWEST_SEQUENCE(atomic_load(&followed->newest)) + followed->num_slots + 1;
    for (int look = 0; look < 100 && GD_NEWEST_SEQUENCE(atomic_load(&followed->newest)) < until; look++)
        torture_sleep();
}
#define READER_PAUSE() pause_reader()
#endif

#include "tests/race/reader.h"

#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_READERS = 64, SOURCES = 61, ENERGIES = 40, HELD = 3 };

struct options {
    double words, seconds;
    unsigned readers, slots, atoms;
    uint64_t contention;
    int expect_torn;
};

/* In memory all processes share. Each reader writes its own line. */
struct counts {
    _Alignas(128) _Atomic uint64_t words;
    _Atomic uint64_t frames, retries, torn, gone;
};

struct shared {
    _Atomic int stop;
    struct counts reader[MAX_READERS];
};

static struct options opt = {.words = 1e8, .seconds = 60, .readers = 16, .slots = 12, .atoms = 64};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- checksums ---- */

/* Order matters and no word is neutral; four lanes so that the processor can keep up with memory. */
static uint64_t checksum(const void *data, size_t bytes, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t lane[4] = {seed, seed ^ 1, seed ^ 2, seed ^ 3}, word[4];
    for (; bytes >= sizeof word; bytes -= sizeof word, p += sizeof word) {
        memcpy(word, p, sizeof word);
        for (int i = 0; i < 4; i++)
            lane[i] = (lane[i] ^ word[i]) * 0x9e3779b97f4a7c15u;
    }
    for (; bytes >= 8; bytes -= 8, p += 8) {
        memcpy(word, p, 8);
        lane[0] = (lane[0] ^ word[0]) * 0x9e3779b97f4a7c15u;
    }
    return lane[0] ^ (lane[1] << 1 | lane[1] >> 63) ^ (lane[2] << 2 | lane[2] >> 62) ^ (lane[3] << 3 | lane[3] >> 61);
}

static uint64_t arrays_checksum(const void *const array[GD_ARRAY_COUNT], const uint64_t bytes[8])
{
    uint64_t sum = 0;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++)
        if (bytes[a] != 0)
            sum = checksum(array[a], (size_t)bytes[a], sum + a);
    return sum;
}

/* Everything in small but the place the sum itself stands in. */
static uint64_t frame_checksum(uint64_t arrays, const struct gd_small *small)
{
    return checksum(small, offsetof(struct gd_small, reserved), arrays);
}

/* ---- readers ---- */

struct reader {
    const struct gd_frames_header *ring;
    struct gd_control_block *block;
    struct counts *counts;
    uint64_t random;
    unsigned kind;
};

static uint64_t draw(struct reader *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static void verify(struct reader *r, const struct reader_pin *pin)
{
    const struct gd_segment_head *head = &r->ring->head;
    const struct gd_frame_header *frame = reader_frame(r->ring, pin);
    const void *array[GD_ARRAY_COUNT];
    uint64_t words = sizeof(struct gd_small) / 8, stored;
    for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
        array[a] = (const char *)frame + head->array_offset[a];
        words += head->array_bytes[a] / 8;
    }
    READER_PAUSE();
    struct gd_small small = frame->small;
    memcpy(&stored, small.reserved, sizeof stored);
    if (frame_checksum(arrays_checksum(array, head->array_bytes), &small) != stored || small.step != (int64_t)pin->sequence ||
        frame->sequence != pin->sequence)
        atomic_fetch_add(&r->counts->torn, 1);
    atomic_fetch_add(&r->counts->words, words);
    atomic_fetch_add(&r->counts->frames, 1);
}

static void look_back(struct reader *r, uint64_t newest)
{
    struct reader_pin old;
    /* any older frame, or the oldest: the one the publisher takes next */
    uint64_t oldest = r->ring->num_slots - 1, back = draw(r) % 2 == 0 ? oldest : 1 + draw(r) % oldest;
    if (newest <= back)
        return;
    if (reader_pin_sequence(r->ring, r->block, 1, newest - back, &old) != 0) {
        atomic_fetch_add(&r->counts->gone, 1);
        return;
    }
    verify(r, &old);
    reader_unpin(r->block, &old);
}

static void read_until_stopped(struct reader *r, const struct shared *s)
{
    struct reader_pin kept[HELD];
    unsigned held = 0;
    uint64_t retries = 0;
    while (!atomic_load(&s->stop)) {
        struct reader_pin pin;
        if (reader_pin_newest(r->ring, r->block, 0, &pin, &retries) != 0)
            continue;
        atomic_store(&r->counts->retries, retries);
        verify(r, &pin);
        if (r->kind % 2 == 1)
            look_back(r, pin.sequence);
        if (r->kind == 7 && reader_pin_newest(r->ring, r->block, 2 + held, &kept[held], &retries) == 0)
            held++;
        if (draw(r) % 64 == 0)
            sched_yield();
        if (draw(r) % 4 == 0) /* again, after it was held for a while */
            verify(r, &pin);
        reader_unpin(r->block, &pin);
        if (held == HELD)
            while (held > 0) {
                verify(r, &kept[--held]);
                reader_unpin(r->block, &kept[held]);
            }
    }
}

static void be_reader(unsigned number, const struct gd_ring *ring, struct gd_control_block *block, struct shared *s)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const void *mapped = mmap(NULL, ring->segment.bytes, PROT_READ, MAP_SHARED, ring->segment.fd_reader, 0);
    if (mapped == MAP_FAILED)
        _exit(2);
    munmap(ring->segment.base, ring->segment.bytes); /* what this process inherited could be written */
#ifdef TORTURE_PAUSES
    followed = mapped;
#endif
    struct reader r = {mapped, block, &s->reader[number], 0x2545f4914f6cdd1du * (number + 1),
                       number % 8}; /* odd ones look back, number 7 of 8 keeps several */
    read_until_stopped(&r, s);
    _exit(0);
}

/* ---- the writer ---- */

struct source {
    struct gd_frame_source frame;
    uint64_t sum;
};

static int make_sources(struct source *sources, const struct gd_segment_head *like)
{
    uint64_t random = 1;
    for (unsigned n = 0; n < SOURCES; n++) {
        for (uint32_t a = 0; a < GD_ARRAY_COUNT; a++) {
            if (like->array_bytes[a] == 0)
                continue;
            uint32_t *data = malloc((size_t)like->array_bytes[a]);
            if (data == NULL)
                return -1;
            for (size_t i = 0; i < like->array_bytes[a] / 4; i++)
                data[i] = (uint32_t)((random = random * 6364136223846793005u + 1442695040888963407u) >> 32);
            sources[n].frame.array[a] = data;
        }
        sources[n].sum = arrays_checksum(sources[n].frame.array, like->array_bytes);
    }
    return 0;
}

static void publish_next(struct gd_ring *ring, struct gd_pin_set *pins, struct source *sources)
{
    uint64_t sequence = ring->next_sequence;
    struct source *source = &sources[sequence % SOURCES];
    struct gd_small *small = &source->frame.small;
    small->step = (int64_t)sequence;
    small->time = 0.002 * (double)sequence;
    small->box.kind = GD_BOX_RECTANGULAR;
    for (int i = 0; i < 3; i++)
        small->box.vectors[i][i] = 3 + 1e-6 * (double)sequence;
    uint64_t sum = frame_checksum(source->sum, small);
    memcpy(small->reserved, &sum, sizeof sum);
    if (gd_ring_publish(ring, &source->frame, pins, NULL, NULL) < 0)
        exit(2);
}

static struct counts total(const struct shared *s)
{
    struct counts t = {0};
    for (unsigned i = 0; i < opt.readers; i++) {
        t.words += s->reader[i].words;
        t.frames += s->reader[i].frames;
        t.retries += s->reader[i].retries;
        t.torn += s->reader[i].torn;
        t.gone += s->reader[i].gone;
    }
    return t;
}

static unsigned idle_readers(const struct shared *s)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < opt.readers; i++)
        idle += s->reader[i].frames == 0;
    return idle;
}

static int enough(const struct gd_ring *ring, const struct shared *s, double elapsed)
{
    struct counts t = total(s);
    if (elapsed >= opt.seconds || t.torn != 0)
        return 1;
    return !opt.expect_torn && idle_readers(s) == 0 && (double)t.words >= opt.words && ring->conflicts + t.retries >= opt.contention;
}

static int report(const struct gd_ring *ring, const struct shared *s, double elapsed)
{
    struct counts t = total(s);
    unsigned idle = idle_readers(s);
    uint64_t contention = ring->conflicts + t.retries;
    printf("%u readers, %u slots, %u atoms, %.1f s: %llu published, %llu skipped; %llu frames and %llu words verified, %llu torn; "
           "%llu conflicts, %llu retries, %llu older frames gone, %u readers without a frame\n",
           opt.readers, opt.slots, opt.atoms, elapsed, (unsigned long long)ring->header->published,
           (unsigned long long)ring->header->skipped, (unsigned long long)t.frames, (unsigned long long)t.words, (unsigned long long)t.torn,
           (unsigned long long)ring->conflicts, (unsigned long long)t.retries, (unsigned long long)t.gone, idle);
    int good = opt.expect_torn ? t.torn > 0 : t.torn == 0 && (double)t.words >= opt.words && contention >= opt.contention && idle == 0;
    printf("%d passed, %d failed\n", good, !good);
    return good ? 0 : 1;
}

static int parse(int argc, char **argv)
{
    static const struct option names[] = {{"words", 1, 0, 'w'}, {"seconds", 1, 0, 's'},    {"readers", 1, 0, 'r'},     {"slots", 1, 0, 'k'},
                                          {"atoms", 1, 0, 'a'}, {"contention", 1, 0, 'c'}, {"expect-torn", 0, 0, 't'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (c) {
        case 'w':
            opt.words = atof(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'r':
            opt.readers = (unsigned)atoi(optarg);
            break;
        case 'k':
            opt.slots = (unsigned)atoi(optarg);
            break;
        case 'a':
            opt.atoms = (unsigned)atoi(optarg);
            break;
        case 'c':
            opt.contention = (uint64_t)atof(optarg);
            break;
        case 't':
            opt.expect_torn = 1;
            break;
        default:
            return -1;
        }
    return optind == argc && opt.readers >= 1 && opt.readers <= MAX_READERS && opt.atoms >= 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (parse(argc, argv) != 0) {
        fprintf(stderr, "usage: torture [--words N] [--seconds S] [--readers R] [--slots K] [--atoms A] [--contention C] "
                        "[--expect-torn]\n");
        return 2;
    }
    static struct source sources[SOURCES];
    static struct gd_pin_set pins;
    struct gd_segment control[MAX_READERS];
    pid_t children[MAX_READERS];
    struct gd_err err = {0};
    uint64_t padded = gd_round_up(opt.atoms, GD_ATOM_BLOCK);
    struct gd_segment_head like = {.generation = 1, .num_atoms = opt.atoms, .num_atoms_padded = padded, .dtype = GD_FLOAT32};
    const uint32_t carried[] = {GD_POSITIONS, GD_VELOCITIES, GD_ENERGIES};
    struct gd_ring_options options = {.ring_id = 7, .num_slots = opt.slots};
    for (size_t i = 0; i < 3; i++) {
        like.array_offset[carried[i]] = 64;
        like.array_bytes[carried[i]] = carried[i] == GD_ENERGIES ? ENERGIES * 8 : padded * 12;
        options.arrays |= GD_ARRAY_BIT(carried[i]);
    }
    struct gd_ring *ring;
    gd_pins_init(&pins);
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED || make_sources(sources, &like) != 0 || gd_ring_create(&ring, &like, &options, &err) != 0) {
        fprintf(stderr, "torture: %s\n", err.text);
        return 2;
    }
    for (unsigned i = 0; i < opt.readers; i++) {
        if (gd_segment_create(&control[i], "gd-control", sizeof(struct gd_control_block), 0, &err) != 0 ||
            gd_pins_add(&pins, control[i].base, &err) != 0) {
            fprintf(stderr, "torture: %s\n", err.text);
            return 2;
        }
        children[i] = fork();
        if (children[i] == 0)
            be_reader(i, ring, control[i].base, s);
        if (children[i] < 0)
            return 2;
    }
    double began = now();
    do
        for (int i = 0; i < 256; i++)
            publish_next(ring, &pins, sources);
    while (!enough(ring, s, now() - began));
    double elapsed = now() - began;
    atomic_store(&s->stop, 1);
    int status = 0, bad = 0;
    for (unsigned i = 0; i < opt.readers; i++) {
        waitpid(children[i], &status, 0);
        bad |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    int rc = report(ring, s, elapsed);
    return bad ? 2 : rc;
}
