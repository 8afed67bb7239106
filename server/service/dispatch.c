#include "service/dispatch.h"

#include "core/box.h"
#include "core/uuid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct gd_command *gd_dispatch_find(const char *name, size_t bytes)
{
    size_t low = 0, high = GD_NUM_COMMANDS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *candidate = gd_commands[middle].name;
        size_t length = strlen(candidate);
        int order = memcmp(name, candidate, bytes < length ? bytes : length);
        if (order == 0)
            order = (bytes > length) - (bytes < length);
        if (order == 0)
            return &gd_commands[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static const char *type_name(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return "nil";
    case MSGPACK_OBJECT_BOOLEAN:
        return "a boolean";
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return "a whole number";
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return "a number";
    case MSGPACK_OBJECT_STR:
        return "a string";
    case MSGPACK_OBJECT_ARRAY:
        return "a list";
    case MSGPACK_OBJECT_MAP:
        return "a map";
    case MSGPACK_OBJECT_BIN:
        return "binary data";
    default:
        return "an extension";
    }
}

static int wrong_type(const struct gd_field *field, const char *wanted, const msgpack_object *got, struct gd_err *err)
{
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' must be %s, not %s", field->name, wanted, type_name(got));
}

static int to_real(const msgpack_object *object, double *out)
{
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *out = (double)object->via.u64;
        return 0;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *out = (double)object->via.i64;
        return 0;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *out = object->via.f64;
        return 0;
    default:
        return -1;
    }
}

static int check_range(const struct gd_field *field, double value, struct gd_err *err)
{
    if (!field->ranged || (value >= field->min && value <= field->max))
        return 0;
    if (isinf(field->max))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' is %.15g; it must be at least %.15g", field->name, value, field->min);
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' is %.15g; it must be from %.15g to %.15g", field->name, value, field->min,
                      field->max);
}

static int take_int(const struct gd_field *field, const msgpack_object *object, struct gd_value *value, struct gd_err *err)
{
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
        value->integer = (int64_t)object->via.u64;
    else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        value->integer = object->via.i64;
    else
        return wrong_type(field, "a whole number", object, err);
    return check_range(field, (double)value->integer, err);
}

static int take_real(const struct gd_field *field, const msgpack_object *object, struct gd_value *value, struct gd_err *err)
{
    if (to_real(object, &value->real) != 0)
        return wrong_type(field, "a number", object, err);
    if (!isfinite(value->real))
        return gd_err_set(err, GD_E_NOT_FINITE, "'%s' is not a finite number", field->name);
    return check_range(field, value->real, err);
}

static int take_reals(const struct gd_field *field, const msgpack_object *object, unsigned count, double *out, struct gd_err *err)
{
    char wanted[48];
    snprintf(wanted, sizeof wanted, "a list of %u numbers", count);
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return wrong_type(field, wanted, object, err);
    if (object->via.array.size != count)
        return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s' must be %s, not of %u", field->name, wanted, object->via.array.size);
    for (unsigned i = 0; i < count; i++) {
        if (to_real(&object->via.array.ptr[i], &out[i]) != 0)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s': element %u is %s, not a number", field->name, i,
                              type_name(&object->via.array.ptr[i]));
        if (!isfinite(out[i]))
            return gd_err_set(err, GD_E_NOT_FINITE, "'%s': element %u is not finite", field->name, i);
    }
    return 0;
}

