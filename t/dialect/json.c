/* dialect/json: what clients say, field by field. */

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
               "\"since\":{\"epoch\":\"00000000000000aF\",\"offset\":5}}",
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
test_since(void)
{
    size_t            n;
    char              text[300];
    wscast_command_t  c;

    static const char *const  epochs[] = {
        "\"0a\"", "\"00000000000000a\"", "\"00000000000000ag\"",
        "\"00000000000000a1 \"", "1", "null", "\"\\ud800aaaaaaaaaaaaa\"",
        "\"0x000000000000a1\"", "{}"
    };
    static const char *const  offsets[] = {
        "-1", "1.0", "1e3", "\"1\"", "null", "12345678901234567", "[]"
    };
    static const char *const  clients[] = {
        "\"\"", "7", "\"0123456789abcde\"", "\"0123456789abcdef0\"",
        "\"\\ud8000123456789abc\"", "null"
    };

#define SINCE(members)                                                        \
    "{\"type\":\"subscribe\",\"id\":1,\"since\":{" members "}}"

    c = decode(SINCE("\"epoch\":\"0123456789abCDEF\","
                     "\"offset\":9999999999999999"));
    ok(c.type == WSCAST_CMD_SUBSCRIBE && c.has_since && c.former.len == 0
       && c.since.epoch == 0x0123456789abcdef
       && c.since.offset == 9999999999999999, "since is read, to 16 digits");
    c = decode(SINCE("\"epoch\":\"\\u0030123456789abcdef\",\"offset\":0,"
                     "\"client\":\"\\u0041BCDEFGHIJKLMNOP\""));
    ok(c.has_since && c.since.epoch == 0x0123456789abcdef
       && c.since.offset == 0
       && wscast_str_eq(c.former, s("ABCDEFGHIJKLMNOP")),
       "written with escapes as well");
    c = decode(SINCE("\"client\":\"ABCDEFGHIJKLMNOP\",\"other\":[{}]"));
    ok(c.type == WSCAST_CMD_SUBSCRIBE && !c.has_since
       && c.former.len == WSCAST_CLIENT_ID, "a client may come alone");
    c = decode(SINCE(""));
    ok(c.type == WSCAST_CMD_SUBSCRIBE && !c.has_since && c.former.len == 0,
       "an empty since is none");
    c = decode(SINCE("\"epoch\":\"\",\"epoch\":\"00000000000000a1\","
                     "\"offset\":\"x\",\"offset\":3"));
    ok(c.has_since && c.since.epoch == 0xa1 && c.since.offset == 3,
       "of what comes twice the last counts");
    c = decode("{\"type\":\"subscribe\",\"since\":5,\"since\":{}}");
    is_int(c.type, WSCAST_CMD_SUBSCRIBE, "of since itself, too");
    c = decode("{\"type\":\"ping\",\"since\":5,\"limit\":\"x\"}");
    is_int(c.type, WSCAST_CMD_PING, "what a command has no use for is not "
           "looked at");

    for (n = 0; n < sizeof(epochs) / sizeof(epochs[0]); n++) {
        snprintf(text, sizeof(text), SINCE("\"epoch\":%s,\"offset\":1"),
                 epochs[n]);
        is_invalid(text, "1", "epoch of since is not one of ours");
    }

    for (n = 0; n < sizeof(offsets) / sizeof(offsets[0]); n++) {
        snprintf(text, sizeof(text), SINCE("\"epoch\":\"00000000000000a1\","
                                           "\"offset\":%s"), offsets[n]);
        is_invalid(text, "1", "offset of since is not a whole number");
    }

    for (n = 0; n < sizeof(clients) / sizeof(clients[0]); n++) {
        snprintf(text, sizeof(text), SINCE("\"client\":%s"), clients[n]);
        is_invalid(text, "1", "client of since is not the id of a client");
    }

    is_invalid(SINCE("\"offset\":1"), "1", "epoch of since is not one of ours");
    is_invalid(SINCE("\"epoch\":\"00000000000000a1\""), "1",
               "offset of since is not a whole number");
    is_invalid("{\"type\":\"subscribe\",\"since\":null}", "",
               "since is not an object");
    is_invalid("{\"type\":\"subscribe\",\"since\":[1]}", "",
               "since is not an object");
}


