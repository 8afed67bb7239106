#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int gd_err_set(struct gd_err *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = code;
    return code;
}

int gd_err_errno(struct gd_err *err, int code, const char *format, ...)
{
    int saved = errno;
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text) {
        char reason[128];
        const char *text = strerror_r(saved, reason, sizeof reason);
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", text);
    }
    err->code = code;
    return code;
}

int gd_err_context(struct gd_err *err, const char *format, ...)
{
    if (err == NULL)
        return GD_E_INTERNAL;
    char old[GD_ERR_TEXT];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text) { /* what does not fit is cut off */
        strncat(err->text, ": ", sizeof err->text - strlen(err->text) - 1);
        strncat(err->text, old, sizeof err->text - strlen(err->text) - 1);
    }
    return err->code;
}

void gd_err_clear(struct gd_err *err)
{
    if (err == NULL)
        return;
    err->code = 0;
    err->text[0] = '\0';
}
