#include "session.h"
#include "entry.h"


static void wscast_entry_join(wscast_entry_t *e);
static void wscast_entry_joined(wscast_query_t *q, wscast_status_t status);
static void wscast_entry_start(wscast_entry_t *e);


wscast_status_t
wscast_entry_begin(wscast_session_t *s, wscast_subscription_t *sub,
    const wscast_command_t *c)
{
    wscast_entry_t  *e;

    e = wscast_alloc(sizeof(wscast_entry_t) + c->id.len);
    if (e == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    memset(e, 0, sizeof(wscast_entry_t));

    e->session = s;
    e->sub = sub;
    e->rule = wscast_session_rule(s, c->channel);
    e->since = c->since;
    e->has_since = c->has_since ? 1 : 0;
    e->id_len = c->id.len;

    if (c->id.len) {
        memcpy(e->id, c->id.data, c->id.len);
    }

    if (c->former.len == WSCAST_CLIENT_ID) {
        e->has_former = 1;
        memcpy(e->former, c->former.data, WSCAST_CLIENT_ID);
    }

    wscast_list_init(&e->missed);
    wscast_list_init(&e->held);
    wscast_list_init(&e->query.link);

    s->entry = e;

    if (sub->channel->live) {
        wscast_entry_join(e);
    }

    return WSCAST_OK;
}


void
wscast_entry_live(wscast_session_t *s)
{
    if (s->entry && s->entry->state == WSCAST_ENTRY_LIVE) {
        wscast_entry_join(s->entry);
    }
}


static void
wscast_entry_join(wscast_entry_t *e)
{
    wscast_session_t  *s;

    s = e->session;

    if (e->rule == NULL || !e->rule->presence) {
        wscast_entry_start(e);
        return;
    }

    e->state = WSCAST_ENTRY_MEMBER;
    e->sub->member = 1;

    e->query.type = WSCAST_QUERY_JOIN;
    e->query.rule = e->rule;
    e->query.channel = e->sub->channel->node.key;
    e->query.member.client = wscast_str(s->client, WSCAST_CLIENT_ID);
    e->query.member.user = s->user;
    e->query.member.info = s->info;
    e->query.former = wscast_str(e->former,
                                 e->has_former ? WSCAST_CLIENT_ID : 0);
    e->query.done = wscast_entry_joined;
    e->asking = 1;

    s->engine->query(s->engine->ctx, &e->query);
}


static void
wscast_entry_joined(wscast_query_t *q, wscast_status_t status)
{
    wscast_entry_t  *e;

    e = wscast_container(q, wscast_entry_t, query);
    e->asking = 0;

    /* a store that is away gets its members as soon as it is back */

    if (status != WSCAST_OK) {
        memset(q->known, 0, WSCAST_CLIENT_ID);
    }

    wscast_entry_start(e);
}


/* Where does the channel stand, and is there anything to be made up for? */

static void
wscast_entry_start(wscast_entry_t *e)
{
    wscast_status_t     rc;
    wscast_session_t   *s;
    wscast_position_t   now;

    s = e->session;
    e->state = WSCAST_ENTRY_PAGE;

    if (e->rule && e->rule->history
        && s->engine->position(s->engine->ctx, e->sub->channel->node.key, &now)
           == WSCAST_OK)
    {
        e->sub->epoch = now.epoch;
        e->sub->offset = now.offset;
        e->upto = now.offset;
        e->after = now.offset;

        if (e->has_since && e->since.epoch == now.epoch) {
            e->after = e->since.offset;

            /*
             * A client that knows more than this host comes from another one,
             * which was faster, or the channel has lost messages: the store
             * tells.
             */

            if (e->since.offset > now.offset) {
                e->ahead = 1;
                e->upto = e->since.offset;
                wscast_entry_page(e);

                if (!e->asking) {
                    wscast_entry_proceed(e);
                }

                return;
            }

            if (e->after < e->upto) {
                wscast_entry_proceed(e);
                return;
            }

            rc = wscast_entry_answer(e, WSCAST_RECOVERY_DONE);
            goto answered;
        }
    }

    rc = wscast_entry_answer(e, e->has_since ? WSCAST_RECOVERY_FAILED
                                             : WSCAST_RECOVERY_NONE);

answered:

    if (rc != WSCAST_OK) {
        s->handler->finalize(s->ctx, rc);
    }

    wscast_entry_end(e);
}


wscast_status_t
wscast_entry_answer(wscast_entry_t *e, wscast_recovery_e recovery)
{
    wscast_str_t       known;
    wscast_event_t     event;
    wscast_session_t  *s;

    s = e->session;

    if (recovery != WSCAST_RECOVERY_NONE) {
        s->engine->recovered(s->engine->ctx,
                             recovery == WSCAST_RECOVERY_DONE);
    }

    memset(&event, 0, sizeof(wscast_event_t));
    event.type = WSCAST_EVENT_SUBSCRIBED;
    event.channel = e->sub->channel->node.key;
    event.recovery = recovery;
    event.position.epoch = e->sub->epoch;
    event.position.offset = e->sub->offset;

    if (!e->answered) {
        event.id = wscast_str(e->id, e->id_len);
        known = wscast_str(e->query.known, WSCAST_CLIENT_ID);

        if (e->query.known[0]
            && !wscast_str_eq(known, wscast_str(s->client, WSCAST_CLIENT_ID)))
        {
            event.member.client = known;
            memcpy(s->known, e->query.known, WSCAST_CLIENT_ID);
        }
    }

    e->answered = 1;

    return wscast_session_tell(s, &event);
}


void
wscast_entry_end(wscast_entry_t *e)
{
    wscast_session_t  *s;

    s = e->session;

    e->sub->pending = 0;
    s->pending--;
    s->resuming = 1;

    wscast_entry_drop(s);
    wscast_session_unblocked(s);
}


void
wscast_entry_drop(wscast_session_t *s)
{
    wscast_entry_t  *e;

    e = s->entry;

    if (e == NULL) {
        return;
    }

    s->entry = NULL;

    if (e->asking) {
        s->engine->cancel(s->engine->ctx, &e->query);
    }

    wscast_late_clear(&e->missed);
    wscast_late_clear(&e->held);
    wscast_free(e);
}
