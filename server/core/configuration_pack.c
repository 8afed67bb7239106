#include "core/configuration_pack.h"

#include <string.h>

#define FRONT 0x4750434f4e463031ull
#define LIMIT ((size_t)1 << 48)

/* Never renumbered: they stand in files. */
enum tag {
    TAG_FIXED = 1,
    TAG_TITLE,
    TAG_POSITION,
    TAG_VELOCITY,
    TAG_LATTICE_SHIFT,
    TAG_STOCHASTIC_INTEGRAL,
    TAG_STOCHASTIC_SEED,
    TAG_REFERENCE_POSITION,
    TAG_BFACTOR,
    TAG_LABELS,
    TAG_NHC,
    TAG_ROTTRANS,
    TAG_DISTANCE_AVERAGE,
    TAG_JVALUE_AVERAGE,
    TAG_JVALUE_ELEVATION, /* its length says how many */
    NUM_TAGS
};

struct fixed {
    uint64_t num_atoms;
    struct gd_box box;
    double euler[3], origin[3], time;
    int64_t step;
    int32_t has_box, has_time, has_rottrans, reserved;
    double rottrans_axis[3][3], rottrans_theta_inv[3][3];
    uint64_t nhc_baths, nhc_chain_length, rottrans_atoms, num_distance_averages, num_jvalue_averages;
};

struct section {
    uint64_t tag, bytes;
};

struct piece {
    const void *data; /* NULL: absent */
    size_t bytes;
};

static size_t padded(size_t bytes)
{
    return (bytes + 7u) & ~(size_t)7;
}

/* ---- writing ---- */

static void fill_fixed(struct fixed *f, const struct gd_configuration *c)
{
    memset(f, 0, sizeof *f);
    f->num_atoms = c->num_atoms;
    f->box = c->box;
    memcpy(f->euler, c->euler, sizeof f->euler);
    memcpy(f->origin, c->origin, sizeof f->origin);
    f->time = c->time;
    f->step = c->step;
    f->has_box = c->has_box;
    f->has_time = c->has_time;
    f->has_rottrans = c->has_rottrans;
    memcpy(f->rottrans_axis, c->rottrans_axis, sizeof f->rottrans_axis);
    memcpy(f->rottrans_theta_inv, c->rottrans_theta_inv, sizeof f->rottrans_theta_inv);
    f->nhc_baths = c->nhc_baths;
    f->nhc_chain_length = c->nhc_chain_length;
    f->rottrans_atoms = c->rottrans_atoms;
    f->num_distance_averages = c->num_distance_averages;
    f->num_jvalue_averages = c->num_jvalue_averages;
}

static void list_pieces(const struct gd_configuration *c, const struct fixed *fixed, struct piece out[NUM_TAGS])
{
    size_t n = c->num_atoms;
    memset(out, 0, NUM_TAGS * sizeof *out);
    out[TAG_FIXED] = (struct piece){fixed, sizeof *fixed};
    out[TAG_TITLE] = (struct piece){c->title, c->title != NULL ? strlen(c->title) + 1 : 0};
    out[TAG_POSITION] = (struct piece){c->position, n * sizeof *c->position};
    out[TAG_VELOCITY] = (struct piece){c->velocity, n * sizeof *c->velocity};
    out[TAG_LATTICE_SHIFT] = (struct piece){c->lattice_shift, n * sizeof *c->lattice_shift};
    out[TAG_STOCHASTIC_INTEGRAL] = (struct piece){c->stochastic_integral, n * sizeof *c->stochastic_integral};
    out[TAG_STOCHASTIC_SEED] = (struct piece){c->stochastic_seed, c->stochastic_seed != NULL ? strlen(c->stochastic_seed) + 1 : 0};
    out[TAG_REFERENCE_POSITION] = (struct piece){c->reference_position, n * sizeof *c->reference_position};
    out[TAG_BFACTOR] = (struct piece){c->bfactor, n * sizeof *c->bfactor};
    out[TAG_LABELS] = (struct piece){c->labels, n * sizeof *c->labels};
    out[TAG_NHC] = (struct piece){c->nhc_zeta, c->nhc_baths * c->nhc_chain_length * sizeof *c->nhc_zeta};
    out[TAG_ROTTRANS] = (struct piece){c->rottrans_reference, c->rottrans_atoms * sizeof *c->rottrans_reference};
    out[TAG_DISTANCE_AVERAGE] = (struct piece){c->distance_average, c->num_distance_averages * sizeof *c->distance_average};
    out[TAG_JVALUE_AVERAGE] = (struct piece){c->jvalue_average, c->num_jvalue_averages * sizeof *c->jvalue_average};
    out[TAG_JVALUE_ELEVATION] = (struct piece){c->jvalue_elevation, c->num_jvalue_elevations * sizeof *c->jvalue_elevation};
}

