#include "session.h"
#include "inner.h"
#include "prepare.h"


static wscast_status_t wscast_session_copy(wscast_session_t *s,
    const wscast_session_params_t *params);
static wscast_status_t wscast_session_command(wscast_session_t *s,
    unsigned opcode, unsigned char *data, size_t len);
static unsigned wscast_session_packing(const wscast_engine_t *engine,
    const wscast_offer_t *agreed);
static wscast_prepared_t *wscast_session_pack(wscast_session_t *s,
    wscast_prepared_t *plain);
static void wscast_session_keep(unsigned char **p, wscast_str_t from,
    wscast_str_t *to);


wscast_status_t
wscast_session_open(wscast_session_t *s, const wscast_session_conf_t *conf,
    const wscast_engine_t *engine, const wscast_session_handler_t *handler,
    void *ctx, const wscast_session_params_t *params)
{
    unsigned         told;
    wscast_event_t   e;
    wscast_status_t  rc;

    memset(s, 0, sizeof(wscast_session_t));

    s->conf = conf;
    s->engine = engine;
    s->handler = handler;
    s->ctx = ctx;
    s->grants = params->grants;
    s->own_grants = params->own_grants ? 1 : 0;
    s->token_grants = params->token_grants;
    s->token = params->token ? 1 : 0;
    s->packing = wscast_session_packing(engine, &params->deflate);
    s->expires = params->expires;

    memcpy(s->client, params->id, WSCAST_CLIENT_ID);

    wscast_list_init(&s->subscriptions);
    wscast_list_init(&s->answers);
    wscast_list_init(&s->asks);
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

    s->speaking = 1;
    rc = wscast_session_enter(s, params);
    s->speaking = 0;

    if (!wscast_session_blocked(s)) {
        s->resuming = 0;
    }

    if (rc != WSCAST_OK) {
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

    len = params->user.len + params->info.len + params->sub.len + channel.len;

    if (len == 0) {
        return WSCAST_OK;
    }

    p = wscast_alloc(len);
    if (p == NULL) {
        return WSCAST_NOMEM;
    }

    s->strings = p;

    wscast_session_keep(&p, params->user, &s->user);
    wscast_session_keep(&p, params->info, &s->info);
    wscast_session_keep(&p, params->sub, &s->sub);
    wscast_session_keep(&p, channel, &s->channel);

    return WSCAST_OK;
}


static unsigned
wscast_session_packing(const wscast_engine_t *engine,
    const wscast_offer_t *agreed)
{
    if (engine->deflate == NULL || !agreed->on) {
        return WSCAST_PLAIN;
    }

    return agreed->bits == WSCAST_WINDOW_BITS ? WSCAST_PACKED
                                              : WSCAST_PACKED_SMALL;
}


static void
wscast_session_keep(unsigned char **p, wscast_str_t from, wscast_str_t *to)
{
    if (from.len) {
        memcpy(*p, from.data, from.len);
        *to = wscast_str(*p, from.len);
        *p += from.len;
    }
}


void
wscast_session_welcome(wscast_session_t *s)
{
    /* while channels are being entered the next may not be live yet */

    if (s->pending == 0 && !s->speaking && s->welcome) {
        s->handler->send(s->ctx, s->welcome);
        wscast_prepared_release(s->welcome);
        s->welcome = NULL;
    }
}


wscast_status_t
wscast_session_message(wscast_session_t *s, unsigned opcode,
    unsigned char *data, size_t len)
{
    wscast_status_t  rc;

    s->speaking = 1;
    rc = wscast_session_command(s, opcode, data, len);
    s->speaking = 0;

    if (!wscast_session_blocked(s)) {
        s->resuming = 0;
    }

    return rc;
}


static wscast_status_t
wscast_session_command(wscast_session_t *s, unsigned opcode,
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
        return wscast_session_presence(s, &c);

    case WSCAST_CMD_HISTORY:
        return wscast_session_history(s, &c);

    case WSCAST_CMD_TOKEN:
        return wscast_session_token(s, &c);

    case WSCAST_CMD_INVALID:
        break;
    }

    return wscast_session_error(s, c.id, c.code, c.reason, wscast_empty);
}


int
wscast_session_blocked(const wscast_session_t *s)
{
    return s->pending || s->held || s->entry
           || s->nanswers >= WSCAST_UNANSWERED
           || s->nasks >= WSCAST_ASKS;
}


int
wscast_session_may(const wscast_session_t *s, unsigned op,
    wscast_str_t channel)
{
    return wscast_granted(s->grants, op, channel)
           || wscast_granted(s->token_grants, op, channel);
}


