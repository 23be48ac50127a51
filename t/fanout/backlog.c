/*
 * backlog: whoever is on a channel when something is pushed gets it, once, in
 * order, at the latest when it leaves; and a step is short.
 */

#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/base/prepared.c"
#include "../../src/base/publication.c"
#include "../../src/fanout/backlog.c"
#include "../../src/fanout/fanout.c"


#define CLIENTS   400
#define CHANNELS  3
#define PUSHES    20000
#define SOME      (2 * WSCAST_FANOUT_STEP + WSCAST_FANOUT_STEP / 2)


/* What a subscriber must be given next, by the numbers of its channel. */

typedef struct {
    wscast_list_t             mine;
    wscast_subscription_t    *sub[CHANNELS];
    uint64_t                  next[CHANNELS];
    unsigned                  fresh[CHANNELS];      /* and not all yet */
} client_t;


static wscast_fanout_t  f;
static client_t         clients[CLIENTS];
static uint64_t         pushed[CHANNELS];
static int              wrong, calls, givens, lasts;
static client_t        *quitter;            /* leaves when it is served */


static wscast_str_t
name(unsigned n)
{
    static const char  names[] = "abc";

    return wscast_str(&names[n], 1);
}


static wscast_status_t
first(void *ctx, wscast_channel_t *channel)
{
    wrong += channel->backlog != NULL;

    return WSCAST_OK;
}


static void
last(void *ctx, wscast_channel_t *channel)
{
    wrong += channel->backlog != NULL;
    lasts++;
}


static void
deliver(void *ctx, wscast_subscription_t *s, wscast_publication_t *pub)
{
    unsigned   n;
    client_t  *c;

    c = s->subscriber;
    n = s->channel->node.key.data[0] - 'a';

    wrong += ctx != &wrong || c->sub[n] != s || f.delivering == 0
             || pub->f.offset != c->next[n];

    c->next[n]++;
    c->fresh[n] = 1;
    calls++;

    if (c == quitter) {
        c->sub[n] = NULL;
        c->fresh[n] = 0;
        wscast_fanout_unsubscribe(&f, s);
    }
}


static void
given(void *ctx, wscast_subscription_t *s)
{
    unsigned   n;
    client_t  *c;

    c = s->subscriber;
    n = s->channel->node.key.data[0] - 'a';

    wrong += ctx != &wrong || c->sub[n] != s || f.delivering == 0
             || !c->fresh[n];

    c->fresh[n] = 0;
    givens++;
}


static const wscast_fanout_handler_t  handler = {
    first, last, deliver, given, 0, sizeof(client_t)
};


static void
fresh(void)
{
    int  i;

    memset(clients, 0, sizeof(clients));
    memset(pushed, 0, sizeof(pushed));

    for (i = 0; i < CLIENTS; i++) {
        wscast_list_init(&clients[i].mine);
    }

    wrong = calls = givens = lasts = 0;
    quitter = NULL;
    unit_alloc_reset(0);
    wscast_fanout_init(&f, 7, &handler, &wrong);
}


static void
join(int i, unsigned n)
{
    wrong += wscast_fanout_subscribe(&f, name(n), &clients[i],
                                     &clients[i].mine, &clients[i].sub[n])
             != WSCAST_OK;

    clients[i].next[n] = pushed[n];
}


/* The first clients, channel 0. */

static void
join_all(int count)
{
    int  i;

    for (i = 0; i < count; i++) {
        join(i, 0);
    }
}


static void
leave(int i, unsigned n)
{
    wscast_fanout_unsubscribe(&f, clients[i].sub[n]);
    clients[i].sub[n] = NULL;

    wrong += clients[i].next[n] != pushed[n] || clients[i].fresh[n];
}


static wscast_status_t
push_of(unsigned n, size_t len)
{
    wscast_status_t        rc;
    wscast_pub_fields_t    fields;
    wscast_publication_t  *pub;
    static unsigned char   data[WSCAST_BATCH_BYTES];

    memset(&fields, 0, sizeof(fields));
    fields.offset = pushed[n];
    fields.data = wscast_str(data, len);

    pub = wscast_publication_create(&fields);
    if (pub == NULL) {
        return WSCAST_NOMEM;
    }

    rc = wscast_fanout_push(&f, wscast_fanout_find(&f, name(n)), pub);
    wscast_publication_release(pub);

    pushed[n] += rc == WSCAST_OK;

    return rc;
}


static void
push(unsigned n)
{
    wrong += push_of(n, 10) != WSCAST_OK;
}


static int
steps(void)
{
    int  n;

    for (n = 0; !wscast_list_empty(&f.busy) && n < 100000; n++) {
        (void) wscast_fanout_step(&f);
    }

    return n;
}


static void
end(void)
{
    wscast_fanout_done(&f);

    is_int(wrong, 0, "everybody got what was due, once, in order");
    ok(f.owed == 0 && f.bytes == 0, "nothing is owed");
    is_int(unit_live, 0, "nothing is left allocated");
}


