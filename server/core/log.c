#include "core/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int log_level = GD_LOG_INFO;
static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_journal = 0;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int journal_priority[] = {3, 4, 6, 7};

void gd_log_setup(int fd, enum gd_log_level level, int journal)
{
    atomic_store(&log_fd, fd);
    atomic_store(&log_level, (int)level);
    atomic_store(&log_journal, journal);
}

int gd_log_level_from_name(const char *name, enum gd_log_level *out)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum gd_log_level)i;
            return 0;
        }
    }
    return -1;
}

/* Copies src to dst as printable text; returns the number of bytes written. dst has room for `room` bytes. */
static size_t escape(char *dst, size_t room, const char *src)
{
    size_t n = 0;
    for (; *src != '\0' && n + 4 < room; src++) {
        unsigned char c = (unsigned char)*src;
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(dst + n, room - n, "\\x%02x", c);
        else
            dst[n++] = (char)c;
    }
    return n;
}

void gd_log(enum gd_log_level level, const char *area, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    char line[4096];
    size_t n = 0;
    if (atomic_load(&log_journal)) {
        n = (size_t)snprintf(line, sizeof line, "<%d>%s: ", journal_priority[level], area);
    } else {
        struct timespec now;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
        n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %-5s %s: ", now.tv_nsec / 1000000, level_names[level], area);
    }
    n += escape(line + n, sizeof line - n - 1, text);
    line[n++] = '\n';
    /* One write per line: lines of several threads do not mix. A log that cannot be written is not worth dying for. */
    ssize_t written = write(atomic_load(&log_fd), line, n);
    (void)written;
}
