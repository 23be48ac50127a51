#include "session.h"
#include "inner.h"
#include "prepare.h"


static wscast_status_t wscast_session_join(wscast_session_t *s,
    const wscast_session_params_t *params);
static wscast_status_t wscast_session_copy(wscast_session_t *s,
    const wscast_session_params_t *params);
static void wscast_session_welcome(wscast_session_t *s);
static wscast_status_t wscast_session_subscribe(wscast_session_t *s,
    wscast_command_t *c);
static wscast_status_t wscast_session_unsubscribe(wscast_session_t *s,
    wscast_command_t *c);
static int wscast_session_began(wscast_session_t *s, wscast_str_t channel);
static wscast_subscription_t *wscast_session_find(wscast_session_t *s,
    wscast_str_t channel);


wscast_status_t
wscast_session_open(wscast_session_t *s, const wscast_session_conf_t *conf,
    const wscast_engine_t *engine, const wscast_session_handler_t *handler,
    void *ctx, const wscast_session_params_t *params)
{
    unsigned        told;
    wscast_event_t  e;

    memset(s, 0, sizeof(wscast_session_t));

    s->conf = conf;
    s->engine = engine;
    s->handler = handler;
    s->ctx = ctx;
    s->grants = params->grants;
    s->own_grants = params->own_grants ? 1 : 0;

    memcpy(s->client, params->id, WSCAST_CLIENT_ID);

    wscast_list_init(&s->subscriptions);
    wscast_list_init(&s->answers);
    wscast_list_init(&s->waiter.link);
    s->waiter.retry = wscast_session_retry;

    if (wscast_session_copy(s, params) != WSCAST_OK) {
        return WSCAST_NOMEM;
    }

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_WELCOME;
    e.client = wscast_str(s->client, WSCAST_CLIENT_ID);
    e.user = s->user;
    e.msg = params->welcome;
    e.ping = conf->ping;

    s->welcome = wscast_prepare_event(conf->dialect, &conf->heartbeat, &e,
                                      &told);
    if (s->welcome == NULL && told) {
        return WSCAST_NOMEM;
    }

    if (wscast_session_join(s, params) != WSCAST_OK) {
        return WSCAST_NOMEM;
    }

    wscast_session_welcome(s);

    return WSCAST_OK;
}


static wscast_status_t
wscast_session_copy(wscast_session_t *s,
    const wscast_session_params_t *params)
{
    size_t         len;
    wscast_str_t    channel;
    unsigned char  *p;

    /* text publishes to the first; json may leave out the only one */

    channel = wscast_empty;

    if (params->nchannels == 1
        || (params->nchannels && !s->conf->dialect->answers))
    {
        channel = params->channels[0];
    }

    len = params->user.len + channel.len;

    if (len == 0) {
        return WSCAST_OK;
    }

    p = wscast_alloc(len);
    if (p == NULL) {
        return WSCAST_NOMEM;
    }

    s->strings = p;

    if (params->user.len) {
        memcpy(p, params->user.data, params->user.len);
        s->user = wscast_str(p, params->user.len);
        p += params->user.len;
    }

    if (channel.len) {
        memcpy(p, channel.data, channel.len);
        s->channel = wscast_str(p, channel.len);
    }

    return WSCAST_OK;
}


static wscast_status_t
wscast_session_join(wscast_session_t *s,
    const wscast_session_params_t *params)
{
    size_t                  i;
    wscast_status_t         rc;
    wscast_subscription_t  *sub;

    for (i = 0; i < params->nchannels; i++) {
        rc = wscast_fanout_subscribe(s->engine->fanout, params->channels[i],
                                     s, &s->subscriptions, &sub);
        if (rc != WSCAST_OK) {
            return rc;
        }

        s->nsubscriptions++;

        if (!sub->channel->live) {
            sub->pending = 1;
            s->pending++;
        }
    }

    return WSCAST_OK;
}


static void
wscast_session_welcome(wscast_session_t *s)
{
    if (s->pending == 0 && s->welcome) {
        s->handler->send(s->ctx, s->welcome);
        wscast_prepared_release(s->welcome);
        s->welcome = NULL;
    }
}


