/* libs: -lcrypto */
/* wire/accept: the decision on an opening handshake, RFC 6455, 4.2. */

#include "../lib/unit.h"

#include "../../src/wire/accept.c"

#include <openssl/sha.h>


#define RFC_KEY     "dGhlIHNhbXBsZSBub25jZQ=="
#define RFC_ACCEPT  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


static wscast_accept_t          out;
static wscast_accept_request_t  r;


static void
sha1(const unsigned char *text, size_t len, unsigned char *md)
{
    (void) SHA1(text, len, md);
}


/* Right before an unmapped page: no byte behind a field may be read. */

static wscast_str_t
field(const char *s)
{
    size_t                 len;
    static unsigned        turn;
    static unsigned char  *pages[6];
    size_t                 page;

    page = (size_t) sysconf(_SC_PAGESIZE);
    len = s ? strlen(s) : 0;
    turn = (turn + 1) % 6;

    if (!pages[turn]) {
        pages[turn] = mmap(NULL, 2 * page, PROT_READ|PROT_WRITE,
                           MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

        if (pages[turn] == MAP_FAILED
            || mprotect(pages[turn] + page, page, PROT_NONE) != 0)
        {
            perror("# guard page");
            abort();
        }
    }

    if (len == 0) {
        return wscast_str(NULL, 0);
    }

    return wscast_str(memcpy(pages[turn] + page - len, s, len), len);
}


/* A request that is right in all; a test then spoils one thing. */

static void
good_request(void)
{
    memset(&r, 0, sizeof(r));

    r.get = 1;
    r.http11 = 1;
    r.upgrade = field("websocket");
    r.connection = field("Upgrade");
    r.key = field(RFC_KEY);
    r.version = field("13");
    r.keys = 1;
    r.versions = 1;
    r.sha1 = sha1;
}


static unsigned
decide(void)
{
    memset(&out, 0xee, sizeof(out));
    wscast_accept(&r, NULL, 0, 0, &out);

    return out.status;
}


#define refused(code, upgrade, version, ...)                                  \
    ok(decide() == (code) && out.say_upgrade == (upgrade)                     \
       && out.say_version == (version) && out.reason && out.reason[0]         \
       && out.protocol.len == 0, __VA_ARGS__)


static void
test_request(void)
{
    good_request();
    is_int(decide(), 101, "the handshake of RFC 6455, 1.3 is accepted");
    is_mem(out.accept, WSCAST_ACCEPT_LEN, RFC_ACCEPT, strlen(RFC_ACCEPT),
           "with the accept value of RFC 6455, 1.3");
    ok(!out.say_upgrade && !out.say_version && out.protocol.len == 0,
       "and nothing else is said");

    good_request();
    r.get = 0;
    refused(405, 0, 0, "a method other than GET is refused with 405");

    good_request();
    r.http11 = 0;
    refused(426, 1, 0, "HTTP/1.0 and HTTP/2 are told to upgrade");

    good_request();
    r.upgrade = field("");
    refused(426, 1, 0, "a plain request is told to upgrade");

    good_request();
    r.upgrade = field("");
    r.connection = field("");
    r.key = field("");
    r.keys = 0;
    r.version = field("");
    r.versions = 0;
    refused(426, 1, 0, "a request without any of the fields, too");

    good_request();
    r.connection = field("");
    refused(426, 1, 0, "a request without Connection is told to upgrade");

    good_request();
    r.body = 1;
    refused(400, 0, 0, "a body is a bad request");

    good_request();
    r.keys = 2;
    refused(400, 0, 0, "two keys are a bad request");

    good_request();
    r.versions = 2;
    refused(400, 0, 0, "two versions are a bad request");

    good_request();
    r.versions = 2;
    r.version = field("8");
    refused(400, 0, 0, "also when the first of them is not ours");
}


static void
test_tokens(void)
{
    size_t  i;

    static const struct {
        const char  *list;
        int          found;
    } upgrades[] = {
        { "websocket", 1 }, { "WebSocket", 1 }, { "WEBSOCKET", 1 },
        { " websocket ", 1 }, { "\twebsocket\t", 1 }, { "h2c, websocket", 1 },
        { "websocket,h2c", 1 }, { ",websocket", 1 }, { "websocket,", 1 },
        { ", ,\t,websocket , ,", 1 }, { "foo ,\tWebsocket", 1 },
        { "websockets", 0 }, { "websocke", 0 }, { "web socket", 0 },
        { "websocket/13", 0 }, { "websocket;q=1", 0 }, { "h2c", 0 },
        { ",", 0 }, { " , , ", 0 }, { "xwebsocket", 0 }, { "websocket x", 0 },
        { "\"websocket\"", 0 }, { "WEBSOCKE\xd4", 0 }, { " ", 0 },
        { "websocke\x14", 0 },
    }, connections[] = {
        { "Upgrade", 1 }, { "upgrade", 1 }, { "UPGRADE", 1 },
        { "keep-alive, Upgrade", 1 }, { "Upgrade, keep-alive", 1 },
        { "keep-alive,Upgrade", 1 }, { ", upgrade ,", 1 },
        { "close ,\t upgrade\t", 1 },
        { "keep-alive", 0 }, { "upgrades", 0 }, { "keep-alive Upgrade", 0 },
        { "up grade", 0 }, { ",,,", 0 },
    };

    for (i = 0; i < sizeof(upgrades) / sizeof(upgrades[0]); i++) {
        good_request();
        r.upgrade = field(upgrades[i].list);
        is_int(decide(), upgrades[i].found ? 101 : 426,
               "Upgrade [%s] %s", upgrades[i].list,
               upgrades[i].found ? "is accepted" : "is told to upgrade");
    }

    for (i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
        good_request();
        r.connection = field(connections[i].list);
        is_int(decide(), connections[i].found ? 101 : 426,
               "Connection [%s] %s", connections[i].list,
               connections[i].found ? "is accepted" : "is told to upgrade");
    }
}


static void
test_version(void)
{
    size_t  i;

    static const char *const  bad[] = { "", "8", "0", "12", "14", "013", "130",
                                        " 13", "13 ", "13, 8", "8, 13", "13,",
                                        "1", "3", "+13", "xiii" };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        good_request();
        r.version = field(bad[i]);
        refused(426, 1, 1, "version [%s] is answered with 426 and version 13",
                bad[i]);
    }

    good_request();
    r.version = field("8");
    r.key = field("short");
    refused(426, 1, 1, "an old version is told so before its key is judged");
}


