#include "service/codec.h"

#include "core/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- bounded scan ---- */

struct scanner {
    const unsigned char *at, *end;
    struct gd_err *err;
};

static int truncated(struct scanner *s, const char *what)
{
    return gd_err_set(s->err, GD_E_INVALID_MESSAGE, "message ends in the middle of %s", what);
}

/* Reads a big-endian number of `width` bytes behind the type byte. */
static int take_number(struct scanner *s, unsigned width, uint64_t *out, const char *what)
{
    if ((size_t)(s->end - s->at) < width)
        return truncated(s, what);
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | *s->at++;
    *out = value;
    return 0;
}

static int skip_bytes(struct scanner *s, uint64_t count, const char *what)
{
    if (count > (uint64_t)(s->end - s->at))
        return gd_err_set(s->err, GD_E_INVALID_MESSAGE, "%s claims %llu bytes, %zu are left", what, (unsigned long long)count,
                          (size_t)(s->end - s->at));
    s->at += count;
    return 0;
}

/* What a type byte announces: raw bytes to skip, or items that follow. */
struct head {
    const char *what;
    uint64_t bytes;
    uint64_t items;
    int container;
};

static int read_head(struct scanner *s, struct head *head)
{
    if (s->at == s->end)
        return truncated(s, "a value");
    unsigned char b = *s->at++;
    *head = (struct head){"a number", 0, 0, 0};
    if (b <= 0x7f || b >= 0xe0 || b == 0xc0 || b == 0xc2 || b == 0xc3)
        return 0;
    if (b <= 0x8f)
        return *head = (struct head){"a map", 0, 2u * (b & 0x0fu), 1}, 0;
    if (b <= 0x9f)
        return *head = (struct head){"a list", 0, b & 0x0fu, 1}, 0;
    if (b <= 0xbf)
        return *head = (struct head){"a string", b & 0x1fu, 0, 0}, 0;
    uint64_t n = 0;
    switch (b) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
        head->what = "binary data";
        return take_number(s, 1u << (b - 0xc4), &head->bytes, head->what);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        head->what = "an extension";
        if (take_number(s, 1u << (b - 0xc7), &n, head->what) != 0)
            return GD_E_INVALID_MESSAGE;
        head->bytes = n + 1;
        return 0;
    case 0xca:
    case 0xce:
    case 0xd2:
        head->bytes = 4;
        return 0;
    case 0xcb:
    case 0xcf:
    case 0xd3:
        head->bytes = 8;
        return 0;
    case 0xcc:
    case 0xd0:
        head->bytes = 1;
        return 0;
    case 0xcd:
    case 0xd1:
        head->bytes = 2;
        return 0;
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        *head = (struct head){"an extension", (1u << (b - 0xd4)) + 1u, 0, 0};
        return 0;
    case 0xd9:
    case 0xda:
    case 0xdb:
        head->what = "a string";
        return take_number(s, 1u << (b - 0xd9), &head->bytes, head->what);
    case 0xdc:
    case 0xdd:
        *head = (struct head){"a list", 0, 0, 1};
        return take_number(s, b == 0xdc ? 2 : 4, &head->items, head->what);
    case 0xde:
    case 0xdf:
        *head = (struct head){"a map", 0, 0, 1};
        if (take_number(s, b == 0xde ? 2 : 4, &n, head->what) != 0)
            return GD_E_INVALID_MESSAGE;
        head->items = 2 * n;
        return 0;
    default:
        return gd_err_set(s->err, GD_E_INVALID_MESSAGE, "byte 0x%02x starts no msgpack value", b);
    }
}

#define SCAN_DEPTH_LIMIT 64

