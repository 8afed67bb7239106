/* From a decoded envelope to typed, checked arguments: the command table and its reader.
 *
 * The table (commands_generated.c) is made from proto/commands/. Handlers find their arguments at the generated positions,
 * already of the right type, in range, with defaults filled in; what only a State can tell (an index beyond its atoms) is
 * checked when it is known. */
#ifndef GD_SERVICE_DISPATCH_H
#define GD_SERVICE_DISPATCH_H

#include "core/err.h"
#include "proto/gd_types.h"
#include "service/codec.h"
#include "service/commands_generated.h"

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

enum gd_role { GD_ROLE_ANYONE, GD_ROLE_READER, GD_ROLE_WRITER, GD_ROLE_ADMIN };
enum gd_run { GD_RUN_INLINE, GD_RUN_SIZE, GD_RUN_WORKER };
enum gd_lease_need { GD_LEASE_NONE, GD_LEASE_READ, GD_LEASE_WRITE };

enum gd_field_type {
    GD_FIELD_INT,
    GD_FIELD_FLOAT,
    GD_FIELD_STR,
    GD_FIELD_BOOL,
    GD_FIELD_BYTES,
    GD_FIELD_STATE,
    GD_FIELD_VEC3,
    GD_FIELD_MAT3,
    GD_FIELD_BOX,
    GD_FIELD_ARRAY,
    GD_FIELD_LIST,
};
enum gd_array_kind { GD_KIND_ANY, GD_KIND_FLOAT, GD_KIND_INT };

#define GD_FIELD_CHOICES 6

struct gd_field {
    const char *name;
    enum gd_field_type type;
    int required, ranged, defaulted;
    double min, max;
    double default_number;
    const char *default_str;
    const char *choices[GD_FIELD_CHOICES];
    enum gd_array_kind kind; /* arrays: element kind, dimensions, length of the last one (0: any), shape for messages */
    unsigned dimensions;
    size_t last;
    const char *shape;
};

struct gd_command {
    const char *name;
    int (*handler)(struct gd_request *request, struct gd_err *err);
    enum gd_role role;
    enum gd_run run;
    enum gd_lease_need lease;
    int local; /* only for sessions on this machine */
    int door;  /* these may ask for it at the door */
    const struct gd_field *args;
    unsigned num_args;
};

extern const struct gd_command gd_commands[GD_NUM_COMMANDS];

/* An array argument where it lies in the message: C-contiguous, aligned to its element. Integers were narrowed to int32
 * (element I4) with their range checked. */
struct gd_array_value {
    const void *data;
    size_t bytes;
    enum gd_element element;
    unsigned dimensions;
    size_t shape[4];
};

struct gd_value {
    int present; /* the client gave it; defaults are filled in when it is 0 */
    union {
        int64_t integer;
        double real;
        int truth;
        double reals[9];
        struct {
            const char *data; /* NUL-terminated copy for strings; no NUL inside */
            size_t bytes;
        } text;
        struct gd_box box;
        struct gd_array_value array;
        msgpack_object_array list;
        struct {
            const char *name; /* NULL: uuid */
            uint8_t uuid[16];
        } state;
    };
};

/* The raw parts behind the map. */
struct gd_parts {
    const void *data[GD_PROTOCOL_MAX_PARTS];
    size_t bytes[GD_PROTOCOL_MAX_PARTS];
    unsigned count;
};

/* NULL when there is none of this name. */
const struct gd_command *gd_dispatch_find(const char *name, size_t bytes);

/* Fills values[0 .. num_args). What is converted lives in zone. The error names the argument and what would be right. */
int gd_dispatch_args(const struct gd_command *command, const msgpack_object_map *args, const struct gd_parts *parts, msgpack_zone *zone,
                     struct gd_value *values, struct gd_err *err);

#endif
