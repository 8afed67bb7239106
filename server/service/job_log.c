#include "service/job_log.h"

#include "service/codec.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = {"info", "warning", "error"};

const char *gd_job_line_level_name(int32_t level)
{
    return level >= 0 && level <= GD_JOB_LINE_ERROR ? level_names[level] : level_names[GD_JOB_LINE_INFO];
}

void gd_job_log_clear(struct gd_job_log *log)
{
    free(log->lines);
    *log = (struct gd_job_log){0};
}

static int grow(struct gd_job_log *log, size_t wanted)
{
    size_t room = log->room == 0 ? 16 : log->room;
    while (room < wanted)
        room *= 2;
    if (room > GD_JOB_LOG_LINES)
        room = GD_JOB_LOG_LINES;
    if (room <= log->room)
        return 0;
    struct gd_job_line *lines = realloc(log->lines, room * sizeof *lines);
    if (lines == NULL)
        return -1;
    memset(lines + log->room, 0, (room - log->room) * sizeof *lines);
    log->lines = lines;
    log->room = room;
    return 0;
}

void gd_job_log_take(struct gd_job_log *log, const struct gd_job_line *line)
{
    uint64_t number = line->sequence - 1;
    size_t place = (size_t)(number % GD_JOB_LOG_LINES);
    log->count = number + 1;
    if (grow(log, place + 1) == 0)
        log->lines[place] = *line;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* As much of the line as fits, without cutting a character. */
static size_t piece_of(const char *text, size_t bytes, size_t room)
{
    if (bytes <= room)
        return bytes;
    size_t cut = room;
    while (cut > room - 4 && ((unsigned char)text[cut] & 0xc0u) == 0x80u)
        cut--;
    return cut;
}

static void put_piece(struct gd_job_log *log, enum gd_job_line_level level, const char *text, size_t bytes)
{
    struct gd_job_line line = {.sequence = log->count + 1, .time = now(), .level = (int32_t)level};
    memcpy(line.text, text, bytes);
    int valid = gd_utf8_valid(line.text, bytes);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)line.text[i] < ' ' || line.text[i] == 127 || (!valid && (unsigned char)line.text[i] >= 0x80u))
            line.text[i] = line.text[i] == '\t' ? ' ' : '?';
    gd_job_log_take(log, &line);
}

void gd_job_log_put(struct gd_job_log *log, enum gd_job_line_level level, const char *text)
{
    const size_t room = sizeof((struct gd_job_line *)0)->text - 1;
    do {
        size_t bytes = strcspn(text, "\n"), piece = piece_of(text, bytes, room);
        put_piece(log, level, text, piece);
        text += piece;
        text += piece == bytes && *text == '\n';
    } while (*text != '\0');
}

uint64_t gd_job_log_first(const struct gd_job_log *log, uint64_t after)
{
    uint64_t oldest = log->count > GD_JOB_LOG_LINES ? log->count - GD_JOB_LOG_LINES : 0;
    while (oldest < log->count && gd_job_log_line(log, oldest) == NULL)
        oldest++;
    return after < oldest ? oldest : after < log->count ? after : log->count;
}

const struct gd_job_line *gd_job_log_line(const struct gd_job_log *log, uint64_t number)
{
    size_t place = (size_t)(number % GD_JOB_LOG_LINES);
    return place < log->room && log->lines[place].sequence == number + 1 ? &log->lines[place] : NULL;
}
