/*
 * frame.h: the frame header (RFC 6455, 5.2), parsed over any cut and written.
 *
 * Audience: wire/message, session/prepare.  This floor knows one frame and no
 * policy: neither fragments nor sizes nor UTF-8.
 */

#ifndef WSCAST_FRAME_H
#define WSCAST_FRAME_H


#include "../base/base.h"
#include "../base/close.h"


#define WSCAST_OP_CONTINUATION  0x0
#define WSCAST_OP_TEXT          0x1
#define WSCAST_OP_BINARY        0x2
#define WSCAST_OP_CLOSE         0x8
#define WSCAST_OP_PING          0x9
#define WSCAST_OP_PONG          0xa

#define wscast_op_is_control(op)  ((op) & 0x8)

#define WSCAST_FRAME_FIN        0x80
#define WSCAST_FRAME_RSV1       0x40    /* compressed: RFC 7692, 6 */
#define WSCAST_FRAME_RSV        0x70

#define WSCAST_CONTROL_MAX      125     /* payload of a control frame */


/* Named by what is awaited. */

typedef enum {
    WSCAST_AWAIT_OPCODE = 0,
    WSCAST_AWAIT_LENGTH,
    WSCAST_AWAIT_LENGTH_EXT,
    WSCAST_AWAIT_MASK_KEY
} wscast_frame_state_e;


typedef struct {
    uint64_t         length;        /* of the payload */
    unsigned char    key[4];
    unsigned char    opcode;        /* WSCAST_OP_* */
    unsigned char    fin;           /* 0 or 1 */
    unsigned char    rsv;           /* what is set of WSCAST_FRAME_RSV */
    unsigned char    state;         /* wscast_frame_state_e */
    unsigned char    need;          /* bytes still awaited in this state */
    unsigned char    total;         /* bytes of the extended length: 2 or 8 */
} wscast_frame_t;


static inline void
wscast_frame_init(wscast_frame_t *f)
{
    memset(f, 0, sizeof(wscast_frame_t));
}


/*
 * Parses the header of a client's frame from *pos on, never beyond end, and
 * moves *pos.  rsv_allowed: bits of WSCAST_FRAME_RSV that an extension gave a
 * meaning to, in the first frame of a data message (RFC 7692, 6).
 *
 * WSCAST_OK    the header is complete, *pos is at the payload; call
 *              wscast_frame_init() before the next frame
 * WSCAST_MORE  all bytes used, call again with the next ones
 * a WSCAST_CLOSE_* reason: RESERVED_BITS, RESERVED_OPCODE, CONTROL_FRAGMENT,
 *              CONTROL_LENGTH, UNMASKED, LENGTH_MINIMAL or LENGTH_RANGE, each
 *              at the first byte that shows it
 */
wscast_status_t wscast_frame_parse(wscast_frame_t *f,
    const unsigned char **pos, const unsigned char *end, unsigned rsv_allowed);

/*
 * Writes the header of an unmasked frame, the shortest that holds len, and
 * returns its size: 2, 4 or 10.  bits: WSCAST_FRAME_FIN, WSCAST_FRAME_RSV1.
 */
size_t wscast_frame_header(unsigned char out[10], unsigned bits,
    unsigned opcode, uint64_t len);


#endif /* WSCAST_FRAME_H */
