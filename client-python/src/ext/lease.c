/* The write lease of a State, from the client's side.
 *
 * Two locks, one inside the other. Among the threads of this process: first come, first served, under the GIL. Among processes:
 * the lease word of the live segment, free -> session number by compare-and-swap, everything contended through the door.
 *
 * What keeps an edit whole: before an array is first handed out, or before each part of it is first overwritten, the old content is kept (in
 * the undo segment, as proto/gd_undo.h says; or it stands in the newest frame already), and the dirty bit is set. Ending an edit clears the
 * dirty mask and gives the word back in one atomic step (the two stand side by side): either the lease was still ours and the edit is done,
 * or it was taken away with the dirty mask as it was, so that the daemon undoes exactly what was not committed. Arrays handed out as "r+" are
 * turned private before that step. */
#include "mapping.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the layout of shared memory is little-endian"
#endif
_Static_assert(offsetof(struct gd_live_header, dirty_mask) == offsetof(struct gd_live_header, lease) + 4 &&
                   offsetof(struct gd_live_header, lease) % 8 == 0,
               "lease word and dirty mask change together");

#define ASK_AGAIN 32u /* slices of waiting after which a place in the daemon's queue is asked for once more */

struct gd_waiter {
    struct gd_waiter *next;
    unsigned long thread;
    _Atomic uint32_t granted;
};

/* ---- among the threads of this process */

static void pass_on(struct gd_mapping *mapping)
{
    struct gd_waiter *next = mapping->first;
    if (next == NULL) {
        mapping->held = false;
        mapping->holder = 0;
        return;
    }
    mapping->first = next->next;
    if (mapping->first == NULL)
        mapping->last = NULL;
    mapping->holder = next->thread;
    atomic_store(&next->granted, 1);
    gd_wake_word(&next->granted); /* it cannot be gone: to return it needs the GIL */
}

static void leave_queue(struct gd_mapping *mapping, struct gd_waiter *waiter)
{
    struct gd_waiter **at = &mapping->first;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at != NULL)
        *at = waiter->next;
    mapping->last = mapping->first;
    while (mapping->last != NULL && mapping->last->next != NULL)
        mapping->last = mapping->last->next;
}

static int raise_busy(const struct gd_mapping *mapping)
{
    gd_raise(GD_E_LEASE_TIMEOUT, "somebody else (session %u) held the State's write lease for the whole waiting time",
             (unsigned)(atomic_load(&mapping->live->lease) & GD_LEASE_HOLDER));
    return -1;
}

/* The lock among threads. *deadline is set when there was somebody to wait for. */
static int lock_process(struct gd_mapping *mapping, int64_t timeout, int64_t *deadline)
{
    struct gd_waiter waiter = {.thread = PyThread_get_thread_ident()};
    unsigned epoch = gd_fork_epoch;
    if (!mapping->held) {
        mapping->held = true;
        mapping->holder = waiter.thread;
        return 0;
    }
    *deadline = gd_deadline(timeout);
    if (mapping->last != NULL)
        mapping->last->next = &waiter;
    else
        mapping->first = &waiter;
    mapping->last = &waiter;
    for (;;) {
        int signal = gd_wait_word(&waiter.granted, 0, GD_WAIT_ANY, *deadline);
        if (epoch != gd_fork_epoch) { /* a signal handler forked, and this is the child: the queue was the parent's */
            if (signal == 0)
                gd_raise(GD_E_NO_DAEMON, "this process was forked while it waited for a lease");
            return -1;
        }
        bool granted = atomic_load(&waiter.granted) != 0;
        if (signal == 0 && granted)
            return 0;
        if (signal == 0 && (*deadline == INT64_MAX || gd_now_ns() < *deadline))
            continue;
        if (granted)
            pass_on(mapping);
        else
            leave_queue(mapping, &waiter);
        return signal < 0 ? -1 : raise_busy(mapping);
    }
}

/* ---- the word */

static bool word_is_ours(const struct gd_mapping *mapping)
{
    return mapping->write != NULL && (atomic_load(&mapping->write->lease) & GD_LEASE_HOLDER) == mapping->door->session;
}

enum ending { ENDED, LOST };

