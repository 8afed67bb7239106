#include "core/uuid.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int gd_uuid_make(uint8_t out[16])
{
    if (getrandom(out, 16, 0) != 16)
        return -1;
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
    return 0;
}

void gd_uuid_format(const uint8_t uuid[16], char out[GD_UUID_TEXT])
{
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += sprintf(p, "%02x", uuid[i]);
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int gd_uuid_parse(const char *text, uint8_t out[16])
{
    size_t length = strlen(text);
    if (length != 32 && length != 36)
        return -1;
    uint8_t parsed[16];
    for (int i = 0; i < 16; i++) {
        if (length == 36 && (i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -1;
        int high = digit(text[0]);
        int low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return -1;
        parsed[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    memcpy(out, parsed, 16);
    return 0;
}
