/* The lease word, its queue, eviction, and what a rollback puts back. Clients are played by plain stores and swaps. */
#include "core/lease.h"
#include "core/rollback.h"
#include "proto/gd_undo.h"
#include "tests/race/reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C GD_LEASE_CONTENDED

static struct gd_live_header live;
static struct gd_lease lease;

/* What the hooks were called with, as text: "+5 " granted, "-6:16 " dropped with code -16. */
static char trace[512];
static uint32_t dead;         /* a session number that is not alive */
static int give_back_at_once; /* granted managed waiters release inside the hook */

static int is_alive(void *context, uint32_t session)
{
    (void)context;
    return session != dead && session < 1000;
}

static void granted(void *context, struct gd_lease_waiter *waiter)
{
    (void)context;
    char text[32];
    snprintf(text, sizeof text, "+%u ", waiter->session);
    strcat(trace, text);
    cr_assert_null(waiter->lease);
    if (give_back_at_once && waiter->managed)
        cr_assert_eq(gd_lease_released(&lease, &live, waiter->session, 0, NULL), 0);
}

static void dropped(void *context, struct gd_lease_waiter *waiter, int code)
{
    (void)context;
    char text[32];
    snprintf(text, sizeof text, "-%u:%d ", waiter->session, -code);
    strcat(trace, text);
    cr_assert_null(waiter->lease);
}

static const struct gd_lease_hooks hooks = {.alive = is_alive, .granted = granted, .dropped = dropped};

static void setup(void)
{
    memset(&live, 0, sizeof live);
    trace[0] = '\0';
    dead = 0;
    give_back_at_once = 0;
    gd_lease_init(&lease, &hooks);
}

TestSuite(lease, .init = setup);

static struct gd_lease_waiter waiter(uint32_t session)
{
    return (struct gd_lease_waiter){.session = session, .deadline = GD_LEASE_NEVER};
}

static struct gd_lease_waiter managed(uint32_t session)
{
    return (struct gd_lease_waiter){.session = session, .managed = 1, .deadline = GD_LEASE_NEVER};
}

static int ask(struct gd_lease_waiter *w, uint64_t now)
{
    return gd_lease_request(&lease, &live, w, now, NULL);
}

Test(lease, a_free_one_is_granted_and_the_client_gives_it_back_alone)
{
    struct gd_lease_waiter a = waiter(5);
    live.small.step = 77;
    live.dirty_mask = 3;
    live.undo_mask = 1;
    cr_assert_eq(ask(&a, 1000), GD_LEASE_GRANTED);
    cr_assert_eq(live.lease, 5);
    cr_assert_eq(live.small_undo.step, 77);
    cr_assert_eq(live.dirty_mask, 0);
    cr_assert_eq(live.undo_mask, 0);
    cr_assert_eq(live.lease_since, 1000);
    cr_assert(gd_lease_is_held_by(&lease, &live, 5));
    cr_assert_str_empty(trace);
    cr_assert(reader_give_lease(&live, 5));
    cr_assert_not(gd_lease_is_held_by(&lease, &live, 5));
    cr_assert_eq(gd_lease_released(&lease, &live, 5, 0, NULL), GD_E_LEASE_LOST);
    cr_assert(reader_take_lease(&live, 6));
    cr_assert_eq(gd_lease_holder(&lease, &live), 6);
}

Test(lease, waiters_get_it_in_order_and_the_last_one_uncontended)
{
    struct gd_lease_waiter w[4] = {waiter(3), waiter(4), waiter(5), waiter(6)};
    cr_assert(reader_take_lease(&live, 2));
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ask(&w[i], 0), GD_LEASE_QUEUED);
    cr_assert_eq(live.lease, 2 | C);
    cr_assert_not(reader_give_lease(&live, 2), "a contended lease is given back at the door");
    for (uint32_t s = 2; s <= 5; s++) {
        cr_assert_eq(gd_lease_released(&lease, &live, s, 0, NULL), 0);
        cr_assert_eq(live.lease, s + 1 == 6 ? 6 : (s + 1) | C);
    }
    cr_assert_str_eq(trace, "+3 +4 +5 +6 ");
    cr_assert_eq(lease.holder, 0);
    cr_assert(reader_give_lease(&live, 6));
}

