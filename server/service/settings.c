#include "service/settings.h"

#include "core/cpu.h"
#include "core/log.h"
#include "core/version.h"

#include <argp.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_COMMAND "command line"
#define IN_FILE "%s, line %d"

#define TYPE_str GD_SETTING_STR
#define TYPE_int GD_SETTING_INT
#define TYPE_real GD_SETTING_REAL
#define TYPE_bool GD_SETTING_BOOL

const struct gd_setting_row gd_setting_rows[GD_SETTING_COUNT] = {
#define GD_SETTING(name, type, initial, min, max, unit, text) \
    {#name, unit, text, TYPE_##type, offsetof(struct gd_settings, name), (double)(min), (double)(max)},
#include "service/settings.def"
#undef GD_SETTING
};

#define INIT_str(field, value) snprintf(field, sizeof field, "%s", (const char *)(uintptr_t)(value))
#define INIT_int(field, value) field = (int64_t)(value)
#define INIT_real(field, value) field = (double)(value)
#define INIT_bool(field, value) field = (int)(value)

void gd_settings_init(struct gd_settings *settings)
{
    memset(settings, 0, sizeof *settings);
#define GD_SETTING(name, type, initial, min, max, unit, text) INIT_##type(settings->name, initial);
#include "service/settings.def"
#undef GD_SETTING
    settings->ready_fd = -1;
}

static int parse_bool(const char *value, int *out)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0)
            return *out = 1, 0;
        if (strcmp(value, no[i]) == 0)
            return *out = 0, 0;
    }
    return -1;
}

static const struct gd_setting_row *find(const char *name)
{
    for (size_t i = 0; i < GD_SETTING_COUNT; i++) {
        const char *a = gd_setting_rows[i].name, *b = name;
        while (*a != '\0' && (*a == *b || (*a == '_' && *b == '-')))
            a++, b++;
        if (*a == '\0' && *b == '\0')
            return &gd_setting_rows[i];
    }
    return NULL;
}

/* A whole number, of bytes also in K, M, G or T of them (powers of 1024). -1 if it is none in the setting's range. */
static int parse_int(const struct gd_setting_row *row, const char *value, int64_t *out)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    const char *unit = strcmp(row->unit, "byte") == 0 && end != value && *end != '\0' ? strchr(units, *end) : NULL;
    double factor = unit == NULL ? 1.0 : (double)(1LL << (10 * (unit - units + 1)));
    if (unit != NULL)
        end++;
    double whole = (double)number * factor;
    if (end == value || *end != '\0' || errno != 0 || whole < row->min || whole > row->max)
        return -1;
    *out = (int64_t)(number * (long long)factor);
    return 0;
}

/* ---- what texts may be ---- */

static int check_log_level(const char *value, struct gd_err *err)
{
    enum gd_log_level level;
    if (gd_log_level_from_name(value, &level) == 0)
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "log_level = '%s' is none of error, warn, info, debug", value);
}

static int check_cpu(const char *value, struct gd_err *err)
{
    unsigned mask;
    return gd_cpu_parse_mask(value, &mask, err);
}

static int check_instance(const char *value, struct gd_err *err)
{
    if (value[0] != '\0' && value[0] != '.' && strchr(value, '/') == NULL)
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "instance = '%s' cannot name an instance: no slash, no leading dot, not empty", value);
}

/* libzmq takes the port's last 16 bits, whatever else stands there. */
static int check_listen(const char *value, struct gd_err *err)
{
    const char *colon = strrchr(value, ':'), *digits = colon != NULL ? colon + 1 : "";
    size_t n = strspn(digits, "0123456789");
    if (value[0] == '\0')
        return 0;
    if (strncmp(value, "tcp://", 6) != 0 || colon < value + 6)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "listen = '%s' is no tcp address; write tcp://ADDRESS:PORT", value);
    if (n == 0 || n > 5 || digits[n] != '\0' || atol(digits) > 65535)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "listen = '%s': the port must be a number from 0 (any free one) to 65535", value);
    return 0;
}

