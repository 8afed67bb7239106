/* One sealed shared-memory object: create, map, hand out.
 *
 * A segment is a memfd of fixed size: sealed against shrinking, growing and further seals, mode 0600 before its descriptor can
 * leave the process, all its memory allocated before anybody maps it (an error instead of SIGBUS) unless it is made sparse,
 * in which case gd_segment_allocate() does it piece by piece. The daemon keeps it mapped read-write. */
#ifndef GD_CORE_SEGMENT_H
#define GD_CORE_SEGMENT_H

#include "core/err.h"
#include "core/memory.h"
#include "proto/gd_shm.h"

#include <stddef.h>

struct gd_segment {
    int fd;        /* read-write; -1 when there is none */
    int fd_reader; /* the same object opened read-only */
    void *base;
    size_t bytes;
    int writable; /* 0: an adopted WRITER_ONLY segment, whose writer is gone; base is mapped read-only */
};

#define GD_SEGMENT_NONE ((struct gd_segment){.fd = -1, .fd_reader = -1})

#define GD_SEGMENT_SPARSE 1u      /* memory is allocated by gd_segment_allocate, not now */
#define GD_SEGMENT_WRITER_ONLY 2u /* F_SEAL_FUTURE_WRITE after mapping: nobody else can ever map it for writing */
/* In pages of 2 MB as far as the machine has them; for what is written and read as a whole, and often. */
#define GD_SEGMENT_LARGE_PAGES 4u

/* bytes is rounded up to whole pages. name is for /proc listings only. On failure *out is untouched.
 * Errors: GD_E_OUT_OF_MEMORY (also: above what the memory cgroup or MemAvailable, less a reserve, allow; too few
 * descriptors). Any thread. */
int gd_segment_create(struct gd_segment *out, const char *name, size_t bytes, unsigned flags, struct gd_err *err);

/* Takes over a descriptor that survived a restart: a regular file of this user, mode 0600, opened read-write, sealed as above,
 * whole pages and no smaller than a segment head. What stands in it is the caller's to check. The fd is consumed on success.
 * Errors: GD_E_CORRUPT_DATA, GD_E_OUT_OF_MEMORY. */
int gd_segment_adopt(struct gd_segment *out, int fd, struct gd_err *err);

/* Allocates [offset, offset + bytes) of a sparse segment; what is allocated already stays as it is. */
int gd_segment_allocate(struct gd_segment *segment, size_t offset, size_t bytes, struct gd_err *err);

/* The same number everywhere in [offset, offset + 8 count), which is allocated. Cheaper than storing where nobody has been yet: whole
 * pages need not be zeroed first, nor mapped. */
void gd_segment_fill(const struct gd_segment *segment, size_t offset, double value, size_t count);

/* Unmaps and closes; NULL-safe, twice is fine. */
void gd_segment_close(struct gd_segment *segment);

#endif
