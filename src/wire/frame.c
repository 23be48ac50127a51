#include "frame.h"


static wscast_status_t wscast_frame_opcode(wscast_frame_t *f, unsigned char c,
    unsigned rsv_allowed);
static wscast_status_t wscast_frame_length(wscast_frame_t *f, unsigned char c);
static wscast_status_t wscast_frame_length_ext(wscast_frame_t *f,
    unsigned char c);


wscast_status_t
wscast_frame_parse(wscast_frame_t *f, const unsigned char **pos,
    const unsigned char *end, unsigned rsv_allowed)
{
    unsigned char         c;
    wscast_status_t       rc;
    const unsigned char  *p;

    rc = WSCAST_OK;

    for (p = *pos; p < end && rc == WSCAST_OK; /* void */ ) {

        c = *p++;

        switch (f->state) {

        case WSCAST_AWAIT_OPCODE:
            rc = wscast_frame_opcode(f, c, rsv_allowed);
            break;

        case WSCAST_AWAIT_LENGTH:
            rc = wscast_frame_length(f, c);
            break;

        case WSCAST_AWAIT_LENGTH_EXT:
            rc = wscast_frame_length_ext(f, c);
            break;

        default: /* WSCAST_AWAIT_MASK_KEY */
            f->key[4 - f->need] = c;

            if (--f->need == 0) {
                *pos = p;
                return WSCAST_OK;
            }
        }
    }

    *pos = p;

    return rc == WSCAST_OK ? WSCAST_MORE : rc;
}


static wscast_status_t
wscast_frame_opcode(wscast_frame_t *f, unsigned char c, unsigned rsv_allowed)
{
    f->fin = (c & WSCAST_FRAME_FIN) != 0;
    f->rsv = c & WSCAST_FRAME_RSV;
    f->opcode = c & 0x0f;

    if (f->rsv & ~rsv_allowed) {
        return WSCAST_CLOSE_RESERVED_BITS;
    }

    if ((f->opcode & 0x7) > 0x2) {
        return WSCAST_CLOSE_RESERVED_OPCODE;
    }

    if (f->rsv && (wscast_op_is_control(f->opcode)
                   || f->opcode == WSCAST_OP_CONTINUATION))
    {
        return WSCAST_CLOSE_RESERVED_BITS;
    }

    if (wscast_op_is_control(f->opcode) && !f->fin) {
        return WSCAST_CLOSE_CONTROL_FRAGMENT;
    }

    f->state = WSCAST_AWAIT_LENGTH;

    return WSCAST_OK;
}


static wscast_status_t
wscast_frame_length(wscast_frame_t *f, unsigned char c)
{
    f->length = c & 0x7f;

    if (wscast_op_is_control(f->opcode) && f->length > WSCAST_CONTROL_MAX) {
        return WSCAST_CLOSE_CONTROL_LENGTH;
    }

    if (!(c & 0x80)) {
        return WSCAST_CLOSE_UNMASKED;
    }

    if (f->length < 126) {
        f->state = WSCAST_AWAIT_MASK_KEY;
        f->need = 4;
        return WSCAST_OK;
    }

    f->total = (f->length == 126) ? 2 : 8;
    f->need = f->total;
    f->length = 0;
    f->state = WSCAST_AWAIT_LENGTH_EXT;

    return WSCAST_OK;
}


static wscast_status_t
wscast_frame_length_ext(wscast_frame_t *f, unsigned char c)
{
    /* "the most significant bit MUST be 0" (RFC 6455, 5.2) */

    if (f->need == 8 && (c & 0x80)) {
        return WSCAST_CLOSE_LENGTH_RANGE;
    }

    f->length = f->length << 8 | c;
    f->need--;

    /* with six zero bytes gone, two bytes would have been enough */

    if (f->total == 8 && f->need == 2 && f->length == 0) {
        return WSCAST_CLOSE_LENGTH_MINIMAL;
    }

    if (f->need) {
        return WSCAST_OK;
    }

    if (f->length < 126) {
        return WSCAST_CLOSE_LENGTH_MINIMAL;
    }

    f->state = WSCAST_AWAIT_MASK_KEY;
    f->need = 4;

    return WSCAST_OK;
}


size_t
wscast_frame_header(unsigned char out[10], unsigned bits, unsigned opcode,
    uint64_t len)
{
    size_t  i;

    out[0] = (unsigned char) (bits | opcode);

    if (len < 126) {
        out[1] = (unsigned char) len;
        return 2;
    }

    if (len <= 0xffff) {
        out[1] = 126;
        out[2] = (unsigned char) (len >> 8);
        out[3] = (unsigned char) len;
        return 4;
    }

    out[1] = 127;

    for (i = 0; i < 8; i++) {
        out[2 + i] = (unsigned char) (len >> (56 - 8 * i));
    }

    return 10;
}
