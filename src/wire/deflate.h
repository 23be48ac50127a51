/*
 * deflate.h: messages made smaller, and whole again (RFC 7692, 7.2).
 *
 * Audience: worker (owns one wscast_deflate_t per process), session (packs
 * what is sent), wire/message (unpacks what has come).  Bytes only: nothing
 * here knows frames, UTF-8 or limits.
 *
 * What we send takes no context over: it is packed once, with a stream that is
 * kept for the next message, and sent to everybody.  What clients send is
 * unpacked as it arrives, by a stream that is lent to the client for as long
 * as the message lasts.  What a client may refer to in its next message is all
 * that is kept of it between messages, at most its window, and nothing if it
 * takes no context over.
 */

#ifndef WSCAST_DEFLATE_H
#define WSCAST_DEFLATE_H


#include "../base/base.h"
#include "../base/close.h"
#include "offer.h"


/* Of one process; streams are made when they are first needed. */
typedef struct wscast_deflate_s   wscast_deflate_t;

/* Of one client that may send packed messages. */
typedef struct wscast_inflater_s  wscast_inflater_t;


/* NULL: no memory. */
wscast_deflate_t *wscast_deflate_create(void);

/* After all its inflaters.  NULL is no error. */
void wscast_deflate_destroy(wscast_deflate_t *d);

/*
 * Packs one message: bits is WSCAST_WINDOW_BITS or _SMALL, level 1 to 9.
 * Returns its packed form, a view that is valid until the next call; empty:
 * it would not be smaller than the message, or there is no memory, so send the
 * message as it is.
 */
wscast_str_t wscast_deflate(wscast_deflate_t *d, unsigned bits, int level,
    wscast_str_t message);


/* client_bits as of wscast_offer_t.  NULL: no memory. */
wscast_inflater_t *wscast_inflater_create(wscast_deflate_t *d,
    unsigned client_bits);

/* NULL is no error. */
void wscast_inflater_destroy(wscast_inflater_t *i);

/*
 * Before each piece of a message: WSCAST_OK, or WSCAST_NOMEM: call again
 * later.
 */
wscast_status_t wscast_inflate_begin(wscast_inflater_t *i);

/*
 * Unpacks from *pos on, which it moves, into out, of which it says in *len how
 * much it has filled.  size is at least 1.
 *
 * WSCAST_OK     all bytes used, and there is nothing more to write for them
 * WSCAST_AGAIN  out is full: call again with more room, also if *pos == end
 * WSCAST_CLOSE_DEFLATE  these bytes are in no format of RFC 1951
 */
wscast_status_t wscast_inflate(wscast_inflater_t *i,
    const unsigned char **pos, const unsigned char *end, unsigned char *out,
    size_t size, size_t *len);

/*
 * The message has no more bytes: as wscast_inflate(), of the four bytes that
 * its sender has left out.  WSCAST_CLOSE_DEFLATE also if the message stops
 * inside a block.
 */
wscast_status_t wscast_inflate_end(wscast_inflater_t *i, unsigned char *out,
    size_t size, size_t *len);

/*
 * After WSCAST_OK of wscast_inflate_end(): takes what the next message may
 * refer to from this one, all that was written of it, and gives the stream
 * back.  WSCAST_OK, or WSCAST_NOMEM: call again later.
 */
wscast_status_t wscast_inflate_keep(wscast_inflater_t *i,
    wscast_str_t message);


#endif /* WSCAST_DEFLATE_H */
