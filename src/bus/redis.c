#include "redis_inner.h"
#include "redis_cluster.h"


static ngx_int_t ngx_wscast_redis_admits(ngx_wscast_redis_t *redis,
    ngx_uint_t slot);
static ngx_int_t ngx_wscast_redis_give(ngx_wscast_redis_t *redis,
    const ngx_wscast_redis_command_t *as, int argc, const char **argv,
    const size_t *lens, ngx_uint_t force);
static ngx_int_t ngx_wscast_redis_round(ngx_wscast_redis_t *redis,
    ngx_wscast_call_t *call, int argc, const char **argv, const size_t *lens);


ngx_int_t
ngx_wscast_redis_open(ngx_wscast_redis_t *redis, ngx_wscast_bus_conf_t *conf,
    ngx_wscast_local_t *local, ngx_log_t *log,
    const ngx_wscast_redis_handler_t *handler, void *ctx)
{
    ngx_wscast_redis_node_t  *node;

    ngx_memzero(redis, sizeof(ngx_wscast_redis_t));

    redis->conf = conf;
    redis->local = local;
    redis->log = log;
    redis->handler = handler;
    redis->ctx = ctx;

    /* channel names are at most 65535 bytes: the ring's records say so */

    redis->name = ngx_alloc(conf->redis_prefix.len
                            + NGX_WSCAST_BUS_NAMED(65535), log);
    if (redis->name == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(redis->name, conf->redis_prefix.data, conf->redis_prefix.len);

    ngx_wscast_redis_handover_init(redis);
    wscast_map_init(&redis->channels, local->ring.sh->seed);

    if (conf->redis_cluster) {

        if (ngx_wscast_cluster_open(redis) == NGX_OK) {
            return NGX_OK;
        }

    } else {
        node = ngx_wscast_redis_node_add(redis, NULL, 0);

        if (node) {
            node->slots = 1;
            return NGX_OK;
        }
    }

    wscast_map_done(&redis->channels);
    ngx_free(redis->name);
    redis->name = NULL;

    return NGX_ERROR;
}


void
ngx_wscast_redis_close(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_follow(redis);

    ngx_wscast_redis_each(redis, i, node) {
        ngx_wscast_redis_node_remove(redis, i);
    }

    if (redis->cluster) {
        ngx_wscast_cluster_close(redis);
    }

    wscast_map_done(&redis->channels);
    ngx_free(redis->name);
    redis->name = NULL;
}


wscast_status_t
ngx_wscast_redis_publish(ngx_wscast_redis_t *redis, wscast_str_t channel,
    wscast_str_t bytes, wscast_receipt_t *receipt)
{
    int                          argc;
    size_t                       lens[5];
    const char                  *argv[5];
    wscast_str_t                 name;
    ngx_wscast_redis_command_t   as;

    name = ngx_wscast_redis_name(redis, channel);

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));

    as.receipt = receipt;
    as.slot = ngx_wscast_redis_slot(redis, name);

    if (ngx_wscast_redis_sharded(redis)) {
        argc = ngx_wscast_guard_words(redis, argv, lens);
        as.guarded = 1;

    } else {
        argv[0] = "PUBLISH";
        lens[0] = 7;
        argc = 1;
    }

    argv[argc] = (const char *) name.data;
    lens[argc++] = name.len;
    argv[argc] = (const char *) bytes.data;
    lens[argc++] = bytes.len;

    switch (ngx_wscast_redis_give(redis, &as, argc, argv, lens, 0)) {

    case NGX_OK:
        return WSCAST_MORE;

    case NGX_AGAIN:
        return WSCAST_AGAIN;

    case NGX_DECLINED:
        return WSCAST_CLOSE_AWAY;

    default:
        return WSCAST_CLOSE_NO_MEMORY;
    }
}


ngx_int_t
ngx_wscast_redis_call(ngx_wscast_redis_t *redis, ngx_wscast_call_t *call,
    wscast_str_t key, int argc, const char **argv, const size_t *lens,
    ngx_uint_t force)
{
    ngx_wscast_redis_command_t   as;

    if (redis->cluster && key.len == 0) {
        return ngx_wscast_redis_round(redis, call, argc, argv, lens);
    }

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));

    as.call = call;
    as.slot = ngx_wscast_redis_slot(redis, key);

    return ngx_wscast_redis_give(redis, &as, argc, argv, lens, force);
}


/* To who has its slot; what is not forced is a publish. */

