/* The settings table: text in, checked values out. */
#include "service/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(settings, values_are_checked_against_the_table)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    gd_settings_init(&settings);
    cr_expect_eq(gd_settings_set(&settings, "threads", "4", "test", &err), 0);
    cr_expect_eq(settings.threads, 4);
    cr_expect_eq(gd_settings_set(&settings, "log-level", "debug", "test", &err), 0);
    cr_expect_str_eq(settings.log_level, "debug");
    cr_expect_eq(gd_settings_set(&settings, "private", "on", "test", &err), 0);
    cr_expect_eq(settings.private, 1);
    static const char *const wrong[][2] = {{"threads", "-1"},      {"threads", "257"},      {"threads", "4x"},
                                           {"threads", ""},        {"idle_timeout", "nan"}, {"idle_timeout", "0"},
                                           {"private", "perhaps"}, {"nonsense", "1"},       {"session_pins", "99999999999999999999"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect_eq(gd_settings_set(&settings, wrong[i][0], wrong[i][1], "test", &err), GD_E_INVALID_ARGUMENT, "%s = %s", wrong[i][0],
                     wrong[i][1]);
        cr_expect(strstr(err.text, wrong[i][0]) != NULL, "%s", err.text);
    }
    cr_expect_eq(settings.threads, 4); /* unharmed */
}

static int parse_file(const char *text, struct gd_settings *settings, struct gd_err *err)
{
    char path[] = "/tmp/gromosd-settings-XXXXXX", option[64];
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    snprintf(option, sizeof option, "--config=%s", path);
    char program[] = "gromosd", threads[] = "--threads=3";
    char *arguments[] = {program, option, threads, NULL};
    gd_settings_init(settings);
    int code = gd_settings_parse(settings, 3, arguments, err);
    unlink(path);
    return code;
}

Test(settings, the_command_line_wins_over_the_file)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    cr_assert_eq(parse_file("[gromosd]\nthreads = 7\nlog_level = warn\n", &settings, &err), 0, "%s", err.text);
    cr_expect_eq(settings.threads, 3);
    cr_expect_str_eq(settings.log_level, "warn");
}

Test(settings, a_bad_file_is_told_by_line)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    cr_expect_eq(parse_file("[gromosd]\nlog_level = warn\nthreads = many\n", &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "line 3") != NULL, "%s", err.text);
    cr_expect_eq(parse_file("[other]\nthreads = 1\n", &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "line 2: section [other]") != NULL, "%s", err.text);
    cr_expect_eq(parse_file("[gromosd]\nthis is no setting\n", &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "line 2: not of the form") != NULL, "%s", err.text);
}

Test(settings, a_text_that_cannot_be_is_told_by_line)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    static const char *const wrong[][2] = {{"log_level = loud", "log_level = 'loud' is none of error, warn"},
                                           {"log_level = ", "log_level = '' is none of"},
                                           {"cpu = sse9", "cpu is \"sse9\"; it can be"},
                                           {"instance = a/b", "instance = 'a/b' cannot name"},
                                           {"listen = 127.0.0.1:5870", "listen = '127.0.0.1:5870' is no tcp address"},
                                           {"listen = tcp://127.0.0.1:70000", "port must be a number from 0"},
                                           {"checkpoint_dir = here", "checkpoint_dir = 'here'; it must be an absolute path"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "[gromosd]\nthreads = 2\n%s\n", wrong[i][0]);
        cr_expect_eq(parse_file(text, &settings, &err), GD_E_INVALID_ARGUMENT, "%s", text);
        cr_expect(strstr(err.text, wrong[i][1]) != NULL && strstr(err.text, ", line 3: ") != NULL, "%s", err.text);
        cr_expect(strstr(err.text, "/tmp/gromosd-settings-") == err.text, "%s", err.text);
    }
}

Test(settings, who_puts_a_setting_to_use_can_tell_where_it_was_given)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    cr_assert_eq(parse_file("[gromosd]\nthreads = 7\nlog_file = /nowhere\n", &settings, &err), 0, "%s", err.text);
    static const struct {
        enum gd_setting_number number;
        const char *text;
    } expected[] = {{GD_SETTING_threads, "command line: no"}, {GD_SETTING_listen, "no"}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        gd_err_set(&err, GD_E_FILE_ACCESS, "no");
        cr_expect_eq(gd_settings_blame(&settings, expected[i].number, &err), GD_E_FILE_ACCESS);
        cr_expect_str_eq(err.text, expected[i].text);
    }
    settings.config = "a.conf";
    gd_err_set(&err, GD_E_FILE_ACCESS, "no");
    cr_expect_eq(gd_settings_blame(&settings, GD_SETTING_log_file, &err), GD_E_FILE_ACCESS);
    cr_expect_str_eq(err.text, "a.conf, line 3: no");
}

Test(settings, a_setting_given_twice_is_refused)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    static const char *const files[] = {"[gromosd]\nthreads = 2\nlog_level = warn\nthreads = 4\n",
                                        "[gromosd]\nlog_level = warn ; or info\nsession_pins = 7\nlog-level = warn\n",
                                        "[gromosd]\nidle_timeout = 5\n[gromosd]\nidle_timeout = 5\n"};
    static const char *const name[] = {"threads", "log_level", "idle_timeout"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cr_expect_eq(parse_file(files[i], &settings, &err), GD_E_INVALID_ARGUMENT, "%s", files[i]);
        cr_expect(strstr(err.text, "given twice, in line 2 and in line 4") != NULL, "%s", err.text);
        cr_expect(strstr(err.text, name[i]) != NULL && strstr(err.text, "/tmp/gromosd-settings-") != NULL, "%s", err.text);
    }
    /* The first fault is told, of whatever kind. */
    cr_expect_eq(parse_file("[gromosd]\nwhat is this\nthreads = 2\nthreads = 4\n", &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "line 2: not of the form") != NULL, "%s", err.text);
    cr_expect_eq(parse_file("[gromosd]\nthreads = 2\nthreads = 4\nwhat is this\n", &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "in line 2 and in line 3") != NULL, "%s", err.text);
}

Test(settings, a_line_is_not_taken_for_two)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    char text[600] = "[gromosd]\nlog_file = /";
    memset(text + strlen(text), 'x', 300);
    strcat(text, "\n");
    cr_expect_eq(parse_file(text, &settings, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "line 2: longer than") != NULL, "%s", err.text);
    cr_expect_eq(parse_file("[gromosd]\nlog_file = /tmp/x", &settings, &err), 0, "%s", err.text);
    cr_expect_str_eq(settings.log_file, "/tmp/x"); /* the last line needs no end */
}

Test(settings, a_folder_is_no_configuration)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    char *argv[] = {"gromosd", "--config", "/tmp", NULL};
    gd_settings_init(&settings);
    cr_expect_eq(gd_settings_parse(&settings, 3, argv, &err), GD_E_INVALID_ARGUMENT);
    cr_expect(strstr(err.text, "/tmp: is not a regular file") != NULL, "%s", err.text);
}