/* Clears the dirty mask and gives the word back, in one step; somebody who waits at the daemon gets it through a message. */
static enum ending give_back(struct gd_mapping *mapping)
{
    struct gd_live_header *live = mapping->write;
    _Atomic uint64_t *pair = (_Atomic uint64_t *)(void *)&live->lease; /* word below, dirty mask above */
    uint32_t session = mapping->door->session;
    uint64_t seen = atomic_load(pair), next;
    do {
        if (((uint32_t)seen & GD_LEASE_HOLDER) != session)
            return LOST;
        next = ((uint32_t)seen & GD_LEASE_CONTENDED) != 0 ? (uint32_t)seen : 0;
    } while (!atomic_compare_exchange_strong(pair, &seen, next));
    if (next != 0)
        gd_door_tell(mapping->door, GD_DOOR_RELEASE, mapping->head.uuid, mapping->head.generation, true);
    return ENDED;
}

/* Leaves the queue at the daemon. True if the lease had come first. An exception that is set stays set. */
static bool cancel(struct gd_mapping *mapping)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    gd_door_request_init(&request, GD_DOOR_CANCEL, mapping->head.uuid, mapping->head.generation);
    int code = gd_door_call(mapping->door, &request, &reply, NULL, NULL, NULL);
    PyErr_Restore(type, value, trace);
    return code == GD_DOOR_GRANTED;
}

/* Asks at the door: 0 granted, GD_DOOR_QUEUED, or -1. Asking again is harmless, the answer is where the session stands. */
static int ask(struct gd_mapping *mapping)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    gd_door_request_init(&request, GD_DOOR_LEASE, mapping->head.uuid, mapping->head.generation);
    return gd_door_call(mapping->door, &request, &reply, NULL, NULL, NULL);
}

/* Whether another thread has or waits for the lease of another generation of the same State. The place in the daemon's queue is the
 * session's, and it moves on with the State: such a thread has taken it over. */
static bool taken_over(const struct gd_mapping *mapping)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(mapping->door->mappings, &at, &key, &value)) {
        PyObject *other = gd_weak_target(value);
        if (other != Py_None && other != (const PyObject *)mapping && ((struct gd_mapping *)other)->held &&
            memcmp(((struct gd_mapping *)other)->head.uuid, mapping->head.uuid, 16) == 0)
            return true;
    }
    return false;
}

/* Gives back a lease that is not wanted. */
static void refuse(struct gd_mapping *mapping)
{
    if (give_back(mapping) == LOST && !taken_over(mapping)) /* that of the next generation: only the daemon can take it back */
        gd_door_tell(mapping->door, GD_DOOR_RELEASE, mapping->head.uuid, 0, false);
}

/* Gives up waiting; an exception is set and stays. If the lease comes first all the same it is given back. */
static void leave_line(struct gd_mapping *mapping)
{
    if (!taken_over(mapping) && cancel(mapping))
        refuse(mapping);
}

/* Waits in the daemon's queue until the word is ours. */
static int wait_in_line(struct gd_mapping *mapping, int64_t deadline)
{
    const struct gd_live_header *live = mapping->live;
    const uint32_t session = mapping->door->session;
    for (unsigned slices = 1;; slices++) {
        if (gd_door_require(mapping->door) < 0) /* first: in a forked child the word may hold the parent's number */
            return -1;
        uint32_t word = atomic_load(&live->lease), flags = atomic_load(&live->flags);
        if ((word & GD_LEASE_HOLDER) == session)
            return 0;
        if (flags != 0) {
            gd_raise_ended(mapping, flags);
            leave_line(mapping);
            return -1;
        }
        if (deadline != INT64_MAX && gd_now_ns() >= deadline) {
            if (cancel(mapping)) /* it came at the last moment */
                return 0;
            return raise_busy(mapping);
        }
        if (gd_wait_word(&live->lease, word, 1u << (session % 32u), deadline) < 0) {
            leave_line(mapping);
            return -1;
        }
        if (slices % ASK_AGAIN == 0) {
            int code = ask(mapping);
            if (code <= 0)
                return code;
        }
    }
}

/* deadline: 0 when the wait has not begun yet. */
static int take_word(struct gd_mapping *mapping, int64_t timeout, int64_t deadline)
{
    uint32_t free_word = 0;
    if (atomic_compare_exchange_strong(&mapping->write->lease, &free_word, mapping->door->session))
        return 0;
    if (timeout == 0)
        return raise_busy(mapping);
    if (deadline == 0)
        deadline = gd_deadline(timeout);
    int code = ask(mapping);
    return code > 0 ? wait_in_line(mapping, deadline) : code;
}

