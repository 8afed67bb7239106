/* See block_reader.h. */
#include "io/block_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_NAME_MAX 32 /* the longest GROMOS name has 18 */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_printable(char c)
{
    return c > ' ' && c < 127;
}

int gd_block_file_fault(const struct gd_block_file *file, struct gd_err *err, const char *format, ...)
{
    char text[GD_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gd_err_set(err, GD_E_FILE_FORMAT, "%s: %s", file->path, text);
}

static int fault_at(const struct gd_block_file *file, size_t line, struct gd_err *err, const char *text)
{
    return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: %s", file->path, line, text);
}

int gd_cursor_fault(const struct gd_cursor *cursor, struct gd_err *err, const char *format, ...)
{
    char text[GD_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s: %s", cursor->file->path, cursor->line, (int)cursor->block->name_length,
                      cursor->block->name, text);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* Doubles *capacity, limited to limit + 1 (one byte more than allowed shows that a file is too long). */
static int grow(char **text, size_t *capacity, size_t limit)
{
    size_t bigger = *capacity == 0 ? 65536 : *capacity * 2;
    if (bigger > limit + 1)
        bigger = limit + 1;
    char *moved = realloc(*text, bigger + 1);
    if (moved == NULL)
        return -1;
    *text = moved;
    *capacity = bigger;
    return 0;
}

static int read_all(struct gd_block_file *file, gzFile in, size_t limit, struct gd_err *err)
{
    size_t capacity = 0;
    for (;;) {
        if (file->size == capacity) {
            if (capacity > limit)
                return gd_err_set(err, GD_E_FILE_FORMAT, "%s: longer than %zu bytes of text, the limit", file->path, limit);
            if (grow(&file->text, &capacity, limit) != 0)
                return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its text", file->path);
        }
        size_t room = capacity - file->size;
        int got = gzread(in, file->text + file->size, room > INT_MAX / 2 ? INT_MAX / 2 : (unsigned)room);
        if (got <= 0)
            break;
        file->size += (size_t)got;
    }
    int zerr = Z_OK;
    const char *why = gzerror(in, &zerr);
    if (zerr == Z_ERRNO)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be read", file->path);
    if (zerr == Z_BUF_ERROR)
        return gd_err_set(err, GD_E_FILE_FORMAT, "%s: the gzip data end too early: the file was cut", file->path);
    if (zerr != Z_OK && zerr != Z_STREAM_END)
        return gd_err_set(err, GD_E_FILE_FORMAT, "%s: damaged gzip data (%s)", file->path, why);
    file->text[file->size] = '\0';
    return 0;
}

/* ---- index ---------------------------------------------------------------------------------------------------- */

/* One line of [*at, end): its bounds without line end, comment and blanks at both sides; *at moves behind it. */
static void take_line(const char **at, const char *end, const char **begin, const char **stop)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *last = newline == NULL ? end : newline;
    const char *comment = memchr(*at, '#', (size_t)(last - *at));
    const char *b = *at, *s = comment == NULL ? last : comment;
    while (b < s && is_blank(*b))
        b++;
    while (s > b && is_blank(s[-1]))
        s--;
    *begin = b;
    *stop = s;
    *at = newline == NULL ? end : newline + 1;
}

static bool is_end_line(const char *begin, const char *stop)
{
    return stop - begin >= 3 && memcmp(begin, "END", 3) == 0 && (stop - begin == 3 || is_blank(begin[3]));
}

static int check_name(const struct gd_block_file *file, const char *begin, const char *stop, size_t line, struct gd_err *err)
{
    size_t length = (size_t)(stop - begin);
    if (is_end_line(begin, stop))
        return fault_at(file, line, err, "END without a block; a block starts with a line that holds its name");
    for (size_t i = 0; i < length && i <= BLOCK_NAME_MAX; i++)
        if (!((begin[i] >= 'A' && begin[i] <= 'Z') || (begin[i] >= 'a' && begin[i] <= 'z') || (begin[i] >= '0' && begin[i] <= '9') ||
              begin[i] == '_' || begin[i] == '-'))
            return fault_at(file, line, err, "a line outside of any block; expected the name of a block, as POSITION");
    if (length > BLOCK_NAME_MAX)
        return fault_at(file, line, err, "a line outside of any block; expected the name of a block, as POSITION");
    return 0;
}

static int add_block(struct gd_block_file *file, size_t *capacity, const struct gd_block *block, struct gd_err *err)
{
    if (file->num_blocks == *capacity) {
        size_t bigger = *capacity == 0 ? 32 : *capacity * 2;
        struct gd_block *moved = realloc(file->blocks, bigger * sizeof *moved);
        if (moved == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for the list of its blocks", file->path);
        file->blocks = moved;
        *capacity = bigger;
    }
    file->blocks[file->num_blocks++] = *block;
    return 0;
}

static int index_blocks(struct gd_block_file *file, struct gd_err *err)
{
    const char *at = file->text, *end = file->text + file->size;
    size_t line = 0, capacity = 0;
    while (at < end) {
        struct gd_block block = {0};
        const char *begin, *stop;
        take_line(&at, end, &begin, &stop);
        line++;
        if (begin == stop)
            continue;
        int rc = check_name(file, begin, stop, line, err);
        if (rc != 0)
            return rc;
        block.name = begin;
        block.name_length = (size_t)(stop - begin);
        block.line = line;
        block.begin = at;
        bool closed = false;
        while (at < end && !closed) {
            block.end = at;
            take_line(&at, end, &begin, &stop);
            line++;
            closed = is_end_line(begin, stop);
        }
        if (!closed)
            return gd_err_set(err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s, begun in line %zu, has no END: the file ends in its middle",
                              file->path, line, (int)block.name_length, block.name, block.line);
        rc = add_block(file, &capacity, &block, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_text_and_index(struct gd_block_file *file, struct gd_err *err)
{
    const char *zero = memchr(file->text, '\0', file->size);
    if (zero != NULL) {
        size_t line = 1;
        for (const char *c = file->text; c < zero; c++)
            line += *c == '\n';
        return fault_at(file, line, err, "a zero byte: this is not a text file");
    }
    return index_blocks(file, err);
}

static struct gd_block_file *new_file(const char *path)
{
    struct gd_block_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->path = strdup(path);
    if (file->path == NULL) {
        free(file);
        return NULL;
    }
    return file;
}

/* A regular file only: a pipe would keep its reader waiting for ever, a device give it no end. */
static int open_regular(gzFile *out, const char *path, struct gd_err *err)
{
    struct stat about;
    int rc = GD_E_FILE_ACCESS, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &about) != 0) {
        gd_err_errno(err, rc, "%s: cannot be opened", path);
    } else if (!S_ISREG(about.st_mode)) {
        gd_err_set(err, rc, "%s: is not a regular file", path);
    } else if ((*out = gzdopen(fd, "rb")) == NULL) {
        rc = gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to open it", path);
    } else {
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int gd_block_file_open(struct gd_block_file **out, const char *path, size_t max_bytes, struct gd_err *err)
{
    if (max_bytes == 0 || max_bytes > GD_BLOCK_FILE_MAX_BYTES)
        max_bytes = GD_BLOCK_FILE_MAX_BYTES;
    struct gd_block_file *file = new_file(path);
    if (file == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to open it", path);
    gzFile in;
    int rc = open_regular(&in, path, err);
    if (rc != 0)
        goto fail;
    gzbuffer(in, 1 << 17);
    rc = read_all(file, in, max_bytes, err);
    gzclose_r(in);
    if (rc == 0)
        rc = check_text_and_index(file, err);
    if (rc != 0)
        goto fail;
    *out = file;
    return 0;
fail:
    gd_block_file_destroy(&file);
    return rc;
}

int gd_block_file_from_memory(struct gd_block_file **out, const char *name, const void *data, size_t size, struct gd_err *err)
{
    int rc = GD_E_OUT_OF_MEMORY;
    struct gd_block_file *file = size <= GD_BLOCK_FILE_MAX_BYTES ? new_file(name) : NULL;
    if (file == NULL || (file->text = malloc(size + 1)) == NULL) {
        rc = gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its text", name);
        goto fail;
    }
    if (size > 0)
        memcpy(file->text, data, size);
    file->text[size] = '\0';
    file->size = size;
    rc = check_text_and_index(file, err);
    if (rc != 0)
        goto fail;
    *out = file;
    return 0;
fail:
    gd_block_file_destroy(&file);
    return rc;
}

void gd_block_file_destroy(struct gd_block_file **file)
{
    if (file == NULL || *file == NULL)
        return;
    free((*file)->blocks);
    free((*file)->text);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

bool gd_block_is(const struct gd_block *block, const char *name)
{
    return strlen(name) == block->name_length && memcmp(name, block->name, block->name_length) == 0;
}

struct gd_block *gd_block_file_find(struct gd_block_file *file, const char *name)
{
    for (size_t i = 0; i < file->num_blocks; i++)
        if (gd_block_is(&file->blocks[i], name)) {
            file->blocks[i].used = true;
            return &file->blocks[i];
        }
    return NULL;
}

int gd_block_file_single(struct gd_block_file *file, const char *name, bool required, struct gd_block **out, struct gd_err *err)
{
    struct gd_block *first = gd_block_file_find(file, name);
    if (first == NULL && required)
        return gd_block_file_fault(file, err, "block %s is missing", name);
    if (first != NULL)
        for (struct gd_block *b = first + 1; b < file->blocks + file->num_blocks; b++)
            if (gd_block_is(b, name))
                return gd_err_set(err, GD_E_FILE_FORMAT,
                                  "%s:%zu: block %s: a second one (the first is in line %zu); "
                                  "only one is allowed",
                                  file->path, b->line, name, first->line);
    *out = first;
    return 0;
}

/* ---- cursor --------------------------------------------------------------------------------------------------- */

void gd_cursor_start(struct gd_cursor *cursor, const struct gd_block_file *file, const struct gd_block *block)
{
    *cursor = (struct gd_cursor){.file = file, .block = block, .at = block->begin, .line = block->line, .at_line = block->line + 1};
}

bool gd_cursor_token(struct gd_cursor *cursor, struct gd_token *token)
{
    const char *at = cursor->at, *end = cursor->block->end;
    while (at < end) {
        if (*at == '\n') {
            cursor->at_line++;
            at++;
        } else if (is_blank(*at)) {
            at++;
        } else if (*at == '#') {
            while (at < end && *at != '\n')
                at++;
        } else {
            break;
        }
    }
    cursor->at = at;
    cursor->line = cursor->at_line;
    if (at == end)
        return false;
    const char *stop = at;
    while (stop < end && *stop != '\n' && *stop != '#' && !is_blank(*stop))
        stop++;
    *token = (struct gd_token){.text = at, .length = (size_t)(stop - at), .line = cursor->line};
    cursor->at = stop;
    return true;
}

bool gd_cursor_peek(const struct gd_cursor *cursor, struct gd_token *token)
{
    struct gd_cursor copy = *cursor;
    return gd_cursor_token(&copy, token);
}

bool gd_cursor_raw_line(struct gd_cursor *cursor, struct gd_token *line)
{
    const char *end = cursor->block->end;
    cursor->line = cursor->at_line;
    if (cursor->at >= end)
        return false;
    const char *newline = memchr(cursor->at, '\n', (size_t)(end - cursor->at));
    const char *stop = newline == NULL ? end : newline;
    *line = (struct gd_token){.text = cursor->at, .length = (size_t)(stop - cursor->at), .line = cursor->line};
    cursor->at = newline == NULL ? end : newline + 1;
    cursor->at_line += newline != NULL;
    return true;
}

bool gd_cursor_line(struct gd_cursor *cursor, struct gd_token *line)
{
    while (gd_cursor_raw_line(cursor, line)) {
        const char *comment = memchr(line->text, '#', line->length);
        if (comment != NULL)
            line->length = (size_t)(comment - line->text);
        while (line->length > 0 && is_blank(line->text[line->length - 1]))
            line->length--;
        if (line->length > 0)
            return true;
    }
    return false;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

/* At most 15 digits, an integer that a double holds exactly, and powers of ten that a double holds exactly: their product or
 * quotient is then correctly rounded by one IEEE operation (Clinger 1990). Most numbers of a file are of this kind. */
static int parse_exact(const char *text, size_t length, double *out)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t i = 0;
    bool negative = length > 0 && text[0] == '-';
    if (length > 0 && (text[0] == '-' || text[0] == '+'))
        i = 1;
    unsigned long long digits = 0;
    int num_digits = 0, fraction = 0;
    bool point = false;
    for (; i < length; i++) {
        if (text[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || num_digits == 15)
            return -1;
        digits = digits * 10 + (unsigned)(text[i] - '0');
        num_digits += digits != 0;
        fraction += point;
    }
    if (fraction > 22)
        return -1;
    double value = (double)digits / power[fraction];
    *out = negative ? -value : value;
    return 0;
}

static bool is_decimal(const char *text, size_t length)
{
    bool digit = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            digit = true;
        else if (c != '+' && c != '-' && c != '.' && !((c == 'e' || c == 'E') && digit))
            return false;
    }
    return digit;
}

int gd_parse_double(const char *text, size_t length, double *out)
{
    char copy[128], *end = NULL;
    if (!is_decimal(text, length))
        return -1;
    if (parse_exact(text, length, out) == 0)
        return 0;
    if (length >= sizeof copy)
        return -1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc hands out its built-in object: no allocation */
    if (plain == (locale_t)0)
        return -1;
    errno = 0;
    double value = strtod_l(copy, &end, plain);
    freelocale(plain);
    if (end != copy + length || value - value != 0.0)
        return -1;
    *out = value;
    return 0;
}

int gd_parse_long(const char *text, size_t length, long *out)
{
    char copy[32], *end = NULL;
    if (length == 0 || length >= sizeof copy)
        return -1;
    for (size_t i = text[0] == '-' || text[0] == '+'; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return -1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    long value = strtol(copy, &end, 10);
    if (errno != 0 || end != copy + length || end == copy)
        return -1;
    *out = value;
    return 0;
}

bool gd_token_is(const struct gd_token *token, const char *word)
{
    return strlen(word) == token->length && strncasecmp(token->text, word, token->length) == 0;
}

/* A token as shown in a message: at most 40 characters, nothing unprintable. */
static const char *shown(const struct gd_token *token, char out[44])
{
    size_t n = token->length < 40 ? token->length : 40;
    for (size_t i = 0; i < n; i++)
        out[i] = is_printable(token->text[i]) ? token->text[i] : '?';
    strcpy(out + n, token->length > 40 ? "..." : "");
    return out;
}

static int need_token(struct gd_cursor *cursor, const char *what, struct gd_token *token, struct gd_err *err)
{
    if (gd_cursor_token(cursor, token))
        return 0;
    return gd_cursor_fault(cursor, err, "the block ends where %s should follow", what);
}

int gd_cursor_double(struct gd_cursor *cursor, const char *what, double *out, struct gd_err *err)
{
    struct gd_token token;
    char text[44];
    int rc = need_token(cursor, what, &token, err);
    if (rc != 0)
        return rc;
    if (gd_parse_double(token.text, token.length, out) != 0)
        return gd_cursor_fault(cursor, err, "%s is '%s'; expected a finite decimal number", what, shown(&token, text));
    return 0;
}

int gd_cursor_double_in(struct gd_cursor *cursor, const char *what, double low, double high, double *out, struct gd_err *err)
{
    double value;
    int rc = gd_cursor_double(cursor, what, &value, err);
    if (rc != 0)
        return rc;
    if (!(value >= low && value <= high))
        return gd_cursor_fault(cursor, err, "%s is %g; expected a number from %g to %g", what, value, low, high);
    *out = value;
    return 0;
}

int gd_cursor_long(struct gd_cursor *cursor, const char *what, long low, long high, long *out, struct gd_err *err)
{
    struct gd_token token;
    char text[44];
    long value = 0;
    int rc = need_token(cursor, what, &token, err);
    if (rc != 0)
        return rc;
    if (gd_parse_long(token.text, token.length, &value) != 0)
        return gd_cursor_fault(cursor, err, "%s is '%s'; expected an integer", what, shown(&token, text));
    if (value < low || value > high) {
        if (high == LONG_MAX || high == INT_MAX)
            return gd_cursor_fault(cursor, err, "%s is %ld; expected %ld or more", what, value, low);
        return gd_cursor_fault(cursor, err, "%s is %ld; expected an integer from %ld to %ld", what, value, low, high);
    }
    *out = value;
    return 0;
}

int gd_cursor_int(struct gd_cursor *cursor, const char *what, int low, int high, int *out, struct gd_err *err)
{
    long value = 0;
    int rc = gd_cursor_long(cursor, what, low, high, &value, err);
    if (rc == 0)
        *out = (int)value;
    return rc;
}

int gd_cursor_word(struct gd_cursor *cursor, const char *what, char *out, size_t size, struct gd_err *err)
{
    struct gd_token token;
    char text[44];
    int rc = need_token(cursor, what, &token, err);
    if (rc != 0)
        return rc;
    if (token.length >= size)
        return gd_cursor_fault(cursor, err, "%s is '%s'; expected at most %zu characters", what, shown(&token, text), size - 1);
    for (size_t i = 0; i < token.length; i++)
        if (!is_printable(token.text[i]))
            return gd_cursor_fault(cursor, err, "%s is '%s'; expected printable ASCII", what, shown(&token, text));
    memcpy(out, token.text, token.length);
    out[token.length] = '\0';
    return 0;
}

int gd_cursor_finish(struct gd_cursor *cursor, const char *after_what, struct gd_err *err)
{
    struct gd_token token;
    char text[44];
    if (!gd_cursor_token(cursor, &token))
        return 0;
    return gd_cursor_fault(cursor, err, "'%s' after %s; expected END", shown(&token, text), after_what);
}
