/* The write lease: clients that take and give by compare-and-swap, and the daemon that queues, grants, undoes and evicts.
 *
 * Steps as in server/core/lease.c and tests/race/reader.h; every load, store and swap of the word is a step of its own. The
 * door is a channel, and the daemon answers in order. A client may die while it holds, waits or has asked; it may give up
 * waiting; the daemon may evict a holder for no reason (a clock can do that), and the evicted one goes on writing.
 *
 * Properties
 *   two holders  in one generation of memory never two clients (or the daemon's next one and an evicted one) inside the edit
 *   half edit    nobody finds another's half-done edit when it gets in
 *   lost edit    an edit whose end succeeded at its holder is in the State, in whatever generation that is now
 *   lost         nobody sleeps with the lease in its name, or in no queue: else the run ends with it asleep (invalid end state)
 *   progress     every client ends all its rounds (or dies)
 *
 * Planted faults: BLIND_BIT, GIVE_BY_STORE, EVICT_IN_PLACE, GRANT_BEFORE_UNDO, NO_WAKE, STALE_AFTER_WORD, SLEEP_BLINDLY, IGNORE_DEATH, RESCUE_BEFORE_SEIZE,
 * KEEP_SLEEPING_PLACE (an evicted waiter looks at the new word without asking again), FORGET_GRANT. */

#ifndef CLIENTS
#define CLIENTS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1
#endif
#ifndef EVICTIONS
#define EVICTIONS 1
#endif

#define DAEMON 7
#define BIT 8
#define HOLDER(w) ((w) & 7)
#define GENERATIONS 2

byte word[GENERATIONS];
bool stale[GENERATIONS];
byte generation; /* the one the door gives out */
bool busy;       /* the daemon is inside a request: the door answers nobody else */
bool asleep[CLIENTS + 1];

byte half[GENERATIONS];   /* whose half-done edit stands in the arrays: the dirty mask */
byte edits[GENERATIONS];  /* the content: how many edits are in it */
byte told;                /* how many holders were told that their edit is done */
byte inside[GENERATIONS]; /* who is inside the edit */
byte deaths, give_ups, evictions, finished;

mtype = { LEASE, RELEASE, CANCEL, GONE, GRANTED, QUEUED, STALE, CANCELLED };
chan door = [2 * CLIENTS] of { mtype, byte, byte };
chan answer[CLIENTS + 1] = [1] of { mtype, byte };
chan queue = [CLIENTS] of { byte };

inline swap(g, from, to, ok) {
    atomic { if :: word[g] == from -> word[g] = to; ok = true :: else -> ok = false fi }
}

inline open_present() { atomic { !busy -> g = generation } }

proctype Client(byte me) {
    byte round, g, w;
    bool ok;
    mtype m;
    do
    :: round < ROUNDS ->
        round++;
        open_present();
take:
        swap(g, 0, me, ok);
        if
        :: ok -> ok = false; goto edit
        :: else
        fi;
        door!LEASE, me, g;
        if
        :: atomic { deaths < DEATHS -> deaths++ }; goto die
        :: answer[me]?m, w
        fi;
        w = 0;
        if
        :: m == GRANTED -> goto edit
        :: m == STALE -> open_present(); goto take
        :: m == QUEUED
        fi;
wait:
        w = word[g];
        if
#ifdef KEEP_SLEEPING_PLACE
        :: stale[g] -> w = 0; open_present(); goto wait
#else
        :: stale[g] -> w = 0; open_present(); goto take /* from the top: the daemon knows our place */
#endif
        :: else
        fi;
        if
        :: HOLDER(w) == me -> w = 0; goto edit
        :: else
        fi;
#ifdef SLEEP_BLINDLY
        asleep[me] = true;
#else
        atomic { if :: word[g] == w -> asleep[me] = true :: else fi };
#endif
        w = 0;
        if
        :: !asleep[me] -> goto wait
        :: atomic { give_ups < GIVE_UPS -> give_ups++; asleep[me] = false }
        :: atomic { deaths < DEATHS -> deaths++; asleep[me] = false }; goto die
        fi;
        door!CANCEL, me, g;
        answer[me]?m, g;
        if
        :: m == CANCELLED -> goto next
        :: m == GRANTED
        fi;
edit:
        atomic { assert(inside[g] == 0); inside[g] = me; assert(half[g] == 0) };
        half[g] = me;
        if
        :: atomic { deaths < DEATHS -> deaths++; inside[g] = 0 }; goto die
        :: skip
        fi;
        inside[g] = 0;
        /* The end: dirty mask and word in one swap. It fails only when the lease was taken away. */
#ifdef GIVE_BY_STORE
        atomic { half[g] = 0; edits[g]++; told++; word[g] = 0; ok = true };
#else
        atomic {
            if
            :: word[g] == me -> half[g] = 0; edits[g]++; told++; word[g] = 0
            :: word[g] == (me | BIT) -> half[g] = 0; edits[g]++; told++; ok = true
            :: else /* lost, and undone */
            fi
        };
        if
        :: ok -> door!RELEASE, me, g
        :: else
        fi;
#endif
next:
        g = 0; ok = false; m = 0
    :: else -> break
    od;
    goto end;
die:
    /* the kernel hangs up after the last instruction */
    door!GONE, me, 0;
end:
    atomic {
        finished++;
        assert(finished < CLIENTS || busy || edits[generation] == told)
    }
}

