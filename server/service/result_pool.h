/* The segments of one local session's large results, kept for its next results.
 *
 * New shared memory costs more than most computations that fill it: pages are found and zeroed, and mapped on both sides. So the
 * segment of a result the client is done with is used for the next one. The rule that keeps a result from changing under somebody who
 * still has it: a segment is written again only after the client has said, in its control block, that nothing refers to the result that
 * lies in it (gd_result_place.returned), and only for the session that said so. Whoever does not say so keeps the segment for
 * himself: the pool forgets it in favour of a newer one, and the memory goes with the client's mapping.
 *
 * A place is empty, being filled by one request, lent, or idle. It is bounded by GD_RESULT_PLACES and by the setting
 * result_pool; idle memory is given back after GD_RESULT_IDLE_NS, or when there is no other. The pool lives in its session; take,
 * give_back and release_idle are for any thread, the rest is for the loop thread. */
#ifndef GD_SERVICE_RESULT_POOL_H
#define GD_SERVICE_RESULT_POOL_H

#include "core/segment.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* A result nobody fetched is dropped after this long. */
#define GD_RESULT_KEEP_NS 30000000000ull
/* Memory that was returned and not used again is given back after this long. */
#define GD_RESULT_IDLE_NS 5000000000ull

enum gd_pooled_state { GD_POOLED_EMPTY, GD_POOLED_FILLING, GD_POOLED_LENT, GD_POOLED_IDLE };

struct gd_pooled {
    enum gd_pooled_state state;
    int fetched; /* lent, and its descriptor was handed out */
    uint64_t number, segment_id;
    uint64_t since_ns; /* of the state */
    struct gd_segment segment;
};

struct gd_result_pool {
    pthread_mutex_t mutex;
    struct gd_control_block *control; /* NULL: nothing is pooled */
    size_t limit;
    int ended;
    uint64_t segments_made;
    uint64_t reused; /* results that needed no new memory */
    struct gd_pooled places[GD_RESULT_PLACES];
};

void gd_result_pool_init(struct gd_result_pool *pool);
/* From now on results are pooled, up to `limit` bytes. The control block must live as long as the pool. */
void gd_result_pool_open(struct gd_result_pool *pool, struct gd_control_block *control, size_t limit);
void gd_result_pool_free(struct gd_result_pool *pool);

/* A place with a segment of at least `bytes` to be filled; -1 when the pool has no room, or GD_E_OUT_OF_MEMORY.
 * What the segment holds is arbitrary. */
int gd_result_pool_take(struct gd_result_pool *pool, size_t bytes, void **data, struct gd_err *err);
/* It was not needed. */
void gd_result_pool_give_back(struct gd_result_pool *pool, int place);
/* The filled segment is the result `number` (not 0) of this session from now on. */
void gd_result_pool_lend(struct gd_result_pool *pool, int place, uint64_t number);
/* The place of a lent result, a duplicate of its readers' descriptor and its bytes; -1 when it is not here, GD_E_OUT_OF_MEMORY
 * when there are no descriptors left. */
int gd_result_pool_fetch(struct gd_result_pool *pool, uint64_t number, int *fd, size_t *bytes, struct gd_err *err);
/* Bytes of results that are being filled, or that the client has not returned. */
size_t gd_result_pool_in_use(struct gd_result_pool *pool);
/* Gives all idle memory back, for want of it; how many segments that was. */
int gd_result_pool_release_idle(struct gd_result_pool *pool);
/* Gives memory back that was idle for long; unfetched results are forgotten. */
void gd_result_pool_tick(struct gd_result_pool *pool, uv_loop_t *loop, uint64_t now_ns);
/* The session ended: everything but what is being filled goes. */
void gd_result_pool_end(struct gd_result_pool *pool, uv_loop_t *loop);

#endif