Test(lease, only_the_holder_can_give_it_back)
{
    struct gd_lease_waiter a = waiter(3);
    struct gd_err err = {0};
    cr_assert(reader_take_lease(&live, 2));
    cr_assert_eq(ask(&a, 0), GD_LEASE_QUEUED);
    cr_assert_eq(gd_lease_released(&lease, &live, 3, 0, &err), GD_E_LEASE_LOST);
    cr_assert_eq(gd_lease_released(&lease, &live, 0, 0, &err), GD_E_LEASE_LOST);
    cr_assert_eq(live.lease, 2 | C);
    cr_assert_str_empty(trace);
}

Test(lease, asking_again_tells_where_the_session_stands)
{
    struct gd_lease_waiter a = waiter(2), b = waiter(3), b2 = waiter(3), c = waiter(4);
    cr_assert_eq(ask(&a, 0), GD_LEASE_GRANTED);
    live.dirty_mask = 1;
    cr_assert_eq(ask(&a, 0), GD_LEASE_GRANTED);
    cr_assert_eq(live.dirty_mask, 1, "the edit that runs is not begun again");
    cr_assert_eq(ask(&b, 0), GD_LEASE_QUEUED);
    cr_assert_eq(ask(&c, 0), GD_LEASE_QUEUED);
    cr_assert_eq(ask(&b2, 0), GD_LEASE_QUEUED);
    cr_assert_null(b2.lease);
    cr_assert_eq(lease.num_waiting, 2);
    cr_assert_eq(gd_lease_find(&lease, 3), &b);
    cr_assert_null(gd_lease_find(&lease, 5));
    cr_assert_eq(ask(&a, 0), GD_LEASE_GRANTED);
    cr_assert_eq(live.lease, 2 | C);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(ask(&b2, 0), GD_LEASE_GRANTED, "granted while it asked again");
    cr_assert_str_eq(trace, "+3 ");
}

Test(lease, cancelled_waiters_are_passed_over)
{
    struct gd_lease_waiter w[3] = {waiter(3), waiter(4), waiter(5)};
    cr_assert(reader_take_lease(&live, 2));
    for (int i = 0; i < 3; i++)
        ask(&w[i], 0);
    gd_lease_cancel(&w[1]);
    gd_lease_cancel(&w[1]);
    gd_lease_cancel(&w[0]);
    cr_assert_eq(lease.num_waiting, 1);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_str_eq(trace, "+5 ");
}

Test(lease, when_all_waiters_left_the_next_give_back_frees_it)
{
    struct gd_lease_waiter a = waiter(3);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    gd_lease_cancel(&a);
    cr_assert_eq(live.lease, 2 | C);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 0);
    cr_assert_str_empty(trace);
    cr_assert(reader_take_lease(&live, 9));
}

Test(lease, the_daemons_own_holders_are_known_without_contention)
{
    struct gd_lease_waiter job = managed(GD_LEASE_DAEMON), remote = managed(40), local = waiter(3);
    cr_assert_eq(ask(&job, 0), GD_LEASE_GRANTED);
    cr_assert_eq(lease.holder, GD_LEASE_DAEMON);
    cr_assert_not(reader_take_lease(&live, 3));
    cr_assert_eq(ask(&remote, 0), GD_LEASE_QUEUED);
    cr_assert_eq(ask(&local, 0), GD_LEASE_QUEUED);
    cr_assert_eq(gd_lease_released(&lease, &live, GD_LEASE_DAEMON, 0, NULL), 0);
    cr_assert_eq(live.lease, 40 | C);
    cr_assert_eq(gd_lease_released(&lease, &live, 40, 0, NULL), 0);
    cr_assert_eq(live.lease, 3);
    cr_assert_str_eq(trace, "+40 +3 ");
}

