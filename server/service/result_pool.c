#include "service/result_pool.h"

#include "core/check.h"
#include "service/service.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void gd_result_pool_init(struct gd_result_pool *pool)
{
    memset(pool, 0, sizeof *pool);
    GD_CHECK(pthread_mutex_init(&pool->mutex, NULL) == 0);
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++)
        pool->places[i].segment = GD_SEGMENT_NONE;
}

void gd_result_pool_open(struct gd_result_pool *pool, struct gd_control_block *control, size_t limit)
{
    pool->control = control;
    pool->limit = limit;
}

/* ---- one place; all of these under the mutex ---- */

static void announce(struct gd_result_pool *pool, const struct gd_pooled *place, uint64_t number)
{
    struct gd_result_place *shared = &pool->control->results[place - pool->places];
    atomic_store_explicit(&shared->number, 0, memory_order_release);
    atomic_store_explicit(&shared->segment, number != 0 ? place->segment_id : 0, memory_order_release);
    atomic_store_explicit(&shared->number, number, memory_order_release);
}

/* The client may have the idle segment mapped still, without anything in it that refers to it: its pages go now, not with that. */
static void release_memory(struct gd_segment *segment, int idle)
{
    if (idle)
        fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)segment->bytes);
    gd_segment_close(segment);
}

/* Empties the place; its segment is the caller's to release, after the mutex. */
static struct gd_segment forget(struct gd_result_pool *pool, struct gd_pooled *place)
{
    struct gd_segment segment = place->segment;
    announce(pool, place, 0);
    *place = (struct gd_pooled){.segment = GD_SEGMENT_NONE};
    return segment;
}

static int was_taken(const struct gd_result_pool *pool, const struct gd_pooled *place)
{
    const struct gd_result_place *shared = &pool->control->results[place - pool->places];
    return place->fetched || atomic_load_explicit(&shared->taken, memory_order_acquire) == place->number;
}

/* What the client has let go of since the last look. */
static void find_returned(struct gd_result_pool *pool, uint64_t now_ns)
{
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        struct gd_pooled *place = &pool->places[i];
        if (place->state != GD_POOLED_LENT ||
            atomic_load_explicit(&pool->control->results[i].returned, memory_order_acquire) != place->number)
            continue;
        place->state = GD_POOLED_IDLE;
        place->since_ns = now_ns;
    }
}

/* ---- taking a place ---- */

/* A segment this much larger than needed would be wasted on the result. */
static int fits(const struct gd_pooled *place, size_t bytes)
{
    return place->segment.bytes >= bytes && place->segment.bytes / 2 <= bytes;
}

static struct gd_pooled *best_idle(struct gd_result_pool *pool, size_t bytes)
{
    struct gd_pooled *best = NULL;
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        struct gd_pooled *place = &pool->places[i];
        if (place->state == GD_POOLED_IDLE && fits(place, bytes) && (best == NULL || place->segment.bytes < best->segment.bytes))
            best = place;
    }
    return best;
}

/* The one to do without: idle for longest, or else with the client for longest. NULL: all are on their way. */
static struct gd_pooled *least_wanted(struct gd_result_pool *pool)
{
    struct gd_pooled *worst = NULL;
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        struct gd_pooled *place = &pool->places[i];
        int may = place->state == GD_POOLED_IDLE || (place->state == GD_POOLED_LENT && was_taken(pool, place));
        if (may && (worst == NULL || place->state > worst->state || (place->state == worst->state && place->since_ns < worst->since_ns)))
            worst = place;
    }
    return worst;
}

static size_t bytes_held(const struct gd_result_pool *pool)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++)
        bytes += pool->places[i].segment.bytes;
    return bytes;
}

size_t gd_result_pool_in_use(struct gd_result_pool *pool)
{
    size_t bytes = 0;
    pthread_mutex_lock(&pool->mutex);
    if (pool->control != NULL)
        find_returned(pool, gd_now_ns());
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        if (pool->places[i].state == GD_POOLED_FILLING || pool->places[i].state == GD_POOLED_LENT)
            bytes += pool->places[i].segment.bytes;
    }
    pthread_mutex_unlock(&pool->mutex);
    return bytes;
}

/* An empty place with room for `bytes` under the limit, made by forgetting others; NULL when that does not do. Forgotten segments
 * are put into `out`. */
