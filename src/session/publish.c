#include "session.h"
#include "inner.h"


/* One publish whose receipt is outstanding; freed by its done(). */

typedef struct {
    wscast_receipt_t     receipt;
    wscast_list_t        link;          /* of session->answers */
    wscast_session_t    *session;       /* NULL: it has gone */
    wscast_str_t         id;            /* both lie behind the struct */
    wscast_str_t         channel;
} wscast_answer_t;


static wscast_status_t wscast_session_submit(wscast_session_t *s,
    const wscast_pub_fields_t *f, wscast_str_t id);
static wscast_answer_t *wscast_answer_create(wscast_session_t *s,
    const wscast_pub_fields_t *f, wscast_str_t id);
static void wscast_answer_done(wscast_receipt_t *r, wscast_status_t status);
static wscast_status_t wscast_session_published(wscast_session_t *s,
    wscast_str_t id, wscast_str_t channel, const wscast_position_t *position,
    wscast_status_t status);


wscast_status_t
wscast_session_publish(wscast_session_t *s, wscast_command_t *c)
{
    wscast_pub_fields_t   f;
    const wscast_rule_t  *rule;

    if (!wscast_channel_valid(c->channel, s->conf->channel_length)) {
        return wscast_session_error(s, c->id, 400, "no valid channel",
                                    wscast_empty);
    }

    if (!wscast_session_may(s, WSCAST_MAY_PUBLISH, c->channel)) {
        return wscast_session_error(s, c->id, 403,
                                    "not allowed to publish to", c->channel);
    }

    memset(&f, 0, sizeof(wscast_pub_fields_t));

    f.kind = WSCAST_PUB_MESSAGE;
    f.flags = c->flags;
    f.time = s->engine->now(s->engine->ctx);
    f.channel = c->channel;
    f.data = c->data;
    f.client = wscast_str(s->client, WSCAST_CLIENT_ID);
    f.user = s->user;
    f.key = c->key;

    rule = wscast_session_rule(s, f.channel);

    if (rule && rule->no_echo) {
        f.flags |= WSCAST_PUB_NO_ECHO;
    }

    return wscast_session_submit(s, &f, c->id);
}


static wscast_status_t
wscast_session_submit(wscast_session_t *s, const wscast_pub_fields_t *f,
    wscast_str_t id)
{
    wscast_answer_t   *a;
    wscast_status_t    rc;
    wscast_receipt_t   receipt;

    a = NULL;
    memset(&receipt, 0, sizeof(wscast_receipt_t));

    if (s->engine->receipts) {
        a = wscast_answer_create(s, f, id);
        if (a == NULL) {
            return WSCAST_CLOSE_NO_MEMORY;
        }
    }

    rc = s->engine->publish(s->engine->ctx, f, a ? &a->receipt : &receipt,
                            &s->waiter);

    if (rc == WSCAST_MORE) {
        wscast_list_append(&s->answers, &a->link);
        s->nanswers++;

        return WSCAST_OK;
    }

    if (a) {
        receipt.position = a->receipt.position;
        wscast_free(a);
    }

    if (rc != WSCAST_AGAIN) {
        return wscast_session_published(s, id, f->channel, &receipt.position,
                                        rc);
    }

    /* the message dies with its buffer, so it is copied */

    s->held = wscast_publication_create(f);

    if (s->held == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    if (id.len) {
        s->id = wscast_alloc(id.len);
        if (s->id == NULL) {
            return WSCAST_CLOSE_NO_MEMORY;
        }

        memcpy(s->id, id.data, id.len);
        s->id_len = (uint32_t) id.len;
    }

    return WSCAST_OK;
}


/* There may be room on the bus again. */

void
wscast_session_retry(wscast_waiter_t *w)
{
    size_t                 id_len;
    unsigned char         *id;
    wscast_status_t        rc;
    wscast_session_t      *s;
    wscast_publication_t  *held;

    s = wscast_container(w, wscast_session_t, waiter);

    if (s->held == NULL) {
        return;
    }

    held = s->held;
    id = s->id;
    id_len = s->id_len;

    s->held = NULL;
    s->id = NULL;
    s->id_len = 0;

    rc = wscast_session_submit(s, &held->f, wscast_str(id, id_len));

    wscast_publication_release(held);
    wscast_free(id);

    if (rc != WSCAST_OK) {
        s->handler->finalize(s->ctx, rc);
        return;
    }

    s->resuming = 1;
    wscast_session_unblocked(s);
}


static wscast_answer_t *
wscast_answer_create(wscast_session_t *s, const wscast_pub_fields_t *f,
    wscast_str_t id)
{
    size_t            len;
    unsigned char    *p;
    wscast_answer_t  *a;

    /* a dialect without answers only wants to know of failures */

    len = s->conf->dialect->answers ? id.len + f->channel.len : 0;

    a = wscast_alloc(sizeof(wscast_answer_t) + len);
    if (a == NULL) {
        return NULL;
    }

    memset(a, 0, sizeof(wscast_answer_t));

    a->receipt.done = wscast_answer_done;
    wscast_list_init(&a->link);
    a->session = s;

    if (len) {
        p = (unsigned char *) (a + 1);

        if (id.len) {
            memcpy(p, id.data, id.len);
        }

        memcpy(p + id.len, f->channel.data, f->channel.len);

        a->id = wscast_str(p, id.len);
        a->channel = wscast_str(p + id.len, f->channel.len);
    }

    return a;
}


static void
wscast_answer_done(wscast_receipt_t *r, wscast_status_t status)
{
    wscast_answer_t   *a;
    wscast_status_t    rc;
    wscast_session_t  *s;

    a = wscast_container(r, wscast_answer_t, receipt);
    s = a->session;

    if (s) {
        wscast_list_remove(&a->link);

        if (s->nanswers-- == WSCAST_UNANSWERED) {
            s->resuming = 1;
        }

        rc = wscast_session_published(s, a->id, a->channel, &r->position,
                                      status);

        if (rc != WSCAST_OK) {
            s->handler->finalize(s->ctx, rc);
        }

        wscast_session_unblocked(s);
    }

    wscast_free(a);
}


static wscast_status_t
wscast_session_published(wscast_session_t *s, wscast_str_t id,
    wscast_str_t channel, const wscast_position_t *position,
    wscast_status_t status)
{
    wscast_event_t  e;

    switch (status) {

    case WSCAST_OK:
        memset(&e, 0, sizeof(wscast_event_t));
        e.type = WSCAST_EVENT_PUBLISHED;
        e.id = id;
        e.channel = channel;
        e.position = *position;

        return wscast_session_tell(s, &e);

    case WSCAST_CLOSE_AWAY:
        return wscast_session_error(s, id, 503, "engine is away",
                                    wscast_empty);

    case WSCAST_CLOSE_TOO_BIG:
        return wscast_session_error(s, id, 413, "message is too large",
                                    wscast_empty);

    default:
        return status > 0 ? status : WSCAST_CLOSE_NO_MEMORY;
    }
}


void
wscast_session_orphan_answers(wscast_session_t *s)
{
    wscast_list_t    *l, *tmp;
    wscast_answer_t  *a;

    wscast_list_each(l, tmp, &s->answers) {
        a = wscast_container(l, wscast_answer_t, link);
        a->session = NULL;
        wscast_list_remove(l);
    }
}
