#include "message.h"
#include "mask.h"


#define WSCAST_GATHER_DATA     0
#define WSCAST_GATHER_CONTROL  1

#define WSCAST_GATHER_LEAST    256      /* bytes, of a first allocation */

#define WSCAST_CLOSE_NO_CODE   1005     /* RFC 6455, 7.1.5: none was sent */

/*
 * How long the packed form of a message of n bytes may be.  Compressors make
 * them hardly longer than they were: what is, is to keep us busy.
 */

#define wscast_packed_most(n)  ((uint64_t) (n) + (n) / 4 + 64)


static wscast_status_t wscast_message_admit(const wscast_assembler_t *a);
static wscast_status_t wscast_message_begin(wscast_assembler_t *a);
static wscast_status_t wscast_message_payload(wscast_assembler_t *a,
    unsigned char **pos, unsigned char *end, wscast_message_t *m);
static wscast_status_t wscast_message_unpack(wscast_assembler_t *a,
    unsigned char **pos, unsigned char *end, wscast_message_t *m);
static wscast_status_t wscast_message_inflate(wscast_assembler_t *a,
    const unsigned char **pos, const unsigned char *end);
static wscast_status_t wscast_message_unpacked(wscast_assembler_t *a);
static wscast_status_t wscast_message_gather(wscast_assembler_t *a,
    wscast_gather_t *g, const unsigned char *p, size_t n);
static wscast_status_t wscast_message_check(wscast_assembler_t *a,
    const unsigned char *p, size_t n);
static wscast_status_t wscast_message_end(wscast_assembler_t *a,
    wscast_message_t *m);
static wscast_status_t wscast_message_close(wscast_message_t *m);
static wscast_status_t wscast_gather_grow(wscast_gather_t *g, size_t len,
    size_t most);
static void wscast_gather_free(wscast_gather_t *g);


void
wscast_assembler_init(wscast_assembler_t *a, size_t limit)
{
    memset(a, 0, sizeof(wscast_assembler_t));

    a->limit = limit;

    wscast_frame_init(&a->frame);
    wscast_utf8_init(&a->utf8);
}


void
wscast_assembler_unpack(wscast_assembler_t *a, wscast_inflater_t *inflater)
{
    a->inflater = inflater;
}


void
wscast_assembler_done(wscast_assembler_t *a)
{
    wscast_gather_free(&a->gathered[WSCAST_GATHER_DATA]);
    wscast_gather_free(&a->gathered[WSCAST_GATHER_CONTROL]);
    wscast_inflater_destroy(a->inflater);

    a->inflater = NULL;
    a->yielded = 0;
}


int
wscast_assembler_busy(const wscast_assembler_t *a)
{
    return a->frame.state != WSCAST_AWAIT_OPCODE || a->opcode != 0;
}


wscast_status_t
wscast_message_next(wscast_assembler_t *a, unsigned char **pos,
    unsigned char *end, wscast_message_t *m)
{
    wscast_status_t       rc;
    const unsigned char  *p;

    if (a->yielded) {
        wscast_gather_free(&a->gathered[a->yielded - 1]);
        a->yielded = 0;
    }

    do {
        if (!a->in_payload) {
            p = *pos;
            rc = wscast_frame_parse(&a->frame, &p, end,
                                    a->inflater ? WSCAST_FRAME_RSV1 : 0);
            *pos += p - *pos;

            if (rc == WSCAST_OK) {
                rc = wscast_message_begin(a);

            } else if (rc == WSCAST_MORE
                       && a->frame.state == WSCAST_AWAIT_MASK_KEY)
            {
                /* the length alone may be too much already */

                rc = wscast_message_admit(a);

                if (rc == WSCAST_OK) {
                    rc = WSCAST_MORE;
                }
            }

            if (rc != WSCAST_OK) {
                return rc;
            }
        }

        rc = wscast_message_payload(a, pos, end, m);

    } while (rc == WSCAST_AGAIN);

    return rc;
}


/* What opcode and length decide, before any byte of the payload. */

static wscast_status_t
wscast_message_admit(const wscast_assembler_t *a)
{
    uint64_t               most;
    const wscast_frame_t  *f;

    f = &a->frame;

    if (wscast_op_is_control(f->opcode)) {
        return WSCAST_OK;
    }

    if (f->opcode == WSCAST_OP_CONTINUATION) {

        if (a->opcode == 0) {
            return WSCAST_CLOSE_CONTINUATION;
        }

    } else if (a->opcode) {
        return WSCAST_CLOSE_INTERRUPTED;
    }

    most = a->unpacking || f->rsv
           ? wscast_packed_most(a->limit) - a->packed
           : a->limit - a->gathered[WSCAST_GATHER_DATA].len;

    return f->length > most ? WSCAST_CLOSE_TOO_BIG : WSCAST_OK;
}


