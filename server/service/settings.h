/* The daemon's parameters: one table (settings.def) feeds the command line, the configuration file, the help and `info`. */
#ifndef GD_SERVICE_SETTINGS_H
#define GD_SERVICE_SETTINGS_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

typedef char gd_setting_str[512];
typedef int64_t gd_setting_int;
typedef double gd_setting_real;
typedef int gd_setting_bool;

enum gd_setting_number {
#define GD_SETTING(name, type, initial, min, max, unit, text) GD_SETTING_##name,
#include "service/settings.def"
#undef GD_SETTING
    GD_SETTING_COUNT
};

#define GD_GIVEN_IN_COMMAND (-1)

struct gd_settings {
#define GD_SETTING(name, type, initial, min, max, unit, text) gd_setting_##type name;
#include "service/settings.def"
#undef GD_SETTING
    int given[GD_SETTING_COUNT]; /* where: 0 nowhere, the line of the configuration file, or GD_GIVEN_IN_COMMAND */
    const char *config;          /* that file, of argv */
    int ready_fd;                /* where the starter waits for one line: "ready", or "error: why"; -1: nobody waits */
    int keep;                    /* run as the small parent that keeps the segments */
};

enum gd_setting_type { GD_SETTING_STR, GD_SETTING_INT, GD_SETTING_REAL, GD_SETTING_BOOL };

struct gd_setting_row {
    const char *name, *unit, *text;
    enum gd_setting_type type;
    size_t offset; /* in struct gd_settings */
    double min, max;
};

extern const struct gd_setting_row gd_setting_rows[GD_SETTING_COUNT];

void gd_settings_init(struct gd_settings *settings);

/* Sets one by name from text; the error names the value, the range and `where` (file:line or option). */
int gd_settings_set(struct gd_settings *settings, const char *name, const char *value, const char *where, struct gd_err *err);

/* The exit status for a wrong setting: 2, which tells who starts the daemon that trying again is of no use. 1 where the holder of a daemon that
 * died hands over its States: they are lost when it is not tried again. At the start only. */
int gd_settings_wrong_status(void);

/* Command line, and the file it may name with --config (the command line wins). Ends the process itself only for --help,
 * --usage, --version and unknown options, through argp. */
int gd_settings_parse(struct gd_settings *settings, int argc, char **argv, struct gd_err *err);

/* For a fault that shows when a setting is put to use: puts in front of the error where the setting was given, "FILE, line N" or
 * "command line", and nothing if it was not. Returns err->code. */
int gd_settings_blame(const struct gd_settings *settings, enum gd_setting_number number, struct gd_err *err);

/* The value as text, for `info` and the documentation. */
void gd_settings_text(const struct gd_settings *settings, const struct gd_setting_row *row, char *out, size_t room);

#endif