#define is_held_by(n) ((holder != 0 && holder == n) || (holder == 0 && HOLDER(word[generation]) == n))

inline wake(n) {
#ifndef NO_WAKE
    asleep[n] = false
#else
    skip
#endif
}

inline wake_all() {
    atomic { asleep[1] = false; asleep[2] = false; asleep[CLIENTS] = false }
}

/* Hands the lease to the first in the queue, or frees it. `holder` is 0. */
inline serve() {
    if
    :: queue?next ->
        if
        :: nempty(queue) -> holder = next; word[generation] = next | BIT
        :: empty(queue) -> holder = 0; word[generation] = next
        fi;
        wake(next);
        next = 0
    :: empty(queue) -> holder = 0; word[generation] = 0
    fi
}

inline leave_queue(n) {
    atomic {
        left = false;
        if
        :: queue??[eval(n)] -> queue??eval(n); left = true
        :: else
        fi
    }
}

proctype Daemon() {
    byte holder, n, g, w, next;
    bool ok, left;
    mtype m;
end:
    do
    :: atomic { door?m, n, g -> busy = true; assert(edits[generation] == told) };
        if
        :: m == LEASE && g != generation -> answer[n]!STALE, 0
        :: m == LEASE && g == generation ->
            if
#ifndef FORGET_GRANT
            :: is_held_by(n) -> answer[n]!GRANTED, generation; goto done /* granted while it was on its way */
#endif
            :: queue??[eval(n)] -> answer[n]!QUEUED, generation; goto done
            :: else
            fi;
again:
            if
            :: holder != 0 -> goto enqueue
            :: else -> w = word[generation]
            fi;
            if
            :: HOLDER(w) == 0 ->
                swap(generation, w, n, ok);
                if
                :: ok -> answer[n]!GRANTED, generation; goto done
                :: else -> goto again
                fi
            :: else
            fi;
            if
            :: (w & BIT) == 0 ->
#ifdef BLIND_BIT
                word[generation] = w | BIT;
#else
                swap(generation, w, w | BIT, ok);
                if
                :: !ok -> goto again
                :: else
                fi
#endif
            :: else
            fi;
            holder = HOLDER(w);
enqueue:
            atomic { if :: (word[generation] & BIT) == 0 -> word[generation] = holder | BIT :: else fi };
            queue!n;
            answer[n]!QUEUED, generation
        :: m == RELEASE ->
            if
            :: g == generation && is_held_by(n) ->
                if
                :: holder == 0 -> swap(generation, n, 0, ok)
                :: else -> holder = 0; serve()
                fi
            :: else /* an evicted one's */
            fi
        :: m == CANCEL ->
            leave_queue(n);
            if
            :: left -> answer[n]!CANCELLED, generation
            :: !left && is_held_by(n) -> answer[n]!GRANTED, generation
            :: else -> answer[n]!CANCELLED, generation
            fi
        :: m == GONE ->
            leave_queue(n);
            if
            :: is_held_by(n) ->
#ifndef IGNORE_DEATH
#ifndef GRANT_BEFORE_UNDO
                half[generation] = 0;
#endif
                holder = 0;
                serve();
#ifdef GRANT_BEFORE_UNDO
                half[generation] = 0;
#endif
#endif
                skip
            :: else
            fi
        fi;
done:
        n = 0; g = 0; w = 0; ok = false; left = false; m = 0;
        busy = false
    :: atomic { evictions < EVICTIONS && nempty(queue) && holder != 0 -> busy = true; evictions++ };
#ifdef EVICT_IN_PLACE
        half[generation] = 0;
        holder = 0;
        serve();
#else
        /* seize: the flag, then the word; rescue: the new generation gets the content without what is dirty; then wake */
#ifdef RESCUE_BEFORE_SEIZE
        edits[generation + 1] = edits[generation];
#endif
#ifdef STALE_AFTER_WORD
        word[generation] = DAEMON | BIT;
        wake_all();
        stale[generation] = true;
#else
        stale[generation] = true;
        word[generation] = DAEMON | BIT;
#endif
#ifndef RESCUE_BEFORE_SEIZE
        edits[generation + 1] = edits[generation];
#endif
        half[generation + 1] = 0;
#ifndef STALE_AFTER_WORD
        wake_all();
#endif
        generation++;
        holder = 0;
        serve();
#endif
        busy = false
    od
}

init {
    atomic {
        run Daemon();
        run Client(1);
        run Client(2);
#if CLIENTS > 2
        run Client(3);
#endif
    }
}

ltl progress { <> (finished == CLIENTS) }