int gd_codec_scan(const void *data, size_t bytes, unsigned max_depth, struct gd_err *err)
{
    struct scanner s = {data, (const unsigned char *)data + bytes, err};
    uint64_t left[SCAN_DEPTH_LIMIT]; /* values still to come at each level */
    GD_CHECK(max_depth < SCAN_DEPTH_LIMIT);
    unsigned depth = 0;
    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                if (s.at != s.end)
                    return gd_err_set(err, GD_E_INVALID_MESSAGE, "%zu bytes follow the message", (size_t)(s.end - s.at));
                return 0;
            }
            depth--;
        }
        left[depth]--;
        struct head head = {0};
        int code = read_head(&s, &head);
        if (code == 0 && head.bytes > 0)
            code = skip_bytes(&s, head.bytes, head.what);
        if (code != 0)
            return code;
        if (head.container) {
            /* Every item is at least one byte. */
            if (head.items > (uint64_t)(s.end - s.at))
                return gd_err_set(err, GD_E_INVALID_MESSAGE, "%s claims %llu items, %zu bytes are left", head.what,
                                  (unsigned long long)head.items, (size_t)(s.end - s.at));
            if (++depth > max_depth)
                return gd_err_set(err, GD_E_INVALID_MESSAGE, "values are nested deeper than %u", max_depth);
            left[depth] = head.items;
        }
    }
}

/* ---- requests ---- */

static int key_is(const msgpack_object *key, const char *name)
{
    size_t n = strlen(name);
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == n && memcmp(key->via.str.ptr, name, n) == 0;
}

static int take_field(struct gd_envelope *out, const msgpack_object_kv *kv, unsigned *seen, struct gd_err *err)
{
    const msgpack_object *value = &kv->val;
    if (key_is(&kv->key, "v")) {
        if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->via.u64 > INT32_MAX)
            return gd_err_set(err, GD_E_INVALID_MESSAGE, "'v' must be the protocol version, a whole number");
        out->version = (int64_t)value->via.u64;
        *seen |= 1;
    } else if (key_is(&kv->key, "id")) {
        if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
            return gd_err_set(err, GD_E_INVALID_MESSAGE, "'id' must be a whole number from 0");
        out->id = value->via.u64;
        out->has_id = 1;
    } else if (key_is(&kv->key, "cmd")) {
        if (value->type != MSGPACK_OBJECT_STR)
            return gd_err_set(err, GD_E_INVALID_MESSAGE, "'cmd' must be a string");
        out->command = value->via.str.ptr;
        out->command_bytes = value->via.str.size;
    } else if (key_is(&kv->key, "args")) {
        if (value->type != MSGPACK_OBJECT_MAP)
            return gd_err_set(err, GD_E_INVALID_MESSAGE, "'args' must be a map");
        out->args = value->via.map;
    } else if (key_is(&kv->key, "memory")) {
        if (value->type != MSGPACK_OBJECT_ARRAY)
            return gd_err_set(err, GD_E_INVALID_MESSAGE, "'memory' must be a list of whole numbers");
        out->memory = value->via.array;
    } else {
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "a request has the fields v, id, cmd, args and memory, and no other");
    }
    return 0;
}

int gd_codec_envelope(struct gd_envelope *out, const void *data, size_t bytes, msgpack_zone *zone, struct gd_err *err)
{
    memset(out, 0, sizeof *out);
    out->version = -1;
    if (bytes > GD_PROTOCOL_MAX_MAP_BYTES)
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "the map has %zu bytes, at most %d are taken; arrays go into parts of their own",
                          bytes, GD_PROTOCOL_MAX_MAP_BYTES);
    int code = gd_codec_scan(data, bytes, GD_PROTOCOL_MAX_DEPTH, err);
    if (code != 0)
        return code;
    msgpack_object object;
    size_t offset = 0;
    msgpack_unpack_return got = msgpack_unpack(data, bytes, &offset, zone, &object);
    if (got == MSGPACK_UNPACK_NOMEM_ERROR)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to decode a message of %zu bytes", bytes);
    if (got != MSGPACK_UNPACK_SUCCESS && got != MSGPACK_UNPACK_EXTRA_BYTES)
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "the message is not msgpack");
    if (object.type != MSGPACK_OBJECT_MAP)
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "a request is a map {v, id, cmd, args}");
    unsigned seen = 0;
    for (uint32_t i = 0; i < object.via.map.size; i++) {
        int field = take_field(out, &object.via.map.ptr[i], &seen, err);
        if (code == 0)
            code = field; /* go on: an id may follow that the error can be addressed to */
    }
    if (code != 0)
        return code;
    if (!out->has_id || !(seen & 1) || out->command == NULL)
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "a request needs v, id and cmd");
    return 0;
}

/* ---- arrays ---- */

static const struct {
    const char *name;
    size_t bytes;
} elements[] = {{"f4", 4}, {"f8", 8}, {"i4", 4}, {"i8", 8}, {"u1", 1}};