wscast_status_t
wscast_session_message(wscast_session_t *s, unsigned opcode,
    unsigned char *data, size_t len)
{
    wscast_event_t    e;
    wscast_status_t   rc;
    wscast_command_t  c;

    rc = s->conf->dialect->decode(&s->conf->heartbeat, opcode, data, len, &c);

    if (rc != WSCAST_OK) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    if (!c.has_channel) {
        c.channel = s->channel;
    }

    switch (c.type) {

    case WSCAST_CMD_PING:
        memset(&e, 0, sizeof(wscast_event_t));
        e.type = WSCAST_EVENT_PONG;
        e.id = c.id;

        return wscast_session_tell(s, &e);

    case WSCAST_CMD_SUBSCRIBE:
        return wscast_session_subscribe(s, &c);

    case WSCAST_CMD_UNSUBSCRIBE:
        return wscast_session_unsubscribe(s, &c);

    case WSCAST_CMD_PUBLISH:
        return wscast_session_publish(s, &c);

    case WSCAST_CMD_PRESENCE:
        return wscast_session_error(s, c.id, 400, "presence is not enabled",
                                    wscast_empty);

    case WSCAST_CMD_HISTORY:
        return wscast_session_error(s, c.id, 400, "history is not enabled",
                                    wscast_empty);

    case WSCAST_CMD_INVALID:
        break;
    }

    return wscast_session_error(s, c.id, c.code, c.reason, wscast_empty);
}


int
wscast_session_blocked(const wscast_session_t *s)
{
    return s->pending || s->held || s->nanswers >= WSCAST_UNANSWERED;
}


static wscast_status_t
wscast_session_subscribe(wscast_session_t *s, wscast_command_t *c)
{
    wscast_event_t          e;
    wscast_status_t         rc;
    wscast_subscription_t  *sub;

    if (!wscast_channel_valid(c->channel, s->conf->channel_length)) {
        return wscast_session_error(s, c->id, 400, "no valid channel",
                                    wscast_empty);
    }

    if (!wscast_granted(s->grants, WSCAST_MAY_SUBSCRIBE, c->channel)) {
        return wscast_session_error(s, c->id, 403,
                                    "not allowed to subscribe to",
                                    c->channel);
    }

    if (wscast_session_find(s, c->channel)) {
        return wscast_session_error(s, c->id, 409, "already subscribed to",
                                    c->channel);
    }

    if (s->nsubscriptions >= s->conf->subscriptions) {
        return wscast_session_error(s, c->id, 429, "too many subscriptions",
                                    wscast_empty);
    }

    rc = wscast_fanout_subscribe(s->engine->fanout, c->channel, s,
                                 &s->subscriptions, &sub);
    if (rc != WSCAST_OK) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    s->nsubscriptions++;

    if (!sub->channel->live) {
        sub->pending = 1;
        s->pending++;

        return wscast_session_keep_id(s, c->id);
    }

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_SUBSCRIBED;
    e.id = c->id;
    e.channel = c->channel;

    return wscast_session_tell(s, &e);
}


void
wscast_session_joined(wscast_session_t *s, wscast_subscription_t *sub)
{
    wscast_event_t   e;
    wscast_status_t  rc;

    if (!sub->pending) {
        return;
    }

    sub->pending = 0;
    s->pending--;
    s->resuming = 1;

    if (s->welcome) {
        wscast_session_welcome(s);

    } else {
        memset(&e, 0, sizeof(wscast_event_t));
        e.type = WSCAST_EVENT_SUBSCRIBED;
        e.id = wscast_str(s->id, s->id_len);
        e.channel = sub->channel->node.key;

        rc = wscast_session_tell(s, &e);
        wscast_session_drop_id(s);

        if (rc != WSCAST_OK) {
            s->handler->finalize(s->ctx, rc);
        }
    }

    wscast_session_unblocked(s);
}


static wscast_status_t
wscast_session_unsubscribe(wscast_session_t *s, wscast_command_t *c)
{
    wscast_event_t          e;
    wscast_subscription_t  *sub;

    sub = wscast_session_find(s, c->channel);

    if (sub == NULL) {
        return wscast_session_error(s, c->id, 404, "not subscribed to",
                                    c->channel);
    }

    wscast_fanout_unsubscribe(s->engine->fanout, sub);
    s->nsubscriptions--;

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_UNSUBSCRIBED;
    e.id = c->id;
    e.channel = c->channel;

    return wscast_session_tell(s, &e);
}


/*
 * Tells an error in the dialects that can; in the others the client would not
 * learn that its message was lost, so the connection ends with a code.
 */

