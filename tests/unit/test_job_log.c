/* The log of a job: bounds, pieces of long lines, characters that are none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "service/job_log.h"

static const char *text(const struct gd_job_log *log, uint64_t number)
{
    const struct gd_job_line *line = gd_job_log_line(log, number);
    return line != NULL ? line->text : "(none)";
}

Test(job_log, keeps_the_newest_lines)
{
    struct gd_job_log log = {0};
    cr_expect_eq(gd_job_log_first(&log, 0), 0);
    for (int k = 0; k < 1000; k++) {
        char line[32];
        snprintf(line, sizeof line, "line %d", k);
        gd_job_log_put(&log, GD_JOB_LINE_INFO, line);
        cr_expect_leq(log.room, GD_JOB_LOG_LINES);
        cr_expect_str_eq(text(&log, (uint64_t)k), line);
    }
    cr_expect_eq(log.count, 1000);
    cr_expect_eq(gd_job_log_first(&log, 0), 1000 - GD_JOB_LOG_LINES);
    cr_expect_eq(gd_job_log_first(&log, 900), 900);
    cr_expect_eq(gd_job_log_first(&log, 5000), 1000);
    cr_expect_null(gd_job_log_line(&log, 1000 - GD_JOB_LOG_LINES - 1));
    cr_expect_str_eq(text(&log, 1000 - GD_JOB_LOG_LINES), "line 744");
    cr_expect_null(gd_job_log_line(&log, 1000));
    gd_job_log_clear(&log);
}

Test(job_log, lines_and_pieces)
{
    struct gd_job_log log = {0};
    gd_job_log_put(&log, GD_JOB_LINE_WARNING, "one\ntwo\n");
    cr_expect_eq(log.count, 2);
    cr_expect_str_eq(text(&log, 1), "two");
    gd_job_log_put(&log, GD_JOB_LINE_INFO, "");
    cr_expect_eq(log.count, 3);
    char text_of[600];
    memset(text_of, 'x', sizeof text_of);
    memcpy(text_of + 230, "\xc3\xa4", 2); /* a character of two bytes across the end of a piece */
    text_of[500] = '\0';
    gd_job_log_put(&log, GD_JOB_LINE_INFO, text_of);
    cr_expect_eq(log.count, 6);
    cr_expect_eq(strlen(text(&log, 3)), 230);
    cr_expect_eq(memcmp(text(&log, 4), "\xc3\xa4x", 3), 0);
    cr_expect_eq(strlen(text(&log, 3)) + strlen(text(&log, 4)) + strlen(text(&log, 5)), 500);
    gd_job_log_clear(&log);
}

Test(job_log, what_is_no_text_becomes_question_marks)
{
    struct gd_job_log log = {0};
    gd_job_log_put(&log, GD_JOB_LINE_INFO, "a\xff\x01z\tb");
    cr_expect_str_eq(text(&log, 0), "a??z b");
    gd_job_log_clear(&log);
}

Test(job_log, lines_of_elsewhere_keep_their_numbers)
{
    struct gd_job_log log = {0};
    for (uint64_t s = 300; s < 310; s++) {
        struct gd_job_line line = {.sequence = s, .text = "old"};
        gd_job_log_take(&log, &line);
    }
    gd_job_log_put(&log, GD_JOB_LINE_INFO, "new");
    cr_expect_eq(log.count, 310);
    cr_expect_eq(gd_job_log_first(&log, 0), 299);
    cr_expect_str_eq(text(&log, 299), "old");
    cr_expect_str_eq(text(&log, 309), "new");
    gd_job_log_clear(&log);
}
