/* Sleeping readers and the word they sleep on: server/core/lease.c (gd_live_commit, gd_live_wake) against reader_await_version
 * in tests/race/reader.h.
 *
 *   committer: store the version; add one to the wake word; wake all sleepers
 *   reader:    load the wake word; load the version; if it is not new, sleep unless the word has changed since the load
 *
 * The kernel compares the word and goes to sleep in one step (FUTEX_WAIT), and wakes in one step.
 *
 * Properties
 *   lost      no reader is asleep, or goes to sleep, with a version it has not seen: else the run ends with it asleep (invalid end state)
 *   progress  every reader sees the last version
 *
 * Planted faults: VERSION_AFTER_WAKE, WORD_AFTER_VERSION, NO_BUMP, BUMP_AFTER_WAKE. */

#ifndef COMMITS
#define COMMITS 4
#endif
#define READERS 3

byte version, wake;
bool asleep[READERS];
byte finished;

inline wake_all() {
    atomic { asleep[0] = false; asleep[1] = false; asleep[2] = false }
}

proctype Committer() {
    byte n;
    do
    :: n < COMMITS ->
#ifndef VERSION_AFTER_WAKE
        version = n + 1;
#endif
#ifdef BUMP_AFTER_WAKE
        wake_all();
        wake = wake + 1;
#else
#ifndef NO_BUMP
        wake = wake + 1;
#endif
        wake_all();
#endif
#ifdef VERSION_AFTER_WAKE
        version = n + 1;
#endif
        n++
    :: else -> break
    od;
    finished++
}

proctype Reader(byte me) {
    byte after, seen, word;
    do
    :: after < COMMITS ->
#ifdef WORD_AFTER_VERSION
        seen = version;
        word = wake;
#else
        word = wake;
        seen = version;
#endif
        if
        :: seen > after -> after = seen
        :: else ->
            atomic { if :: wake == word -> asleep[me] = true :: else fi };
            !asleep[me]
        fi;
        word = 0; seen = 0
    :: else -> break
    od;
    finished++
}

init {
    atomic { run Committer(); run Reader(0); run Reader(1); run Reader(2) }
}

ltl progress { <> (finished == 4) }
