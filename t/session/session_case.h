/*
 * session_case.h: sessions between a bus and connections that are not real.
 *
 * Audience: t/session/session*.c.  The engine answers what `answer` says; what
 * it was told, and what was sent to the client at hand, lie in plain arrays.
 */

#ifndef WSCAST_T_SESSION_CASE_H
#define WSCAST_T_SESSION_CASE_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/auth/grant.c"
#include "../../src/fanout/fanout.c"
#include "../../src/wire/frame.c"
#include "../../src/base/scan.c"
#include "../../src/base/quote.c"
#include "../../src/dialect/text.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/dialect.c"
#include "../../src/session/prepare.c"
#include "../../src/session/publish.c"
#include "../../src/session/session.c"


#define SENT  512


static wscast_fanout_t          fanout;
static wscast_engine_t          engine;
static wscast_session_conf_t    conf;
static wscast_session_t         session;
static wscast_status_t          answer;         /* of publish() */
static wscast_status_t          first_rc;       /* of a channel's first */
static unsigned                 live;           /* channels are, at once */
static wscast_list_t            receipts, waiters;
static unsigned                 published, resumed, finalized, nsent;
static unsigned                 confused;
static wscast_status_t          reason;         /* of finalize() */
static char                     sent[SENT][512];
static unsigned                 sent_opcode[SENT];
static char                     pub_channel[300], pub_data[300], pub_user[64];
static char                     pub_client[64];
static unsigned                 pub_flags;


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static void
text_of(char *out, size_t size, wscast_str_t from)
{
    if (from.len >= size) {
        abort();
    }

    if (from.len) {
        memcpy(out, from.data, from.len);
    }

    out[from.len] = '\0';
}


static wscast_status_t
first(void *ctx, wscast_channel_t *channel)
{
    (void) ctx;

    channel->live = live;

    return first_rc;
}


static void
last(void *ctx, wscast_channel_t *channel)
{
    (void) ctx;
    (void) channel;
}


static wscast_status_t
publish(void *ctx, const wscast_pub_fields_t *f, wscast_receipt_t *receipt,
    wscast_waiter_t *waiter)
{
    confused += ctx != &engine || (receipt != NULL) != engine.receipts;
    published++;

    text_of(pub_channel, sizeof(pub_channel), f->channel);
    text_of(pub_data, sizeof(pub_data), f->data);
    text_of(pub_user, sizeof(pub_user), f->user);
    text_of(pub_client, sizeof(pub_client), f->client);
    pub_flags = f->flags;
    confused += f->time != 1234;

    if (answer == WSCAST_MORE) {
        wscast_list_append(&receipts, &receipt->link);
    }

    if (answer == WSCAST_AGAIN) {
        wscast_list_remove(&waiter->link);
        wscast_list_append(&waiters, &waiter->link);
    }

    return answer;
}


static uint64_t
now(void *ctx)
{
    (void) ctx;

    return 1234;
}


static void
take_frame(void *ctx, wscast_prepared_t *p)
{
    size_t               head;
    wscast_str_t         frame;

    confused += ctx != &session;

    frame = wscast_prepared_frame(p);
    head = frame.data[1] < 126 ? 2 : 4;

    if (nsent == SENT) {
        abort();
    }

    sent_opcode[nsent] = frame.data[0];
    text_of(sent[nsent++], sizeof(sent[0]),
            wscast_str(frame.data + head, frame.len - head));
}


static void
finalize(void *ctx, wscast_status_t rc)
{
    confused += ctx != &session;

    if (finalized++ == 0) {
        reason = rc;
    }
}


static void
resume(void *ctx)
{
    confused += ctx != &session;
    confused += wscast_session_blocked(&session);
    resumed++;
}


static const wscast_fanout_handler_t   fanout_handler = { first, last };
static const wscast_session_handler_t  handler = {
    take_frame, finalize, resume
};


static void
fresh(const wscast_dialect_t *dialect)
{
    memset(&conf, 0, sizeof(conf));
    conf.dialect = dialect;
    conf.channel_length = 20;
    conf.subscriptions = 3;
    conf.ping = 25;

    memset(&engine, 0, sizeof(engine));
    engine.fanout = &fanout;
    engine.publish = publish;
    engine.now = now;
    engine.ctx = &engine;

    wscast_fanout_init(&fanout, 7, &fanout_handler, NULL);
    wscast_list_init(&receipts);
    wscast_list_init(&waiters);

    answer = WSCAST_OK;
    first_rc = WSCAST_OK;
    live = 1;
    published = resumed = finalized = nsent = confused = 0;
    reason = 0;
    unit_alloc_reset(0);
}


