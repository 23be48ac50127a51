#include <cjson/cJSON.h>

#include "dialect.h"
#include "../base/scan.h"
#include "../base/utf8.h"


/*
 * A message that spells the operator's ping differently may be longer by so
 * much; without a limit every long JSON message would be parsed for nothing.
 */

#define WSCAST_TEXT_PING_SPARE  512


static wscast_status_t wscast_text_decode(const wscast_heartbeat_t *hb,
    unsigned opcode, unsigned char *data, size_t len, wscast_command_t *c);
static unsigned wscast_text_encode(const wscast_heartbeat_t *hb,
    const wscast_event_t *e, wscast_builder_t *b);
static int wscast_text_is_ping(const wscast_heartbeat_t *hb,
    wscast_str_t message);
static int wscast_text_begins(wscast_str_t s);
static int wscast_text_has_nul(wscast_str_t s);
static unsigned wscast_text_put(wscast_builder_t *b, wscast_str_t s);


const wscast_dialect_t  wscast_dialect_text = {
    .name = "text",
    .variant = WSCAST_VARIANT_TEXT,
    .answers = 0,
    .any_protocol = 1,
    .protocol = wscast_string("wscast.text"),
    .decode = wscast_text_decode,
    .encode = wscast_text_encode
};


static wscast_status_t
wscast_text_decode(const wscast_heartbeat_t *hb, unsigned opcode,
    unsigned char *data, size_t len, wscast_command_t *c)
{
    memset(c, 0, sizeof(wscast_command_t));

    if (opcode != WSCAST_DIALECT_BINARY
        && wscast_text_is_ping(hb, wscast_str(data, len)))
    {
        c->type = WSCAST_CMD_PING;
        return WSCAST_OK;
    }

    c->type = WSCAST_CMD_PUBLISH;
    c->data = wscast_str(data, len);
    c->flags = opcode == WSCAST_DIALECT_BINARY ? WSCAST_PUB_BINARY : 0;

    return WSCAST_OK;
}


static int
wscast_text_is_ping(const wscast_heartbeat_t *hb, wscast_str_t message)
{
    int     equal;
    cJSON  *json;

    if (hb == NULL || !hb->on) {
        return 0;
    }

    if (wscast_str_eq(message, hb->in)) {
        return 1;
    }

    if (hb->in_json == NULL
        || message.len > hb->in.len + WSCAST_TEXT_PING_SPARE
        || wscast_text_begins(message) != wscast_text_begins(hb->in)
        || !wscast_json_valid(message))
    {
        return 0;
    }

    json = cJSON_ParseWithLength((const char *) message.data, message.len);

    equal = json
            && cJSON_Compare(json, hb->in_json, 1)
            && !wscast_text_has_nul(message);

    cJSON_Delete(json);

    return equal;
}


/* The first byte that is no white space, or -1. */

static int
wscast_text_begins(wscast_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (memchr(" \t\r\n", s.data[i], 4) == NULL) {
            return s.data[i];
        }
    }

    return -1;
}


/*
 * To cJSON a string ends at an escaped zero byte, so "ping\u0000" would be
 * equal to "ping" and be lost.
 */

static int
wscast_text_has_nul(wscast_str_t s)
{
    size_t  i;

    for (i = 0; i + 6 <= s.len; i++) {
        if (memcmp(s.data + i, "\\u0000", 6) == 0) {
            return 1;
        }
    }

    return 0;
}


static unsigned
wscast_text_encode(const wscast_heartbeat_t *hb, const wscast_event_t *e,
    wscast_builder_t *b)
{
    switch (e->type) {

    case WSCAST_EVENT_WELCOME:
        return e->msg.len ? wscast_text_put(b, e->msg) : 0;

    case WSCAST_EVENT_PONG:
        return hb && hb->on ? wscast_text_put(b, hb->out) : 0;

    case WSCAST_EVENT_MESSAGE:
        if (e->pub->kind != WSCAST_PUB_MESSAGE) {
            return 0;
        }

        if (e->pub->flags & WSCAST_PUB_BINARY) {
            wscast_builder_str(b, e->pub->data);
            return WSCAST_DIALECT_BINARY;
        }

        return wscast_text_put(b, e->pub->data);

    default:
        return 0;
    }
}


/*
 * A text frame of bytes that are not UTF-8 would make the receiver fail the
 * connection (RFC 6455, 8.1), whoever published them.
 */

static unsigned
wscast_text_put(wscast_builder_t *b, wscast_str_t s)
{
    wscast_builder_str(b, s);

    return wscast_utf8_valid(s) ? WSCAST_DIALECT_TEXT : WSCAST_DIALECT_BINARY;
}
