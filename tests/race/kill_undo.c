/* Death and eviction in the middle of an array that is being overwritten.
 *
 *   kill_undo [--deaths N] [--evictions N] [--numbers N] [--seconds S] [--seed S] [--expect-mixture]
 *
 * A writer process makes edit after edit of one array as the extension does: marks, gd_overwrite with the old content kept on the way, the
 * end in one swap. Every element of the content is the number of the edit; now and then a number does not fit, and what was there is put back.
 * The writer is killed at random instants, and gd_rollback has to leave the content of the last edit that ended; or its lease
 * is seized while it writes on, and gd_rollback_rescue has to find that content in its copy.
 *
 * Runs until N deaths and N evictions met an edit in the middle, or S seconds are over. Exit status 0: both reached and no content was a
 * mixture or another edit's; with --expect-mixture: one was found in time (for builds with a planted fault). */
#include "core/lease.h"
#include "core/rollback.h"
#include "numbers.h"
#include "tests/race/reader.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SESSION = 5 };

/* In memory both processes share. The array follows the header at a cache line, in all three. */
struct world {
    _Atomic uint64_t begun; /* the number of the edit the writer makes; the one before it has ended */
    struct gd_segment_head layout;
    struct gd_live_header *live, *fresh;
    void *undo;
};

static struct {
    unsigned deaths, evictions;
    size_t numbers;
    double seconds;
    unsigned seed;
    int expect_mixture;
} opt = {.deaths = 200, .evictions = 200, .numbers = 50000, .seconds = 60, .seed = 1};

static struct world *world;
static unsigned met_deaths, met_evictions, mixtures, whole_edits;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *array_of(void *segment)
{
    return (float *)(void *)((char *)segment + world->layout.array_offset[0]);
}

/* ---- the writer ---- */

static void end_or_leave(void)
{
    if (reader_end_edit(world->live, SESSION) != READER_ENDED)
        _exit(0);
}

static void edit(void *source, size_t bad, int is_double)
{
    struct gd_live_header *live = world->live;
    float number = (float)atomic_load(&world->begun);
    for (size_t i = 0; i < opt.numbers; i++) {
        float value = i == bad ? NAN : number;
        if (is_double)
            ((double *)source)[i] = (double)value;
        else
            ((float *)source)[i] = value;
    }
    if (!reader_take_lease(live, SESSION))
        _exit(0);
    atomic_store(&live->undo_mask, 0);
    gd_undo_reach(&live->undo_bytes[0], 0);
    atomic_fetch_or(&live->undo_mask, 1);
    atomic_fetch_or(&live->dirty_mask, 1);
    const struct gd_overwrite what = {.numbers = is_double ? GD_F64_TO_F32 : GD_F32,
                                      .count = opt.numbers,
                                      .out = array_of(live),
                                      .in = source,
                                      .undo = array_of(world->undo),
                                      .undo_bytes = &live->undo_bytes[0]};
    if (gd_overwrite(&what)) {
        end_or_leave();
        atomic_fetch_add(&world->begun, 1);
    } else {
        gd_undo_put_back(array_of(live), array_of(world->undo), atomic_load(&live->undo_bytes[0]), world->layout.array_bytes[0]);
        end_or_leave();
    }
}

static _Noreturn void write_for_ever(unsigned seed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *source = malloc(opt.numbers * sizeof(double));
    if (source == NULL)
        _exit(2);
    srand(seed);
    for (;;) {
        size_t bad = rand() % 4 == 0 ? (size_t)rand() % opt.numbers : opt.numbers;
        edit(source, bad, rand() % 3 == 0);
    }
}

/* ---- the daemon ---- */

static struct gd_rollback rollback_into(struct gd_live_header *live)
{
    return (struct gd_rollback){.layout = &world->layout, .live = live, .undo = world->undo, .undo_layout = &world->layout};
}

/* The content is that of the edit before the one that had begun; if nothing was undone, it may be that one's. */
static void judge(const char *what, const float *array, const struct gd_rollback_report *report)
{
    float begun = (float)atomic_load(&world->begun), first = array[0];
    int whole = first == begun - 1 || (report->outcome == GD_ROLLBACK_NOTHING && first == begun);
    size_t at = 0;
    for (size_t i = 0; i < opt.numbers && whole; i++) {
        whole = array[i] == first;
        at = i;
    }
    whole_edits += whole;
    if (!whole && mixtures++ < 3)
        printf("%s, rollback %s: edit %g had begun, element 0 is %g, element %zu is %g\n", what, gd_rollback_outcome_name(report->outcome),
               (double)begun, (double)first, at, (double)array[at]);
}

