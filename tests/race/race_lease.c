/* The lease under ThreadSanitizer: contenders that take and give by compare-and-swap, and a thread that is the daemon.
 *
 * What the lease guards is plain memory, so the sanitizer reports two holders whatever they do to it; a counter tells
 * besides. The door is a queue under a mutex. Contenders also give up waiting, die holding the lease (their half-done
 * edit must be undone before the next gets in), and the daemon itself edits, as a command would. */
#include "core/lease.h"
#include "proto/gd_undo.h"
#include "tests/race/reader.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENDERS = 6, ROUNDS = 4000, WORDS = 16, LATE_S = 200 };

enum op { ASK, GIVE, CANCEL, DIED, QUIT };

struct message {
    enum op op;
    uint32_t session;
    int *answer; /* where the daemon puts its answer; NULL: none wanted */
};

struct door {
    pthread_mutex_t mutex;
    pthread_cond_t asked, answered;
    struct message queue[CONTENDERS * 4];
    unsigned first, count;
};

static struct door door = {.mutex = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};
static struct gd_live_header live;
static uint64_t arrays[WORDS], undo[WORDS]; /* plain: the lease guards them */
static _Atomic uint64_t two_holders, half_edits, late, edits, deaths, given_up, daemon_edits;
static _Atomic int inside;

static const int NO_ANSWER = -1000;

static int ask_door(enum op op, uint32_t session, int wants_answer)
{
    int answer = NO_ANSWER;
    pthread_mutex_lock(&door.mutex);
    door.queue[(door.first + door.count++) % (CONTENDERS * 4)] = (struct message){op, session, wants_answer ? &answer : NULL};
    pthread_cond_signal(&door.asked);
    while (wants_answer && answer == NO_ANSWER)
        pthread_cond_wait(&door.answered, &door.mutex);
    pthread_mutex_unlock(&door.mutex);
    return answer;
}

/* ---- one edit ---- */

static void begin_edit(void)
{
    if (atomic_fetch_add(&inside, 1) != 0)
        atomic_fetch_add(&two_holders, 1);
    for (unsigned i = 1; i < WORDS; i++)
        if (arrays[i] != arrays[0])
            atomic_fetch_add(&half_edits, 1);
    atomic_store(&live.undo_bytes[0], 0);
    atomic_store(&live.undo_mask, 1);
    atomic_fetch_or(&live.dirty_mask, 1);
    atomic_thread_fence(memory_order_release);
}

/* Each word is kept just before it is overwritten. */
static void write_words(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        undo[i] = arrays[i];
        gd_undo_reach(&live.undo_bytes[0], (i + 1) * sizeof undo[0]);
        arrays[i]++;
    }
}

static void leave(void)
{
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&edits, 1);
}

/* ---- contenders ---- */

struct contender {
    uint32_t session;
    uint64_t random;
};

static unsigned draw(struct contender *c, unsigned below)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((c->random >> 33) % below);
}

/* 1: the lease is ours. 0: gave up. */
static int wait_for_lease(struct contender *c)
{
    int impatient = draw(c, 16) == 0;
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += impatient ? 0 : LATE_S;
    for (;;) {
        uint32_t word = atomic_load(&live.lease);
        if ((word & GD_LEASE_HOLDER) == c->session)
            return 1;
        if (gd_futex_wait(&live.lease, word, &deadline, gd_futex_bit(c->session)) == 0 || errno != ETIMEDOUT)
            continue;
        if (!impatient)
            atomic_fetch_add(&late, 1);
        if (ask_door(CANCEL, c->session, 1) == GD_LEASE_GRANTED)
            return 1;
        atomic_fetch_add(&given_up, 1);
        return 0;
    }
}

static int get_lease(struct contender *c)
{
    if (reader_take_lease(&live, c->session))
        return 1;
    if (ask_door(ASK, c->session, 1) == GD_LEASE_GRANTED)
        return 1;
    return wait_for_lease(c);
}

static void *contend(void *argument)
{
    struct contender *c = argument;
    for (unsigned round = 0; round < ROUNDS && atomic_load(&late) == 0; round++) {
        if (draw(c, 4) == 0)
            sched_yield();
        if (!get_lease(c))
            continue;
        begin_edit();
        if (draw(c, 64) == 0) { /* killed in the middle; a new session takes the thread over */
            write_words(draw(c, WORDS));
            atomic_fetch_sub(&inside, 1);
            atomic_fetch_add(&deaths, 1);
            ask_door(DIED, c->session, 0);
            c->session += CONTENDERS;
            continue;
        }
        write_words(WORDS);
        if (draw(c, 8) == 0)
            sched_yield();
        leave();
        switch (reader_end_edit(&live, c->session)) {
        case READER_LOST:
            atomic_fetch_add(&two_holders, 1); /* nobody evicts here */
            break;
        case READER_TELL:
            ask_door(GIVE, c->session, 0);
            break;
        case READER_ENDED:
            break;
        }
    }
    return NULL;
}

/* ---- the daemon ---- */

struct daemon {
    struct gd_lease lease;
    struct gd_lease_waiter waiters[CONTENDERS];
    struct gd_lease_waiter own;
    uint64_t random;
};

