#include "session.h"
#include "inner.h"
#include "prepare.h"


/*
 * A subscribe on its way: the channel must be live, the client a member, and
 * what it has missed read from history, page by page, before live messages go
 * on.
 *
 * What is delivered meanwhile is held, and comes after the last page; offsets
 * tell what is in both.  If too much would have to be held it is dropped, since
 * it is in the history too: then there is more to be read.
 */


/* Named by what is awaited. */

typedef enum {
    WSCAST_ENTRY_LIVE = 0,          /* the bus to deliver */
    WSCAST_ENTRY_MEMBER,            /* the store to have the member */
    WSCAST_ENTRY_PAGE,              /* messages from history */
    WSCAST_ENTRY_ROOM               /* the client to read them */
} wscast_entry_e;


typedef struct {
    wscast_list_t            link;
    wscast_prepared_t       *frame;
    uint64_t                 epoch;
    uint64_t                 offset;        /* 0: it has none */
} wscast_late_t;


typedef struct wscast_entry_s  wscast_entry_t;

struct wscast_entry_s {
    wscast_query_t           query;
    wscast_session_t        *session;
    wscast_subscription_t   *sub;
    const wscast_rule_t     *rule;
    wscast_entry_e           state;

    wscast_position_t        since;
    uint64_t                 after;         /* all up to here is done */
    uint64_t                 upto;          /* where live messages begin */
    wscast_list_t            missed;        /* wscast_late_t, to be sent */
    wscast_list_t            held;          /* the same, live ones */
    size_t                   held_bytes;    /* at most WSCAST_ASK_BYTES */

    char                     former[WSCAST_CLIENT_ID];
    unsigned                 has_since:1;
    unsigned                 has_former:1;
    unsigned                 ahead:1;       /* since is beyond this host */
    unsigned                 asking:1;      /* query is under way */
    unsigned                 inside:1;      /* a call of query() */
    unsigned                 answered:1;
    unsigned                 broken:1;      /* something is missing */
    unsigned                 unkept:1;      /* some of what was held is in no
                                               history */
    unsigned                 overflow:1;    /* all of it was dropped */
    unsigned                 nomem:1;

    size_t                   id_len;
    unsigned char            id[];
};


static void wscast_entry_join(wscast_entry_t *e);
static void wscast_entry_joined(wscast_query_t *q, wscast_status_t status);
static void wscast_entry_start(wscast_entry_t *e);
static void wscast_entry_proceed(wscast_entry_t *e);
static void wscast_entry_page(wscast_entry_t *e);
static void wscast_entry_missed(wscast_query_t *q,
    const wscast_pub_fields_t *f);
static int wscast_entry_own(const wscast_entry_t *e,
    const wscast_pub_fields_t *f);
static void wscast_entry_paged(wscast_query_t *q, wscast_status_t status);
static int wscast_entry_send(wscast_entry_t *e);
static int wscast_entry_overflown(wscast_entry_t *e);
static wscast_status_t wscast_entry_answer(wscast_entry_t *e,
    wscast_recovery_e recovery);
static void wscast_entry_end(wscast_entry_t *e);
static int wscast_late_add(wscast_list_t *list, wscast_prepared_t *frame,
    const wscast_pub_fields_t *f);
static void wscast_late_free(wscast_list_t *list);


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


/* Sends and reads in turns until live messages can go on.  May free e. */

static void
wscast_entry_proceed(wscast_entry_t *e)
{
    wscast_status_t    rc;
    wscast_session_t  *s;

    s = e->session;

    for ( ;; ) {

        if (e->nomem) {
            rc = WSCAST_CLOSE_NO_MEMORY;
            break;
        }

        if (e->broken) {
            wscast_late_free(&e->missed);
            (void) wscast_entry_overflown(e);
            rc = wscast_entry_answer(e, WSCAST_RECOVERY_FAILED);
            break;
        }

        if (!wscast_entry_send(e)) {
            e->state = WSCAST_ENTRY_ROOM;
            return;
        }

        if (e->after >= e->upto && !wscast_entry_overflown(e)) {
            rc = WSCAST_OK;
            break;
        }

        if (e->broken) {
            continue;
        }

        wscast_entry_page(e);

        if (e->asking) {
            return;                     /* _paged() goes on */
        }
    }

    if (rc != WSCAST_OK) {
        s->handler->finalize(s->ctx, rc);
    }

    wscast_entry_end(e);
}