static wscast_status_t
wscast_message_begin(wscast_assembler_t *a)
{
    wscast_status_t   rc;
    wscast_frame_t   *f;

    f = &a->frame;

    rc = wscast_message_admit(a);

    if (rc != WSCAST_OK) {
        return rc;
    }

    if (!wscast_op_is_control(f->opcode)
        && f->opcode != WSCAST_OP_CONTINUATION)
    {
        a->opcode = f->opcode;
        a->unpacking = f->rsv != 0;
        wscast_utf8_init(&a->utf8);
    }

    if (a->unpacking && !wscast_op_is_control(f->opcode)) {
        a->packed += f->length;
    }

    a->in_payload = 1;
    a->left = f->length;
    a->phase = 0;

    return WSCAST_OK;
}


/*
 * Takes what there is of the frame's payload.  WSCAST_AGAIN: the frame has
 * ended and its message has not.
 */

static wscast_status_t
wscast_message_payload(wscast_assembler_t *a, unsigned char **pos,
    unsigned char *end, wscast_message_t *m)
{
    size_t            n;
    unsigned          control;
    unsigned char    *p;
    wscast_frame_t   *f;
    wscast_gather_t  *g;
    wscast_status_t   rc;

    f = &a->frame;
    p = *pos;
    n = (size_t) (end - p);

    if (n > a->left) {
        n = (size_t) a->left;
    }

    control = wscast_op_is_control(f->opcode) != 0;
    g = &a->gathered[control];

    if (a->unpacking && !control) {
        return wscast_message_unpack(a, pos, p + n, m);
    }

    if (n == f->length && f->fin && g->len == 0) {

        /* the whole message lies here: a view of the input */

        wscast_mask(p, n, f->key, 0);

        m->data = p;
        m->len = n;
        rc = wscast_message_check(a, p, n);

    } else {
        rc = wscast_message_gather(a, g, p, n);

        m->data = g->data;
        m->len = g->len;
    }

    if (rc != WSCAST_OK) {
        return rc;
    }

    *pos = p + n;
    a->left -= n;

    if (a->left) {
        return WSCAST_MORE;
    }

    if (m->data == g->data && f->fin && g->data) {
        a->yielded = (unsigned char) (control + 1);
    }

    return wscast_message_end(a, m);
}


/* The same, of a packed message; end is at most that of the frame. */

static wscast_status_t
wscast_message_unpack(wscast_assembler_t *a, unsigned char **pos,
    unsigned char *end, wscast_message_t *m)
{
    wscast_status_t       rc;
    wscast_gather_t      *g;
    const unsigned char  *p;

    rc = wscast_inflate_begin(a->inflater);

    if (rc != WSCAST_OK) {
        return rc;
    }

    p = *pos;
    wscast_mask(*pos, (size_t) (end - p), a->frame.key, a->phase);

    rc = wscast_message_inflate(a, &p, end);

    a->phase = (unsigned char) ((a->phase + (p - *pos)) & 3);
    a->left -= (uint64_t) (p - *pos);
    *pos += p - *pos;

    if (rc == WSCAST_NOMEM) {
        /* what has not been used will be unmasked once more */
        wscast_mask(*pos, (size_t) (end - p), a->frame.key, a->phase);
    }

    if (rc == WSCAST_OK && a->left) {
        return WSCAST_MORE;
    }

    if (rc == WSCAST_OK && a->frame.fin) {
        rc = wscast_message_unpacked(a);
    }

    if (rc != WSCAST_OK) {
        return rc;
    }

    g = &a->gathered[WSCAST_GATHER_DATA];

    m->data = g->data ? g->data : *pos;
    m->len = g->len;

    if (a->frame.fin && g->data) {
        a->yielded = WSCAST_GATHER_DATA + 1;
    }

    return wscast_message_end(a, m);
}


/*
 * Into what is gathered, which grows as it fills, never beyond the limit: one
 * byte too many is written elsewhere, and is the end.  pos NULL: the bytes
 * that a sender leaves out at the end of a message.
 */

static wscast_status_t
wscast_message_inflate(wscast_assembler_t *a, const unsigned char **pos,
    const unsigned char *end)
{
    size_t            n, room, want;
    unsigned char    *to, beyond;
    wscast_status_t   rc;
    wscast_gather_t  *g;

    g = &a->gathered[WSCAST_GATHER_DATA];

    do {
        if (g->len == g->size && g->len < a->limit) {
            want = g->len + 1 + (pos ? (size_t) (end - *pos) : 0);
            rc = wscast_gather_grow(g, want < a->limit ? want : a->limit,
                                    a->limit);

            if (rc != WSCAST_OK) {
                return rc;
            }
        }

        room = g->size - g->len;
        to = room ? g->data + g->len : &beyond;
        n = room ? room : 1;

        rc = pos ? wscast_inflate(a->inflater, pos, end, to, n, &n)
                 : wscast_inflate_end(a->inflater, to, n, &n);

        if (n > room) {
            return WSCAST_CLOSE_TOO_BIG;
        }

        g->len += n;

        if (wscast_message_check(a, to, n) != WSCAST_OK) {
            return WSCAST_CLOSE_UTF8;
        }

    } while (rc == WSCAST_AGAIN);

    return rc;
}


