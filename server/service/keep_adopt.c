/* Taking up again what the holder kept: States, their runs, jobs, counters. What does not fit together is set aside, with a message. */
#include "service/keep_internal.h"

#include "core/frames.h"
#include "core/kept.h"
#include "core/log.h"
#include "service/charges.h"
#include "service/edit.h"
#include "service/job_keep.h"
#include "service/jobs.h"
#include "service/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const role_names[GD_KEEP_ROLES] = {"kept", "live", "undo", "frames", "counters", "lock", "run", "job", "engine"};

static struct gd_survivor *find(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number)
{
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct gd_survivor *s = &keep->survivors[i];
        if (s->fd >= 0 && s->place == place && s->role == role && s->number == number)
            return s;
    }
    return NULL;
}

int gd_keep_take_lock(struct gd_keep *keep)
{
    struct gd_survivor *lock = find(keep, GD_KEEP_NO_STATE, GD_KEEP_LOCK, 0);
    if (lock == NULL)
        return -1;
    int fd = lock->fd;
    lock->fd = -1;
    return fd;
}

static int adopt_segment(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number, struct gd_segment *out,
                         struct gd_err *err)
{
    struct gd_survivor *survivor = find(keep, place, role, number);
    if (survivor == NULL)
        return gd_err_set(err, GD_E_NOT_FOUND, "its %s segment (number %llu) did not survive", role_names[role],
                          (unsigned long long)number);
    int code = gd_segment_adopt(out, survivor->fd, err);
    if (code == 0)
        survivor->fd = -1;
    return code;
}

/* ---- counters ---- */

static void adopt_counters(struct gd_keep *keep)
{
    struct gd_service *service = keep->service;
    struct gd_kept_counters *counters = keep->counters.base;
    service->next_session = (uint32_t)(atomic_load(&counters->next_session) & GD_LEASE_HOLDER);
    if (service->next_session <= GD_LEASE_DAEMON)
        service->next_session = GD_LEASE_DAEMON + 1;
    /* A worker may have used a number and died before it wrote it down. */
    atomic_store(&service->registry.next_ring_id, (uint32_t)atomic_load(&counters->next_ring_id) + 16);
    service->next_session += 16;
    service->next_fence = atomic_load(&counters->next_fence) + 16;
    gd_jobs_count_from(service->jobs, atomic_load(&counters->next_job));
    atomic_fetch_add(&counters->starts, 1);
}

static void make_counters(struct gd_keep *keep)
{
    struct gd_err err = {0};
    if (gd_segment_create(&keep->counters, "gromosd-counters", sizeof(struct gd_kept_counters), 0, &err) != 0) {
        gd_log_warn("keep", "counters will not survive this process: %s", err.text);
        return;
    }
    struct gd_segment_head *head = keep->counters.base;
    head->segment_bytes = keep->counters.bytes;
    atomic_store_explicit(&head->layout, GD_LAYOUT, memory_order_release);
    gd_keep_store(keep, GD_KEEP_NO_STATE, GD_KEEP_COUNTERS, 0, keep->counters.fd);
    gd_keep_counters(keep);
}

/* ---- States ---- */

/* The edit somebody had begun when the daemon died. A client that held the lease may still be writing, also one that was just being
 * evicted (its word seized, the segment stale): new generation. The daemon itself is gone for certain: rolled back in place. */
static int settle_lease(struct gd_keep *keep, struct gd_state *state, const struct gd_frame_view *newest, struct gd_err *err)
{
    struct gd_live_header *live = gd_state_header(state);
    uint32_t holder = 0;
    struct gd_rollback_report report;
    if (gd_lease_adopt(&state->lease, live, &holder) == GD_LEASE_FINE)
        return 0;
    int code = 0;
    if (holder == GD_LEASE_DAEMON && (atomic_load(&live->flags) & GD_STATE_STALE) == 0) {
        gd_state_rollback(state, newest, &report);
        state->altered = report.outcome == GD_ROLLBACK_OLDER ? UINT32_MAX : report.left;
        atomic_store(&live->lease, 0);
    } else {
        code = gd_state_new_generation(state, newest, gd_registry_ring_id(&keep->service->registry), gd_now_ns(), &report, err);
    }
    if (code == 0)
        gd_log_info("keep", "an edit of session %u was under way when the daemon died: rollback %s", holder,
                    gd_rollback_outcome_name(report.outcome));
    return code;
}