/* ---- taking and ending */

int gd_lease_acquire(struct gd_mapping *mapping, int64_t timeout)
{
    unsigned epoch = gd_fork_epoch;
    if (gd_lease_mine(mapping)) {
        gd_raise(GD_E_CONFLICT, "this thread edits the State already; use that edit");
        return -1;
    }
    if ((atomic_load(&mapping->live->flags) & GD_STATE_DELETED) != 0)
        return gd_raise_ended(mapping, GD_STATE_DELETED);
    if (gd_door_require(mapping->door) < 0 || (mapping->write == NULL && gd_mapping_open_write(mapping) < 0))
        return -1;
    int64_t deadline = 0;
    if (lock_process(mapping, timeout, &deadline) < 0)
        return -1;
    if (mapping->write == NULL || take_word(mapping, timeout, deadline) < 0) {
        if (!PyErr_Occurred())
            gd_door_require(mapping->door);
        if (epoch == gd_fork_epoch)
            pass_on(mapping);
        return -1;
    }
    struct gd_live_header *live = mapping->write;
    uint32_t flags = atomic_load(&live->flags);
    /* Once more, now that the word is ours: a daemon that died before may have a successor by now, which found the word free and takes
     * this session for nobody; one that dies later leaves the word to its successor as ours. */
    if (flags != 0 || !gd_door_usable(mapping->door)) {
        refuse(mapping);
        pass_on(mapping);
        return flags != 0 ? gd_raise_ended(mapping, flags) : gd_door_require(mapping->door);
    }
    atomic_store_explicit(&live->lease_since, (uint64_t)gd_now_ns(), memory_order_relaxed);
    live->small_undo = live->small;
    atomic_store(&live->undo_mask, 0);
    mapping->owned = true;
    mapping->lease_number++;
    mapping->dirty = mapping->handed = mapping->kept_undo = mapping->kept_frame = 0;
    mapping->door->held_leases++;
    Py_INCREF(mapping); /* a lease keeps its Mapping until it ends */
    return 0;
}

bool gd_lease_mine(const struct gd_mapping *mapping)
{
    return mapping->held && mapping->owned && mapping->holder == PyThread_get_thread_ident();
}

int gd_lease_require(const struct gd_mapping *mapping)
{
    if (!mapping->owned) {
        gd_raise(GD_E_CONFLICT, "the State is not being edited here: use `with state.edit() as e`");
        return -1;
    }
    if (!word_is_ours(mapping)) {
        gd_raise(GD_E_LEASE_LOST, "the write lease ended before the edit did: evicted, expired, or the daemon restarted");
        return -1;
    }
    return 0;
}

/* The pages of an array's block, seen as a private copy from now on. System calls only. */
static void make_private(const struct gd_mapping *mapping, int which)
{
    const struct gd_block *block = mapping->edit_block[which];
    off_t offset = (off_t)(mapping->head.array_offset[which] / GD_PAGE * GD_PAGE);
    void *moved = mmap(block->base, block->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, mapping->live_fd, offset);
    if (moved == MAP_FAILED)
        mprotect(block->base, block->bytes, PROT_READ);
}

/* Ends the reach of arrays handed out as "r+". A block nobody looks at any more is kept for the next edit. */
static void retire_arrays(struct gd_mapping *mapping)
{
    for (int i = 0; i < GD_ARRAY_COUNT; i++) {
        if ((mapping->handed & GD_ARRAY_BIT(i)) == 0 || Py_REFCNT(mapping->edit_block[i]) == 1)
            continue;
        make_private(mapping, i);
        Py_CLEAR(mapping->edit_block[i]);
    }
    mapping->handed = 0;
}

/* After the word was given back or lost. */
static void finish(struct gd_mapping *mapping)
{
    retire_arrays(mapping);
    mapping->owned = mapping->touching = false;
    mapping->door->held_leases--;
    pass_on(mapping);
    gd_door_settle(mapping->door);
    Py_DECREF(mapping);
}

static int finish_lost(struct gd_mapping *mapping)
{
    finish(mapping);
    gd_raise(GD_E_LEASE_LOST, "the write lease ended before the edit did: evicted, expired, or the daemon restarted; the edit was undone");
    return -1;
}

