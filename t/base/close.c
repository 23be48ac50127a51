/* base/close: the table keeps what RFC 6455 and nginx.conf were promised. */

#include "../lib/unit.h"
#include "../../src/base/close.c"


static const struct {
    wscast_close_e    reason;
    unsigned          code;
} promised[] = {
    { WSCAST_CLOSE_MOVE,         1001 },
    { WSCAST_CLOSE_UNMASKED,     1002 },
    { WSCAST_CLOSE_UTF8,         1007 },
    { WSCAST_CLOSE_DEFLATE,      1007 },
    { WSCAST_CLOSE_NOT_ALLOWED,  1008 },
    { WSCAST_CLOSE_TOO_BIG,      1009 },
    { WSCAST_CLOSE_INTERNAL,     1011 },
    { WSCAST_CLOSE_AWAY,         1013 },
    { WSCAST_CLOSE_LAPPED,       1013 },
    { WSCAST_CLOSE_DISCONNECTED, 4403 },
    { WSCAST_CLOSE_SLOW,         4408 }
};


int
main(void)
{
    int                    i, range, texts, counters, faults;
    size_t                 k, n;
    const char            *c;
    const wscast_close_t  *row;

    range = texts = counters = faults = 0;

    for (i = 1; i < WSCAST_CLOSE_MAX; i++) {
        row = wscast_close_row(i);
        n = strlen(row->text);

        range += !(row->code <= 1
                   || (row->code >= 1000 && row->code <= 1014
                       && row->code != 1004 && row->code != 1005
                       && row->code != 1006)
                   || (row->code >= 4000 && row->code <= 4999));
        texts += n == 0 || n > 123;
        faults += row->ours > 1;

        for (c = row->counter; *c; c++) {
            counters += !((*c >= 'a' && *c <= 'z')
                          || (c > row->counter
                              && (*c == '_' || (*c >= '0' && *c <= '9'))));
        }

        counters += c == row->counter;
    }

    is_int(range, 0, "every code may be sent in a close frame");
    is_int(texts, 0, "every text fits into a close frame");
    is_int(counters, 0, "every counter is a word of a Prometheus label");
    is_int(faults, 0, "every fault is the peer's or ours");

    for (k = 0; k < sizeof(promised) / sizeof(promised[0]); k++) {
        row = wscast_close_row(promised[k].reason);
        is_int(row->code, promised[k].code, "\"%s\" closes with %u", row->text,
               promised[k].code);
    }

    is_int(wscast_close_row(0)->code, 0, "no reason has no code");
    ok(wscast_close_row(-1) == wscast_close_row(WSCAST_CLOSE_INTERNAL),
       "a negative status counts as an internal error");
    ok(wscast_close_row(WSCAST_CLOSE_MAX)
       == wscast_close_row(WSCAST_CLOSE_INTERNAL),
       "a number beyond the table counts as an internal error");
    ok(wscast_close_row(WSCAST_CLOSE_INTERNAL)->ours
       && !wscast_close_row(WSCAST_CLOSE_TOO_BIG)->ours,
       "our faults are told from the peer's");

    return done();
}