static void
test_key(void)
{
    char      key[25];
    int       good, digit;
    size_t    i;
    unsigned  c;

    static const char *const  bad[] = {
        "", "=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQ= ",
        "dGhlIHNhbXBsZSBub25jZQ==,", " dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25jZQAA", "dGhl IHNhbXBsZSBub25jQ==",
        "dGhlIHNhbXBsZS1ub25j-_==", "========================",
        "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=", "AAAAAAAAAAAAAAAA",
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        good_request();
        r.key = field(bad[i]);
        refused(400, 0, 0, "key [%s] is a bad request", bad[i]);
    }

    good_request();
    r.key = field("");
    r.keys = 0;
    refused(400, 0, 0, "a missing key is a bad request");

    good_request();
    r.key = field("/+AZaz09/+AZaz09/+AZaw==");
    is_int(decide(), 101, "all kinds of base64 digits are taken");

    good_request();
    r.key = field("dGhlIHNhbXBsZSBub25jZR==");
    is_int(decide(), 101, "unused bits of the last digit may be set");

    good = 1;

    for (i = 0; i < 24; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(key, RFC_KEY, sizeof(key));
            key[i] = (char) c;

            digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
                    || (c >= 'a' && c <= 'z') || c == '+' || c == '/';

            good_request();
            r.key = wscast_str(key, 24);
            good &= decide() == ((i < 22 ? digit : c == '=') ? 101u : 400u);
        }
    }

    ok(good, "each byte at each place of a key is judged");
}


/* The whole protocol choice: offer, what is spoken, what is chosen. */

static void
test_protocols(void)
{
    size_t  i;

    static const wscast_str_t  spoken[] = { wscast_string("wscast.json"),
                                            wscast_string("wscast.text") };
    static const struct {
        const char  *offer;
        unsigned     any;
        unsigned     status;
        const char  *chosen;
    } cases[] = {
        { "", 0, 101, "" },
        { "", 1, 101, "" },
        { "wscast.text", 0, 101, "wscast.text" },
        { "wscast.text, wscast.json", 0, 101, "wscast.json" },
        { "other,wscast.text", 0, 101, "wscast.text" },
        { "other,wscast.text", 1, 101, "wscast.text" },
        { " ,, wscast.json\t,", 0, 101, "wscast.json" },
        { "WSCAST.JSON", 0, 101, "" },
        { "wscast.jso", 0, 101, "" },
        { "wscast.jsonx", 0, 101, "" },
        { "chat, superchat", 0, 101, "" },
        { "chat, superchat", 1, 101, "chat" },
        { " , chat, superchat", 1, 101, "chat" },
        { "chat, chat", 1, 101, "chat" },
        { "!#$%&'*+-.^_`|~09AZaz", 1, 101, "!#$%&'*+-.^_`|~09AZaz" },
        { ",", 0, 400, "" },
        { " ", 1, 400, "" },
        { "two words", 1, 400, "" },
        { "wscast.json, two words", 0, 400, "" },
        { "a/b", 1, 400, "" },
        { "a;b", 1, 400, "" },
        { "\"quoted\"", 1, 400, "" },
        { "caf\xc3\xa9", 1, 400, "" },
        { "a=b", 0, 400, "" },
        { "tab\tinside", 0, 400, "" },
        { "control\x01", 0, 400, "" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        good_request();
        r.protocols = field(cases[i].offer);
        wscast_accept(&r, spoken, 2, cases[i].any, &out);

        ok(out.status == cases[i].status
           && wscast_str_eq(out.protocol, wscast_str(cases[i].chosen,
                                                strlen(cases[i].chosen))),
           "of [%s] %s [%s] is chosen, status %u", cases[i].offer,
           cases[i].any ? "or any" : "only spoken ones", cases[i].chosen,
           cases[i].status);
    }

    good_request();
    r.protocols = field("a, wscast.text");
    wscast_accept(&r, spoken, 2, 0, &out);
    ok(out.protocol.data == r.protocols.data + 3,
       "what is chosen is a view of the offer");

    good_request();
    r.protocols = wscast_str("a\0b", 3);
    wscast_accept(&r, spoken, 2, 1, &out);
    is_int(out.status, 400, "a zero byte is no part of a token");
}


int
main(void)
{
    char  digest[WSCAST_ACCEPT_LEN];

    test_request();
    test_tokens();
    test_version();
    test_key();
    test_protocols();

    wscast_accept_key((const unsigned char *) RFC_KEY, sha1, digest);
    is_mem(digest, sizeof(digest), RFC_ACCEPT, strlen(RFC_ACCEPT),
           "a key is answered with the value of RFC 6455, 1.3");

    return done();
}
