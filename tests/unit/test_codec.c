/* The bounded scan against hostile bytes, and replies as they are packed. */
#include "core/err.h"
#include "proto/gd_call.h"
#include "service/codec.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int scan(const char *bytes, size_t count, unsigned depth, struct gd_err *err)
{
    /* On the heap and of the exact size: a read past the end is seen by the sanitizers. */
    char *copy = malloc(count > 0 ? count : 1);
    memcpy(copy, bytes, count);
    int code = gd_codec_scan(copy, count, depth, err);
    free(copy);
    return code;
}

#define SCAN(literal, depth) scan(literal, sizeof literal - 1, depth, &err)

Test(codec, well_formed_values_pass)
{
    struct gd_err err = {0};
    cr_expect_eq(SCAN("\x01", 0), 0);
    cr_expect_eq(SCAN("\xc0", 0), 0);
    cr_expect_eq(SCAN("\x93\x01\x02\x03", 1), 0);
    cr_expect_eq(SCAN("\x82\xa1"
                      "a\x01\xa1"
                      "b\x91\xc3",
                      2),
                 0);
    cr_expect_eq(SCAN("\xc4\x03xyz", 0), 0);
    cr_expect_eq(SCAN("\xd9\x02hi", 0), 0);
    cr_expect_eq(SCAN("\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18", 0), 0);
    cr_expect_eq(SCAN("\xd8\x01"
                      "0123456789abcdef",
                      0),
                 0);
    cr_expect_eq(SCAN("\x80", 1), 0);
}

