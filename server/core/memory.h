/* How much memory may still be taken on this machine.
 *
 * Shared memory is charged when it is touched, and a process that goes over its memory cgroup's limit is killed, not told. So
 * the daemon asks first: the least of MemAvailable and of what every memory cgroup above this process leaves, each less
 * a reserve for everything that is not a segment. The answer is a snapshot; the reserve covers what happens meanwhile. */
#ifndef GD_CORE_MEMORY_H
#define GD_CORE_MEMORY_H

#include <stddef.h>

/* Bytes that may still be allocated for segments; SIZE_MAX when nothing can be read. Reentrant, some ten small reads. */
size_t gd_memory_available(void);

/* What is left to others, of the machine's memory and of a cgroup's limit; 0 (at the start): a 32nd of it, 16 to 512 MiB. */
void gd_memory_set_reserve(size_t bytes);

/* gd_memory_available with /proc and /sys looked for under `root` ("" for the real ones). */
size_t gd_memory_available_under(const char *root);

/* Gives what the heap holds unused to the machine, where the C library can. Any thread; walks the free lists, some microseconds to
 * milliseconds. */
void gd_memory_give_back(void);

#endif
