/* What a job said: lines with their time, the newest GD_JOB_LOG_LINES of them. Not thread-safe: the job's mutex guards it. */
#ifndef GD_SERVICE_JOB_LOG_H
#define GD_SERVICE_JOB_LOG_H

#include <stddef.h>
#include <stdint.h>

#define GD_JOB_LOG_LINES 256

enum gd_job_line_level { GD_JOB_LINE_INFO, GD_JOB_LINE_WARNING, GD_JOB_LINE_ERROR };
const char *gd_job_line_level_name(int32_t level);

struct gd_job_line {
    uint64_t sequence; /* from 1 as lines come; 0: no line */
    double time;       /* seconds since 1970 */
    int32_t level, reserved;
    char text[232]; /* UTF-8 */
};
_Static_assert(sizeof(struct gd_job_line) == 256, "lines stand in kept memory");

struct gd_job_log {
    struct gd_job_line *lines; /* line i, from 0, stands in place i % GD_JOB_LOG_LINES */
    size_t room;
    uint64_t count; /* of all lines ever put */
};

void gd_job_log_clear(struct gd_job_log *log);

/* Each line of the text, long ones in pieces; bytes that are no UTF-8 become '?'. Without memory a line is counted and lost. */
void gd_job_log_put(struct gd_job_log *log, enum gd_job_line_level level, const char *text);
/* A line that was put elsewhere, with its number; lines come in order. */
void gd_job_log_take(struct gd_job_log *log, const struct gd_job_line *line);

/* Number of the oldest line at or after `after` that is still there. */
uint64_t gd_job_log_first(const struct gd_job_log *log, uint64_t after);
/* NULL when the line is not there. */
const struct gd_job_line *gd_job_log_line(const struct gd_job_log *log, uint64_t number);

#endif