size_t gd_configuration_packed_bytes(const struct gd_configuration *conf)
{
    struct fixed fixed;
    struct piece pieces[NUM_TAGS];
    size_t total = sizeof(uint64_t);
    fill_fixed(&fixed, conf);
    list_pieces(conf, &fixed, pieces);
    for (int tag = TAG_FIXED; tag < NUM_TAGS; tag++)
        total += pieces[tag].data != NULL ? sizeof(struct section) + padded(pieces[tag].bytes) : 0;
    return total;
}

void gd_configuration_pack(const struct gd_configuration *conf, void *out)
{
    struct fixed fixed;
    struct piece pieces[NUM_TAGS];
    unsigned char *at = out;
    const uint64_t front = FRONT;
    fill_fixed(&fixed, conf);
    list_pieces(conf, &fixed, pieces);
    memcpy(at, &front, sizeof front);
    at += sizeof front;
    for (int tag = TAG_FIXED; tag < NUM_TAGS; tag++) {
        const struct piece *piece = &pieces[tag];
        if (piece->data == NULL)
            continue;
        struct section section = {(uint64_t)tag, piece->bytes};
        memcpy(at, &section, sizeof section);
        at += sizeof section;
        memset(at, 0, padded(piece->bytes));
        memcpy(at, piece->data, piece->bytes);
        at += padded(piece->bytes);
    }
}

/* ---- reading ---- */

static int damaged(struct gd_err *err, const char *what)
{
    return gd_err_set(err, GD_E_CORRUPT_DATA, "a stored configuration is damaged: %s", what);
}

/* The pieces of data by tag; the last of a tag counts. */
static int find_pieces(const unsigned char *data, size_t bytes, struct piece out[NUM_TAGS], struct gd_err *err)
{
    uint64_t front;
    memset(out, 0, NUM_TAGS * sizeof *out);
    if (bytes < sizeof front)
        return damaged(err, "it is cut short");
    memcpy(&front, data, sizeof front);
    if (front != FRONT)
        return damaged(err, "it does not begin as one, or was written on a machine of another byte order");
    for (size_t at = sizeof front; at < bytes;) {
        struct section section;
        if (bytes - at < sizeof section)
            return damaged(err, "it is cut short");
        memcpy(&section, data + at, sizeof section);
        at += sizeof section;
        if (section.bytes > LIMIT || padded((size_t)section.bytes) > bytes - at)
            return damaged(err, "a part of it is longer than the whole");
        if (section.tag > 0 && section.tag < NUM_TAGS)
            out[section.tag] = (struct piece){data + at, (size_t)section.bytes};
        at += padded((size_t)section.bytes);
    }
    return 0;
}

