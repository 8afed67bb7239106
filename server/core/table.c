#include "core/table.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct gd_table_entry {
    uint64_t hash;
    unsigned char *key; /* NULL: empty, or a grave when `bytes` is not 0 */
    size_t bytes;
    void *value;
};

static uint64_t mix(uint64_t x)
{
    /* Finaliser of the SplitMix64 generator (Steele, Lea and Flood 2014). */
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_bytes(uint64_t seed, const void *key, size_t bytes)
{
    const unsigned char *p = key;
    uint64_t h = seed ^ (bytes * 0x9e3779b97f4a7c15u);
    while (bytes > 0) {
        uint64_t word = 0;
        size_t step = bytes < 8 ? bytes : 8;
        memcpy(&word, p, step);
        h = mix(h ^ word) + 0x9e3779b97f4a7c15u;
        p += step;
        bytes -= step;
    }
    return mix(h);
}

void gd_table_init(struct gd_table *table)
{
    memset(table, 0, sizeof *table);
    if (getrandom(&table->seed, sizeof table->seed, 0) != (ssize_t)sizeof table->seed)
        table->seed = (uint64_t)(uintptr_t)table;
}

void gd_table_free(struct gd_table *table)
{
    for (size_t i = 0; i < table->capacity; i++)
        free(table->entries[i].key);
    free(table->entries);
    memset(table, 0, sizeof *table);
}

static int is_empty(const struct gd_table_entry *e)
{
    return e->key == NULL && e->bytes == 0;
}

/* The entry with this key, or NULL. */
static struct gd_table_entry *find(const struct gd_table *table, uint64_t hash, const void *key, size_t bytes)
{
    if (table->capacity == 0)
        return NULL;
    size_t mask = table->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct gd_table_entry *e = &table->entries[i];
        if (is_empty(e))
            return NULL;
        if (e->key != NULL && e->hash == hash && e->bytes == bytes && memcmp(e->key, key, bytes) == 0)
            return e;
    }
}

static void insert(struct gd_table_entry *entries, size_t capacity, struct gd_table_entry entry)
{
    size_t mask = capacity - 1;
    size_t i = entry.hash & mask;
    while (entries[i].key != NULL)
        i = (i + 1) & mask;
    entries[i] = entry;
}

static int grow(struct gd_table *table)
{
    size_t capacity = 16;
    while (capacity < 4 * (table->used + 1))
        capacity *= 2;
    struct gd_table_entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return -1;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].key != NULL)
            insert(entries, capacity, table->entries[i]);
    }
    free(table->entries);
    table->entries = entries;
    table->capacity = capacity;
    table->filled = table->used;
    return 0;
}

void *gd_table_get(const struct gd_table *table, const void *key, size_t bytes)
{
    struct gd_table_entry *e = find(table, hash_bytes(table->seed, key, bytes), key, bytes);
    return e == NULL ? NULL : e->value;
}

int gd_table_put(struct gd_table *table, const void *key, size_t bytes, void *value)
{
    GD_CHECK(value != NULL && bytes > 0);
    uint64_t hash = hash_bytes(table->seed, key, bytes);
    struct gd_table_entry *e = find(table, hash, key, bytes);
    if (e != NULL) {
        e->value = value;
        return 0;
    }
    if (2 * (table->filled + 1) > table->capacity && grow(table) != 0)
        return -1;
    unsigned char *copy = malloc(bytes);
    if (copy == NULL)
        return -1;
    memcpy(copy, key, bytes);
    size_t mask = table->capacity - 1;
    size_t i = hash & mask;
    while (!is_empty(&table->entries[i]))
        i = (i + 1) & mask;
    table->entries[i] = (struct gd_table_entry){hash, copy, bytes, value};
    table->used++;
    table->filled++;
    return 0;
}

void *gd_table_remove(struct gd_table *table, const void *key, size_t bytes)
{
    struct gd_table_entry *e = find(table, hash_bytes(table->seed, key, bytes), key, bytes);
    if (e == NULL)
        return NULL;
    void *value = e->value;
    free(e->key);
    *e = (struct gd_table_entry){.bytes = 1}; /* a grave: probing goes on past it */
    table->used--;
    return value;
}

void *gd_table_next(const struct gd_table *table, size_t *cursor)
{
    while (*cursor < table->capacity) {
        struct gd_table_entry *e = &table->entries[(*cursor)++];
        if (e->key != NULL)
            return e->value;
    }
    return NULL;
}