/* since is n objects deep, in a message. */

static void
test_depth(void)
{
    size_t  n, i, len;
    char    text[1000];

    for (n = 126; n <= 128; n++) {
        len = (size_t) snprintf(text, sizeof(text),
                                "{\"type\":\"subscribe\",\"since\":");

        for (i = 0; i < n; i++) {
            len += (size_t) snprintf(text + len, sizeof(text) - len, "{\"\":");
        }

        text[len++] = '1';
        memset(text + len, '}', n + 1);
        text[len + n + 1] = '\0';

        is_int(decode(text).type, n < 128 ? WSCAST_CMD_SUBSCRIBE
                                          : WSCAST_CMD_INVALID,
               "%zu levels are %s", n + 1, n < 128 ? "read" : "too many");
    }
}


static void
test_pages(void)
{
    size_t            n;
    char              text[200];
    wscast_command_t  c;

    static const char *const  limits[] = {
        "0", "1001", "-1", "\"5\"", "1.5", "1e1", "null", "99999999999999999"
    };
    static const char *const  befores[] = {
        "0", "-1", "\"5\"", "1.5", "12345678901234567", "{}"
    };
    static const char *const  afters[] = {
        "5", "\"\"", "\"0\"", "\"x\"", "\"-1\"", "\"12345678901234567\"",
        "\"\\ud800\"", "null"
    };

    c = decode("{\"type\":\"history\"}");
    ok(c.type == WSCAST_CMD_HISTORY && c.limit == 0 && c.before == 0
       && c.after == 0, "a page needs nothing");
    c = decode("{\"type\":\"history\",\"limit\":1000,"
               "\"before\":9999999999999999}");
    ok(c.limit == 1000 && c.before == 9999999999999999,
       "limit and before are read");
    c = decode("{\"type\":\"presence\",\"limit\":1,\"after\":\"\\u0034\"}");
    ok(c.type == WSCAST_CMD_PRESENCE && c.limit == 1 && c.after == 4,
       "limit and after are read");

    for (n = 0; n < sizeof(limits) / sizeof(limits[0]); n++) {
        snprintf(text, sizeof(text), "{\"type\":\"history\",\"limit\":%s}",
                 limits[n]);
        is_invalid(text, "", "limit is not a number from 1 to 1000");
    }

    for (n = 0; n < sizeof(befores) / sizeof(befores[0]); n++) {
        snprintf(text, sizeof(text), "{\"type\":\"history\",\"before\":%s}",
                 befores[n]);
        is_invalid(text, "", "before is not an offset");
    }

    for (n = 0; n < sizeof(afters) / sizeof(afters[0]); n++) {
        snprintf(text, sizeof(text), "{\"type\":\"presence\",\"after\":%s}",
                 afters[n]);
        is_invalid(text, "", "after is not the next of an answer");
    }
}


static void
test_token(void)
{
    wscast_command_t  c;

    c = decode("{\"type\":\"token\",\"id\":1,\"token\":\"a\\u002eb.c\"}");
    ok(c.type == WSCAST_CMD_TOKEN && wscast_str_eq(c.token, s("a.b.c")),
       "a token is read");
    c = decode("{\"type\":\"token\",\"token\":\"\"}");
    ok(c.type == WSCAST_CMD_TOKEN && c.token.len == 0, "an empty one, too");
    is_invalid("{\"type\":\"token\",\"id\":1}", "1", "token is missing");
    is_invalid("{\"type\":\"token\",\"token\":5}", "",
               "token is not a string");
    is_invalid("{\"type\":\"token\",\"token\":\"\\ud800\"}", "",
               "token is not a string");
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
    test_since();
    test_depth();
    test_pages();
    test_token();

    return done();
}
