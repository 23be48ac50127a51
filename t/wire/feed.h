/*
 * feed.h: gives bytes to an assembler in pieces and writes down what came out,
 * so that two ways of cutting can be compared byte for byte.
 *
 * Audience: t/wire/message.c and message.fuzz.c.  Each piece lies in memory of
 * its own that is exactly as long, and is gone before the next one comes.
 */

#ifndef WSCAST_T_WIRE_FEED_H
#define WSCAST_T_WIRE_FEED_H


#include "../../src/wire/message.h"


/* The size of the next piece, 1 to left. */
typedef size_t (*feed_cut_pt)(void *ctx, size_t left);


typedef struct {
    unsigned char    *log;          /* opcode, code, length, data of each */
    size_t            len;
    size_t            size;
    size_t            messages;
    wscast_status_t   rc;           /* of the last call */
    size_t            before;       /* bytes given before the last piece */
    size_t            given;        /* and with it */
    int               busy;         /* wscast_assembler_busy() at the end */
    size_t            refused;      /* calls that returned WSCAST_NOMEM */
} feed_t;


typedef struct {
    size_t            limit;
    unsigned char  *(*place)(size_t n);     /* of a piece; NULL: malloc() */
    unsigned          patient;      /* 1: call again after WSCAST_NOMEM */
    unsigned          takes;        /* packed messages: 0 none, FEED_FRESH of
                                       no context, 8 to 12 of such a window */
} feed_conf_t;


#define FEED_FRESH  1


__attribute__((unused)) static size_t
feed_whole(void *ctx, size_t left)
{
    (void) ctx;

    return left;
}


__attribute__((unused)) static size_t
feed_bytes(void *ctx, size_t left)
{
    (void) ctx;
    (void) left;

    return 1;
}


static void
feed_put(feed_t *r, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }

    if (r->size - r->len < len) {
        r->size = 2 * (r->len + len);
        r->log = realloc(r->log, r->size);

        if (r->log == NULL) {
            abort();
        }
    }

    memcpy(r->log + r->len, data, len);
    r->len += len;
}


static void
feed_record(feed_t *r, unsigned opcode, unsigned code, const void *data,
    size_t len)
{
    r->messages++;

    feed_put(r, &opcode, sizeof(opcode));
    feed_put(r, &code, sizeof(code));
    feed_put(r, &len, sizeof(len));
    feed_put(r, data, len);
}


/* 0: no more may be fed */

static int
feed_piece(feed_t *r, const feed_conf_t *conf, wscast_assembler_t *a,
    unsigned char *piece, size_t n)
{
    unsigned char     *pos;
    wscast_message_t   m;

    pos = piece;

    for ( ;; ) {
        r->rc = wscast_message_next(a, &pos, piece + n, &m);

        if (r->rc == WSCAST_NOMEM && conf->patient) {
            r->refused++;
            continue;
        }

        if (r->rc == WSCAST_MORE && pos != piece + n) {
            abort();
        }

        if (r->rc != WSCAST_OK) {
            return r->rc == WSCAST_MORE;
        }

        feed_record(r, m.opcode, m.code, m.data, m.len);

        /* the bytes are ours: nothing may depend on them afterwards */

        if (m.len) {
            memset(m.data, 0xff, m.len);
        }

        if (m.opcode == WSCAST_OP_CLOSE) {
            return 0;
        }
    }
}


/* 0: no memory */

static int
feed_begin(feed_t *r, const feed_conf_t *conf, wscast_deflate_t **d,
    wscast_assembler_t *a)
{
    wscast_inflater_t  *i;

    wscast_assembler_init(a, conf->limit);
    *d = NULL;

    if (conf->takes == 0) {
        return 1;
    }

    do {
        *d = *d ? *d : wscast_deflate_create();
        i = *d ? wscast_inflater_create(*d, conf->takes == FEED_FRESH
                                            ? 0 : conf->takes) : NULL;
        r->refused += i == NULL;

    } while (i == NULL && conf->patient);

    wscast_assembler_unpack(a, i);

    return i != NULL;
}


static void
feed(feed_t *r, const feed_conf_t *conf, const unsigned char *data, size_t len,
    feed_cut_pt cut, void *ctx)
{
    int                  more;
    size_t               n;
    unsigned char       *piece;
    wscast_deflate_t    *d;
    wscast_assembler_t   a;

    memset(r, 0, sizeof(feed_t));

    more = feed_begin(r, conf, &d, &a);
    r->rc = more ? WSCAST_MORE : WSCAST_NOMEM;

    while (more && r->given < len) {
        n = cut(ctx, len - r->given);

        piece = conf->place ? conf->place(n) : malloc(n);

        if (piece == NULL) {
            abort();
        }

        memcpy(piece, data + r->given, n);

        r->before = r->given;
        r->given += n;

        more = feed_piece(r, conf, &a, piece, n);

        if (!conf->place) {
            free(piece);
        }
    }

    r->busy = wscast_assembler_busy(&a);

    wscast_assembler_done(&a);
    wscast_deflate_destroy(d);
}


static int
feed_equal(const feed_t *a, const feed_t *b)
{
    return a->rc == b->rc && a->len == b->len && a->messages == b->messages
           && a->busy == b->busy
           && (a->len == 0 || memcmp(a->log, b->log, a->len) == 0);
}


static void
feed_free(feed_t *r)
{
    free(r->log);
    r->log = NULL;
}


#endif /* WSCAST_T_WIRE_FEED_H */