/* A NUL-terminated copy; NUL bytes inside are refused. */
static int take_text(const struct gd_field *field, const msgpack_object *object, msgpack_zone *zone, struct gd_value *value,
                     struct gd_err *err)
{
    if (object->type != MSGPACK_OBJECT_STR)
        return wrong_type(field, "a string", object, err);
    size_t n = object->via.str.size;
    if (memchr(object->via.str.ptr, '\0', n) != NULL)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' has a NUL byte inside", field->name);
    if (!gd_utf8_valid(object->via.str.ptr, n))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' is not UTF-8", field->name);
    char *copy = msgpack_zone_malloc_no_align(zone, n + 1);
    if (copy == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for argument '%s'", field->name);
    memcpy(copy, object->via.str.ptr, n);
    copy[n] = '\0';
    value->text.data = copy;
    value->text.bytes = n;
    if (field->choices[0] == NULL)
        return 0;
    char list[256];
    size_t used = 0;
    for (unsigned i = 0; i < GD_FIELD_CHOICES && field->choices[i] != NULL; i++) {
        if (strcmp(copy, field->choices[i]) == 0)
            return 0;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", field->choices[i]);
    }
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' is '%.64s'; it must be one of %s", field->name, copy, list);
}

static int take_state(const struct gd_field *field, const msgpack_object *object, msgpack_zone *zone, struct gd_value *value,
                      struct gd_err *err)
{
    if (object->type == MSGPACK_OBJECT_BIN && object->via.bin.size == 16) {
        value->state.name = NULL;
        memcpy(value->state.uuid, object->via.bin.ptr, 16);
        return 0;
    }
    if (object->type != MSGPACK_OBJECT_STR)
        return wrong_type(field, "a State's name or its uuid (16 bytes)", object, err);
    struct gd_value text = {0};
    const struct gd_field plain = {.name = field->name};
    int code = take_text(&plain, object, zone, &text, err);
    if (code == 0)
        value->state.name = text.text.data;
    return code;
}

static int take_box(const struct gd_field *field, const msgpack_object *object, struct gd_value *value, struct gd_err *err)
{
    static const char wanted[] = "a map {kind, vectors}";
    if (object->type != MSGPACK_OBJECT_MAP)
        return wrong_type(field, wanted, object, err);
    memset(&value->box, 0, sizeof value->box);
    int seen = 0;
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *kv = &object->via.map.ptr[i];
        if (kv->key.type != MSGPACK_OBJECT_STR)
            return wrong_type(field, wanted, object, err);
        if (kv->key.via.str.size == 4 && memcmp(kv->key.via.str.ptr, "kind", 4) == 0 && kv->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
            kv->val.via.u64 <= INT32_MAX) {
            value->box.kind = (int32_t)kv->val.via.u64;
            seen |= 1;
        } else if (kv->key.via.str.size == 7 && memcmp(kv->key.via.str.ptr, "vectors", 7) == 0) {
            int code = take_reals(field, &kv->val, 9, &value->box.vectors[0][0], err);
            if (code != 0)
                return code;
            seen |= 2;
        }
    }
    if (seen != 3)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' must be %s with kind 0 to 3 and nine numbers", field->name, wanted);
    int code = gd_box_check(&value->box, err);
    if (code != 0)
        gd_err_context(err, "'%s'", field->name);
    return code;
}

/* ---- arrays ---- */

static int array_head(const struct gd_field *field, const msgpack_object *object, struct gd_array_value *out, uint64_t *part,
                      struct gd_err *err)
{
    static const char wanted[] = "an array {part, dtype, shape}";
    if (object->type != MSGPACK_OBJECT_MAP)
        return wrong_type(field, wanted, object, err);
    int seen = 0;
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *kv = &object->via.map.ptr[i];
        if (kv->key.type != MSGPACK_OBJECT_STR)
            continue;
        const char *key = kv->key.via.str.ptr;
        size_t n = kv->key.via.str.size;
        if (n == 4 && memcmp(key, "part", 4) == 0 && kv->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
            *part = kv->val.via.u64;
            seen |= 1;
        } else if (n == 5 && memcmp(key, "dtype", 5) == 0 && kv->val.type == MSGPACK_OBJECT_STR) {
            if (gd_element_from_name(kv->val.via.str.ptr, kv->val.via.str.size, &out->element) != 0)
                return gd_err_set(err, GD_E_INVALID_DTYPE, "'%s' has dtype '%.*s'; known are f4, f8, i4, i8, u1", field->name,
                                  kv->val.via.str.size < 16 ? (int)kv->val.via.str.size : 16, kv->val.via.str.ptr);
            seen |= 2;
        } else if (n == 5 && memcmp(key, "shape", 5) == 0 && kv->val.type == MSGPACK_OBJECT_ARRAY && kv->val.via.array.size <= 4) {
            out->dimensions = kv->val.via.array.size;
            for (unsigned k = 0; k < out->dimensions; k++) {
                const msgpack_object *length = &kv->val.via.array.ptr[k];
                if (length->type != MSGPACK_OBJECT_POSITIVE_INTEGER || length->via.u64 > SIZE_MAX / 8)
                    return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s': length %u of its shape is not a usable whole number", field->name, k);
                out->shape[k] = (size_t)length->via.u64;
            }
            seen |= 4;
        }
    }
    return seen == 7 ? 0 : gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' must be %s", field->name, wanted);
}

