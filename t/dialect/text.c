/* libs: -lcjson */

/* dialect/text: everything is published as it came, but for the ping. */

#include "../lib/unit.h"

#include <cjson/cJSON.h>

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/json_events.c"
#include "../../src/dialect/text.c"
#include "../../src/dialect/dialect.c"


#define TEXT    WSCAST_DIALECT_TEXT
#define BINARY  WSCAST_DIALECT_BINARY


static wscast_heartbeat_t  hb;


static const char *const  pings[] = {
    "{\"type\":\"ping\"}", "{ \"type\" : \"ping\" }",
    "\n{\"type\":\"ping\"}\t", "{\"type\":\"p\\u0069ng\"}",
    "{\"t\\u0079pe\":\"ping\"}"
};


static const char *const  others[] = {
    "", " ", "ping", "\"ping\"", "{}", "{\"type\":\"pong\"}",
    "{\"type\":\"ping\\u0000\"}", "{\"type\\u0000x\":\"ping\"}",
    "{\"type\":\"Ping\"}", "{\"Type\":\"ping\"}",
    "{\"type\":\"ping\",\"n\":1}", "{\"type\":\"ping\",}",
    "{\"type\":\"ping\"}x", "[{\"type\":\"ping\"}]", "{\"type\":[\"ping\"]}",
    "{\"type\":\"ping\"", "{\"type\":\"ping\",\"type\":\"pong\"}"
};


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static wscast_command_t
decode(unsigned opcode, const void *data, size_t len)
{
    wscast_command_t  c;

    if (len) {
        memcpy(unit_guard(len), data, len);
    }

    memset(&c, 0xa5, sizeof(c));

    if (wscast_dialect_text.decode(&hb, opcode, unit_guard(len), len, &c)
        != WSCAST_OK)
    {
        abort();
    }

    return c;
}


static void
test_ping(void)
{
    size_t            i, len;
    char              big[2000];
    wscast_command_t  c;

    for (i = 0; i < sizeof(pings) / sizeof(pings[0]); i++) {
        c = decode(TEXT, pings[i], strlen(pings[i]));
        is_int(c.type, WSCAST_CMD_PING, "%s is the ping", pings[i]);
    }

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        len = strlen(others[i]);
        c = decode(TEXT, others[i], len);
        ok(c.type == WSCAST_CMD_PUBLISH && c.flags == 0
           && wscast_str_eq(c.data, s(others[i])),
           "'%s' is published as it came", others[i]);
    }

    c = decode(BINARY, pings[0], strlen(pings[0]));
    ok(c.type == WSCAST_CMD_PUBLISH && c.flags == WSCAST_PUB_BINARY,
       "a binary message is published, also if it looks like a ping");

    memset(big, ' ', sizeof(big));
    memcpy(big, "{\"type\":\"ping\"", 14);
    big[sizeof(big) - 1] = '}';
    is_int(decode(TEXT, big, sizeof(big)).type, WSCAST_CMD_PUBLISH,
           "a long message is not compared as JSON");

    wscast_heartbeat_done(&hb);
    is_int(decode(TEXT, pings[0], strlen(pings[0])).type, WSCAST_CMD_PUBLISH,
           "without heartbeat a ping is published");

    is_int(wscast_heartbeat_init(&hb, s("PING"), s("PONG")), WSCAST_OK,
           "a heartbeat need not be JSON");
    is_int(decode(TEXT, "PING", 4).type, WSCAST_CMD_PING,
           "then it is compared byte by byte");
    is_int(decode(TEXT, " PING", 5).type, WSCAST_CMD_PUBLISH,
           "and every other byte makes a message");
    wscast_heartbeat_done(&hb);

    wscast_heartbeat_init(&hb, s(pings[0]), s("{\"type\":\"pong\"}"));
}


static void *
no_memory(size_t size)
{
    return NULL;
}


static void
test_memory(void)
{
    wscast_heartbeat_t  poor;
    cJSON_Hooks         hooks = { no_memory, free };

    cJSON_InitHooks(&hooks);

    is_int(wscast_heartbeat_init(&poor, s(pings[0]), s("x")), WSCAST_NOMEM,
           "without memory a heartbeat of JSON fails");
    is_int(wscast_heartbeat_init(&poor, s("PING"), s("x")), WSCAST_OK,
           "and one of bytes does not");
    wscast_heartbeat_done(&poor);

    is_int(decode(TEXT, pings[1], strlen(pings[1])).type, WSCAST_CMD_PUBLISH,
           "without memory a ping that is spelled differently is a message");
    is_int(decode(TEXT, pings[0], strlen(pings[0])).type, WSCAST_CMD_PING,
           "and the operator's own spelling is still the ping");

    cJSON_InitHooks(NULL);
}


