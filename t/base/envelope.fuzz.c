/*
 * base/envelope: any bytes may come from Redis.  What is read lies inside of
 * them, uses all of them, and written again it is the same.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/utf8.c"
#include "../../src/base/envelope.c"


static size_t  inside;


static void
view(wscast_str_t s, const uint8_t *data, size_t len)
{
    must(s.data >= data && s.data + s.len <= data + len);
    inside += s.len;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t                n;
    unsigned char        *out;
    wscast_status_t       rc;
    wscast_pub_fields_t   f, g;

    rc = wscast_envelope_decode(wscast_str("room", 4), wscast_str(data, len),
                                7, &f);

    must(rc == WSCAST_OK || rc == WSCAST_MORE || rc == WSCAST_ERROR);

    if (rc != WSCAST_OK) {
        must(len && data[0] == 0);
        return 0;
    }

    if (len == 0 || data[0] != 0) {
        must(f.data.data == data && f.data.len == len && f.time == 7);
        must(!!(f.flags & WSCAST_PUB_BINARY) != wscast_utf8_valid(f.data));
        return 0;
    }

    inside = WSCAST_ENVELOPE_HEADER;

    view(f.client, data, len);
    view(f.exclude, data, len);
    view(f.user, data, len);
    view(f.info, data, len);
    view(f.data, data, len);

    must(inside == len);
    must(f.kind < WSCAST_PUB_KINDS);

    n = wscast_envelope_size(&f);
    must(n == len);

    out = malloc(n);
    must(out != NULL);
    must(wscast_envelope_encode(out, &f) == out + n);

    /* flags may be new, a position without its flag is dropped */

    must(memcmp(out + 4, data + 4, 8) == 0);
    must(memcmp(out + 28, data + 28, n - 28) == 0);

    must(wscast_envelope_decode(f.channel, wscast_str(out, n), 0, &g)
         == WSCAST_OK);
    must(g.flags == f.flags && g.epoch == f.epoch && g.offset == f.offset);

    free(out);

    return 0;
}