static void
wscast_entry_page(wscast_entry_t *e)
{
    wscast_query_t    *q;
    wscast_session_t  *s;

    s = e->session;
    q = &e->query;

    e->state = WSCAST_ENTRY_PAGE;

    q->type = WSCAST_QUERY_HISTORY;
    q->rule = e->rule;
    q->channel = e->sub->channel->node.key;
    q->after = e->after;
    q->upto = e->upto;
    q->newest = 0;
    q->limit = 256;
    q->bytes = WSCAST_ASK_BYTES;
    q->message = wscast_entry_missed;
    q->done = wscast_entry_paged;

    e->asking = 1;
    e->inside = 1;

    s->engine->query(s->engine->ctx, q);

    e->inside = 0;
}


static void
wscast_entry_missed(wscast_query_t *q, const wscast_pub_fields_t *f)
{
    unsigned            told;
    wscast_event_t      event;
    wscast_entry_t     *e;
    wscast_prepared_t  *p;

    e = wscast_container(q, wscast_entry_t, query);

    if (e->broken || e->nomem) {
        return;
    }

    if (f->epoch != e->since.epoch || f->offset != e->after + 1) {
        e->broken = 1;
        return;
    }

    e->after = f->offset;

    if (wscast_entry_own(e, f)) {
        return;
    }

    memset(&event, 0, sizeof(wscast_event_t));
    event.type = WSCAST_EVENT_MESSAGE;
    event.channel = f->channel;
    event.pub = f;

    p = wscast_prepare_event(e->session->conf->dialect, NULL, &event, &told);

    if (p == NULL) {
        e->nomem = told ? 1 : 0;
        return;
    }

    e->nomem = wscast_late_add(&e->missed, p, f) ? 0 : 1;
    wscast_prepared_release(p);
}


/* Messages that its former connection was excluded from stay so. */

static int
wscast_entry_own(const wscast_entry_t *e, const wscast_pub_fields_t *f)
{
    wscast_str_t  former;

    if (!e->has_former) {
        return 0;
    }

    former = wscast_str(e->former, WSCAST_CLIENT_ID);

    return wscast_str_eq(f->exclude, former)
           || ((f->flags & WSCAST_PUB_NO_ECHO)
               && wscast_str_eq(f->client, former));
}


static void
wscast_entry_paged(wscast_query_t *q, wscast_status_t status)
{
    uint64_t         before;
    wscast_entry_t  *e;

    e = wscast_container(q, wscast_entry_t, query);
    e->asking = 0;
    before = q->after;

    /* no answer, another epoch, or nothing where something was: who knows? */

    if (status != WSCAST_OK
        || q->position.epoch != e->since.epoch
        || (e->ahead ? q->position.offset < e->since.offset
                     : e->after == before))
    {
        e->broken = 1;

    } else if (e->ahead) {
        e->sub->offset = e->since.offset;
    }

    e->ahead = 0;

    if (!e->broken && !e->nomem && !e->answered
        && wscast_entry_answer(e, WSCAST_RECOVERY_DONE) != WSCAST_OK)
    {
        e->nomem = 1;
    }

    if (!e->inside) {
        wscast_entry_proceed(e);
    }
}


/* 1: all has been sent. */

static int
wscast_entry_send(wscast_entry_t *e)
{
    wscast_late_t     *late;
    wscast_session_t  *s;

    s = e->session;

    while (!wscast_list_empty(&e->missed)) {
        late = wscast_list_first(&e->missed, wscast_late_t, link);

        if (late->frame->len > s->handler->room(s->ctx)) {
            return 0;
        }

        s->handler->send(s->ctx, late->frame);

        wscast_list_remove(&late->link);
        wscast_prepared_release(late->frame);
        wscast_free(late);
    }

    return 1;
}


