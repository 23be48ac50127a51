/*
 * fanout: the input is a script.  Each pair of bytes is a deed and whom it
 * concerns; deeds are also done from inside of deliveries, where the law of
 * fanout.h holds.  A plain table says who must be called, and what a backlog
 * owes to whom.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/map.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/fanout/fanout.h"

/* laps of several steps, and batches that are full */

#undef WSCAST_FANOUT_STEP
#undef WSCAST_BATCH_COUNT
#define WSCAST_FANOUT_STEP  3
#define WSCAST_BATCH_COUNT  2

#include "../../src/fanout/backlog.c"
#include "../../src/fanout/fanout.c"


#define CHANNELS  4
#define CLIENTS   8


typedef struct {
    wscast_list_t             mine;
    wscast_subscription_t    *sub[CHANNELS];
    unsigned                  calls;
    uint64_t                  next[CHANNELS];   /* of what is pushed */
} client_t;


static wscast_fanout_t   fanout;
static client_t          clients[CLIENTS];
static unsigned          alive[CHANNELS];       /* first() without last() */
static uint64_t          pushed[CHANNELS];
static unsigned          refuse;
static const uint8_t    *script, *script_end;
static unsigned          nested;


static void deed(void);


static unsigned
number(const wscast_channel_t *channel)
{
    must(channel->node.key.len == 1);
    return channel->node.key.data[0] - 'a';
}


static wscast_status_t
first(void *ctx, wscast_channel_t *channel)
{
    must(ctx == &fanout);
    must(channel->count == 1 && !alive[number(channel)]);

    if (refuse) {
        return WSCAST_ERROR;
    }

    alive[number(channel)] = 1;

    return WSCAST_OK;
}


static void
last(void *ctx, wscast_channel_t *channel)
{
    must(ctx == &fanout && fanout.delivering == 0);
    must(channel->count == 0 && alive[number(channel)]);
    must(wscast_fanout_find(&fanout, channel->node.key) == NULL);

    alive[number(channel)] = 0;
}


static client_t *
receiver(void *ctx, wscast_subscription_t *subscription)
{
    unsigned   n;
    client_t  *c;

    must(ctx == &fanout && fanout.delivering);

    c = subscription->subscriber;
    n = number(subscription->channel);

    must(c->sub[n] == subscription || c->sub[n] == NULL);

    return c;
}


static void
serve(void *ctx, wscast_subscription_t *subscription,
    wscast_publication_t *pub)
{
    client_t  *c;

    c = receiver(ctx, subscription);

    must(pub->f.offset == c->next[number(subscription->channel)]++);
}


static void
served(void *ctx, wscast_subscription_t *subscription)
{
    (void) receiver(ctx, subscription);

    must(!subscription->gone);
}


static const wscast_fanout_handler_t  handler = {
    first, last, serve, served, 0, sizeof(client_t)
};


static wscast_str_t
name(unsigned n)
{
    static const char  names[] = "abcd";

    return wscast_str(&names[n], 1);
}


static void
subscribe(client_t *c, unsigned n)
{
    wscast_status_t         rc;
    wscast_subscription_t  *s;

    rc = wscast_fanout_subscribe(&fanout, name(n), c, &c->mine, &s);

    if (fanout.delivering) {
        must(rc == WSCAST_AGAIN);
        return;
    }

    if (refuse && !alive[n]) {
        must(rc == WSCAST_ERROR && !alive[n]);
        must(wscast_fanout_find(&fanout, name(n)) == NULL);
        return;
    }

    must(rc == WSCAST_OK && alive[n]);
    c->sub[n] = s;
    c->next[n] = pushed[n];
}


static void
unsubscribe(client_t *c, unsigned n)
{
    wscast_subscription_t  *s;

    s = c->sub[n];
    c->sub[n] = NULL;
    wscast_fanout_unsubscribe(&fanout, s);

    /* inside of a delivery it does without */
    must(fanout.delivering || c->next[n] == pushed[n]);
}


