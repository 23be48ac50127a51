#include "json_inner.h"
#include "../base/scan.h"


#define WSCAST_JSON_ID_MAX   128    /* bytes of an id, as it came */
#define WSCAST_JSON_KEY_MAX  128    /* bytes of a key, decoded */
#define WSCAST_JSON_LIMIT    1000   /* items of an answer */


typedef enum {
    WSCAST_FIELD_TYPE = 0,
    WSCAST_FIELD_ID,
    WSCAST_FIELD_CHANNEL,
    WSCAST_FIELD_DATA,
    WSCAST_FIELD_SINCE,
    WSCAST_FIELD_KEY,
    WSCAST_FIELD_LIMIT,
    WSCAST_FIELD_BEFORE,
    WSCAST_FIELD_AFTER,
    WSCAST_FIELD_TOKEN,
    WSCAST_FIELDS
} wscast_json_field_e;


static wscast_status_t wscast_json_read(const wscast_heartbeat_t *hb,
    unsigned opcode, unsigned char *data, size_t len, wscast_command_t *c);
static const char *wscast_json_command(const wscast_json_member_t *m,
    wscast_command_t *c);
static const char *wscast_json_id(wscast_str_t v, wscast_command_t *c);
static const char *wscast_json_type(wscast_str_t v, wscast_command_e *type);
static const char *wscast_json_channel(wscast_str_t v, wscast_command_t *c);
static const char *wscast_json_publish(const wscast_json_member_t *m,
    wscast_command_t *c);
static const char *wscast_json_since(wscast_str_t v, wscast_command_t *c);
static const char *wscast_json_page(const wscast_json_member_t *m,
    wscast_command_t *c);
static const char *wscast_json_token(wscast_str_t v, wscast_command_t *c);
static wscast_status_t wscast_json_number(wscast_str_t v, uint64_t *n);
static wscast_status_t wscast_json_epoch(wscast_str_t v, uint64_t *epoch);
static wscast_status_t wscast_json_take(wscast_str_t v, wscast_str_t *out);

const wscast_dialect_t  wscast_dialect_json = {
    .name = "json",
    .variant = WSCAST_VARIANT_JSON,
    .answers = 1,
    .any_protocol = 0,
    .protocol = wscast_string("wscast.json"),
    .decode = wscast_json_read,
    .encode = wscast_json_write
};


static const struct {
    wscast_str_t        name;
    wscast_command_e    type;
} wscast_json_commands[] = {
    { wscast_string("publish"),     WSCAST_CMD_PUBLISH },
    { wscast_string("ping"),        WSCAST_CMD_PING },
    { wscast_string("subscribe"),   WSCAST_CMD_SUBSCRIBE },
    { wscast_string("unsubscribe"), WSCAST_CMD_UNSUBSCRIBE },
    { wscast_string("presence"),    WSCAST_CMD_PRESENCE },
    { wscast_string("history"),     WSCAST_CMD_HISTORY },
    { wscast_string("token"),       WSCAST_CMD_TOKEN }
};


static wscast_status_t
wscast_json_read(const wscast_heartbeat_t *hb, unsigned opcode,
    unsigned char *data, size_t len, wscast_command_t *c)
{
    wscast_json_member_t  m[WSCAST_FIELDS] = {
        [WSCAST_FIELD_TYPE] = { .name = wscast_string("type") },
        [WSCAST_FIELD_ID] = { .name = wscast_string("id") },
        [WSCAST_FIELD_CHANNEL] = { .name = wscast_string("channel") },
        [WSCAST_FIELD_DATA] = { .name = wscast_string("data") },
        [WSCAST_FIELD_SINCE] = { .name = wscast_string("since") },
        [WSCAST_FIELD_KEY] = { .name = wscast_string("key") },
        [WSCAST_FIELD_LIMIT] = { .name = wscast_string("limit") },
        [WSCAST_FIELD_BEFORE] = { .name = wscast_string("before") },
        [WSCAST_FIELD_AFTER] = { .name = wscast_string("after") },
        [WSCAST_FIELD_TOKEN] = { .name = wscast_string("token") }
    };

    (void) hb;

    memset(c, 0, sizeof(wscast_command_t));

    if (opcode == WSCAST_DIALECT_BINARY) {
        c->reason = "binary messages are not spoken here";

    } else if (wscast_json_members(wscast_str(data, len), m, WSCAST_FIELDS)
               != WSCAST_OK)
    {
        c->reason = "message is not a JSON object";

    } else {
        c->reason = wscast_json_command(m, c);
    }

    if (c->reason) {
        c->type = WSCAST_CMD_INVALID;
        c->code = 400;
    }

    return WSCAST_OK;
}


