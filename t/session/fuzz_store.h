/*
 * fuzz_store.h: what outlives a message, and what a client must hear of it.
 *
 * Audience: session.fuzz.c.  Each channel has a history of messages 1 to top,
 * of which the host has got as far as at.  Questions wait for store_answer().
 */

#ifndef WSCAST_T_FUZZ_STORE_H
#define WSCAST_T_FUZZ_STORE_H


#define CLIENTS   3
#define CHANNELS  3


typedef struct {
    wscast_session_t         s;
    wscast_session_conf_t    conf;
    unsigned                 open;
    unsigned                 said;          /* commands, welcome included */
    unsigned                 answered;
    unsigned                 ended;         /* finalize() has been called */
    unsigned                 was_blocked;
    unsigned                 resumed;
    size_t                   room;
    unsigned                 member[CHANNELS];
    unsigned                 known[CHANNELS];   /* what it got last is: */
    wscast_position_t        at[CHANNELS];
    uint64_t                 since[CHANNELS];   /* what it asked for */
} client_t;


typedef struct {
    uint64_t     epoch;
    uint64_t     top;
    uint64_t     at;
    uint64_t     oldest;
    unsigned     lost;              /* 1: position() does not know */
} history_t;


static const wscast_str_t  names[CHANNELS] = {
    wscast_string("a"), wscast_string("b"), wscast_string("ab")
};

static const wscast_rule_t  rules[] = {
    { .pattern = wscast_string("a"), .history = 10, .ttl = 1, .presence = 1 },
    { .pattern = wscast_string("ab"), .history = 10, .ttl = 1 }
};

static wscast_engine_t  engine;
static client_t         clients[CLIENTS];
static history_t        histories[CHANNELS];
static wscast_list_t    asked;


static unsigned
channel_of(wscast_str_t name)
{
    unsigned  i;

    for (i = 0; i < CHANNELS; i++) {
        if (wscast_str_eq(names[i], name)) {
            return i;
        }
    }

    return 0;
}


static void
store_query(void *ctx, wscast_query_t *q)
{
    client_t       *c;
    wscast_list_t  *l;

    must(ctx == &engine && q->rule);

    for (l = asked.next; l != &asked; l = l->next) {
        must(l != &q->link);
    }

    wscast_list_append(&asked, &q->link);

    if (q->type == WSCAST_QUERY_JOIN) {
        c = &clients[q->member.client.data[0] - '0'];
        must(c->open);
        c->member[channel_of(q->channel)] = 1;
    }
}


static void
store_cancel(void *ctx, wscast_query_t *q)
{
    wscast_list_t  *l;

    must(ctx == &engine);

    for (l = asked.next; l != &q->link; l = l->next) {
        must(l != &asked);
    }

    wscast_list_remove(&q->link);
}


static wscast_status_t
store_position(void *ctx, wscast_str_t channel, wscast_position_t *position)
{
    history_t  *h;

    must(ctx == &engine);

    h = &histories[channel_of(channel)];

    if (h->lost) {
        return WSCAST_MORE;
    }

    position->epoch = h->epoch;
    position->offset = h->at;

    return WSCAST_OK;
}


static void
store_leave(void *ctx, const wscast_rule_t *rule, wscast_str_t channel,
    wscast_str_t client, unsigned lost)
{
    client_t  *c;

    must(ctx == &engine && rule && rule->presence && lost < 2);

    c = &clients[client.data[0] - '0'];
    must(c->member[channel_of(channel)]);
    c->member[channel_of(channel)] = 0;
}


static void
store_recovered(void *ctx, unsigned done)
{
    must(ctx == &engine && done < 2);
}


