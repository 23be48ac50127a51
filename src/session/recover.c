#include "session.h"
#include "entry.h"
#include "prepare.h"


/*
 * What a client has missed is read from history, page by page, before live
 * messages go on.
 *
 * What is delivered meanwhile is held, and comes after the last page; offsets
 * tell what is in both.  If too much would have to be held it is dropped, since
 * it is in the history too: then there is more to be read.  Only what the
 * client has room for is sent, of pages and of what was held, so that nobody is
 * cut off for having missed much.
 */


static void wscast_entry_missed(wscast_query_t *q,
    const wscast_pub_fields_t *f);
static int wscast_entry_own(const wscast_entry_t *e,
    const wscast_pub_fields_t *f);
static void wscast_entry_paged(wscast_query_t *q, wscast_status_t status);
static wscast_status_t wscast_entry_lost(wscast_entry_t *e);
static int wscast_entry_send(wscast_entry_t *e);
static int wscast_entry_catch_up(wscast_entry_t *e);
static int wscast_entry_overflown(wscast_entry_t *e);


void
wscast_entry_hold(wscast_subscription_t *sub, wscast_publication_t *pub)
{
    unsigned            told;
    wscast_entry_t     *e;
    wscast_session_t   *s;
    wscast_position_t   at;
    wscast_prepared_t  *p;

    s = sub->subscriber;
    e = s->entry;

    if (e == NULL || e->sub != sub
        || e->state < WSCAST_ENTRY_PAGE || wscast_entry_own(e, &pub->f))
    {
        return;
    }

    at = wscast_late_position(&pub->f);

    if (e->overflow && at.epoch) {
        return;
    }

    p = wscast_session_frame(s, pub, &told);

    if (p == NULL) {

        if (told) {
            s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
        }

        return;
    }

    if (e->held_bytes + p->len > WSCAST_ASK_BYTES) {

        if (e->unkept || at.epoch == 0) {

            /* what is in no history would be lost without a word */

            s->handler->finalize(s->ctx, WSCAST_CLOSE_SLOW);
            return;
        }

        wscast_late_clear(&e->held);
        e->held_bytes = 0;
        e->overflow = 1;

        return;
    }

    if (!wscast_late_add(&e->held, p, at)) {
        s->handler->finalize(s->ctx, WSCAST_CLOSE_NO_MEMORY);
        return;
    }

    e->held_bytes += p->len;
    e->unkept += at.epoch == 0;
}


void
wscast_entry_drained(wscast_session_t *s)
{
    if (s->entry->state == WSCAST_ENTRY_ROOM) {
        wscast_entry_proceed(s->entry);
    }
}


void
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
            rc = wscast_entry_lost(e);

            if (rc != WSCAST_OK) {
                break;
            }
        }

        if (!wscast_entry_send(e)) {
            e->state = WSCAST_ENTRY_ROOM;
            return;
        }

        if (e->after >= e->upto && !wscast_entry_overflown(e)) {

            if (!wscast_entry_catch_up(e)) {
                e->state = WSCAST_ENTRY_ROOM;
                return;
            }

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


void
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

    e->nomem = wscast_late_add(&e->missed, p, wscast_late_position(f)) ? 0 : 1;
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


/* Something is missing: says so, and goes on with what was held. */

static wscast_status_t
wscast_entry_lost(wscast_entry_t *e)
{
    wscast_late_clear(&e->missed);
    (void) wscast_entry_overflown(e);

    e->broken = 0;
    e->since.epoch = e->sub->epoch;
    e->after = e->sub->offset;
    e->upto = e->sub->offset;

    return wscast_entry_answer(e, WSCAST_RECOVERY_FAILED);
}


/* What was missed.  1: all of it has been sent. */

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
        wscast_late_remove(late);
    }

    return 1;
}


/* What was held, unless it was read from history too.  1: all is sent. */

static int
wscast_entry_catch_up(wscast_entry_t *e)
{
    wscast_late_t      *late;
    wscast_session_t   *s;
    wscast_position_t   at;

    s = e->session;

    while (!wscast_list_empty(&e->held)) {
        late = wscast_list_first(&e->held, wscast_late_t, link);
        at = late->position;

        if (at.epoch == 0
            || at.epoch != e->sub->epoch || at.offset > e->sub->offset)
        {
            if (late->frame->len > s->handler->room(s->ctx)) {
                return 0;
            }

            s->handler->send(s->ctx, late->frame);

            if (at.epoch) {
                e->sub->epoch = at.epoch;
                e->sub->offset = at.offset;
            }
        }

        e->unkept -= at.epoch == 0;
        e->held_bytes -= late->frame->len;
        wscast_late_remove(late);

        /* where to read on, should the rest be dropped */

        e->since.epoch = e->sub->epoch;
        e->after = e->sub->offset;
        e->upto = e->sub->offset;
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
        != WSCAST_OK)
    {
        now.epoch = 0;
        now.offset = 0;
    }

    if (now.epoch == 0 || now.epoch != e->since.epoch) {
        e->broken = 1;
        e->sub->epoch = now.epoch;
        e->sub->offset = now.offset;

        return 1;
    }

    e->upto = now.offset;
    e->sub->offset = now.offset;

    return e->after < e->upto;
}
