/* Pins: holds on published frames, as hazard pointers in this process's control block (see proto/gd_shm.h for the argument why a
 * pinned frame is never overwritten). Taking and dropping a pin are a few stores; the daemon is not asked. */
#include "mapping.h"

#define MAX_RETRIES 10000000u /* each means that the publisher went on; a ring that does this for ever is broken */

uint64_t gd_newest_sequence(const struct gd_mapping *mapping)
{
    return GD_NEWEST_SEQUENCE(atomic_load(&mapping->frames->newest));
}

const struct gd_frame_header *gd_slot(const struct gd_mapping *mapping, uint32_t slot)
{
    return (const struct gd_frame_header *)(mapping->frames_map.base + mapping->slot_offset + slot * mapping->slot_stride);
}

/* An unused entry of the control block, or -1 with an exception set. */
static int take_entry(struct gd_door *door)
{
    if (door->control == NULL || door->dead || door->closing)
        return gd_door_require(door) < 0 ? -1 : (gd_raise(GD_E_NO_DAEMON, "the door %R is closed", door->path), -1);
    if (door->num_pins >= door->max_pins) {
        gd_raise(GD_E_TOO_MANY_PINS, "this session holds %u frames, as many as it may; drop arrays over older frames", door->num_pins);
        return -1;
    }
    door->num_pins++;
    if (door->num_free > 0)
        return door->free_entries[--door->num_free];
    /* The bound is raised before the entry is used: a publisher that does not see it yet is seen by the check of the sequence. */
    uint32_t entry = door->num_pins - 1;
    atomic_store(&door->control->pins_used, entry + 1);
    return (int)entry;
}

void gd_pin_drop(struct gd_door *door, uint32_t entry)
{
    if (door->control == NULL)
        return;
    atomic_store(&door->control->pins[entry], 0);
    door->free_entries[door->num_free++] = (uint16_t)entry;
    door->num_pins--;
    gd_door_settle(door);
}

/* The slot of a frame that may still be in the ring, or -1. */
static int find_slot(const struct gd_mapping *mapping, uint64_t sequence)
{
    for (uint32_t i = 0; i < mapping->num_slots; i++)
        if (atomic_load(&mapping->frames->sequence[i]) == sequence)
            return (int)i;
    return -1;
}

/* Where to pin: 0, or -1 with an exception set. */
static int choose(const struct gd_mapping *mapping, uint64_t wanted, uint64_t *sequence, uint32_t *slot)
{
    if (wanted != 0) {
        int found = find_slot(mapping, wanted);
        if (found < 0) {
            gd_raise(GD_E_NOT_FOUND, "frame %llu is not in the ring (any more); the newest is %llu", (unsigned long long)wanted,
                     (unsigned long long)gd_newest_sequence(mapping));
            return -1;
        }
        *slot = (uint32_t)found;
        *sequence = wanted;
        return 0;
    }
    uint64_t newest = atomic_load(&mapping->frames->newest);
    *slot = GD_NEWEST_SLOT(newest);
    *sequence = GD_NEWEST_SEQUENCE(newest);
    if (*sequence == 0) {
        gd_raise(GD_E_CONFLICT, "the State has no published frame yet");
        return -1;
    }
    if (*slot >= mapping->num_slots) {
        gd_raise(GD_E_CORRUPT_DATA, "the ring names slot %u of %u", *slot, mapping->num_slots);
        return -1;
    }
    return 0;
}

int gd_pin_take(struct gd_mapping *mapping, uint64_t *sequence, uint32_t *entry)
{
    struct gd_door *door = mapping->door;
    uint64_t wanted = *sequence;
    uint32_t slot;
    int taken = take_entry(door);
    if (taken < 0)
        return -1;
    _Atomic uint64_t *pin = &door->control->pins[taken];
    for (uint32_t tries = 0; tries < MAX_RETRIES; tries++) {
        if (choose(mapping, wanted, sequence, &slot) < 0) {
            gd_pin_drop(door, (uint32_t)taken);
            return -1;
        }
        atomic_store(pin, GD_PIN_WORD(mapping->ring_id, slot));
        if (atomic_load(&mapping->frames->sequence[slot]) == *sequence) {
            *entry = (uint32_t)taken;
            return (int)slot;
        }
        atomic_store(pin, 0);
        door->pin_retries++;
    }
    gd_pin_drop(door, (uint32_t)taken);
    gd_raise(GD_E_CORRUPT_DATA, "the newest frame of the State is never valid");
    return -1;
}
