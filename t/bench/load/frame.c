#include "load.h"

#include <zlib.h>


#define LOAD_OP_TEXT    1
#define LOAD_OP_BINARY  2
#define LOAD_OP_CLOSE   8
#define LOAD_OP_PING    9
#define LOAD_OP_PONG    10
#define LOAD_CONTROL    125
#define LOAD_RSV1       0x40


static const char *load_header(const load_conn_t *c, const uint8_t *p);
static void load_payload(load_conn_t *c, const uint8_t *p,
    const uint8_t *data, size_t len, uint64_t now);
static void load_control(load_conn_t *c, unsigned opcode,
    const uint8_t *data, size_t len);
static void load_complete(load_conn_t *c, const uint8_t *data, size_t len,
    uint64_t now);
static void load_inflate(load_conn_t *c, const uint8_t *data, size_t len,
    uint64_t now);


static z_stream  load_zlib;
static uint8_t   load_inflated[LOAD_BUFFER];


void
load_buf_add(load_buf_t *b, const void *data, size_t len)
{
    if (b->len + len > b->size) {
        b->size = (b->len + len) * 2;
        b->data = realloc(b->data, b->size);

        if (b->data == NULL) {
            load_fail("no memory");
        }
    }

    memcpy(b->data + b->len, data, len);
    b->len += len;
}


/* Returns how many bytes were whole frames. */

size_t
load_frames(load_conn_t *c, uint8_t *data, size_t len, uint64_t now)
{
    size_t       used, head, i;
    uint64_t     payload;
    uint8_t     *p;
    const char  *wrong;

    for (used = 0; len - used >= 2 && c->state != LOAD_DEAD; ) {
        p = data + used;
        wrong = load_header(c, p);

        if (wrong) {
            load_close(c, wrong);
            break;
        }

        payload = p[1];
        head = payload < 126 ? 2 : payload == 126 ? 4 : 10;

        if (len - used < head) {
            break;
        }

        if (head > 2) {
            for (payload = 0, i = 2; i < head; i++) {
                payload = payload << 8 | p[i];
            }
        }

        if (len - used - head < payload) {
            break;
        }

        used += head + payload;
        load_payload(c, p, p + head, (size_t) payload, now);
    }

    return used;
}


/* RFC 6455, 5.2: NULL, or what is wrong with a server's frame. */

static const char *
load_header(const load_conn_t *c, const uint8_t *p)
{
    unsigned  opcode;

    opcode = p[0] & 15;

    if (p[1] & 0x80) {
        return "a masked frame";
    }

    if (p[0] & 0x30
        || (p[0] & LOAD_RSV1
            && (!load.agreed || opcode == 0 || opcode > LOAD_OP_BINARY)))
    {
        return "a reserved bit";
    }

    if ((opcode > LOAD_OP_BINARY && opcode < LOAD_OP_CLOSE)
        || opcode > LOAD_OP_PONG)
    {
        return "a reserved opcode";
    }

    if (opcode >= LOAD_OP_CLOSE) {
        return p[0] & 0x80 && p[1] <= LOAD_CONTROL ? NULL
                                                   : "a bad control frame";
    }

    return (opcode == 0) == (c->opcode != 0) ? NULL : "a bad fragment";
}


static void
load_payload(load_conn_t *c, const uint8_t *p, const uint8_t *data,
    size_t len, uint64_t now)
{
    unsigned  opcode, last;

    opcode = p[0] & 15;
    last = p[0] & 0x80;

    if (opcode >= LOAD_OP_CLOSE) {
        load_control(c, opcode, data, len);
        return;
    }

    if (opcode) {
        c->deflated = (p[0] & LOAD_RSV1) != 0;

        if (last) {
            load_complete(c, data, len, now);
            return;
        }

        c->opcode = (uint8_t) opcode;
        c->message.len = 0;
    }

    load_buf_add(&c->message, data, len);

    if (last) {
        c->opcode = 0;
        load_complete(c, c->message.data, c->message.len, now);
    }
}


static void
load_control(load_conn_t *c, unsigned opcode, const uint8_t *data, size_t len)
{
    if (opcode == LOAD_OP_PING) {
        load_frame(c, LOAD_OP_PONG, data, len);
        return;
    }

    if (opcode != LOAD_OP_CLOSE) {
        return;
    }

    c->close_seen = 1;

    if (c->state != LOAD_CLOSING) {
        load_frame(c, LOAD_OP_CLOSE, data, len < 2 ? 0 : 2);
        load_error("client %u: close %u", c->index,
                   len < 2 ? 1005 : (unsigned) (data[0] << 8 | data[1]));
        load_close(c, "a close frame");
    }
}


static void
load_complete(load_conn_t *c, const uint8_t *data, size_t len, uint64_t now)
{
    if (c->deflated) {
        load_inflate(c, data, len, now);
        return;
    }

    load_message(c, data, len, now);
}


/* The server keeps no context: each message stands for itself. */

void
load_inflate_init(void)
{
    if (inflateInit2(&load_zlib, -15) != Z_OK) {
        load_fail("no memory");
    }
}


static void
load_inflate(load_conn_t *c, const uint8_t *data, size_t len, uint64_t now)
{
    int                   rc;
    static const uint8_t  tail[4] = { 0, 0, 0xff, 0xff };

    inflateReset(&load_zlib);

    load_zlib.next_out = load_inflated;
    load_zlib.avail_out = sizeof(load_inflated);
    load_zlib.next_in = (Bytef *) data;
    load_zlib.avail_in = (uInt) len;

    rc = inflate(&load_zlib, Z_SYNC_FLUSH);

    if (rc == Z_OK || rc == Z_BUF_ERROR) {
        load_zlib.next_in = (Bytef *) tail;
        load_zlib.avail_in = sizeof(tail);
        rc = inflate(&load_zlib, Z_SYNC_FLUSH);
    }

    if ((rc != Z_OK && rc != Z_BUF_ERROR) || load_zlib.avail_in) {
        load.count.corrupt++;
        load_error("client %u: what came cannot be inflated", c->index);
        return;
    }

    load.count.compressed++;

    load_message(c, load_inflated,
                 sizeof(load_inflated) - load_zlib.avail_out, now);
}


/* A whole frame; its mask is always the same. */

void
load_frame(load_conn_t *c, unsigned opcode, const uint8_t *data, size_t len)
{
    size_t                i, n;
    static uint8_t        frame[LOAD_SIZE_MAX + 1024];
    static const uint8_t  mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

    if (len + 14 > sizeof(frame)) {
        load_fail("a message of %zu bytes is too long", len);
    }

    n = 0;
    frame[n++] = (uint8_t) (0x80 | opcode);

    if (len < 126) {
        frame[n++] = (uint8_t) (0x80 | len);

    } else if (len < 65536) {
        frame[n++] = 0x80 | 126;
        frame[n++] = (uint8_t) (len >> 8);
        frame[n++] = (uint8_t) len;

    } else {
        frame[n++] = 0x80 | 127;

        for (i = 8; i-- > 0; ) {
            frame[n++] = (uint8_t) ((uint64_t) len >> (8 * i));
        }
    }

    memcpy(frame + n, mask, 4);
    n += 4;

    for (i = 0; i < len; i++) {
        frame[n + i] = data[i] ^ mask[i & 3];
    }

    load_send(c, frame, n + len);
}