/* The newest run that survived. Without one, or without memory, the next run starts from positions and velocities. */
static void adopt_run(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_survivor *newest = NULL;
    struct gd_segment segment = GD_SEGMENT_NONE;
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct gd_survivor *s = &keep->survivors[i];
        if (s->fd >= 0 && s->role == GD_KEEP_RUN && s->place == state->handed.place && (newest == NULL || s->number > newest->number))
            newest = s;
    }
    if (newest == NULL || adopt_segment(keep, state->handed.place, GD_KEEP_RUN, newest->number, &segment, NULL) != 0)
        return;
    const struct gd_kept_run *kept = segment.base;
    state->handed.run = newest->number;
    void *data = NULL;
    if (atomic_load_explicit(&kept->head.layout, memory_order_acquire) == GD_LAYOUT && kept->bytes > 0 &&
        kept->bytes <= segment.bytes - GD_KEEP_RUN_OFFSET && (data = malloc(kept->bytes)) != NULL) {
        memcpy(data, (const char *)segment.base + GD_KEEP_RUN_OFFSET, kept->bytes);
        state->run_state = (struct gd_run_state){data, kept->bytes, kept->version, kept->fingerprint};
    }
    gd_segment_close(&segment);
}

static int adopt_state(struct gd_keep *keep, struct gd_survivor *kept, struct gd_err *err)
{
    struct gd_service *service = keep->service;
    struct gd_segment segment = GD_SEGMENT_NONE, frames = GD_SEGMENT_NONE;
    struct gd_frame_view newest, *has_newest = NULL;
    struct gd_state *state = NULL;
    int code = gd_segment_adopt(&segment, kept->fd, err);
    if (code != 0)
        return code;
    kept->fd = -1;
    code = gd_kept_restore(&segment, &state, err);
    if (code == 0)
        code = adopt_segment(keep, kept->place, GD_KEEP_LIVE, state->generation, &segment, err);
    if (code == 0)
        code = gd_state_adopt_live(state, &segment, err);
    if (code != 0)
        goto fail;
    if (adopt_segment(keep, kept->place, GD_KEEP_UNDO, state->generation, &state->undo, NULL) == 0 &&
        state->undo.bytes != state->live.bytes) {
        gd_segment_close(&state->undo);
        gd_keep_drop(keep, kept->place, GD_KEEP_UNDO, state->generation);
    }
    if (adopt_segment(keep, kept->place, GD_KEEP_FRAMES, state->ring_id, &frames, NULL) == 0 &&
        gd_frames_check(frames.base, frames.bytes, &gd_state_header(state)->head, NULL) == 0 &&
        gd_frames_newest(frames.base, &newest) == 0) {
        has_newest = &newest;
        if (newest.sequence >= state->next_sequence)
            state->next_sequence = newest.sequence + 1;
    }
    state->created_ns = gd_now_ns();
    state->handed = (struct gd_handed){.place = kept->place,
                                       .kept = state->kept.fd,
                                       .live = state->live.fd,
                                       .undo = state->undo.fd,
                                       .ring = frames.fd,
                                       .generation = state->generation,
                                       .ring_id = state->ring_id,
                                       .kept_number = (uint32_t)kept->number};
    gd_lease_init(&state->lease, &service->lease_hooks);
    /* A commit announces its frame before its version: one that died between the two was complete and may have been seen. */
    if (has_newest != NULL && newest.header->version > gd_state_version(state))
        gd_live_commit(gd_state_header(state), newest.header->version);
    code = settle_lease(keep, state, has_newest, err);
    if (code == GD_E_OUT_OF_MEMORY && gd_lease_holder(&state->lease, gd_state_header(state)) != GD_LEASE_DAEMON) {
        /* As with any holder there is no memory to evict: whoever asks for the lease has it tried again (edit.h). */
        gd_log_warn("keep", "%s: an edit was under way when the daemon died and cannot be undone yet: %s", state->name, err->text);
        state->before = frames;
        frames = GD_SEGMENT_NONE;
        code = 0;
    }
    if (code != 0)
        goto fail;
    state->ring_id = gd_registry_ring_id(&service->registry); /* the old ring is not written any more */
    state->version = gd_state_version(state);
    adopt_run(keep, state);
    code = gd_registry_add(&service->registry, state, err);
    if (code != 0)
        goto fail;
    (void)gd_charge_begin(service, state, NULL, NULL);
    state->run_bytes = 2 * state->run_state.bytes; /* there already, whatever the limits are now */
    gd_charge_settle(service, state);
    gd_keep_sync(keep, state);
    gd_keep_update(keep, state);
    gd_segment_close(&frames);
    gd_live_wake(gd_state_header(state));
    gd_state_unref(&state);
    return 0;
fail:
    gd_segment_close(&segment);
    gd_segment_close(&frames);
    gd_state_unref(&state);
    return code;
}

/* ---- jobs ---- */