static int check_lengths(const struct fixed *f, const struct piece pieces[NUM_TAGS], struct gd_err *err)
{
    const size_t n = (size_t)f->num_atoms, vector = 3 * sizeof(double);
    const struct {
        enum tag tag;
        size_t bytes;
    } expected[] = {
        {TAG_POSITION, n * vector},
        {TAG_VELOCITY, n * vector},
        {TAG_LATTICE_SHIFT, n * 3 * sizeof(int32_t)},
        {TAG_STOCHASTIC_INTEGRAL, n * vector},
        {TAG_REFERENCE_POSITION, n * vector},
        {TAG_BFACTOR, n * sizeof(double)},
        {TAG_LABELS, n * sizeof(struct gd_atom_label)},
        {TAG_NHC, (size_t)(f->nhc_baths * f->nhc_chain_length) * sizeof(double)},
        {TAG_ROTTRANS, (size_t)f->rottrans_atoms * vector},
        {TAG_DISTANCE_AVERAGE, (size_t)f->num_distance_averages * sizeof(double)},
        {TAG_JVALUE_AVERAGE, (size_t)f->num_jvalue_averages * sizeof(double)},
    };
    for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++)
        if (pieces[expected[k].tag].data != NULL && pieces[expected[k].tag].bytes != expected[k].bytes)
            return damaged(err, "a part of it has the wrong length");
    if (pieces[TAG_JVALUE_ELEVATION].bytes % sizeof(double) != 0)
        return damaged(err, "a part of it has the wrong length");
    const enum tag texts[] = {TAG_TITLE, TAG_STOCHASTIC_SEED};
    for (size_t k = 0; k < 2; k++) {
        const struct piece *text = &pieces[texts[k]];
        if (text->data != NULL && (text->bytes == 0 || memchr(text->data, '\0', text->bytes) != (const char *)text->data + text->bytes - 1))
            return damaged(err, "a text of it does not end");
    }
    return pieces[TAG_POSITION].data != NULL ? 0 : damaged(err, "it has no positions");
}

static int add_parts(struct gd_configuration *c, const struct fixed *f, const struct piece pieces[NUM_TAGS], struct gd_err *err)
{
    static const struct {
        enum tag tag;
        enum gd_configuration_part part;
    } optional[] = {
        {TAG_VELOCITY, GD_CONF_VELOCITY},
        {TAG_LATTICE_SHIFT, GD_CONF_LATTICE_SHIFT},
        {TAG_STOCHASTIC_INTEGRAL, GD_CONF_STOCHASTIC_INTEGRAL},
        {TAG_REFERENCE_POSITION, GD_CONF_REFERENCE_POSITION},
        {TAG_BFACTOR, GD_CONF_BFACTOR},
        {TAG_LABELS, GD_CONF_LABELS},
    };
    int code = 0;
    for (size_t k = 0; code == 0 && k < sizeof optional / sizeof optional[0]; k++)
        if (pieces[optional[k].tag].data != NULL)
            code = gd_configuration_add(c, optional[k].part, err);
    if (code == 0 && pieces[TAG_TITLE].data != NULL)
        code = gd_configuration_set_title(c, pieces[TAG_TITLE].data, err);
    if (code == 0 && pieces[TAG_NHC].data != NULL)
        code = gd_configuration_set_nhc(c, (size_t)f->nhc_baths, (size_t)f->nhc_chain_length, err);
    if (code == 0 && pieces[TAG_ROTTRANS].data != NULL)
        code = gd_configuration_set_rottrans(c, (size_t)f->rottrans_atoms, err);
    if (code == 0 && pieces[TAG_DISTANCE_AVERAGE].data != NULL)
        code = gd_configuration_set_distance_averages(c, (size_t)f->num_distance_averages, err);
    if (code == 0 && pieces[TAG_JVALUE_AVERAGE].data != NULL)
        code = gd_configuration_set_jvalue_averages(c, (size_t)f->num_jvalue_averages, err);
    if (code == 0 && pieces[TAG_JVALUE_ELEVATION].data != NULL)
        code = gd_configuration_set_jvalue_elevations(c, pieces[TAG_JVALUE_ELEVATION].bytes / sizeof(double), err);
    if (code == 0 && pieces[TAG_STOCHASTIC_SEED].data != NULL) {
        c->stochastic_seed = strdup(pieces[TAG_STOCHASTIC_SEED].data);
        if (c->stochastic_seed == NULL)
            code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a seed");
    }
    return code;
}

