/* Hash table from byte strings to pointers. Keys are copied, values are not owned. Not for several threads at once.
 * Hashing is keyed with a random seed, so that a client that chooses keys cannot choose collisions. */
#ifndef GD_CORE_TABLE_H
#define GD_CORE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct gd_table_entry;

struct gd_table {
    struct gd_table_entry *entries; /* capacity is a power of two, or entries is NULL */
    size_t capacity;
    size_t used;
    size_t filled; /* used plus the graves deletions leave */
    uint64_t seed;
};

void gd_table_init(struct gd_table *table);
void gd_table_free(struct gd_table *table);

/* NULL when there is none. */
void *gd_table_get(const struct gd_table *table, const void *key, size_t bytes);

/* Adds or replaces. 0, or -1 when memory is short (the table is as before). */
int gd_table_put(struct gd_table *table, const void *key, size_t bytes, void *value);

/* Returns what was there, or NULL. */
void *gd_table_remove(struct gd_table *table, const void *key, size_t bytes);

/* Iteration: start with *cursor = 0; NULL at the end. The current entry may be removed, nothing may be added. */
void *gd_table_next(const struct gd_table *table, size_t *cursor);

#endif