/* The last frame is at its end. */

static wscast_status_t
wscast_message_unpacked(wscast_assembler_t *a)
{
    wscast_status_t         rc;
    const wscast_gather_t  *g;

    rc = wscast_message_inflate(a, NULL, NULL);

    if (rc != WSCAST_OK) {
        return rc;
    }

    g = &a->gathered[WSCAST_GATHER_DATA];

    return wscast_inflate_keep(a->inflater, wscast_str(g->data, g->len));
}


static wscast_status_t
wscast_message_gather(wscast_assembler_t *a, wscast_gather_t *g,
    const unsigned char *p, size_t n)
{
    size_t           most;
    unsigned char   *to;
    wscast_status_t  rc;

    if (n == 0) {
        return WSCAST_OK;
    }

    /* a final frame tells how much will be needed, any other only the limit */

    most = a->frame.fin ? g->len + (size_t) a->left : a->limit;
    rc = wscast_gather_grow(g, g->len + n, most);

    if (rc != WSCAST_OK) {
        return rc;
    }

    to = g->data + g->len;

    memcpy(to, p, n);
    a->phase = (unsigned char) wscast_mask(to, n, a->frame.key, a->phase);
    g->len += n;

    return wscast_message_check(a, to, n);
}


/* Text is checked piece by piece, so that a bad one fails as it arrives. */

static wscast_status_t
wscast_message_check(wscast_assembler_t *a, const unsigned char *p, size_t n)
{
    if (wscast_op_is_control(a->frame.opcode)
        || a->opcode != WSCAST_OP_TEXT
        || wscast_utf8_feed(&a->utf8, p, n) == WSCAST_OK)
    {
        return WSCAST_OK;
    }

    return WSCAST_CLOSE_UTF8;
}


static wscast_status_t
wscast_message_end(wscast_assembler_t *a, wscast_message_t *m)
{
    unsigned  opcode, fin;

    opcode = a->frame.opcode;
    fin = a->frame.fin;

    a->in_payload = 0;
    wscast_frame_init(&a->frame);

    if (!fin) {
        return WSCAST_AGAIN;
    }

    m->code = 0;
    m->packed = 0;

    if (wscast_op_is_control(opcode)) {
        m->opcode = opcode;

        return opcode == WSCAST_OP_CLOSE ? wscast_message_close(m) : WSCAST_OK;
    }

    m->opcode = a->opcode;
    m->packed = a->packed;

    a->opcode = 0;
    a->unpacking = 0;
    a->packed = 0;

    if (m->opcode == WSCAST_OP_TEXT && a->utf8.need) {
        return WSCAST_CLOSE_UTF8;
    }

    return WSCAST_OK;
}


/* RFC 6455, 5.5.1: nothing, or a code of two bytes and a reason in UTF-8. */

static wscast_status_t
wscast_message_close(wscast_message_t *m)
{
    if (m->len == 0) {
        m->code = WSCAST_CLOSE_NO_CODE;
        return WSCAST_OK;
    }

    if (m->len == 1) {
        return WSCAST_CLOSE_CLOSE_PAYLOAD;
    }

    m->code = (unsigned) m->data[0] << 8 | m->data[1];
    m->data += 2;
    m->len -= 2;

    if (!wscast_close_code_valid(m->code)) {
        return WSCAST_CLOSE_CLOSE_CODE;
    }

    if (!wscast_utf8_valid(wscast_str(m->data, m->len))) {
        return WSCAST_CLOSE_UTF8;
    }

    return WSCAST_OK;
}


int
wscast_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003)
           || (code >= 1007 && code <= 1014)
           || (code >= 3000 && code <= 4999);
}


/*
 * Room for len bytes in all, len <= most.  Doubling keeps copies few; the size
 * follows what has arrived, so that a header alone costs nothing.
 */

static wscast_status_t
wscast_gather_grow(wscast_gather_t *g, size_t len, size_t most)
{
    void    *data;
    size_t   size;

    if (len <= g->size) {
        return WSCAST_OK;
    }

    size = g->size > most / 2 ? most : g->size * 2;

    if (size < WSCAST_GATHER_LEAST) {
        size = WSCAST_GATHER_LEAST;
    }

    if (size < len) {
        size = len;
    }

    if (size > most) {
        size = most;
    }

    data = wscast_realloc(g->data, size);

    if (data == NULL) {
        return WSCAST_NOMEM;
    }

    g->data = data;
    g->size = size;

    return WSCAST_OK;
}


static void
wscast_gather_free(wscast_gather_t *g)
{
    wscast_free(g->data);

    g->data = NULL;
    g->len = 0;
    g->size = 0;
}
