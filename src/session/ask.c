#include "session.h"
#include "inner.h"


#define WSCAST_ASK_HISTORY   20         /* items, where no limit is given */
#define WSCAST_ASK_PRESENCE  100


/*
 * A question under way; freed by its answer.  The client's id of it and the
 * channel lie behind the struct.
 */

typedef struct {
    wscast_query_t       query;
    wscast_list_t        link;          /* of session->asks */
    wscast_session_t    *session;
    wscast_builder_t     items;
    wscast_str_t         id;
    unsigned             answer;        /* 1: the client waits for it */
    unsigned             nitems;
} wscast_ask_t;


static wscast_ask_t *wscast_ask_create(wscast_session_t *s,
    wscast_query_e type, wscast_str_t channel, wscast_str_t id);
static void wscast_ask_begin(wscast_ask_t *a);
static wscast_status_t wscast_ask_send(wscast_session_t *s, wscast_ask_t *a,
    wscast_event_e type, wscast_status_t status);
static void wscast_ask_free(wscast_ask_t *a);
static void wscast_ask_item(wscast_ask_t *a, const wscast_event_t *e);
static void wscast_ask_message(wscast_query_t *q,
    const wscast_pub_fields_t *f);
static void wscast_ask_found(wscast_query_t *q, const wscast_member_t *m);
static void wscast_ask_done(wscast_query_t *q, wscast_status_t status);


