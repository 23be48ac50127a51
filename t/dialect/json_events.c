/* dialect/json_events: what the server says, field by field. */

#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/json_events.c"


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
tells(const wscast_event_t *e, const char *expected)
{
    int               valid;
    unsigned          opcode;
    wscast_str_t      out;
    wscast_builder_t  b;

    wscast_builder_init(&b, 0);
    opcode = wscast_dialect_json.encode(NULL, e, &b);
    out = wscast_builder_payload(&b);
    valid = wscast_json_valid(out);

    is_mem(out.data, out.len, expected, strlen(expected), "told: %s",
           expected);

    if (opcode != WSCAST_DIALECT_TEXT || !valid) {
        ok(0, "it is one JSON text in a text frame");
    }

    wscast_builder_drop(&b);
}


static void
test_answers(void)
{
    wscast_event_t  e;

    memset(&e, 0, sizeof(e));

    e.type = WSCAST_EVENT_WELCOME;
    e.client = s("c1");
    e.ping = 25;
    tells(&e, "{\"type\":\"welcome\",\"client\":\"c1\",\"ping\":25}");

    e.user = s("a\"nn");
    e.msg = s("Welcome!");
    tells(&e, "{\"type\":\"welcome\",\"client\":\"c1\",\"user\":\"a\\\"nn\","
          "\"ping\":25,\"msg\":\"Welcome!\"}");

    e.msg = s("{\"a\":[1]}");
    tells(&e, "{\"type\":\"welcome\",\"client\":\"c1\",\"user\":\"a\\\"nn\","
          "\"ping\":25,\"msg\":{\"a\":[1]}}");

    e.type = WSCAST_EVENT_PONG;
    tells(&e, "{\"type\":\"pong\"}");
    e.id = s("\"x\"");
    tells(&e, "{\"type\":\"pong\",\"id\":\"x\"}");

    e.channel = s("room:7");
    e.id = s("1");
    e.type = WSCAST_EVENT_SUBSCRIBED;
    tells(&e, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"room:7\"}");
    e.type = WSCAST_EVENT_UNSUBSCRIBED;
    tells(&e, "{\"type\":\"unsubscribed\",\"id\":1,\"channel\":\"room:7\"}");
    e.id = s("");
    tells(&e, "{\"type\":\"unsubscribed\",\"channel\":\"room:7\"}");
    e.id = s("2.50");
    e.type = WSCAST_EVENT_PUBLISHED;
    tells(&e, "{\"type\":\"published\",\"id\":2.50,\"channel\":\"room:7\"}");

    e.type = WSCAST_EVENT_ERROR;
    e.code = 403;
    e.reason = "not allowed to publish to";
    tells(&e, "{\"type\":\"error\",\"id\":2.50,\"code\":403,"
          "\"reason\":\"not allowed to publish to room:7\"}");

    e.id = s("");
    e.channel = s("a\"b\xff");
    tells(&e, "{\"type\":\"error\",\"code\":403,"
          "\"reason\":\"not allowed to publish to a\\\"b\xef\xbf\xbd\"}");

    e.channel = s("");
    e.code = 400;
    e.reason = "unknown type";
    tells(&e, "{\"type\":\"error\",\"code\":400,\"reason\":\"unknown type\"}");

    e.type = WSCAST_EVENT_DISCONNECT;
    tells(&e, "{\"type\":\"disconnect\",\"reconnect\":true}");
}


static void
test_positions(void)
{
    wscast_event_t       e;
    wscast_pub_fields_t  f;

#define AT  "\"epoch\":\"0000000000000abc\",\"offset\":12"

    memset(&e, 0, sizeof(e));
    e.type = WSCAST_EVENT_SUBSCRIBED;
    e.channel = s("r");
    e.recovery = WSCAST_RECOVERY_FAILED;
    tells(&e, "{\"type\":\"subscribed\",\"channel\":\"r\","
          "\"recovered\":false}");
    e.position.epoch = 0xabc;
    e.position.offset = 12;
    tells(&e, "{\"type\":\"subscribed\",\"channel\":\"r\"," AT
          ",\"recovered\":false}");
    e.recovery = WSCAST_RECOVERY_DONE;
    e.member.client = s("m");
    e.id = s("1");
    tells(&e, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"r\"," AT
          ",\"recovered\":true,\"member\":\"m\"}");
    e.recovery = WSCAST_RECOVERY_NONE;
    e.position.offset = 0;
    e.member.client = s("");
    tells(&e, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"r\","
          "\"epoch\":\"0000000000000abc\",\"offset\":0}");
    e.position.offset = 12;
    e.type = WSCAST_EVENT_PUBLISHED;
    tells(&e, "{\"type\":\"published\",\"id\":1,\"channel\":\"r\"," AT "}");

    e.type = WSCAST_EVENT_HISTORY;
    tells(&e, "{\"type\":\"history\",\"id\":1,\"channel\":\"r\"," AT
          ",\"messages\":[]}");
    e.items = s("{},{}");
    e.more = 1;
    tells(&e, "{\"type\":\"history\",\"id\":1,\"channel\":\"r\"," AT
          ",\"messages\":[{},{}],\"more\":true}");

    e.type = WSCAST_EVENT_PRESENCE;
    e.total = 7;
    tells(&e, "{\"type\":\"presence\",\"id\":1,\"channel\":\"r\","
          "\"members\":[{},{}],\"total\":7}");
    e.next = 18446744073709551615ull;
    tells(&e, "{\"type\":\"presence\",\"id\":1,\"channel\":\"r\","
          "\"members\":[{},{}],\"total\":7,"
          "\"next\":\"18446744073709551615\"}");

    e.type = WSCAST_EVENT_MEMBER;
    e.member.client = s("c\"1");
    tells(&e, "{\"client\":\"c\\\"1\"}");
    e.member.user = s("ann");
    e.member.info = s("[1]");
    tells(&e, "{\"client\":\"c\\\"1\",\"user\":\"ann\",\"info\":[1]}");
    e.member.info = s("[1");
    tells(&e, "{\"client\":\"c\\\"1\",\"user\":\"ann\"}");

    e.type = WSCAST_EVENT_TOKEN;
    tells(&e, "{\"type\":\"token\",\"id\":1}");
    e.expires = 1700000000;
    tells(&e, "{\"type\":\"token\",\"id\":1,\"expires\":1700000000}");

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));
    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;
    f.kind = WSCAST_PUB_BROKEN;
    f.channel = s("r");
    f.epoch = 0xabc;
    f.offset = 12;
    tells(&e, "{\"type\":\"subscribed\",\"channel\":\"r\"," AT
          ",\"recovered\":false}");
}