Test(codec, claims_beyond_the_bytes_are_refused)
{
    struct gd_err err = {0};
    cr_expect_eq(SCAN("\xdd\x01\xff\xff\xff", 4), GD_E_INVALID_MESSAGE); /* 33 million items in five bytes */
    cr_expect(strstr(err.text, "claims 33554431 items") != NULL, "%s", err.text);
    cr_expect_eq(SCAN("\xdf\xff\xff\xff\xff", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("\xdb\xff\xff\xff\xff", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("\xc6\x7f\xff\xff\xff", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("\xc9\xff\xff\xff\xff\x01", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("\x92\x01", 4), GD_E_INVALID_MESSAGE);
    cr_expect_eq(SCAN("\x01\x02", 4), GD_E_INVALID_MESSAGE); /* something follows */
    cr_expect_eq(SCAN("\xc1", 4), GD_E_INVALID_MESSAGE);
}

Test(codec, nesting_is_bounded)
{
    struct gd_err err = {0};
    char deep[40];
    memset(deep, '\x91', sizeof deep);
    deep[39] = '\x01';
    cr_expect_eq(scan(deep, sizeof deep, 8, &err), GD_E_INVALID_MESSAGE);
    cr_expect(strstr(err.text, "nested deeper than 8") != NULL, "%s", err.text);
    cr_expect_eq(scan(deep + 31, 9, 8, &err), 0);
    cr_expect_eq(scan(deep + 30, 10, 8, &err), GD_E_INVALID_MESSAGE);
}

/* Every prefix of a valid message is refused, and every single changed byte leaves the scanner in one piece. */
Test(codec, prefixes_and_flips)
{
    struct gd_err err = {0};
    static const char message[] = "\x84\xa1v\x01\xa2id\xcd\x01\x02\xa3"
                                  "cmd\xa4ping\xa4"
                                  "args\x81\xa1x\x93\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18\x02\xc4\x02zz";
    size_t count = sizeof message - 1;
    cr_assert_eq(scan(message, count, 8, &err), 0, "%s", err.text);
    for (size_t cut = 0; cut < count; cut++)
        cr_expect_eq(scan(message, cut, 8, &err), GD_E_INVALID_MESSAGE, "prefix of %zu bytes", cut);
    char changed[sizeof message];
    for (size_t at = 0; at < count; at++) {
        for (int value = 0; value < 256; value++) {
            memcpy(changed, message, sizeof message);
            changed[at] = (char)value;
            int code = scan(changed, count, 8, &err);
            cr_assert(code == 0 || code == GD_E_INVALID_MESSAGE);
        }
    }
}

Test(codec, an_error_keeps_the_id_when_it_was_read)
{
    struct gd_err err = {0};
    struct gd_envelope envelope;
    msgpack_zone zone;
    cr_assert(msgpack_zone_init(&zone, 1024));
    static const char message[] = "\x83\xa3zzz\x01\xa2id\x07\xa1v\x01"; /* an unknown field, then the id; no command */
    cr_expect_eq(gd_codec_envelope(&envelope, message, sizeof message - 1, &zone, &err), GD_E_INVALID_MESSAGE);
    cr_expect(envelope.has_id);
    cr_expect_eq(envelope.id, 7);
    msgpack_zone_destroy(&zone);
}

static unsigned released;
static void on_release(void *data, void *hint)
{
    (void)data, (void)hint;
    released++;
}

Test(codec, replies_release_their_parts_once)
{
    struct gd_reply reply;
    gd_reply_init(&reply);
    static char bytes[16];
    size_t shape[2] = {2, 2};
    for (int i = 0; i < GD_REPLY_PARTS + 3; i++) /* three more than fit */
        gd_reply_array(&reply, "x", GD_ELEMENT_F4, shape, 2, (struct gd_reply_part){bytes, sizeof bytes, on_release, NULL});
    cr_expect_eq(released, 3);
    cr_expect(reply.failed);
    gd_reply_free(&reply);
    cr_expect_eq(released, GD_REPLY_PARTS + 3);
}

/* ---- packets of calls at the door ---- */

/* Of the exact size on the heap. */
static unsigned split(const void *packet, size_t bytes, const void **parts, size_t *part_bytes, char **copy)
{
    *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(*copy, packet, bytes);
    return gd_call_split(*copy, bytes, parts, part_bytes);
}

Test(codec, packets_are_cut_where_they_say)
{
    struct {
        struct gd_call_head head;
        char body[24];
    } packet = {{GD_CALL_MAGIC, 3, {5, 0, 3}}, "abcde\0\0\0xyz"}; /* the empty part takes no room */
    const void *parts[GD_PROTOCOL_MAX_PARTS];
    size_t bytes[GD_PROTOCOL_MAX_PARTS];
    char *copy;
    cr_assert_eq(split(&packet, sizeof packet.head + 11, parts, bytes, &copy), 3);
    cr_expect(bytes[0] == 5 && bytes[1] == 0 && bytes[2] == 3);
    cr_expect(memcmp(parts[0], "abcde", 5) == 0 && memcmp(parts[2], "xyz", 3) == 0);
    cr_expect_eq((const char *)parts[2] - copy, (ptrdiff_t)sizeof packet.head + 8);
    free(copy);
    for (size_t size = 0; size < sizeof packet; size++) { /* cut anywhere, or with something behind */
        unsigned count = split(&packet, size, parts, bytes, &copy);
        cr_expect_eq(count, size == sizeof packet.head + 11 ? 3 : 0);
        free(copy);
    }
}

Test(codec, packets_that_lie_are_refused)
{
    const void *parts[GD_PROTOCOL_MAX_PARTS];
    size_t bytes[GD_PROTOCOL_MAX_PARTS];
    struct gd_call_head good = {GD_CALL_MAGIC, 1, {0}}, bad;
    char *copy;
    cr_expect_eq(split(&good, sizeof good, parts, bytes, &copy), 1);
    free(copy);
    const struct gd_call_head lies[] = {
        {GD_CALL_MAGIC + 1, 1, {0}},          {GD_CALL_MAGIC, 0, {0}},    {GD_CALL_MAGIC, GD_PROTOCOL_MAX_PARTS + 1, {0}},
        {GD_CALL_MAGIC, UINT32_MAX, {0}},     {GD_CALL_MAGIC, 1, {1}},    {GD_CALL_MAGIC, 1, {UINT32_MAX}},
        {GD_CALL_MAGIC, 2, {UINT32_MAX - 7}}, {GD_CALL_MAGIC, 2, {1, 0}},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        bad = lies[i];
        cr_expect_eq(split(&bad, sizeof bad, parts, bytes, &copy), 0, "lie %zu", i);
        free(copy);
    }
}
