/* Private to parameters_file.c and parameters_blocks.c. */
#ifndef GD_IO_PARAMETERS_TABLES_H
#define GD_IO_PARAMETERS_TABLES_H

#include "core/parameters.h"
#include "io/fields.h"

/* Reads the contents of one block into the parameters; faults go to the list. */
typedef void gd_parameters_block(struct gd_faults *faults, struct gd_cursor *cursor, struct gd_parameters *p);

gd_parameters_block gd_parameters_read_multibath, gd_parameters_read_pressure, gd_parameters_read_constraint, gd_parameters_read_force,
    gd_parameters_read_minimise, gd_parameters_read_pairlist, gd_parameters_read_extension;

#define GD_I32(name_, member, low_, high_)                                                                                  \
    {                                                                                                                       \
        .name = name_, .type = GD_FIELD_INT32, .offset = offsetof(struct gd_parameters, member), .low = low_, .high = high_ \
    }
#define GD_I64(name_, member, low_, high_)                                                                                  \
    {                                                                                                                       \
        .name = name_, .type = GD_FIELD_INT64, .offset = offsetof(struct gd_parameters, member), .low = low_, .high = high_ \
    }
#define GD_F64(name_, member, low_, high_)                                                                                   \
    {                                                                                                                        \
        .name = name_, .type = GD_FIELD_DOUBLE, .offset = offsetof(struct gd_parameters, member), .low = low_, .high = high_ \
    }
#define GD_WORD(name_, member, words_)                                                                          \
    {                                                                                                           \
        .name = name_, .type = GD_FIELD_ENUM, .offset = offsetof(struct gd_parameters, member), .words = words_ \
    }
/* A value of which only a part of the range is done here; what_ says what the rest would be. */
#define GD_PART(name_, type_, member, low_, high_, what_)                                                                            \
    {                                                                                                                                \
        .name = name_, .type = type_, .offset = offsetof(struct gd_parameters, member), .low = low_, .high = high_, .missing = what_ \
    }

#define GD_BIG 1e18
#define GD_ANY_REAL 1e300

#endif
