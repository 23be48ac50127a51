/*
 * session: the input is a script.  The first byte chooses dialects and whether
 * the engine gives receipts; then each byte is a deed: a client says something
 * (its text follows, its length first), a channel becomes live, the engine's
 * next answers, receipts done, room on the bus, a delivery, a close, what
 * happens in the store (whose answers come later), room for a client's frames.
 *
 * A client's frames are counted: each command of the json dialect is answered
 * exactly once, and nothing at all is told after the close.  Positions have no
 * hole, see fuzz_store.h, and members leave as often as they join.
 */
/* libs: -lcjson -lcrypto -lz */

#include "../lib/fuzz_main.h"

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
#include "fuzz_store.h"
#include "fuzz_client.h"


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
deliver_one(void *arg, wscast_subscription_t *sub)
{
    wscast_session_deliver(sub, arg);
    wscast_session_flush(sub->subscriber);
}


static void
deliver_fields(const wscast_pub_fields_t *f)
{
    wscast_channel_t      *ch;
    wscast_publication_t  *pub;

    pub = wscast_publication_create(f);
    must(pub);

    ch = wscast_fanout_find(&fanout, f->channel);

    if (ch) {
        wscast_fanout_deliver(&fanout, ch, deliver_one, pub);
    }

    wscast_publication_release(pub);
}


static void
deliver(wscast_str_t name, unsigned flags)
{
    char                 id[WSCAST_CLIENT_ID];
    wscast_pub_fields_t  f;

    memset(id, '0' + flags % CLIENTS, sizeof(id));
    memset(&f, 0, sizeof(f));
    f.channel = name;
    f.kind = flags == 15 ? WSCAST_PUB_JOIN : flags == 14 ? WSCAST_PUB_LEAVE
                                           : WSCAST_PUB_MESSAGE;
    f.data = wscast_str("x", 1);
    f.flags = flags & (WSCAST_PUB_BINARY|WSCAST_PUB_NO_ECHO);
    f.client = wscast_str(id, flags & 1 ? sizeof(id) : 0);
    f.exclude = wscast_str(id, flags & 4 ? sizeof(id) : 0);

    deliver_fields(&f);
}


/* Something happens to a channel with history. */

static void
happen(unsigned n)
{
    unsigned              i;
    history_t            *h;
    wscast_pub_fields_t   f;
    static unsigned char  data[200 * 1024];

    i = n & 1 ? 2 : 0;
    h = &histories[i];

    memset(&f, 0, sizeof(f));
    f.channel = names[i];
    f.flags = WSCAST_PUB_POSITION;
    f.data = wscast_str("x", 1);

    switch (n >> 1) {

    case 0:                             /* it is published elsewhere */
        h->top++;
        return;

    case 1:                             /* history is trimmed */
        h->oldest = h->top;
        return;

    case 2:
        h->lost ^= 1;
        return;

    case 3:                             /* what is elsewhere was missed */
        f.kind = WSCAST_PUB_BROKEN;
        h->top++;
        h->at = h->top;
        break;

    case 4:
        f.kind = WSCAST_PUB_BROKEN;
        h->epoch++;
        h->top = h->at = 0;
        h->oldest = 1;
        break;

    case 5:                             /* what is held overflows soon */
        if (data[0] == 0) {
            memset(data, '1', sizeof(data));
        }

        f.flags |= WSCAST_PUB_JSON;     /* not escaped: that takes long */
        f.data = wscast_str(data, sizeof(data));
        break;

    default:
        break;
    }

    if (f.kind == WSCAST_PUB_MESSAGE) {
        h->at++;
        h->top += h->top < h->at;
    }

    f.epoch = h->epoch;
    f.offset = h->at;
    deliver_fields(&f);
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
                 || c->said == c->answered
                               + (c->s.pending
                                  && !(c->s.entry && c->s.entry->answered))
                               + (c->s.held != NULL) + c->s.nanswers
                               + c->s.nasks);
        }
    }

    must(fanout.subscriptions == subs);
    must(wscast_fanout_validate(&fanout));
}


/* It ends, and is closed later; or the store forgets its members. */

static void
finish(client_t *c, unsigned n)
{
    wscast_list_t  *l, *tmp;

    if (!c->open) {
        return;
    }

    if (n < 4) {
        c->ended = 1;
        wscast_session_end(&c->s, n & 1);
        return;
    }

    wscast_list_each(l, tmp, &c->s.subscriptions) {
        wscast_session_rejoin(wscast_container(l, wscast_subscription_t, link));
    }
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

    case 9:
        store_answer(n % 4);
        break;

    case 10:
        happen(n);
        break;

    case 11:
        go_on(c, n);
        break;

    case 12:
        ask(c, n);
        break;

    case 13:
        c->room = n < 8 ? n * 100 : (size_t) -1;

        if (c->open) {
            wscast_session_drained(&c->s);
        }

        break;

    case 14:
        finish(c, n);
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
    engine.rules = rules;
    engine.nrules = 2;
    engine.position = store_position;
    engine.query = store_query;
    engine.cancel = store_cancel;
    engine.leave = store_leave;
    engine.recovered = store_recovered;

    for (i = 0; i < CHANNELS; i++) {
        histories[i] = (history_t) { .epoch = 1, .oldest = 1 };
    }

    live = 1;
    answer = WSCAST_OK;
    wscast_list_init(&receipts);
    wscast_list_init(&waiters);
    wscast_list_init(&asked);
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

    must(wscast_list_empty(&waiters) && wscast_list_empty(&asked));
    must(fanout.subscriptions == 0 && fanout.channels.count == 0);

    while (!wscast_list_empty(&receipts)) {
        receive(WSCAST_OK);
    }

    wscast_fanout_done(&fanout);

    return 0;
}
