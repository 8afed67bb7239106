#include "service/results.h"

#include "core/check.h"
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

int gd_result_allocate(struct gd_result_buffer *out, const struct gd_request *request, size_t bytes, struct gd_err *err)
{
    struct gd_result_buffer buffer = {.bytes = bytes, .segment = GD_SEGMENT_NONE};
    if (bytes >= GD_RESULT_SEGMENT_BYTES && request->session->local) {
        int code = gd_segment_create(&buffer.segment, "gromosd-result", bytes, 0, err);
        if (code != 0)
            return code;
        buffer.data = buffer.segment.base;
        madvise(buffer.data, bytes, MADV_POPULATE_WRITE); /* an older kernel takes the faults one by one */
    } else {
        if (bytes > gd_memory_available())
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "a result of %zu bytes is more than this machine has left", bytes);
        buffer.data = aligned_alloc(64, (bytes + 64) / 64 * 64);
        if (buffer.data == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a result of %zu bytes", bytes);
        memset(buffer.data, 0, bytes);
    }
    *out = buffer;
    return 0;
}

void gd_result_drop(struct gd_result_buffer *buffer)
{
    if (buffer->segment.fd >= 0)
        gd_segment_close(&buffer->segment);
    else
        free(buffer->data);
    buffer->data = NULL;
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
    if (buffer->segment.fd < 0) {
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
    request->result = buffer->segment;
    buffer->segment = GD_SEGMENT_NONE;
    buffer->data = NULL;
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
    if (request->result_number == 0)
        return 0;
    struct gd_result *result = malloc(sizeof *result);
    if (result == NULL || gd_table_put(&request->service->results, &request->result_number, sizeof request->result_number, result) != 0) {
        free(result);
        gd_segment_close(&request->result);
        return gd_err_set(&request->err, GD_E_OUT_OF_MEMORY, "no memory to keep a result");
    }
    *result = (struct gd_result){request->result_number, request->session->number, gd_now_ns(), request->result};
    request->result = GD_SEGMENT_NONE;
    request->result_number = 0;
    return 0;
}

static void drop(struct gd_service *service, struct gd_result *result)
{
    gd_table_remove(&service->results, &result->number, sizeof result->number);
    gd_segment_close(&result->segment);
    free(result);
}

int gd_result_take(struct gd_service *service, struct gd_session *session, uint64_t number, struct gd_segment *out, struct gd_err *err)
{
    struct gd_result *result = gd_table_get(&service->results, &number, sizeof number);
    if (result == NULL || result->session != session->number)
        return gd_err_set(err, GD_E_NOT_FOUND, "no result %llu for this session; results are fetched once, within 30 s",
                          (unsigned long long)number);
    *out = result->segment;
    result->segment = GD_SEGMENT_NONE;
    drop(service, result);
    return 0;
}

void gd_results_expire(struct gd_service *service, uint64_t now_ns)
{
    size_t cursor = 0;
    struct gd_result *result;
    while ((result = gd_table_next(&service->results, &cursor)) != NULL) {
        if (now_ns - result->made_ns > GD_RESULT_KEEP_NS)
            drop(service, result);
    }
}

void gd_results_forget(struct gd_service *service, const struct gd_session *session)
{
    size_t cursor = 0;
    struct gd_result *result;
    while ((result = gd_table_next(&service->results, &cursor)) != NULL) {
        if (session == NULL || result->session == session->number)
            drop(service, result);
    }
}