Test(lease, commands_that_finish_inside_their_grant_follow_one_another)
{
    static struct gd_lease_waiter w[50];
    struct gd_lease_waiter last = waiter(7);
    give_back_at_once = 1;
    cr_assert(reader_take_lease(&live, 2));
    for (size_t i = 0; i < 50; i++) {
        w[i] = managed(GD_LEASE_DAEMON);
        cr_assert_eq(ask(&w[i], 0), GD_LEASE_QUEUED);
    }
    ask(&last, 0);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 7);
    cr_assert_eq(lease.num_waiting, 0);
    cr_assert_eq(lease.granted, 51);
}

Test(lease, death_of_the_holder_keeps_everybody_out_until_the_edit_is_undone)
{
    struct gd_lease_waiter a = waiter(3);
    cr_assert(reader_take_lease(&live, 2));
    live.dirty_mask = 1;
    ask(&a, 0);
    cr_assert_eq(gd_lease_session_gone(&lease, &live, 2), 1);
    cr_assert_str_empty(trace);
    cr_assert_eq(live.lease & GD_LEASE_HOLDER, 2);
    cr_assert_eq(live.dirty_mask, 1, "the masks are still there for the rollback");
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_str_eq(trace, "+3 ");
    cr_assert_eq(live.lease, 3);
    cr_assert_eq(live.dirty_mask, 0);
}

Test(lease, death_of_an_uncontended_holder_is_seen_in_the_word)
{
    cr_assert(reader_take_lease(&live, 2));
    cr_assert_eq(gd_lease_session_gone(&lease, &live, 3), 0);
    cr_assert_eq(gd_lease_session_gone(&lease, &live, 2), 1);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 0);
}

Test(lease, death_of_a_waiter_takes_all_its_places)
{
    struct gd_lease_waiter a = managed(30), b = waiter(4), a2 = managed(30);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    ask(&b, 0);
    ask(&a2, 0);
    cr_assert_eq(lease.num_waiting, 3);
    cr_assert_eq(gd_lease_session_gone(&lease, &live, 30), 0);
    cr_assert_eq(lease.num_waiting, 1);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_str_eq(trace, "+4 ");
}

Test(lease, a_holder_is_evicted_when_somebody_waited_too_long_and_not_before)
{
    struct gd_lease_waiter a = waiter(3), b = waiter(4);
    uint32_t session = 0;
    cr_assert(reader_take_lease(&live, 2));
    live.lease_since = 1;
    cr_assert_eq(gd_lease_check(&lease, &live, 1u << 30, 100, &session), GD_LEASE_FINE, "nobody waits: hold it for a year");
    cr_assert_eq(gd_lease_next_check(&lease, 100), GD_LEASE_NEVER);
    ask(&a, 5000);
    ask(&b, 5050);
    cr_assert_eq(gd_lease_next_check(&lease, 100), 5100);
    cr_assert_eq(gd_lease_next_check(&lease, 0), GD_LEASE_NEVER);
    cr_assert_eq(gd_lease_check(&lease, &live, 5099, 100, &session), GD_LEASE_FINE);
    cr_assert_eq(gd_lease_check(&lease, &live, 5100, 0, &session), GD_LEASE_FINE, "no limit");
    cr_assert_eq(session, 0);
    cr_assert_eq(gd_lease_check(&lease, &live, 5100, 100, &session), GD_LEASE_EVICT);
    cr_assert_eq(session, 2);
    /* the next holder's time starts at its grant */
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 5200, NULL), 0);
    cr_assert_eq(gd_lease_check(&lease, &live, 5299, 100, &session), GD_LEASE_FINE);
    cr_assert_eq(gd_lease_check(&lease, &live, 5300, 100, &session), GD_LEASE_EVICT);
    cr_assert_eq(session, 3);
}

