#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEBIBYTE ((uint64_t)1 << 20)
#define RESERVE_LEAST (16 * MEBIBYTE)
#define RESERVE_MOST (512 * MEBIBYTE)
#define RESERVE_SHARE 32u /* of the whole */
/* cgroup v1 writes "no limit" as LONG_MAX rounded down to pages. */
#define NO_LIMIT ((uint64_t)1 << 60)

/* Reads a small file whole; returns its length, or -1. */
static int read_text(char *buffer, size_t size, const char *root, const char *path)
{
    char full[PATH_MAX];
    int n = snprintf(full, sizeof full, "%s%s", root, path);
    if (n < 0 || (size_t)n >= sizeof full)
        return -1;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    while (length + 1 < size) {
        ssize_t got = read(fd, buffer + length, size - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(fd);
    buffer[length] = '\0';
    return (int)length;
}

/* The number after `key` at the start of a line ("MemAvailable:", "inactive_file "); UINT64_MAX if there is none. */
static uint64_t field(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0) {
            char *end;
            errno = 0;
            unsigned long long value = strtoull(line + length, &end, 10);
            return errno != 0 || end == line + length ? UINT64_MAX : value;
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return UINT64_MAX;
}

static _Atomic uint64_t chosen_reserve; /* 0: by the share */

void gd_memory_set_reserve(size_t bytes)
{
    atomic_store(&chosen_reserve, bytes);
}

static uint64_t less_reserve(uint64_t free_bytes, uint64_t total)
{
    uint64_t reserve = atomic_load(&chosen_reserve);
    if (reserve == 0) {
        reserve = total / RESERVE_SHARE;
        reserve = reserve < RESERVE_LEAST ? RESERVE_LEAST : reserve > RESERVE_MOST ? RESERVE_MOST : reserve;
    }
    return free_bytes > reserve ? free_bytes - reserve : 0;
}

static uint64_t machine_available(const char *root)
{
    char text[8192];
    if (read_text(text, sizeof text, root, "/proc/meminfo") <= 0)
        return UINT64_MAX;
    uint64_t free_kb = field(text, "MemAvailable:");
    uint64_t total_kb = field(text, "MemTotal:");
    if (free_kb == UINT64_MAX || total_kb == UINT64_MAX)
        return UINT64_MAX;
    return less_reserve(free_kb * 1024, total_kb * 1024);
}

/* Files of one version of the memory controller. */
struct controller {
    const char *mount;
    const char *limit, *usage;
    const char *reclaimable; /* in memory.stat: file pages the kernel drops before it kills */
};

static const struct controller controller_v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                                "total_inactive_file "};
static const struct controller controller_v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "};

static uint64_t group_available(const char *root, const struct controller *c, const char *group)
{
    char path[PATH_MAX], text[8192];
    snprintf(path, sizeof path, "%s%s/%s", c->mount, group, c->limit);
    if (read_text(text, sizeof text, root, path) <= 0)
        return UINT64_MAX;
    uint64_t limit = field(text, ""); /* "max" is no number: UINT64_MAX */
    if (limit >= NO_LIMIT)
        return UINT64_MAX;
    snprintf(path, sizeof path, "%s%s/%s", c->mount, group, c->usage);
    if (read_text(text, sizeof text, root, path) <= 0)
        return UINT64_MAX;
    uint64_t used = field(text, "");
    if (used == UINT64_MAX)
        return UINT64_MAX;
    snprintf(path, sizeof path, "%s%s/memory.stat", c->mount, group);
    if (read_text(text, sizeof text, root, path) > 0) {
        uint64_t reclaimable = field(text, c->reclaimable);
        if (reclaimable != UINT64_MAX)
            used = used > reclaimable ? used - reclaimable : 0;
    }
    return less_reserve(limit > used ? limit - used : 0, limit);
}

/* The least over the group and all its ancestors. Inside a container the name in /proc/self/cgroup may be one that
 * only the host knows; then the walk ends at the mount's root, which is the container's own group. */
static uint64_t hierarchy_available(const char *root, const struct controller *c, const char *group)
{
    char name[PATH_MAX / 2];
    uint64_t least = UINT64_MAX;
    if (snprintf(name, sizeof name, "%s", group) >= (int)sizeof name)
        name[0] = '\0';
    for (;;) {
        size_t length = strlen(name);
        while (length > 0 && name[length - 1] == '/')
            name[--length] = '\0';
        uint64_t here = group_available(root, c, name);
        if (here < least)
            least = here;
        char *slash = strrchr(name, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static int lists_memory(const char *controllers)
{
    for (const char *word = controllers; *word != '\0';) {
        size_t length = strcspn(word, ",");
        if (length == 6 && strncmp(word, "memory", 6) == 0)
            return 1;
        word += length + (word[length] == ',');
    }
    return 0;
}

/* Lines of /proc/self/cgroup: "id:controllers:path"; v2 has id 0 and no controllers. */
static uint64_t cgroups_available(const char *root)
{
    char text[8192];
    uint64_t least = UINT64_MAX;
    if (read_text(text, sizeof text, root, "/proc/self/cgroup") <= 0)
        return UINT64_MAX;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *path = line;
        strsep(&path, ":");
        char *controllers = path != NULL ? strsep(&path, ":") : NULL;
        if (controllers == NULL || path == NULL)
            continue;
        const struct controller *c = NULL;
        if (controllers[0] == '\0')
            c = &controller_v2;
        else if (lists_memory(controllers))
            c = &controller_v1;
        uint64_t here = c != NULL ? hierarchy_available(root, c, path) : UINT64_MAX;
        if (here < least)
            least = here;
    }
    return least;
}

size_t gd_memory_available_under(const char *root)
{
    uint64_t machine = machine_available(root);
    uint64_t cgroups = cgroups_available(root);
    uint64_t least = machine < cgroups ? machine : cgroups;
    return least > SIZE_MAX ? SIZE_MAX : (size_t)least;
}

size_t gd_memory_available(void)
{
    return gd_memory_available_under("");
}

void gd_memory_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
