/* See labelled_rows.h. */
#include "io/labelled_rows.h"

#include <stdio.h>
#include <string.h>

size_t gd_rows_count(const struct gd_block_file *file, const struct gd_block *block)
{
    struct gd_cursor cursor;
    struct gd_token line;
    size_t n = 0;
    gd_cursor_start(&cursor, file, block);
    while (gd_cursor_line(&cursor, &line))
        n++;
    return n;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next word of [*at, end); false when there is none. */
static bool next_word(const char **at, const char *end, struct gd_token *word)
{
    const char *b = *at;
    while (b < end && blank(*b))
        b++;
    const char *s = b;
    while (s < end && !blank(*s))
        s++;
    *word = (struct gd_token){.text = b, .length = (size_t)(s - b)};
    *at = s;
    return s > b;
}

static void set_name(struct gd_name *name, const char *text, size_t length)
{
    char copy[GD_LABEL_WIDTH + 1];
    const char *end = text + length;
    while (text < end && blank(*text))
        text++;
    while (end > text && blank(end[-1]))
        end--;
    size_t n = 0;
    for (; text < end && n < GD_LABEL_WIDTH; text++)
        copy[n++] = *text > ' ' && *text < 127 ? *text : '?';
    copy[n] = '\0';
    gd_name_set(name, copy);
}

/* The format says that the 24 characters are ignored, so nothing in them is a fault: four words are taken as they are
 * (files differ in how they align), anything else by the columns of the original (5, 1+5, 1+6, 6). */
static void read_label(const char *text, struct gd_atom_label *label)
{
    struct gd_token word[5];
    const char *at = text, *end = text + GD_LABEL_WIDTH;
    int n = 0;
    while (n < 5 && next_word(&at, end, &word[n]))
        n++;
    long number = 0;
    if (n == 4 && gd_parse_long(word[0].text, word[0].length, &number) == 0) {
        set_name(&label->residue, word[1].text, word[1].length);
        set_name(&label->atom, word[2].text, word[2].length);
    } else {
        const char *first = text;
        struct gd_token residue;
        if (!next_word(&first, text + 5, &residue) || gd_parse_long(residue.text, residue.length, &number) != 0)
            number = 0;
        set_name(&label->residue, text + 5, 6);
        set_name(&label->atom, text + 11, 7);
    }
    label->residue_number = number < 0 || number > INT32_MAX ? 0 : (int32_t)number;
}

static int numbers_of_line(const struct gd_cursor *cursor, const char *at, const char *end, int num_values, double *values,
                           struct gd_err *err)
{
    struct gd_token word;
    int n = 0;
    while (next_word(&at, end, &word)) {
        if (n == num_values)
            return gd_cursor_fault(cursor, err, "more than %d number%s in a line", num_values, num_values == 1 ? "" : "s");
        if (gd_parse_double(word.text, word.length, &values[n]) != 0)
            return gd_cursor_fault(cursor, err, "'%.*s' is not a finite decimal number", word.length > 40 ? 40 : (int)word.length,
                                   word.text);
        n++;
    }
    if (n != num_values)
        return gd_cursor_fault(cursor, err, "%d number%s in a line where %d should be", n, n == 1 ? "" : "s", num_values);
    return 0;
}

static int wrong_rows(const struct gd_cursor *cursor, size_t rows, struct gd_err *err)
{
    return gd_cursor_fault(cursor, err, "expected exactly %zu lines, one per atom", rows);
}

int gd_rows_read_labelled(const struct gd_block_file *file, const struct gd_block *block, size_t rows, int num_values, double *values,
                          struct gd_atom_label *labels, struct gd_token *tail, struct gd_err *err)
{
    struct gd_cursor cursor;
    struct gd_token line;
    gd_cursor_start(&cursor, file, block);
    for (size_t i = 0; i < rows; i++) {
        if (!gd_cursor_line(&cursor, &line))
            return wrong_rows(&cursor, rows, err);
        if (line.length <= GD_LABEL_WIDTH)
            return gd_cursor_fault(&cursor, err, "a line of %zu characters; expected a label of 24 characters and %d number%s", line.length,
                                   num_values, num_values == 1 ? "" : "s");
        int rc =
            numbers_of_line(&cursor, line.text + GD_LABEL_WIDTH, line.text + line.length, num_values, values + i * (size_t)num_values, err);
        if (rc != 0)
            return rc;
        if (labels != NULL)
            read_label(line.text, &labels[i]);
    }
    if (tail != NULL && !gd_cursor_line(&cursor, tail))
        tail->length = 0;
    if (gd_cursor_line(&cursor, &line))
        return wrong_rows(&cursor, rows, err);
    return 0;
}

int gd_rows_read_plain(const struct gd_block_file *file, const struct gd_block *block, size_t rows, int num_values, double *values,
                       struct gd_err *err)
{
    struct gd_cursor cursor;
    struct gd_token line;
    gd_cursor_start(&cursor, file, block);
    for (size_t i = 0; i < rows; i++) {
        if (!gd_cursor_line(&cursor, &line))
            return wrong_rows(&cursor, rows, err);
        int rc = numbers_of_line(&cursor, line.text, line.text + line.length, num_values, values + i * (size_t)num_values, err);
        if (rc != 0)
            return rc;
    }
    if (gd_cursor_line(&cursor, &line))
        return wrong_rows(&cursor, rows, err);
    return 0;
}

void gd_label_format(const struct gd_atom_label *label, size_t atom_number, char out[GD_LABEL_WIDTH + 1])
{
    char text[64];
    snprintf(text, sizeof text, "%5d %-5.5s %-6.6s%6zu", (int)(label->residue_number % 100000), label->residue.text, label->atom.text,
             atom_number % 1000000);
    memcpy(out, text, GD_LABEL_WIDTH);
    out[GD_LABEL_WIDTH] = '\0';
}
