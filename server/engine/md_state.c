/* The complete state of a run as bytes, so that a loaded run continues bit for bit: everything that a step reads and did not
 * get from topology, parameters or restraints. The pair list is not stored but rebuilt from the positions it came from. */
#include "engine/md_internal.h"

#define STATE_MAGIC 0x6764737461746532ull

struct state_header {
    uint64_t magic;
    uint64_t size;
    uint64_t atoms, threads, baths, groups;
    uint64_t sum; /* of the bytes behind the header */
};

static uint64_t checksum(const unsigned char *bytes, size_t size)
{
    uint64_t h = 1469598103934665603ull; /* FNV-1a, eight bytes at a time */
    size_t k = 0;
    for (; k + 8 <= size; k += 8) {
        uint64_t word;
        memcpy(&word, bytes + k, 8);
        h = (h ^ word) * 1099511628211ull;
        h ^= h >> 32;
    }
    for (; k < size; k++)
        h = (h ^ bytes[k]) * 1099511628211ull;
    return h;
}

static void visit_fields(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    size_t vectors = md->n * sizeof(gd_vec3);
    visit(context, md->pos, vectors);
    visit(context, md->vel, vectors);
    visit(context, md->old_pos, vectors);
    visit(context, md->old_vel, vectors);
    visit(context, md->force, vectors);
    visit(context, md->constraint_force, vectors);
    visit(context, md->lattice_shift, md->n * sizeof *md->lattice_shift);
    visit(context, &md->box, sizeof md->box);
    visit(context, &md->old_box, sizeof md->old_box);
    visit(context, md->euler, sizeof md->euler);
    visit(context, &md->step, sizeof md->step);
    visit(context, &md->time, sizeof md->time);
    visit(context, &md->start_time, sizeof md->start_time); /* a step's time is counted from it */
    visit(context, &md->random, sizeof md->random);
    visit(context, md->energy_numbers, md->num_energy_numbers * sizeof(double));
    visit(context, md->virial, sizeof md->virial);
    visit(context, md->report_virial, sizeof md->report_virial);
    visit(context, md->report_kinetic, sizeof md->report_kinetic);
    visit(context, md->report_pressure, sizeof md->report_pressure);
    visit(context, md->kinetic_tensor, sizeof md->kinetic_tensor);
    visit(context, md->pressure, sizeof md->pressure);
    visit(context, &md->reservoir, sizeof md->reservoir);
    visit(context, md->bath, md->num_baths * sizeof *md->bath);
    if (md->reference_position != NULL)
        visit(context, md->reference_position, vectors);
    gd_nonbonded_visit(md, visit, context);
    gd_stochastic_visit(md, visit, context);
    gd_velocity_verlet_visit(md, visit, context);
    gd_minimiser_visit(md, visit, context);
    gd_rottrans_visit(md, visit, context);
    gd_special_visit(md, visit, context);
    gd_flexible_visit(md, visit, context);
    gd_barostat_parrinello_visit(md, visit, context);
}

static void count_bytes(void *context, void *data, size_t size)
{
    (void)data;
    *(size_t *)context += size;
}

static void write_bytes(void *context, void *data, size_t size)
{
    unsigned char **to = context;
    memcpy(*to, data, size);
    *to += size;
}

static void read_bytes(void *context, void *data, size_t size)
{
    const unsigned char **from = context;
    memcpy(data, *from, size);
    *from += size;
}

/* Visitors take a changeable md; counting and writing leave it as it is. */
static struct gd_md *unconst(const struct gd_md *md)
{
    return (struct gd_md *)(uintptr_t)md;
}

size_t gd_md_state_size(const struct gd_md *md)
{
    size_t size = sizeof(struct state_header);
    visit_fields(unconst(md), count_bytes, &size);
    return size;
}

static struct state_header header_of(const struct gd_md *md)
{
    return (struct state_header){
        .magic = STATE_MAGIC,
        .size = gd_md_state_size(md),
        .atoms = md->n,
        .threads = (uint64_t)gd_thread_pool_size(md->pool),
        .baths = md->num_baths,
        .groups = md->energies.num_groups,
    };
}

void gd_md_save_state(const struct gd_md *md, void *buffer)
{
    gd_nonbonded_complete(md);
    struct state_header header = header_of(md);
    unsigned char *body = (unsigned char *)buffer + sizeof header, *to = body;
    visit_fields(unconst(md), write_bytes, &to);
    header.sum = checksum(body, header.size - sizeof header);
    memcpy(buffer, &header, sizeof header);
}

int gd_md_load_state(struct gd_md *md, const void *buffer, size_t size, struct gd_err *err)
{
    struct state_header header, expected = header_of(md);
    if (size < sizeof header)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a saved run of %zu bytes is cut short", size);
    memcpy(&header, buffer, sizeof header);
    if (header.magic != STATE_MAGIC)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "these bytes are not a saved run");
    if (header.threads != expected.threads && header.atoms == expected.atoms)
        return gd_err_set(err, GD_E_CORRUPT_DATA,
                          "the saved run used %llu threads, this one %llu; bit-exact continuation needs "
                          "the same number",
                          (unsigned long long)header.threads, (unsigned long long)expected.threads);
    if (header.size != size || size != expected.size || header.atoms != expected.atoms || header.baths != expected.baths ||
        header.groups != expected.groups)
        return gd_err_set(err, GD_E_CORRUPT_DATA,
                          "the saved run (%llu atoms, %zu bytes) does not belong to this system "
                          "(%zu atoms, %llu bytes)",
                          (unsigned long long)header.atoms, size, md->n, (unsigned long long)expected.size);
    const unsigned char *from = (const unsigned char *)buffer + sizeof header;
    if (checksum(from, size - sizeof header) != header.sum)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the saved run is damaged: its checksum does not match");
    visit_fields(md, read_bytes, &from);
    gd_periodicity_set(&md->pbc, &md->box);
    int rc = gd_nonbonded_restore(md, err);
    return rc == 0 ? gd_md_sum_energies(md, err) : rc;
}
