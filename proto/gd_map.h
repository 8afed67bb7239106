/* Mapping a large shared object so that the machine can use its large pages, in the daemon and in clients.
 *
 * With pages of 4 kB, every 4 kB of a large array cost a fault the first time and a walk through the page tables about every time. An object
 * that was made of pages of 2 MB (core/segment.h) is mapped by them only at an address that is a multiple of 2 MB, which mmap() does not
 * look for by itself. */
#ifndef GD_PROTO_MAP_H
#define GD_PROTO_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define GD_LARGE_PAGE ((size_t)2 << 20)

/* As mmap(NULL, bytes, protection, MAP_SHARED, fd, 0), of whole small pages; what is at least a large page long lies at a multiple of it. */
static inline void *gd_map_shared(int fd, size_t bytes, int protection)
{
    if (bytes < GD_LARGE_PAGE || bytes > SIZE_MAX - GD_LARGE_PAGE)
        return mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    size_t room = bytes + GD_LARGE_PAGE;
    char *place = (char *)mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return MAP_FAILED;
    size_t before = (size_t)(-(uintptr_t)place & (GD_LARGE_PAGE - 1));
    void *base = mmap(place + before, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);
    if (base == MAP_FAILED) {
        munmap(place, room);
        return MAP_FAILED;
    }
    if (before > 0)
        munmap(place, before);
    munmap(place + before + bytes, GD_LARGE_PAGE - before);
    return base;
}

#endif
