/* Arrays in replies: small ones ride in the message, large ones for local sessions in a segment the door hands out, from the session's
 * pool (result_pool.h) or, when that has no room, one that is used once. */
#ifndef GD_SERVICE_RESULTS_H
#define GD_SERVICE_RESULTS_H

#include "core/segment.h"
#include "service/codec.h"
#include "service/result_pool.h"

#include <stddef.h>
#include <stdint.h>

struct gd_request;
struct gd_service;
struct gd_session;

/* From this size on a local session gets a segment; one that calls at the door from GD_CALL_ARRAY_BYTES on. */
#define GD_RESULT_SEGMENT_BYTES (256u * 1024u)

/* Room for one or more arrays of one reply, before it is known where they travel. Any thread. */
struct gd_result_buffer {
    void *data; /* 64-byte aligned; holds anything, the handler writes all of what it replies with */
    size_t bytes;
    struct gd_segment segment;   /* used once; fd -1: from the pool, or on the heap */
    struct gd_session *payer;    /* of a segment used once */
    struct gd_result_pool *pool; /* NULL: not from a pool */
    int place;
};
#define GD_RESULT_NONE ((struct gd_result_buffer){.segment = GD_SEGMENT_NONE})

/* GD_E_OUT_OF_MEMORY when the machine has no room for it, GD_E_QUOTA_EXCEEDED when a segment for it is beyond the session's. */
int gd_result_allocate(struct gd_result_buffer *out, const struct gd_request *request, size_t bytes, struct gd_err *err);
void gd_result_drop(struct gd_result_buffer *buffer);

/* One array in the buffer: dtype, shape, offset. */
struct gd_result_array {
    const char *name;
    enum gd_element element;
    unsigned dimensions;
    size_t shape[4];
    size_t offset;
};

/* Packs the arrays' descriptions into the reply and hands the buffer over, as parts or as a result segment to be fetched.
 * The buffer is consumed. Any thread: the segment is registered by the loop thread when the reply is sent. */
void gd_result_reply(struct gd_request *request, struct gd_result_buffer *buffer, const struct gd_result_array *arrays, unsigned count);

/* The same as one field that is a map from array name to array. */
void gd_result_reply_map(struct gd_request *request, const char *name, struct gd_result_buffer *buffer,
                         const struct gd_result_array *arrays, unsigned count);

/* What the door hands out: the descriptor is the caller's to close. */
struct gd_fetched {
    int fd;
    int place; /* in the session's pool; negative: not from there */
    size_t bytes;
};

/* Loop thread: the segment a reply names becomes fetchable by its session; taken out by the door; old ones dropped; idle ones
 * given back for want of memory. */
int gd_result_register(struct gd_request *request);
int gd_result_take(struct gd_service *service, struct gd_session *session, uint64_t number, struct gd_fetched *out, struct gd_err *err);
void gd_results_tick(struct gd_service *service, uint64_t now_ns);
void gd_results_release_idle(struct gd_service *service);
void gd_results_forget(struct gd_service *service, struct gd_session *session); /* its session ended; NULL: all */

#endif