static void
push(unsigned n)
{
    wscast_channel_t      *channel;
    wscast_pub_fields_t    f;
    wscast_publication_t  *pub;

    channel = wscast_fanout_find(&fanout, name(n));

    if (channel == NULL) {
        return;
    }

    memset(&f, 0, sizeof(f));
    f.offset = pushed[n];

    pub = wscast_publication_create(&f);
    must(pub != NULL);

    if (wscast_fanout_push(&fanout, channel, pub) == WSCAST_OK) {
        pushed[n]++;
    }

    wscast_publication_release(pub);
}


/* After it, all are served who are there. */

static void
finish(unsigned n)
{
    unsigned           i;
    wscast_channel_t  *channel;

    channel = wscast_fanout_find(&fanout, name(n));

    if (channel == NULL) {
        return;
    }

    wscast_fanout_finish(&fanout, channel);

    for (i = 0; i < CLIENTS; i++) {
        must(!clients[i].sub[n] || clients[i].next[n] == pushed[n]);
    }
}


static void
deliver(void *arg, wscast_subscription_t *subscription)
{
    client_t  *c;

    c = subscription->subscriber;
    must(c->sub[*(unsigned *) arg] != NULL);
    c->calls++;

    if (nested < 3) {
        nested++;
        deed();
        nested--;
    }
}


static void
broadcast(unsigned n)
{
    unsigned            i, before[CLIENTS];
    size_t              called;
    client_t           *c;
    wscast_channel_t   *channel;

    channel = wscast_fanout_find(&fanout, name(n));
    must((channel != NULL) == alive[n]);

    if (channel == NULL) {
        return;
    }

    for (i = 0; i < CLIENTS; i++) {
        before[i] = clients[i].calls;
    }

    called = wscast_fanout_deliver(&fanout, channel, deliver, &n);
    must(called <= CLIENTS);

    /* who is still there has been called; deliveries inside add calls */

    for (i = 0; i < CLIENTS; i++) {
        c = &clients[i];
        must(!c->sub[n] || c->calls > before[i]);
    }
}


static void
deed(void)
{
    client_t  *c;
    unsigned   what, whom, n;

    if (script_end - script < 2) {
        return;
    }

    what = *script++;
    whom = *script++;
    c = &clients[whom % CLIENTS];
    n = whom / CLIENTS % CHANNELS;

    switch (what % 7) {
    case 0:
        if (!c->sub[n]) {
            subscribe(c, n);
            break;
        }

        /* fall through */

    case 1:
        if (c->sub[n]) {
            unsubscribe(c, n);
        }

        break;

    case 2:
        broadcast(n);
        break;

    case 3:
        refuse = whom & 1;
        break;

    case 4:
        push(n);
        break;

    case 5:
        (void) wscast_fanout_step(&fanout);
        break;

    case 6:
        finish(n);
        break;
    }

    must(wscast_fanout_validate(&fanout));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned  i, n;
    size_t    subs;

    memset(clients, 0, sizeof(clients));
    memset(alive, 0, sizeof(alive));
    memset(pushed, 0, sizeof(pushed));
    refuse = 0;

    for (i = 0; i < CLIENTS; i++) {
        wscast_list_init(&clients[i].mine);
    }

    wscast_fanout_init(&fanout, 7, &handler, &fanout);

    script = data;
    script_end = data + (len < 400 ? len : 400);

    while (script_end - script >= 2) {
        deed();

        must(fanout.delivering == 0);

        for (subs = 0, i = 0; i < CLIENTS; i++) {
            must(wscast_list_validate(&clients[i].mine));

            for (n = 0; n < CHANNELS; n++) {
                subs += clients[i].sub[n] != NULL;
            }
        }

        must(fanout.subscriptions == subs);
    }

    wscast_fanout_done(&fanout);
    must(wscast_fanout_validate(&fanout));
    must(fanout.owed == 0 && fanout.bytes == 0);

    for (i = 0; i < CLIENTS; i++) {
        must(wscast_list_empty(&clients[i].mine));
    }

    return 0;
}
