/*
 * control_json: questions and answers as they are written and read.  Anybody
 * can write to Redis, so that spoilt ones are put against a guard page.
 */

#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"
#include "../../src/worker/control_json.c"


#define ROUNDS  100000

#define HOST    "\"host\":\"0123456789abcdef\""
#define WORKER  "\"worker\":\"00000000000000ff\""


static const char  *seeds[] = {
    "{\"ask\":\"channels\",\"name\":\"room:\",\"after\":\"room:1\","
        "\"limit\":100," HOST "," WORKER ",\"id\":7}",
    "{\"ask\":\"count\",\"name\":\"r\\u00f6m:\\n\"," HOST "," WORKER
        ",\"id\":18}",
    "{\"ask\":\"client\",\"name\":\"k3JYq0aT9xWcPz1B\","
        "\"reason\":\"replaced\"}",
    "{\"ask\":\"user\",\"name\":\"\",\"reason\":\"x\",\"limit\":-1}",
    "{" HOST "," WORKER ",\"workers\":3,\"id\":7,\"count\":2}",
    "{" HOST "," WORKER ",\"workers\":3,\"id\":7,"
        "\"channels\":[[\"a\",1],[\"b\\\"\",2]],\"more\":true}",
    "{" HOST "," WORKER ",\"workers\":3,\"id\":7,"
        "\"channels\":[[],[\"a\"],1,[1,2],[[\"a\"]]]}"
};

#define SEEDS  (sizeof(seeds) / sizeof(seeds[0]))


static wscast_str_t
str(const char *s)
{
    return wscast_str(s, strlen(s));
}


/* A copy whose end is the end of what is mapped. */

static wscast_str_t
guarded(const void *data, size_t len)
{
    unsigned char  *p;

    p = unit_guard(len);

    if (len) {
        memcpy(p, data, len);
    }

    return wscast_str(p, len);
}


static int
inside(wscast_str_t s, wscast_str_t all)
{
    return s.len == 0 || (s.data >= all.data
                          && s.data + s.len <= all.data + all.len);
}


static void
test_question(void)
{
    wscast_builder_t     b;
    ngx_wscast_ask_t     ask;
    ngx_wscast_asked_t   a;

    memset(&ask, 0, sizeof(ask));
    ask.type = NGX_WSCAST_ASK_CHANNELS;
    ask.name = str("r\"\n");
    ask.after = str("\xc3\xb6");
    ask.limit = 17;

    wscast_builder_init(&b, 0);
    ngx_wscast_control_write(&b, &ask);
    wscast_builder_lit(&b, ",\"host\":");
    ngx_wscast_control_hex(&b, 0x123456789abcdef0);
    wscast_builder_lit(&b, ",\"worker\":");
    ngx_wscast_control_hex(&b, ~(uint64_t) 0);
    wscast_builder_lit(&b, ",\"id\":5}");

    is_int(ngx_wscast_asked_read(wscast_builder_payload(&b), &a), NGX_OK,
           "a question that was written can be read");
    is_int(a.type, NGX_WSCAST_ASK_CHANNELS, "it asks for channels");
    ok(wscast_str_eq(a.name, ask.name), "of this prefix");
    ok(wscast_str_eq(a.after, ask.after), "after this name");
    is_int(a.limit, 17, "so many");
    ok(a.wanted && a.id == 5 && a.host == 0x123456789abcdef0
       && a.worker == ~(uint64_t) 0, "and wants an answer, there");
    wscast_builder_drop(&b);

    ask.type = NGX_WSCAST_ASK_CLIENT;
    ask.reason = WSCAST_CLOSE_REPLACED;
    wscast_builder_init(&b, 0);
    ngx_wscast_control_write(&b, &ask);
    wscast_builder_lit(&b, "}");

    is_int(ngx_wscast_asked_read(wscast_builder_payload(&b), &a), NGX_OK,
           "a client can be ended");
    is_int(a.reason, WSCAST_CLOSE_REPLACED, "for this reason");
    is_int(a.wanted, 0, "without an answer");
    wscast_builder_drop(&b);
}


static void
test_reply(void)
{
    u_char  reply[NGX_WSCAST_REPLY_SIZE + 1];

    reply[NGX_WSCAST_REPLY_SIZE] = 'x';
    ngx_wscast_control_reply(reply, 0xff, 0x123456789abcdef0);

    is_mem(reply, sizeof(reply),
           "\001reply:00000000000000ff:123456789abcdef0x",
           NGX_WSCAST_REPLY_SIZE + 1, "answers have a channel");
}