Test(lease, managed_holders_are_evicted_in_place_and_the_daemon_never)
{
    struct gd_lease_waiter remote = managed(40), job = managed(GD_LEASE_DAEMON), a = waiter(3);
    uint32_t session = 0;
    ask(&remote, 0);
    ask(&job, 0);
    cr_assert_eq(gd_lease_check(&lease, &live, 100, 100, &session), GD_LEASE_EVICT_HERE);
    cr_assert_eq(session, 40);
    cr_assert_eq(gd_lease_released(&lease, &live, 40, 100, NULL), 0);
    ask(&a, 100);
    cr_assert_eq(gd_lease_check(&lease, &live, 100000, 100, &session), GD_LEASE_FINE);
}

Test(lease, late_waiters_are_dropped)
{
    struct gd_lease_waiter w[3] = {waiter(3), waiter(4), waiter(5)};
    uint32_t session;
    w[0].deadline = 50;
    w[2].deadline = 40;
    cr_assert(reader_take_lease(&live, 2));
    for (int i = 0; i < 3; i++)
        ask(&w[i], 0);
    cr_assert_eq(gd_lease_next_check(&lease, 1000), 40);
    cr_assert_eq(gd_lease_check(&lease, &live, 39, 1000, &session), GD_LEASE_FINE);
    cr_assert_str_empty(trace);
    gd_lease_check(&lease, &live, 50, 1000, &session);
    cr_assert_str_eq(trace, "-3:16 -5:16 ");
    cr_assert_eq(gd_lease_next_check(&lease, 1000), 1000);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 4);
}

Test(lease, a_word_that_names_nobody_is_not_stolen_but_evicted)
{
    struct gd_lease_waiter a = waiter(3);
    uint32_t session;
    live.lease = 0x7abcdef0u; /* scribbled, or a client from before a restart */
    cr_assert_eq(ask(&a, 10), GD_LEASE_QUEUED);
    cr_assert_eq(gd_lease_check(&lease, &live, 10, 1000000, &session), GD_LEASE_EVICT);
    cr_assert_eq(session, 0x7abcdef0u);
}

Test(lease, a_word_with_only_the_contended_bit_counts_as_free)
{
    struct gd_lease_waiter a = waiter(3);
    live.lease = C;
    cr_assert_eq(ask(&a, 0), GD_LEASE_GRANTED);
    cr_assert_eq(live.lease, 3);
}

Test(lease, scribbling_over_a_contended_word_changes_nothing)
{
    struct gd_lease_waiter a = waiter(3), b = waiter(4);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    live.lease = 0; /* the holder, or somebody, broke the rules */
    ask(&b, 0);
    cr_assert_eq(live.lease, 2 | C, "repaired from the record");
    live.lease = 4;
    cr_assert_not(gd_lease_is_held_by(&lease, &live, 4));
    cr_assert_eq(gd_lease_released(&lease, &live, 4, 0, NULL), GD_E_LEASE_LOST);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 3 | C);
}

Test(lease, a_confirmed_holder_is_nobody_elses_to_change_and_gives_back_at_the_door)
{
    struct gd_lease_waiter a = waiter(3);
    cr_assert_eq(gd_lease_confirm(&lease, &live), 0, "nobody has it");
    cr_assert(reader_take_lease(&live, 2));
    cr_assert_eq(gd_lease_confirm(&lease, &live), 1);
    cr_assert_not(reader_give_lease(&live, 2));
    live.lease = 0;
    cr_assert(gd_lease_is_held_by(&lease, &live, 2));
    cr_assert_eq(ask(&a, 0), GD_LEASE_QUEUED);
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), 0);
    cr_assert_eq(live.lease, 3);
    cr_assert_eq(gd_lease_confirm(&lease, &live), 1);
    cr_assert_eq(gd_lease_released(&lease, &live, 3, 0, NULL), 0);
    cr_assert_eq(live.lease, 0);
    cr_assert_eq(lease.holder, 0);
}

