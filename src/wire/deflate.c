#include <limits.h>
#include <zlib.h>

#include "deflate.h"


/*
 * zlib's own memory.  Windows of 15 bits take 262 KB to pack with and 40 KB to
 * unpack with; the small one, 16 KB.
 */

#define WSCAST_DEFLATE_MEMORY        8      /* memLevel, zlib's default */
#define WSCAST_DEFLATE_MEMORY_SMALL  4

#define WSCAST_DEFLATE_KEEP          (256 * 1024)   /* bytes of d->out */
#define WSCAST_DEFLATE_TAIL          4


typedef struct {
    z_stream            *stream;        /* NULL: not needed yet */
    int                  level;
} wscast_deflater_t;


struct wscast_deflate_s {
    wscast_deflater_t    large;
    wscast_deflater_t    small;
    z_stream            *spare;         /* to lend; of all that come back one
                                           is kept */
    unsigned char       *out;           /* of wscast_deflate() */
    size_t               size;
};


struct wscast_inflater_s {
    wscast_deflate_t    *deflate;
    z_stream            *stream;        /* NULL: no message is under way */
    unsigned char       *window;        /* what came last; NULL: nothing */
    uint32_t             len;           /* of it, at most limit */
    uint32_t             limit;         /* 0: nothing is kept */
    unsigned char        tail;          /* bytes of the tail that are used */
    unsigned char        ended;         /* the last block was a final one */
    unsigned char        between;       /* blocks, with no bit of one read */
};


static z_stream *wscast_deflate_stream(wscast_deflate_t *d, unsigned bits,
    int level);
static z_stream *wscast_deflate_open(unsigned bits, int level);
static int wscast_deflate_room(wscast_deflate_t *d, size_t size);
static void wscast_deflate_free(z_stream *z);
static z_stream *wscast_inflate_open(void);
static wscast_status_t wscast_inflate_run(wscast_inflater_t *i,
    const unsigned char **pos, const unsigned char *end, unsigned char *out,
    size_t size, size_t *len);
static void wscast_inflate_return(wscast_inflater_t *i);
static void wscast_inflate_free(z_stream *z);
static z_stream *wscast_zlib_create(void);
static voidpf wscast_zlib_alloc(voidpf opaque, uInt items, uInt size);
static void wscast_zlib_free(voidpf opaque, voidpf p);


/* What senders leave out (RFC 7692, 7.2.1). */

static const unsigned char  wscast_deflate_tail[WSCAST_DEFLATE_TAIL] = {
    0x00, 0x00, 0xff, 0xff
};


wscast_deflate_t *
wscast_deflate_create(void)
{
    return wscast_zalloc(sizeof(wscast_deflate_t));
}


void
wscast_deflate_destroy(wscast_deflate_t *d)
{
    if (d) {
        wscast_deflate_free(d->large.stream);
        wscast_deflate_free(d->small.stream);
        wscast_inflate_free(d->spare);
        wscast_free(d->out);
        wscast_free(d);
    }
}


/* Packing */


wscast_str_t
wscast_deflate(wscast_deflate_t *d, unsigned bits, int level,
    wscast_str_t message)
{
    size_t         size;
    z_stream      *z;
    wscast_str_t   none;

    none = wscast_str(NULL, 0);

    /* room for what is worth sending, and a byte by which zlib tells that it
       has written all */

    size = message.len + WSCAST_DEFLATE_TAIL;

    if (message.len == 0 || size >= UINT_MAX
        || !wscast_deflate_room(d, size))
    {
        return none;
    }

    z = wscast_deflate_stream(d, bits, level);

    if (z == NULL || deflateReset(z) != Z_OK) {
        return none;
    }

    z->next_in = (Bytef *) message.data;
    z->avail_in = (uInt) message.len;
    z->next_out = d->out;
    z->avail_out = (uInt) size;

    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in || z->avail_out == 0) {
        return none;
    }

    return wscast_str(d->out, size - z->avail_out - WSCAST_DEFLATE_TAIL);
}