static void
test_numbers(void)
{
    size_t              i, bad;
    uint64_t            n;
    static const char  *odd[] = {
        "", "-1", "1.5", "1e3", "\"1\"", "x", "1000000000000000000", " 1"
    };

    bad = 0;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        bad += ngx_wscast_control_number(str(odd[i]), &n) == NGX_OK;
        bad += ngx_wscast_control_unhex(str(odd[i]), &n) == NGX_OK;
    }

    is_int(bad, 0, "odd numbers are none");
    ok(ngx_wscast_control_number(str("999999999999999999"), &n) == NGX_OK
       && n == 999999999999999999, "the greatest is one");
    ok(ngx_wscast_control_unhex(str("\"0123456789abcdeg\""), &n) != NGX_OK,
       "hexadecimal digits end with f");
}


static void
test_seeds(void)
{
    size_t                i, n;
    ngx_wscast_asked_t    a;
    ngx_wscast_answer_t   answer;

    for (i = n = 0; i < SEEDS; i++) {
        n += ngx_wscast_asked_read(guarded(seeds[i], strlen(seeds[i])), &a)
             == NGX_OK;
    }

    is_int(n, 4, "questions are told from answers");

    for (i = n = 0; i < SEEDS; i++) {
        n += ngx_wscast_answer_read(guarded(seeds[i], strlen(seeds[i])),
                                    &answer)
             == NGX_OK;
    }

    is_int(n, 3, "and answers from questions");

    is_int(ngx_wscast_asked_read(guarded(seeds[3], strlen(seeds[3])), &a),
           NGX_OK, "an odd question is taken");
    is_int(a.limit, NGX_WSCAST_LIST_MAX, "with the greatest limit");
    is_int(a.reason, WSCAST_CLOSE_DISCONNECTED, "and the usual reason");
}


static int
spoilt(wscast_str_t bytes)
{
    int                   bad;
    uint64_t              n;
    wscast_str_t          all, rest, pair, v;
    ngx_wscast_asked_t    a;
    ngx_wscast_answer_t   answer;

    bad = 0;
    all = guarded(bytes.data, bytes.len);

    if (ngx_wscast_asked_read(all, &a) == NGX_OK) {
        bad += !inside(a.name, all) || !inside(a.after, all)
               || a.type > NGX_WSCAST_ASK_USER
               || a.limit > NGX_WSCAST_LIST_MAX;
    }

    all = guarded(bytes.data, bytes.len);

    if (ngx_wscast_answer_read(all, &answer) == NGX_OK) {
        rest = answer.channels;

        while (rest.len && wscast_json_element(&rest, &pair)) {
            bad += !inside(pair, all) || pair.len == 0;

            while (pair.data[0] == '[' && wscast_json_element(&pair, &v)) {
                bad += !inside(v, all);
                (void) ngx_wscast_control_number(v, &n);
            }
        }
    }

    return bad;
}


static void
test_spoilt(void)
{
    char       buf[512];
    size_t     i, len;
    unsigned   bad, n, changes;

    bad = 0;

    for (n = 0; n < ROUNDS; n++) {
        i = unit_below(SEEDS);
        len = strlen(seeds[i]);
        memcpy(buf, seeds[i], len);

        for (changes = unit_below(4); changes; changes--) {
            buf[unit_below(len)] = "[]{}\",:\\u0a\xff 9"[unit_below(15)];
        }

        if (unit_below(4) == 0) {
            len = unit_below(len + 1);
        }

        bad += spoilt(wscast_str(buf, len));
    }

    is_int(bad, 0, "what is cut out of spoilt ones lies inside of them");
}


static void
test_memory(void)
{
    size_t             i;
    wscast_builder_t   b;
    ngx_wscast_ask_t   ask;

    memset(&ask, 0, sizeof(ask));
    ask.name = str("a name that is rather long, so that the builder grows, and "
                   "grows once more, and does not fit");

    for (i = 1; i < 4; i++) {
        unit_alloc_reset(i);

        wscast_builder_init(&b, 0);
        ngx_wscast_control_write(&b, &ask);
        wscast_builder_drop(&b);
    }

    unit_alloc_reset(0);
    is_int(unit_live, 0, "failed allocations leave nothing behind");
}


int
main(void)
{
    test_question();
    test_reply();
    test_numbers();
    test_seeds();
    test_spoilt();
    test_memory();

    return done();
}
