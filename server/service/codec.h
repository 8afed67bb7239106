/* Messages in and out: bounded msgpack decoding, and replies as they are built. No sockets here.
 *
 * Bytes from outside are scanned first (gd_codec_scan): every length and count is held against the bytes that are really
 * there and the depth against the protocol's limit, before msgpack-c may allocate anything for them. */
#ifndef GD_SERVICE_CODEC_H
#define GD_SERVICE_CODEC_H

#include "core/err.h"
#include "io/messages.h"
#include "proto/gd_types.h"

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

/* 0 if `data` is exactly one well-formed msgpack value within the limits; GD_E_INVALID_MESSAGE otherwise. Reentrant. */
int gd_codec_scan(const void *data, size_t bytes, unsigned max_depth, struct gd_err *err);

/* The envelope of a request. Pointers go into `zone` or into the message. */
struct gd_envelope {
    uint64_t id;
    int64_t version;
    const char *command;
    size_t command_bytes;
    msgpack_object_map args;
    msgpack_object_array memory; /* where its arrays lie in the session's argument memory; size 0: in further parts */
    int has_id;                  /* an answer can be addressed even when the rest is wrong */
};

/* Scans and decodes part 1 of a request. On failure has_id and id are set if they could be read. */
int gd_codec_envelope(struct gd_envelope *out, const void *data, size_t bytes, msgpack_zone *zone, struct gd_err *err);

/* Arrays in messages. */
enum gd_element { GD_ELEMENT_F4, GD_ELEMENT_F8, GD_ELEMENT_I4, GD_ELEMENT_I8, GD_ELEMENT_U1 };
size_t gd_element_bytes(enum gd_element element);
const char *gd_element_name(enum gd_element element);
int gd_element_from_name(const char *name, size_t bytes, enum gd_element *out);

/* A reply under construction: a msgpack map and raw parts behind it. Memory is taken as it grows; a failed allocation
 * makes gd_reply_failed() true and turns the reply into an out_of_memory error. */
#define GD_REPLY_PARTS 12

struct gd_reply_part {
    void *data;
    size_t bytes;
    void (*release)(void *data, void *hint); /* called when libzmq is done with it; any thread */
    void *hint;
};

struct gd_reply {
    msgpack_sbuffer map; /* of the result: key value key value ..., without the map's head */
    msgpack_packer packer;
    uint32_t fields;
    unsigned num_parts;
    struct gd_reply_part parts[GD_REPLY_PARTS];
    int failed;
};

void gd_reply_init(struct gd_reply *reply);
void gd_reply_free(struct gd_reply *reply); /* releases parts that were not sent */

/* One field of the result each. */
void gd_reply_int(struct gd_reply *reply, const char *name, int64_t value);
void gd_reply_real(struct gd_reply *reply, const char *name, double value);
void gd_reply_bool(struct gd_reply *reply, const char *name, int value);
void gd_reply_str(struct gd_reply *reply, const char *name, const char *value);
void gd_reply_bin(struct gd_reply *reply, const char *name, const void *data, size_t bytes);
void gd_reply_reals(struct gd_reply *reply, const char *name, const double *values, size_t count);
void gd_reply_box(struct gd_reply *reply, const char *name, const struct gd_box *box);
/* A list or map as a field: the caller packs `count` values (maps: pairs) with reply->packer afterwards. */
void gd_reply_list(struct gd_reply *reply, const char *name, size_t count);
void gd_reply_map(struct gd_reply *reply, const char *name, size_t count);

/* Bare values, inside lists and maps. */
void gd_pack_str(msgpack_packer *packer, const char *value);
void gd_pack_box(msgpack_packer *packer, const struct gd_box *box);
void gd_pack_reals(msgpack_packer *packer, const double *values, size_t count);

/* Attaches raw bytes as a part and packs its description. release is called even on failure. */
void gd_reply_array(struct gd_reply *reply, const char *name, enum gd_element element, const size_t *shape, unsigned dimensions,
                    struct gd_reply_part part);
/* The description alone, for parts that are shared by fields or live in a result segment. */
void gd_pack_array(msgpack_packer *packer, enum gd_element element, const size_t *shape, unsigned dimensions, unsigned part);
void gd_pack_result(msgpack_packer *packer, enum gd_element element, const size_t *shape, unsigned dimensions, uint64_t number,
                    size_t offset, size_t bytes);
int gd_reply_add_part(struct gd_reply *reply, struct gd_reply_part part); /* its number, from 1; 0 when it did not fit */

/* The finished first part. */
void gd_codec_finish(msgpack_sbuffer *out, uint64_t id, const struct gd_reply *reply);
/* faults (may be NULL or empty) go into the error's detail as a list of strings. */
void gd_codec_error(msgpack_sbuffer *out, uint64_t id, const struct gd_err *err, const struct gd_messages *faults);

/* Whether the bytes are UTF-8 as Unicode defines it: shortest forms, no surrogates, up to U+10FFFF. */
int gd_utf8_valid(const char *text, size_t bytes);

#endif