wscast_status_t
wscast_session_error(wscast_session_t *s, wscast_str_t id, unsigned code,
    const char *reason, wscast_str_t channel)
{
    wscast_event_t  e;

    if (!s->conf->dialect->answers) {

        switch (code) {

        case 503:
            return WSCAST_CLOSE_AWAY;

        case 413:
            return WSCAST_CLOSE_TOO_BIG;

        default:
            return WSCAST_CLOSE_NOT_ALLOWED;
        }
    }

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_ERROR;
    e.id = id;
    e.code = code;
    e.reason = reason;
    e.channel = channel;

    return wscast_session_tell(s, &e);
}


wscast_status_t
wscast_session_tell(wscast_session_t *s, wscast_event_t *e)
{
    unsigned            told;
    wscast_prepared_t  *p;

    p = wscast_prepare_event(s->conf->dialect, &s->conf->heartbeat, e, &told);

    if (p == NULL) {
        return told ? WSCAST_CLOSE_NO_MEMORY : WSCAST_OK;
    }

    s->handler->send(s->ctx, p);
    wscast_prepared_release(p);

    return WSCAST_OK;
}


void
wscast_session_deliver(wscast_session_t *s, wscast_publication_t *pub)
{
    unsigned            told;
    wscast_str_t        me;
    wscast_prepared_t  *p;

    if ((pub->f.flags & WSCAST_PUB_NO_ECHO) || pub->f.exclude.len) {
        me = wscast_str(s->client, WSCAST_CLIENT_ID);

        if (wscast_str_eq(pub->f.exclude, me)
            || ((pub->f.flags & WSCAST_PUB_NO_ECHO)
                && wscast_str_eq(pub->f.client, me)))
        {
            return;
        }
    }

    if (s->pending && !wscast_session_began(s, pub->f.channel)) {
        return;
    }

    p = wscast_prepare_publication(pub, s->conf->dialect, &told);

    if (p) {
        s->handler->send(s->ctx, p);

    } else if (told) {
        s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
    }
}


/*
 * A host may be subscribed already, and this worker not know it yet.  For the
 * client messages begin after the welcome, and after the answer to subscribe.
 */

static int
wscast_session_began(wscast_session_t *s, wscast_str_t channel)
{
    wscast_subscription_t  *sub;

    if (s->welcome) {
        return 0;
    }

    sub = wscast_session_find(s, channel);

    return sub && !sub->pending;
}


void
wscast_session_disconnect(wscast_session_t *s)
{
    wscast_event_t  e;

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_DISCONNECT;

    /* without memory the close frame alone must do */
    (void) wscast_session_tell(s, &e);
}


void
wscast_session_close(wscast_session_t *s)
{
    wscast_list_t  *l, *tmp;

    wscast_list_each(l, tmp, &s->subscriptions) {
        wscast_fanout_unsubscribe(s->engine->fanout,
                         wscast_container(l, wscast_subscription_t, link));
    }

    wscast_session_orphan_answers(s);
    wscast_list_remove(&s->waiter.link);

    wscast_prepared_release(s->welcome);
    s->welcome = NULL;

    if (s->held) {
        wscast_publication_release(s->held);
        s->held = NULL;
    }

    wscast_session_drop_id(s);
    wscast_free(s->strings);
    s->strings = NULL;

    if (s->own_grants) {
        wscast_grants_free(s->grants);
    }

    s->grants = NULL;
    s->nsubscriptions = 0;
    s->nanswers = 0;
    s->pending = 0;
}


static wscast_subscription_t *
wscast_session_find(wscast_session_t *s, wscast_str_t channel)
{
    wscast_list_t          *l, *tmp;
    wscast_subscription_t  *sub;

    wscast_list_each(l, tmp, &s->subscriptions) {
        sub = wscast_container(l, wscast_subscription_t, link);

        if (wscast_str_eq(sub->channel->node.key, channel)) {
            return sub;
        }
    }

    return NULL;
}


wscast_status_t
wscast_session_keep_id(wscast_session_t *s, wscast_str_t id)
{
    if (id.len) {
        s->id = wscast_alloc(id.len);
        if (s->id == NULL) {
            return WSCAST_CLOSE_NO_MEMORY;
        }

        memcpy(s->id, id.data, id.len);
        s->id_len = id.len;
    }

    return WSCAST_OK;
}


void
wscast_session_drop_id(wscast_session_t *s)
{
    wscast_free(s->id);
    s->id = NULL;
    s->id_len = 0;
}


/* Tells conn, once, that what it held back may go on. */

void
wscast_session_unblocked(wscast_session_t *s)
{
    if (s->resuming && !wscast_session_blocked(s)) {
        s->resuming = 0;
        s->handler->resume(s->ctx);
    }
}
