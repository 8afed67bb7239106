#include "core/pins.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

void gd_pins_init(struct gd_pin_set *set)
{
    memset(set, 0, sizeof *set);
    GD_CHECK(pthread_mutex_init(&set->mutex, NULL) == 0);
}

void gd_pins_clear(struct gd_pin_set *set)
{
    free(set->blocks);
    set->blocks = NULL;
    set->num_blocks = set->capacity = 0;
    pthread_mutex_destroy(&set->mutex);
}

static size_t position_of(const struct gd_pin_set *set, const struct gd_control_block *block)
{
    size_t i = 0;
    while (i < set->num_blocks && set->blocks[i] != block)
        i++;
    return i;
}

static int make_room(struct gd_pin_set *set)
{
    if (set->num_blocks < set->capacity)
        return 0;
    size_t capacity = set->capacity != 0 ? 2 * set->capacity : 8;
    const struct gd_control_block **blocks = realloc(set->blocks, capacity * sizeof *blocks);
    if (blocks == NULL)
        return -1;
    set->blocks = blocks;
    set->capacity = capacity;
    return 0;
}

int gd_pins_add(struct gd_pin_set *set, const struct gd_control_block *block, struct gd_err *err)
{
    int code = 0;
    pthread_mutex_lock(&set->mutex);
    if (position_of(set, block) == set->num_blocks) {
        if (make_room(set) == 0)
            set->blocks[set->num_blocks++] = block;
        else
            code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for one more reader of a frame ring");
    }
    pthread_mutex_unlock(&set->mutex);
    return code;
}

void gd_pins_remove(struct gd_pin_set *set, const struct gd_control_block *block)
{
    pthread_mutex_lock(&set->mutex);
    size_t i = position_of(set, block);
    if (i < set->num_blocks)
        set->blocks[i] = set->blocks[--set->num_blocks];
    pthread_mutex_unlock(&set->mutex);
}

/* The client raises pins_used before it stores its first pin behind it, and both before it loads a sequence; so the loads
 * here, which come after the clearing of that sequence, miss no pin that counts. */
static uint32_t used_entries(const struct gd_control_block *block)
{
    uint32_t used = atomic_load(&block->pins_used);
    return used < GD_MAX_PINS ? used : GD_MAX_PINS;
}

int gd_pins_find(struct gd_pin_set *set, uint32_t ring_id, uint32_t slot)
{
    const uint64_t wanted = GD_PIN_WORD(ring_id, slot);
    int found = 0;
    pthread_mutex_lock(&set->mutex);
    for (size_t b = 0; b < set->num_blocks && !found; b++) {
        const struct gd_control_block *block = set->blocks[b];
        uint32_t used = used_entries(block);
        for (uint32_t i = 0; i < used && !found; i++)
            found = atomic_load(&block->pins[i]) == wanted;
    }
    pthread_mutex_unlock(&set->mutex);
    return found;
}

size_t gd_pins_collect(struct gd_pin_set *set, uint32_t ring_id, uint32_t num_slots, struct gd_pin_mask *mask)
{
    size_t pins = 0;
    GD_CHECK(num_slots <= GD_MAX_SLOTS);
    memset(mask, 0, sizeof *mask);
    pthread_mutex_lock(&set->mutex);
    for (size_t b = 0; b < set->num_blocks; b++) {
        const struct gd_control_block *block = set->blocks[b];
        uint32_t used = used_entries(block);
        for (uint32_t i = 0; i < used; i++) {
            uint64_t pin = atomic_load(&block->pins[i]);
            uint32_t slot = GD_PIN_SLOT(pin);
            if (pin >> 48 != 0 || GD_PIN_RING(pin) != ring_id || slot >= num_slots)
                continue;
            mask->word[slot / 64u] |= (uint64_t)1 << (slot % 64u);
            pins++;
        }
    }
    pthread_mutex_unlock(&set->mutex);
    return pins;
}

size_t gd_pins_count(const struct gd_control_block *block, uint32_t ring_id)
{
    size_t pins = 0;
    uint32_t used = used_entries(block);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t pin = atomic_load(&block->pins[i]);
        pins += pin != 0 && (ring_id == 0 || GD_PIN_RING(pin) == ring_id);
    }
    return pins;
}