static int check_checkpoint_dir(const char *value, struct gd_err *err)
{
    if (value[0] == '\0' || value[0] == '/')
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "checkpoint_dir = '%s'; it must be an absolute path", value);
}

static int (*const text_checks[GD_SETTING_COUNT])(const char *value, struct gd_err *err) = {
    [GD_SETTING_log_level] = check_log_level,
    [GD_SETTING_cpu] = check_cpu,
    [GD_SETTING_instance] = check_instance,
    [GD_SETTING_listen] = check_listen,
    [GD_SETTING_checkpoint_dir] = check_checkpoint_dir,
};

static int set_text(const struct gd_setting_row *row, char *field, const char *value, const char *where, struct gd_err *err)
{
    int (*check)(const char *, struct gd_err *) = text_checks[row - gd_setting_rows];
    if (strlen(value) >= sizeof(gd_setting_str))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: %s is longer than %zu bytes", where, row->name, sizeof(gd_setting_str) - 1);
    if (check != NULL && check(value, err) != 0)
        return gd_err_context(err, "%s", where), GD_E_INVALID_ARGUMENT;
    strcpy(field, value);
    return 0;
}

int gd_settings_set(struct gd_settings *settings, const char *name, const char *value, const char *where, struct gd_err *err)
{
    const struct gd_setting_row *row = find(name);
    if (row == NULL)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: there is no setting '%s'; gromosd --help lists them", where, name);
    void *field = (char *)settings + row->offset;
    char *end = NULL;
    errno = 0;
    switch (row->type) {
    case GD_SETTING_STR:
        return set_text(row, field, value, where, err);
    case GD_SETTING_BOOL:
        if (parse_bool(value, field) != 0)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: %s = '%s' is neither yes nor no", where, name, value);
        return 0;
    case GD_SETTING_INT:
        if (parse_int(row, value, field) != 0)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: %s = '%s' is not a whole number from %.0f to %.0f%s", where, name, value,
                              row->min, row->max, strcmp(row->unit, "byte") == 0 ? " bytes, such as 1048576, 1024K or 1M" : "");
        return 0;
    case GD_SETTING_REAL: {
        double number = strtod(value, &end);
        if (end == value || *end != '\0' || !(number >= row->min && number <= row->max))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: %s = '%s' is not a number from %g to %g %s", where, name, value, row->min,
                              row->max, row->unit);
        *(double *)field = number;
        return 0;
    }
    }
    return gd_err_set(err, GD_E_INTERNAL, "setting %s has no type", name);
}

int gd_settings_blame(const struct gd_settings *settings, enum gd_setting_number number, struct gd_err *err)
{
    int given = settings->given[number];
    if (err == NULL || given == 0)
        return err == NULL ? GD_E_INTERNAL : err->code;
    return given == GD_GIVEN_IN_COMMAND ? gd_err_context(err, IN_COMMAND) : gd_err_context(err, IN_FILE, settings->config, given);
}

void gd_settings_text(const struct gd_settings *settings, const struct gd_setting_row *row, char *out, size_t room)
{
    const void *field = (const char *)settings + row->offset;
    switch (row->type) {
    case GD_SETTING_STR:
        snprintf(out, room, "%s", (const char *)field);
        break;
    case GD_SETTING_INT:
        snprintf(out, room, "%" PRId64, *(const int64_t *)field);
        break;
    case GD_SETTING_REAL:
        snprintf(out, room, "%g", *(const double *)field);
        break;
    case GD_SETTING_BOOL:
        snprintf(out, room, "%s", *(const int *)field ? "yes" : "no");
        break;
    }
}

/* ---- configuration file ---- */

/* Handler and reader are called in turn: `line` is that of the name being handled. */
struct file_context {
    struct gd_settings *settings;
    const char *path;
    struct gd_err *err;
    int failed, failed_line;
    FILE *file;
    int line, long_line;
};

