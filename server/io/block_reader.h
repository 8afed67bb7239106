/* Text files made of blocks, as GROMOS writes them:
 *
 *     NAME
 *     # a comment, to the end of the line
 *     contents
 *     END
 *
 * A block file is read whole (plain or gzip), checked for its outer form and indexed; the contents of a block are then
 * taken token by token or line by line through a cursor. Nothing is ever interpreted twice or copied: blocks, lines and
 * tokens point into the one buffer, and memory stays proportional to the (uncompressed, limited) size of the file.
 *
 * Every fault is reported as `file:line: block NAME: what was wrong, what would be right` with GD_E_FILE_FORMAT; a file
 * that cannot be opened or read is GD_E_FILE_ACCESS. Input may be hostile. All functions are reentrant; one object
 * belongs to one thread at a time. */
#ifndef GD_IO_BLOCK_READER_H
#define GD_IO_BLOCK_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define GD_BLOCK_FILE_MAX_BYTES ((size_t)1 << 31) /* of text, after decompression */

struct gd_block {
    const char *name; /* not terminated */
    size_t name_length;
    const char *begin, *end; /* contents: after the name's line, before the line of END */
    size_t line;             /* of the name, from 1 */
    bool used;               /* somebody asked for it: see gd_block_file_first_unused */
};

struct gd_block_file {
    char *path; /* as shown in messages */
    char *text; /* size bytes and a terminating zero */
    size_t size;
    struct gd_block *blocks;
    size_t num_blocks;
};

/* Reads and indexes a file; its contents decide whether it is gzip. max_bytes 0 stands for GD_BLOCK_FILE_MAX_BYTES. */
int gd_block_file_open(struct gd_block_file **out, const char *path, size_t max_bytes, struct gd_err *err);

/* The same from memory, which is copied; gzip is not recognised. name stands for the path in messages. */
int gd_block_file_from_memory(struct gd_block_file **out, const char *name, const void *data, size_t size, struct gd_err *err);
void gd_block_file_destroy(struct gd_block_file **file);

/* The block of this name, NULL when there is none; marks it used. */
struct gd_block *gd_block_file_find(struct gd_block_file *file, const char *name);

/* As find, but a second block of the same name, or (required) none at all, is an error. */
int gd_block_file_single(struct gd_block_file *file, const char *name, bool required, struct gd_block **out, struct gd_err *err);

bool gd_block_is(const struct gd_block *block, const char *name);

/* "file: " + text, for what concerns no line. Returns GD_E_FILE_FORMAT. */
int gd_block_file_fault(const struct gd_block_file *file, struct gd_err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Where reading stands in one block. */
struct gd_cursor {
    const struct gd_block_file *file;
    const struct gd_block *block;
    const char *at;
    size_t line;    /* of the token or line last taken, or of END when there was none left */
    size_t at_line; /* of `at` */
};

struct gd_token {
    const char *text; /* not terminated */
    size_t length;    /* > 0 */
    size_t line;
};

void gd_cursor_start(struct gd_cursor *cursor, const struct gd_block_file *file, const struct gd_block *block);

/* The next token, over line ends and comments; false at the end of the block. */
bool gd_cursor_token(struct gd_cursor *cursor, struct gd_token *token);
/* Looks at the next token without taking it. */
bool gd_cursor_peek(const struct gd_cursor *cursor, struct gd_token *token);

/* The next line that holds anything but blanks and comment, cut before its comment and line end, leading blanks kept. */
bool gd_cursor_line(struct gd_cursor *cursor, struct gd_token *line);
/* The next line as it stands, comments and empty lines too. */
bool gd_cursor_raw_line(struct gd_cursor *cursor, struct gd_token *line);

/* Numbers and words; `what` names the value in messages. Ranges are inclusive. A missing value is an error. */
int gd_cursor_double(struct gd_cursor *cursor, const char *what, double *out, struct gd_err *err);
int gd_cursor_double_in(struct gd_cursor *cursor, const char *what, double low, double high, double *out, struct gd_err *err);
int gd_cursor_long(struct gd_cursor *cursor, const char *what, long low, long high, long *out, struct gd_err *err);
int gd_cursor_int(struct gd_cursor *cursor, const char *what, int low, int high, int *out, struct gd_err *err);
/* A word of printable ASCII, cut and terminated into out[size]; longer ones are an error. */
int gd_cursor_word(struct gd_cursor *cursor, const char *what, char *out, size_t size, struct gd_err *err);
/* An error when anything is left in the block. */
int gd_cursor_finish(struct gd_cursor *cursor, const char *after_what, struct gd_err *err);

/* `file:line: block NAME: ` + text at the cursor's line. Returns GD_E_FILE_FORMAT. */
int gd_cursor_fault(const struct gd_cursor *cursor, struct gd_err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Parses exactly one finite decimal number, independent of the locale, correctly rounded; 0 or -1. */
int gd_parse_double(const char *text, size_t length, double *out);
/* Parses one decimal integer; 0, or -1 when it is none or does not fit. */
int gd_parse_long(const char *text, size_t length, long *out);
bool gd_token_is(const struct gd_token *token, const char *word); /* letter case does not matter */

#endif