Test(lease, moving_to_a_new_generation_keeps_the_queue_and_ends_the_old_word)
{
    struct gd_lease_waiter a = waiter(3), b = waiter(4);
    static struct gd_live_header fresh;
    memset(&fresh, 0, sizeof fresh);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    ask(&b, 0);
    uint32_t wake = live.wake;
    gd_lease_move(&lease, &live, &fresh, 10);
    cr_assert_eq(live.flags, GD_STATE_STALE);
    cr_assert_neq(live.wake, wake);
    cr_assert_eq(fresh.lease, 3 | C);
    cr_assert_str_eq(trace, "+3 ");
    cr_assert_not(reader_take_lease(&live, 9));
    cr_assert_not(reader_give_lease(&live, 2), "the evicted holder finds out");
    cr_assert_not(reader_await_lease(&live, 4), "sleepers on the old word are told");
    cr_assert_eq(gd_lease_released(&lease, &fresh, 2, 0, NULL), GD_E_LEASE_LOST);
    cr_assert_eq(gd_lease_released(&lease, &fresh, 3, 0, NULL), 0);
    cr_assert_eq(fresh.lease, 4);
}

Test(lease, an_edit_ends_in_one_swap_or_not_at_all)
{
    struct gd_lease_waiter a = waiter(3);
    cr_assert(reader_take_lease(&live, 2));
    live.dirty_mask = 5;
    cr_assert_eq(reader_end_edit(&live, 2), READER_ENDED);
    cr_assert_eq(live.lease, 0);
    cr_assert_eq(live.dirty_mask, 0);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    live.dirty_mask = 5;
    cr_assert_eq(reader_end_edit(&live, 2), READER_TELL);
    cr_assert_eq(live.lease, 2 | C, "kept for the waiter");
    cr_assert_eq(live.dirty_mask, 0, "but nothing of it can be undone any more");
    live.dirty_mask = 5;
    gd_lease_seize(&live);
    cr_assert_eq(reader_end_edit(&live, 2), READER_LOST);
    cr_assert_eq(live.dirty_mask, 5);
}

Test(lease, a_seized_word_can_neither_be_given_back_nor_slept_on)
{
    cr_assert(reader_take_lease(&live, 2));
    live.dirty_mask = 5;
    gd_lease_seize(&live);
    cr_assert_eq(live.flags, GD_STATE_STALE);
    cr_assert_not(reader_give_lease(&live, 2));
    cr_assert_not(reader_take_lease(&live, 3));
    cr_assert_not(reader_await_lease(&live, 3));
    cr_assert_eq(live.dirty_mask, 5, "what is to be undone");
}

Test(lease, moving_without_waiters_leaves_the_fresh_lease_free)
{
    static struct gd_live_header fresh;
    memset(&fresh, 0, sizeof fresh);
    cr_assert(reader_take_lease(&live, 2));
    gd_lease_move(&lease, &live, &fresh, 10);
    cr_assert_eq(fresh.lease, 0);
    cr_assert(reader_take_lease(&fresh, 5));
}

Test(lease, deletion_drops_all_waiters_and_lets_nobody_in_again)
{
    struct gd_lease_waiter a = waiter(3), b = managed(40), c = waiter(5);
    cr_assert(reader_take_lease(&live, 2));
    ask(&a, 0);
    ask(&b, 0);
    gd_lease_close(&lease, &live);
    cr_assert_str_eq(trace, "-3:11 -40:11 ");
    cr_assert_eq(live.flags, GD_STATE_DELETED);
    cr_assert_not(reader_take_lease(&live, 9));
    cr_assert_eq(gd_lease_released(&lease, &live, 2, 0, NULL), GD_E_LEASE_LOST);
    cr_assert_eq(ask(&c, 0), GD_E_STATE_DELETED);
}