static int is_alive(void *context, uint32_t session)
{
    (void)context;
    (void)session;
    return 1;
}

static void edit_and_release(struct daemon *d)
{
    begin_edit();
    write_words(WORDS);
    leave();
    atomic_fetch_add(&daemon_edits, 1);
    gd_lease_released(&d->lease, &live, GD_LEASE_DAEMON, 0, NULL);
}

static void on_granted(void *context, struct gd_lease_waiter *waiter)
{
    struct daemon *d = context;
    if (waiter == &d->own)
        edit_and_release(d);
}

static void on_dropped(void *context, struct gd_lease_waiter *waiter, int code)
{
    (void)context;
    (void)waiter;
    (void)code;
}

static int answer_message(struct daemon *d, const struct message *m)
{
    struct gd_lease_waiter *waiter = &d->waiters[m->session % CONTENDERS];
    switch (m->op) {
    case ASK:
        *waiter = (struct gd_lease_waiter){.session = m->session, .deadline = GD_LEASE_NEVER};
        return gd_lease_request(&d->lease, &live, waiter, 0, NULL);
    case GIVE:
        if (gd_lease_released(&d->lease, &live, m->session, 0, NULL) != 0)
            atomic_fetch_add(&two_holders, 1);
        return 0;
    case CANCEL:
        waiter = gd_lease_find(&d->lease, m->session);
        if (waiter != NULL)
            gd_lease_cancel(waiter);
        return waiter == NULL && gd_lease_is_held_by(&d->lease, &live, m->session) ? GD_LEASE_GRANTED : GD_LEASE_QUEUED;
    case DIED:
        if (gd_lease_session_gone(&d->lease, &live, m->session)) {
            if (atomic_load(&live.dirty_mask) & atomic_load(&live.undo_mask))
                gd_undo_put_back(arrays, undo, atomic_load(&live.undo_bytes[0]), sizeof arrays);
            gd_lease_released(&d->lease, &live, m->session, 0, NULL);
        }
        return 0;
    default:
        return 0;
    }
}

static void *be_daemon(void *argument)
{
    static const struct gd_lease_hooks kind = {.alive = is_alive, .granted = on_granted, .dropped = on_dropped};
    struct daemon *d = argument;
    struct gd_lease_hooks hooks = kind;
    hooks.context = d;
    gd_lease_init(&d->lease, &hooks);
    for (int quit = 0; !quit;) {
        pthread_mutex_lock(&door.mutex);
        while (door.count == 0)
            pthread_cond_wait(&door.asked, &door.mutex);
        struct message m = door.queue[door.first];
        door.first = (door.first + 1) % (CONTENDERS * 4);
        door.count--;
        pthread_mutex_unlock(&door.mutex);
        quit = m.op == QUIT;
        int answer = answer_message(d, &m);
        if (m.answer != NULL) {
            pthread_mutex_lock(&door.mutex);
            *m.answer = answer;
            pthread_cond_broadcast(&door.answered);
            pthread_mutex_unlock(&door.mutex);
        }
        d->random = d->random * 6364136223846793005u + 1;
        if ((d->random >> 33) % 32 == 0 && d->own.lease == NULL && d->lease.holder != GD_LEASE_DAEMON) {
            d->own = (struct gd_lease_waiter){.session = GD_LEASE_DAEMON, .managed = 1, .deadline = GD_LEASE_NEVER};
            if (gd_lease_request(&d->lease, &live, &d->own, 0, NULL) == GD_LEASE_GRANTED)
                edit_and_release(d);
        }
    }
    return NULL;
}

int main(void)
{
    static struct daemon daemon_;
    static struct contender contenders[CONTENDERS];
    pthread_t daemon_thread, threads[CONTENDERS];
    if (pthread_create(&daemon_thread, NULL, be_daemon, &daemon_) != 0)
        return 2;
    for (uint32_t i = 0; i < CONTENDERS; i++) {
        contenders[i] = (struct contender){.session = 2 + i, .random = i};
        if (pthread_create(&threads[i], NULL, contend, &contenders[i]) != 0)
            return 2;
    }
    for (unsigned i = 0; i < CONTENDERS; i++)
        pthread_join(threads[i], NULL);
    ask_door(QUIT, 0, 1);
    pthread_join(daemon_thread, NULL);
    printf("lease: %llu edits (%llu the daemon's), %llu grants by the daemon, %llu waits, %llu given up, %llu deaths\n",
           (unsigned long long)edits, (unsigned long long)daemon_edits, (unsigned long long)daemon_.lease.granted,
           (unsigned long long)daemon_.lease.contended, (unsigned long long)given_up, (unsigned long long)deaths);
    int all_there = arrays[0] == edits && arrays[WORDS - 1] == edits;
    int passed = (two_holders == 0) + (half_edits == 0) + (late == 0) + all_there + (live.lease == 0);
    printf("two holders %llu, half edits %llu, late %llu, edits lost or doubled %d\n", (unsigned long long)two_holders,
           (unsigned long long)half_edits, (unsigned long long)late, !all_there);
    printf("%d passed, %d failed\n", passed, 5 - passed);
    return passed == 5 ? 0 : 1;
}