static z_stream *
wscast_deflate_stream(wscast_deflate_t *d, unsigned bits, int level)
{
    wscast_deflater_t  *c;

    c = bits == WSCAST_WINDOW_BITS ? &d->large : &d->small;

    /*
     * deflateParams() is no way to change the level: some versions of zlib
     * flush what they have not got before they do.
     */

    if (c->stream && c->level != level) {
        wscast_deflate_free(c->stream);
        c->stream = NULL;
    }

    if (c->stream == NULL) {
        c->stream = wscast_deflate_open(bits, level);
        c->level = level;
    }

    return c->stream;
}


static z_stream *
wscast_deflate_open(unsigned bits, int level)
{
    int        memory;
    z_stream  *z;

    memory = bits == WSCAST_WINDOW_BITS ? WSCAST_DEFLATE_MEMORY
                                        : WSCAST_DEFLATE_MEMORY_SMALL;
    z = wscast_zlib_create();

    if (z && deflateInit2(z, level, Z_DEFLATED, -(int) bits, memory,
                          Z_DEFAULT_STRATEGY)
             != Z_OK)
    {
        wscast_free(z);
        return NULL;
    }

    return z;
}


/* As much as the longest message took; a very long one's is not kept. */

static int
wscast_deflate_room(wscast_deflate_t *d, size_t size)
{
    if (size <= d->size
        && (d->size <= WSCAST_DEFLATE_KEEP || size > WSCAST_DEFLATE_KEEP))
    {
        return 1;
    }

    wscast_free(d->out);

    d->out = wscast_alloc(size);
    d->size = d->out ? size : 0;

    return d->out != NULL;
}


static void
wscast_deflate_free(z_stream *z)
{
    if (z) {
        (void) deflateEnd(z);
        wscast_free(z);
    }
}


/* Unpacking */


wscast_inflater_t *
wscast_inflater_create(wscast_deflate_t *d, unsigned client_bits)
{
    wscast_inflater_t  *i;

    i = wscast_zalloc(sizeof(wscast_inflater_t));

    if (i) {
        i->deflate = d;
        i->limit = client_bits ? 1u << client_bits : 0;
    }

    return i;
}


void
wscast_inflater_destroy(wscast_inflater_t *i)
{
    if (i) {
        wscast_inflate_return(i);
        wscast_free(i->window);
        wscast_free(i);
    }
}


wscast_status_t
wscast_inflate_begin(wscast_inflater_t *i)
{
    z_stream  *z;

    if (i->stream) {
        return WSCAST_OK;
    }

    z = i->deflate->spare;
    i->deflate->spare = NULL;

    if (z == NULL) {
        z = wscast_inflate_open();
    }

    if (z == NULL) {
        return WSCAST_NOMEM;
    }

    i->stream = z;
    i->tail = 0;
    i->ended = 0;
    i->between = 0;

    (void) inflateReset(z);

    if (i->len) {
        (void) inflateSetDictionary(z, i->window, i->len);
    }

    return WSCAST_OK;
}


/*
 * The window is as large as there are, so that streams can be lent to anybody.
 * It is allocated here, by a dictionary of nothing: in the middle of a message
 * a failure would be for good.
 */

static z_stream *
wscast_inflate_open(void)
{
    z_stream  *z;

    z = wscast_zlib_create();

    if (z == NULL || inflateInit2(z, -WSCAST_WINDOW_BITS) != Z_OK) {
        wscast_free(z);
        return NULL;
    }

    if (inflateSetDictionary(z, wscast_deflate_tail, 0) != Z_OK) {
        wscast_inflate_free(z);
        return NULL;
    }

    return z;
}


wscast_status_t
wscast_inflate(wscast_inflater_t *i, const unsigned char **pos,
    const unsigned char *end, unsigned char *out, size_t size, size_t *len)
{
    size_t           n;
    wscast_status_t  rc;

    *len = 0;

    do {
        rc = wscast_inflate_run(i, pos, end, out + *len, size - *len, &n);
        *len += n;
    } while (rc == WSCAST_MORE);

    return rc;
}


/* WSCAST_MORE: all is well, and there are both bytes and room. */

