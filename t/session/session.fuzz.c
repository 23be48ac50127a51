/*
 * session: the input is a script.  The first byte chooses dialects and whether
 * the engine gives receipts; then each byte is a deed: a client says something
 * (its text follows, its length first), a channel becomes live, the engine's
 * next answers, receipts done, room on the bus, a delivery, a close.
 *
 * A client's frames are counted: each command of the json dialect is answered
 * exactly once, and nothing at all is told after the close.
 */
/* libs: -lcjson */

#include "../lib/fuzz_main.h"

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


#define CLIENTS  3


typedef struct {
    wscast_session_t         s;
    wscast_session_conf_t    conf;
    unsigned                 open;
    unsigned                 said;          /* commands, welcome included */
    unsigned                 answered;
    unsigned                 ended;         /* finalize() has been called */
    unsigned                 was_blocked;
    unsigned                 resumed;
} client_t;


static wscast_fanout_t   fanout;
static wscast_engine_t   engine;
static client_t          clients[CLIENTS];
static wscast_list_t     receipts, waiters;
static unsigned          live;
static wscast_status_t   answer;


static const wscast_str_t  names[] = {
    wscast_string("a"), wscast_string("b"), wscast_string("ab")
};


static wscast_status_t
first(void *ctx, wscast_channel_t *channel)
{
    must(ctx == &fanout && channel->count == 1);
    channel->live = live & 1;

    return live & 2 ? WSCAST_ERROR : WSCAST_OK;
}


static void
last(void *ctx, wscast_channel_t *channel)
{
    must(ctx == &fanout && channel->count == 0);
}


static wscast_status_t
publish(void *ctx, const wscast_pub_fields_t *f, wscast_receipt_t *receipt,
    wscast_waiter_t *waiter)
{
    must(ctx == &engine && (receipt != NULL) == engine.receipts);
    must(wscast_channel_valid(f->channel, 8));
    must(f->client.len == WSCAST_CLIENT_ID);

    if (answer == WSCAST_MORE && !receipt) {
        return WSCAST_OK;
    }

    if (answer == WSCAST_MORE) {
        wscast_list_append(&receipts, &receipt->link);
    }

    if (answer == WSCAST_AGAIN) {
        must(waiter->link.next == &waiter->link);
        wscast_list_append(&waiters, &waiter->link);
    }

    return answer;
}


static uint64_t
now(void *ctx)
{
    must(ctx == &engine);

    return 1;
}


static void
take_frame(void *ctx, wscast_prepared_t *p)
{
    client_t             *c;
    size_t                head;
    wscast_str_t          f;
    static const char     message[] = "{\"type\":\"message\"";

    c = ctx;
    must(c->open);

    f = wscast_prepared_frame(p);
    must(f.len >= 2);
    head = f.data[1] < 126 ? 2 : f.data[1] == 126 ? 4 : 10;
    must(f.len >= head);

    if (c->conf.dialect->answers
        && (f.len - head < sizeof(message) - 1
            || memcmp(f.data + head, message, sizeof(message) - 1) != 0))
    {
        c->answered++;
        must(wscast_json_valid(wscast_str(f.data + head, f.len - head)));

    } else {
        must(!c->conf.dialect->answers || c->answered || c->ended);
    }
}


static void
finalize(void *ctx, wscast_status_t reason)
{
    client_t  *c;

    c = ctx;
    must(c->open && reason > 0 && reason < WSCAST_CLOSE_MAX);
    c->ended = 1;
}


static void
resume(void *ctx)
{
    client_t  *c;

    c = ctx;
    must(c->open && !wscast_session_blocked(&c->s));
    must(c->was_blocked && !c->resumed);
    c->resumed = 1;
}


static const wscast_fanout_handler_t   fanout_handler = { first, last };
static const wscast_session_handler_t  handler = {
    take_frame, finalize, resume
};


static void
close_client(client_t *c)
{
    if (c->open) {
        wscast_session_close(&c->s);
        c->open = 0;
    }
}


static void
open_client(client_t *c, unsigned n)
{
    wscast_grant_t           g;
    wscast_session_params_t  p;

    close_client(c);
    memset(&p, 0, sizeof(p));
    memset(p.id, '0' + n, WSCAST_CLIENT_ID);

    g.ops = WSCAST_MAY_ALL;
    g.pattern = wscast_str("a\001", 2);

    p.channels = names;
    p.nchannels = n % 3;
    p.user = wscast_str("u", n & 1);
    p.grants = wscast_grants_create(&g, 1);
    p.own_grants = 1;

    c->open = 1;
    c->said = 1;
    c->answered = 0;
    c->resumed = 0;
    c->ended = wscast_session_open(&c->s, &c->conf, &engine, &handler, c, &p)
               != WSCAST_OK;
    c->was_blocked = wscast_session_blocked(&c->s);
}


static void
say(client_t *c, const uint8_t **at, const uint8_t *end)
{
    size_t            len;
    unsigned          opcode;
    wscast_status_t   rc;
    unsigned char    *copy;

    len = *at < end ? *(*at)++ : 0;
    opcode = len & 0x80 ? WSCAST_OP_BINARY : WSCAST_OP_TEXT;
    len &= 0x7f;
    len = len < (size_t) (end - *at) ? len : (size_t) (end - *at);

    if (c->open && !c->ended && !wscast_session_blocked(&c->s)) {
        copy = malloc(len ? len : 1);
        must(copy);
        memcpy(copy, *at, len);

        c->resumed = 0;
        c->said++;
        rc = wscast_session_message(&c->s, opcode, copy, len);
        free(copy);

        must(rc == WSCAST_OK || rc > 0);
        c->ended |= rc != WSCAST_OK;
        c->was_blocked = wscast_session_blocked(&c->s);
    }

    *at += len;
}


