#include "redis_remote.h"
#include "../base/envelope.h"


/*
 * Whose publish was answered knows that his message has been given its place,
 * though no host may have heard it, and no replica have it.  If the Redis that
 * is asked next has less, or another message there, something is lost: its
 * scripts are told what is known here, and begin another epoch then.
 */


/* ms: hosts' clocks may differ by that, and answers be late. */
#define NGX_WSCAST_END_DOUBT  10000


void
ngx_wscast_end_given(ngx_wscast_ask_t *ask, const wscast_position_t *position,
    ngx_uint_t duplicate)
{
    size_t                  prefix;
    wscast_end_t            end;
    wscast_str_t            channel;
    ngx_wscast_store_t     *store;
    ngx_wscast_bus_conf_t  *conf;

    store = ask->remote->store;
    conf = store->conf;

    if (!store->ready || position->epoch == 0) {
        return;
    }

    /* behind the keys: the channel's name, and the envelope */

    prefix = conf->redis_prefix.len;
    channel = ngx_wscast_ask_at(ask, ask->nkeys);
    channel = wscast_str(channel.data + prefix, channel.len - prefix);

    if (conf->redis_cluster && ask->where == NULL) {
        ask->where = wscast_alloc(channel.len + 1);

        if (ask->where == NULL) {
            return;
        }
    }

    channel = ngx_wscast_bus_unname(conf, ask->where, channel);

    end.position = *position;
    end.time = duplicate ? 0
               : wscast_envelope_time(ngx_wscast_ask_at(ask,
                                                        ask->nkeys + 1).data);

    ngx_wscast_store_lock(store);

    if (wscast_history_given(&store->history, channel, &end,
                             ngx_wscast_now())
        == WSCAST_ERROR)
    {
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_evicted(store);
    ngx_wscast_store_unlock(store);
}


void
ngx_wscast_end_known(ngx_wscast_remote_t *remote, wscast_str_t channel,
    wscast_end_t *end)
{
    wscast_status_t      rc;
    ngx_wscast_store_t  *store;

    store = remote->store;
    ngx_memzero(end, sizeof(wscast_end_t));

    if (!store->ready) {
        return;
    }

    ngx_wscast_store_lock(store);

    rc = wscast_history_end(&store->history, channel, ngx_wscast_now(),
                            end);

    if (rc == WSCAST_ERROR) {
        ngx_memzero(end, sizeof(wscast_end_t));
        ngx_wscast_store_damaged(store);
    }

    ngx_wscast_store_unlock(store);
}


void
ngx_wscast_end_words(ngx_wscast_ask_t *ask, const wscast_end_t *end)
{
    u_char  time[8];

    ngx_wscast_ask_epoch(ask, end->position.epoch);
    ngx_wscast_ask_number(ask, end->position.offset);

    if (end->time) {
        (void) wscast_envelope_put(time, end->time, 8);
        ngx_wscast_ask_word(ask, wscast_str(time, 8));
    }
}


ngx_uint_t
ngx_wscast_end_sure(ngx_wscast_remote_t *remote, const wscast_end_t *end)
{
    return end->time
           > ngx_wscast_bus_since(remote->store->bus) + NGX_WSCAST_END_DOUBT;
}