Test(lease, what_a_command_writes_for_a_session_is_nobody_elses_until_it_is_done)
{
    struct gd_lease_waiter a = waiter(5), b = waiter(6);
    uint32_t session = 0;
    a.managed = 1;
    cr_assert_eq(ask(&a, 0), GD_LEASE_GRANTED);
    cr_assert_eq(ask(&b, 0), GD_LEASE_QUEUED);
    gd_lease_take_over(&lease, &live);
    cr_assert_eq(live.lease, GD_LEASE_DAEMON | C);
    cr_assert_eq(gd_lease_check(&lease, &live, 1000, 10, &session), GD_LEASE_FINE, "late, but not to be interrupted");
    cr_assert_not(gd_lease_session_gone(&lease, &live, 5), "its end gives nothing back");
    cr_assert_eq(gd_lease_released(&lease, &live, 5, 0, NULL), GD_E_LEASE_LOST);
    cr_assert_eq(gd_lease_released(&lease, &live, GD_LEASE_DAEMON, 0, NULL), 0);
    cr_assert_eq(live.lease, 6);
}

Test(lease, an_adopted_word_that_is_held_asks_for_a_new_generation)
{
    uint32_t session = 0;
    cr_assert_eq(gd_lease_adopt(&lease, &live, &session), GD_LEASE_FINE);
    live.lease = 12 | C;
    cr_assert_eq(gd_lease_adopt(&lease, &live, &session), GD_LEASE_EVICT);
    cr_assert_eq(session, 12);
}

/* ---- rollback ---- */

enum { ATOMS = 32, BYTES = ATOMS * 3 * 4 };

struct image {
    struct gd_live_header header;
    float array[3][ATOMS * 3]; /* positions, velocities, forces */
};

static struct image state, undo, fresh_state;
static struct gd_frame_header frame;
static float frame_array[2][ATOMS * 3];
static struct gd_frame_view view;
static struct gd_rollback rollback;

static void fill(float *array, float mark)
{
    for (int i = 0; i < ATOMS * 3; i++)
        array[i] = mark + (float)i;
}

static void lay_out(struct image *image)
{
    memset(image, 0, sizeof *image);
    for (uint32_t a = 0; a < 3; a++) {
        image->header.head.array_offset[a] = offsetof(struct image, array) + a * sizeof image->array[0];
        image->header.head.array_bytes[a] = BYTES;
    }
}

/* A State of version 7 whose edit has written 500, 600, 700 over 5, 6, 7; frame of `version` with 50, 60. */
static void setup_rollback(void)
{
    setup();
    lay_out(&state);
    lay_out(&undo);
    lay_out(&fresh_state);
    for (uint32_t a = 0; a < 3; a++) {
        fill(state.array[a], 500 + 100 * (float)a);
        fill(undo.array[a], 5 + (float)a);
    }
    state.header.small.step = 999;
    state.header.small_undo.step = 9;
    state.header.lease = 2;
    for (uint32_t a = 0; a < 3; a++)
        state.header.undo_bytes[a] = GD_UNDO_WHOLE;
    memset(&frame, 0, sizeof frame);
    frame.version = 6;
    frame.small.step = 8;
    for (uint32_t a = 0; a < 2; a++)
        fill(frame_array[a], 50 + 10 * (float)a);
    view = (struct gd_frame_view){.header = &frame, .array = {frame_array[0], frame_array[1]}, .sequence = 4};
    rollback = (struct gd_rollback){
        .layout = &undo.header.head, .live = &state.header, .undo = &undo, .undo_layout = &undo.header.head, .newest = &view, .version = 7};
}

TestSuite(rollback, .init = setup_rollback);

static void expect(const struct image *image, float positions, float velocities, float forces, int64_t step)
{
    const float marks[3] = {positions, velocities, forces};
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < ATOMS * 3; i++)
            cr_assert_eq(image->array[a][i], marks[a] + (float)i, "array %d element %d is %g", a, i, image->array[a][i]);
    cr_assert_eq(image->header.small.step, step);
    cr_assert_eq(image->header.small_undo.step, step);
    cr_assert_eq(image->header.dirty_mask, 0);
    cr_assert_eq(image->header.undo_mask, 0);
}