static void shape_text(const struct gd_array_value *array, char *out, size_t room)
{
    size_t used = (size_t)snprintf(out, room, "(");
    for (unsigned k = 0; k < array->dimensions && used < room; k++)
        used += (size_t)snprintf(out + used, room - used, "%s%zu", k == 0 ? "" : ", ", array->shape[k]);
    if (used < room)
        snprintf(out + used, room - used, array->dimensions == 1 ? ",)" : ")");
}

static int check_shape(const struct gd_field *field, const struct gd_array_value *array, struct gd_err *err)
{
    char got[128];
    shape_text(array, got, sizeof got);
    if (array->dimensions != field->dimensions || (field->last != 0 && array->shape[array->dimensions - 1] != field->last))
        return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s' has shape %s; it must be %s", field->name, got, field->shape);
    size_t count = 1;
    for (unsigned k = 0; k < array->dimensions; k++) {
        if (__builtin_mul_overflow(count, array->shape[k], &count))
            return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s': shape %s is too large", field->name, got);
    }
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, gd_element_bytes(array->element), &bytes) || bytes != array->bytes)
        return gd_err_set(err, GD_E_INVALID_SHAPE, "'%s': shape %s of %s does not make the %zu bytes of its message part", field->name, got,
                          gd_element_name(array->element), array->bytes);
    return 0;
}

/* int64 to int32, with the first value that does not fit named. */
static int narrow(const struct gd_field *field, struct gd_array_value *array, msgpack_zone *zone, struct gd_err *err)
{
    size_t count = array->bytes / 8;
    int32_t *out = msgpack_zone_malloc(zone, count * sizeof *out + 1);
    if (out == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for argument '%s'", field->name);
    const int64_t *in = array->data;
    for (size_t i = 0; i < count; i++) {
        if (in[i] < INT32_MIN || in[i] > INT32_MAX)
            return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "'%s': element %zu is %lld, beyond any atom index", field->name, i,
                              (long long)in[i]);
        out[i] = (int32_t)in[i];
    }
    array->data = out;
    array->bytes = count * sizeof *out;
    array->element = GD_ELEMENT_I4;
    return 0;
}