const wscast_rule_t *
wscast_session_rule(const wscast_session_t *s, wscast_str_t channel)
{
    return wscast_rule_find(s->engine->rules, s->engine->nrules, channel);
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
wscast_session_deliver(wscast_subscription_t *sub, wscast_publication_t *pub)
{
    unsigned            told;
    wscast_str_t        me;
    wscast_session_t   *s;
    wscast_prepared_t  *p;

    s = sub->subscriber;

    if ((pub->f.flags & WSCAST_PUB_NO_ECHO) || pub->f.exclude.len) {
        me = wscast_str(s->client, WSCAST_CLIENT_ID);

        if (wscast_str_eq(pub->f.exclude, me)
            || ((pub->f.flags & WSCAST_PUB_NO_ECHO)
                && wscast_str_eq(pub->f.client, me)))
        {
            return;
        }
    }

    if ((pub->f.kind == WSCAST_PUB_JOIN || pub->f.kind == WSCAST_PUB_LEAVE
         || pub->f.kind == WSCAST_PUB_STALE)
        && !sub->sees)
    {
        return;
    }

    /* what is still on its way inside this host, and was told already */

    if (sub->epoch && pub->f.epoch == sub->epoch
        && (pub->f.kind == WSCAST_PUB_MESSAGE
            || pub->f.kind == WSCAST_PUB_BROKEN)
        && pub->f.offset <= sub->offset)
    {
        return;
    }

    /*
     * A host may be subscribed already, and this worker not know it yet.  For
     * the client messages begin after the welcome, and after the answer to
     * subscribe.
     */

    if (sub->pending || s->welcome) {
        wscast_entry_hold(sub, pub);
        return;
    }

    p = wscast_session_frame(s, pub, &told);

    if (p) {
        s->handler->send(s->ctx, p);

    } else if (told) {
        s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
    }
}


/*
 * Packed by the first who needs it so, for all who do.  What goes to one
 * client alone (answers, what it has missed) is never packed.
 */

wscast_prepared_t *
wscast_session_frame(wscast_session_t *s, wscast_publication_t *pub,
    unsigned *told)
{
    wscast_prepared_t  *plain, **slot;

    plain = wscast_prepare_publication(pub, s->conf->dialect, told);

    if (plain == NULL || s->packing == WSCAST_PLAIN
        || wscast_prepared_payload(plain).len < s->conf->deflate_min)
    {
        return plain;
    }

    slot = &pub->prepared[wscast_variant(s->conf->dialect->variant,
                                         s->packing)];

    if (*slot == NULL) {
        *slot = wscast_session_pack(s, plain);
    }

    return *slot;
}


static wscast_prepared_t *
wscast_session_pack(wscast_session_t *s, wscast_prepared_t *plain)
{
    wscast_prepared_t  *p;

    p = wscast_prepare_packed(plain, s->engine->deflate, s->packing,
                              s->conf->deflate_level);

    /* it stays as it is if that would not make it smaller */

    if (p == NULL) {
        p = wscast_prepared_ref(plain);
    }

    s->engine->packed(s->engine->ctx, wscast_prepared_payload(plain).len,
                      wscast_prepared_payload(p).len);

    return p;
}


void
wscast_session_flush(wscast_session_t *s)
{
    s->handler->flush(s->ctx);
}


void
wscast_session_drained(wscast_session_t *s)
{
    if (s->entry) {
        wscast_entry_drained(s);
    }
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
wscast_session_end(wscast_session_t *s, unsigned lost)
{
    wscast_entry_drop(s);
    wscast_session_drop_asks(s);
    wscast_session_leave(s, lost);

    s->pending = 0;
}


void
wscast_session_close(wscast_session_t *s)
{
    wscast_session_end(s, 1);
    wscast_session_orphan_answers(s);
    wscast_list_remove(&s->waiter.link);

    wscast_prepared_release(s->welcome);
    s->welcome = NULL;

    if (s->held) {
        wscast_publication_release(s->held);
        s->held = NULL;
    }

    wscast_free(s->id);
    s->id = NULL;

    wscast_free(s->strings);
    s->strings = NULL;

    if (s->own_grants) {
        wscast_grants_free(s->grants);
    }

    wscast_grants_free(s->token_grants);

    s->grants = NULL;
    s->token_grants = NULL;
    s->nsubscriptions = 0;
    s->nanswers = 0;
    s->pending = 0;
}


/* Tells conn, once, that what it held back may go on. */

void
wscast_session_unblocked(wscast_session_t *s)
{
    /* who is being fed sees by itself whether it is blocked */

    if (s->resuming && !s->speaking && !wscast_session_blocked(s)) {
        s->resuming = 0;
        s->handler->resume(s->ctx);
    }
}
