/*
 * message.h: frames => messages: fragments, control frames between them,
 * compression, UTF-8, closing (RFC 6455, 5.4 to 5.6, 7.1, 7.4, 8.1; RFC 7692).
 *
 * Audience: conn (feeds bytes), session (reads messages).
 *
 * A message that lies in the input as one whole frame is unmasked in place and
 * yielded as a view of the input: nothing is allocated or copied.  Any other
 * is gathered in a buffer that grows with the bytes that have arrived (not
 * with the length that was declared), never beyond the limit, and is freed
 * when the message has been used.  An idle assembler owns no memory, but for
 * what wire/deflate keeps of a client that packs its messages.
 *
 * A packed message is unpacked as it arrives, and is in all that follows what
 * it was before it was packed.
 */

#ifndef WSCAST_MESSAGE_H
#define WSCAST_MESSAGE_H


#include "../base/utf8.h"
#include "deflate.h"
#include "frame.h"


typedef struct {
    unsigned char   *data;          /* NULL: nothing gathered */
    size_t           len;
    size_t           size;
} wscast_gather_t;


/*
 * gathered[0] is the data message, gathered[1] the one control frame that may
 * interrupt it: the length of the array is that rule.
 */

typedef struct {
    wscast_frame_t   frame;
    wscast_gather_t  gathered[2];
    uint64_t         left;          /* of the frame's payload, awaited */
    size_t           limit;         /* of a data message, bytes */
    wscast_inflater_t  *inflater;   /* NULL: packed messages are not taken */
    uint64_t         packed;        /* bytes, of the message in progress as its
                                       frames declare them; 0: it is plain */
    wscast_utf8_t    utf8;
    unsigned char    opcode;        /* of the message in progress; 0: none */
    unsigned char    in_payload;    /* the header is done, left counts */
    unsigned char    phase;         /* of the mask, 0 to 3 */
    unsigned char    yielded;       /* index + 1 of the gather to free next */
    unsigned char    unpacking;     /* the message in progress is packed */
} wscast_assembler_t;


typedef struct {
    unsigned         opcode;        /* TEXT, BINARY, CLOSE, PING or PONG */
    unsigned         code;          /* CLOSE: its code, 1005 if it has none */
    unsigned char   *data;          /* unmasked; CLOSE: the reason */
    size_t           len;
    uint64_t         packed;        /* bytes that it came in; 0: it was plain */
} wscast_message_t;


/* limit: the longest data message that is taken, in bytes, at least 1. */
void wscast_assembler_init(wscast_assembler_t *a, size_t limit);

/* After init: the client may pack its messages.  The inflater is taken over. */
void wscast_assembler_unpack(wscast_assembler_t *a,
    wscast_inflater_t *inflater);

/* Frees all; the assembler may be used again after init. */
void wscast_assembler_done(wscast_assembler_t *a);

/*
 * Takes bytes from *pos on, which it may change (unmasking), and moves *pos
 * behind what it used.
 *
 * WSCAST_OK     *m is the next message; its data is writable, is valid until
 *               the next call or wscast_assembler_done(), and may lie in the
 *               input.  There may be more: call again, also with *pos == end
 * WSCAST_MORE   all input used, no complete message
 * WSCAST_NOMEM  an allocation failed; close with NO_MEMORY
 * a WSCAST_CLOSE_* reason: those of wscast_frame_parse(), CONTINUATION,
 *               INTERRUPTED, TOO_BIG (from the header, before any payload
 *               byte is looked at; the sum over fragments counts; of a packed
 *               message also when it has been unpacked up to the limit and
 *               goes on), DEFLATE, UTF8
 *               (at the first impossible byte, also inside a fragment; at the
 *               end for a cut character; in a close reason), CLOSE_PAYLOAD,
 *               CLOSE_CODE (as RFC 6455, 7.4: allowed are 1000-1003,
 *               1007-1014, 3000-4999)
 *
 * After a reason the assembler must not be fed any more.  After a message of
 * opcode CLOSE the peer must send nothing else; the caller stops feeding.
 */
wscast_status_t wscast_message_next(wscast_assembler_t *a,
    unsigned char **pos, unsigned char *end, wscast_message_t *m);

/* 1 if a frame or a fragmented message has begun and not ended. */
int wscast_assembler_busy(const wscast_assembler_t *a);

/* Whether a close frame may carry this code (RFC 6455, 7.4; IANA registry). */
int wscast_close_code_valid(unsigned code);


#endif /* WSCAST_MESSAGE_H */