static struct gd_rollback_report undo_edit(uint32_t dirty, uint32_t kept)
{
    struct gd_rollback_report report;
    state.header.dirty_mask = dirty;
    state.header.undo_mask = kept;
    gd_rollback(&rollback, &report);
    cr_assert_eq(state.header.lease, 2, "the word is not its business");
    return report;
}

Test(rollback, a_clean_edit_changes_nothing)
{
    struct gd_rollback_report r = undo_edit(0, 7);
    cr_assert_eq(r.outcome, GD_ROLLBACK_NOTHING);
    expect(&state, 500, 600, 700, 999);
}

Test(rollback, everything_from_the_undo_segment)
{
    struct gd_rollback_report r = undo_edit(7 | GD_DIRTY_SMALL, 7);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    cr_assert_eq(r.left, 0);
    expect(&state, 5, 6, 7, 9);
}

/* An array that was being overwritten: what was kept of it goes back, and nothing else is touched. */
static void expect_first(const float *array, size_t kept, float old, float rest)
{
    for (size_t i = 0; i < ATOMS * 3; i++)
        cr_assert_eq(array[i], (i < kept ? old : rest) + (float)i, "element %zu is %g", i, array[i]);
}

Test(rollback, as_much_as_the_holder_says_is_kept)
{
    const size_t kept[] = {0, 1, 16, 40, ATOMS * 3 - 1, ATOMS * 3};
    for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++) {
        setup_rollback();
        state.header.undo_bytes[1] = kept[k] * sizeof(float);
        struct gd_rollback_report r = undo_edit(3, 3);
        cr_assert_eq(r.outcome, GD_ROLLBACK_DONE, "the rest was not written yet");
        expect_first(state.array[0], ATOMS * 3, 5, 5);
        expect_first(state.array[1], kept[k], 6, 600);
        expect_first(state.array[2], 0, 7, 700);
    }
}

Test(rollback, how_much_is_kept_is_a_hint_too)
{
    const uint64_t scribbled[] = {BYTES + 1, BYTES * 2, UINT64_MAX - 1, (uint64_t)INT64_MAX + 1};
    for (size_t k = 0; k < sizeof scribbled / sizeof scribbled[0]; k++) {
        setup_rollback();
        state.header.undo_bytes[0] = scribbled[k];
        state.header.undo_bytes[4] = scribbled[k];
        struct gd_rollback_report r = undo_edit(1 | GD_ARRAY_BIT(4), 1 | GD_ARRAY_BIT(4));
        cr_assert_eq(r.dirty, 1);
        expect(&state, 5, 600, 700, 999);
    }
}

Test(rollback, only_what_was_touched)
{
    struct gd_rollback_report r = undo_edit(2, 7);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    cr_assert_eq(r.dirty, 2);
    expect(&state, 500, 6, 700, 999);
}

Test(rollback, from_the_newest_frame_when_it_has_this_version)
{
    frame.version = 7;
    struct gd_rollback_report r = undo_edit(3 | GD_DIRTY_SMALL, 0);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    expect(&state, 50, 60, 700, 8);
}

Test(rollback, undo_and_frame_together)
{
    frame.version = 7;
    struct gd_rollback_report r = undo_edit(7, 4);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    expect(&state, 50, 60, 7, 999);
}

Test(rollback, an_older_frame_takes_the_whole_state_back)
{
    struct gd_rollback_report r = undo_edit(1, 0);
    cr_assert_eq(r.outcome, GD_ROLLBACK_OLDER);
    cr_assert_eq(r.frame_version, 6);
    cr_assert_eq(r.left, 0);
    expect(&state, 50, 60, 700, 8);
}

