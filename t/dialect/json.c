/* dialect/json: section 4 of the contract, field by field. */

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


static wscast_command_t
decode(const char *text)
{
    size_t            len;
    wscast_command_t  c;

    len = strlen(text);
    memcpy(unit_guard(len), text, len);
    memset(&c, 0xa5, sizeof(c));

    if (wscast_dialect_json.decode(NULL, WSCAST_DIALECT_TEXT, unit_guard(len),
                                   len, &c)
        != WSCAST_OK)
    {
        abort();
    }

    return c;
}


/* text is a command with this id, channel (NULL: none) and data. */

static void
is_command(const char *text, wscast_command_e type, const char *id,
    const char *channel, const char *data)
{
    wscast_command_t  c;

    c = decode(text);

    ok(c.type == type && c.code == 0 && c.reason == NULL
       && wscast_str_eq(c.id, s(id))
       && c.has_channel == (channel != NULL)
       && wscast_str_eq(c.channel, s(channel ? channel : ""))
       && wscast_str_eq(c.data, s(data))
       && c.flags == (type == WSCAST_CMD_PUBLISH ? WSCAST_PUB_JSON : 0),
       "understood: %s", text);
}


static void
is_invalid(const char *text, const char *id, const char *reason)
{
    wscast_command_t  c;

    c = decode(text);

    ok(c.type == WSCAST_CMD_INVALID && c.code == 400
       && wscast_str_eq(c.id, s(id)) && c.reason
       && strcmp(c.reason, reason) == 0,
       "%s: %s", reason, text);
}


static void
test_commands(void)
{
    is_command("{\"type\":\"ping\"}", WSCAST_CMD_PING, "", NULL, "");
    is_command(" { \"id\" : 7 , \"type\" : \"p\\u0069ng\" } ",
               WSCAST_CMD_PING, "7", NULL, "");
    is_command("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"room:7\"}",
               WSCAST_CMD_SUBSCRIBE, "1", "room:7", "");
    is_command("{\"type\":\"subscribe\",\"channel\":\"caf\\u00e9\\n\","
               "\"since\":{\"epoch\":\"0a\",\"offset\":5}}",
               WSCAST_CMD_SUBSCRIBE, "", "caf\xc3\xa9\n", "");
    is_command("{\"type\":\"subscribe\",\"id\":\"a\\\"b\"}",
               WSCAST_CMD_SUBSCRIBE, "\"a\\\"b\"", NULL, "");
    is_command("{\"type\":\"subscribe\",\"channel\":\"\"}",
               WSCAST_CMD_SUBSCRIBE, "", "", "");
    is_command("{\"type\":\"unsubscribe\",\"channel\":\"room:7\"}",
               WSCAST_CMD_UNSUBSCRIBE, "", "room:7", "");
    is_command("{\"type\":\"publish\",\"id\":12345678901234567890,"
               "\"channel\":\"r\",\"data\":{\"n\": 9007199254740993 },"
               "\"key\":\"k\"}",
               WSCAST_CMD_PUBLISH, "12345678901234567890", "r",
               "{\"n\": 9007199254740993 }");
    is_command("{\"type\":\"publish\",\"data\": null }",
               WSCAST_CMD_PUBLISH, "", NULL, "null");
    is_command("{\"type\":\"publish\",\"data\":\"\\ud800\"}",
               WSCAST_CMD_PUBLISH, "", NULL, "\"\\ud800\"");
    is_command("{\"type\":\"presence\",\"id\":3,\"channel\":\"r\"}",
               WSCAST_CMD_PRESENCE, "3", "r", "");
    is_command("{\"type\":\"history\",\"id\":4,\"channel\":\"r\",\"limit\":2,"
               "\"before\":9}", WSCAST_CMD_HISTORY, "4", "r", "");
    is_command("{\"type\":\"subscribe\",\"type\":\"ping\"}",
               WSCAST_CMD_PING, "", NULL, "");
}