static void copy_in(void *to, const struct piece *piece)
{
    if (piece->data != NULL && piece->bytes > 0)
        memcpy(to, piece->data, piece->bytes);
}

static void fill(struct gd_configuration *c, const struct fixed *f, const struct piece pieces[NUM_TAGS])
{
    c->box = f->box;
    memcpy(c->euler, f->euler, sizeof c->euler);
    memcpy(c->origin, f->origin, sizeof c->origin);
    c->time = f->time;
    c->step = f->step;
    c->has_box = f->has_box;
    c->has_time = f->has_time;
    c->has_rottrans = f->has_rottrans;
    memcpy(c->rottrans_axis, f->rottrans_axis, sizeof c->rottrans_axis);
    memcpy(c->rottrans_theta_inv, f->rottrans_theta_inv, sizeof c->rottrans_theta_inv);
    copy_in(c->position, &pieces[TAG_POSITION]);
    copy_in(c->velocity, &pieces[TAG_VELOCITY]);
    copy_in(c->lattice_shift, &pieces[TAG_LATTICE_SHIFT]);
    copy_in(c->stochastic_integral, &pieces[TAG_STOCHASTIC_INTEGRAL]);
    copy_in(c->reference_position, &pieces[TAG_REFERENCE_POSITION]);
    copy_in(c->bfactor, &pieces[TAG_BFACTOR]);
    copy_in(c->labels, &pieces[TAG_LABELS]);
    copy_in(c->nhc_zeta, &pieces[TAG_NHC]);
    copy_in(c->rottrans_reference, &pieces[TAG_ROTTRANS]);
    copy_in(c->distance_average, &pieces[TAG_DISTANCE_AVERAGE]);
    copy_in(c->jvalue_average, &pieces[TAG_JVALUE_AVERAGE]);
    copy_in(c->jvalue_elevation, &pieces[TAG_JVALUE_ELEVATION]);
    for (size_t i = 0; c->labels != NULL && i < c->num_atoms; i++) {
        c->labels[i].residue.text[GD_NAME_LEN - 1] = '\0';
        c->labels[i].atom.text[GD_NAME_LEN - 1] = '\0';
    }
}

int gd_configuration_unpack(struct gd_configuration **out, const void *data, size_t bytes, struct gd_err *err)
{
    struct piece pieces[NUM_TAGS];
    struct fixed fixed;
    struct gd_configuration *conf = NULL;
    int code = find_pieces(data, bytes, pieces, err);
    if (code != 0)
        return code;
    if (pieces[TAG_FIXED].data == NULL || pieces[TAG_FIXED].bytes != sizeof fixed)
        return damaged(err, "its fixed part is missing or of another length");
    memcpy(&fixed, pieces[TAG_FIXED].data, sizeof fixed);
    const uint64_t most = LIMIT / 4096;
    if (fixed.num_atoms > most || fixed.nhc_baths > 65536 || fixed.nhc_chain_length > 65536 || fixed.rottrans_atoms > most ||
        fixed.num_distance_averages > most || fixed.num_jvalue_averages > most)
        return damaged(err, "its counts are not possible");
    code = check_lengths(&fixed, pieces, err);
    if (code == 0)
        code = gd_configuration_create(&conf, (size_t)fixed.num_atoms, err);
    if (code == 0)
        code = add_parts(conf, &fixed, pieces, err);
    if (code != 0) {
        gd_configuration_destroy(&conf);
        return code;
    }
    fill(conf, &fixed, pieces);
    *out = conf;
    return 0;
}