/* NULL, or what is wrong. */

static const char *
wscast_json_command(const wscast_json_member_t *m, wscast_command_t *c)
{
    const char  *wrong;

    /* the id comes first, so that every other error can be matched to it */

    wrong = wscast_json_id(m[WSCAST_FIELD_ID].value, c);

    if (wrong == NULL) {
        wrong = wscast_json_type(m[WSCAST_FIELD_TYPE].value, &c->type);
    }

    if (wrong == NULL) {
        wrong = wscast_json_channel(m[WSCAST_FIELD_CHANNEL].value, c);
    }

    if (wrong) {
        return wrong;
    }

    switch (c->type) {

    case WSCAST_CMD_PUBLISH:
        return wscast_json_publish(m, c);

    case WSCAST_CMD_SUBSCRIBE:
        return wscast_json_since(m[WSCAST_FIELD_SINCE].value, c);

    case WSCAST_CMD_HISTORY:
    case WSCAST_CMD_PRESENCE:
        return wscast_json_page(m, c);

    case WSCAST_CMD_TOKEN:
        return wscast_json_token(m[WSCAST_FIELD_TOKEN].value, c);

    default:
        return NULL;
    }
}


static const char *
wscast_json_id(wscast_str_t v, wscast_command_t *c)
{
    if (v.len == 0) {
        return NULL;
    }

    if (!wscast_json_is_string(v) && !wscast_json_is_number(v)) {
        return "id is not a string or number";
    }

    if (v.len > WSCAST_JSON_ID_MAX) {
        return "id is too long";
    }

    c->id = v;

    return NULL;
}


static const char *
wscast_json_type(wscast_str_t v, wscast_command_e *type)
{
    size_t        i;
    wscast_str_t  name;

    if (v.len == 0) {
        return "type is missing";
    }

    if (!wscast_json_is_string(v)) {
        return "type is not a string";
    }

    if (wscast_json_take(v, &name) == WSCAST_OK) {

        for (i = 0;
             i < sizeof(wscast_json_commands) / sizeof(wscast_json_commands[0]);
             i++)
        {
            if (wscast_str_eq(name, wscast_json_commands[i].name)) {
                *type = wscast_json_commands[i].type;
                return NULL;
            }
        }
    }

    return "unknown type";
}


static const char *
wscast_json_channel(wscast_str_t v, wscast_command_t *c)
{
    if (v.len == 0) {
        return NULL;
    }

    if (!wscast_json_is_string(v)) {
        return "channel is not a string";
    }

    if (wscast_json_take(v, &c->channel) != WSCAST_OK) {
        return "channel is not valid Unicode";
    }

    c->has_channel = 1;

    return NULL;
}


static const char *
wscast_json_publish(const wscast_json_member_t *m, wscast_command_t *c)
{
    wscast_str_t  v;

    v = m[WSCAST_FIELD_KEY].value;

    if (v.len
        && (!wscast_json_is_string(v)
            || wscast_json_take(v, &c->key) != WSCAST_OK
            || c->key.len == 0
            || c->key.len > WSCAST_JSON_KEY_MAX))
    {
        return "key is not a string of 1 to 128 bytes";
    }

    v = m[WSCAST_FIELD_DATA].value;

    if (v.len == 0) {
        return "data is missing";
    }

    c->data = v;
    c->flags = WSCAST_PUB_JSON;

    return NULL;
}


/* {"epoch":E,"offset":N,"client":ID}: the first two together or not at all. */

