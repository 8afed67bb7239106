/* The frame ring: one publisher, readers of the newest frame, readers of older frames, and one who never lets go.
 *
 * The steps and their names are those of server/core/ring.c (look, clear, look again, restore, copy, store, announce) and
 * tests/race/reader.h (pin, check, unpin). Each shared word is read or written in a step of its own; the checker's single order
 * of steps is the single order of C's sequentially consistent operations. A frame's content is two words, copied
 * one after the other: a reader that finds two different ones has seen a torn frame. The publisher here may choose any
 * free slot, so what holds, holds for every rule of choice.
 *
 * Properties
 *   torn        what a reader finds under its pin is one frame, the one it asked for, first and last word, however long it looks
 *   overwritten while a reader's pin is confirmed, the publisher does not write into that slot
 *   progress    the publisher ends its publishes although one reader holds a frame for ever, and then every reader gets its
 *               frame; nobody waits for anybody
 *
 * Planted faults, each must be found: NO_RECHECK, EARLY_SEQUENCE, CHECK_BEFORE_PIN, NO_CLEAR, WAIT_FOR_PIN. */

#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef PUBLISHES
#define PUBLISHES 4
#endif
#ifndef READS
#define READS 2 /* frames each reader reads */
#endif
#define NEWEST_READERS 2
#define READERS 4 /* 0, 1: newest; 2: history; 3: never lets go */
#define NONE 15

byte newest_sequence, newest_slot; /* one word in memory: always accessed together, in one step */
byte sequence[SLOTS];
byte first_word[SLOTS], last_word[SLOTS];
byte pin[READERS] = NONE;

byte confirmed[READERS] = NONE; /* what a reader believes it holds; for the properties only */
byte finished;

#define pinned(s) (pin[0] == s || pin[1] == s || pin[2] == s || pin[3] == s)
#define held(s) (confirmed[0] == s || confirmed[1] == s || confirmed[2] == s || confirmed[3] == s)

/* Looks at one pin after the other, as the C code does: the pins may change meanwhile. */
inline look(excluded) {
    r = 0;
    do
    :: r < READERS ->
        if
        :: pin[r] != NONE -> excluded = excluded | (1 << pin[r])
        :: else
        fi;
        r++
    :: else -> break
    od;
    r = 0
}

proctype Publisher() {
    byte s, slot, old, excluded, again, r;
    s = 1;
    do
    :: s <= PUBLISHES ->
        excluded = 0;
        look(excluded);
choose:
        if
        :: (excluded & 1) == 0 && (newest_sequence == 0 || newest_slot != 0) -> slot = 0
        :: SLOTS > 1 && (excluded & 2) == 0 && (newest_sequence == 0 || newest_slot != 1) -> slot = 1
        :: SLOTS > 2 && (excluded & 4) == 0 && (newest_sequence == 0 || newest_slot != 2) -> slot = 2
        :: else ->
#ifdef WAIT_FOR_PIN
            excluded = 0; look(excluded); goto choose
#else
            goto skipped
#endif
        fi;
        excluded = excluded | (1 << slot);
        old = sequence[slot];
#ifndef NO_CLEAR
        sequence[slot] = 0;                             /* clear */
#endif
#ifndef NO_RECHECK
        again = 0;
        look(again);                                    /* look again */
        if
        :: again & (1 << slot) -> sequence[slot] = old; /* restore */
            goto choose
        :: else
        fi;
#endif
#ifdef EARLY_SEQUENCE
        sequence[slot] = s;
        atomic { newest_sequence = s; newest_slot = slot };
#endif
        atomic { assert(!held(slot)); first_word[slot] = s }; /* copy */
        atomic { assert(!held(slot)); last_word[slot] = s };
        sequence[slot] = s;                             /* store */
        atomic { newest_sequence = s; newest_slot = slot }; /* announce */
skipped:
        s++;
        slot = 0; old = 0; excluded = 0; again = 0
    :: else -> break
    od;
    finished++
}

inline read_frame() {
    assert(first_word[slot] == s);
    assert(last_word[slot] == s);
    assert(first_word[slot] == s) /* still */
}

inline unpin() {
    confirmed[me] = NONE;
    pin[me] = NONE
}

proctype Newest(byte me) {
    byte s, slot, n, seen;
    do
    :: n < READS ->
        atomic { s = newest_sequence; slot = newest_slot };
        if
        :: s == 0 -> goto next /* nothing published yet */
        :: else
        fi;
#ifdef CHECK_BEFORE_PIN
        seen = sequence[slot];
        atomic { pin[me] = slot; if :: seen == s -> confirmed[me] = slot :: else fi };
#else
        pin[me] = slot;                                 /* pin */
        atomic { seen = sequence[slot]; if :: seen == s -> confirmed[me] = slot :: else fi }; /* check */
#endif
        if
        :: seen != s -> pin[me] = NONE; seen = 0; goto again
        :: else
        fi;
        seen = 0;
        read_frame();
        unpin();
next:
        n++;
again:
        s = 0; slot = 0
    :: else -> break
    od;
    finished++
}

/* Asks for a frame that it once saw in some slot; a 0 is looked at again, with the pin standing, before the frame counts as gone. */
proctype History(byte me) {
    byte s, slot, n, seen, looks;
    do
    :: n < READS ->
        if
        :: slot = 0
        :: SLOTS > 1 -> slot = 1
        :: SLOTS > 2 -> slot = 2
        fi;
        s = sequence[slot];
        if
        :: s == 0 -> goto next
        :: else
        fi;
        pin[me] = slot;                                 /* pin */
        looks = 0;
check:
        atomic { seen = sequence[slot]; if :: seen == s -> confirmed[me] = slot :: else fi }; /* check */
        if
        :: seen == 0 && looks < 2 -> looks++; goto check
        :: seen != s -> pin[me] = NONE; goto next
        :: seen == s -> read_frame(); unpin()
        fi;
next:
        n++; s = 0; slot = 0; seen = 0; looks = 0
    :: else -> break
    od;
    finished++
}

/* Takes one frame and keeps it for ever. */
proctype Keeper(byte me) {
    byte s, slot, seen;
    do
    :: atomic { s = newest_sequence; slot = newest_slot };
        if
        :: s == 0 -> goto leave
        :: else
        fi;
        pin[me] = slot;
        atomic { seen = sequence[slot]; if :: seen == s -> confirmed[me] = slot :: else fi };
        if
        :: seen == s -> break
        :: else -> pin[me] = NONE
        fi
    od;
    read_frame();
leave:
    finished++
}

init {
    atomic {
        run Publisher();
        run Newest(0);
#ifdef TWO_NEWEST
        run Newest(1);
#else
        finished++;
#endif
#ifdef WITH_HISTORY
        run History(2);
#else
        finished++;
#endif
#ifdef WITH_KEEPER
        run Keeper(3)
#else
        finished++
#endif
    }
}

ltl progress { <> (finished == 5) }
