#include "core/segment.h"

#include "core/check.h"
#include "core/descriptors.h"
#include "proto/gd_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux 6.3: without this flag the object is executable, and a hardened machine (vm.memfd_noexec=2) refuses it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)
#define MODE_PRIVATE (S_IRUSR | S_IWUSR)

static int open_memfd(const char *name)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create(name, flags) : fd;
}

/* The same object through a descriptor that cannot be mapped for writing. */
static int open_reader(int fd, struct gd_err *err)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader < 0)
        return gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot open a shared-memory segment for readers through %s (is /proc mounted?)",
                            path);
    return reader;
}

/* Asking the machine takes longer than making a small segment, so its answer is good for this much more: a part of the
 * reserve that gd_memory_available leaves in any case. */
#define ALLOWANCE ((size_t)8 << 20)
static _Atomic size_t allowance;

static int check_room(size_t bytes, struct gd_err *err)
{
    size_t left = atomic_load(&allowance);
    while (bytes <= left) {
        if (atomic_compare_exchange_weak(&allowance, &left, left - bytes))
            return 0;
    }
    size_t available = gd_memory_available();
    if (bytes > available)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY,
                          "a segment of %zu bytes is more than the %zu bytes that memory and memory cgroup leave here", bytes, available);
    atomic_store(&allowance, available - bytes >= ALLOWANCE ? ALLOWANCE : 0);
    return 0;
}

/* After check_room. */
static int allocate(int fd, size_t offset, size_t bytes, struct gd_err *err)
{
    int rc;
    do
        rc = fallocate(fd, 0, (off_t)offset, (off_t)bytes);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot allocate %zu bytes of shared memory", bytes);
    return 0;
}

/* Shorter objects gain less than the machine spends on the first large page. */
#define LEAST_LARGE (4 * GD_LARGE_PAGE)

/* Makes large pages of an object that has no pages yet, as far as the machine has them and knows how: one small page in each, then all of
 * them are made large, which is ten times faster than taking the small ones. What is not made large is allocated afterwards like any other.
 * MADV_COLLAPSE does so whatever the machine's setting for shared memory (transparent_hugepage/shmem_enabled, mostly "never") is. */
static void make_large_pages(const struct gd_segment *segment)
{
    size_t whole = segment->bytes / GD_LARGE_PAGE * GD_LARGE_PAGE;
    for (size_t at = 0; at < whole; at += GD_LARGE_PAGE) {
        if (pwrite(segment->fd, "", 1, (off_t)at) != 1)
            return;
    }
    madvise(segment->base, whole, MADV_COLLAPSE);
}

/* Growing past RLIMIT_FSIZE would raise SIGXFSZ. */
static int check_size(size_t bytes, struct gd_err *err)
{
    struct rlimit limit;
    if (bytes > (size_t)INT64_MAX - GD_PAGE || bytes == 0)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no segment of %zu bytes can be made", bytes);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "a segment of %zu bytes is above the file size limit of %llu (ulimit -f)", bytes,
                          (unsigned long long)limit.rlim_cur);
    return 0;
}

int gd_segment_create(struct gd_segment *out, const char *name, size_t bytes, unsigned flags, struct gd_err *err)
{
    struct gd_segment segment = GD_SEGMENT_NONE;
    int code = check_size(bytes, err);
    if (code != 0)
        return code;
    segment.bytes = (size_t)gd_round_up(bytes, GD_PAGE);
    segment.writable = 1;

    code = GD_E_OUT_OF_MEMORY;
    segment.fd = open_memfd(name);
    if (segment.fd < 0) {
        gd_err_errno(err, code, "cannot create shared memory");
        goto fail;
    }
    if (gd_descriptors_check(segment.fd, err) != 0)
        goto fail;
    /* Readers could otherwise reopen their descriptor for writing, and other users theirs at all. */
    int sparse = (flags & GD_SEGMENT_SPARSE) != 0, large = (flags & GD_SEGMENT_LARGE_PAGES) != 0 && segment.bytes >= LEAST_LARGE;
    if (fchmod(segment.fd, MODE_PRIVATE) != 0 || ((sparse || large) && ftruncate(segment.fd, (off_t)segment.bytes) != 0)) {
        gd_err_errno(err, code, "cannot make shared memory of %zu bytes", segment.bytes);
        goto fail;
    }
    if (!sparse && check_room(segment.bytes, err) != 0)
        goto fail;
    void *base = large ? gd_map_shared(segment.fd, segment.bytes, PROT_READ | PROT_WRITE)
                       : mmap(NULL, segment.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment.fd, 0);
    if (base == MAP_FAILED) {
        gd_err_errno(err, code, "cannot map shared memory of %zu bytes", segment.bytes);
        goto fail;
    }
    segment.base = base;
    if (large)
        make_large_pages(&segment);
    if (!sparse && allocate(segment.fd, 0, segment.bytes, err) != 0)
        goto fail;
    int seals = SEALS_SIZE | ((flags & GD_SEGMENT_WRITER_ONLY) != 0 ? F_SEAL_FUTURE_WRITE : 0);
    if (fcntl(segment.fd, F_ADD_SEALS, seals | F_SEAL_SEAL) != 0) {
        gd_err_errno(err, code, "cannot seal shared memory");
        goto fail;
    }
    segment.fd_reader = open_reader(segment.fd, err);
    if (segment.fd_reader < 0)
        goto fail;
    *out = segment;
    return 0;
fail:
    gd_segment_close(&segment);
    return code;
}

