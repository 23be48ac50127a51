/* fanout: who is subscribed is called once, and the law of delivery holds. */

#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/fanout/backlog.c"
#include "../../src/fanout/fanout.c"


#define CLIENTS  50


typedef struct client_s  client_t;

struct client_s {
    wscast_list_t             mine;
    wscast_subscription_t    *sub;
    int                       calls;
    void                    (*then)(client_t *c);   /* inside of a delivery */
};


static wscast_fanout_t  f;
static client_t         clients[CLIENTS];
static int              firsts, lasts;
static wscast_status_t  first_rc;
static int              wrong;
static int              told;       /* lasts, as seen inside of a delivery */


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static wscast_status_t
first(void *ctx, wscast_channel_t *channel)
{
    wrong += ctx != &firsts || channel->count != 1 || channel->live
             || wscast_fanout_find(&f, channel->node.key) != channel;
    firsts++;

    return first_rc;
}


static void
last(void *ctx, wscast_channel_t *channel)
{
    wrong += ctx != &firsts || channel->count != 0
             || wscast_fanout_find(&f, channel->node.key) != NULL;
    lasts++;
}


static const wscast_fanout_handler_t  handler = {
    first, last, NULL, NULL, 0, 0
};


static void
fresh(void)
{
    int  i;

    memset(clients, 0, sizeof(clients));

    for (i = 0; i < CLIENTS; i++) {
        wscast_list_init(&clients[i].mine);
    }

    firsts = lasts = wrong = told = 0;
    first_rc = WSCAST_OK;
    unit_alloc_reset(0);
    wscast_fanout_init(&f, 7, &handler, &firsts);
}


static wscast_status_t
join(int i, const char *name)
{
    return wscast_fanout_subscribe(&f, s(name), &clients[i], &clients[i].mine,
                                   &clients[i].sub);
}


static void
leave(client_t *c)
{
    wscast_fanout_unsubscribe(&f, c->sub);
    c->sub = NULL;
}


static void
deliver(void *arg, wscast_subscription_t *subscription)
{
    client_t  *c;

    c = subscription->subscriber;
    c->calls++;
    wrong += arg != &wrong;

    if (c->then) {
        c->then(c);
    }
}


static size_t
broadcast(const char *name)
{
    return wscast_fanout_deliver(&f, wscast_fanout_find(&f, s(name)), deliver,
                                 &wrong);
}


static void
test_plain(void)
{
    char  name[] = "room:7";

    fresh();

    ok(wscast_fanout_find(&f, s("room:7")) == NULL,
       "a channel without subscribers is not there");

    is_int(join(0, name), WSCAST_OK, "a client can subscribe");
    memset(name, '#', 6);
    ok(wscast_fanout_find(&f, s("room:7")) != NULL,
       "then the channel is there, with a name of its own");
    is_int(firsts, 1, "the first subscriber is told");
    ok(wscast_list_first(&clients[0].mine, wscast_subscription_t, link)
       == clients[0].sub && clients[0].sub->subscriber == &clients[0],
       "the subscription is in the client's list");

    join(1, "room:7");
    join(2, "room:8");
    is_int(firsts, 2, "the second of a channel is not told, of another is");
    is_int(f.subscriptions, 3, "subscriptions are counted");
    is_int(wscast_fanout_find(&f, s("room:7"))->count, 2,
           "a channel counts its own");

    is_int(broadcast("room:7"), 2, "a delivery tells how many it reached");
    ok(clients[0].calls == 1 && clients[1].calls == 1 && clients[2].calls == 0,
       "each subscriber of the channel is called once, others are not");

    leave(&clients[0]);
    is_int(lasts, 0, "a channel stays while somebody is there");
    ok(wscast_list_empty(&clients[0].mine), "who left has no subscription");
    broadcast("room:7");
    ok(clients[0].calls == 1 && clients[1].calls == 2,
       "who left is not called, who stayed is");

    leave(&clients[1]);
    is_int(lasts, 1, "the last to leave is told");
    ok(wscast_fanout_find(&f, s("room:7")) == NULL
       && wscast_fanout_validate(&f),
       "then the channel is gone");

    wscast_fanout_done(&f);
    is_int(lasts, 1, "the end of all tells nobody");
    ok(wscast_list_empty(&clients[2].mine), "and empties the clients' lists");
    is_int(unit_live, 0, "nothing is left allocated");
    is_int(wrong, 0, "handlers saw the channel as promised");
}


static void
test_refused(void)
{
    fresh();

    first_rc = WSCAST_ERROR;
    is_int(join(0, "a"), WSCAST_ERROR, "what first() says fails a subscribe");
    ok(clients[0].sub == NULL && wscast_list_empty(&clients[0].mine)
       && wscast_fanout_find(&f, s("a")) == NULL && f.subscriptions == 0
       && wscast_fanout_validate(&f), "and nothing has changed");
    is_int(lasts, 0, "and last() is not called");

    first_rc = WSCAST_OK;
    is_int(join(0, "a"), WSCAST_OK, "later it may succeed");

    wscast_fanout_done(&f);
    is_int(unit_live, 0, "nothing is left allocated");
}


