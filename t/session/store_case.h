/*
 * store_case.h: what outlives a message, for sessions that are not real.
 *
 * Audience: session_case.h, which includes it.  One channel's history, of
 * messages whose data is their offset, in plain variables; questions are
 * answered at once, or by store_answer().
 */

#ifndef WSCAST_T_STORE_CASE_H
#define WSCAST_T_STORE_CASE_H


#define EPOCH        0xa1u
#define EPOCH_TEXT   "00000000000000a1"
#define HERE(n)      "\"epoch\":\"" EPOCH_TEXT "\",\"offset\":" n


static wscast_list_t       store_asked;
static unsigned            store_later;         /* 1: store_answer() */
static wscast_status_t     store_status;        /* of answers */
static wscast_status_t     store_position_rc;
static wscast_position_t   store_host;          /* of position() */
static wscast_position_t   store_top;           /* of answers */
static uint64_t            store_oldest;        /* what history begins with */
static uint64_t            store_hole;          /* an offset that is not */
static uint64_t            store_own;           /* one that OLD published */
static uint64_t            store_excluded;      /* one not for OLD */
static uint32_t            store_page;          /* items of an answer at most */
static const char         *store_known;         /* of a JOIN; NULL: itself */
static unsigned            store_members;
static unsigned            store_questions, store_cancelled;
static unsigned            store_resumed, store_broken;
static unsigned            store_joins, store_left, store_lost;
static char                store_client[32], store_user[64], store_info[64];
static char                store_former[32], store_left_at[64];
static wscast_query_t      store_last;          /* a copy of the question */


static const char  store_old[] = "OLDOLDOLDOLDOLD1";


static void
store_history(wscast_query_t *q)
{
    char                 data[32];
    uint64_t             n, first_n, upto;
    uint32_t             limit;
    wscast_pub_fields_t  f;

    q->position = store_top;
    q->more = 0;

    upto = q->upto && q->upto < store_top.offset ? q->upto : store_top.offset;
    limit = q->limit < store_page ? q->limit : store_page;
    first_n = q->after + 1 > store_oldest ? q->after + 1 : store_oldest;

    if (q->newest && upto >= limit && first_n < upto - limit + 1) {
        first_n = upto - limit + 1;
        q->more = 1;
    }

    for (n = first_n; n <= upto && limit; n++, limit--) {

        if (n == store_hole) {
            continue;
        }

        snprintf(data, sizeof(data), "%u", (unsigned) n);
        memset(&f, 0, sizeof(f));
        f.flags = WSCAST_PUB_JSON|WSCAST_PUB_POSITION;
        f.channel = q->channel;
        f.data = s(data);
        f.epoch = store_top.epoch;
        f.offset = n;
        f.time = 1;

        if (n == store_own) {
            f.flags |= WSCAST_PUB_NO_ECHO;
            f.client = s(store_old);
        }

        if (n == store_excluded) {
            f.exclude = s(store_old);
        }

        q->message(q, &f);
    }
}


static void
store_presence(wscast_query_t *q)
{
    uint32_t         limit;
    uint64_t         n;
    wscast_member_t  m;
    char             id[WSCAST_CLIENT_ID + 1];

    q->total = store_members;
    q->next = 0;

    for (n = q->cursor, limit = q->limit; n < store_members; n++, limit--) {

        if (limit == 0) {
            q->next = n;
            break;
        }

        snprintf(id, sizeof(id), "member%010u", (unsigned) n);
        memset(&m, 0, sizeof(m));
        m.client = s(id);
        m.user = s(n ? "" : "ann");
        m.info = s(n ? "" : "{\"a\":1}");
        q->found(q, &m);
    }
}


/* The oldest question. */

static void
store_answer(void)
{
    wscast_query_t  *q;

    if (wscast_list_empty(&store_asked)) {
        return;
    }

    q = wscast_list_first(&store_asked, wscast_query_t, link);
    wscast_list_remove(&q->link);

    if (store_status == WSCAST_OK) {

        switch (q->type) {

        case WSCAST_QUERY_HISTORY:
            store_history(q);
            break;

        case WSCAST_QUERY_PRESENCE:
            store_presence(q);
            break;

        default:
            memcpy(q->known, store_known ? store_known
                             : (const char *) q->member.client.data,
                   WSCAST_CLIENT_ID);
        }
    }

    q->done(q, store_status);
}