/* Threads may share an edit: while one keeps or overwrites an array without the GIL the others wait, for milliseconds at most. */
static void wait_for_copies(const struct gd_mapping *mapping)
{
    while (mapping->touching) {
        Py_BEGIN_ALLOW_THREADS sched_yield();
        Py_END_ALLOW_THREADS
    }
}

/* For every ending: 0 if a lease is open in this process, and no array of it is being written. The others wait from here to finish(): it has
 * one end, and the GIL may be given away on the way to it. */
static int begin_ending(struct gd_mapping *mapping)
{
    unsigned lease = mapping->lease_number;
    wait_for_copies(mapping);
    if (mapping->owned && lease == mapping->lease_number) {
        mapping->touching = true;
        return 0;
    }
    gd_raise(GD_E_CONFLICT, "no edit of the State is open in this process");
    return -1;
}

int gd_lease_release(struct gd_mapping *mapping)
{
    if (begin_ending(mapping) < 0)
        return -1;
    if (mapping->dirty != 0) {
        mapping->touching = false;
        gd_raise(GD_E_CONFLICT, "the State was changed under this lease: commit or roll back");
        return -1;
    }
    if (give_back(mapping) == LOST)
        return finish_lost(mapping);
    finish(mapping);
    return 0;
}

/* Puts the old content of an array back; -1 when it is not kept here. Releases the GIL when it is long. */
static int put_back(struct gd_mapping *mapping, int which)
{
    void *array = (uint8_t *)mapping->write + mapping->head.array_offset[which];
    const size_t bytes = gd_array_bytes(&mapping->head, which);
    if ((mapping->kept_undo & GD_ARRAY_BIT(which)) != 0) {
        uint64_t reached = atomic_load(&mapping->write->undo_bytes[which]);
        gd_copy_bytes(array, mapping->undo_map.base + mapping->undo_offset[which], gd_undo_kept(reached, bytes));
        return 0;
    }
    uint32_t slot = (mapping->kept_frame & GD_ARRAY_BIT(which)) != 0 ? GD_NEWEST_SLOT(atomic_load(&mapping->frames->newest)) : UINT32_MAX;
    if (slot >= mapping->num_slots)
        return -1;
    gd_copy_bytes(array, (const uint8_t *)gd_slot(mapping, slot) + mapping->frame_offset[which], bytes);
    return 0;
}

static int restore(struct gd_mapping *mapping)
{
    for (int i = 0; i < GD_ARRAY_COUNT; i++)
        if ((mapping->dirty & GD_ARRAY_BIT(i)) != 0 && put_back(mapping, i) < 0)
            return -1;
    mapping->write->small = mapping->write->small_undo;
    return 0;
}

int gd_lease_rollback(struct gd_mapping *mapping)
{
    if (begin_ending(mapping) < 0)
        return -1;
    retire_arrays(mapping);
    if (!word_is_ours(mapping))
        return finish_lost(mapping);
    if (mapping->dirty != 0 && restore(mapping) < 0) { /* an array without old content here: the daemon knows how */
        struct gd_door_request request;
        struct gd_door_reply reply;
        gd_door_request_init(&request, GD_DOOR_ROLLBACK, mapping->head.uuid, mapping->head.generation);
        int code = gd_door_call(mapping->door, &request, &reply, NULL, NULL, NULL);
        finish(mapping);
        return code < 0 ? -1 : 0;
    }
    if (give_back(mapping) == LOST)
        return finish_lost(mapping);
    finish(mapping);
    return 0;
}

/* Who publishes again and again looks at the ring too: the newest frame then holds what the next edit would have to keep aside. */
static void watch_ring(struct gd_mapping *mapping)
{
    if (++mapping->publishes == 2 && mapping->frames == NULL && gd_mapping_open_frames(mapping) < 0)
        PyErr_Clear(); /* the undo segment does as well */
}

/* An exception is set and stays; the State stays as it was before the edit. */
static int undo_refused(struct gd_mapping *mapping)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    mapping->touching = false; /* there is another end to it */
    if (gd_lease_rollback(mapping) < 0)
        PyErr_Clear();
    PyErr_Restore(type, value, trace);
    return -1;
}

