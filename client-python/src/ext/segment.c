/* Descriptors into mappings, checked.
 *
 * The daemon is trusted no further than it must be: before anything of a segment is used, its object must be a regular file that cannot shrink
 * and is as long as its head says, and every array must lie inside. The head is copied and only the copy is used afterwards, so
 * that nothing written into the segment later can move an array out of it.
 *
 * A block is a mapping besides the persistent ones: "c" arrays are private copies on write of a read-only descriptor; "r+"
 * arrays of a lease are shared and turn private when the lease ends. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_TEMPERATURE_GROUPS 1024u
#define MAX_ENERGY_GROUPS 64u
#define MAX_ATOMS ((uint64_t)1 << 40) /* keeps every product below in 64 bits */

size_t gd_energies_length(const struct gd_segment_head *head)
{
    return gd_energies_count(head->num_temperature_groups, head->num_energy_groups);
}

size_t gd_array_bytes(const struct gd_segment_head *head, int which)
{
    if (which == GD_ENERGIES)
        return gd_energies_length(head) * sizeof(double);
    if (which == GD_MASSES)
        return (size_t)head->num_atoms * sizeof(double);
    return (size_t)head->num_atoms * 3 * head->dtype;
}

/* What is wrong with a head, or NULL. */
static const char *find_fault(const struct gd_segment_head *head, uint32_t role, uint64_t bytes)
{
    if (head->role != role)
        return "it has another role";
    if (head->segment_bytes > bytes)
        return "it is shorter than its head says";
    if (head->dtype != GD_FLOAT32 && head->dtype != GD_FLOAT64)
        return "the element type is unknown";
    if (head->num_atoms > MAX_ATOMS || head->num_atoms_padded < head->num_atoms || head->num_atoms_padded > MAX_ATOMS + GD_ATOM_BLOCK)
        return "the number of atoms is impossible";
    if (head->num_temperature_groups > MAX_TEMPERATURE_GROUPS || head->num_energy_groups > MAX_ENERGY_GROUPS)
        return "the number of groups is impossible";
    uint64_t least = role == GD_SEGMENT_LIVE     ? sizeof(struct gd_live_header)
                     : role == GD_SEGMENT_FRAMES ? sizeof(struct gd_frame_header) /* of a slot */
                                                 : sizeof(struct gd_segment_head);
    for (int i = 0; i < GD_ARRAY_COUNT; i++) {
        uint64_t offset = head->array_offset[i], length = head->array_bytes[i];
        if (offset == 0)
            continue;
        if (offset % sizeof(double) != 0 || length > bytes || offset > bytes - length || gd_array_bytes(head, i) > length)
            return "an array does not lie inside";
        if (offset < least)
            return "an array overlaps the head";
    }
    return NULL;
}

int gd_segment_map(int fd, uint32_t role, bool writable, const uint8_t *uuid, uint64_t generation, struct gd_map *out,
                   struct gd_segment_head *head)
{
    struct stat status;
    size_t least = role == GD_SEGMENT_LIVE     ? sizeof(struct gd_live_header)
                   : role == GD_SEGMENT_FRAMES ? sizeof(struct gd_frames_header)
                                               : sizeof(struct gd_segment_head);
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size < (off_t)least) {
        gd_raise(GD_E_CORRUPT_DATA, "a segment of the State is too short");
        return -1;
    }
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
        gd_raise(GD_E_CORRUPT_DATA, "a segment of the State is not sealed against shrinking");
        return -1;
    }
    size_t bytes = (size_t)status.st_size;
    void *base = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        gd_raise(errno == ENOMEM ? GD_E_OUT_OF_MEMORY : GD_E_CORRUPT_DATA, "a segment of %zu bytes cannot be mapped: %s", bytes,
                 strerror(errno));
        return -1;
    }
    const char *fault;
    if (atomic_load_explicit(&((struct gd_segment_head *)base)->layout, memory_order_acquire) != GD_LAYOUT) {
        fault = "its layout is not this client's";
    } else {
        memcpy(head, base, sizeof(*head));
        fault = find_fault(head, role, bytes);
        if (fault == NULL && uuid != NULL && (memcmp(head->uuid, uuid, sizeof(head->uuid)) != 0 || head->generation != generation))
            fault = "it belongs to another State or generation";
    }
    if (fault != NULL) {
        munmap(base, bytes);
        gd_raise(GD_E_CORRUPT_DATA, "a segment of the State cannot be used: %s", fault);
        return -1;
    }
    out->base = base;
    out->bytes = bytes;
    return 0;
}

void gd_segment_unmap(struct gd_map *map)
{
    if (map->base != NULL)
        munmap(map->base, map->bytes);
    map->base = NULL;
    map->bytes = 0;
}

/* ---- blocks */

struct gd_block *gd_block_create(PyObject *owner, int fd, uint64_t offset, size_t bytes, bool shared)
{
    uint64_t first = offset / GD_PAGE * GD_PAGE;
    size_t length = (size_t)gd_round_up(offset - first + bytes, GD_PAGE);
    if (length == 0)
        length = GD_PAGE;
    struct gd_block *block = PyObject_New(struct gd_block, &gd_block_type);
    if (block == NULL)
        return NULL;
    block->owner = NULL;
    block->base = mmap(NULL, length, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, fd, (off_t)first);
    if (block->base == MAP_FAILED) {
        block->base = NULL;
        Py_DECREF(block);
        gd_raise(GD_E_OUT_OF_MEMORY, "%zu bytes cannot be mapped: %s", length, strerror(errno));
        return NULL;
    }
    block->bytes = length;
    block->data = block->base + (offset - first);
    block->owner = Py_XNewRef(owner);
    return block;
}

static void block_dealloc(PyObject *self)
{
    struct gd_block *block = (struct gd_block *)self;
    if (block->base != NULL)
        munmap(block->base, block->bytes);
    Py_XDECREF(block->owner);
    PyObject_Free(self);
}

PyTypeObject gd_block_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Block",
    .tp_basicsize = sizeof(struct gd_block),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "Pages of a State mapped besides its persistent mapping; the base of \"c\" and \"r+\" arrays.",
    .tp_dealloc = block_dealloc,
};