static void
store_query(void *ctx, wscast_query_t *q)
{
    wscast_list_t  *l;

    confused += ctx != &engine || q->rule == NULL;

    for (l = store_asked.next; l != &store_asked; l = l->next) {
        confused += l == &q->link;
    }

    store_questions++;
    store_last = *q;

    if (q->type == WSCAST_QUERY_JOIN) {
        store_joins++;
        text_of(store_client, sizeof(store_client), q->member.client);
        text_of(store_user, sizeof(store_user), q->member.user);
        text_of(store_info, sizeof(store_info), q->member.info);
        text_of(store_former, sizeof(store_former), q->former);
    }

    wscast_list_append(&store_asked, &q->link);

    if (!store_later) {
        store_answer();
    }
}


/* Only what is under way can be taken back. */

static void
store_cancel(void *ctx, wscast_query_t *q)
{
    wscast_list_t  *l;

    confused += ctx != &engine;

    for (l = store_asked.next; l != &store_asked; l = l->next) {

        if (l == &q->link) {
            wscast_list_remove(l);
            store_cancelled++;
            return;
        }
    }

    confused++;
}


static wscast_status_t
store_position(void *ctx, wscast_str_t channel, wscast_position_t *position)
{
    confused += ctx != &engine || channel.len == 0;

    if (store_position_rc == WSCAST_OK) {
        *position = store_host;
    }

    return store_position_rc;
}


static void
store_leave(void *ctx, const wscast_rule_t *rule, wscast_str_t channel,
    wscast_str_t client, unsigned lost)
{
    confused += ctx != &engine || rule == NULL || !rule->presence
                || !wscast_str_eq(client, s("0123456789abcdef"));

    text_of(store_left_at, sizeof(store_left_at), channel);
    store_left += !lost;
    store_lost += lost;
}


static void
store_recovered(void *ctx, unsigned done)
{
    confused += ctx != &engine;
    store_resumed += done;
    store_broken += !done;
}


/* Everything on "room:h" and "room:hp" is kept, members are on "..p". */

static const wscast_rule_t  store_rules[] = {
    { .pattern = wscast_string("room:h"), .history = 100, .ttl = 1000 },
    { .pattern = wscast_string("room:hp"), .history = 100, .ttl = 1000,
      .presence = 1, .grace = WSCAST_GRACE },
    { .pattern = wscast_string("room:p"), .presence = 1 }
};


/* The host has got to offset n, and so has the store. */

TAP_UNUSED static void
store_at(uint64_t n)
{
    store_host.epoch = store_top.epoch = EPOCH;
    store_host.offset = store_top.offset = n;
}


static void
store_fresh(void)
{
    engine.rules = store_rules;
    engine.nrules = sizeof(store_rules) / sizeof(store_rules[0]);
    engine.position = store_position;
    engine.query = store_query;
    engine.cancel = store_cancel;
    engine.leave = store_leave;
    engine.recovered = store_recovered;

    wscast_list_init(&store_asked);
    store_at(0);
    store_later = 0;
    store_status = store_position_rc = WSCAST_OK;
    store_oldest = 1;
    store_hole = store_own = store_excluded = 0;
    store_page = 1000;
    store_known = NULL;
    store_members = 0;
    store_questions = store_cancelled = store_resumed = store_broken = 0;
    store_joins = store_left = store_lost = 0;
    store_client[0] = store_user[0] = store_info[0] = store_former[0] = '\0';
    store_left_at[0] = '\0';
}


/* What a bus delivers: message n of a channel, or a notice of kind. */

TAP_UNUSED static void
store_deliver(const char *channel, unsigned kind, uint64_t epoch, uint64_t n,
    size_t len)
{
    static unsigned char  data[300 * 1024];
    wscast_pub_fields_t   f;

    memset(data, '1', sizeof(data));
    memset(&f, 0, sizeof(f));
    f.kind = kind;
    f.channel = s(channel);
    f.flags = WSCAST_PUB_JSON | (epoch ? WSCAST_PUB_POSITION : 0);
    f.epoch = epoch;
    f.offset = n;
    f.time = 1;
    f.client = s(kind == WSCAST_PUB_MESSAGE ? "" : "another");

    if (len == 0) {
        len = (size_t) snprintf((char *) data, 32, "%u", (unsigned) n);
    }

    f.data = wscast_str(data, len);

    deliver_fields(&f);
}


/* Message n of room:h is published now, everywhere. */

TAP_UNUSED static void
store_publish(uint64_t n, size_t len)
{
    store_at(n);
    store_deliver("room:h", WSCAST_PUB_MESSAGE, EPOCH, n, len);
}


static void
store_over(const char *what)
{
    ok(wscast_list_empty(&store_asked), "%s: no question is left", what);
}


#endif /* WSCAST_T_STORE_CASE_H */
