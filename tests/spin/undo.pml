/* Old content kept while an array is overwritten, as in proto/gd_undo.h: one holder, and a daemon that undoes.
 *
 * Steps as in client-python/src/ext/overwrite.c and lease.c and in server/core/rollback.c; every element copied is a step of its own. The
 * holder makes one edit after the other: content 1, 2, ... in every element. In any block a number may not fit: then what was there is
 * put back and the mark taken back. The holder may die anywhere; the daemon may evict it anywhere, and it writes on. What
 * the daemon then has, in the arrays or in its copy, must be the content of the last edit that ended.
 *
 * Properties
 *   whole    no mixture, no older content, after a death, an eviction, or neither
 *
 * Planted faults: KEPT_LATE (said after the new content), KEPT_EARLY (before the old content is there), KEPT_FROM_BEFORE (not set to zero),
 * DIRTY_AFTER (marked when written), MARKS_FIRST (the rescue reads the marks before the arrays), UNMARK_BLINDLY (not in one step
 * with the lease word). */

#ifndef EDITS
#define EDITS 3
#endif
#define LENGTH 4
#define BLOCK 2

#define FREE 0
#define HELD 1
#define SEIZED 2

byte word;
bool dirty, in_undo;
byte kept; /* undo_bytes */
byte live[LENGTH], undo[LENGTH], fresh[LENGTH];
byte ended;  /* the content of the last edit that ended */
bool dead, over;

inline unmark() {
#ifdef UNMARK_BLINDLY
    dirty = false
#else
    atomic { if :: word == HELD -> dirty = false :: else fi }
#endif
}

proctype Holder() {
    byte number, i, end;
    {
        do
        :: number < EDITS ->
            number = ended + 1;
            atomic { if :: word == FREE -> word = HELD :: else -> goto out fi };
            in_undo = false;
again:
            if :: word != HELD -> goto out :: else fi;
#ifndef KEPT_FROM_BEFORE
            kept = 0;
#endif
            in_undo = true;
#ifndef DIRTY_AFTER
            dirty = true;
#endif
            end = 0;
            do
            :: end < LENGTH ->
                i = end;
                end = end + BLOCK;
#ifdef KEPT_EARLY
                kept = end;
#endif
                do
                :: i < end -> undo[i] = live[i]; i++
                :: else -> break
                od;
#if !defined(KEPT_EARLY) && !defined(KEPT_LATE)
                kept = end;
#endif
                i = end - BLOCK;
                do
                :: i < end -> live[i] = number; i++
                :: else -> break
                od;
#ifdef KEPT_LATE
                kept = end;
#endif
                if
                :: skip
                :: goto bad
                fi
            :: else -> break
            od;
#ifdef DIRTY_AFTER
            dirty = true;
#endif
            goto give;
bad:
            i = 0;
            do
            :: i < kept -> live[i] = undo[i]; i++
            :: else -> break
            od;
            unmark();
            if /* the edit goes on, or ends with nothing changed */
            :: goto again
            :: atomic { if :: word == HELD -> word = FREE :: else -> goto out fi }; goto next
            fi;
give:
            /* dirty mask and word in one swap */
            atomic { if :: word == HELD -> word = FREE; dirty = false; ended = number :: else -> goto out fi };
next:
            i = 0
        :: else -> break
        od;
out:
        over = true
    } unless { dead }
}

#define WHOLE(array) (array[0] == ended && array[1] == ended && array[2] == ended && array[3] == ended)

proctype Daemon() {
    byte j, marked;
    bool was_dirty;
    if
    :: dead = true;
        j = 0;
        do
        :: dirty && in_undo && j < kept -> live[j] = undo[j]; j++
        :: else -> break
        od;
        assert(WHOLE(live))
    :: word = SEIZED;
#ifdef MARKS_FIRST
        was_dirty = dirty && in_undo;
        marked = kept;
#endif
        j = 0;
        do
        :: j < LENGTH -> fresh[j] = live[j]; j++
        :: else -> break
        od;
#ifndef MARKS_FIRST
        was_dirty = dirty && in_undo;
        marked = kept;
#endif
        j = 0;
        do
        :: was_dirty && j < marked -> fresh[j] = undo[j]; j++
        :: else -> break
        od;
        assert(WHOLE(fresh))
    :: over;
        assert(WHOLE(live))
    fi
}

init {
    atomic { run Holder(); run Daemon() }
}
