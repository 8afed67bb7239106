/* Who holds which frame: the control blocks of the sessions that were given a frame ring.
 *
 * A control block is written by its client and mapped read-only here, so every word in it is a hint: the count of used
 * entries is bounded by GD_MAX_PINS, a pin that names another ring or a slot that does not exist is passed over.
 * A client that scribbles on its block can hold frames of its own ring (which it may do anyway) and nothing else.
 *
 * Order. A session must stand in the set before it is sent the ring's descriptor, or its first pin would not be seen;
 * it is taken out after its hang-up, before its block is unmapped. A mutex keeps a block mapped while another thread
 * looks through it; it is held for a scan, never for a copy. */
#ifndef GD_CORE_PINS_H
#define GD_CORE_PINS_H

#include "core/err.h"
#include "proto/gd_shm.h"

#include <pthread.h>

struct gd_pin_set {
    pthread_mutex_t mutex;
    size_t num_blocks, capacity;
    const struct gd_control_block **blocks;
};

#define GD_PIN_MASK_WORDS (GD_MAX_SLOTS / 64u)

/* One bit for each slot. */
struct gd_pin_mask {
    uint64_t word[GD_PIN_MASK_WORDS];
};

static inline int gd_pin_mask_has(const struct gd_pin_mask *mask, uint32_t slot)
{
    return (int)(mask->word[slot / 64u] >> (slot % 64u)) & 1;
}

void gd_pins_init(struct gd_pin_set *set);
void gd_pins_clear(struct gd_pin_set *set); /* forgets all blocks and frees the list; the blocks are the caller's */

/* Adding what is there already, or removing what is not, does nothing. Errors: GD_E_OUT_OF_MEMORY. Any thread. */
int gd_pins_add(struct gd_pin_set *set, const struct gd_control_block *block, struct gd_err *err);
void gd_pins_remove(struct gd_pin_set *set, const struct gd_control_block *block);

/* 1 when some pin names this slot. Sequentially consistent loads: part of the argument in proto/gd_shm.h. Any thread. */
int gd_pins_find(struct gd_pin_set *set, uint32_t ring_id, uint32_t slot);

/* All pinned slots below num_slots at once; returns how many pins name this ring. Any thread. */
size_t gd_pins_collect(struct gd_pin_set *set, uint32_t ring_id, uint32_t num_slots, struct gd_pin_mask *mask);

/* Pins of one block that name a ring of this id, or any ring for ring_id 0: what a session is charged for. */
size_t gd_pins_count(const struct gd_control_block *block, uint32_t ring_id);

#endif
