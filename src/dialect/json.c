#include "dialect.h"
#include "../base/scan.h"
#include "../base/utf8.h"


#define WSCAST_JSON_ID_MAX   128    /* bytes of an id, as it came */
#define WSCAST_JSON_KEY_MAX  128    /* bytes of a key, decoded */


typedef enum {
    WSCAST_FIELD_TYPE = 0,
    WSCAST_FIELD_ID,
    WSCAST_FIELD_CHANNEL,
    WSCAST_FIELD_DATA,
    WSCAST_FIELD_SINCE,
    WSCAST_FIELD_KEY,
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
static wscast_status_t wscast_json_take(wscast_str_t v, wscast_str_t *out);
static unsigned wscast_json_write(const wscast_heartbeat_t *hb,
    const wscast_event_t *e, wscast_builder_t *b);
static void wscast_json_answer(wscast_builder_t *b, const char *type,
    const wscast_event_t *e);
static void wscast_json_string(wscast_builder_t *b, const char *name,
    wscast_str_t value);
static void wscast_json_welcome(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_error(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_message(wscast_builder_t *b,
    const wscast_pub_fields_t *f);
static void wscast_json_member(wscast_builder_t *b,
    const wscast_pub_fields_t *f);
static void wscast_json_data(wscast_builder_t *b,
    const wscast_pub_fields_t *f);


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
    { wscast_string("history"),     WSCAST_CMD_HISTORY }
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
        [WSCAST_FIELD_KEY] = { .name = wscast_string("key") }
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

    if (c->type == WSCAST_CMD_PUBLISH) {
        return wscast_json_publish(m, c);
    }

    if (c->type == WSCAST_CMD_SUBSCRIBE
        && m[WSCAST_FIELD_SINCE].value.len
        && m[WSCAST_FIELD_SINCE].value.data[0] != '{')
    {
        return "since is not an object";
    }

    return NULL;
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
    wscast_str_t  v, key;

    v = m[WSCAST_FIELD_KEY].value;

    if (v.len
        && (!wscast_json_is_string(v)
            || wscast_json_take(v, &key) != WSCAST_OK
            || key.len == 0
            || key.len > WSCAST_JSON_KEY_MAX))
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


/*
 * Decodes a string that was cut out of the message.  decode() was given the
 * message writable, only the scanner's views of it are const.
 */

static wscast_status_t
wscast_json_take(wscast_str_t v, wscast_str_t *out)
{
    return wscast_json_decode((unsigned char *) v.data, v.len, out);
}


static unsigned
wscast_json_write(const wscast_heartbeat_t *hb, const wscast_event_t *e,
    wscast_builder_t *b)
{
    (void) hb;

    switch (e->type) {

    case WSCAST_EVENT_WELCOME:
        wscast_json_welcome(b, e);
        break;

    case WSCAST_EVENT_PONG:
        wscast_json_answer(b, "pong", e);
        break;

    case WSCAST_EVENT_SUBSCRIBED:
        wscast_json_answer(b, "subscribed", e);
        wscast_json_string(b, "channel", e->channel);
        break;

    case WSCAST_EVENT_UNSUBSCRIBED:
        wscast_json_answer(b, "unsubscribed", e);
        wscast_json_string(b, "channel", e->channel);
        break;

    case WSCAST_EVENT_PUBLISHED:
        wscast_json_answer(b, "published", e);
        wscast_json_string(b, "channel", e->channel);
        break;

    case WSCAST_EVENT_ERROR:
        wscast_json_error(b, e);
        break;

    case WSCAST_EVENT_MESSAGE:
        if (e->pub->kind == WSCAST_PUB_MESSAGE) {
            wscast_json_message(b, e->pub);

        } else {
            wscast_json_member(b, e->pub);
        }

        break;

    case WSCAST_EVENT_DISCONNECT:
        wscast_json_answer(b, "disconnect", e);
        wscast_builder_lit(b, ",\"reconnect\":true");
        break;

    default:
        return 0;
    }

    wscast_builder_lit(b, "}");

    return WSCAST_DIALECT_TEXT;
}


/* How every answer begins. */

static void
wscast_json_answer(wscast_builder_t *b, const char *type,
    const wscast_event_t *e)
{
    wscast_builder_lit(b, "{\"type\":\"");
    wscast_builder_put(b, type, strlen(type));
    wscast_builder_lit(b, "\"");

    if (e->id.len) {
        wscast_builder_lit(b, ",\"id\":");
        wscast_builder_str(b, e->id);
    }
}


static void
wscast_json_string(wscast_builder_t *b, const char *name, wscast_str_t value)
{
    wscast_builder_lit(b, ",\"");
    wscast_builder_put(b, name, strlen(name));
    wscast_builder_lit(b, "\":");
    wscast_json_quote(b, value);
}


static void
wscast_json_welcome(wscast_builder_t *b, const wscast_event_t *e)
{
    wscast_json_answer(b, "welcome", e);
    wscast_json_string(b, "client", e->client);

    if (e->user.len) {
        wscast_json_string(b, "user", e->user);
    }

    wscast_builder_lit(b, ",\"ping\":");
    wscast_builder_uint(b, e->ping);

    if (e->msg.len == 0) {
        return;
    }

    if (wscast_json_valid(e->msg)) {
        wscast_builder_lit(b, ",\"msg\":");
        wscast_builder_str(b, e->msg);
        return;
    }

    wscast_json_string(b, "msg", e->msg);
}


static void
wscast_json_error(wscast_builder_t *b, const wscast_event_t *e)
{
    wscast_json_answer(b, "error", e);

    wscast_builder_lit(b, ",\"code\":");
    wscast_builder_uint(b, e->code);

    wscast_builder_lit(b, ",\"reason\":\"");
    wscast_json_escape(b, wscast_str(e->reason, strlen(e->reason)));

    if (e->channel.len) {
        wscast_builder_lit(b, " ");
        wscast_json_escape(b, e->channel);
    }

    wscast_builder_lit(b, "\"");
}


static void
wscast_json_message(wscast_builder_t *b, const wscast_pub_fields_t *f)
{
    unsigned        i;
    unsigned char   hex[16];

    wscast_builder_lit(b, "{\"type\":\"message\"");
    wscast_json_string(b, "channel", f->channel);

    wscast_builder_lit(b, ",\"data\":");
    wscast_json_data(b, f);

    if (f->flags & WSCAST_PUB_POSITION) {

        /* a string, since 64 random bits do not survive a double */

        for (i = 0; i < 16; i++) {
            hex[i] = "0123456789abcdef"[f->epoch >> (60 - 4 * i) & 15];
        }

        wscast_json_string(b, "epoch", wscast_str(hex, 16));
        wscast_builder_lit(b, ",\"offset\":");
        wscast_builder_uint(b, f->offset);
    }

    if (f->user.len) {
        wscast_json_string(b, "user", f->user);
    }

    if (f->client.len) {
        wscast_json_string(b, "client", f->client);
    }

    wscast_builder_lit(b, ",\"time\":");
    wscast_builder_uint(b, f->time);
}


static void
wscast_json_data(wscast_builder_t *b, const wscast_pub_fields_t *f)
{
    if (f->flags & WSCAST_PUB_JSON) {
        wscast_builder_str(b, f->data);
        return;
    }

    if ((f->flags & WSCAST_PUB_BINARY) || !wscast_utf8_valid(f->data)) {
        wscast_builder_lit(b, "{\"base64\":");
        wscast_json_base64(b, f->data);
        wscast_builder_lit(b, "}");
        return;
    }

    if (wscast_json_valid(f->data)) {
        wscast_builder_str(b, f->data);
        return;
    }

    wscast_json_quote(b, f->data);
}


static void
wscast_json_member(wscast_builder_t *b, const wscast_pub_fields_t *f)
{
    if (f->kind == WSCAST_PUB_JOIN) {
        wscast_builder_lit(b, "{\"type\":\"join\"");

    } else {
        wscast_builder_lit(b, "{\"type\":\"leave\"");
    }

    wscast_json_string(b, "channel", f->channel);
    wscast_json_string(b, "client", f->client);

    if (f->user.len) {
        wscast_json_string(b, "user", f->user);
    }

    /* what is no JSON would spoil the message, so it is left out */

    if (f->kind == WSCAST_PUB_JOIN && wscast_json_valid(f->info)) {
        wscast_builder_lit(b, ",\"info\":");
        wscast_builder_str(b, f->info);
    }
}
