/*
 * session_case.h: sessions between a bus and connections that are not real.
 *
 * Audience: t/session/session*.c.  The engine answers what `answer` says; what
 * it was told, and what was sent to the client at hand, lie in plain arrays.
 * Questions to the store are in store_case.h.
 */

#ifndef WSCAST_T_SESSION_CASE_H
#define WSCAST_T_SESSION_CASE_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/base/rule.c"
#include "../../src/auth/grant.c"
#include "../../src/auth/base64url.c"
#include "../../src/auth/jwk.c"
#include "../../src/auth/key.c"
#include "../../src/auth/signature.c"
#include "../../src/auth/token.c"
#include "../../src/fanout/backlog.c"
#include "../../src/fanout/fanout.c"
#include "../../src/wire/frame.c"
#include "../../src/wire/deflate.c"
#include "../../src/base/scan.c"
#include "../../src/base/quote.c"
#include "../../src/dialect/text.c"
#include "../../src/dialect/json.c"
#include "../../src/dialect/json_events.c"
#include "../../src/dialect/dialect.c"
#include "../../src/session/prepare.c"
#include "../../src/session/publish.c"
#include "../../src/session/ask.c"
#include "../../src/session/late.c"
#include "../../src/session/entry.c"
#include "../../src/session/recover.c"
#include "../../src/session/subscribe.c"
#include "../../src/session/session.c"

#include "receipts.h"


#define SENT  512


static wscast_fanout_t          fanout;
static wscast_engine_t          engine;
static wscast_session_conf_t    conf;
static wscast_session_t         session;
static wscast_status_t          answer;         /* of publish() */
static wscast_position_t        taken;          /* where publish() put it */
static size_t                   has_room;       /* of the connection */
static unsigned                 flushed;        /* calls of flush() */
static unsigned                 expired;        /* calls of expires() */
static wscast_status_t          first_rc;       /* of a channel's first */
static unsigned                 live;           /* channels are, at once */
static const char              *first_live;     /* or this one alone is */
static wscast_list_t            waiters;
static unsigned                 published, resumed, finalized, nsent;
static unsigned                 confused;
static wscast_status_t          reason;         /* of finalize() */
static char                     sent[SENT][1024];
static unsigned                 sent_opcode[SENT];
static size_t                   sent_len[SENT];
static char                     pub_channel[300], pub_data[300], pub_user[64];
static char                     pub_client[64], pub_key[64];
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

    channel->live = live || wscast_str_eq(channel->node.key, s(first_live));

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
    confused += ctx != &engine || receipt == NULL;
    published++;

    text_of(pub_channel, sizeof(pub_channel), f->channel);
    text_of(pub_data, sizeof(pub_data), f->data);
    text_of(pub_user, sizeof(pub_user), f->user);
    text_of(pub_client, sizeof(pub_client), f->client);
    text_of(pub_key, sizeof(pub_key), f->key);
    pub_flags = f->flags;
    confused += f->time != 1234;

    if (answer == WSCAST_MORE) {
        outstanding(receipt);
    }

    if (answer == WSCAST_OK) {
        receipt->position = taken;
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
    head = frame.data[1] < 126 ? 2 : frame.data[1] == 126 ? 4 : 10;

    if (nsent == SENT) {
        abort();
    }

    /* of what is long the beginning tells enough */

    sent_opcode[nsent] = frame.data[0];
    sent_len[nsent] = frame.len - head;
    text_of(sent[nsent], sizeof(sent[0]),
            wscast_str(frame.data + head,
                       sent_len[nsent] < sizeof(sent[0])
                       ? sent_len[nsent] : sizeof(sent[0]) - 1));
    nsent++;

    has_room -= has_room < frame.len ? has_room : frame.len;
}


