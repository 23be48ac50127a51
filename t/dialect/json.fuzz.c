/* libs: -lcjson */

/*
 * dialect/json and text: any message becomes a command whose views lie inside
 * of it, and every answer and delivery of it is one JSON value in UTF-8.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/json_events.c"
#include "../../src/dialect/text.c"
#include "../../src/dialect/dialect.c"


static void
tells(const wscast_dialect_t *d, const wscast_heartbeat_t *hb,
    const wscast_event_t *e)
{
    unsigned          opcode;
    wscast_str_t      s;
    wscast_builder_t  b;

    wscast_builder_init(&b, 0);
    opcode = d->encode(hb, e, &b);
    s = wscast_builder_payload(&b);

    must(opcode <= WSCAST_DIALECT_BINARY);
    must(opcode || s.len == 0);
    must(opcode != WSCAST_DIALECT_TEXT || wscast_utf8_valid(s));
    must(d != &wscast_dialect_json
         || (opcode == WSCAST_DIALECT_TEXT && wscast_json_valid(s)));

    wscast_builder_drop(&b);
}


static void
told(const wscast_heartbeat_t *hb, const wscast_event_t *e)
{
    tells(&wscast_dialect_json, hb, e);
    tells(&wscast_dialect_text, hb, e);
}


static void
command(const wscast_heartbeat_t *hb, wscast_command_t *c,
    const uint8_t *data, size_t len)
{
    wscast_event_t       e;
    wscast_pub_fields_t  f;

    must(c->id.len == 0
         || (c->id.data >= data && c->id.data + c->id.len <= data + len));
    must(c->id.len <= WSCAST_JSON_ID_MAX);
    must(c->channel.len == 0 || wscast_utf8_valid(c->channel));
    must((c->type == WSCAST_CMD_INVALID)
         == (c->code == 400 && c->reason != NULL));

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));

    e.id = c->id;
    e.channel = c->channel;
    e.client = c->channel;
    e.code = 400;
    e.reason = c->reason ? c->reason : "no reason";

    for (e.type = WSCAST_EVENT_WELCOME; e.type <= WSCAST_EVENT_DISCONNECT;
         e.type++)
    {
        if (e.type != WSCAST_EVENT_MESSAGE) {
            told(hb, &e);
        }
    }

    if (c->type != WSCAST_CMD_PUBLISH) {
        return;
    }

    must(c->data.len == 0
         || (c->data.data >= data && c->data.data + c->data.len <= data + len));

    f.channel = c->channel;
    f.data = c->data;
    f.flags = c->flags | WSCAST_PUB_POSITION;

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;

    told(hb, &e);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned              opcode;
    unsigned char        *copy;
    wscast_event_t        e;
    wscast_command_t      c;
    wscast_heartbeat_t    hb;
    wscast_pub_fields_t   f;

    must(wscast_heartbeat_init(&hb, wscast_str("{\"type\":\"ping\"}", 15),
                               wscast_str("{\"type\":\"pong\"}", 15))
         == WSCAST_OK);

    copy = malloc(len + !len);
    must(copy != NULL);

    for (opcode = WSCAST_DIALECT_TEXT; opcode <= WSCAST_DIALECT_BINARY;
         opcode++)
    {
        if (len) {
            memcpy(copy, data, len);
        }

        must(wscast_dialect_json.decode(&hb, opcode, copy, len, &c)
             == WSCAST_OK);
        must(opcode == WSCAST_DIALECT_TEXT || c.type == WSCAST_CMD_INVALID);
        command(&hb, &c, copy, len);

        if (len) {
            memcpy(copy, data, len);
        }

        must(wscast_dialect_text.decode(&hb, opcode, copy, len, &c)
             == WSCAST_OK);
        must(len == 0 || memcmp(copy, data, len) == 0);
        must(c.type == WSCAST_CMD_PUBLISH
             || (c.type == WSCAST_CMD_PING && opcode == WSCAST_DIALECT_TEXT));
        command(&hb, &c, copy, len);
    }

    /* whatever comes from elsewhere must not spoil a frame */

    memset(&e, 0, sizeof(e));
    memset(&f, 0, sizeof(f));

    f.channel = f.client = f.user = f.info = f.data = wscast_str(copy, len);
    e.client = e.user = e.msg = f.data;
    e.type = WSCAST_EVENT_WELCOME;
    told(&hb, &e);

    e.type = WSCAST_EVENT_MESSAGE;
    e.pub = &f;

    for (f.kind = 0; f.kind < WSCAST_PUB_KINDS; f.kind++) {
        told(&hb, &e);
    }

    free(copy);
    wscast_heartbeat_done(&hb);

    return 0;
}