static struct gd_pooled *make_room(struct gd_result_pool *pool, size_t bytes, struct gd_segment out[GD_RESULT_PLACES],
                                   int out_idle[GD_RESULT_PLACES], unsigned *num_out)
{
    if (bytes > pool->limit)
        return NULL;
    for (;;) {
        struct gd_pooled *empty = NULL;
        for (unsigned i = 0; i < GD_RESULT_PLACES && empty == NULL; i++) {
            if (pool->places[i].state == GD_POOLED_EMPTY)
                empty = &pool->places[i];
        }
        if (empty != NULL && bytes_held(pool) <= pool->limit - bytes)
            return empty;
        struct gd_pooled *worst = least_wanted(pool);
        if (worst == NULL)
            return NULL;
        out_idle[*num_out] = worst->state == GD_POOLED_IDLE;
        out[(*num_out)++] = forget(pool, worst);
    }
}

/* Room for the next result of about this size: some part more, in steps that neighbouring sizes share. */
static size_t with_slack(size_t bytes)
{
    size_t step = GD_PAGE;
    while (step < bytes / 16)
        step *= 2;
    return (bytes + step - 1) / step * step;
}

static int fill_place(struct gd_result_pool *pool, struct gd_pooled *place, size_t bytes, struct gd_err *err)
{
    struct gd_segment segment = GD_SEGMENT_NONE;
    int code = gd_segment_create(&segment, "gromosd-result", bytes, GD_SEGMENT_LARGE_PAGES, err);
    if (code == 0)
        madvise(segment.base, segment.bytes, MADV_POPULATE_WRITE); /* an older kernel takes the faults one by one */
    pthread_mutex_lock(&pool->mutex);
    if (code == 0) {
        place->segment = segment;
        place->segment_id = ++pool->segments_made;
    } else {
        *place = (struct gd_pooled){.segment = GD_SEGMENT_NONE};
    }
    pthread_mutex_unlock(&pool->mutex);
    return code;
}

int gd_result_pool_release_idle(struct gd_result_pool *pool)
{
    int released = 0;
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        struct gd_segment segment = GD_SEGMENT_NONE;
        pthread_mutex_lock(&pool->mutex);
        if (pool->places[i].state == GD_POOLED_IDLE)
            segment = forget(pool, &pool->places[i]);
        pthread_mutex_unlock(&pool->mutex);
        released += segment.fd >= 0;
        release_memory(&segment, segment.fd >= 0);
    }
    return released;
}

int gd_result_pool_take(struct gd_result_pool *pool, size_t bytes, void **data, struct gd_err *err)
{
    struct gd_segment gone[GD_RESULT_PLACES];
    int gone_idle[GD_RESULT_PLACES];
    unsigned num_gone = 0;
    if (pool->control == NULL)
        return -1;
    uint64_t now_ns = gd_now_ns();
    pthread_mutex_lock(&pool->mutex);
    struct gd_pooled *place = NULL;
    int fresh = 0;
    if (!pool->ended) {
        find_returned(pool, now_ns);
        place = best_idle(pool, bytes);
        fresh = place == NULL;
        if (fresh)
            place = make_room(pool, with_slack(bytes), gone, gone_idle, &num_gone);
    }
    if (place != NULL) {
        place->state = GD_POOLED_FILLING;
        if (fresh)
            place->segment.bytes = with_slack(bytes); /* counts from now on */
        announce(pool, place, 0);
        pool->reused += !fresh;
    }
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < num_gone; i++)
        release_memory(&gone[i], gone_idle[i]);
    if (place == NULL)
        return -1;
    if (fresh && fill_place(pool, place, with_slack(bytes), err) != 0) {
        if (gd_result_pool_release_idle(pool) == 0)
            return GD_E_OUT_OF_MEMORY;
        gd_err_clear(err);
        return -1;
    }
    *data = place->segment.base;
    return (int)(place - pool->places);
}

void gd_result_pool_give_back(struct gd_result_pool *pool, int index)
{
    struct gd_segment gone = GD_SEGMENT_NONE;
    struct gd_pooled *place = &pool->places[index];
    pthread_mutex_lock(&pool->mutex);
    GD_CHECK(place->state == GD_POOLED_FILLING);
    place->state = GD_POOLED_IDLE;
    place->since_ns = gd_now_ns();
    if (pool->ended)
        gone = forget(pool, place);
    pthread_mutex_unlock(&pool->mutex);
    release_memory(&gone, 0);
}

