/* Calls at the door: a command and its answer as one packet each way, without ZeroMQ's threads between the client and the daemon.
 *
 * GD_DOOR_CALLS hands a local session one end of an AF_UNIX SOCK_SEQPACKET pair; it belongs to the session and ends with it. A packet
 * has the parts of a message (proto/PROTOCOL.md) behind a head that says how long each is; a part begins at a multiple of
 * GD_CALL_ALIGN bytes from the packet's begin, in order, and the packet ends with the last of them. A reply has the same form. One
 * request at a time on each: its reply comes before the next is sent. */
#ifndef GD_PROTO_CALL_H
#define GD_PROTO_CALL_H

#include "proto/gd_errors.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GD_CALL_MAGIC 0x4744434cu
#define GD_CALL_ALIGN 8u
#define GD_CALL_BYTES (160u * 1024u)      /* of a packet at most: well under what Linux lets a socket have by default */
#define GD_CALL_ARRAY_BYTES (64u * 1024u) /* of a reply's arrays at most: larger ones lie in a segment */

struct gd_call_head {
    uint32_t magic;
    uint32_t count; /* parts, the map included: 1 to GD_PROTOCOL_MAX_PARTS */
    uint32_t bytes[GD_PROTOCOL_MAX_PARTS];
};
_Static_assert(sizeof(struct gd_call_head) == 8 + 4 * GD_PROTOCOL_MAX_PARTS, "gd_call_head is on the wire");
_Static_assert(sizeof(struct gd_call_head) % GD_CALL_ALIGN == 0, "the first part follows the head");

/* Where the part after one of so many bytes begins, counted from the begin of that one. */
static inline size_t gd_call_step(size_t bytes)
{
    return (bytes + GD_CALL_ALIGN - 1) / GD_CALL_ALIGN * GD_CALL_ALIGN;
}

/* Finds the parts of a packet of untrusted bytes: how many, or 0 if it is not well-formed. */
static inline unsigned gd_call_split(const void *packet, size_t bytes, const void *parts[GD_PROTOCOL_MAX_PARTS],
                                     size_t part_bytes[GD_PROTOCOL_MAX_PARTS])
{
    struct gd_call_head head;
    size_t at = sizeof head;
    if (bytes < sizeof head)
        return 0;
    memcpy(&head, packet, sizeof head);
    if (head.magic != GD_CALL_MAGIC || head.count < 1 || head.count > GD_PROTOCOL_MAX_PARTS)
        return 0;
    for (unsigned i = 0; i < head.count; i++) {
        if (at > bytes || head.bytes[i] > bytes - at)
            return 0;
        parts[i] = (const char *)packet + at;
        part_bytes[i] = head.bytes[i];
        at += i + 1 < head.count ? gd_call_step(head.bytes[i]) : head.bytes[i];
    }
    return at == bytes ? head.count : 0;
}

#endif