static wscast_status_t
wscast_inflate_run(wscast_inflater_t *i, const unsigned char **pos,
    const unsigned char *end, unsigned char *out, size_t size, size_t *len)
{
    int        rc;
    uInt       in, room;
    z_stream  *z;

    z = i->stream;
    *len = 0;

    if (i->ended) {

        if (*pos == end) {
            return WSCAST_OK;
        }

        /*
         * A block that calls itself final ends nothing here: others may
         * follow, and refer to it (RFC 7692, 7.2.3.4).  inflateReset() and a
         * dictionary would cost 64 KB of copying for a block of two bytes.
         */

        (void) inflateResetKeep(z);
        i->ended = 0;
    }

    in = end - *pos > INT_MAX ? INT_MAX : (uInt) (end - *pos);
    room = size > INT_MAX ? INT_MAX : (uInt) size;

    z->next_in = (Bytef *) *pos;
    z->avail_in = in;
    z->next_out = out;
    z->avail_out = room;

    rc = inflate(z, Z_SYNC_FLUSH);

    *pos += in - z->avail_in;
    *len = room - z->avail_out;

    /* of a call that had nothing to do zlib tells nothing */

    if (z->avail_in < in || *len) {
        i->between = z->data_type == 128;
    }

    if (rc == Z_STREAM_END) {
        i->ended = 1;

    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return rc == Z_MEM_ERROR ? WSCAST_NOMEM : WSCAST_CLOSE_DEFLATE;
    }

    if (*len == size && !i->ended) {
        return WSCAST_AGAIN;
    }

    if (*pos == end) {
        return WSCAST_OK;
    }

    return *len == size ? WSCAST_AGAIN : WSCAST_MORE;
}


wscast_status_t
wscast_inflate_end(wscast_inflater_t *i, unsigned char *out, size_t size,
    size_t *len)
{
    wscast_status_t       rc;
    const unsigned char  *p;

    *len = 0;

    /* a final block needs none of it */

    if (i->ended && i->tail == 0) {
        return WSCAST_OK;
    }

    p = wscast_deflate_tail + i->tail;

    rc = wscast_inflate(i, &p, wscast_deflate_tail + WSCAST_DEFLATE_TAIL, out,
                        size, len);

    i->tail = (unsigned char) (p - wscast_deflate_tail);

    return rc == WSCAST_OK && !i->between ? WSCAST_CLOSE_DEFLATE : rc;
}


wscast_status_t
wscast_inflate_keep(wscast_inflater_t *i, wscast_str_t message)
{
    size_t          len, old;
    unsigned char  *window;

    if (message.len && i->limit) {
        len = i->len + message.len;

        if (len > i->limit) {
            len = i->limit;
        }

        if (len > i->len) {
            window = wscast_realloc(i->window, len);

            if (window == NULL) {
                return WSCAST_NOMEM;
            }

            i->window = window;
        }

        /* the end of what there was, then the end of what has come */

        old = message.len < len ? len - message.len : 0;

        memmove(i->window, i->window + i->len - old, old);
        memcpy(i->window + old, message.data + message.len - (len - old),
               len - old);

        i->len = (uint32_t) len;
    }

    wscast_inflate_return(i);

    return WSCAST_OK;
}


static void
wscast_inflate_return(wscast_inflater_t *i)
{
    if (i->stream == NULL) {
        return;
    }

    if (i->deflate->spare == NULL) {
        i->deflate->spare = i->stream;

    } else {
        wscast_inflate_free(i->stream);
    }

    i->stream = NULL;
}


static void
wscast_inflate_free(z_stream *z)
{
    if (z) {
        (void) inflateEnd(z);
        wscast_free(z);
    }
}


/* zlib's memory is ours */


static z_stream *
wscast_zlib_create(void)
{
    z_stream  *z;

    z = wscast_zalloc(sizeof(z_stream));

    if (z) {
        z->zalloc = wscast_zlib_alloc;
        z->zfree = wscast_zlib_free;
    }

    return z;
}


static voidpf
wscast_zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    return wscast_alloc((size_t) items * size);
}


static void
wscast_zlib_free(voidpf opaque, voidpf p)
{
    wscast_free(p);
}
