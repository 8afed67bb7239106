/* Readers that sleep on the wake word, under ThreadSanitizer: whoever waits for a version gets it, however commits and sleeps
 * interleave. What a commit published before its version is plain memory, so an order that is missing shows. Every wait has a
 * deadline far beyond what it needs: a lost wake-up is a failure, not a hang. */
#define READER_PAUSE() pause_sometimes()
static void pause_sometimes(void);

#include "core/lease.h"
#include "tests/race/reader.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 6, COMMITS = 4000, LATE_S = 200 };

static struct gd_live_header live;
static uint64_t committed[COMMITS + 1]; /* plain; written before the version that tells of it */
static _Atomic uint64_t acknowledged[READERS];
static _Atomic uint64_t late, wrong, waits;

static void pause_sometimes(void)
{
    static _Thread_local uint64_t random = 1;
    random = random * 6364136223846793005u + 1442695040888963407u;
    if ((random >> 33) % 4 == 0)
        sched_yield();
}

static void *read_versions(void *argument)
{
    _Atomic uint64_t *mine = argument;
    uint64_t seen = 0;
    while (seen < COMMITS) {
        struct timespec deadline;
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += LATE_S;
        uint64_t version = reader_await_version(&live, seen, &deadline);
        atomic_fetch_add(&waits, 1);
        if (version <= seen) {
            atomic_fetch_add(&late, 1);
            break;
        }
        if (committed[version] != version * 3)
            atomic_fetch_add(&wrong, 1);
        seen = version;
        atomic_store(mine, seen);
    }
    return NULL;
}

/* Every fourth commit is made only when all readers have the one before: they are asleep, or just falling asleep. */
static void let_them_sleep(uint64_t version)
{
    for (unsigned i = 0; i < READERS; i++)
        while (atomic_load(&acknowledged[i]) < version && atomic_load(&late) == 0)
            sched_yield();
}

int main(void)
{
    pthread_t threads[READERS];
    for (unsigned i = 0; i < READERS; i++)
        if (pthread_create(&threads[i], NULL, read_versions, (void *)&acknowledged[i]) != 0)
            return 2;
    for (uint64_t version = 1; version <= COMMITS; version++) {
        if (version % 4 == 0)
            let_them_sleep(version - 1);
        committed[version] = version * 3;
        gd_live_commit(&live, version);
        pause_sometimes();
        gd_live_wake(&live);
    }
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    printf("wake: %d commits, %llu waits of %d readers, %llu late, %llu wrong\n", COMMITS, (unsigned long long)waits, READERS,
           (unsigned long long)late, (unsigned long long)wrong);
    int passed = (late == 0) + (wrong == 0);
    printf("%d passed, %d failed\n", passed, 2 - passed);
    return passed == 2 ? 0 : 1;
}
