/* Text files that are written frame by frame, plain or (name ends in .gz) gzip, and either
 *
 *   streamed: every commit reaches the file at once and returns the offset behind it; a file cut back to such an offset
 *             is a complete file again (each commit is a gzip member of its own), which is how a continued run drops what
 *             was written after its checkpoint; or
 *   replaced: written beside the target and renamed over it at close, so that the target is the old file or the whole
 *             new one. Where a symbolic link leads is the target; a pipe or a device is written to as it is, and a
 *             pipe's reader waited for, a few seconds long.
 *
 * Text is collected in memory until commit; a failure in between (memory) is kept and reported by the commit. Numbers come
 * out exactly as printf's, in any locale. One thread at a time. */
#ifndef GD_IO_OUTPUT_H
#define GD_IO_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum gd_output_mode { GD_OUTPUT_STREAM, GD_OUTPUT_REPLACE };

struct gd_output;

/* A new file, or an existing one emptied. A streamed file has one writer (flock): a second one is GD_E_FILE_ACCESS. */
int gd_output_create(struct gd_output **out, const char *path, enum gd_output_mode mode, struct gd_err *err);

/* An existing streamed file, cut back to offset (what a commit returned) and continued there. A file shorter than offset
 * is GD_E_FILE_FORMAT: it is not the file the offset belongs to. */
int gd_output_resume(struct gd_output **out, const char *path, int64_t offset, struct gd_err *err);

/* Gives up: a replaced file is not made; what was committed to a streamed one stays. */
void gd_output_destroy(struct gd_output **out);

void gd_output_text(struct gd_output *out, const char *text);
void gd_output_bytes(struct gd_output *out, const char *text, size_t length);
void gd_output_printf(struct gd_output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gd_output_fixed(struct gd_output *out, double value, int width, int decimals);      /* %*.*f, decimals <= 15 */
void gd_output_scientific(struct gd_output *out, double value, int width, int decimals); /* %*.*e */

/* Writes what was collected; offset (may be NULL) receives the file's length. After a failure the file is cut back to the
 * last good commit as far as that can be done. */
int gd_output_commit(struct gd_output *out, int64_t *offset, struct gd_err *err);

/* fdatasync, after a commit: what was committed survives the machine. */
int gd_output_sync(struct gd_output *out, struct gd_err *err);

/* Commits and closes; a replaced file is synced and renamed. *out is NULL afterwards, also on failure. */
int gd_output_close(struct gd_output **out, struct gd_err *err);

/* printf("%*.*f") into out, without terminating zero, faster than printf where the value allows; returns the length,
 * which is at most GD_FIXED_MAX. decimals 0 to 15. */
#define GD_FIXED_MAX 400
size_t gd_format_fixed(char out[GD_FIXED_MAX], double value, int width, int decimals);

#endif