static ngx_int_t
ngx_wscast_redis_give(ngx_wscast_redis_t *redis,
    const ngx_wscast_redis_command_t *as, int argc, const char **argv,
    const size_t *lens, ngx_uint_t force)
{
    ngx_int_t                 rc;
    ngx_wscast_redis_node_t  *node;

    rc = force ? NGX_OK : ngx_wscast_redis_admits(redis, as->slot);

    if (rc == NGX_AGAIN) {
        ngx_wscast_cluster_wait(redis->cluster);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    node = ngx_wscast_redis_owner(redis, as->slot);

    return node ? ngx_wscast_redis_send(node, as, argc, argv, lens, force)
                : NGX_DECLINED;
}


/* A publish: NGX_OK; NGX_AGAIN: it waits; NGX_DECLINED: it is refused. */

static ngx_int_t
ngx_wscast_redis_admits(ngx_wscast_redis_t *redis, ngx_uint_t slot)
{
    if (redis->cluster) {
        return ngx_wscast_cluster_admits(redis->cluster, slot);
    }

    /* what this host could not receive, its own clients would miss */

    return wscast_ring_receives(&redis->local->ring, (unsigned) slot)
           ? NGX_OK : NGX_DECLINED;
}


/* To every server that listens; one that comes later is a new one. */

static ngx_int_t
ngx_wscast_redis_round(ngx_wscast_redis_t *redis, ngx_wscast_call_t *call,
    int argc, const char **argv, const size_t *lens)
{
    ngx_uint_t                   i;
    ngx_wscast_round_t          *round;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_command_t   as;

    round = wscast_zalloc(sizeof(ngx_wscast_round_t));
    if (round == NULL) {
        return NGX_ERROR;
    }

    round->call = call;

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));

    as.round = round;
    as.slot = NGX_WSCAST_ANY_SLOT;

    ngx_wscast_redis_each(redis, i, node) {
        round->pending += (ngx_wscast_redis_send(node, &as, argc, argv, lens,
                                                 1)
                           == NGX_OK);
    }

    if (round->pending == 0) {
        wscast_free(round);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


wscast_str_t
ngx_wscast_redis_name(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    u_char  *last;

    last = ngx_wscast_bus_name(redis->conf, redis->name
                               + redis->conf->redis_prefix.len, channel);

    return wscast_str(redis->name, last - redis->name);
}


ngx_uint_t
ngx_wscast_redis_slot(ngx_wscast_redis_t *redis, wscast_str_t name)
{
    return redis->cluster ? ngx_wscast_cluster_slot(name.data, name.len) : 0;
}


ngx_uint_t
ngx_wscast_redis_receives(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    ngx_uint_t  slot;

    slot = ngx_wscast_redis_slot(redis, ngx_wscast_redis_name(redis, channel));

    return ngx_wscast_redis_admits(redis, slot) != NGX_DECLINED;
}


ngx_uint_t
ngx_wscast_redis_reaches(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    ngx_uint_t                slot;
    ngx_wscast_redis_node_t  *node;

    slot = ngx_wscast_redis_slot(redis, ngx_wscast_redis_name(redis, channel));
    node = ngx_wscast_redis_owner(redis, slot);

    return node && ngx_wscast_redis_link_ready(&node->publisher)
           && wscast_ring_receives(&redis->local->ring, (unsigned) slot);
}


ngx_uint_t
ngx_wscast_redis_sharded(ngx_wscast_redis_t *redis)
{
    return redis->cluster && redis->cluster->sharded;
}


ngx_wscast_redis_node_t *
ngx_wscast_redis_owner(ngx_wscast_redis_t *redis, ngx_uint_t slot)
{
    ngx_uint_t  n;

    if (redis->cluster == NULL) {
        return redis->nodes[0];
    }

    n = redis->cluster->owners[slot];

    return n ? redis->nodes[n - 1] : NULL;
}


/* Slots whose tenant is gone want nothing any more. */

void
ngx_wscast_redis_tick(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_handover_tick(redis);

    /* one was made before a failover, the other one behind it */

    ngx_wscast_redis_each(redis, i, node) {
        if (ngx_wscast_redis_link_differ(&node->publisher, &node->subscriber))
        {
            ngx_wscast_redis_link_break(&node->publisher, "is another master");
            ngx_wscast_redis_link_break(&node->subscriber,
                                        "is another master");
        }
    }

    if (redis->cluster) {
        ngx_wscast_cluster_tick(redis->cluster);
    }

    ngx_wscast_redis_sweep(redis);
}
