/* base/utf8: fast and plain, whole and cut, judge alike at the same byte. */

#include "../lib/fuzz_main.h"

#include "../../src/base/utf8.c"


/* How many bytes the plain one takes, one by one, before it refuses. */

static size_t
taken(const uint8_t *data, size_t len, wscast_utf8_t *u)
{
    size_t  i;

    wscast_utf8_init(u);

    for (i = 0; i < len; i++) {
        if (wscast_utf8_feed_plain(u, data + i, 1) != WSCAST_OK) {
            break;
        }
    }

    return i;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t           at, i, n;
    fuzz_cut_t       cut;
    wscast_utf8_t    u, plain;
    wscast_status_t  rc;

    at = taken(data, len, &plain);

    must(wscast_utf8_valid(wscast_str(data, len))
         == (at == len && plain.need == 0));

    wscast_utf8_init(&u);
    must(wscast_utf8_feed_plain(&u, data, len)
         == (at == len ? WSCAST_OK : WSCAST_ERROR));

    /* the bytes before the bad one are fine, with it they are not */

    wscast_utf8_init(&u);
    must(wscast_utf8_feed(&u, data, at) == WSCAST_OK);

    if (at < len) {
        wscast_utf8_init(&u);
        must(wscast_utf8_feed(&u, data, at + 1) == WSCAST_ERROR);
    }

    cut.data = data;
    cut.len = len;
    cut.at = 0;

    wscast_utf8_init(&u);

    for (i = 0; i < len; i += n) {
        n = fuzz_cut(&cut, len - i);
        rc = wscast_utf8_feed(&u, data + i, n);

        must(rc == (i + n <= at ? WSCAST_OK : WSCAST_ERROR));

        if (rc != WSCAST_OK) {
            return 0;
        }
    }

    must(u.need == plain.need && u.low == plain.low && u.high == plain.high);

    return 0;
}