static int commit_through_door(struct gd_mapping *mapping, uint64_t *version, uint64_t *sequence)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    bool broken;
    gd_door_request_init(&request, GD_DOOR_COMMIT, mapping->head.uuid, mapping->head.generation);
    request.flags = GD_COMMIT_PUBLISH | GD_COMMIT_RELEASE;
    if (gd_door_call(mapping->door, &request, &reply, NULL, NULL, &broken) >= 0) {
        *version = reply.number[0];
        *sequence = reply.number[1];
        Py_INCREF(mapping);
        finish(mapping);
        if (*sequence != 0)
            watch_ring(mapping);
        Py_DECREF(mapping);
        return 0;
    }
    if (broken) {
        PyErr_Clear();
        finish(mapping);
        gd_raise(GD_E_OUTCOME_UNKNOWN, "the daemon vanished during the commit; whether the edit stands cannot be told");
        return -1;
    }
    return undo_refused(mapping);
}

/* What was written through arrays that were handed out, which no array is any more; threads that share the edit wait meanwhile. */
static int check_written(const struct gd_mapping *mapping, uint32_t handed)
{
    int code = 0;
    for (int i = 0; i < GD_ARRAY_COUNT && code == 0; i++)
        if ((handed & GD_ARRAY_BIT(i)) != 0)
            code = gd_assign_check(mapping, i);
    return code;
}

int gd_lease_commit(struct gd_mapping *mapping, bool publish, uint64_t *version, uint64_t *sequence)
{
    if (begin_ending(mapping) < 0)
        return -1;
    struct gd_live_header *live = mapping->write;
    const uint32_t handed = mapping->handed;
    *sequence = 0;
    if (handed != 0)
        retire_arrays(mapping);
    if (!word_is_ours(mapping))
        return finish_lost(mapping);
    if (handed != 0 && check_written(mapping, handed) < 0)
        return undo_refused(mapping);
    if (publish)
        return commit_through_door(mapping, version, sequence);
    bool changed = mapping->dirty != 0;
    *version = changed ? atomic_fetch_add(&live->version, 1) + 1 : atomic_load(&live->version);
    if (give_back(mapping) == LOST)
        return finish_lost(mapping);
    if (changed) {
        atomic_fetch_add(&live->wake, 1);
        gd_wake_word(&live->wake);
    }
    finish(mapping);
    return 0;
}

/* ---- marks and old content */

/* Whether the newest frame holds this array as it was at the grant. */
static bool frame_has(const struct gd_mapping *mapping, int which)
{
    if (mapping->frames == NULL || mapping->frame_offset[which] == 0)
        return false;
    uint64_t newest = atomic_load(&mapping->frames->newest);
    uint32_t slot = GD_NEWEST_SLOT(newest);
    if (newest == 0 || slot >= mapping->num_slots || atomic_load(&mapping->frames->sequence[slot]) != GD_NEWEST_SEQUENCE(newest))
        return false;
    return gd_slot(mapping, slot)->version == atomic_load(&mapping->live->version);
}

/* The dirty bit goes last: what it stands for is true by then. */
static void mark(struct gd_mapping *mapping, int which, enum gd_old_content old)
{
    if (old == GD_IN_FRAME) {
        mapping->kept_frame |= GD_ARRAY_BIT(which);
    } else {
        atomic_fetch_or_explicit(&mapping->write->undo_mask, GD_ARRAY_BIT(which), memory_order_release);
        mapping->kept_undo |= GD_ARRAY_BIT(which);
    }
    mapping->dirty |= GD_ARRAY_BIT(which);
    atomic_fetch_or(&mapping->write->dirty_mask, GD_ARRAY_BIT(which));
}

/* Takes the mark of an array back whose content is what it was, if the lease is still ours: one step with the word, so that a daemon that
 * takes the lease away and copies the arrays finds either the mark or the old content. The bit in undo_mask stays: a copy
 * of the arrays made meanwhile finds it and is not used. */
static void unmark(struct gd_mapping *mapping, int which)
{
    const uint32_t session = mapping->door->session;
    _Atomic uint64_t *pair = (_Atomic uint64_t *)(void *)&mapping->write->lease;
    uint64_t seen = atomic_load(pair);
    while (((uint32_t)seen & GD_LEASE_HOLDER) == session &&
           !atomic_compare_exchange_strong(pair, &seen, seen & ~((uint64_t)GD_ARRAY_BIT(which) << 32)))
        ;
    mapping->dirty &= ~GD_ARRAY_BIT(which);
    mapping->kept_frame &= ~GD_ARRAY_BIT(which);
}

