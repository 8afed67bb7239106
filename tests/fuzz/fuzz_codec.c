/* What a client may send: a first byte that says where the message is cut into parts, then the bytes. The codec and the dispatcher
 * must refuse or accept it, never more. The same bytes are taken for a packet of a call at the door, whose parts must lie within it. */
#include "proto/gd_call.h"
#include "service/codec.h"
#include "service/dispatch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_packet(const uint8_t *data, size_t size)
{
    const void *parts[GD_PROTOCOL_MAX_PARTS];
    size_t bytes[GD_PROTOCOL_MAX_PARTS];
    unsigned count = gd_call_split(data, size, parts, bytes);
    for (unsigned i = 0; i < count; i++) {
        size_t at = (size_t)((const uint8_t *)parts[i] - data);
        if (at > size || bytes[i] > size - at)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    take_packet(data, size);
    size_t map_bytes = size - 1, tail = data[0] & 0x3fu;
    if (tail > map_bytes)
        tail = map_bytes;
    map_bytes -= tail;
    /* Exact copies on the heap, so that a read past an end is seen. */
    uint8_t *map = malloc(map_bytes + 1), *part = malloc(tail + 1);
    if (map == NULL || part == NULL)
        abort();
    memcpy(map, data + 1, map_bytes);
    memcpy(part, data + 1 + map_bytes, tail);
    msgpack_zone zone;
    struct gd_envelope envelope;
    struct gd_err err = {0};
    if (msgpack_zone_init(&zone, 4096)) {
        if (gd_codec_envelope(&envelope, map, map_bytes, &zone, &err) == 0) {
            const struct gd_command *command = gd_dispatch_find(envelope.command, envelope.command_bytes);
            struct gd_parts parts = {.data = {part}, .bytes = {tail}, .count = 1};
            struct gd_value values[GD_MAX_ARGS];
            if (command != NULL)
                gd_dispatch_args(command, &envelope.args, &parts, &zone, values, &err);
        }
        msgpack_zone_destroy(&zone);
    }
    free(map);
    free(part);
    return 0;
}