static int take_array(const struct gd_field *field, const msgpack_object *object, const struct gd_parts *parts, msgpack_zone *zone,
                      struct gd_array_value *array, struct gd_err *err)
{
    uint64_t part = 0;
    int code = array_head(field, object, array, &part, err);
    if (code != 0)
        return code;
    if (part < 1 || part > parts->count)
        return gd_err_set(err, GD_E_INVALID_MESSAGE, "'%s' names part %llu; the message has %u behind its map", field->name,
                          (unsigned long long)part, parts->count);
    array->data = parts->data[part - 1];
    array->bytes = parts->bytes[part - 1];
    int is_float = array->element == GD_ELEMENT_F4 || array->element == GD_ELEMENT_F8;
    int is_int = array->element == GD_ELEMENT_I4 || array->element == GD_ELEMENT_I8;
    if ((field->kind == GD_KIND_FLOAT && !is_float) || (field->kind == GD_KIND_INT && !is_int))
        return gd_err_set(err, GD_E_INVALID_DTYPE, "'%s' has dtype %s; it must be %s", field->name, gd_element_name(array->element),
                          field->kind == GD_KIND_FLOAT ? "f4 or f8" : "i4 or i8");
    code = check_shape(field, array, err);
    if (code != 0)
        return code;
    if ((uintptr_t)array->data % gd_element_bytes(array->element) != 0) {
        void *copy = msgpack_zone_malloc(zone, array->bytes + 1);
        if (copy == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for argument '%s'", field->name);
        memcpy(copy, array->data, array->bytes);
        array->data = copy;
    }
    return array->element == GD_ELEMENT_I8 ? narrow(field, array, zone, err) : 0;
}

/* ---- one argument, all arguments ---- */

static int take(const struct gd_field *field, const msgpack_object *object, const struct gd_parts *parts, msgpack_zone *zone,
                struct gd_value *value, struct gd_err *err)
{
    switch (field->type) {
    case GD_FIELD_INT:
        return take_int(field, object, value, err);
    case GD_FIELD_FLOAT:
        return take_real(field, object, value, err);
    case GD_FIELD_STR:
        return take_text(field, object, zone, value, err);
    case GD_FIELD_BOOL:
        if (object->type != MSGPACK_OBJECT_BOOLEAN)
            return wrong_type(field, "true or false", object, err);
        value->truth = object->via.boolean;
        return 0;
    case GD_FIELD_BYTES:
        if (object->type != MSGPACK_OBJECT_BIN)
            return wrong_type(field, "binary data", object, err);
        value->text.data = object->via.bin.ptr;
        value->text.bytes = object->via.bin.size;
        return 0;
    case GD_FIELD_STATE:
        return take_state(field, object, zone, value, err);
    case GD_FIELD_VEC3:
        return take_reals(field, object, 3, value->reals, err);
    case GD_FIELD_MAT3:
        return take_reals(field, object, 9, value->reals, err);
    case GD_FIELD_BOX:
        return take_box(field, object, value, err);
    case GD_FIELD_ARRAY:
        return take_array(field, object, parts, zone, &value->array, err);
    case GD_FIELD_LIST:
        if (object->type != MSGPACK_OBJECT_ARRAY)
            return wrong_type(field, "a list", object, err);
        value->list = object->via.array;
        return 0;
    }
    return gd_err_set(err, GD_E_INTERNAL, "argument '%s' has no type", field->name);
}

static void fill_default(const struct gd_field *field, struct gd_value *value)
{
    if (!field->defaulted)
        return;
    switch (field->type) {
    case GD_FIELD_INT:
        value->integer = (int64_t)field->default_number;
        break;
    case GD_FIELD_FLOAT:
        value->real = field->default_number;
        break;
    case GD_FIELD_BOOL:
        value->truth = field->default_number != 0.0;
        break;
    case GD_FIELD_STR:
        value->text.data = field->default_str;
        value->text.bytes = strlen(field->default_str);
        break;
    default:
        break;
    }
}

static int unknown_argument(const struct gd_command *command, const msgpack_object *key, struct gd_err *err)
{
    char list[512] = "none";
    size_t used = 0;
    for (unsigned i = 0; i < command->num_args && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", command->args[i].name);
    if (key->type != MSGPACK_OBJECT_STR)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: argument names are strings", command->name);
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s has no argument '%.*s'; it takes: %s", command->name,
                      key->via.str.size < 64 ? (int)key->via.str.size : 64, key->via.str.ptr, list);
}

int gd_dispatch_args(const struct gd_command *command, const msgpack_object_map *args, const struct gd_parts *parts, msgpack_zone *zone,
                     struct gd_value *values, struct gd_err *err)
{
    for (unsigned i = 0; i < command->num_args; i++) {
        memset(&values[i], 0, sizeof values[i]);
        fill_default(&command->args[i], &values[i]);
    }
    for (uint32_t k = 0; k < args->size; k++) {
        const msgpack_object_kv *kv = &args->ptr[k];
        unsigned i = 0;
        while (i < command->num_args && !(kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == strlen(command->args[i].name) &&
                                          memcmp(kv->key.via.str.ptr, command->args[i].name, kv->key.via.str.size) == 0))
            i++;
        if (i == command->num_args)
            return unknown_argument(command, &kv->key, err);
        if (values[i].present)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: '%s' is given twice", command->name, command->args[i].name);
        if (kv->val.type == MSGPACK_OBJECT_NIL && !command->args[i].required)
            continue; /* the same as leaving it out */
        int code = take(&command->args[i], &kv->val, parts, zone, &values[i], err);
        if (code != 0)
            return gd_err_context(err, "%s", command->name), code;
        values[i].present = 1;
    }
    for (unsigned i = 0; i < command->num_args; i++) {
        if (command->args[i].required && !values[i].present)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s needs '%s'", command->name, command->args[i].name);
    }
    return 0;
}