static void
test_messages(void)
{
    wscast_event_t       e;
    wscast_pub_fields_t  f;

#define MESSAGE(data)                                                         \
    "{\"type\":\"message\",\"channel\":\"r\",\"data\":" data ",\"time\":5}"

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;
    f.channel = s("r");
    f.time = 5;

    f.flags = WSCAST_PUB_JSON;
    f.data = s("{\"n\": 9007199254740993}");
    tells(&e, MESSAGE("{\"n\": 9007199254740993}"));

    f.flags = 0;
    tells(&e, MESSAGE("{\"n\": 9007199254740993}"));

    f.data = s("he said \"hi\"\n");
    tells(&e, MESSAGE("\"he said \\\"hi\\\"\\n\""));
    f.data = s("");
    tells(&e, MESSAGE("\"\""));
    f.data = s("01");
    tells(&e, MESSAGE("\"01\""));
    f.data = s("a\xff");
    tells(&e, MESSAGE("{\"base64\":\"Yf8=\"}"));

    f.flags = WSCAST_PUB_BINARY;
    f.data = s("{}");
    tells(&e, MESSAGE("{\"base64\":\"e30=\"}"));

    f.flags = WSCAST_PUB_POSITION;
    f.data = s("1");
    f.epoch = 0x00ab000000000f01;
    f.offset = 18446744073709551615ull;
    f.user = s("ann");
    f.client = s("c1");
    f.time = 1700000000123;
    tells(&e, "{\"type\":\"message\",\"channel\":\"r\",\"data\":1,"
          "\"epoch\":\"00ab000000000f01\",\"offset\":18446744073709551615,"
          "\"user\":\"ann\",\"client\":\"c1\",\"time\":1700000000123}");

    f.user = s("an\xff");
    f.flags = 0;
    tells(&e, "{\"type\":\"message\",\"channel\":\"r\",\"data\":1,"
          "\"user\":\"an\xef\xbf\xbd\",\"client\":\"c1\","
          "\"time\":1700000000123}");

    f.user = s("ann");
    f.kind = WSCAST_PUB_JOIN;
    f.info = s("{\"age\":7}");
    tells(&e, "{\"type\":\"join\",\"channel\":\"r\",\"client\":\"c1\","
          "\"user\":\"ann\",\"info\":{\"age\":7}}");

    f.info = s("no json");
    f.user = s("");
    tells(&e, "{\"type\":\"join\",\"channel\":\"r\",\"client\":\"c1\"}");

    f.kind = WSCAST_PUB_LEAVE;
    f.info = s("{\"age\":7}");
    tells(&e, "{\"type\":\"leave\",\"channel\":\"r\",\"client\":\"c1\"}");

    f.kind = WSCAST_PUB_STALE;
    tells(&e, "{\"type\":\"presence\",\"channel\":\"r\",\"stale\":true}");
}


static void
test_memory(void)
{
    size_t               n;
    unsigned             opcode;
    char                 data[500];
    wscast_event_t       e;
    wscast_builder_t     b;
    wscast_prepared_t   *frame;
    wscast_pub_fields_t  f;

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));
    memset(data, '\n', sizeof(data));

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;
    f.channel = s("r");
    f.data = wscast_str(data, sizeof(data));

    for (n = 1; n < 20; n++) {
        unit_alloc_reset(n);

        wscast_builder_init(&b, 0);
        opcode = wscast_dialect_json.encode(NULL, &e, &b);
        frame = wscast_builder_finish(&b, (unsigned char *) "h", 1);

        if (frame) {
            break;
        }

        ok(opcode == WSCAST_DIALECT_TEXT && unit_live == 0,
           "when allocation %zu fails there is no frame and no leak", n);
    }

    ok(n > 3 && n < 20, "a message grows several times");
    unit_alloc_reset(0);
    wscast_prepared_release(frame);
    is_int(unit_live, 0, "nothing is left allocated");
}


int
main(void)
{
    test_answers();
    test_positions();
    test_messages();
    test_memory();

    return done();
}
