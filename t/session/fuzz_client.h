/*
 * fuzz_client.h: clients, what is asked of their sessions, and what they say.
 *
 * Audience: session.fuzz.c.
 */

#ifndef WSCAST_T_FUZZ_CLIENT_H
#define WSCAST_T_FUZZ_CLIENT_H


static wscast_fanout_t   fanout;
static wscast_list_t     waiters;
static unsigned          live;
static wscast_status_t   answer;


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
    must(ctx == &engine && receipt);
    must(wscast_channel_valid(f->channel, 8));
    must(f->client.len == WSCAST_CLIENT_ID);

    if (answer == WSCAST_MORE && !engine.receipts) {
        return WSCAST_OK;
    }

    if (answer == WSCAST_MORE) {
        outstanding(receipt);
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

    c = ctx;
    must(c->open);

    f = wscast_prepared_frame(p);
    must(f.len >= 2);
    head = f.data[1] < 126 ? 2 : f.data[1] == 126 ? 4 : 10;
    must(f.len >= head);

    c->room -= c->room < f.len ? c->room : f.len;

    if (c->conf.dialect->answers) {
        f = wscast_str(f.data + head, f.len - head);

        if (heard(c, f)) {
            c->answered++;

        } else {
            must(c->answered || c->ended);
        }
    }
}


static size_t
room_for(void *ctx)
{
    client_t  *c;

    c = ctx;
    must(c->open);

    return c->room;
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


static void
expires(void *ctx)
{
    must(ctx == NULL);          /* no token is taken here */
}


static void
flush(void *ctx)
{
    must(((client_t *) ctx)->open);
}


static const wscast_fanout_handler_t   fanout_handler = {
    first, last, NULL, NULL, 0, 0
};
static const wscast_session_handler_t  handler = {
    take_frame, flush, room_for, finalize, resume, expires
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
    memset(p.id, '0' + n % CLIENTS, WSCAST_CLIENT_ID);

    g.ops = WSCAST_MAY_ALL;
    g.pattern = wscast_str("a\001", 2);

    p.channels = names;
    p.nchannels = n % 3;
    p.user = wscast_str("u", n & 1);
    p.grants = wscast_grants_create(&g, 1);
    p.own_grants = 1;

    memset(c->member, 0, sizeof(c->member));
    memset(c->known, 0, sizeof(c->known));
    c->room = (size_t) -1;
    c->open = 1;
    c->said = 1;
    c->answered = 0;
    c->resumed = 0;
    c->ended = wscast_session_open(&c->s, &c->conf, &engine, &handler, c, &p)
               != WSCAST_OK;
    c->was_blocked = wscast_session_blocked(&c->s);
}


static void
speak(client_t *c, unsigned opcode, const void *text, size_t len)
{
    wscast_status_t   rc;
    unsigned char    *copy;

    if (!c->open || c->ended || wscast_session_blocked(&c->s)) {
        return;
    }

    copy = malloc(len ? len : 1);
    must(copy);
    memcpy(copy, text, len);

    c->resumed = 0;
    c->said++;
    rc = wscast_session_message(&c->s, opcode, copy, len);
    free(copy);

    must(rc == WSCAST_OK || rc > 0);
    c->ended |= rc != WSCAST_OK;
    c->was_blocked = wscast_session_blocked(&c->s);
}


/* What comes of a subscribe is told from notices by its id. */

static void
say(client_t *c, const uint8_t **at, const uint8_t *end)
{
    size_t                len;
    unsigned              opcode;
    wscast_json_member_t  m[] = {
        { .name = wscast_string("id") },
        { .name = wscast_string("since") }
    };

    len = *at < end ? *(*at)++ : 0;
    opcode = len & 0x80 ? WSCAST_OP_BINARY : WSCAST_OP_TEXT;
    len &= 0x7f;
    len = len < (size_t) (end - *at) ? len : (size_t) (end - *at);

    if (wscast_json_members(wscast_str(*at, len), m, 2) != WSCAST_OK
        || (m[0].value.len && m[1].value.len == 0))
    {
        speak(c, opcode, *at, len);
    }

    *at += len;
}


/* One of the commands that ask the store. */

static void
ask(client_t *c, unsigned n)
{
    int         len;
    char        text[200];
    unsigned    i;
    history_t  *h;

    i = n & 1 ? 2 : 0;
    h = &histories[i];

    switch (n >> 1 & 3) {

    case 0:
        len = snprintf(text, sizeof(text), "{\"type\":\"presence\",\"id\":1,"
                       "\"channel\":\"a\",\"limit\":%u}", n + 1);
        break;

    case 1:
        len = snprintf(text, sizeof(text), "{\"type\":\"history\",\"id\":1,"
                       "\"channel\":\"%s\",\"before\":%u}", i ? "ab" : "a",
                       n / 8 + 1);
        break;

    case 2:
        len = snprintf(text, sizeof(text), "{\"type\":\"unsubscribe\","
                       "\"id\":1,\"channel\":\"%s\"}", i ? "ab" : "a");
        break;

    default:
        len = snprintf(text, sizeof(text), "{\"type\":\"token\",\"id\":1,"
                       "\"token\":\"%u\"}", (unsigned) h->top);
    }

    speak(c, WSCAST_OP_TEXT, text, (size_t) len);
}


/* Subscribes from n messages ago; 0 from 2 messages ahead. */

static void
go_on(client_t *c, unsigned n)
{
    int         len;
    char        text[200];
    unsigned    i;
    uint64_t    from;
    history_t  *h;

    i = n & 1 ? 2 : 0;
    n >>= 1;
    h = &histories[i];
    from = n == 0 ? h->at + 2 : h->at > n - 1 ? h->at - (n - 1) : 0;

    if (!c->open || c->ended || wscast_session_blocked(&c->s)) {
        return;
    }

    if (wscast_session_find(&c->s, names[i]) == NULL) {
        c->since[i] = from;
    }

    len = snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"id\":1,"
                   "\"channel\":\"%s\",\"since\":{\"epoch\":\"%016llx\","
                   "\"offset\":%llu,\"client\":\"OLDOLDOLDOLDOLD1\"}}",
                   i ? "ab" : "a", (unsigned long long) h->epoch,
                   (unsigned long long) from);

    speak(c, WSCAST_OP_TEXT, text, (size_t) len);
}


#endif /* WSCAST_T_FUZZ_CLIENT_H */
