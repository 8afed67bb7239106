/* gd_trajectory_resume_at_step of trajectory.h: where in a file the first frame after a step begins. Plain files are looked
 * through line by line; gzip files member by member, since only there they can be cut. The file is streamed: memory does not
 * grow with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "io/block_reader.h"
#include "io/trajectory.h"

#define PIECE 65536
#define LINE 128 /* of a line only its beginning matters */
#define GZIP_WINDOW (15 + 16)

struct scan {
    int64_t limit;
    char line[LINE];
    size_t length;
    int64_t line_offset; /* of the line that is being collected; -1: the file cannot be cut there */
    bool in_block, want_step;
    int64_t frame_offset; /* of the frame that is being looked at; 0 before the first */
    bool found;           /* frame_offset is that of the first frame beyond the limit */
};

static bool is_word(const struct scan *s, const char *word)
{
    size_t n = strlen(word);
    return s->length >= n && memcmp(s->line, word, n) == 0 && (s->length == n || strchr(" \t\r", s->line[n]) != NULL);
}

static void take_step(struct scan *s)
{
    size_t b = 0, e;
    long step;
    while (b < s->length && (s->line[b] == ' ' || s->line[b] == '\t'))
        b++;
    for (e = b; e < s->length && s->line[e] != ' ' && s->line[e] != '\t';)
        e++;
    if (b == e || s->line[b] == '#')
        return;
    s->want_step = false;
    if (gd_parse_long(s->line + b, e - b, &step) == 0 && step > s->limit)
        s->found = true;
}

static void take_line(struct scan *s)
{
    if (!s->in_block) {
        if (s->length == 0 || s->line[0] == '#')
            return;
        s->in_block = true;
        if (is_word(s, "TIMESTEP")) {
            s->frame_offset = s->line_offset;
            s->want_step = true;
        }
    } else if (is_word(s, "END")) {
        s->in_block = s->want_step = false;
    } else if (s->want_step) {
        take_step(s);
    }
}

/* offset: of text[0] in the file. cuttable: every line of it may be cut at, else only its first. */
static void feed(struct scan *s, const char *text, size_t n, int64_t offset, bool cuttable)
{
    for (size_t i = 0; i < n && !s->found; i++) {
        if (text[i] == '\n') {
            take_line(s);
            s->length = 0;
            s->line_offset = cuttable ? offset + (int64_t)i + 1 : -1;
        } else if (s->length < LINE) {
            s->line[s->length++] = text[i];
        }
    }
}

static ssize_t read_piece(int fd, void *out, const char *path, struct gd_err *err)
{
    ssize_t n;
    do
        n = read(fd, out, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be read", path);
    return n;
}

static int scan_plain(struct scan *s, int fd, const char *path, int64_t *end, struct gd_err *err)
{
    char piece[PIECE];
    ssize_t n;
    while (!s->found && (n = read_piece(fd, piece, path, err)) != 0) {
        if (n < 0)
            return GD_E_FILE_ACCESS;
        feed(s, piece, (size_t)n, *end, true);
        *end += n;
    }
    return 0;
}

/* *end: behind the last whole member. */
static int scan_members(struct scan *s, int fd, const char *path, int64_t *end, struct gd_err *err)
{
    unsigned char in[PIECE];
    char out[PIECE];
    z_stream zip = {0};
    int64_t at = 0; /* of what inflate has taken */
    int state = Z_OK, rc = 0;
    ssize_t n;
    if (inflateInit2(&zip, GZIP_WINDOW) != Z_OK)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to look through it", path);
    s->line_offset = 0;
    while (rc == 0 && !s->found && (n = read_piece(fd, in, path, err)) != 0) {
        if (n < 0) {
            rc = GD_E_FILE_ACCESS;
            break;
        }
        zip.next_in = in;
        zip.avail_in = (uInt)n;
        while (zip.avail_in > 0 && !s->found && state >= 0) {
            zip.next_out = (Bytef *)out;
            zip.avail_out = sizeof out;
            uInt before = zip.avail_in;
            state = inflate(&zip, Z_NO_FLUSH);
            at += before - zip.avail_in;
            feed(s, out, sizeof out - zip.avail_out, at, false);
            if (state == Z_STREAM_END) {
                *end = at;
                s->line_offset = s->length == 0 ? at : -1;
                inflateReset(&zip);
                state = Z_OK;
            }
        }
        if (state < 0 && state != Z_BUF_ERROR)
            break; /* what follows the last whole member is dropped */
    }
    inflateEnd(&zip);
    return rc;
}

static int find(const char *path, int64_t step, int64_t *offset, struct gd_err *err)
{
    unsigned char magic[2] = {0, 0};
    struct scan s = {.limit = step};
    int64_t end = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be continued", path);
    bool zipped = pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    int rc = zipped ? scan_members(&s, fd, path, &end, err) : scan_plain(&s, fd, path, &end, err);
    close(fd);
    if (rc != 0)
        return rc;
    *offset = s.found || s.in_block || s.length > 0 ? s.frame_offset : end;
    if (*offset < 0)
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "%s: its gzip members do not start with frames, so that it cannot be cut; it was "
                          "not written by this program",
                          path);
    return 0;
}

int gd_trajectory_resume_at_step(struct gd_trajectory **out, const char *path, enum gd_trajectory_kind kind, int64_t step,
                                 struct gd_err *err)
{
    int64_t offset = 0;
    int rc = find(path, step, &offset, err);
    if (rc == 0 && offset == 0)
        rc = gd_err_set(err, GD_E_FILE_FORMAT, "%s: has no whole TITLE; it is not a trajectory that can be continued", path);
    return rc != 0 ? rc : gd_trajectory_resume(out, path, kind, offset, err);
}