/* Where the old content of an array is that the edit is about to change, or -1 with an exception set. */
static int find_old_content(struct gd_mapping *mapping, int which)
{
    if (which == GD_MASSES && gd_mapping_need_masses(mapping) < 0)
        return -1;
    wait_for_copies(mapping);
    if (gd_lease_require(mapping) < 0)
        return -1;
    if ((mapping->dirty & GD_ARRAY_BIT(which)) != 0)
        return GD_TOUCHED;
    /* Marked before in this edit, for a copy that was taken back: as then, or the daemon would not look at the frame. */
    if ((mapping->kept_undo & GD_ARRAY_BIT(which)) != 0)
        return GD_KEPT_ON_THE_WAY;
    return frame_has(mapping, which) ? GD_IN_FRAME : GD_KEPT_ON_THE_WAY;
}

/* Before an array is handed out: all of its old content is kept. */
static int touch(struct gd_mapping *mapping, int which)
{
    int old = find_old_content(mapping, which);
    if (old == GD_KEPT_ON_THE_WAY) {
        mapping->touching = true;
        gd_copy_bytes(mapping->undo_map.base + mapping->undo_offset[which], gd_live_array(mapping, which),
                      gd_array_bytes(&mapping->head, which));
        gd_undo_reach(&mapping->write->undo_bytes[which], GD_UNDO_WHOLE);
        mapping->touching = false;
    }
    if (old < 0 || gd_lease_require(mapping) < 0) /* it may have been lost during the copy */
        return -1;
    if (old != GD_TOUCHED)
        mark(mapping, which, (enum gd_old_content)old);
    return 0;
}

int gd_lease_overwrite_begin(struct gd_mapping *mapping, int which)
{
    int old = find_old_content(mapping, which);
    if (old < 0)
        return -1;
    mapping->touching = true;
    if (old == GD_KEPT_ON_THE_WAY)
        gd_undo_reach(&mapping->write->undo_bytes[which], 0);
    if (old != GD_TOUCHED)
        mark(mapping, which, (enum gd_old_content)old);
    return old;
}

void gd_lease_overwrite_end(struct gd_mapping *mapping, int which, enum gd_old_content old, bool good)
{
    if (!good && old != GD_TOUCHED && put_back(mapping, which) == 0)
        unmark(mapping, which);
    mapping->touching = false;
}

int gd_lease_touch_small(struct gd_mapping *mapping)
{
    if (gd_lease_require(mapping) < 0)
        return -1;
    if ((mapping->dirty & GD_DIRTY_SMALL) == 0) {
        mapping->dirty |= GD_DIRTY_SMALL;
        atomic_fetch_or(&mapping->write->dirty_mask, GD_DIRTY_SMALL);
    }
    return 0;
}

PyObject *gd_lease_array(struct gd_mapping *mapping, int which)
{
    if (mapping->head.array_offset[which] == 0)
        return gd_raise(GD_E_UNSUPPORTED, "the State has no %s", gd_array_name(which));
    if (touch(mapping, which) < 0)
        return NULL;
    if (mapping->edit_block[which] == NULL) {
        mapping->edit_block[which] =
            gd_block_create(NULL, mapping->write_fd, mapping->head.array_offset[which], gd_array_bytes(&mapping->head, which), true);
        if (mapping->edit_block[which] == NULL)
            return NULL;
    }
    mapping->handed |= GD_ARRAY_BIT(which);
    return gd_mapping_view(mapping, which, mapping->edit_block[which]->data, true, (PyObject *)mapping->edit_block[which]);
}

void gd_lease_forked(struct gd_mapping *mapping)
{
    for (int i = 0; i < GD_ARRAY_COUNT; i++)
        if (mapping->edit_block[i] != NULL)
            make_private(mapping, i);
    gd_segment_unmap(&mapping->write_map);
    gd_segment_unmap(&mapping->undo_map);
    mapping->write = NULL;
    mapping->held = mapping->owned = mapping->touching = false;
    mapping->holder = 0;
    mapping->handed = mapping->dirty = 0;
    mapping->first = mapping->last = NULL;
}
