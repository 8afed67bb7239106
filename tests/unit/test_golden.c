/* The golden messages of proto/golden: the codec and the dispatcher judge each request as the file says. The Python client is held
 * against the same file. */
#include "service/codec.h"
#include "service/dispatch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Parts in hexadecimal, separated by colons, into one buffer; returns how many. */
static unsigned decode_parts(const char *hex, unsigned char *buffer, const void *data[], size_t bytes[])
{
    unsigned parts = 0;
    unsigned char *at = buffer;
    do {
        data[parts] = at;
        while (*hex != '\0' && *hex != ':') {
            int high = hex_digit(hex[0]), low = hex_digit(hex[1]);
            cr_assert(high >= 0 && low >= 0, "not hexadecimal: %.8s", hex);
            *at++ = (unsigned char)(high << 4 | low);
            hex += 2;
        }
        bytes[parts] = (size_t)(at - (const unsigned char *)data[parts]);
        parts++;
        at = (unsigned char *)(((uintptr_t)at + 15) & ~(uintptr_t)15); /* as libzmq's buffers are aligned */
    } while (*hex++ == ':');
    return parts;
}

/* What the daemon makes of a request before any State is looked at. */
static int judge(const void *data[], const size_t bytes[], unsigned parts, struct gd_err *err)
{
    msgpack_zone zone;
    struct gd_envelope envelope;
    struct gd_value values[GD_MAX_ARGS];
    struct gd_parts raw = {.count = parts - 1};
    cr_assert(msgpack_zone_init(&zone, 4096));
    for (unsigned i = 1; i < parts; i++) {
        raw.data[i - 1] = data[i];
        raw.bytes[i - 1] = bytes[i];
    }
    int code = gd_codec_envelope(&envelope, data[0], bytes[0], &zone, err);
    const struct gd_command *command = NULL;
    if (code == 0 && envelope.version != GD_PROTOCOL_VERSION)
        code = gd_err_set(err, GD_E_PROTOCOL_MISMATCH, "version %lld", (long long)envelope.version);
    if (code == 0 && (command = gd_dispatch_find(envelope.command, envelope.command_bytes)) == NULL)
        code = gd_err_set(err, GD_E_UNKNOWN_COMMAND, "unknown");
    if (code == 0)
        code = gd_dispatch_args(command, &envelope.args, &raw, &zone, values, err);
    msgpack_zone_destroy(&zone);
    return code;
}

Test(golden, requests)
{
    FILE *file = fopen("proto/golden/messages.tsv", "r");
    cr_assert_not_null(file, "run from the repository's root");
    static char line[1 << 20];
    static unsigned char buffer[1 << 19];
    size_t judged = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        char *rest = line, *name = strsep(&rest, "\t"), *kind = strsep(&rest, "\t"), *hex = strsep(&rest, "\t"),
             *expected = strsep(&rest, "\t");
        cr_assert_not_null(expected, "%s: four columns", name);
        if (strcmp(kind, "request") != 0)
            continue;
        const void *data[64];
        size_t bytes[64];
        struct gd_err err = {0};
        unsigned parts = decode_parts(hex, buffer, data, bytes);
        if (parts > GD_PROTOCOL_MAX_PARTS)
            continue; /* the router refuses it before it gets here */
        int code = judge(data, bytes, parts, &err);
        const char *got = code == 0 ? "ok" : gd_error_name(code);
        cr_expect_str_eq(got, expected, "%s: expected %s, got %s (%s)", name, expected, got, err.text);
        judged++;
    }
    fclose(file);
    cr_assert_gt(judged, 50);
}
