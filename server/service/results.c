#include "service/results.h"

#include "core/check.h"
#include "proto/gd_call.h"
#include "service/charges.h"
#include "service/request.h"
#include "service/service.h"
#include "service/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct gd_result {
    uint64_t number;
    uint32_t session;
    uint64_t made_ns;
    struct gd_segment segment;
};

/* From the session's pool, or one that is used once. */
static int allocate_segment(struct gd_result_buffer *buffer, struct gd_session *session, struct gd_err *err)
{
    struct gd_result_pool *pool = &session->results;
    int place = gd_result_pool_take(pool, buffer->bytes, &buffer->data, err);
    if (place >= 0) {
        buffer->pool = pool;
        buffer->place = place;
        return 0;
    }
    if (place == GD_E_OUT_OF_MEMORY)
        return place;
    int code = gd_segment_create(&buffer->segment, "gromosd-result", buffer->bytes, GD_SEGMENT_LARGE_PAGES, err);
    if (code != 0)
        return code;
    buffer->data = buffer->segment.base;
    buffer->payer = session;
    atomic_fetch_add(&session->result_bytes, buffer->segment.bytes);
    madvise(buffer->data, buffer->bytes, MADV_POPULATE_WRITE); /* an older kernel takes the faults one by one */
    return 0;
}

int gd_result_allocate(struct gd_result_buffer *out, const struct gd_request *request, size_t bytes, struct gd_err *err)
{
    struct gd_result_buffer buffer = GD_RESULT_NONE;
    buffer.bytes = bytes;
    size_t segment_from = request->from.line != NULL ? GD_CALL_ARRAY_BYTES : GD_RESULT_SEGMENT_BYTES;
    if (bytes >= segment_from && request->session->local) {
        int code = gd_charge_check(request->service, request->session, bytes, "a result", err);
        if (code == 0)
            code = allocate_segment(&buffer, request->session, err);
        if (code != 0)
            return code;
    } else {
        /* What is smaller comes from the reserve of gd_memory_available, which takes longer to ask than most such results to compute. */
        if (bytes >= GD_RESULT_SEGMENT_BYTES && bytes > gd_memory_available())
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "a result of %zu bytes is more than this machine has left", bytes);
        buffer.data = aligned_alloc(64, (bytes + 64) / 64 * 64);
        if (buffer.data == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a result of %zu bytes", bytes);
    }
    *out = buffer;
    return 0;
}

static void release(struct gd_session *payer, struct gd_segment *segment)
{
    if (payer != NULL)
        atomic_fetch_sub(&payer->result_bytes, segment->bytes);
    gd_segment_close(segment);
}

void gd_result_drop(struct gd_result_buffer *buffer)
{
    if (buffer->pool != NULL)
        gd_result_pool_give_back(buffer->pool, buffer->place);
    else if (buffer->segment.fd >= 0)
        release(buffer->payer, &buffer->segment);
    else
        free(buffer->data);
    *buffer = GD_RESULT_NONE;
}

/* Several parts of one reply may lie in one buffer: the last one libzmq lets go of frees it. */
struct shared_buffer {
    void *data;
    _Atomic unsigned users;
};

static void release_shared(void *data, void *hint)
{
    (void)data;
    struct shared_buffer *shared = hint;
    if (atomic_fetch_sub(&shared->users, 1) == 1) {
        free(shared->data);
        free(shared);
    }
}

static size_t array_bytes(const struct gd_result_array *array)
{
    size_t count = 1;
    for (unsigned i = 0; i < array->dimensions; i++)
        count *= array->shape[i];
    return count * gd_element_bytes(array->element);
}

static void reply_parts(struct gd_request *request, struct gd_result_buffer *buffer, const struct gd_result_array *arrays, unsigned count)
{
    struct shared_buffer *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        request->reply.failed = 1;
        gd_result_drop(buffer);
        return;
    }
    shared->data = buffer->data;
    atomic_init(&shared->users, count);
    for (unsigned i = 0; i < count; i++) {
        struct gd_reply_part part = {(char *)buffer->data + arrays[i].offset, array_bytes(&arrays[i]), release_shared, shared};
        gd_reply_array(&request->reply, arrays[i].name, arrays[i].element, arrays[i].shape, arrays[i].dimensions, part);
    }
    buffer->data = NULL;
}