static size_t
room_for(void *ctx)
{
    confused += ctx != &session;

    return has_room;
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


static void
expires(void *ctx)
{
    confused += ctx != &session;
    expired++;
}


static void
flush(void *ctx)
{
    confused += ctx != &session;
    flushed++;
}


static const wscast_fanout_handler_t   fanout_handler = {
    first, last, NULL, NULL, 0, 0
};
static const wscast_session_handler_t  handler = {
    take_frame, flush, room_for, finalize, resume, expires
};


static void deliver_fields(const wscast_pub_fields_t *f);

#include "store_case.h"


static void
fresh(const wscast_dialect_t *dialect)
{
    memset(&conf, 0, sizeof(conf));
    conf.dialect = dialect;
    conf.channel_length = 20;
    conf.subscriptions = 3;
    pub_channel[0] = '\0';
    conf.ping = 25;

    memset(&engine, 0, sizeof(engine));
    engine.fanout = &fanout;
    engine.publish = publish;
    engine.now = now;
    engine.ctx = &engine;
    store_fresh();

    wscast_fanout_init(&fanout, 7, &fanout_handler, NULL);
    wscast_list_init(&receipts);
    wscast_list_init(&waiters);

    answer = WSCAST_OK;
    first_rc = WSCAST_OK;
    live = 1;
    first_live = "";
    published = resumed = finalized = nsent = confused = 0;
    flushed = expired = 0;
    memset(&taken, 0, sizeof(taken));
    has_room = (size_t) -1;
    reason = 0;
    unit_alloc_reset(0);
}


/* A pattern for each op; NULL: none. */

static wscast_grants_t *
grants(const char *subscribe, const char *publish_to, const char *presence,
    const char *history)
{
    size_t           i, n, len;
    unsigned char    text[4][64];
    wscast_grant_t   g[4];

    const char *const      patterns[] = {
        subscribe, publish_to, presence, history
    };
    static const unsigned  ops[] = {
        WSCAST_MAY_SUBSCRIBE, WSCAST_MAY_PUBLISH, WSCAST_MAY_PRESENCE,
        WSCAST_MAY_HISTORY
    };

    for (i = 0, n = 0; i < 4; i++) {

        if (patterns[i]) {
            len = strlen(patterns[i]);
            memcpy(text[i], patterns[i], len);
            wscast_pattern_compile(text[i], len);

            g[n].ops = ops[i];
            g[n++].pattern = wscast_str(text[i], len);
        }
    }

    return wscast_grants_create(g, n);
}


static wscast_session_params_t  params;         /* of the next begin() */


/* By default: subscribe and publish to "room:" anything. */

static wscast_status_t
begin(const char *channel0, const char *channel1, const char *user,
    const char *welcome)
{
    size_t                   fail_at;
    wscast_str_t             channels[2];
    wscast_status_t          rc;
    wscast_session_params_t  p;

    p = params;
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

    /* made by the handshake: not what is to fail */

    fail_at = unit_fail_at;
    unit_fail_at = 0;

    if (p.grants == NULL) {
        p.grants = grants("room:*", "room:*", NULL, NULL);
        p.own_grants = 1;
    }

    unit_fail_at = fail_at;

    rc = wscast_session_open(&session, &conf, &engine, &handler, &session, &p);
    memset(&params, 0, sizeof(params));

    return rc;
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


TAP_UNUSED static const char *
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


static void
deliver_one(void *arg, wscast_subscription_t *sub)
{
    wscast_session_deliver(sub, arg);
}


static void
deliver_fields(const wscast_pub_fields_t *f)
{
    wscast_channel_t      *ch;
    wscast_publication_t  *pub;

    pub = wscast_publication_create(f);
    ch = wscast_fanout_find(&fanout, f->channel);

    if (pub && ch) {
        wscast_fanout_deliver(&fanout, ch, deliver_one, pub);
    }

    wscast_publication_release(pub);
}


TAP_UNUSED static void
deliver(const char *channel, const char *data, unsigned flags,
    const char *client, const char *exclude)
{
    wscast_pub_fields_t  f;

    memset(&f, 0, sizeof(f));
    f.channel = s(channel);
    f.data = s(data);
    f.flags = flags;
    f.client = s(client);
    f.exclude = s(exclude);
    f.time = 1;

    deliver_fields(&f);
}


/*
 * What was heard since the last call, a word for each: "S5+" is the answer to
 * subscribe, at offset 5 and recovered ("!": not), "B5" the same without being
 * asked, "6" message 6, "x" one without an offset, "J" and "L" join and leave,
 * "E403" an error, "U" unsubscribed, "W" the welcome, "?" anything else.
 */

TAP_UNUSED static const char *
words(void)
{
    size_t        len;
    unsigned      i;
    const char   *frame, *at, *code;
    static char   out[8 * SENT];

    out[0] = '\0';

    for (i = 0, len = 0; i < nsent; i++) {
        frame = sent[i];
        at = strstr(frame, "\"offset\":");
        code = strstr(frame, "\"code\":");

#define is_a(type)  (strncmp(frame, "{\"type\":\"" type "\"",             \
                             sizeof("{\"type\":\"" type "\"") - 1) == 0)

        len += (size_t) snprintf(out + len, sizeof(out) - len, "%s%s%.*s%s",
            len ? " " : "",
            is_a("subscribed") ? strstr(frame, "\"id\":") ? "S" : "B"
            : is_a("message") ? at ? "" : "x"
            : is_a("join") ? "J" : is_a("leave") ? "L"
            : is_a("unsubscribed") ? "U" : is_a("welcome") ? "W"
            : is_a("error") ? "E" : "?",
            code ? 3 : at ? (int) strspn(at + 9, "0123456789") : 0,
            code ? code + 7 : at ? at + 9 : "",
            strstr(frame, "\"recovered\":true") ? "+"
            : strstr(frame, "\"recovered\":false") ? "!" : "");
    }

    nsent = 0;

    return out;
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


TAP_UNUSED static void
over(const char *what)
{
    wscast_session_close(&session);
    store_over(what);

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