static int in_the_middle(const struct gd_live_header *live)
{
    uint64_t kept = atomic_load(&live->undo_bytes[0]);
    return atomic_load(&live->dirty_mask) != 0 && kept > 0 && kept < opt.numbers * sizeof(float);
}

static void start_again(const float *content)
{
    struct gd_live_header *live = world->live;
    if (content != array_of(live))
        memcpy(array_of(live), content, opt.numbers * sizeof(float));
    if (mixtures > 0)
        for (size_t i = 0; i < opt.numbers; i++)
            array_of(live)[i] = 1;
    atomic_store(&world->begun, (uint64_t)array_of(live)[0] + 1);
    atomic_store(&live->lease, 0);
    atomic_store(&live->flags, 0);
    atomic_store(&live->dirty_mask, 0);
}

static void after_death(void)
{
    struct gd_rollback rollback = rollback_into(world->live);
    struct gd_rollback_report report;
    met_deaths += in_the_middle(world->live);
    gd_rollback(&rollback, &report);
    judge("killed", array_of(world->live), &report);
    start_again(array_of(world->live));
}

static void evict(pid_t writer)
{
    struct gd_rollback rollback = rollback_into(world->fresh);
    struct gd_rollback_report report;
    gd_lease_seize(world->live);
    gd_rollback_rescue(&rollback, world->live, &report);
    met_evictions += in_the_middle(world->live) && report.outcome == GD_ROLLBACK_DONE;
    waitpid(writer, NULL, 0); /* it finds its lease lost */
    judge("evicted", array_of(world->fresh), &report);
    start_again(array_of(world->fresh));
}

static void one_round(unsigned round)
{
    fflush(stdout);
    pid_t writer = fork();
    if (writer == 0)
        write_for_ever(opt.seed * 7919u + round);
    if (writer < 0) {
        perror("fork");
        exit(2);
    }
    int longest_us = 1500 + (int)(opt.numbers / 32); /* some edits of any length */
    struct timespec pause = {0, 1000L * (200 + rand() % longest_us)};
    nanosleep(&pause, NULL);
    if (round % 2 == 0) {
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        after_death();
    } else {
        evict(writer);
    }
}

static void *segment(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return base;
}

static void set_up(void)
{
    size_t offset = gd_round_up(sizeof(struct gd_live_header), GD_ARRAY_ALIGN),
           bytes = gd_round_up(opt.numbers * sizeof(float), GD_ARRAY_ALIGN);
    world = segment(sizeof *world);
    world->layout.array_offset[0] = offset;
    world->layout.array_bytes[0] = bytes;
    world->live = segment(offset + bytes);
    world->fresh = segment(offset + bytes);
    world->undo = segment(offset + bytes);
    atomic_store(&world->begun, 1);
}

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"deaths", 1, NULL, 'd'}, {"evictions", 1, NULL, 'e'},      {"numbers", 1, NULL, 'n'}, {"seconds", 1, NULL, 's'},
        {"seed", 1, NULL, 'r'},   {"expect-mixture", 0, NULL, 'x'}, {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        unsigned long value = optarg != NULL ? strtoul(optarg, NULL, 0) : 0;
        switch (c) {
        case 'd':
            opt.deaths = (unsigned)value;
            break;
        case 'e':
            opt.evictions = (unsigned)value;
            break;
        case 'n':
            opt.numbers = value;
            break;
        case 's':
            opt.seconds = (double)value;
            break;
        case 'r':
            opt.seed = (unsigned)value;
            break;
        case 'x':
            opt.expect_mixture = 1;
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    set_up();
    srand(opt.seed);
    double until = now() + opt.seconds;
    unsigned rounds = 0;
    while (now() < until && (opt.expect_mixture ? mixtures == 0 : met_deaths < opt.deaths || met_evictions < opt.evictions))
        one_round(rounds++);
    printf("undo: %u writers, %u killed and %u evicted in the middle of %zu numbers, %llu edits; %u whole, %u mixtures\n", rounds,
           met_deaths, met_evictions, opt.numbers, (unsigned long long)atomic_load(&world->begun), whole_edits, mixtures);
    int reached = met_deaths >= opt.deaths && met_evictions >= opt.evictions;
    int passed = opt.expect_mixture ? mixtures > 0 : reached && mixtures == 0;
    printf("%d passed, %d failed\n", passed, !passed);
    return passed ? 0 : 1;
}
