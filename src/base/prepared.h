/*
 * prepared.h: one encoded frame, shared by all its receivers.
 *
 * Audience: session (makes them), conn (queues and writes them), dialect
 * (writes payloads through a builder).
 *
 * A prepared frame is immutable and reference-counted; the count is not
 * atomic, since a frame never leaves its worker.  Whoever stores a pointer
 * takes a reference; the last wscast_prepared_release() frees.
 *
 * Building: the payload is written first, into memory that leaves
 * WSCAST_FRAME_HEADER bytes free before it; then whoever knows RFC 6455 puts
 * the header right in front of it.  So the frame is contiguous and the payload
 * is never moved.
 */

#ifndef WSCAST_PREPARED_H
#define WSCAST_PREPARED_H


#include "base.h"


#define WSCAST_FRAME_HEADER  10     /* longest header of an unmasked frame */


typedef struct {
    uint32_t         refs;
    uint32_t         offset;        /* of the frame's first byte in bytes[] */
    size_t           len;           /* of the frame */
    unsigned char    bytes[];
} wscast_prepared_t;


/*
 * A builder grows as it is written to.  After a failed allocation it swallows
 * all further writes, and wscast_builder_finish() returns NULL: so writers
 * need no checks in between.
 */

typedef struct {
    wscast_prepared_t  *frame;
    size_t              used;       /* bytes of payload */
    size_t              size;       /* of payload that has room */
    unsigned            failed;
} wscast_builder_t;


/* hint: the expected payload in bytes; a good one saves a reallocation. */
void wscast_builder_init(wscast_builder_t *b, size_t hint);

void wscast_builder_put(wscast_builder_t *b, const void *data, size_t len);

static inline void
wscast_builder_str(wscast_builder_t *b, wscast_str_t s)
{
    wscast_builder_put(b, s.data, s.len);
}

#define wscast_builder_lit(b, s)  wscast_builder_put(b, s, sizeof(s) - 1)

/* Decimal digits. */
void wscast_builder_uint(wscast_builder_t *b, uint64_t n);

/*
 * Room for len bytes that the caller fills; NULL after a failure.  Valid until
 * the next call.
 */
unsigned char *wscast_builder_reserve(wscast_builder_t *b, size_t len);

/* What has been written so far; empty after a failure. */
wscast_str_t wscast_builder_payload(const wscast_builder_t *b);

/*
 * Puts the header (1 to WSCAST_FRAME_HEADER bytes) before the payload and
 * yields the frame with one reference, the caller's; NULL after a failure.
 * The builder is empty afterwards in either case.
 */
wscast_prepared_t *wscast_builder_finish(wscast_builder_t *b,
    const unsigned char *header, size_t len);

/* Throws an unfinished frame away. */
void wscast_builder_drop(wscast_builder_t *b);


static inline wscast_str_t
wscast_prepared_frame(const wscast_prepared_t *p)
{
    return wscast_str(p->bytes + p->offset, p->len);
}


/* What stands behind its header. */

static inline wscast_str_t
wscast_prepared_payload(const wscast_prepared_t *p)
{
    return wscast_str(p->bytes + WSCAST_FRAME_HEADER,
                      p->len - (WSCAST_FRAME_HEADER - p->offset));
}


static inline wscast_prepared_t *
wscast_prepared_ref(wscast_prepared_t *p)
{
    p->refs++;
    return p;
}


static inline void
wscast_prepared_release(wscast_prepared_t *p)
{
    if (p && --p->refs == 0) {
        wscast_free(p);
    }
}


#endif /* WSCAST_PREPARED_H */
