/* A list of one-line messages: the notes a reader makes beside its result, or all faults of an input file at once.
 * Zero-initialise, then gd_messages_clear frees. Bounded: after GD_MESSAGES_MAX only the count goes on. */
#ifndef GD_IO_MESSAGES_H
#define GD_IO_MESSAGES_H

#include <stddef.h>

#define GD_MESSAGES_MAX 256

struct gd_messages {
    size_t count; /* of all messages */
    size_t kept;  /* of those in text */
    char **text;
};

/* NULL messages: nothing happens. Out of memory: the message is counted but not kept. */
void gd_messages_add(struct gd_messages *messages, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gd_messages_clear(struct gd_messages *messages);

#endif
