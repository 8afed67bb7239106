/* Segments: sizes, seals, modes, what readers can and cannot do, adoption, and the memory check on made-up machines. */
#include "core/segment.h"
#include "proto/gd_map.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int make(struct gd_segment *s, size_t bytes, unsigned flags)
{
    struct gd_err err = {0};
    *s = GD_SEGMENT_NONE;
    int rc = gd_segment_create(s, "gd-test", bytes, flags, &err);
    cr_assert_eq(rc, err.code);
    return rc;
}

static size_t blocks_bytes(int fd)
{
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    return (size_t)st.st_blocks * 512;
}

Test(segment, is_whole_pages_zeroed_allocated_sealed_and_private)
{
    struct gd_segment s;
    cr_assert_eq(make(&s, 10000, 0), 0);
    cr_assert_eq(s.bytes, 3 * GD_PAGE);
    cr_assert(s.writable);
    cr_assert_eq((uintptr_t)s.base % GD_PAGE, 0);
    for (size_t i = 0; i < s.bytes; i++)
        cr_assert_eq(((char *)s.base)[i], 0);
    cr_assert_geq(blocks_bytes(s.fd), s.bytes, "memory is taken before anybody touches it");
    struct stat st;
    cr_assert_eq(fstat(s.fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(fcntl(s.fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    cr_assert_eq(ftruncate(s.fd, GD_PAGE), -1);
    cr_assert_eq(ftruncate(s.fd, 16 * GD_PAGE), -1);
    cr_assert(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert(fcntl(s.fd_reader, F_GETFD) & FD_CLOEXEC);
    gd_segment_close(&s);
    cr_assert_eq(s.fd, -1);
    gd_segment_close(&s);
    gd_segment_close(NULL);
}

Test(segment, reader_descriptor_sees_writes_and_cannot_be_made_writable)
{
    struct gd_segment s;
    cr_assert_eq(make(&s, GD_PAGE, 0), 0);
    const int *seen = mmap(NULL, s.bytes, PROT_READ, MAP_SHARED, s.fd_reader, 0);
    cr_assert_neq(seen, MAP_FAILED);
    *(int *)s.base = 4711;
    cr_assert_eq(*seen, 4711);
    cr_assert_eq(mprotect((void *)(uintptr_t)seen, s.bytes, PROT_READ | PROT_WRITE), -1);
    cr_assert_eq(mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd_reader, 0), MAP_FAILED);
    cr_assert_eq(fallocate(s.fd_reader, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GD_PAGE), -1);
    munmap((void *)(uintptr_t)seen, s.bytes);
    gd_segment_close(&s);
}

Test(segment, writer_only_cannot_be_mapped_for_writing_even_through_the_writers_descriptor)
{
    struct gd_segment s;
    cr_assert_eq(make(&s, GD_PAGE, GD_SEGMENT_WRITER_ONLY), 0);
    *(int *)s.base = 5;
    cr_assert_eq(mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0), MAP_FAILED);
    cr_assert_eq(write(s.fd, "x", 1), -1);
    cr_assert_eq(fallocate(s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GD_PAGE), -1);
    cr_assert_eq(*(int *)s.base, 5);
    gd_segment_close(&s);
}

Test(segment, sparse_takes_memory_only_where_asked)
{
    struct gd_segment s;
    cr_assert_eq(make(&s, 1024 * GD_PAGE, GD_SEGMENT_SPARSE | GD_SEGMENT_WRITER_ONLY), 0);
    cr_assert_eq(blocks_bytes(s.fd), 0);
    struct gd_err err = {0};
    cr_assert_eq(gd_segment_allocate(&s, 512 * GD_PAGE, 16 * GD_PAGE, &err), 0, "%s", err.text);
    cr_assert_eq(blocks_bytes(s.fd), 16 * GD_PAGE);
    memset((char *)s.base + 512 * GD_PAGE, 7, 16 * GD_PAGE);
    cr_assert_eq(gd_segment_allocate(&s, 512 * GD_PAGE, 16 * GD_PAGE, &err), 0);
    cr_assert_eq(((char *)s.base)[512 * GD_PAGE], 7, "allocating twice changes nothing");
    gd_segment_close(&s);
}

Test(segment, with_large_pages_is_like_any_other_but_for_where_it_lies)
{
    const size_t bytes = ((size_t)9 << 20) + 3 * GD_PAGE;
    struct gd_segment s;
    cr_assert_eq(make(&s, bytes, GD_SEGMENT_LARGE_PAGES), 0);
    cr_assert_eq(s.bytes, bytes);
    cr_assert_eq((uintptr_t)s.base % GD_LARGE_PAGE, 0);
    cr_assert_geq(blocks_bytes(s.fd), bytes);
    cr_assert_lt(blocks_bytes(s.fd), bytes + GD_LARGE_PAGE);
    for (size_t i = 0; i < bytes; i++)
        cr_assert_eq(((char *)s.base)[i], 0);
    memset(s.base, 'x', bytes);
    cr_assert_eq(ftruncate(s.fd, GD_PAGE), -1);
    const char *seen = gd_map_shared(s.fd_reader, bytes, PROT_READ);
    cr_assert_neq(seen, MAP_FAILED);
    cr_assert_eq((uintptr_t)seen % GD_LARGE_PAGE, 0);
    cr_assert_eq(memcmp(seen, s.base, bytes), 0);
    cr_assert_eq(munmap((void *)(uintptr_t)seen, bytes), 0);
    gd_segment_close(&s);
    cr_assert_eq(make(&s, GD_PAGE, GD_SEGMENT_LARGE_PAGES), 0, "a short one gets what there is");
    cr_assert_eq(s.bytes, GD_PAGE);
    gd_segment_close(&s);
}

Test(segment, more_than_the_machine_has_is_an_error_and_leaves_nothing)
{
    struct gd_segment s;
    int before = dup(0);
    close(before);
    cr_assert_eq(make(&s, (size_t)1 << 50, 0), GD_E_OUT_OF_MEMORY);
    cr_assert_eq(make(&s, SIZE_MAX, 0), GD_E_OUT_OF_MEMORY);
    cr_assert_eq(make(&s, 0, 0), GD_E_OUT_OF_MEMORY);
    cr_assert_eq(s.fd, -1, "outputs are untouched on failure");
    int after = dup(0);
    close(after);
    cr_assert_eq(before, after, "no descriptor is left");
}

Test(segment, sparse_allocation_beyond_the_machine_is_an_error)
{
    struct gd_segment s;
    struct gd_err err = {0};
    size_t huge = (size_t)1 << 42;
    int rc = make(&s, huge, GD_SEGMENT_SPARSE);
    if (rc != 0) /* an address-space limit */
        return;
    cr_assert_eq(gd_segment_allocate(&s, 0, huge, &err), GD_E_OUT_OF_MEMORY);
    cr_assert_eq(blocks_bytes(s.fd), 0);
    gd_segment_close(&s);
}

Test(segment, file_size_limit_is_an_error_not_a_signal)
{
    struct rlimit limit = {GD_PAGE, RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct gd_segment s;
    cr_assert_eq(make(&s, 2 * GD_PAGE, 0), GD_E_OUT_OF_MEMORY);
}

Test(segment, no_descriptors_left_is_an_error)
{
    struct rlimit before, limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 3;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct gd_segment s;
    int code = make(&s, GD_PAGE, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0); /* who looks for leaks when the test has ended opens files */
    cr_assert_eq(code, GD_E_OUT_OF_MEMORY);
}

Test(segment, adoption_gives_the_same_memory_back)
{
    struct gd_segment s, t = GD_SEGMENT_NONE;
    struct gd_err err = {0};
    cr_assert_eq(make(&s, 2 * GD_PAGE, 0), 0);
    strcpy(s.base, "kept");
    int fd = dup(s.fd);
    gd_segment_close(&s);
    cr_assert_eq(gd_segment_adopt(&t, fd, &err), 0, "%s", err.text);
    cr_assert_str_eq(t.base, "kept");
    cr_assert_eq(t.fd, fd);
    cr_assert_eq(t.bytes, 2 * GD_PAGE);
    cr_assert(t.writable);
    ((char *)t.base)[0] = 'w';
    gd_segment_close(&t);
}

Test(segment, an_adopted_frame_ring_is_read_only)
{
    struct gd_segment s, t = GD_SEGMENT_NONE;
    struct gd_err err = {0};
    cr_assert_eq(make(&s, 2 * GD_PAGE, GD_SEGMENT_WRITER_ONLY), 0);
    strcpy(s.base, "frames");
    int fd = dup(s.fd);
    gd_segment_close(&s);
    cr_assert_eq(gd_segment_adopt(&t, fd, &err), 0, "%s", err.text);
    cr_assert_str_eq(t.base, "frames");
    cr_assert_not(t.writable);
    gd_segment_close(&t);
}

static void refuse(int fd, const char *why)
{
    struct gd_segment t = GD_SEGMENT_NONE;
    struct gd_err err = {0};
    cr_assert_geq(fd, 0);
    cr_assert_eq(gd_segment_adopt(&t, fd, &err), GD_E_CORRUPT_DATA, "%s", why);
    cr_assert_eq(t.fd, -1);
    cr_assert_neq(fcntl(fd, F_GETFD), -1, "a refused descriptor stays the caller's (%s)", why);
    close(fd);
}

static int memfd_of(off_t bytes, mode_t mode, int seals)
{
    int fd = memfd_create("gd-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_eq(fchmod(fd, mode), 0);
    cr_assert_eq(ftruncate(fd, bytes), 0);
    if (seals != 0)
        cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

Test(segment, adoption_refuses_what_is_no_segment)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    refuse(ends[0], "a pipe");
    close(ends[1]);
    refuse(open("/proc/self/exe", O_RDONLY), "a plain file");
    refuse(memfd_of(GD_PAGE, 0600, 0), "no seals");
    refuse(memfd_of(GD_PAGE, 0600, F_SEAL_SHRINK | F_SEAL_SEAL), "may grow");
    refuse(memfd_of(GD_PAGE, 0600, all | F_SEAL_WRITE), "sealed against its own writer");
    refuse(memfd_of(GD_PAGE, 0644, all), "others may read");
    refuse(memfd_of(0, 0600, all), "empty");
    refuse(memfd_of(GD_PAGE + 1, 0600, all), "not whole pages");
    struct gd_segment s;
    cr_assert_eq(make(&s, GD_PAGE, 0), 0);
    refuse(dup(s.fd_reader), "read-only descriptor");
    gd_segment_close(&s);
    struct gd_segment t = GD_SEGMENT_NONE;
    cr_assert_eq(gd_segment_adopt(&t, 9999, NULL), GD_E_CORRUPT_DATA);
}

/* A made-up /proc and /sys below a temporary folder. */
static char root[PATH_MAX / 2];

static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; *p != '\0'; p++)
        if (*p == '/') {
            *p = '\0';
            cr_assert(mkdir(full, 0700) == 0 || errno == EEXIST);
            *p = '/';
        }
    FILE *file = fopen(full, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void machine(void)
{
    strcpy(root, "/tmp/gd-test-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\n");
}

static void demolish(void)
{
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

#define MIB ((size_t)1 << 20)

Test(memory, without_cgroups_it_is_MemAvailable_less_a_reserve, .init = machine, .fini = demolish)
{
    cr_assert_eq(gd_memory_available_under(root), (8192 - 512) * MIB); /* 1/32 of 16 GiB */
}

Test(memory, the_reserve_can_be_chosen, .init = machine, .fini = demolish)
{
    gd_memory_set_reserve(1000 * MIB);
    cr_assert_eq(gd_memory_available_under(root), (8192 - 1000) * MIB);
    gd_memory_set_reserve(100000 * MIB);
    cr_assert_eq(gd_memory_available_under(root), 0);
}

Test(memory, an_unlimited_group_changes_nothing, .init = machine, .fini = demolish)
{
    put("/proc/self/cgroup", "0::/user.slice\n");
    put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
    put("/sys/fs/cgroup/user.slice/memory.current", "1000\n");
    cr_assert_eq(gd_memory_available_under(root), (8192 - 512) * MIB);
}

Test(memory, v2_limit_of_an_ancestor_counts_and_reclaimable_pages_are_free, .init = machine, .fini = demolish)
{
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/a/memory.current", "536870912\n");
    put("/sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 268435456\nactive_file 0\n");
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    cr_assert_eq(gd_memory_available_under(root), (1024 - 256 - 32) * MIB);
}

Test(memory, v1_in_a_container_whose_group_only_the_host_can_name, .init = machine, .fini = demolish)
{
    put("/proc/self/cgroup", "4:memory,hugetlb:/docker/0123\n1:cpu:/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "67108864\n");
    put("/sys/fs/cgroup/memory/memory.stat", "cache 1\ntotal_inactive_file 0\n");
    cr_assert_eq(gd_memory_available_under(root), (256 - 64 - 16) * MIB);
}

Test(memory, v1_no_limit_is_a_huge_number, .init = machine, .fini = demolish)
{
    put("/proc/self/cgroup", "4:memory:/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "67108864\n");
    cr_assert_eq(gd_memory_available_under(root), (8192 - 512) * MIB);
}

Test(memory, a_full_group_leaves_nothing, .init = machine, .fini = demolish)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "104857600\n");
    put("/sys/fs/cgroup/memory.current", "104857600\n");
    cr_assert_eq(gd_memory_available_under(root), 0);
}

Test(memory, nothing_readable_means_no_limit_known)
{
    cr_assert_eq(gd_memory_available_under("/nonexistent"), SIZE_MAX);
    cr_assert_gt(gd_memory_available(), 0);
}

/* Not under the sanitizers: their allocator has nothing to give back so. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static size_t resident(void)
{
    size_t all = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%zu %zu", &all, &pages), 2);
    fclose(f);
    return pages * 4096;
}

Test(memory, what_lies_free_between_blocks_in_use_is_given_back)
{
    enum { BLOCKS = 1000, LARGE = 64 << 10 };
    static char *large[BLOCKS], *small[BLOCKS];
    size_t before = resident();
    for (int i = 0; i < BLOCKS; i++) {
        large[i] = malloc(LARGE);
        small[i] = malloc(16);
        cr_assert(large[i] != NULL && small[i] != NULL);
        memset(large[i], 1, LARGE);
        small[i][0] = 1;
    }
    cr_assert_geq(resident(), before + (size_t)BLOCKS * LARGE / 4 * 3); /* the system counts in batches, for each processor its own */
    for (int i = 0; i < BLOCKS; i++)
        free(large[i]);
    cr_assert_geq(resident(), before + (size_t)BLOCKS * LARGE / 2, "the library gives it back by itself");
    gd_memory_give_back();
    cr_assert_lt(resident(), before + (size_t)BLOCKS * LARGE / 4); /* a page about each small block stays */
    for (int i = 0; i < BLOCKS; i++)
        free(small[i]);
}

#endif
