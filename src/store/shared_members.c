#include "store_inner.h"
#include "../base/envelope.h"


#define NGX_WSCAST_OWNERS  1024     /* steps of one look at them */


/* A change of presence and the event that tells it, in one. */

typedef struct {
    wscast_stamp_t              stamp;
    ngx_wscast_store_t         *store;
    wscast_status_t           (*change)(void *change, ngx_wscast_store_t *st);
    void                       *data;           /* for change() */
    wscast_status_t             rc;             /* its answer */
    unsigned                    open:1;         /* a transaction */
} ngx_wscast_shared_change_t;


typedef struct {
    wscast_join_t               join;
    wscast_joined_t             joined;
} ngx_wscast_shared_join_t;


typedef struct {
    wscast_str_t                channel;
    wscast_str_t                client;         /* empty: whose time is up */
    uint64_t                    owner;
    uint64_t                    now;
    wscast_gone_t               gone;
    char                        expected[WSCAST_CLIENT_ID];
    unsigned                    check:1;        /* gone must be expected */
} ngx_wscast_shared_leave_t;


static wscast_status_t ngx_wscast_shared_change(ngx_wscast_store_t *store,
    const wscast_pub_fields_t *f, ngx_wscast_shared_change_t *change);
static wscast_status_t ngx_wscast_shared_change_apply(wscast_stamp_t *stamp,
    u_char *body, size_t len, uint64_t commit);
static void ngx_wscast_shared_change_finish(wscast_stamp_t *stamp);
static wscast_status_t ngx_wscast_shared_do_join(void *data,
    ngx_wscast_store_t *store);
static wscast_status_t ngx_wscast_shared_do_leave(void *data,
    ngx_wscast_store_t *store);
static wscast_status_t ngx_wscast_shared_remove(ngx_wscast_store_t *store,
    ngx_wscast_shared_leave_t *l);
static void ngx_wscast_shared_lose(ngx_wscast_store_t *store,
    wscast_str_t channel, wscast_str_t client);
static void ngx_wscast_shared_bury(ngx_wscast_store_t *store);
static void ngx_wscast_shared_expire(ngx_wscast_store_t *store);


void
ngx_wscast_shared_join(ngx_wscast_store_t *store, wscast_query_t *q)
{
    uint64_t                    *counters;
    wscast_status_t              rc;
    wscast_pub_fields_t          f;
    ngx_wscast_shared_join_t     j;
    ngx_wscast_shared_change_t   change;

    counters = ngx_wscast_bus_counters(store->bus);

    ngx_memzero(&j, sizeof(ngx_wscast_shared_join_t));
    ngx_memzero(&f, sizeof(wscast_pub_fields_t));
    ngx_memzero(&change, sizeof(ngx_wscast_shared_change_t));

    ngx_wscast_store_own(store);

    /* the client of a worker that has just died may be this one */

    ngx_wscast_shared_bury(store);

    j.join.channel = q->channel;
    j.join.member = q->member;
    j.join.former = q->former;
    j.join.owner = ngx_wscast_bus_nonce(store->bus);
    j.join.grace = q->rule->grace;

    f.kind = WSCAST_PUB_JOIN;
    f.flags = WSCAST_PUB_NO_ECHO;
    f.time = ngx_wscast_now();
    f.channel = q->channel;
    f.client = q->member.client;
    f.user = q->member.user;
    f.info = q->member.info;

    change.change = ngx_wscast_shared_do_join;
    change.data = &j;

    rc = ngx_wscast_shared_change(store, &f, &change);

    if (rc == WSCAST_AGAIN) {
        store->rejoin = 1;              /* the bus is full: later */
        q->done(q, WSCAST_CLOSE_AWAY);
        return;
    }

    if (change.rc == WSCAST_NOMEM) {
        counters[WSCAST_COUNT_PRESENCE_FULL]++;
    }

    if (change.rc != WSCAST_OK) {
        q->done(q, WSCAST_CLOSE_AWAY);
        return;
    }

    counters[WSCAST_COUNT_JOINS] += j.joined.joined;

    if (j.joined.replaced[0]) {
        store->handler->replaced(store->ctx, wscast_str(j.joined.replaced,
                                                        WSCAST_CLIENT_ID));
    }

    ngx_memcpy(q->known, j.joined.known, WSCAST_CLIENT_ID);
    q->done(q, WSCAST_OK);
}


/*
 * WSCAST_OK: both have happened, or the change alone, if it says that nobody
 * needs to be told; else neither, and change->rc says why, if it was asked.
 */