static void adopt_job(struct gd_keep *keep, struct gd_survivor *survivor)
{
    struct gd_segment job = GD_SEGMENT_NONE, engine = GD_SEGMENT_NONE;
    struct gd_job_kept *kept = NULL;
    struct gd_err err = {0};
    int code = adopt_segment(keep, GD_KEEP_NO_STATE, GD_KEEP_JOB, survivor->number, &job, &err);
    if (code == 0)
        (void)adopt_segment(keep, GD_KEEP_NO_STATE, GD_KEEP_ENGINE, survivor->number, &engine, NULL);
    if (code == 0)
        code = gd_job_kept_adopt(&kept, keep, &job, &engine, &err);
    if (code == 0) {
        gd_jobs_adopt(keep->service->jobs, gd_registry_find_uuid(&keep->service->registry, gd_job_kept_uuid(kept), NULL), kept);
        return;
    }
    gd_log_error("keep", "job %llu could not be taken up again and is set aside: %s", (unsigned long long)survivor->number, err.text);
    if (survivor->fd < 0) /* what was not taken ends with what belongs to nothing */
        gd_keep_drop_job(keep, survivor->number, engine.fd >= 0);
    gd_segment_close(&job);
    gd_segment_close(&engine);
}

/* ---- all of it ---- */

/* A State that is not quite what its version says: a run that goes on commits what it has; else readers must be able to tell. Positions and
 * velocities are as the last run left them if the other arrays alone are not, and the next run goes on from there. */
static void tell_altered(struct gd_keep *keep)
{
    const uint32_t moved = GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES);
    size_t cursor = 0;
    struct gd_state *state;
    while ((state = gd_table_next(&keep->service->registry.by_uuid, &cursor)) != NULL) {
        uint32_t altered = state->altered;
        state->altered = 0;
        if (altered == 0 || gd_jobs_has(keep->service->jobs, state))
            continue;
        int continues = state->run_state.bytes > 0 && state->run_state.version == gd_state_version(state) && (altered & moved) == 0;
        state->version = gd_state_version(state) + 1;
        atomic_store(&gd_state_header(state)->version, state->version);
        gd_live_wake(gd_state_header(state));
        gd_keep_update(keep, state);
        if (continues) {
            state->run_state.version = state->version;
            gd_keep_run(keep, state);
        }
    }
}

/* A daemon that died while it renewed a State's record leaves two. */
static int is_newest_record(const struct gd_keep *keep, const struct gd_survivor *survivor)
{
    for (size_t i = 0; i < keep->num_survivors; i++) {
        const struct gd_survivor *other = &keep->survivors[i];
        if (other->role == GD_KEEP_KEPT && other->place == survivor->place && other->number > survivor->number)
            return 0;
    }
    return 1;
}

/* What could not be taken up is not offered again at the next start. */
static void set_aside_all(struct gd_keep *keep, uint32_t place)
{
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct gd_survivor *survivor = &keep->survivors[i];
        if (survivor->place != place)
            continue;
        gd_keep_drop_name(keep, survivor->name);
        if (survivor->fd >= 0)
            close(survivor->fd);
        survivor->fd = -1;
    }
}

void gd_keep_adopt(struct gd_keep *keep)
{
    size_t taken = 0, set_aside = 0;
    if (keep->socket < 0)
        return;
    if (adopt_segment(keep, GD_KEEP_NO_STATE, GD_KEEP_COUNTERS, 0, &keep->counters, NULL) == 0 &&
        keep->counters.bytes >= sizeof(struct gd_kept_counters))
        adopt_counters(keep);
    else
        make_counters(keep);
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct gd_survivor *survivor = &keep->survivors[i];
        struct gd_err err = {0};
        if (survivor->fd < 0 || survivor->role != GD_KEEP_KEPT || !is_newest_record(keep, survivor))
            continue;
        if (adopt_state(keep, survivor, &err) == 0) {
            taken++;
        } else {
            set_aside++;
            set_aside_all(keep, survivor->place);
            gd_log_error("keep", "%s could not be taken up again and is set aside: %s", survivor->name, err.text);
        }
    }
    for (size_t i = 0; i < keep->num_survivors; i++) {
        if (keep->survivors[i].fd >= 0 && keep->survivors[i].role == GD_KEEP_JOB)
            adopt_job(keep, &keep->survivors[i]);
    }
    tell_altered(keep);
    /* What belongs to nothing any more. */
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct gd_survivor *survivor = &keep->survivors[i];
        if (survivor->fd < 0)
            continue;
        gd_keep_drop_name(keep, survivor->name);
        close(survivor->fd);
        survivor->fd = -1;
    }
    gd_keep_counters(keep);
    if (taken + set_aside > 0)
        gd_log_info("keep", "took up %zu States again, set %zu aside", taken, set_aside);
}