/* What an event becomes: the opcode, and its payload is expected. */

static void
tells(const wscast_event_t *e, unsigned opcode, const char *expected,
    size_t len, const char *what)
{
    unsigned          got;
    wscast_str_t      out;
    wscast_builder_t  b;

    wscast_builder_init(&b, 0);
    got = wscast_dialect_text.encode(&hb, e, &b);
    out = wscast_builder_payload(&b);

    ok(got == opcode && wscast_str_eq(out, wscast_str(expected, len)),
       "%s", what);

    wscast_builder_drop(&b);
}


static void
test_encode(void)
{
    wscast_event_t       e;
    wscast_pub_fields_t  f;

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));

    e.type = WSCAST_EVENT_WELCOME;
    e.client = s("c1");
    tells(&e, 0, "", 0, "without a welcome nothing is told");

    e.msg = s("{\"type\":\"welcome\",\"msg\":\"Welcome!\"}");
    tells(&e, TEXT, (const char *) e.msg.data, e.msg.len,
          "the welcome is the operator's text");

    e.msg = s("\xff");
    tells(&e, BINARY, "\xff", 1,
          "a welcome that is not UTF-8 never goes into a text frame");

    e.type = WSCAST_EVENT_PONG;
    tells(&e, TEXT, "{\"type\":\"pong\"}", 15, "the pong is the operator's");

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;
    f.data = s("hello");
    tells(&e, TEXT, "hello", 5, "data of a text message goes as text");

    f.flags = WSCAST_PUB_JSON;
    f.data = s("{\"id\":9007199254740993}");
    tells(&e, TEXT, "{\"id\":9007199254740993}", 23,
          "data of a json client goes as its JSON text");

    f.flags = WSCAST_PUB_BINARY;
    f.data = wscast_str("a\0b", 3);
    tells(&e, BINARY, "a\0b", 3, "binary data goes as binary");

    f.flags = 0;
    f.data = wscast_str("a\xff", 2);
    tells(&e, BINARY, "a\xff", 2, "data that is not UTF-8 goes as binary");

    f.data = wscast_str(NULL, 0);
    tells(&e, TEXT, "", 0, "an empty message is a message");

    f.kind = WSCAST_PUB_JOIN;
    tells(&e, 0, "", 0, "a join is not told");
    f.kind = WSCAST_PUB_LEAVE;
    tells(&e, 0, "", 0, "a leave is not told");
    f.kind = WSCAST_PUB_STALE;
    tells(&e, 0, "", 0, "nor that some may be missing");

    e.reason = "no";
    e.type = WSCAST_EVENT_SUBSCRIBED;
    tells(&e, 0, "", 0, "subscribed is not told");
    e.type = WSCAST_EVENT_UNSUBSCRIBED;
    tells(&e, 0, "", 0, "unsubscribed is not told");
    e.type = WSCAST_EVENT_PUBLISHED;
    tells(&e, 0, "", 0, "published is not told");
    e.type = WSCAST_EVENT_ERROR;
    tells(&e, 0, "", 0, "an error is not told");
    e.type = WSCAST_EVENT_DISCONNECT;
    tells(&e, 0, "", 0, "disconnect is not told");
}


int
main(void)
{
    const wscast_dialect_t  *d;

    wscast_heartbeat_init(&hb, s(pings[0]), s("{\"type\":\"pong\"}"));

    d = &wscast_dialect_text;
    ok(wscast_dialect_find(s("text")) == d, "text is found by its name");
    ok(wscast_dialect_find(s("json")) == &wscast_dialect_json, "so is json");
    ok(wscast_dialect_find(s("tex")) == NULL
       && wscast_dialect_find(s("")) == NULL, "no other name is known");
    ok(!d->answers && d->any_protocol && d->variant == WSCAST_VARIANT_TEXT
       && wscast_str_eq(d->protocol, s("wscast.text")),
       "text gives no answers and takes any subprotocol");

    test_ping();
    test_encode();
    test_memory();

    wscast_heartbeat_done(&hb);
    is_int(unit_live, 0, "nothing is left allocated");

    return done();
}