static wscast_status_t
ngx_wscast_shared_change(ngx_wscast_store_t *store,
    const wscast_pub_fields_t *f, ngx_wscast_shared_change_t *change)
{
    size_t            size;
    u_char           *p;
    wscast_status_t   rc;

    change->stamp.apply = ngx_wscast_shared_change_apply;
    change->stamp.finish = ngx_wscast_shared_change_finish;
    change->store = store;
    change->rc = WSCAST_ERROR;

    size = wscast_envelope_size(f);
    p = size ? ngx_alloc(size, store->log) : NULL;

    if (p == NULL) {
        return WSCAST_CLOSE_NO_MEMORY;
    }

    (void) wscast_envelope_encode(p, f);

    rc = ngx_wscast_bus_append(store->bus, f->channel, wscast_str(p, size),
                               &change->stamp, NULL);
    ngx_free(p);

    return rc;
}


static wscast_status_t
ngx_wscast_shared_change_apply(wscast_stamp_t *stamp, u_char *body, size_t len,
    uint64_t commit)
{
    ngx_wscast_store_t          *store;
    ngx_wscast_shared_change_t  *change;

    change = wscast_container(stamp, ngx_wscast_shared_change_t, stamp);
    store = change->store;

    ngx_wscast_store_vacate(store, len);
    wscast_heap_begin(&store->heap);

    change->rc = change->change(change->data, store);

    if (wscast_heap_failed(&store->heap)
        || (change->rc != WSCAST_OK && change->rc != WSCAST_MORE))
    {
        wscast_heap_abort(&store->heap);

        if (change->rc == WSCAST_ERROR) {
            ngx_wscast_store_damaged(store);
        }

        return WSCAST_ERROR;
    }

    if (change->rc == WSCAST_MORE) {

        /* done, and nobody is told */

        wscast_heap_commit(&store->heap);
        change->rc = WSCAST_OK;

        return WSCAST_ERROR;
    }

    wscast_heap_hang(&store->heap, commit);
    change->open = 1;

    return WSCAST_OK;
}


static void
ngx_wscast_shared_change_finish(wscast_stamp_t *stamp)
{
    ngx_wscast_shared_change_t  *change;

    change = wscast_container(stamp, ngx_wscast_shared_change_t, stamp);

    if (change->open) {
        wscast_heap_commit(&change->store->heap);
    }
}


static wscast_status_t
ngx_wscast_shared_do_join(void *data, ngx_wscast_store_t *store)
{
    wscast_status_t            rc;
    ngx_wscast_shared_join_t  *j;

    j = data;
    rc = wscast_presence_join(&store->presence, &j->join, &j->joined);

    return rc == WSCAST_OK && !j->joined.joined ? WSCAST_MORE : rc;
}


void
ngx_wscast_shared_leave(ngx_wscast_store_t *store, const wscast_rule_t *rule,
    wscast_str_t channel, wscast_str_t client, ngx_uint_t lost)
{
    ngx_wscast_shared_leave_t  l;

    if (lost && (rule == NULL || rule->grace)) {
        ngx_wscast_shared_lose(store, channel, client);
        return;
    }

    ngx_memzero(&l, sizeof(ngx_wscast_shared_leave_t));

    l.channel = channel;
    l.client = client;
    l.owner = ngx_wscast_bus_nonce(store->bus);

    if (ngx_wscast_shared_remove(store, &l) == WSCAST_AGAIN) {

        /* the bus is full: the others will be told a little later */

        ngx_wscast_shared_lose(store, channel, client);
    }

    wscast_free(l.gone.data);
}


/*
 * Removes a member and tells the others.  Who it is must be known before the
 * event is written, so it is looked up first and checked when it is removed.
 * WSCAST_MORE: there is none.
 */

static wscast_status_t
ngx_wscast_shared_remove(ngx_wscast_store_t *store,
    ngx_wscast_shared_leave_t *l)
{
    unsigned                     silent;
    wscast_status_t              rc;
    wscast_pub_fields_t          f;
    ngx_wscast_shared_change_t   change;

    ngx_wscast_store_lock(store);
    wscast_heap_begin(&store->heap);

    l->check = 0;
    rc = ngx_wscast_shared_do_leave(l, store);
    silent = (rc == WSCAST_OK && ngx_wscast_store_is_counted(l->gone.channel));

    if (silent && !wscast_heap_failed(&store->heap)) {
        wscast_heap_commit(&store->heap);

    } else {
        wscast_heap_abort(&store->heap);
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    if (rc != WSCAST_OK) {
        return WSCAST_MORE;
    }

    if (silent) {
        return WSCAST_OK;
    }

    ngx_memzero(&f, sizeof(wscast_pub_fields_t));
    ngx_memzero(&change, sizeof(ngx_wscast_shared_change_t));

    ngx_memcpy(l->expected, l->gone.known, WSCAST_CLIENT_ID);
    l->check = 1;

    f.kind = WSCAST_PUB_LEAVE;
    f.time = ngx_wscast_now();
    f.channel = l->gone.channel;
    f.client = wscast_str(l->expected, WSCAST_CLIENT_ID);
    f.user = l->gone.user;

    change.change = ngx_wscast_shared_do_leave;
    change.data = l;

    rc = ngx_wscast_shared_change(store, &f, &change);

    if (rc == WSCAST_OK) {
        ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_LEAVES]++;
    }

    return rc;
}