static int refuse_twice(struct file_context *context, const char *name, const char *where)
{
    const struct gd_setting_row *row = find(name);
    if (row == NULL)
        return 0;
    int *given = &context->settings->given[row - gd_setting_rows];
    int first = *given;
    *given = context->line;
    if (first == 0)
        return 0;
    return gd_err_set(context->err, GD_E_INVALID_ARGUMENT, "%s: '%s' is given twice, in line %d and in line %d; keep one of them", where,
                      row->name, first, context->line);
}

static int on_ini(void *user, const char *section, const char *name, const char *value)
{
    struct file_context *context = user;
    char where[PATH_MAX + 32];
    if (context->failed != 0)
        return 0; /* the first fault is told */
    snprintf(where, sizeof where, IN_FILE, context->path, context->line);
    if (strcmp(section, "gromosd") != 0)
        context->failed =
            section[0] == '\0'
                ? gd_err_set(context->err, GD_E_INVALID_ARGUMENT, "%s: '%s' stands before any section; put [gromosd] above it", where, name)
                : gd_err_set(context->err, GD_E_INVALID_ARGUMENT, "%s: section [%s]; the only section is [gromosd]", where, section);
    else if ((context->failed = refuse_twice(context, name, where)) == 0)
        context->failed = gd_settings_set(context->settings, name, value, where, context->err);
    context->failed_line = context->line;
    return context->failed == 0;
}

/* A line that is longer than the parser's room would be taken for two. */
static char *next_line(char *text, int room, void *user)
{
    struct file_context *context = user;
    if (context->long_line != 0 || fgets(text, room, context->file) == NULL)
        return NULL;
    context->line++;
    if (strchr(text, '\n') == NULL && !feof(context->file)) {
        context->long_line = context->line;
        return NULL;
    }
    return text;
}

static int read_file(struct gd_settings *settings, const char *path, struct gd_err *err)
{
    struct file_context context = {.settings = settings, .path = path, .err = err};
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "configuration file %s: is not a regular file", path);
    context.file = fopen(path, "re");
    if (context.file == NULL)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "configuration file %s", path);
    int line = ini_parse_stream(next_line, &context, on_ini, &context);
    int unread = ferror(context.file);
    fclose(context.file);
    if (unread)
        return gd_err_set(err, GD_E_FILE_ACCESS, "configuration file %s cannot be read", path);
    if (line > 0 && (context.failed == 0 || line < context.failed_line))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s, line %d: not of the form [section] or name = value", path, line);
    if (context.failed != 0)
        return context.failed;
    if (context.long_line != 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s, line %d: longer than lines of this file may be", path, context.long_line);
    return line == 0 ? 0 : gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to read %s", path);
}

/* ---- command line ---- */

enum { KEY_CONFIG = 0x1000, KEY_READY_FD, KEY_KEEP, KEY_FIRST_SETTING = 0x2000 };

