/* See output.h. */
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define COMPRESSION_LEVEL 4 /* 3 % larger than the default on coordinates, twice as fast */
#define GZIP_WINDOW (15 + 16)
#define READER_SECONDS 5 /* of a pipe; meanwhile the run stands still */

struct gd_output {
    char *path;
    char *beside; /* of a file to be replaced: where it is written; else NULL */
    int fd;
    int64_t offset; /* behind the last good commit */
    char *text;
    size_t length, capacity;
    bool failed; /* out of memory while collecting */
    bool compress;
    z_stream zip;
};

static bool ends_with_gz(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

static int new_output(struct gd_output **made, const char *path, struct gd_err *err)
{
    struct gd_output *out = calloc(1, sizeof *out);
    if (out == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", path);
    out->fd = -1;
    out->path = strdup(path);
    if (out->path == NULL)
        goto fail;
    if (ends_with_gz(path)) {
        if (deflateInit2(&out->zip, COMPRESSION_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            goto fail;
        out->compress = true;
    }
    *made = out;
    return 0;
fail:
    gd_output_destroy(&out);
    return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", path);
}

/* What a new file would take the place of: the path itself, or where a symbolic link leads. Only a regular file is replaced; into a pipe or
 * a device, which a rename would do away with, is written as into a stream. Sets *stream. */
static int find_target(struct gd_output *out, bool *stream)
{
    struct stat st;
    *stream = false;
    if (stat(out->path, &st) != 0)
        return 0; /* nothing is there, or what is wrong shows when it is opened */
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    *stream = !S_ISREG(st.st_mode);
    char *target = *stream ? NULL : realpath(out->path, NULL);
    if (target != NULL) {
        free(out->path);
        out->path = target;
    }
    return 0;
}

/* Two that write the same file would make a mess of it, so the first one has it. A file system without locks goes without. */
static int have_alone(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    return flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? -1 : 0;
}

static int taken(const struct gd_output *out, struct gd_err *err)
{
    return gd_err_set(err, GD_E_FILE_ACCESS, "%s: is being written already, by this run or another one; every file needs a name of its own",
                      out->path);
}

/* A streamed file, emptied once it is ours. */
static int open_stream(struct gd_output *out, struct gd_err *err)
{
    out->fd = open(out->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666); /* a pipe must not keep us waiting */
    if (out->fd >= 0 && have_alone(out->fd) != 0)
        return taken(out, err);
    if (out->fd < 0 || (ftruncate(out->fd, 0) != 0 && errno != EINVAL)) /* EINVAL: a pipe or device */
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", out->path);
    return 0;
}

/* A name next to the target that nobody has: rename then stays within one file system. */
static int open_beside(struct gd_output *out, struct gd_err *err)
{
    char *name = NULL;
    errno = EEXIST;
    for (int attempt = 0; attempt < 100 && out->fd < 0 && errno == EEXIST; attempt++) {
        free(name);
        if (asprintf(&name, "%s.part-%ld-%d", out->path, (long)getpid(), attempt) < 0)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", out->path);
        out->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (out->fd >= 0) {
        out->beside = name;
        return 0;
    }
    int rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", out->path);
    free(name); /* nothing of ours is there to be removed */
    return rc;
}

int gd_output_create(struct gd_output **made, const char *path, enum gd_output_mode mode, struct gd_err *err)
{
    struct gd_output *out = NULL;
    int rc = new_output(&out, path, err);
    if (rc != 0)
        return rc;
    bool stream = mode == GD_OUTPUT_STREAM;
    if (!stream && find_target(out, &stream) != 0)
        rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
    else
        rc = stream ? open_stream(out, err) : open_beside(out, err);
    if (rc != 0)
        gd_output_destroy(&out);
    else
        *made = out;
    return rc;
}

int gd_output_resume(struct gd_output **made, const char *path, int64_t offset, struct gd_err *err)
{
    struct gd_output *out = NULL;
    struct stat st;
    int rc = new_output(&out, path, err);
    if (rc != 0)
        return rc;
    out->fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (out->fd < 0 || fstat(out->fd, &st) != 0) {
        rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be continued", path);
        goto fail;
    }
    if (have_alone(out->fd) != 0) {
        rc = taken(out, err);
        goto fail;
    }
    if (offset < 0 || !S_ISREG(st.st_mode) || st.st_size < offset) {
        rc = gd_err_set(err, GD_E_FILE_FORMAT,
                        "%s: has %lld bytes and cannot be continued at byte %lld; it is not the file this "
                        "run wrote",
                        path, (long long)st.st_size, (long long)offset);
        goto fail;
    }
    if (ftruncate(out->fd, offset) != 0 || lseek(out->fd, offset, SEEK_SET) != offset) {
        rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be cut to %lld bytes", path, (long long)offset);
        goto fail;
    }
    out->offset = offset;
    *made = out;
    return 0;
fail:
    gd_output_destroy(&out);
    return rc;
}

void gd_output_destroy(struct gd_output **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    struct gd_output *out = *handle;
    if (out->fd >= 0)
        close(out->fd);
    if (out->beside != NULL)
        unlink(out->beside);
    if (out->compress)
        deflateEnd(&out->zip);
    free(out->beside);
    free(out->path);
    free(out->text);
    free(out);
    *handle = NULL;
}

/* ---- collecting ----------------------------------------------------------------------------------------------- */

static char *room(struct gd_output *out, size_t more)
{
    if (out->failed)
        return NULL;
    if (out->capacity - out->length < more) {
        size_t bigger = out->capacity < 65536 ? 65536 : out->capacity;
        while (bigger - out->length < more && bigger <= SIZE_MAX / 2)
            bigger *= 2;
        char *moved = bigger - out->length < more ? NULL : realloc(out->text, bigger);
        if (moved == NULL) {
            out->failed = true;
            return NULL;
        }
        out->text = moved;
        out->capacity = bigger;
    }
    return out->text + out->length;
}

void gd_output_bytes(struct gd_output *out, const char *text, size_t length)
{
    char *at = room(out, length);
    if (at == NULL || length == 0)
        return;
    memcpy(at, text, length);
    out->length += length;
}

void gd_output_text(struct gd_output *out, const char *text)
{
    gd_output_bytes(out, text, strlen(text));
}

void gd_output_printf(struct gd_output *out, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        out->failed = true; /* lines of these files are short */
    else
        gd_output_bytes(out, text, (size_t)n);
}

void gd_output_fixed(struct gd_output *out, double value, int width, int decimals)
{
    char *at = room(out, GD_FIXED_MAX);
    if (at != NULL)
        out->length += gd_format_fixed(at, value, width, decimals);
}

void gd_output_scientific(struct gd_output *out, double value, int width, int decimals)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = plain == (locale_t)0 ? (locale_t)0 : uselocale(plain);
    gd_output_printf(out, "%*.*e", width, decimals, value);
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* A pipe holds little, and who reads it may need a moment. 0, or -1 with EAGAIN when nothing was taken for so long. */
static int wait_for_reader(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLOUT};
    int ready;
    do
        ready = poll(&entry, 1, READER_SECONDS * 1000);
    while (ready < 0 && errno == EINTR);
    errno = ready == 0 ? EAGAIN : errno;
    return ready > 0 ? 0 : -1;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_reader(fd) == 0)))
            continue;
        if (n <= 0)
            return -1;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* One gzip member of everything collected. Returns the bytes written or -1 with errno. */
static int64_t write_compressed(struct gd_output *out)
{
    char piece[65536];
    size_t given = 0;
    int64_t written = 0;
    int state = Z_OK;
    if (deflateReset(&out->zip) != Z_OK) {
        errno = EINVAL;
        return -1;
    }
    out->zip.avail_in = 0;
    while (state != Z_STREAM_END) {
        if (out->zip.avail_in == 0 && given < out->length) {
            size_t chunk = out->length - given > INT_MAX ? INT_MAX : out->length - given;
            out->zip.next_in = (Bytef *)(out->text + given);
            out->zip.avail_in = (uInt)chunk;
            given += chunk;
        }
        out->zip.next_out = (Bytef *)piece;
        out->zip.avail_out = sizeof piece;
        state = deflate(&out->zip, given == out->length ? Z_FINISH : Z_NO_FLUSH);
        size_t n = sizeof piece - out->zip.avail_out;
        if (state == Z_STREAM_ERROR) {
            errno = EINVAL;
            return -1;
        }
        if (write_all(out->fd, piece, n) != 0)
            return -1;
        written += (int64_t)n;
    }
    return written;
}

int gd_output_commit(struct gd_output *out, int64_t *offset, struct gd_err *err)
{
    if (out->failed) {
        out->failed = false;
        out->length = 0;
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write to it", out->path);
    }
    if (out->length > 0) {
        int64_t written = (int64_t)out->length;
        if (out->compress)
            written = write_compressed(out);
        else if (write_all(out->fd, out->text, out->length) != 0)
            written = -1;
        out->length = 0;
        if (written < 0) {
            int rc = errno == EAGAIN ? gd_err_set(err, GD_E_FILE_ACCESS, "%s: cannot be written: nobody has read the pipe for %d s",
                                                  out->path, READER_SECONDS)
                                     : gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", out->path);
            if (ftruncate(out->fd, out->offset) == 0)
                lseek(out->fd, out->offset, SEEK_SET);
            return rc;
        }
        out->offset += written;
    }
    if (offset != NULL)
        *offset = out->offset;
    return 0;
}

int gd_output_sync(struct gd_output *out, struct gd_err *err)
{
    if (fdatasync(out->fd) != 0 && errno != EINVAL) /* EINVAL: a pipe or device */
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be synced to disk", out->path);
    return 0;
}

/* The rename itself must reach the disk: so the directory is synced. A file system that cannot is left alone. */
static void sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return;
    char *slash = strrchr(copy, '/');
    if (slash == copy)
        slash[1] = '\0';
    else if (slash != NULL)
        *slash = '\0';
    int fd = open(slash == NULL ? "." : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

int gd_output_close(struct gd_output **handle, struct gd_err *err)
{
    struct gd_output *out = *handle;
    int rc = gd_output_commit(out, NULL, err);
    if (rc == 0 && out->beside != NULL) {
        if (fsync(out->fd) != 0 && errno != EINVAL) {
            rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be synced to disk", out->path);
        } else if (rename(out->beside, out->path) != 0) {
            rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be put in place", out->path);
        } else {
            free(out->beside);
            out->beside = NULL;
            sync_directory(out->path);
        }
    }
    if (close(out->fd) != 0 && rc == 0)
        rc = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", out->path);
    out->fd = -1;
    gd_output_destroy(handle);
    return rc;
}
