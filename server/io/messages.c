/* See messages.h. */
#include "io/messages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void gd_messages_add(struct gd_messages *messages, const char *format, ...)
{
    if (messages == NULL)
        return;
    messages->count++;
    if (messages->kept == GD_MESSAGES_MAX)
        return;
    if (messages->text == NULL && (messages->text = calloc(GD_MESSAGES_MAX, sizeof *messages->text)) == NULL)
        return;
    va_list args;
    va_start(args, format);
    if (vasprintf(&messages->text[messages->kept], format, args) >= 0)
        messages->kept++;
    va_end(args);
}

void gd_messages_clear(struct gd_messages *messages)
{
    for (size_t i = 0; i < messages->kept; i++)
        free(messages->text[i]);
    free(messages->text);
    *messages = (struct gd_messages){0};
}