wscast_status_t
wscast_session_presence(wscast_session_t *s, wscast_command_t *c)
{
    wscast_ask_t         *a;
    const wscast_rule_t  *rule;

    if (!wscast_session_may(s, WSCAST_MAY_PRESENCE, c->channel)) {
        return wscast_session_error(s, c->id, 403,
                                    "not allowed to see who is on",
                                    c->channel);
    }

    rule = wscast_session_rule(s, c->channel);

    if (rule == NULL || !rule->presence) {
        return wscast_session_error(s, c->id, 400,
                                    "presence is not enabled on", c->channel);
    }

    a = wscast_ask_create(s, WSCAST_QUERY_PRESENCE, c->channel, c->id);
    if (a == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    a->answer = 1;
    a->query.cursor = c->after;
    a->query.limit = c->limit ? c->limit : WSCAST_ASK_PRESENCE;

    wscast_ask_begin(a);

    return WSCAST_OK;
}


wscast_status_t
wscast_session_history(wscast_session_t *s, wscast_command_t *c)
{
    wscast_ask_t         *a;
    const wscast_rule_t  *rule;

    if (!wscast_session_may(s, WSCAST_MAY_HISTORY, c->channel)) {
        return wscast_session_error(s, c->id, 403,
                                    "not allowed to read the history of",
                                    c->channel);
    }

    rule = wscast_session_rule(s, c->channel);

    if (rule == NULL || !rule->history) {
        return wscast_session_error(s, c->id, 400,
                                    "history is not enabled on", c->channel);
    }

    a = wscast_ask_create(s, WSCAST_QUERY_HISTORY, c->channel, c->id);
    if (a == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    a->answer = 1;
    a->query.newest = 1;
    a->query.limit = c->limit ? c->limit : WSCAST_ASK_HISTORY;

    if (c->before) {
        a->query.upto = c->before > 1 ? c->before - 1 : 1;
        a->query.after = c->before > 1 ? 0 : 1;     /* before 1 is nothing */
    }

    wscast_ask_begin(a);

    return WSCAST_OK;
}


void
wscast_session_member(wscast_subscription_t *sub)
{
    wscast_ask_t      *a;
    wscast_session_t  *s;

    s = sub->subscriber;

    a = wscast_ask_create(s, WSCAST_QUERY_JOIN, sub->channel->node.key,
                          wscast_empty);
    if (a == NULL) {
        s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
        return;
    }

    sub->member = 1;
    a->query.member.client = wscast_str(s->client, WSCAST_CLIENT_ID);
    a->query.member.user = s->user;
    a->query.member.info = s->info;

    wscast_ask_begin(a);
}


void
wscast_session_rejoin(wscast_subscription_t *sub)
{
    if (sub->member && !sub->gone) {
        wscast_session_member(sub);
    }
}


static wscast_ask_t *
wscast_ask_create(wscast_session_t *s, wscast_query_e type,
    wscast_str_t channel, wscast_str_t id)
{
    unsigned char  *p;
    wscast_ask_t   *a;

    a = wscast_alloc(sizeof(wscast_ask_t) + channel.len + id.len);
    if (a == NULL) {
        return NULL;
    }

    memset(a, 0, sizeof(wscast_ask_t));

    p = (unsigned char *) (a + 1);

    memcpy(p, channel.data, channel.len);
    a->query.channel = wscast_str(p, channel.len);

    if (id.len) {
        memcpy(p + channel.len, id.data, id.len);
        a->id = wscast_str(p + channel.len, id.len);
    }

    a->session = s;
    a->query.type = type;
    a->query.rule = wscast_session_rule(s, channel);
    a->query.bytes = WSCAST_ASK_BYTES;
    a->query.message = wscast_ask_message;
    a->query.found = wscast_ask_found;
    a->query.done = wscast_ask_done;

    wscast_list_init(&a->query.link);
    wscast_builder_init(&a->items, 0);

    return a;
}


/* It may be answered, and a be freed, when this returns. */

static void
wscast_ask_begin(wscast_ask_t *a)
{
    wscast_session_t  *s;

    s = a->session;

    wscast_list_append(&s->asks, &a->link);
    s->nasks += a->answer;

    s->engine->query(s->engine->ctx, &a->query);
}


static void
wscast_ask_message(wscast_query_t *q, const wscast_pub_fields_t *f)
{
    wscast_event_t  e;

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_MESSAGE;
    e.channel = f->channel;
    e.pub = f;

    wscast_ask_item(wscast_container(q, wscast_ask_t, query), &e);
}


static void
wscast_ask_found(wscast_query_t *q, const wscast_member_t *m)
{
    wscast_event_t  e;

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_MEMBER;
    e.member = *m;

    wscast_ask_item(wscast_container(q, wscast_ask_t, query), &e);
}


static void
wscast_ask_item(wscast_ask_t *a, const wscast_event_t *e)
{
    if (a->nitems++) {
        wscast_builder_lit(&a->items, ",");
    }

    (void) a->session->conf->dialect->encode(NULL, e, &a->items);
}


static void
wscast_ask_done(wscast_query_t *q, wscast_status_t status)
{
    wscast_ask_t      *a;
    wscast_status_t    rc;
    wscast_session_t  *s;

    a = wscast_container(q, wscast_ask_t, query);
    s = a->session;
    rc = WSCAST_OK;

    if (a->answer) {

        if (s->nasks-- == WSCAST_ASKS) {
            s->resuming = 1;
        }

        rc = wscast_ask_send(s, a, q->type == WSCAST_QUERY_HISTORY
                                   ? WSCAST_EVENT_HISTORY
                                   : WSCAST_EVENT_PRESENCE, status);
    }

    wscast_ask_free(a);

    if (rc != WSCAST_OK) {
        s->handler->finalize(s->ctx, rc);
    }

    wscast_session_unblocked(s);
}


static wscast_status_t
wscast_ask_send(wscast_session_t *s, wscast_ask_t *a, wscast_event_e type,
    wscast_status_t status)
{
    wscast_event_t  e;

    if (status == WSCAST_CLOSE_AWAY) {
        return wscast_session_error(s, a->id, 503, "engine is away",
                                    wscast_empty);
    }

    if (status != WSCAST_OK || a->items.failed) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = type;
    e.id = a->id;
    e.channel = a->query.channel;
    e.items = wscast_builder_payload(&a->items);
    e.position = a->query.position;
    e.more = a->query.more;
    e.next = a->query.next;
    e.total = a->query.total;

    return wscast_session_tell(s, &e);
}


static void
wscast_ask_free(wscast_ask_t *a)
{
    wscast_list_remove(&a->link);
    wscast_builder_drop(&a->items);
    wscast_free(a);
}


void
wscast_session_drop_asks(wscast_session_t *s)
{
    wscast_list_t  *l, *tmp;
    wscast_ask_t   *a;

    wscast_list_each(l, tmp, &s->asks) {
        a = wscast_container(l, wscast_ask_t, link);

        s->engine->cancel(s->engine->ctx, &a->query);
        wscast_ask_free(a);
    }

    s->nasks = 0;
}


/*
 * A new token for the same user: its rights, and its time, replace those of the
 * one before.
 */

wscast_status_t
wscast_session_token(wscast_session_t *s, wscast_command_t *c)
{
    uint64_t          now;
    const char       *reason;
    wscast_event_t    e;
    wscast_claims_t  *claims;
    wscast_status_t   rc;

    if (!s->token || s->engine->keys == NULL) {
        return wscast_session_error(s, c->id, 400, "tokens are not taken here",
                                    wscast_empty);
    }

    now = s->engine->now(s->engine->ctx) / 1000;

    rc = wscast_token_verify(s->engine->keys, c->token, now,
                             s->engine->leeway, &claims, &reason);

    if (rc == WSCAST_NOMEM) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    if (rc != WSCAST_OK) {
        return wscast_session_error(s, c->id, 401, reason, wscast_empty);
    }

    if (!wscast_str_eq(claims->sub, s->sub)) {
        wscast_claims_free(claims);
        return wscast_session_error(s, c->id, 403,
                                    "token is of another user", wscast_empty);
    }

    wscast_grants_free(s->token_grants);
    s->token_grants = claims->grants;
    claims->grants = NULL;

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_TOKEN;
    e.id = c->id;
    e.expires = claims->has_exp ? claims->exp : 0;

    s->expires = claims->has_exp
                 ? (claims->exp + s->engine->leeway) * 1000 : 0;

    wscast_claims_free(claims);

    s->handler->expires(s->ctx);

    rc = wscast_session_tell(s, &e);

    return rc == WSCAST_OK ? wscast_session_review(s) : rc;
}