static void
test_plain(void)
{
    fresh();
    join_all(SOME);

    is_int(wscast_fanout_step(&f), 0, "without a backlog there is no step");

    push(0);
    push(0);
    is_int(calls, 0, "what is pushed is not delivered at once");
    is_int(f.owed, 2 * SOME, "but owed to all");
    is_int(f.bytes, 20, "and its bytes are counted");

    is_int(wscast_fanout_step(&f), 1, "after a step there is more to do");
    is_int(calls, 2 * WSCAST_FANOUT_STEP, "a step serves so many subscribers");
    is_int(givens, WSCAST_FANOUT_STEP, "each is told that this was all");
    is_int(f.owed, 2 * SOME - calls, "the others are owed still");
    ok(wscast_fanout_validate(&f), "the backlog agrees with its channel");

    push(0);
    join(SOME, 0);
    is_int(steps(), 2 + 1, "what comes meanwhile goes along with it, and only "
                           "those who were passed by have another turn");
    is_int(calls, 3 * SOME, "who joined meanwhile gets nothing older");
    ok(f.owed == 0 && f.bytes == 0, "then all is done");

    push(0);
    (void) steps();
    is_int(calls, 3 * SOME + SOME + 1, "and gets what comes later");

    end();
}


/* Somebody who does not stop talking: laps never end, but what all have goes. */

static void
test_restless(void)
{
    int       i, bad;
    uint32_t  most;

    fresh();
    most = 0;
    bad = 0;

    join_all(SOME);

    for (i = 0; i < 300; i++) {
        push(0);
        (void) wscast_fanout_step(&f);
        bad += !wscast_fanout_validate(&f);

        if (f.bytes / 10 > most) {
            most = (uint32_t) f.bytes / 10;
        }
    }

    is_int(bad, 0, "while it goes on the backlog agrees with its channel");
    ok(most > 0 && most <= 2 * 3, "it holds no more than two laps");
    ok(f.owed <= most * SOME, "and owes no more");
    (void) steps();
    is_int(calls, 300 * SOME, "all get all");

    end();
}


static void
test_batch(void)
{
    int  i;

    fresh();
    join(0, 0);

    for (i = 0; i < WSCAST_BATCH_COUNT + 5; i++) {
        push(0);
    }

    (void) wscast_fanout_step(&f);
    is_int(calls, WSCAST_BATCH_COUNT, "a batch has so many at the most");
    is_int(givens, 1, "and its end is told once");
    (void) wscast_fanout_step(&f);
    is_int(calls, WSCAST_BATCH_COUNT + 5, "the next has the rest");

    for (i = 0; i < 5; i++) {
        (void) push_of(0, WSCAST_BATCH_BYTES / 2);
    }

    calls = 0;
    (void) wscast_fanout_step(&f);
    is_int(calls, 2, "a batch has so many bytes at the most");
    (void) wscast_fanout_step(&f);
    (void) wscast_fanout_step(&f);
    is_int(calls, 5, "but one message in any case");
    is_int(f.bytes, 0, "their bytes are counted down");

    end();
}


/* A channel of many does not keep one of a few waiting. */

static void
test_turns(void)
{
    fresh();
    join_all(CLIENTS);
    join(0, 1);
    push(0);
    (void) wscast_fanout_step(&f);

    push(1);
    push(0);
    calls = 0;
    (void) wscast_fanout_step(&f);
    (void) wscast_fanout_step(&f);
    is_int(clients[0].next[1], 1, "channels are served in turns");
    is_int(calls, 2 * WSCAST_FANOUT_STEP + 1, "a step each");

    end();
}


static void
test_leaving(void)
{
    int  i;

    fresh();
    join_all(CLIENTS);
    push(0);
    push(0);
    (void) wscast_fanout_step(&f);
    push(0);

    leave(CLIENTS - 1, 0);
    leave(0, 0);
    leave(CLIENTS / 2, 0);
    is_int(wrong, 0, "who leaves is given before what is owed to him");
    ok(wscast_fanout_validate(&f), "the others keep their places");

    quitter = &clients[201];
    (void) steps();
    is_int(calls, 3 * (CLIENTS - 1) + 1,
           "who leaves while he is served gets no more");
    quitter = NULL;

    push(0);
    push(0);
    (void) wscast_fanout_step(&f);

    for (i = 0; i < CLIENTS; i++) {
        if (clients[i].sub[0]) {
            leave(i, 0);
        }
    }

    is_int(lasts, 1, "when the last has left, the channel is gone");
    ok(wscast_list_empty(&f.busy) && f.owed == 0 && f.bytes == 0,
       "and its backlog with it");

    end();
}