/* ---- lending ---- */

void gd_result_pool_lend(struct gd_result_pool *pool, int index, uint64_t number)
{
    struct gd_pooled *place = &pool->places[index];
    pthread_mutex_lock(&pool->mutex);
    GD_CHECK(place->state == GD_POOLED_FILLING && number != 0);
    int ended = pool->ended;
    if (!ended) {
        place->state = GD_POOLED_LENT;
        place->fetched = 0;
        place->number = number;
        place->since_ns = gd_now_ns();
        announce(pool, place, number);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (ended)
        gd_result_pool_give_back(pool, index);
}

int gd_result_pool_fetch(struct gd_result_pool *pool, uint64_t number, int *fd, size_t *bytes, struct gd_err *err)
{
    int index = -1;
    pthread_mutex_lock(&pool->mutex);
    for (int i = 0; i < (int)GD_RESULT_PLACES && index < 0; i++) {
        struct gd_pooled *place = &pool->places[i];
        if (place->state != GD_POOLED_LENT || place->number != number)
            continue;
        *fd = fcntl(place->segment.fd_reader, F_DUPFD_CLOEXEC, 0);
        *bytes = place->segment.bytes;
        place->fetched |= *fd >= 0;
        index = *fd >= 0 ? i : gd_err_errno(err, GD_E_OUT_OF_MEMORY, "no descriptor for a result");
        break;
    }
    pthread_mutex_unlock(&pool->mutex);
    return index;
}

/* ---- giving memory back: on a worker, since it takes a while ---- */

struct releasing {
    uv_work_t work;
    unsigned count;
    int idle[GD_RESULT_PLACES];
    struct gd_segment segments[GD_RESULT_PLACES];
};

static void release_all(uv_work_t *work)
{
    struct releasing *releasing = work->data;
    for (unsigned i = 0; i < releasing->count; i++)
        release_memory(&releasing->segments[i], releasing->idle[i]);
}

static void released_all(uv_work_t *work, int status)
{
    (void)status;
    free(work->data);
}

/* Whether a place has to go: idle for long, or lent and not fetched; at the end all but what is being filled. */
static int is_over(const struct gd_result_pool *pool, const struct gd_pooled *place, uint64_t now_ns)
{
    switch (place->state) {
    case GD_POOLED_IDLE:
        return pool->ended || now_ns - place->since_ns > GD_RESULT_IDLE_NS;
    case GD_POOLED_LENT:
        return pool->ended || (now_ns - place->since_ns > GD_RESULT_KEEP_NS && !was_taken(pool, place));
    default:
        return 0;
    }
}

static void release_over(struct gd_result_pool *pool, uv_loop_t *loop, uint64_t now_ns)
{
    struct releasing now = {.count = 0};
    pthread_mutex_lock(&pool->mutex);
    find_returned(pool, now_ns);
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        struct gd_pooled *place = &pool->places[i];
        if (!is_over(pool, place, now_ns))
            continue;
        now.idle[now.count] = place->state == GD_POOLED_IDLE;
        now.segments[now.count++] = forget(pool, place);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (now.count == 0)
        return;
    struct releasing *later = malloc(sizeof *later);
    if (later != NULL) {
        *later = now;
        later->work.data = later;
        if (uv_queue_work(loop, &later->work, release_all, released_all) == 0)
            return;
        free(later);
    }
    now.work.data = &now;
    release_all(&now.work);
}

void gd_result_pool_tick(struct gd_result_pool *pool, uv_loop_t *loop, uint64_t now_ns)
{
    if (pool->control != NULL)
        release_over(pool, loop, now_ns);
}

void gd_result_pool_end(struct gd_result_pool *pool, uv_loop_t *loop)
{
    if (pool->control == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->ended = 1;
    pthread_mutex_unlock(&pool->mutex);
    release_over(pool, loop, gd_now_ns());
}

void gd_result_pool_free(struct gd_result_pool *pool)
{
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++)
        GD_CHECK(pool->places[i].state == GD_POOLED_EMPTY);
    pthread_mutex_destroy(&pool->mutex);
}
