/* Old content kept while an array is overwritten, and put back.
 *
 * An edit changes an array in one of two ways. It may hand the array out: then the whole is copied to the undo segment first. Or it may
 * overwrite the array from its first byte on, block by block, and keep each block just before: then at any instant
 *   bytes 0 .. undo_bytes of the array have their old content in the undo segment, and
 *   bytes from undo_bytes on have not been written.
 * Whoever undoes the edit puts back the first undo_bytes bytes, wherever the writer was stopped.
 *
 * Order of the writer's stores, for each array: undo_bytes = 0 (or the copy of the whole, then GD_UNDO_WHOLE); its bit in undo_mask; its bit
 * in dirty_mask; then for each block: the copy into the undo segment; gd_undo_reach; the new content. The release fences on both sides of
 * the word keep that order for a reader beside a writer that still runs (an eviction), who copies the array first and loads the
 * masks and the word after that: what it caught of the new content lies below the word, and what lies below the word does not change any
 * more in the undo segment until the lease ends. After the writer's death there is nobody beside it, and the order of its program counts.
 *
 * A dirty bit is taken back only in one step with the lease word, and after the content is back. */
#ifndef GD_PROTO_UNDO_H
#define GD_PROTO_UNDO_H

#include "proto/gd_shm.h"

#include <string.h>

#define GD_UNDO_WHOLE UINT64_MAX

/* The undo segment has the array's first `bytes` bytes; they may be overwritten after this. */
static inline void gd_undo_reach(_Atomic uint64_t *word, uint64_t bytes)
{
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(word, bytes, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/* What to put back of an array of so many bytes. The word comes from a client: a hint, never a length to trust. */
static inline size_t gd_undo_kept(uint64_t word, uint64_t array_bytes)
{
    return (size_t)(word < array_bytes ? word : array_bytes);
}

static inline void gd_undo_put_back(void *array, const void *undo, uint64_t word, uint64_t array_bytes)
{
    memcpy(array, undo, gd_undo_kept(word, array_bytes));
}

#endif
