/* Arrays in replies: small ones ride in the message, large ones for local sessions in a segment the door hands out once. */
#ifndef GD_SERVICE_RESULTS_H
#define GD_SERVICE_RESULTS_H

#include "core/segment.h"
#include "service/codec.h"

#include <stddef.h>
#include <stdint.h>

struct gd_request;
struct gd_service;
struct gd_session;

/* From this size on a local session gets a segment. */
#define GD_RESULT_SEGMENT_BYTES (256u * 1024u)
/* A segment nobody fetched is dropped after this long. */
#define GD_RESULT_KEEP_NS 30000000000ull

/* Room for one or more arrays of one reply, before it is known where they travel. Any thread. */
struct gd_result_buffer {
    void *data; /* zeroed, 64-byte aligned */
    size_t bytes;
    struct gd_segment segment; /* fd -1: on the heap */
};

/* GD_E_OUT_OF_MEMORY when the machine has no room for it. */
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

/* Loop thread: the segment a reply names becomes fetchable by its session; taken out by the door; old ones dropped. */
int gd_result_register(struct gd_request *request);
int gd_result_take(struct gd_service *service, struct gd_session *session, uint64_t number, struct gd_segment *out, struct gd_err *err);
void gd_results_expire(struct gd_service *service, uint64_t now_ns);
void gd_results_forget(struct gd_service *service, const struct gd_session *session); /* its session ended; NULL: all */

#endif