struct parse_context {
    struct gd_settings *settings;
    struct gd_err *err;
    const char *config;
    int config_only; /* first pass: only look for --config */
    int code;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct parse_context *context = state->input;
    if (key == KEY_CONFIG) {
        context->config = argument;
    } else if (key == KEY_KEEP) {
        context->settings->keep = 1;
    } else if (key == KEY_READY_FD) {
        context->settings->ready_fd = atoi(argument);
    } else if (key >= KEY_FIRST_SETTING && key < KEY_FIRST_SETTING + GD_SETTING_COUNT) {
        if (context->config_only)
            return 0;
        const char *name = gd_setting_rows[key - KEY_FIRST_SETTING].name;
        context->settings->given[key - KEY_FIRST_SETTING] = GD_GIVEN_IN_COMMAND;
        context->code = gd_settings_set(context->settings, name, argument != NULL ? argument : "yes", IN_COMMAND, context->err);
        return context->code == 0 ? 0 : EINVAL;
    } else if (key == ARGP_KEY_ARG) {
        context->code = gd_err_set(context->err, GD_E_INVALID_ARGUMENT, "'%s' is not an option; gromosd --help lists them", argument);
        return EINVAL;
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

#define OPTION_ROWS (GD_SETTING_COUNT + 4)

static void fill_options(struct argp_option *options, char (*names)[64], char (*texts)[512])
{
    size_t k = 0;
    for (size_t i = 0; i < GD_SETTING_COUNT; i++, k++) {
        const struct gd_setting_row *row = &gd_setting_rows[i];
        snprintf(names[i], sizeof names[i], "%s", row->name);
        for (char *c = names[i]; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        struct gd_settings defaults;
        gd_settings_init(&defaults);
        char value[sizeof(gd_setting_str)];
        gd_settings_text(&defaults, row, value, sizeof value);
        snprintf(texts[i], sizeof texts[i], "%s%s%.40s%s%s%s", row->text, *value ? " (default " : "", value,
                 *value && *row->unit ? " " : "", *value ? row->unit : "", *value ? ")" : "");
        options[k] = (struct argp_option){names[i],
                                          KEY_FIRST_SETTING + (int)i,
                                          row->type == GD_SETTING_BOOL ? "yes|no" : "VALUE",
                                          row->type == GD_SETTING_BOOL ? OPTION_ARG_OPTIONAL : 0,
                                          texts[i],
                                          1};
    }
    options[k++] = (struct argp_option){
        "config", KEY_CONFIG, "FILE", 0, "read settings from FILE ([gromosd], name = value); the command line wins", 0};
    options[k++] =
        (struct argp_option){"keep", KEY_KEEP, NULL, 0, "keep the segments in a small parent and restart the worker if it dies", 0};
    options[k++] = (struct argp_option){"ready-fd", KEY_READY_FD, "FD", OPTION_HIDDEN, "write one line here when serving", 0};
    options[k] = (struct argp_option){0};
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "gromosd %s (protocol %d)\n", GD_VERSION, GD_PROTOCOL_VERSION);
}

int gd_settings_wrong_status(void)
{
    const char *names = getenv("LISTEN_FDNAMES"), *pid = getenv("LISTEN_PID");
    int ours = names != NULL && pid != NULL && strtol(pid, NULL, 10) == (long)getpid();
    return ours && strstr(names, ".k") != NULL ? EXIT_FAILURE : 2; /* .k: a State's record (keep.h) */
}

int gd_settings_parse(struct gd_settings *settings, int argc, char **argv, struct gd_err *err)
{
    struct argp_option *options = calloc(OPTION_ROWS, sizeof *options);
    char(*names)[64] = calloc(GD_SETTING_COUNT, sizeof *names);
    char(*texts)[512] = calloc(GD_SETTING_COUNT, sizeof *texts);
    int code = GD_E_OUT_OF_MEMORY;
    if (options == NULL || names == NULL || texts == NULL) {
        gd_err_set(err, code, "no memory for the option table");
        goto done;
    }
    fill_options(options, names, texts);
    argp_program_version_hook = print_version;
    struct argp argp = {
        options,
        on_option,
        NULL,
        "Holds molecular-dynamics States in shared memory, computes on them, serves them over ZeroMQ.\v"
        "Without options it serves the present user on a Unix socket and stays in the foreground. Numbers of bytes may end in K, M, "
        "G or T.\n"
        "Its exit status is 0 after a stop that was asked for, 2 when a setting or the command line is wrong and no States wait "
        "for it, 1 when it could not start or run for another reason; then one line of the log says why.",
        NULL,
        NULL,
        NULL};
    struct parse_context context = {settings, err, NULL, 1, 0};
    argp_err_exit_status = gd_settings_wrong_status();
    error_t status = argp_parse(&argp, argc, argv, 0, NULL, &context); /* prints help, version, unknown options */
    settings->config = context.config;
    if (status == 0 && context.config != NULL)
        context.code = read_file(settings, context.config, err);
    if (status == 0 && context.code == 0) {
        context.config_only = 0;
        status = argp_parse(&argp, argc, argv, ARGP_NO_ERRS, NULL, &context);
    }
    code = context.code;
    if (status != 0 && code == 0)
        code = gd_err_set(err, GD_E_INVALID_ARGUMENT, "unknown option, or one without its value; gromosd --help lists them");
done:
    free(options);
    free(names);
    free(texts);
    return code;
}
