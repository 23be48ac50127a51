/*
 * wire/deflate: bytes that claim to be packed, whole, byte by byte and cut by
 * themselves, into rooms of any size: the same comes out, which is what zlib
 * makes of the whole at once; and what we pack is unpacked to the same.
 */
/* libs: -lz */

#include "../lib/fuzz_main.h"

#include "../../src/wire/deflate.c"


#define MOST  (256 * 1024)      /* more than that is not looked at */


typedef struct {
    unsigned char     data[MOST];
    size_t            len;
    wscast_status_t   rc;
} result_t;


static result_t  results[4];


/* rooms: 0: as large as there are; else 1 to so many bytes. */

static void
unpack(result_t *r, wscast_inflater_t *i, const uint8_t *data, size_t len,
    fuzz_cut_t *cut, size_t rooms)
{
    size_t                 n, room, got;
    uint8_t               *piece;
    const unsigned char   *pos;

    r->len = 0;
    r->rc = wscast_inflate_begin(i);

    for ( ;; ) {
        n = cut && len ? fuzz_cut(cut, len) : len;

        piece = malloc(n ? n : 1);
        must(piece != NULL);

        if (n) {
            memcpy(piece, data, n);
        }

        pos = piece;

        do {
            room = MOST - r->len;

            if (rooms && rooms < room) {
                room = rooms;
            }

            if (room == 0) {
                r->rc = WSCAST_CLOSE_TOO_BIG;
                break;
            }

            r->rc = len ? wscast_inflate(i, &pos, piece + n,
                                         r->data + r->len, room, &got)
                        : wscast_inflate_end(i, r->data + r->len, room, &got);

            must(got <= room && pos <= piece + n);
            must(r->rc != WSCAST_AGAIN || got == room);
            must(r->rc != WSCAST_OK || pos == piece + n || len == 0);
            r->len += got;

        } while (r->rc == WSCAST_AGAIN);

        free(piece);

        if (len == 0 || r->rc != WSCAST_OK) {
            break;
        }

        data += n;
        len -= n;
    }

    must(r->rc == WSCAST_OK || r->rc == WSCAST_CLOSE_DEFLATE
         || r->rc == WSCAST_CLOSE_TOO_BIG);

    if (r->rc == WSCAST_OK) {
        must(wscast_inflate_keep(i, wscast_str(r->data, r->len))
             == WSCAST_OK);
    }
}


static int
equal(const result_t *a, const result_t *b)
{
    return a->rc == b->rc && a->len == b->len
           && memcmp(a->data, b->data, a->len) == 0;
}


/* What has no final block zlib reads in one go. */

static void
plain(result_t *r, const uint8_t *data, size_t len)
{
    int       rc;
    z_stream  z;

    uint8_t  *whole;

    whole = malloc(len + 4);
    must(whole != NULL);

    if (len) {
        memcpy(whole, data, len);
    }

    memcpy(whole + len, "\x00\x00\xff\xff", 4);

    memset(&z, 0, sizeof(z));
    must(inflateInit2(&z, -15) == Z_OK);

    z.next_in = whole;
    z.avail_in = (uInt) len + 4;
    z.next_out = r->data;
    z.avail_out = MOST;

    rc = inflate(&z, Z_SYNC_FLUSH);

    r->len = MOST - z.avail_out;
    r->rc = rc == Z_STREAM_END ? WSCAST_MORE
            : z.avail_out == 0 ? WSCAST_CLOSE_TOO_BIG
            : rc == Z_OK && z.avail_in == 0 && z.data_type == 128
            ? WSCAST_OK : WSCAST_CLOSE_DEFLATE;

    inflateEnd(&z);
    free(whole);
}


static void
pack(wscast_deflate_t *d, const uint8_t *data, size_t len, unsigned bits,
    int level)
{
    uint8_t            *copy;
    wscast_str_t        packed;
    wscast_inflater_t  *i;

    packed = wscast_deflate(d, bits, level, wscast_str(data, len));
    must(packed.len < len || packed.len == 0);

    if (packed.len == 0) {
        return;
    }

    copy = malloc(packed.len);
    must(copy != NULL);
    memcpy(copy, packed.data, packed.len);

    i = wscast_inflater_create(d, 12);
    unpack(&results[0], i, copy, packed.len, NULL, 0);

    must(results[0].rc == WSCAST_OK && results[0].len == len
         && memcmp(results[0].data, data, len) == 0);

    /* with what it was before it: the same again */

    unpack(&results[0], i, copy, packed.len, NULL, 100);
    must(results[0].rc == WSCAST_OK && results[0].len == len);

    wscast_inflater_destroy(i);
    free(copy);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int                        n;
    fuzz_cut_t                 cut;
    wscast_inflater_t         *i;
    static wscast_deflate_t   *d;

    /* one for all inputs: what a stream remembers of another would show */

    if (d == NULL) {
        d = wscast_deflate_create();
        must(d != NULL);
    }

    cut.data = data;
    cut.len = len;
    cut.at = 0;

    for (n = 0; n < 3; n++) {
        i = wscast_inflater_create(d, n == 2 ? 9 : 0);
        must(i != NULL);

        unpack(&results[n], i, data, len, n ? &cut : NULL, n == 2 ? 37 : 0);
        must(equal(&results[0], &results[n]));
        wscast_inflater_destroy(i);
    }

    plain(&results[3], data, len);

    must(results[3].rc == WSCAST_MORE || results[3].rc == results[0].rc);
    must(results[3].rc != WSCAST_OK || equal(&results[0], &results[3]));

    pack(d, data, len, WSCAST_WINDOW_BITS, 1);
    pack(d, data, len, WSCAST_WINDOW_SMALL, 6);

    return 0;
}
