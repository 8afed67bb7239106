/* See fields.h. */
#include "io/fields.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static void list_words(const struct gd_field_word *words, char *out, size_t size)
{
    size_t used = 0;
    for (; words->name != NULL && used < size; words++) {
        int n = snprintf(out + used, size - used, "%s%s (%d)", used == 0 ? "" : ", ", words->name, words->value);
        used += n > 0 ? (size_t)n : 0;
    }
}

bool gd_fields_read_word(struct gd_faults *faults, struct gd_cursor *cursor, const char *what, const struct gd_field_word *words, int *out)
{
    struct gd_token token;
    struct gd_err err;
    char word[64], list[256] = "";
    long number;
    gd_err_clear(&err);
    if (!gd_cursor_peek(cursor, &token) || token.length >= sizeof word) {
        gd_faults_note(faults, gd_cursor_word(cursor, what, word, sizeof word, &err), &err);
        return false;
    }
    gd_cursor_token(cursor, &token);
    bool is_number = gd_parse_long(token.text, token.length, &number) == 0;
    for (const struct gd_field_word *w = words; w->name != NULL; w++)
        if (gd_token_is(&token, w->name) || (is_number && number == w->value)) {
            *out = w->value;
            return true;
        }
    list_words(words, list, sizeof list);
    size_t n = 0;
    for (; n < token.length; n++)
        word[n] = token.text[n] > ' ' && token.text[n] < 127 ? token.text[n] : '?';
    word[n] = '\0';
    gd_faults_at(faults, cursor, "%s is '%s'; expected one of %s", what, word, list);
    return true; /* the place of the next value is known */
}

static bool outside(const struct gd_field *field, double value)
{
    return !(value >= field->low && value <= field->high);
}

static void note_outside(struct gd_faults *faults, const struct gd_cursor *cursor, const struct gd_field *field, double value)
{
    if (field->missing != NULL && field->low == field->high)
        gd_faults_at(faults, cursor, "%s is %g: %s is not available; only %g is", field->name, value, field->missing, field->low);
    else if (field->missing != NULL)
        gd_faults_at(faults, cursor, "%s is %g: %s is not available; possible are %g to %g", field->name, value, field->missing, field->low,
                     field->high);
    else if (field->high >= 1e15)
        gd_faults_at(faults, cursor, "%s is %g; expected %g or more", field->name, value, field->low);
    else
        gd_faults_at(faults, cursor, "%s is %g; expected a value from %g to %g", field->name, value, field->low, field->high);
}

static bool read_integer(struct gd_faults *faults, struct gd_cursor *cursor, const struct gd_field *field, void *at)
{
    struct gd_err err;
    long value;
    gd_err_clear(&err);
    if (gd_faults_note(faults, gd_cursor_long(cursor, field->name, LONG_MIN, LONG_MAX, &value, &err), &err) != 0)
        return false;
    if (outside(field, (double)value) || (field->type == GD_FIELD_INT32 && (value < INT32_MIN || value > INT32_MAX))) {
        note_outside(faults, cursor, field, (double)value);
        return true;
    }
    if (field->type == GD_FIELD_INT32)
        *(int32_t *)at = (int32_t)value;
    else
        *(int64_t *)at = value;
    return true;
}

static bool read_field(struct gd_faults *faults, struct gd_cursor *cursor, const struct gd_field *field, void *at)
{
    struct gd_err err;
    double value;
    int choice = *(field->type == GD_FIELD_ENUM ? (const int *)at : &(int){0});
    gd_err_clear(&err);
    switch (field->type) {
    case GD_FIELD_INT32:
    case GD_FIELD_INT64:
        return read_integer(faults, cursor, field, at);
    case GD_FIELD_DOUBLE:
        if (gd_faults_note(faults, gd_cursor_double(cursor, field->name, &value, &err), &err) != 0)
            return false;
        if (outside(field, value))
            note_outside(faults, cursor, field, value);
        else
            *(double *)at = value;
        return true;
    case GD_FIELD_ENUM:
        if (!gd_fields_read_word(faults, cursor, field->name, field->words, &choice))
            return false;
        memcpy(at, &choice, sizeof choice);
        return true;
    }
    return false;
}

bool gd_fields_read(struct gd_faults *faults, struct gd_cursor *cursor, const struct gd_field *fields, size_t count, void *base)
{
    for (size_t i = 0; i < count; i++)
        if (!read_field(faults, cursor, &fields[i], (char *)base + fields[i].offset))
            return false;
    return true;
}

void gd_fields_finish(struct gd_faults *faults, struct gd_cursor *cursor, const char *after)
{
    struct gd_err err;
    gd_err_clear(&err);
    gd_faults_note(faults, gd_cursor_finish(cursor, after, &err), &err);
}