static void
store_items(wscast_query_t *q, unsigned page)
{
    uint64_t             n, upto;
    history_t           *h;
    wscast_pub_fields_t  f;

    h = &histories[channel_of(q->channel)];

    q->position.epoch = h->epoch;
    q->position.offset = h->top;
    upto = q->upto && q->upto < h->top ? q->upto : h->top;
    n = q->after + 1 > h->oldest ? q->after + 1 : h->oldest;

    for ( /* void */ ; n <= upto && page; n++, page--) {
        memset(&f, 0, sizeof(f));
        f.channel = q->channel;
        f.flags = WSCAST_PUB_POSITION;
        f.data = wscast_str("x", 1);
        f.epoch = h->epoch;
        f.offset = n;
        q->message(q, &f);
    }
}


/* The oldest question. */

static void
store_answer(unsigned n)
{
    wscast_query_t   *q;
    wscast_member_t   m;

    if (wscast_list_empty(&asked)) {
        return;
    }

    q = wscast_list_first(&asked, wscast_query_t, link);
    wscast_list_remove(&q->link);

    if (n == 0) {
        q->done(q, WSCAST_CLOSE_AWAY);
        return;
    }

    switch (q->type) {

    case WSCAST_QUERY_HISTORY:
        store_items(q, n);
        break;

    case WSCAST_QUERY_PRESENCE:
        memset(&m, 0, sizeof(m));
        m.client = wscast_str("m", 1);
        q->found(q, &m);
        q->total = 1;
        q->next = n;
        break;

    default:
        memset(q->known, 'k', WSCAST_CLIENT_ID);
    }

    q->done(q, WSCAST_OK);
}


static uint64_t
number_of(wscast_str_t v)
{
    size_t    i;
    uint64_t  n;

    for (i = 0, n = 0; i < v.len; i++) {
        must(v.data[i] >= '0' && v.data[i] <= '9');
        n = n * 10 + (v.data[i] - '0');
    }

    return n;
}


/*
 * A frame of the json dialect.  Between what it was told about its position
 * and the next such notice a client has no hole and no repeat.  1: an answer.
 */

static unsigned
heard(client_t *c, wscast_str_t frame)
{
    unsigned              n, is_message, done;
    char                  epoch[17];
    wscast_position_t     at;
    wscast_json_member_t  m[] = {
        { .name = wscast_string("type") },
        { .name = wscast_string("id") },
        { .name = wscast_string("channel") },
        { .name = wscast_string("epoch") },
        { .name = wscast_string("offset") },
        { .name = wscast_string("recovered") }
    };

#define is_a(t)  wscast_str_eq(m[0].value, wscast_str("\"" t "\"",            \
                                                      sizeof(t) + 1))

    must(wscast_json_members(frame, m, 6) == WSCAST_OK);

    if (is_a("join") || is_a("leave")) {
        return 0;
    }

    is_message = is_a("message");

    if (!is_message && !is_a("subscribed") && !is_a("unsubscribed")) {
        return 1;
    }

    n = channel_of(wscast_str(m[2].value.data + 1, m[2].value.len - 2));

    if (is_a("unsubscribed")) {
        c->known[n] = 0;
        return 1;
    }

    memset(&at, 0, sizeof(at));

    if (m[3].value.len) {
        must(m[3].value.len == 18);
        memcpy(epoch, m[3].value.data + 1, 16);
        epoch[16] = '\0';
        at.epoch = strtoull(epoch, NULL, 16);
        at.offset = number_of(m[4].value);
    }

    if (is_message) {

        if (at.epoch) {
            must(!c->known[n] || c->ended
                 || (at.epoch == c->at[n].epoch
                     && at.offset == c->at[n].offset + 1));
            c->known[n] = 1;
            c->at[n] = at;
        }

        return 0;
    }

    done = wscast_str_eq(m[5].value, wscast_str("true", 4));

    c->known[n] = at.epoch != 0;
    c->at[n] = at;

    if (done) {
        must(at.epoch && m[1].value.len);
        must(c->since[n] <= at.offset);
        c->at[n].offset = c->since[n];
    }

    return m[1].value.len != 0;
}


#endif /* WSCAST_T_FUZZ_STORE_H */
