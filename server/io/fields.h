/* Blocks whose contents are a fixed sequence of values, described by a table: where each goes, what it may be. */
#ifndef GD_IO_FIELDS_H
#define GD_IO_FIELDS_H

#include <stdint.h>

#include "io/faults.h"

enum gd_field_type { GD_FIELD_INT32, GD_FIELD_INT64, GD_FIELD_DOUBLE, GD_FIELD_ENUM };

/* One word and the number that stands for the same; an empty name ends a list. */
struct gd_field_word {
    const char *name;
    int value;
};

struct gd_field {
    const char *name;
    enum gd_field_type type;
    size_t offset; /* in the structure that is filled */
    double low, high;
    const struct gd_field_word *words; /* of GD_FIELD_ENUM; may be NULL otherwise */
    const char *missing;               /* what a value outside low..high asks for, "is not available"; or NULL */
};

/* Reads the fields in turn into `base`. A value out of range is noted as a fault and reading goes on; one that is no number
 * or no word, or is missing, ends the block: false. */
bool gd_fields_read(struct gd_faults *faults, struct gd_cursor *cursor, const struct gd_field *fields, size_t count, void *base);

/* One word of the list, or its number, into *out. */
bool gd_fields_read_word(struct gd_faults *faults, struct gd_cursor *cursor, const char *what, const struct gd_field_word *words, int *out);

/* Notes a fault when anything is left. */
void gd_fields_finish(struct gd_faults *faults, struct gd_cursor *cursor, const char *after);

#endif