Test(rollback, what_is_nowhere_is_left_and_reported)
{
    struct gd_rollback_report r = undo_edit(5, 1);
    cr_assert_eq(r.outcome, GD_ROLLBACK_PARTLY);
    cr_assert_eq(r.left, 4);
    expect(&state, 5, 600, 700, 999);
}

Test(rollback, without_undo_and_without_frame)
{
    rollback.undo = NULL;
    rollback.newest = NULL;
    struct gd_rollback_report r = undo_edit(7 | GD_DIRTY_SMALL, 7);
    cr_assert_eq(r.outcome, GD_ROLLBACK_PARTLY);
    cr_assert_eq(r.left, 7);
    expect(&state, 500, 600, 700, 9);
}

Test(rollback, masks_are_hints_and_arrays_that_do_not_exist_are_passed_over)
{
    struct gd_rollback_report r = undo_edit(0x7ffffff8u, 0x7fffffffu);
    cr_assert_eq(r.outcome, GD_ROLLBACK_NOTHING);
    expect(&state, 500, 600, 700, 999);
    r = undo_edit(UINT32_MAX, UINT32_MAX);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    cr_assert_eq(r.dirty, 7 | GD_DIRTY_SMALL);
}

Test(rollback, places_come_from_the_daemons_record_not_from_the_segment)
{
    struct gd_segment_head layout = undo.header.head, kept = undo.header.head;
    rollback.layout = &layout;
    rollback.undo_layout = &kept;
    memset(&state.header.head, 0xff, sizeof state.header.head);
    memset(&undo.header.head, 0xff, sizeof undo.header.head);
    struct gd_rollback_report r = undo_edit(7, 7);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    cr_assert_eq(state.array[2][3], 10.0f);
}

Test(rollback, rescue_fills_a_new_generation_and_leaves_the_old_alone)
{
    struct gd_rollback_report r;
    rollback.live = &fresh_state.header;
    state.header.dirty_mask = 1 | GD_DIRTY_SMALL;
    state.header.undo_mask = 1;
    gd_rollback_rescue(&rollback, &state.header, &r);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    expect(&fresh_state, 5, 600, 700, 9);
    cr_assert_eq(state.array[0][0], 500.0f);
    cr_assert_eq(state.header.dirty_mask, 1 | GD_DIRTY_SMALL);
    cr_assert_str_eq(gd_rollback_outcome_name(r.outcome), "done");
}

Test(rollback, rescue_takes_what_the_old_generation_says_is_kept)
{
    struct gd_rollback_report r;
    rollback.live = &fresh_state.header;
    fresh_state.header.undo_bytes[0] = GD_UNDO_WHOLE;
    state.header.dirty_mask = state.header.undo_mask = 1;
    state.header.undo_bytes[0] = 24 * sizeof(float);
    gd_rollback_rescue(&rollback, &state.header, &r);
    cr_assert_eq(r.outcome, GD_ROLLBACK_DONE);
    expect_first(fresh_state.array[0], 24, 5, 500);
}

Test(rollback, rescue_of_an_untouched_edit_is_a_plain_copy)
{
    struct gd_rollback_report r;
    rollback.live = &fresh_state.header;
    gd_rollback_rescue(&rollback, &state.header, &r);
    cr_assert_eq(r.outcome, GD_ROLLBACK_NOTHING);
    expect(&fresh_state, 500, 600, 700, 999);
}

Test(lease, a_commit_is_one_version_and_wakes_once)
{
    live.small.step = 5;
    live.dirty_mask = 3;
    live.undo_mask = 3;
    gd_live_commit(&live, 8);
    cr_assert_eq(live.version, 8);
    cr_assert_eq(live.dirty_mask, 0);
    cr_assert_eq(live.undo_mask, 0);
    cr_assert_eq(live.small_undo.step, 5);
    cr_assert_eq(live.wake, 0);
    gd_live_wake(&live);
    cr_assert_eq(live.wake, 1);
}
