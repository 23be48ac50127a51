#include "store_inner.h"


/*
 * How many connections a key has on this host (wscast_connections).  They are
 * members of a channel that no client can name, so that all workers see them,
 * and those of a worker that dies are found like its other members; only that
 * nobody is told.  With Redis this is in the host's memory all the same.
 */


#define NGX_WSCAST_KEY_BYTE  2      /* before the key: a name of no channel */


static wscast_str_t ngx_wscast_store_counted(wscast_str_t key, u_char *name);
static wscast_status_t ngx_wscast_store_count(ngx_wscast_store_t *store,
    wscast_str_t channel, uint64_t *total);


ngx_int_t
ngx_wscast_store_admit(ngx_wscast_store_t *store, wscast_str_t key,
    wscast_str_t client, ngx_uint_t limit)
{
    u_char            name[1 + NGX_WSCAST_KEY_LEN];
    uint64_t          total;
    wscast_join_t     join;
    wscast_joined_t   joined;
    wscast_status_t   rc;

    if (!store->ready || key.len > NGX_WSCAST_KEY_LEN) {
        return NGX_ERROR;
    }

    ngx_wscast_store_own(store);

    ngx_memzero(&join, sizeof(wscast_join_t));

    join.channel = ngx_wscast_store_counted(key, name);
    join.member.client = client;
    join.owner = ngx_wscast_bus_nonce(store->bus);

    ngx_wscast_store_lock(store);

    rc = ngx_wscast_store_count(store, join.channel, &total);

    if (rc == WSCAST_OK && total >= limit) {
        ngx_wscast_store_unlock(store);
        return NGX_DECLINED;
    }

    if (rc == WSCAST_OK) {
        ngx_wscast_store_vacate(store, join.channel.len);
    }

    wscast_heap_begin(&store->heap);

    if (rc == WSCAST_OK) {
        rc = wscast_presence_join(&store->presence, &join, &joined);
    }

    rc = ngx_wscast_store_end(store, rc);

    if (rc != WSCAST_OK) {
        ngx_wscast_bus_counters(store->bus)[WSCAST_COUNT_PRESENCE_FULL]++;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_wscast_store_dismiss(ngx_wscast_store_t *store, wscast_str_t key,
    wscast_str_t client)
{
    u_char            name[1 + NGX_WSCAST_KEY_LEN];
    wscast_gone_t     gone;
    wscast_status_t   rc;

    if (!store->ready || key.len > NGX_WSCAST_KEY_LEN) {
        return;
    }

    ngx_memzero(&gone, sizeof(wscast_gone_t));

    ngx_wscast_store_begin(store);

    rc = wscast_presence_leave(&store->presence,
                               ngx_wscast_store_counted(key, name), client,
                               ngx_wscast_bus_nonce(store->bus), &gone);

    (void) ngx_wscast_store_end(store, rc);

    wscast_free(gone.data);
}


/* Under the lock. */

static wscast_status_t
ngx_wscast_store_count(ngx_wscast_store_t *store, wscast_str_t channel,
    uint64_t *total)
{
    size_t    len;
    u_char   *page;
    uint64_t  next;

    page = NULL;

    return wscast_presence_page(&store->presence, channel, 0, 0, 0, &page,
                                &len, &next, total);
}


static wscast_str_t
ngx_wscast_store_counted(wscast_str_t key, u_char *name)
{
    name[0] = NGX_WSCAST_KEY_BYTE;

    if (key.len) {
        ngx_memcpy(name + 1, key.data, key.len);
    }

    return wscast_str(name, 1 + key.len);
}


ngx_uint_t
ngx_wscast_store_is_counted(wscast_str_t channel)
{
    return channel.len && channel.data[0] == NGX_WSCAST_KEY_BYTE;
}


/* Connections of workers that have died, with Redis: once a second. */

void
ngx_wscast_store_sweep(ngx_wscast_store_t *store)
{
    uint64_t          now;
    ngx_uint_t        i;
    wscast_gone_t     gone;
    wscast_status_t   rc;

    ngx_memzero(&gone, sizeof(wscast_gone_t));
    now = ngx_wscast_bus_clock(store->bus);
    rc = WSCAST_OK;

    ngx_wscast_store_lock(store);

    for (i = 0; i < NGX_WSCAST_EXPIRE && rc == WSCAST_OK; i++) {
        wscast_heap_begin(&store->heap);

        rc = wscast_presence_expire(&store->presence, now, &gone);

        if (rc == WSCAST_OK && !wscast_heap_failed(&store->heap)) {
            wscast_heap_commit(&store->heap);

        } else {
            wscast_heap_abort(&store->heap);
        }
    }

    if (rc == WSCAST_ERROR) {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);

    wscast_free(gone.data);
}