/* 1: live messages have been dropped, and are to be read from history. */

static int
wscast_entry_overflown(wscast_entry_t *e)
{
    wscast_session_t   *s;
    wscast_position_t   now;

    if (!e->overflow) {
        return 0;
    }

    s = e->session;
    e->overflow = 0;

    if (s->engine->position(s->engine->ctx, e->sub->channel->node.key, &now)
        != WSCAST_OK
        || now.epoch != e->since.epoch)
    {
        e->broken = 1;
        return 1;
    }

    e->upto = now.offset;
    e->sub->offset = now.offset;

    return e->after < e->upto;
}


/* The answer to subscribe; after it, that continuity was broken. */

static wscast_status_t
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
        }
    }

    e->answered = 1;

    return wscast_session_tell(s, &event);
}


void
wscast_entry_hold(wscast_subscription_t *sub, wscast_publication_t *pub)
{
    unsigned            told;
    wscast_entry_t     *e;
    wscast_session_t   *s;
    wscast_prepared_t  *p;

    s = sub->subscriber;
    e = s->entry;

    if (e == NULL || e->sub != sub
        || e->state < WSCAST_ENTRY_PAGE || e->overflow)
    {
        return;
    }

    p = wscast_prepare_publication(pub, s->conf->dialect, &told);

    if (p == NULL) {
        e->nomem |= told ? 1 : 0;
        return;
    }

    e->unkept |= pub->f.epoch == 0;

    if (e->held_bytes + p->len <= WSCAST_ASK_BYTES) {
        e->held_bytes += p->len;

        if (!wscast_late_add(&e->held, p, &pub->f)) {
            s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
        }

    } else if (e->unkept) {

        /* what is in no history would be lost without a word */

        s->handler->finalize(s->ctx, WSCAST_CLOSE_SLOW);

    } else {
        wscast_late_free(&e->held);
        e->held_bytes = 0;
        e->overflow = 1;
    }
}


void
wscast_entry_drained(wscast_session_t *s)
{
    if (s->entry->state == WSCAST_ENTRY_ROOM) {
        wscast_entry_proceed(s->entry);
    }
}


/* Live messages go on. */

static void
wscast_entry_end(wscast_entry_t *e)
{
    wscast_late_t     *late;
    wscast_session_t  *s;

    s = e->session;

    while (!wscast_list_empty(&e->held)) {
        late = wscast_list_first(&e->held, wscast_late_t, link);

        if (late->offset == 0
            || late->epoch != e->sub->epoch
            || late->offset > e->sub->offset)
        {
            s->handler->send(s->ctx, late->frame);
        }

        wscast_list_remove(&late->link);
        wscast_prepared_release(late->frame);
        wscast_free(late);
    }

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

    wscast_late_free(&e->missed);
    wscast_late_free(&e->held);
    wscast_free(e);
}


/* 0: no memory. */

static int
wscast_late_add(wscast_list_t *list, wscast_prepared_t *frame,
    const wscast_pub_fields_t *f)
{
    wscast_late_t  *late;

    late = wscast_alloc(sizeof(wscast_late_t));
    if (late == NULL) {
        return 0;
    }

    late->frame = wscast_prepared_ref(frame);
    late->epoch = f->epoch;
    late->offset = f->kind == WSCAST_PUB_MESSAGE ? f->offset : 0;

    wscast_list_append(list, &late->link);

    return 1;
}


static void
wscast_late_free(wscast_list_t *list)
{
    wscast_late_t  *late;

    while (!wscast_list_empty(list)) {
        late = wscast_list_first(list, wscast_late_t, link);

        wscast_list_remove(&late->link);
        wscast_prepared_release(late->frame);
        wscast_free(late);
    }
}
