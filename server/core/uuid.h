/* 16-byte identifiers as text and back. */
#ifndef GD_CORE_UUID_H
#define GD_CORE_UUID_H

#include <stdint.h>

#define GD_UUID_TEXT 37

/* Random, RFC 9562 version 4. 0, or -1 when the kernel gives no random numbers. */
int gd_uuid_make(uint8_t out[16]);
void gd_uuid_format(const uint8_t uuid[16], char out[GD_UUID_TEXT]);
/* Takes 32 hexadecimal digits, with or without dashes at their usual places. 0, or -1. */
int gd_uuid_parse(const char *text, uint8_t out[16]);

#endif