size_t gd_element_bytes(enum gd_element element)
{
    return elements[element].bytes;
}

const char *gd_element_name(enum gd_element element)
{
    return elements[element].name;
}

int gd_element_from_name(const char *name, size_t bytes, enum gd_element *out)
{
    for (unsigned i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (bytes == strlen(elements[i].name) && memcmp(name, elements[i].name, bytes) == 0) {
            *out = (enum gd_element)i;
            return 0;
        }
    }
    return -1;
}

/* ---- replies ---- */

static int write_checked(void *data, const char *bytes, size_t count)
{
    struct gd_reply *reply = data;
    int code = msgpack_sbuffer_write(&reply->map, bytes, count);
    if (code != 0)
        reply->failed = 1;
    return code;
}

void gd_reply_init(struct gd_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    msgpack_sbuffer_init(&reply->map);
    msgpack_packer_init(&reply->packer, reply, write_checked);
}

void gd_reply_free(struct gd_reply *reply)
{
    for (unsigned i = 0; i < reply->num_parts; i++) {
        if (reply->parts[i].release != NULL)
            reply->parts[i].release(reply->parts[i].data, reply->parts[i].hint);
    }
    msgpack_sbuffer_destroy(&reply->map);
    reply->num_parts = 0;
}

/* Bytes of the UTF-8 character that starts here, 0 if none does. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

int gd_utf8_valid(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0, n; i < bytes; i += n) {
        n = utf8_length(s + i, bytes - i);
        if (n == 0)
            return 0;
    }
    return 1;
}

/* A text may quote a file or a client's bytes, or half a character of them: what is no UTF-8 becomes '?', for nobody could read the reply. */
void gd_pack_str(msgpack_packer *packer, const char *value)
{
    size_t bytes = strlen(value), begin = 0;
    msgpack_pack_str(packer, bytes);
    for (size_t i = 0, n; i < bytes; i += n) {
        n = utf8_length((const unsigned char *)value + i, bytes - i);
        if (n > 0)
            continue;
        msgpack_pack_str_body(packer, value + begin, i - begin);
        msgpack_pack_str_body(packer, "?", 1);
        n = 1;
        begin = i + 1;
    }
    msgpack_pack_str_body(packer, value + begin, bytes - begin);
}

void gd_pack_reals(msgpack_packer *packer, const double *values, size_t count)
{
    msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++)
        msgpack_pack_double(packer, values[i]);
}

void gd_pack_box(msgpack_packer *packer, const struct gd_box *box)
{
    msgpack_pack_map(packer, 2);
    gd_pack_str(packer, "kind");
    msgpack_pack_int32(packer, box->kind);
    gd_pack_str(packer, "vectors");
    gd_pack_reals(packer, &box->vectors[0][0], 9);
}

static void begin_field(struct gd_reply *reply, const char *name)
{
    gd_pack_str(&reply->packer, name);
    reply->fields++;
}

void gd_reply_int(struct gd_reply *reply, const char *name, int64_t value)
{
    begin_field(reply, name);
    msgpack_pack_int64(&reply->packer, value);
}

void gd_reply_real(struct gd_reply *reply, const char *name, double value)
{
    begin_field(reply, name);
    msgpack_pack_double(&reply->packer, value);
}

void gd_reply_bool(struct gd_reply *reply, const char *name, int value)
{
    begin_field(reply, name);
    if (value)
        msgpack_pack_true(&reply->packer);
    else
        msgpack_pack_false(&reply->packer);
}

void gd_reply_str(struct gd_reply *reply, const char *name, const char *value)
{
    begin_field(reply, name);
    gd_pack_str(&reply->packer, value);
}

void gd_reply_bin(struct gd_reply *reply, const char *name, const void *data, size_t bytes)
{
    begin_field(reply, name);
    msgpack_pack_bin(&reply->packer, bytes);
    msgpack_pack_bin_body(&reply->packer, data, bytes);
}

void gd_reply_reals(struct gd_reply *reply, const char *name, const double *values, size_t count)
{
    begin_field(reply, name);
    gd_pack_reals(&reply->packer, values, count);
}

