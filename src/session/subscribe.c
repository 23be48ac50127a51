#include "session.h"
#include "inner.h"


static int wscast_session_refused(wscast_session_t *s, wscast_command_t *c,
    wscast_status_t *rc);
static void wscast_session_quit(wscast_subscription_t *sub, unsigned lost);


wscast_status_t
wscast_session_enter(wscast_session_t *s,
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
        sub->fixed = 1;
        sub->sees = wscast_session_may(s, WSCAST_MAY_PRESENCE,
                                       params->channels[i]);
        sub->pending = 1;
        s->pending++;

        if (sub->channel->live) {
            wscast_session_joined(s, sub);
        }
    }

    return WSCAST_OK;
}


wscast_status_t
wscast_session_subscribe(wscast_session_t *s, wscast_command_t *c)
{
    wscast_status_t         rc;
    wscast_subscription_t  *sub;

    if (wscast_session_refused(s, c, &rc)) {
        return rc;
    }

    rc = wscast_fanout_subscribe(s->engine->fanout, c->channel, s,
                                 &s->subscriptions, &sub);
    if (rc != WSCAST_OK) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    s->nsubscriptions++;
    sub->sees = wscast_session_may(s, WSCAST_MAY_PRESENCE, c->channel);
    sub->pending = 1;
    s->pending++;

    return wscast_entry_begin(s, sub, c);
}


/* 1: the client has been told why not; *rc as wscast_session_error(). */

static int
wscast_session_refused(wscast_session_t *s, wscast_command_t *c,
    wscast_status_t *rc)
{
    if (!wscast_channel_valid(c->channel, s->conf->channel_length)) {
        *rc = wscast_session_error(s, c->id, 400, "no valid channel",
                                   wscast_empty);
        return 1;
    }

    if (!wscast_session_may(s, WSCAST_MAY_SUBSCRIBE, c->channel)) {
        *rc = wscast_session_error(s, c->id, 403,
                                   "not allowed to subscribe to", c->channel);
        return 1;
    }

    if (wscast_session_find(s, c->channel)) {
        *rc = wscast_session_error(s, c->id, 409, "already subscribed to",
                                   c->channel);
        return 1;
    }

    if (s->nsubscriptions >= s->conf->subscriptions) {
        *rc = wscast_session_error(s, c->id, 429, "too many subscriptions",
                                   wscast_empty);
        return 1;
    }

    return 0;
}


void
wscast_session_joined(wscast_session_t *s, wscast_subscription_t *sub)
{
    wscast_position_t     position;
    const wscast_rule_t  *rule;

    if (!sub->pending) {
        return;
    }

    if (!sub->fixed) {
        wscast_entry_live(s);
        return;
    }

    sub->pending = 0;
    s->pending--;
    s->resuming = 1;

    rule = wscast_session_rule(s, sub->channel->node.key);

    if (rule && rule->history
        && s->engine->position(s->engine->ctx, sub->channel->node.key,
                               &position) == WSCAST_OK)
    {
        sub->epoch = position.epoch;
        sub->offset = position.offset;
    }

    if (rule && rule->presence) {
        wscast_session_member(sub);
    }

    wscast_session_welcome(s);
    wscast_session_unblocked(s);
}


wscast_status_t
wscast_session_unsubscribe(wscast_session_t *s, wscast_command_t *c)
{
    wscast_event_t          e;
    wscast_subscription_t  *sub;

    sub = wscast_session_find(s, c->channel);

    if (sub == NULL) {
        return wscast_session_error(s, c->id, 404, "not subscribed to",
                                    c->channel);
    }

    wscast_session_quit(sub, 0);

    memset(&e, 0, sizeof(wscast_event_t));
    e.type = WSCAST_EVENT_UNSUBSCRIBED;
    e.id = c->id;
    e.channel = c->channel;

    return wscast_session_tell(s, &e);
}


static void
wscast_session_quit(wscast_subscription_t *sub, unsigned lost)
{
    wscast_str_t       channel;
    wscast_session_t  *s;

    s = sub->subscriber;
    channel = sub->channel->node.key;

    if (sub->member) {
        s->engine->leave(s->engine->ctx, wscast_session_rule(s, channel),
                         channel, wscast_str(s->client, WSCAST_CLIENT_ID),
                         lost);
    }

    wscast_fanout_unsubscribe(s->engine->fanout, sub);
    s->nsubscriptions--;
}


void
wscast_session_leave(wscast_session_t *s, unsigned lost)
{
    wscast_list_t  *l, *tmp;

    wscast_list_each(l, tmp, &s->subscriptions) {
        wscast_session_quit(wscast_container(l, wscast_subscription_t, link),
                            lost);
    }
}


wscast_status_t
wscast_session_review(wscast_session_t *s)
{
    wscast_str_t            channel;
    wscast_list_t          *l, *tmp;
    wscast_event_t          e;
    wscast_status_t         rc;
    wscast_subscription_t  *sub;

    wscast_list_each(l, tmp, &s->subscriptions) {
        sub = wscast_container(l, wscast_subscription_t, link);
        channel = sub->channel->node.key;

        sub->sees = wscast_session_may(s, WSCAST_MAY_PRESENCE, channel);

        if (sub->fixed
            || wscast_session_may(s, WSCAST_MAY_SUBSCRIBE, channel))
        {
            continue;
        }

        memset(&e, 0, sizeof(wscast_event_t));
        e.type = WSCAST_EVENT_UNSUBSCRIBED;
        e.channel = channel;

        rc = wscast_session_tell(s, &e);
        wscast_session_quit(sub, 0);

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    return WSCAST_OK;
}


/* The shorter of the two lists that it must be in is walked. */

wscast_subscription_t *
wscast_session_find(wscast_session_t *s, wscast_str_t channel)
{
    uint32_t                i;
    wscast_list_t          *l, *tmp;
    wscast_channel_t       *ch;
    wscast_subscription_t  *sub;

    ch = wscast_fanout_find(s->engine->fanout, channel);

    if (ch == NULL) {
        return NULL;
    }

    if (ch->count < s->nsubscriptions) {

        for (i = 0; i < ch->count; i++) {
            sub = ch->subscribers[i];

            if (sub->subscriber == s && !sub->gone) {
                return sub;
            }
        }

        return NULL;
    }

    wscast_list_each(l, tmp, &s->subscriptions) {
        sub = wscast_container(l, wscast_subscription_t, link);

        if (sub->channel == ch) {
            return sub;
        }
    }

    return NULL;
}