static void
become_live(wscast_str_t name)
{
    uint32_t                i;
    wscast_channel_t       *ch;
    wscast_subscription_t  *sub;

    ch = wscast_fanout_find(&fanout, name);

    if (ch) {
        ch->live = 1;

        for (i = 0; i < ch->count; i++) {
            sub = ch->subscribers[i];
            wscast_session_joined(sub->subscriber, sub);
        }
    }
}


static void
deliver_one(void *arg, void *subscriber)
{
    wscast_session_deliver(subscriber, arg);
}


static void
deliver(wscast_str_t name, unsigned flags)
{
    char                   id[WSCAST_CLIENT_ID];
    wscast_channel_t      *ch;
    wscast_pub_fields_t    f;
    wscast_publication_t  *pub;

    memset(id, '0' + flags % CLIENTS, sizeof(id));
    memset(&f, 0, sizeof(f));
    f.channel = name;
    f.data = wscast_str("x", 1);
    f.flags = flags & (WSCAST_PUB_BINARY|WSCAST_PUB_NO_ECHO);
    f.client = wscast_str(id, flags & 1 ? sizeof(id) : 0);
    f.exclude = wscast_str(id, flags & 4 ? sizeof(id) : 0);

    pub = wscast_publication_create(&f);
    must(pub);

    ch = wscast_fanout_find(&fanout, name);

    if (ch) {
        wscast_fanout_deliver(&fanout, ch, deliver_one, pub);
    }

    wscast_publication_release(pub);
}


static void
receive(wscast_status_t status)
{
    wscast_receipt_t  *r;

    if (!wscast_list_empty(&receipts)) {
        r = wscast_list_first(&receipts, wscast_receipt_t, link);
        wscast_list_remove(&r->link);
        r->done(r, status);
    }
}


static void
room(void)
{
    wscast_waiter_t  *w;

    if (!wscast_list_empty(&waiters)) {
        w = wscast_list_first(&waiters, wscast_waiter_t, link);
        wscast_list_remove(&w->link);
        w->retry(w);
    }
}


static void
check(void)
{
    size_t          subs, answers;
    client_t       *c;
    unsigned        i;
    wscast_list_t  *l;

    subs = 0;

    for (i = 0; i < CLIENTS; i++) {
        c = &clients[i];

        if (!c->open) {
            continue;
        }

        must(wscast_list_validate(&c->s.subscriptions));
        must(wscast_list_validate(&c->s.answers));

        for (l = c->s.subscriptions.next; l != &c->s.subscriptions; l = l->next)
        {
            subs++;
        }

        for (answers = 0, l = c->s.answers.next; l != &c->s.answers;
             l = l->next)
        {
            answers++;
        }

        must(answers == c->s.nanswers);

        if (!c->ended) {
            must(!c->s.held || c->s.waiter.link.next != &c->s.waiter.link);
            must(!c->was_blocked || c->resumed
                 || wscast_session_blocked(&c->s));

            /* under way: the welcome or a subscription, held, or receipts */

            must(!c->conf.dialect->answers
                 || c->said == c->answered + (c->s.pending != 0)
                               + (c->s.held != NULL) + c->s.nanswers);
        }
    }

    must(fanout.subscriptions == subs);
    must(wscast_fanout_validate(&fanout));
}


static void
deed(const uint8_t **at, const uint8_t *end)
{
    unsigned   n, what;
    client_t  *c;

    static const wscast_status_t  answers[] = {
        WSCAST_OK, WSCAST_MORE, WSCAST_AGAIN, WSCAST_CLOSE_AWAY,
        WSCAST_CLOSE_TOO_BIG, WSCAST_CLOSE_NO_MEMORY
    };

    what = *(*at)++;
    n = what >> 4;
    c = &clients[n % CLIENTS];

    switch (what & 15) {

    case 0:
        open_client(c, n);
        break;

    case 1:
        close_client(c);
        break;

    case 2:
        become_live(names[n % 3]);
        break;

    case 3:
        answer = answers[n % 6];
        break;

    case 4:
        receive(n % 4 ? WSCAST_OK : WSCAST_CLOSE_AWAY);
        break;

    case 5:
        room();
        break;

    case 6:
        deliver(names[n % 3], n);
        break;

    case 7:
        live = n & 3;
        break;

    case 8:
        if (c->open) {
            c->said++;
            wscast_session_disconnect(&c->s);
        }

        break;

    default:
        say(c, at, end);
        break;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned         i;
    const uint8_t   *at, *end;

    if (len == 0) {
        return 0;
    }

    memset(clients, 0, sizeof(clients));

    for (i = 0; i < CLIENTS; i++) {
        clients[i].conf.dialect = data[0] >> i & 1 ? &wscast_dialect_text
                                                   : &wscast_dialect_json;
        clients[i].conf.channel_length = 8;
        clients[i].conf.subscriptions = 3;
    }

    engine.fanout = &fanout;
    engine.publish = publish;
    engine.now = now;
    engine.ctx = &engine;
    engine.receipts = data[0] >> 7;

    live = 1;
    answer = WSCAST_OK;
    wscast_list_init(&receipts);
    wscast_list_init(&waiters);
    wscast_fanout_init(&fanout, 7, &fanout_handler, &fanout);

    at = data + 1;
    end = data + len;

    while (at < end) {
        deed(&at, end);
        check();
    }

    for (i = 0; i < CLIENTS; i++) {
        close_client(&clients[i]);
    }

    must(wscast_list_empty(&waiters));
    must(fanout.subscriptions == 0 && fanout.channels.count == 0);

    while (!wscast_list_empty(&receipts)) {
        receive(WSCAST_OK);
    }

    wscast_fanout_done(&fanout);

    return 0;
}