static wscast_grants_t *
grants(const char *subscribe, const char *publish_to)
{
    unsigned char    a[64], b[64];
    wscast_grant_t   g[2];

    strcpy((char *) a, subscribe);
    strcpy((char *) b, publish_to);

    g[0].ops = WSCAST_MAY_SUBSCRIBE;
    g[0].pattern = wscast_str(a, strlen(subscribe));
    wscast_pattern_compile(a, strlen(subscribe));

    g[1].ops = WSCAST_MAY_PUBLISH;
    g[1].pattern = wscast_str(b, strlen(publish_to));
    wscast_pattern_compile(b, strlen(publish_to));

    return wscast_grants_create(g, 2);
}


/* May subscribe and publish to "room:" anything; joins n channels at once. */

static wscast_status_t
begin(const char *channel0, const char *channel1, const char *user,
    const char *welcome)
{
    size_t                   fail_at;
    wscast_str_t             channels[2];
    wscast_session_params_t  p;

    memset(&p, 0, sizeof(p));
    memcpy(p.id, "0123456789abcdef", WSCAST_CLIENT_ID);

    if (channel0) {
        channels[p.nchannels++] = s(channel0);
    }

    if (channel1) {
        channels[p.nchannels++] = s(channel1);
    }

    p.channels = channels;
    p.user = s(user);
    p.welcome = s(welcome);
    p.own_grants = 1;

    /* made by the handshake: not what is to fail */

    fail_at = unit_fail_at;
    unit_fail_at = 0;
    p.grants = grants("room:*", "room:*");
    unit_fail_at = fail_at;

    return wscast_session_open(&session, &conf, &engine, &handler, &session,
                               &p);
}


static wscast_status_t
says(const char *message)
{
    size_t           len;
    wscast_status_t  rc;
    unsigned char   *copy;

    /* exactly as long, and gone afterwards */

    len = strlen(message);
    copy = malloc(len ? len : 1);

    if (copy == NULL) {
        abort();
    }

    memcpy(copy, message, len);
    rc = wscast_session_message(&session, WSCAST_OP_TEXT, copy, len);
    memset(copy, '#', len);
    free(copy);

    return rc;
}


static const char *
heard(void)
{
    return nsent ? sent[nsent - 1] : "(nothing)";
}


TAP_UNUSED static void
become_live(const char *name)
{
    uint32_t           i;
    wscast_channel_t  *ch;

    ch = wscast_fanout_find(&fanout, s(name));
    ch->live = 1;

    for (i = 0; i < ch->count; i++) {
        wscast_session_joined(ch->subscribers[i]->subscriber,
                              ch->subscribers[i]);
    }
}


TAP_UNUSED static void
deliver_one(void *arg, void *subscriber)
{
    wscast_session_deliver(subscriber, arg);
}


TAP_UNUSED static void
deliver(const char *channel, const char *data, unsigned flags,
    const char *client, const char *exclude)
{
    wscast_channel_t      *ch;
    wscast_pub_fields_t    f;
    wscast_publication_t  *pub;

    memset(&f, 0, sizeof(f));
    f.channel = s(channel);
    f.data = s(data);
    f.flags = flags;
    f.client = s(client);
    f.exclude = s(exclude);
    f.time = 1;

    pub = wscast_publication_create(&f);
    ch = wscast_fanout_find(&fanout, f.channel);

    if (pub && ch) {
        wscast_fanout_deliver(&fanout, ch, deliver_one, pub);
    }

    wscast_publication_release(pub);
}


/* The oldest receipt is answered. */

TAP_UNUSED static void
receive(wscast_status_t status)
{
    wscast_receipt_t  *r;

    if (wscast_list_empty(&receipts)) {
        return;
    }

    r = wscast_list_first(&receipts, wscast_receipt_t, link);
    wscast_list_remove(&r->link);
    r->done(r, status);
}


/* There is room: the first that waits is told so. */

TAP_UNUSED static void
room(void)
{
    wscast_waiter_t  *w;

    if (wscast_list_empty(&waiters)) {
        return;
    }

    w = wscast_list_first(&waiters, wscast_waiter_t, link);
    wscast_list_remove(&w->link);
    w->retry(w);
}


static void
over(const char *what)
{
    wscast_session_close(&session);

    ok(wscast_list_empty(&waiters), "%s: nobody waits", what);

    while (!wscast_list_empty(&receipts)) {
        receive(WSCAST_CLOSE_AWAY);
    }

    ok(wscast_fanout_validate(&fanout) && fanout.subscriptions == 0,
       "%s: nobody is subscribed", what);
    wscast_fanout_done(&fanout);
    is_int(unit_live, 0, "%s: nothing leaks", what);
    is_int(confused, 0, "%s: upward calls make sense", what);
}


#endif /* WSCAST_T_SESSION_CASE_H */
