/*
 * envelope.h: publication <=> versioned bytes, the same on the bus and in
 * Redis.  docs/redis.md describes the format for others.
 *
 * Audience: worker, bus.  All integers are big endian.
 *
 *    0  u8   0x00: no plain text payload begins so
 *    1  u8   version, 1
 *    2  u8   kind (wscast_pub_kind_e)
 *    3  u8   flags (WSCAST_PUB_*)
 *    4  u64  time, ms since 1970
 *   12  u64  epoch       (0 without WSCAST_PUB_POSITION)
 *   20  u64  offset      (0 without WSCAST_PUB_POSITION)
 *   28  u8   length of client
 *   29  u8   length of exclude
 *   30  u16  length of user
 *   32  u32  length of info
 *   36       client, exclude, user, info, then data up to the end
 */

#ifndef WSCAST_ENVELOPE_H
#define WSCAST_ENVELOPE_H


#include "publication.h"


#define WSCAST_ENVELOPE_VERSION  1
#define WSCAST_ENVELOPE_HEADER   36


/*
 * The exact size of the encoded fields; 0 if one of them is longer than the
 * format allows (client and exclude 255, user 65535, info 2^32 - 1 bytes).
 */
size_t wscast_envelope_size(const wscast_pub_fields_t *f);

/*
 * Writes wscast_envelope_size() bytes to out and returns the position after
 * them.  The channel is not part of the envelope: it is its address.
 */
unsigned char *wscast_envelope_encode(unsigned char *out,
    const wscast_pub_fields_t *f);

/*
 * Says in an encoded envelope, of at least WSCAST_ENVELOPE_HEADER bytes, where
 * in its channel it is; epoch 0: nowhere.
 */
void wscast_envelope_stamp(unsigned char *envelope, uint64_t epoch,
    uint64_t offset);

/* A number as envelopes have it, in so many bytes; returns the end of them. */
unsigned char *wscast_envelope_put(unsigned char *p, uint64_t n,
    unsigned bytes);

/* The time in an encoded envelope of at least WSCAST_ENVELOPE_HEADER bytes. */
uint64_t wscast_envelope_time(const unsigned char *envelope);

/*
 * Reads bytes from anywhere.  The views of f point into bytes.
 *
 * A payload that does not begin with a zero byte is plain data, published by
 * somebody with PUBLISH alone: it becomes a message of no client, with the
 * current time, text or (if it is not valid UTF-8) WSCAST_PUB_BINARY.
 *
 * WSCAST_OK     f is filled, but for f->channel, which is set to channel
 * WSCAST_MORE   a version or kind that this build does not know: skip it
 * WSCAST_ERROR  a zero byte, and then no envelope: skip it and tell the log
 */
wscast_status_t wscast_envelope_decode(wscast_str_t channel,
    wscast_str_t bytes, uint64_t now, wscast_pub_fields_t *f);


#endif /* WSCAST_ENVELOPE_H */