static void
test_finish(void)
{
    wscast_channel_t  *channel;

    fresh();
    join_all(CLIENTS);
    channel = wscast_fanout_find(&f, name(0));
    wscast_fanout_finish(&f, channel);
    is_int(calls, 0, "without a backlog there is nothing to finish");

    push(0);
    (void) wscast_fanout_step(&f);
    push(0);
    wscast_fanout_finish(&f, channel);
    is_int(calls, 2 * CLIENTS, "a backlog can be finished at once");
    ok(channel->backlog == NULL && f.owed == 0 && wscast_fanout_validate(&f),
       "then there is none");

    push(0);
    wscast_fanout_done(&f);
    is_int(unit_live, 0, "the end of all takes backlogs with it");
    is_int(calls, 2 * CLIENTS, "and tells nobody");
    is_int(wrong, 0, "everybody got what was due, once, in order");
}


static void
test_memory(void)
{
    int     i;
    size_t  n;

    fresh();
    join(0, 0);

    for (n = 1; n < 10; n++) {
        unit_alloc_reset(n);

        if (push_of(0, 10) == WSCAST_OK) {
            break;
        }

        ok(f.owed == 0 && f.bytes == 0 && wscast_list_empty(&f.busy)
           && wscast_fanout_validate(&f),
           "when allocation %zu fails nothing has changed", n);
    }

    is_int(n, 4, "three allocations can fail");
    unit_alloc_reset(0);

    for (i = 1; i < WSCAST_BACKLOG_SIZE; i++) {
        push(0);
    }

    unit_alloc_reset(2);
    is_int(push_of(0, 10), WSCAST_NOMEM, "a full backlog may fail to grow");
    unit_alloc_reset(0);
    (void) steps();
    is_int(calls, WSCAST_BACKLOG_SIZE, "then what it has is delivered");

    end();
}


/* Numbers wrap: a channel that has seen many pushes is like any other. */

static void
test_numbers(void)
{
    int               i;
    wscast_channel_t  *channel;

    fresh();
    join(0, 0);

    channel = wscast_fanout_find(&f, name(0));
    channel->pushed = UINT32_MAX - 3;
    clients[0].sub[0]->since = channel->pushed & WSCAST_SEQUENCE;

    for (i = 1; i < 100; i++) {
        join(i, 0);
    }

    for (i = 0; i < 7; i++) {
        push(0);
        (void) wscast_fanout_step(&f);
        wrong += !wscast_fanout_validate(&f);
    }

    (void) steps();
    is_int(calls, 7 * 100, "numbers may wrap");

    end();
}


static void
test_random(void)
{
    int       i, c, bad;
    unsigned  n;

    fresh();
    bad = 0;

    for (i = 0; i < PUSHES; i++) {
        c = (int) unit_below(CLIENTS);
        n = unit_below(CHANNELS);

        switch (unit_below(6)) {

        case 0:
        case 1:
            if (wscast_fanout_find(&f, name(n)) && pushed[n] < PUSHES) {
                push(n);
            }

            break;

        case 2:
            (void) wscast_fanout_step(&f);
            break;

        case 3:
            if (unit_below(100) == 0 && wscast_fanout_find(&f, name(n))) {
                wscast_fanout_finish(&f, wscast_fanout_find(&f, name(n)));
            }

            break;

        default:
            if (clients[c].sub[n] == NULL) {
                join(c, n);

            } else if (unit_below(3) == 0) {
                leave(c, n);
            }
        }

        if (i % 20 == 0) {
            bad += !wscast_fanout_validate(&f);
        }
    }

    is_int(bad, 0, "after random deeds all structures agree");
    (void) steps();

    for (c = 0; c < CLIENTS; c++) {
        for (n = 0; n < CHANNELS; n++) {
            bad += clients[c].sub[n] && clients[c].next[n] != pushed[n];
        }
    }

    is_int(bad, 0, "and all have all");

    end();
}


/* The validation of tests must itself be able to fail. */

static void
test_damage(void)
{
    int               i;
    wscast_backlog_t  *b;

    fresh();

    for (i = 0; i < 100; i++) {
        join(i, 0);
    }

    push(0);
    (void) wscast_fanout_step(&f);
    b = wscast_fanout_find(&f, name(0))->backlog;

    clients[3].sub[0]->since--;
    ok(!wscast_fanout_validate(&f), "one who was passed by is found");
    clients[3].sub[0]->since++;

    b->first++;
    ok(!wscast_fanout_validate(&f), "wrong numbers are found");
    b->first--;

    b->channel = NULL;
    ok(!wscast_fanout_validate(&f), "a backlog of another channel is found");
    b->channel = wscast_fanout_find(&f, name(0));

    ok(wscast_fanout_validate(&f), "what is repaired is valid");
    (void) steps();

    end();
}


int
main(void)
{
    test_plain();
    test_restless();
    test_batch();
    test_turns();
    test_leaving();
    test_finish();
    test_memory();
    test_numbers();
    test_random();
    test_damage();

    return done();
}