static const char *
wscast_json_since(wscast_str_t v, wscast_command_t *c)
{
    wscast_str_t          epoch, offset, client;
    wscast_json_member_t  m[] = {
        { .name = wscast_string("epoch") },
        { .name = wscast_string("offset") },
        { .name = wscast_string("client") }
    };

    if (v.len == 0) {
        return NULL;
    }

    if (wscast_json_members(v, m, 3) != WSCAST_OK) {
        return "since is not an object";
    }

    epoch = m[0].value;
    offset = m[1].value;
    client = m[2].value;

    if (epoch.len || offset.len) {

        if (wscast_json_epoch(epoch, &c->since.epoch) != WSCAST_OK) {
            return "epoch of since is not one of ours";
        }

        if (wscast_json_number(offset, &c->since.offset) != WSCAST_OK) {
            return "offset of since is not a whole number";
        }

        c->has_since = 1;
    }

    if (client.len
        && (!wscast_json_is_string(client)
            || wscast_json_take(client, &c->former) != WSCAST_OK
            || c->former.len != WSCAST_CLIENT_ID))
    {
        return "client of since is not the id of a client";
    }

    return NULL;
}


/* limit, before, after of history and presence */

static const char *
wscast_json_page(const wscast_json_member_t *m, wscast_command_t *c)
{
    uint64_t      n;
    wscast_str_t  v, cursor;

    v = m[WSCAST_FIELD_LIMIT].value;

    if (v.len) {
        if (wscast_json_number(v, &n) != WSCAST_OK
            || n == 0 || n > WSCAST_JSON_LIMIT)
        {
            return "limit is not a number from 1 to 1000";
        }

        c->limit = (uint32_t) n;
    }

    v = m[WSCAST_FIELD_BEFORE].value;

    if (v.len
        && (wscast_json_number(v, &c->before) != WSCAST_OK || c->before == 0))
    {
        return "before is not an offset";
    }

    v = m[WSCAST_FIELD_AFTER].value;

    if (v.len
        && (!wscast_json_is_string(v)
            || wscast_json_take(v, &cursor) != WSCAST_OK
            || wscast_json_number(cursor, &c->after) != WSCAST_OK
            || c->after == 0))
    {
        return "after is not the next of an answer";
    }

    return NULL;
}


static const char *
wscast_json_token(wscast_str_t v, wscast_command_t *c)
{
    if (v.len == 0) {
        return "token is missing";
    }

    if (!wscast_json_is_string(v)
        || wscast_json_take(v, &c->token) != WSCAST_OK)
    {
        return "token is not a string";
    }

    return NULL;
}


/* A whole number, written as digits alone. */

static wscast_status_t
wscast_json_number(wscast_str_t v, uint64_t *n)
{
    size_t  i;

    /* what a double holds exactly is enough for all of ours */

    if (v.len == 0 || v.len > 16) {
        return WSCAST_ERROR;
    }

    *n = 0;

    for (i = 0; i < v.len; i++) {

        if (v.data[i] < '0' || v.data[i] > '9') {
            return WSCAST_ERROR;
        }

        *n = *n * 10 + (v.data[i] - '0');
    }

    return WSCAST_OK;
}


/* The string of 16 hexadecimal digits that an epoch is written as. */

static wscast_status_t
wscast_json_epoch(wscast_str_t v, uint64_t *epoch)
{
    size_t        i;
    unsigned      digit;
    wscast_str_t  hex;

    if (!wscast_json_is_string(v)
        || wscast_json_take(v, &hex) != WSCAST_OK
        || hex.len != 16)
    {
        return WSCAST_ERROR;
    }

    *epoch = 0;

    for (i = 0; i < 16; i++) {
        digit = wscast_json_hex(hex.data[i]);

        if (digit > 15) {
            return WSCAST_ERROR;
        }

        *epoch = *epoch << 4 | digit;
    }

    return WSCAST_OK;
}


/*
 * Decodes a string that was cut out of the message.  decode() was given the
 * message writable, only the scanner's views of it are const.
 */

static wscast_status_t
wscast_json_take(wscast_str_t v, wscast_str_t *out)
{
    return wscast_json_decode((unsigned char *) v.data, v.len, out);
}