static void
test_invalid(void)
{
    size_t            n;
    char              text[400], id[200];
    wscast_command_t  c;

    static const char *const  no_object[] = {
        "", " ", "hello", "[]", "[1]", "1", "\"a\"", "null", "{", "{}}",
        "{\"type\":\"ping\",}", "{\"type\":\"ping\"} x", "{type:1}",
        "{\"type\":\"\xff\"}", "{\"type\":\"ping\",\"id\":01}"
    };

    for (n = 0; n < sizeof(no_object) / sizeof(no_object[0]); n++) {
        is_invalid(no_object[n], "", "message is not a JSON object");
    }

    is_invalid("{}", "", "type is missing");
    is_invalid("{\"id\":1}", "1", "type is missing");
    is_invalid("{\"type\":1,\"id\":\"x\"}", "\"x\"", "type is not a string");
    is_invalid("{\"type\":\"dance\",\"id\":2}", "2", "unknown type");
    is_invalid("{\"type\":\"\\ud800\"}", "", "unknown type");
    is_invalid("{\"type\":\"Ping\"}", "", "unknown type");
    is_invalid("{\"type\":\"ping\\u0000\"}", "", "unknown type");
    is_invalid("{\"type\":\"ping\",\"id\":{}}", "",
               "id is not a string or number");
    is_invalid("{\"type\":\"ping\",\"id\":null}", "",
               "id is not a string or number");
    is_invalid("{\"type\":\"ping\",\"id\":true}", "",
               "id is not a string or number");
    is_invalid("{\"type\":\"subscribe\",\"id\":1,\"channel\":7}", "1",
               "channel is not a string");
    is_invalid("{\"type\":\"subscribe\",\"id\":1,\"channel\":\"\\ud800\"}",
               "1", "channel is not valid Unicode");
    is_invalid("{\"type\":\"subscribe\",\"id\":1,\"since\":5}", "1",
               "since is not an object");
    is_invalid("{\"type\":\"publish\",\"id\":1,\"channel\":\"r\"}", "1",
               "data is missing");
    is_invalid("{\"type\":\"publish\",\"id\":1,\"data\":1,\"key\":5}", "1",
               "key is not a string of 1 to 128 bytes");
    is_invalid("{\"type\":\"publish\",\"id\":1,\"data\":1,\"key\":\"\"}", "1",
               "key is not a string of 1 to 128 bytes");

    for (n = 128; n <= 129; n++) {
        memset(id, 'x', n);
        id[n] = '\0';
        snprintf(text, sizeof(text), "{\"type\":\"publish\",\"data\":1,"
                 "\"key\":\"%s\"}", id);
        is_int(decode(text).type, n == 128 ? WSCAST_CMD_PUBLISH
                                           : WSCAST_CMD_INVALID,
               "a key of %zu bytes is %s", n, n == 128 ? "taken" : "refused");

        memset(id, '1', n);
        snprintf(text, sizeof(text), "{\"type\":\"ping\",\"id\":%s}", id);
        c = decode(text);
        ok(c.type == (n == 128 ? WSCAST_CMD_PING : WSCAST_CMD_INVALID)
           && c.id.len == (n == 128 ? 128 : 0),
           "an id of %zu bytes is %s", n, n == 128 ? "echoed" : "refused");
    }

    memcpy(unit_guard(15), "{\"type\":\"ping\"}", 15);
    wscast_dialect_json.decode(NULL, WSCAST_DIALECT_BINARY, unit_guard(15), 15,
                               &c);
    ok(c.type == WSCAST_CMD_INVALID && c.code == 400
       && strcmp(c.reason, "binary messages are not spoken here") == 0,
       "a binary message is refused");
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
    const wscast_dialect_t  *d;

    d = &wscast_dialect_json;
    ok(d->answers && !d->any_protocol && d->variant == WSCAST_VARIANT_JSON
       && strcmp(d->name, "json") == 0
       && wscast_str_eq(d->protocol, s("wscast.json")),
       "json gives answers and takes its own subprotocol");

    test_commands();
    test_invalid();
    test_answers();
    test_messages();
    test_memory();

    return done();
}