static void
test_memory(void)
{
    size_t  n;
    int     i;

    fresh();

    for (n = 1; n < 10; n++) {
        unit_alloc_reset(n);

        if (join(0, "a") == WSCAST_OK) {
            break;
        }

        ok(f.subscriptions == 0 && wscast_list_empty(&clients[0].mine)
           && wscast_fanout_find(&f, s("a")) == NULL && firsts == 0
           && wscast_fanout_validate(&f),
           "when allocation %zu fails nothing has changed", n);
    }

    is_int(n, 5, "four allocations can fail");

    unit_alloc_reset(0);

    for (i = 1; i < WSCAST_CHANNEL_SIZE; i++) {
        join(i, "a");
    }

    unit_alloc_reset(2);
    is_int(join(i, "a"), WSCAST_NOMEM, "a full channel may fail to grow");
    ok(f.subscriptions == WSCAST_CHANNEL_SIZE && wscast_fanout_validate(&f),
       "then its subscribers stay");

    unit_alloc_reset(0);
    is_int(broadcast("a"), WSCAST_CHANNEL_SIZE, "and are called");

    wscast_fanout_done(&f);
    is_int(unit_live, 0, "nothing is left allocated");
}


/* deeds inside of a delivery */

static void
leave_self(client_t *c)
{
    leave(c);
    told += lasts;
    wrong += !wscast_fanout_validate(&f) || !wscast_list_empty(&c->mine);
}


static void
leave_all(client_t *c)
{
    int  i;

    for (i = 0; i < CLIENTS; i++) {
        if (clients[i].sub) {
            leave_self(&clients[i]);
        }
    }
}


static void
leave_twice(client_t *c)
{
    wscast_subscription_t  *sub;

    sub = c->sub;
    leave(c);
    wscast_fanout_unsubscribe(&f, sub);
    wrong += !wscast_fanout_validate(&f);
}


static void
join_more(client_t *c)
{
    wscast_subscription_t  *sub;

    wrong += wscast_fanout_subscribe(&f, s("b"), c, &c->mine, &sub)
             != WSCAST_AGAIN;
    wrong += wscast_fanout_find(&f, s("b")) != NULL;
}


static void
nest(client_t *c)
{
    c->then = leave_all;
    broadcast("a");
    wrong += f.delivering != 1 || lasts != 0;
    wrong += broadcast("a") != 0;
}


static void
test_law(void)
{
    int  i, calls;

    fresh();

    for (i = 0; i < CLIENTS; i++) {
        join(i, "a");
        clients[i].then = leave_self;
    }

    is_int(broadcast("a"), CLIENTS,
           "all are called though each leaves when it is");
    is_int(told, 0, "last() is not called inside of the delivery");
    is_int(lasts, 1, "but when it has ended");
    ok(f.subscriptions == 0 && wscast_fanout_validate(&f), "then all are gone");
    is_int(unit_live, 1, "and freed, but for the map");

    for (i = 0; i < CLIENTS; i++) {
        join(i, "a");
        clients[i].then = leave_all;
        clients[i].calls = 0;
    }

    is_int(broadcast("a"), 1,
           "who was unsubscribed meanwhile is not called any more");

    for (calls = 0, i = 0; i < CLIENTS; i++) {
        calls += clients[i].calls;
    }

    is_int(calls, 1, "not once");
    is_int(lasts, 2, "and the channel has ended");

    join(0, "a");
    clients[0].then = leave_twice;
    is_int(broadcast("a"), 1, "leaving twice inside of a delivery is harmless");

    join(0, "a");
    clients[0].then = join_more;
    is_int(broadcast("a"), 1, "inside of a delivery subscribing must wait");
    leave(&clients[0]);

    lasts = 0;
    join(0, "a");
    join(1, "a");
    clients[0].then = nest;
    clients[1].then = NULL;
    is_int(broadcast("a"), 1, "deliveries nest");
    is_int(lasts, 1, "and departures wait for the outermost");
    ok(f.subscriptions == 0 && wscast_fanout_validate(&f), "then all are gone");

    is_int(wrong, 0, "inside of deliveries everything was as promised");

    wscast_fanout_done(&f);
    is_int(unit_live, 0, "nothing is left allocated");
}


/* Random joins, departures and deliveries on many channels. */

static void
test_random(void)
{
    int                     i, c, n, bad, count[100];
    char                    name[8];
    wscast_channel_t       *channel;
    wscast_subscription_t  *sub[CLIENTS][100];

    fresh();
    memset(sub, 0, sizeof(sub));
    memset(count, 0, sizeof(count));
    bad = 0;

    for (i = 0; i < 20000; i++) {
        c = (int) unit_below(CLIENTS);
        n = (int) unit_below(100);
        snprintf(name, sizeof(name), "c%d", n);

        if (sub[c][n]) {
            wscast_fanout_unsubscribe(&f, sub[c][n]);
            sub[c][n] = NULL;
            count[n]--;

        } else {
            bad += wscast_fanout_subscribe(&f, s(name), &clients[c],
                                           &clients[c].mine, &sub[c][n])
                   != WSCAST_OK;
            count[n]++;
        }

        channel = wscast_fanout_find(&f, s(name));
        bad += count[n] ? (channel == NULL
                           || broadcast(name) != (size_t) count[n])
                        : channel != NULL;

        if (i % 200 == 0) {
            bad += !wscast_fanout_validate(&f);
        }
    }

    is_int(bad, 0, "20000 random changes agree with a table");
    is_int(firsts - lasts, f.channels.count,
           "every channel that is there had a first and no last");

    channel = wscast_container(wscast_map_next(&f.channels, NULL),
                               wscast_channel_t, node);
    channel->count++;
    f.subscriptions++;
    channel->size = channel->count - 1;
    ok(!wscast_fanout_validate(&f), "a damaged channel is found");
    channel->size = channel->count;
    channel->count--;
    ok(!wscast_fanout_validate(&f), "a wrong count is found");
    f.subscriptions--;
    ok(wscast_fanout_validate(&f), "what is repaired is valid");

    wscast_fanout_done(&f);
    is_int(unit_live, 0, "nothing is left allocated");
}


int
main(void)
{
    test_plain();
    test_refused();
    test_memory();
    test_law();
    test_random();

    return done();
}