/* Seals of an object that may be adopted, or -1. */
static int check_adopted(int fd, size_t *bytes, struct gd_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return gd_err_set(err, GD_E_CORRUPT_DATA, "descriptor %d is not a shared-memory object", fd), -1;
    if (st.st_uid != geteuid() || (st.st_mode & 07777) != MODE_PRIVATE)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the shared-memory object at descriptor %d has owner %u and mode %o, not %u and 600", fd,
                          (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777), (unsigned)geteuid()),
               -1;
    if (st.st_size < (off_t)sizeof(struct gd_segment_head) || st.st_size % (off_t)GD_PAGE != 0)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the shared-memory object at descriptor %d has %lld bytes, which no segment has", fd,
                          (long long)st.st_size),
               -1;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & (SEALS_SIZE | F_SEAL_SEAL)) != (SEALS_SIZE | F_SEAL_SEAL) || (seals & F_SEAL_WRITE) != 0)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the shared-memory object at descriptor %d is not sealed as a segment is", fd), -1;
    int mode = fcntl(fd, F_GETFL);
    if (mode < 0 || (mode & O_ACCMODE) != O_RDWR)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "descriptor %d is not open for reading and writing", fd), -1;
    *bytes = (size_t)st.st_size;
    return seals;
}

int gd_segment_adopt(struct gd_segment *out, int fd, struct gd_err *err)
{
    struct gd_segment segment = GD_SEGMENT_NONE;
    int seals = check_adopted(fd, &segment.bytes, err);
    if (seals < 0)
        return GD_E_CORRUPT_DATA;
    segment.writable = (seals & F_SEAL_FUTURE_WRITE) == 0;
    segment.fd_reader = open_reader(fd, err);
    if (segment.fd_reader < 0)
        return GD_E_OUT_OF_MEMORY;
    void *base = mmap(NULL, segment.bytes, segment.writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot map shared memory of %zu bytes", segment.bytes);
        gd_segment_close(&segment);
        return GD_E_OUT_OF_MEMORY;
    }
    segment.base = base;
    segment.fd = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *out = segment;
    return 0;
}

int gd_segment_allocate(struct gd_segment *segment, size_t offset, size_t bytes, struct gd_err *err)
{
    GD_CHECK(bytes > 0 && offset <= segment->bytes && bytes <= segment->bytes - offset);
    return check_room(bytes, err) == 0 ? allocate(segment->fd, offset, bytes, err) : GD_E_OUT_OF_MEMORY;
}

void gd_segment_fill(const struct gd_segment *segment, size_t offset, double value, size_t count)
{
    double block[2048];
    GD_CHECK(offset <= segment->bytes && count <= (segment->bytes - offset) / sizeof value);
    for (size_t i = 0; i < sizeof block / sizeof block[0]; i++)
        block[i] = value;
    size_t bytes = count * sizeof value, done = 0;
    while (done < bytes) {
        size_t phase = done % sizeof value, most = sizeof block - phase;
        size_t next = bytes - done < most ? bytes - done : most;
        ssize_t wrote = pwrite(segment->fd, (const char *)block + phase, next, (off_t)(offset + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) /* then as anybody would */
            memcpy((char *)segment->base + offset + done, (const char *)block + phase, next);
        done += wrote > 0 ? (size_t)wrote : next;
    }
}

void gd_segment_close(struct gd_segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->base != NULL)
        munmap(segment->base, segment->bytes);
    if (segment->fd_reader >= 0)
        close(segment->fd_reader);
    if (segment->fd >= 0)
        close(segment->fd);
    *segment = GD_SEGMENT_NONE;
}