void gd_result_reply(struct gd_request *request, struct gd_result_buffer *buffer, const struct gd_result_array *arrays, unsigned count)
{
    if (buffer->segment.fd < 0 && buffer->pool == NULL) {
        reply_parts(request, buffer, arrays, count);
        return;
    }
    /* Numbers are random, so that one session cannot fetch another's result by counting. */
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)(uintptr_t)request ^ gd_now_ns();
    number = number >> 2 | 1;
    for (unsigned i = 0; i < count; i++) {
        gd_pack_str(&request->reply.packer, arrays[i].name);
        request->reply.fields++;
        gd_pack_result(&request->reply.packer, arrays[i].element, arrays[i].shape, arrays[i].dimensions, number, arrays[i].offset,
                       array_bytes(&arrays[i]));
    }
    request->result_number = number;
    request->result = *buffer;
    *buffer = GD_RESULT_NONE;
}

void gd_result_reply_map(struct gd_request *request, const char *name, struct gd_result_buffer *buffer,
                         const struct gd_result_array *arrays, unsigned count)
{
    gd_reply_map(&request->reply, name, count);
    uint32_t fields = request->reply.fields;
    gd_result_reply(request, buffer, arrays, count);
    request->reply.fields = fields; /* they are the map's, not the result's */
}

int gd_result_register(struct gd_request *request)
{
    uint64_t number = request->result_number;
    struct gd_result_buffer *buffer = &request->result;
    if (number == 0)
        return 0;
    request->result_number = 0;
    if (buffer->pool != NULL) {
        gd_result_pool_lend(buffer->pool, buffer->place, number);
        *buffer = GD_RESULT_NONE;
        return 0;
    }
    struct gd_result *result = malloc(sizeof *result);
    if (result != NULL) {
        *result = (struct gd_result){number, request->session->number, gd_now_ns(), buffer->segment};
        if (gd_table_put(&request->service->results, &result->number, sizeof result->number, result) == 0) {
            *buffer = GD_RESULT_NONE;
            return 0;
        }
    }
    free(result);
    gd_result_drop(buffer);
    return gd_err_set(&request->err, GD_E_OUT_OF_MEMORY, "no memory to keep a result");
}

static void drop(struct gd_service *service, struct gd_result *result)
{
    gd_table_remove(&service->results, &result->number, sizeof result->number);
    release(gd_session_by_number(service, result->session), &result->segment);
    free(result);
}

int gd_result_take(struct gd_service *service, struct gd_session *session, uint64_t number, struct gd_fetched *out, struct gd_err *err)
{
    int place = gd_result_pool_fetch(&session->results, number, &out->fd, &out->bytes, err);
    out->place = place;
    if (place >= 0 || place == GD_E_OUT_OF_MEMORY)
        return place >= 0 ? 0 : place;
    struct gd_result *result = gd_table_get(&service->results, &number, sizeof number);
    if (result == NULL || result->session != session->number)
        return gd_err_set(err, GD_E_NOT_FOUND, "no result %llu for this session; results are fetched once, within 30 s",
                          (unsigned long long)number);
    out->fd = result->segment.fd_reader;
    out->bytes = result->segment.bytes;
    result->segment.fd_reader = -1;
    drop(service, result);
    return 0;
}

void gd_results_tick(struct gd_service *service, uint64_t now_ns)
{
    size_t cursor = 0;
    struct gd_result *result;
    while ((result = gd_table_next(&service->results, &cursor)) != NULL) {
        if (now_ns - result->made_ns > GD_RESULT_KEEP_NS)
            drop(service, result);
    }
    cursor = 0;
    struct gd_session *session;
    while ((session = gd_table_next(&service->sessions, &cursor)) != NULL)
        gd_result_pool_tick(&session->results, service->loop, now_ns);
}

void gd_results_release_idle(struct gd_service *service)
{
    size_t cursor = 0;
    struct gd_session *session;
    while ((session = gd_table_next(&service->sessions, &cursor)) != NULL)
        gd_result_pool_release_idle(&session->results);
}

void gd_results_forget(struct gd_service *service, struct gd_session *session)
{
    size_t cursor = 0;
    struct gd_result *result;
    while ((result = gd_table_next(&service->results, &cursor)) != NULL) {
        if (session == NULL || result->session == session->number)
            drop(service, result);
    }
    if (session != NULL)
        gd_result_pool_end(&session->results, service->loop);
}
