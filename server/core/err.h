/* Errors are values.
 *
 * A function that can fail takes a `struct gd_err *` last, returns 0 or a negative GD_E_* code (proto/gd_errors.h),
 * and leaves its outputs untouched on failure. The text is set where the fault is seen; callers on the way up may put
 * context in front of it with gd_err_context(). A NULL gd_err is allowed everywhere: the code alone is returned.
 */
#ifndef GD_CORE_ERR_H
#define GD_CORE_ERR_H

#include "proto/gd_errors.h"

#define GD_ERR_TEXT 1024

struct gd_err {
    int code;               /* 0, or a GD_E_* code */
    char text[GD_ERR_TEXT]; /* one sentence: what was wrong, where, and what would be right */
};

/* Sets code and text; returns code, so that `return gd_err_set(err, ...)` reads well. Reentrant. */
int gd_err_set(struct gd_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As gd_err_set with ": <strerror(errno)>" appended; errno is read on entry. */
int gd_err_errno(struct gd_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " in front of the text that is there; returns err->code (or GD_E_INTERNAL when err is NULL). */
int gd_err_context(struct gd_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

void gd_err_clear(struct gd_err *err);

#endif