void gd_reply_box(struct gd_reply *reply, const char *name, const struct gd_box *box)
{
    begin_field(reply, name);
    gd_pack_box(&reply->packer, box);
}

void gd_reply_list(struct gd_reply *reply, const char *name, size_t count)
{
    begin_field(reply, name);
    msgpack_pack_array(&reply->packer, count);
}

void gd_reply_map(struct gd_reply *reply, const char *name, size_t count)
{
    begin_field(reply, name);
    msgpack_pack_map(&reply->packer, count);
}

static void pack_shape(msgpack_packer *packer, enum gd_element element, const size_t *shape, unsigned dimensions)
{
    gd_pack_str(packer, "dtype");
    gd_pack_str(packer, gd_element_name(element));
    gd_pack_str(packer, "shape");
    msgpack_pack_array(packer, dimensions);
    for (unsigned i = 0; i < dimensions; i++)
        msgpack_pack_uint64(packer, shape[i]);
}

void gd_pack_array(msgpack_packer *packer, enum gd_element element, const size_t *shape, unsigned dimensions, unsigned part)
{
    msgpack_pack_map(packer, 3);
    gd_pack_str(packer, "part");
    msgpack_pack_uint32(packer, part);
    pack_shape(packer, element, shape, dimensions);
}

void gd_pack_result(msgpack_packer *packer, enum gd_element element, const size_t *shape, unsigned dimensions, uint64_t number,
                    size_t offset, size_t bytes)
{
    msgpack_pack_map(packer, 5);
    gd_pack_str(packer, "segment");
    msgpack_pack_uint64(packer, number);
    gd_pack_str(packer, "offset");
    msgpack_pack_uint64(packer, offset);
    gd_pack_str(packer, "bytes");
    msgpack_pack_uint64(packer, bytes);
    pack_shape(packer, element, shape, dimensions);
}

int gd_reply_add_part(struct gd_reply *reply, struct gd_reply_part part)
{
    if (reply->num_parts == GD_REPLY_PARTS) {
        reply->failed = 1;
        if (part.release != NULL)
            part.release(part.data, part.hint);
        return 0;
    }
    reply->parts[reply->num_parts++] = part;
    return (int)reply->num_parts;
}

void gd_reply_array(struct gd_reply *reply, const char *name, enum gd_element element, const size_t *shape, unsigned dimensions,
                    struct gd_reply_part part)
{
    int number = gd_reply_add_part(reply, part);
    begin_field(reply, name);
    gd_pack_array(&reply->packer, element, shape, dimensions, (unsigned)number);
}

void gd_codec_finish(msgpack_sbuffer *out, uint64_t id, const struct gd_reply *reply)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 4);
    gd_pack_str(&packer, "v");
    msgpack_pack_int(&packer, GD_PROTOCOL_VERSION);
    gd_pack_str(&packer, "id");
    msgpack_pack_uint64(&packer, id);
    gd_pack_str(&packer, "ok");
    msgpack_pack_true(&packer);
    gd_pack_str(&packer, "result");
    msgpack_pack_map(&packer, reply->fields);
    if (reply->map.size > 0)
        msgpack_sbuffer_write(out, reply->map.data, reply->map.size);
}

void gd_codec_error(msgpack_sbuffer *out, uint64_t id, const struct gd_err *err, const struct gd_messages *faults)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 4);
    gd_pack_str(&packer, "v");
    msgpack_pack_int(&packer, GD_PROTOCOL_VERSION);
    gd_pack_str(&packer, "id");
    msgpack_pack_uint64(&packer, id);
    gd_pack_str(&packer, "ok");
    msgpack_pack_false(&packer);
    gd_pack_str(&packer, "error");
    msgpack_pack_map(&packer, 3);
    gd_pack_str(&packer, "code");
    gd_pack_str(&packer, gd_error_name(err->code));
    gd_pack_str(&packer, "message");
    gd_pack_str(&packer, err->text);
    gd_pack_str(&packer, "detail");
    if (faults == NULL || faults->kept == 0) {
        msgpack_pack_map(&packer, 0);
        return;
    }
    msgpack_pack_map(&packer, 1);
    gd_pack_str(&packer, "faults");
    msgpack_pack_array(&packer, faults->kept);
    for (size_t i = 0; i < faults->kept; i++)
        gd_pack_str(&packer, faults->text[i]);
}