static wscast_status_t
ngx_wscast_shared_do_leave(void *data, ngx_wscast_store_t *store)
{
    wscast_status_t             rc;
    ngx_wscast_shared_leave_t  *l;

    l = data;

    if (l->client.len) {
        rc = wscast_presence_leave(&store->presence, l->channel, l->client,
                                   l->owner, &l->gone);
    } else {
        rc = wscast_presence_expire(&store->presence, l->now, &l->gone);
    }

    if (rc == WSCAST_OK && l->check
        && ngx_memcmp(l->gone.known, l->expected, WSCAST_CLIENT_ID) != 0)
    {
        return WSCAST_AGAIN;            /* somebody was faster */
    }

    /* for a change, MORE means that it was made */

    return rc == WSCAST_MORE ? WSCAST_AGAIN : rc;
}


static void
ngx_wscast_shared_lose(ngx_wscast_store_t *store, wscast_str_t channel,
    wscast_str_t client)
{
    wscast_status_t  rc;

    ngx_wscast_store_begin(store);

    rc = wscast_presence_lose(&store->presence, channel, client,
                              ngx_wscast_bus_nonce(store->bus),
                              ngx_wscast_bus_clock(store->bus));

    (void) ngx_wscast_store_end(store, rc);
}


void
ngx_wscast_shared_presence(ngx_wscast_store_t *store, wscast_query_t *q)
{
    size_t            len, pos;
    u_char           *page;
    uint32_t          user, info;
    wscast_member_t   m;
    wscast_status_t   rc;

    page = NULL;
    len = 0;

    ngx_wscast_store_lock(store);

    rc = wscast_presence_page(&store->presence, q->channel, q->cursor,
                              q->limit, q->bytes, &page, &len, &q->next,
                              &q->total);

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    for (pos = 0;
         rc == WSCAST_OK
         && pos + WSCAST_CLIENT_ID + 2 * sizeof(uint32_t) <= len;
         pos += user + info)
    {
        m.client = wscast_str(page + pos, WSCAST_CLIENT_ID);
        pos += WSCAST_CLIENT_ID;

        ngx_memcpy(&user, page + pos, sizeof(uint32_t));
        ngx_memcpy(&info, page + pos + sizeof(uint32_t), sizeof(uint32_t));
        pos += 2 * sizeof(uint32_t);

        m.user = wscast_str(page + pos, user);
        m.info = wscast_str(page + pos + user, info);

        q->found(q, &m);
    }

    wscast_free(page);

    q->more = (q->next != 0);
    q->done(q, rc == WSCAST_OK ? WSCAST_OK
               : rc == WSCAST_NOMEM ? WSCAST_CLOSE_NO_MEMORY
                                    : WSCAST_CLOSE_AWAY);
}


void
ngx_wscast_shared_tick(ngx_wscast_store_t *store)
{
    ngx_wscast_shared_bury(store);
    ngx_wscast_shared_expire(store);

    if (store->rejoin) {
        store->rejoin = 0;
        store->handler->rejoin(store->ctx);
    }
}


/* The members of workers that are no more: lost, for their clients may come. */

static void
ngx_wscast_shared_bury(ngx_wscast_store_t *store)
{
    uint64_t         owner;
    ngx_uint_t       i;
    wscast_status_t  rc;

    owner = 0;
    rc = WSCAST_OK;

    ngx_wscast_store_lock(store);

    for (i = 0; i < NGX_WSCAST_OWNERS; i++) {

        if (rc == WSCAST_OK) {
            owner = wscast_presence_owner(&store->presence, owner);
        }

        if (owner == 0) {
            break;
        }

        if (ngx_wscast_bus_alive(store->bus, owner)) {
            continue;
        }

        rc = ngx_wscast_store_bury(store, owner);

        if (rc == WSCAST_OK) {
            owner = 0;                      /* it is in the list no more */

        } else if (rc != WSCAST_MORE) {
            break;
        }
    }

    ngx_wscast_store_unlock(store);
}


static void
ngx_wscast_shared_expire(ngx_wscast_store_t *store)
{
    ngx_uint_t                 i;
    wscast_status_t            rc;
    ngx_wscast_shared_leave_t  l;

    ngx_memzero(&l, sizeof(ngx_wscast_shared_leave_t));
    l.now = ngx_wscast_bus_clock(store->bus);

    for (i = 0; i < NGX_WSCAST_EXPIRE; i++) {
        rc = ngx_wscast_shared_remove(store, &l);

        if (rc == WSCAST_MORE || rc == WSCAST_AGAIN) {
            break;
        }
    }

    wscast_free(l.gone.data);
}
