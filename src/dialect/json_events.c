#include "json_inner.h"
#include "../base/scan.h"
#include "../base/utf8.h"


static void wscast_json_answer(wscast_builder_t *b, const char *type,
    const wscast_event_t *e);
static void wscast_json_string(wscast_builder_t *b, const char *name,
    wscast_str_t value);
static void wscast_json_welcome(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_subscribed(wscast_builder_t *b,
    const wscast_event_t *e);
static void wscast_json_position(wscast_builder_t *b,
    const wscast_position_t *position);
static void wscast_json_error(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_presence(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_history(wscast_builder_t *b, const wscast_event_t *e);
static void wscast_json_publication(wscast_builder_t *b,
    const wscast_pub_fields_t *f);
static void wscast_json_message(wscast_builder_t *b,
    const wscast_pub_fields_t *f);
static void wscast_json_member(wscast_builder_t *b,
    const wscast_pub_fields_t *f);
static void wscast_json_identity(wscast_builder_t *b, wscast_str_t user,
    wscast_str_t info);
static void wscast_json_data(wscast_builder_t *b,
    const wscast_pub_fields_t *f);


unsigned
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
        wscast_json_subscribed(b, e);
        break;

    case WSCAST_EVENT_UNSUBSCRIBED:
        wscast_json_answer(b, "unsubscribed", e);
        wscast_json_string(b, "channel", e->channel);
        break;

    case WSCAST_EVENT_PUBLISHED:
        wscast_json_answer(b, "published", e);
        wscast_json_string(b, "channel", e->channel);
        wscast_json_position(b, &e->position);
        break;

    case WSCAST_EVENT_ERROR:
        wscast_json_error(b, e);
        break;

    case WSCAST_EVENT_MESSAGE:
        wscast_json_publication(b, e->pub);
        break;

    case WSCAST_EVENT_MEMBER:
        wscast_builder_lit(b, "{\"client\":");
        wscast_json_quote(b, e->member.client);
        wscast_json_identity(b, e->member.user, e->member.info);
        break;

    case WSCAST_EVENT_PRESENCE:
        wscast_json_presence(b, e);
        break;

    case WSCAST_EVENT_HISTORY:
        wscast_json_history(b, e);
        break;

    case WSCAST_EVENT_TOKEN:
        wscast_json_answer(b, "token", e);

        if (e->expires) {
            wscast_builder_lit(b, ",\"expires\":");
            wscast_builder_uint(b, e->expires);
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


/* The answer, and, asked by nobody, that continuity is broken. */

static void
wscast_json_subscribed(wscast_builder_t *b, const wscast_event_t *e)
{
    wscast_json_answer(b, "subscribed", e);
    wscast_json_string(b, "channel", e->channel);
    wscast_json_position(b, &e->position);

    if (e->recovery == WSCAST_RECOVERY_DONE) {
        wscast_builder_lit(b, ",\"recovered\":true");

    } else if (e->recovery == WSCAST_RECOVERY_FAILED) {
        wscast_builder_lit(b, ",\"recovered\":false");
    }

    if (e->member.client.len) {
        wscast_json_string(b, "member", e->member.client);
    }
}


static void
wscast_json_position(wscast_builder_t *b, const wscast_position_t *position)
{
    unsigned        i;
    unsigned char   hex[16];

    if (position->epoch == 0) {
        return;
    }

    /* a string, since 64 random bits do not survive a double */

    for (i = 0; i < 16; i++) {
        hex[i] = "0123456789abcdef"[position->epoch >> (60 - 4 * i) & 15];
    }

    wscast_json_string(b, "epoch", wscast_str(hex, 16));
    wscast_builder_lit(b, ",\"offset\":");
    wscast_builder_uint(b, position->offset);
}


static void
wscast_json_presence(wscast_builder_t *b, const wscast_event_t *e)
{
    wscast_json_answer(b, "presence", e);
    wscast_json_string(b, "channel", e->channel);
    wscast_builder_lit(b, ",\"members\":[");
    wscast_builder_str(b, e->items);
    wscast_builder_lit(b, "],\"total\":");
    wscast_builder_uint(b, e->total);

    if (e->next) {
        wscast_builder_lit(b, ",\"next\":\"");
        wscast_builder_uint(b, e->next);
        wscast_builder_lit(b, "\"");
    }
}


static void
wscast_json_history(wscast_builder_t *b, const wscast_event_t *e)
{
    wscast_json_answer(b, "history", e);
    wscast_json_string(b, "channel", e->channel);
    wscast_json_position(b, &e->position);
    wscast_builder_lit(b, ",\"messages\":[");
    wscast_builder_str(b, e->items);
    wscast_builder_lit(b, "]");

    if (e->more) {
        wscast_builder_lit(b, ",\"more\":true");
    }
}


static void
wscast_json_publication(wscast_builder_t *b, const wscast_pub_fields_t *f)
{
    wscast_event_t  e;

    switch (f->kind) {

    case WSCAST_PUB_MESSAGE:
        wscast_json_message(b, f);
        break;

    case WSCAST_PUB_BROKEN:
        memset(&e, 0, sizeof(wscast_event_t));
        e.channel = f->channel;
        e.position.epoch = f->epoch;
        e.position.offset = f->offset;
        e.recovery = WSCAST_RECOVERY_FAILED;
        wscast_json_subscribed(b, &e);
        break;

    case WSCAST_PUB_STALE:
        wscast_builder_lit(b, "{\"type\":\"presence\"");
        wscast_json_string(b, "channel", f->channel);
        wscast_builder_lit(b, ",\"stale\":true");
        break;

    default:
        wscast_json_member(b, f);
    }
}


static void
wscast_json_message(wscast_builder_t *b, const wscast_pub_fields_t *f)
{
    wscast_position_t  position;

    wscast_builder_lit(b, "{\"type\":\"message\"");
    wscast_json_string(b, "channel", f->channel);

    wscast_builder_lit(b, ",\"data\":");
    wscast_json_data(b, f);

    if (f->flags & WSCAST_PUB_POSITION) {
        position.epoch = f->epoch;
        position.offset = f->offset;
        wscast_json_position(b, &position);
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

    wscast_json_identity(b, f->user, f->kind == WSCAST_PUB_JOIN
                                     ? f->info : wscast_str(NULL, 0));
}


static void
wscast_json_identity(wscast_builder_t *b, wscast_str_t user,
    wscast_str_t info)
{
    if (user.len) {
        wscast_json_string(b, "user", user);
    }

    /* what is no JSON would spoil the message, so it is left out */

    if (info.len && wscast_json_valid(info)) {
        wscast_builder_lit(b, ",\"info\":");
        wscast_builder_str(b, info);
    }
}
