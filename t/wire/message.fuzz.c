/* libs: -lz */
/*
 * wire/message: whole, byte by byte and cut by the input's own bytes the same
 * messages come out, and a failure lies in the piece with the same byte.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/utf8.c"
#include "../../src/wire/mask.c"
#include "../../src/wire/frame.c"
#include "../../src/wire/deflate.c"
#include "../../src/wire/message.c"
#include "feed.h"


/* What may be said of any message, however it came about. */

static void
check(const feed_t *r, size_t limit)
{
    size_t          i, len;
    unsigned        opcode, code;
    wscast_str_t    data;

    for (i = 0; i < r->len; i += len) {
        memcpy(&opcode, r->log + i, sizeof(opcode));
        i += sizeof(opcode);
        memcpy(&code, r->log + i, sizeof(code));
        i += sizeof(code);
        memcpy(&len, r->log + i, sizeof(len));
        i += sizeof(len);

        data = wscast_str(r->log + i, len);

        switch (opcode) {

        case WSCAST_OP_TEXT:
            must(wscast_utf8_valid(data));

            /* fall through */

        case WSCAST_OP_BINARY:
            must(len <= limit && code == 0);
            break;

        case WSCAST_OP_CLOSE:
            must(len <= 123 && wscast_utf8_valid(data));
            must(code == 1005 ? len == 0 : wscast_close_code_valid(code));
            must(i + len == r->len);
            break;

        default:
            must(opcode == WSCAST_OP_PING || opcode == WSCAST_OP_PONG);
            must(len <= 125 && code == 0);
        }
    }
}


static void
run(const uint8_t *data, size_t len, size_t limit, unsigned takes)
{
    feed_t       whole, bytes, pieces;
    fuzz_cut_t   cut;
    feed_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.limit = limit;
    conf.takes = takes;

    cut.data = data;
    cut.len = len;
    cut.at = 0;

    feed(&whole, &conf, data, len, feed_whole, NULL);
    feed(&bytes, &conf, data, len, feed_bytes, NULL);
    feed(&pieces, &conf, data, len, fuzz_cut, &cut);

    must(whole.rc != WSCAST_NOMEM && whole.rc != WSCAST_AGAIN);
    must(feed_equal(&whole, &bytes));
    must(feed_equal(&whole, &pieces));

    /* byte by byte says which byte it was */

    must(pieces.before < bytes.given || len == 0);
    must(pieces.given >= bytes.given);

    check(&whole, limit);

    feed_free(&whole);
    feed_free(&bytes);
    feed_free(&pieces);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    run(data, len, 65536, 0);
    run(data, len, 16, 0);

    /* what has reserved bits perhaps is read in yet another way */

    if (len && data[0] & WSCAST_FRAME_RSV1) {
        run(data, len, 65536, 8);
        run(data, len, 16, FEED_FRESH);
    }

    return 0;
}
