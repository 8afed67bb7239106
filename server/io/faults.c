/* See faults.h. */
#include "io/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void gd_faults_start(struct gd_faults *faults, struct gd_block_file *file, struct gd_messages *list)
{
    *faults = (struct gd_faults){.file = file, .list = list, .before = list->count};
}

int gd_faults_open(struct gd_block_file **out, const char *path, struct gd_messages *list, struct gd_err *err)
{
    struct gd_err why;
    gd_err_clear(&why);
    int rc = gd_block_file_open(out, path, 0, &why);
    if (rc == 0)
        return 0;
    gd_messages_add(list, "%s", why.text);
    if (err != NULL)
        *err = why;
    return rc;
}

int gd_faults_note(struct gd_faults *faults, int rc, const struct gd_err *err)
{
    if (rc == 0)
        return 0;
    gd_messages_add(faults->list, "%s", err->text);
    if (faults->code == 0 || rc == GD_E_OUT_OF_MEMORY)
        faults->code = rc;
    return rc;
}

void gd_faults_at(struct gd_faults *faults, const struct gd_cursor *cursor, const char *format, ...)
{
    char text[GD_ERR_TEXT];
    struct gd_err err;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gd_err_clear(&err);
    gd_faults_note(faults, gd_cursor_fault(cursor, &err, "%s", text), &err);
}

struct gd_block *gd_faults_block(struct gd_faults *faults, const char *name, bool required)
{
    struct gd_block *block = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    if (gd_faults_note(faults, gd_block_file_single(faults->file, name, required, &block, &err), &err) != 0)
        block = gd_block_file_find(faults->file, name);
    return block;
}

void gd_faults_unused(struct gd_faults *faults, const char *kind_of_file)
{
    struct gd_err err;
    for (size_t i = 0; i < faults->file->num_blocks; i++) {
        const struct gd_block *block = &faults->file->blocks[i];
        if (block->used)
            continue;
        gd_err_clear(&err);
        gd_faults_note(faults,
                       gd_err_set(&err, GD_E_FILE_FORMAT, "%s:%zu: block %.*s: not supported in %s %s file", faults->file->path,
                                  block->line, (int)block->name_length, block->name, strchr("aeiou", kind_of_file[0]) != NULL ? "an" : "a",
                                  kind_of_file),
                       &err);
    }
}

int gd_faults_result(const struct gd_faults *faults, struct gd_err *err)
{
    size_t n = faults->list->count - faults->before;
    if (faults->code == 0)
        return 0;
    const char *first = faults->list->kept > faults->before ? faults->list->text[faults->before] : "no memory to tell it";
    if (n == 1)
        return gd_err_set(err, faults->code, "%s", first);
    return gd_err_set(err, faults->code, "%zu faults; the first: %s", n, first);
}
