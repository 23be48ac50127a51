#include "redis_cluster.h"


static ngx_wscast_redis_node_t *ngx_wscast_cluster_master(
    ngx_wscast_cluster_t *cluster, redisReply *master);
static redisReply *ngx_wscast_cluster_ip(redisReply *master);
static void ngx_wscast_cluster_take(ngx_wscast_cluster_t *cluster,
    uint8_t *owners);
static void ngx_wscast_cluster_keep(ngx_wscast_cluster_t *cluster,
    uint8_t *owners);


/*
 * An array of ranges, each: first and last slot, its master and its replicas,
 * each of them: host, port, id, and since Redis 7 what else is known of it.
 */

ngx_int_t
ngx_wscast_cluster_learn(ngx_wscast_cluster_t *cluster, redisReply *reply)
{
    size_t                    i;
    uint8_t                   owners[NGX_WSCAST_REDIS_SLOTS];
    long long                 slot;
    redisReply               *range;
    ngx_wscast_redis_node_t  *node;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    ngx_memzero(owners, sizeof(owners));

    for (i = 0; i < reply->elements; i++) {
        range = reply->element[i];

        if (range->type != REDIS_REPLY_ARRAY || range->elements < 3
            || range->element[0]->type != REDIS_REPLY_INTEGER
            || range->element[1]->type != REDIS_REPLY_INTEGER
            || range->element[0]->integer < 0
            || range->element[1]->integer >= NGX_WSCAST_REDIS_SLOTS)
        {
            return NGX_ERROR;
        }

        node = ngx_wscast_cluster_master(cluster, range->element[2]);

        if (node == NULL) {
            continue;                   /* it has been told why */
        }

        for (slot = range->element[0]->integer;
             slot <= range->element[1]->integer;
             slot++)
        {
            owners[slot] = (uint8_t) (node->number + 1);
        }
    }

    ngx_wscast_cluster_take(cluster, owners);

    return NGX_OK;
}


static ngx_wscast_redis_node_t *
ngx_wscast_cluster_master(ngx_wscast_cluster_t *cluster, redisReply *master)
{
    u_char       address[NGX_SOCKADDR_STRLEN * 4], *p;
    redisReply  *host, *port;

    if (master->type != REDIS_REPLY_ARRAY || master->elements < 2
        || master->element[1]->type != REDIS_REPLY_INTEGER)
    {
        return NULL;
    }

    host = ngx_wscast_cluster_ip(master);
    port = master->element[1];

    p = ngx_snprintf(address, sizeof(address), "%*s:%L",
                     host ? (size_t) host->len : (size_t) 0,
                     host ? host->str : "", (int64_t) port->integer);

    return ngx_wscast_cluster_at(cluster, &cluster->scout, (char *) address,
                                 p - address);
}


/* NULL: it is the one that was asked. */

static redisReply *
ngx_wscast_cluster_ip(redisReply *master)
{
    size_t          i;
    socklen_t       len;
    redisReply     *host, *more;
    ngx_sockaddr_t  sockaddr;

    host = master->element[0];

    if (host->type != REDIS_REPLY_STRING || host->len == 0
        || (host->len == 1 && host->str[0] == '?'))
    {
        host = NULL;

    } else if (ngx_wscast_redis_address(host->str, host->len, 1, &sockaddr,
                                        &len)
               == NGX_OK)
    {
        return host;
    }

    /* a name, or nothing; but its address may be among the rest */

    if (master->elements < 4
        || master->element[3]->type != REDIS_REPLY_ARRAY)
    {
        return host;
    }

    more = master->element[3];

    for (i = 0; i + 1 < more->elements; i += 2) {
        if (more->element[i]->type == REDIS_REPLY_STRING
            && more->element[i]->len == 2
            && ngx_memcmp(more->element[i]->str, "ip", 2) == 0
            && more->element[i + 1]->type == REDIS_REPLY_STRING
            && more->element[i + 1]->len)
        {
            return more->element[i + 1];
        }
    }

    return host;
}


static void
ngx_wscast_cluster_take(ngx_wscast_cluster_t *cluster, uint8_t *owners)
{
    ngx_uint_t                i, changed;
    ngx_wscast_redis_t       *redis;
    ngx_wscast_redis_node_t  *node;

    redis = cluster->redis;

    /* who had a slot, and has just said that it moved, knows better */

    for (i = 0; cluster->hopping && i < NGX_WSCAST_REDIS_SLOTS; i++) {
        if (cluster->hops[i]) {
            owners[i] = cluster->owners[i];
        }
    }

    ngx_wscast_cluster_keep(cluster, owners);

    changed = (ngx_memcmp(cluster->owners, owners, sizeof(cluster->owners))
               != 0);

    cluster->known = 1;
    cluster->complained &= !ngx_wscast_cluster_covered(cluster);

    if (!changed) {
        return;
    }

    ngx_wscast_redis_changing(redis);
    ngx_memcpy(cluster->owners, owners, sizeof(cluster->owners));

    ngx_wscast_redis_each(redis, i, node) {
        node->slots = 0;
    }

    cluster->covered = 0;

    for (i = 0; i < NGX_WSCAST_REDIS_SLOTS; i++) {
        if (owners[i]) {
            cluster->covered++;
            redis->nodes[owners[i] - 1]->slots++;
        }
    }

    ngx_wscast_redis_each(redis, i, node) {
        node->spare = 0;
    }

    ngx_wscast_redis_move(redis, NGX_WSCAST_ANY_SLOT);
    ngx_wscast_redis_heard(redis);
    ngx_wscast_redis_completed(redis);
    ngx_wscast_cluster_ready(cluster);
}


/*
 * While a slot changes its master, the former one has heard that it is a
 * replica a moment before it hears whose the slot is now.  Until that is
 * believed, who had the slot is asked, and knows.
 */

static void
ngx_wscast_cluster_keep(ngx_wscast_cluster_t *cluster, uint8_t *owners)
{
    ngx_uint_t  i, lacking;

    lacking = 0;

    for (i = 0; i < NGX_WSCAST_REDIS_SLOTS; i++) {
        lacking |= (owners[i] == 0 && cluster->owners[i] != 0);
    }

    if (lacking && !cluster->lacking) {
        cluster->lacks_since = ngx_current_msec;
    }

    cluster->lacking = lacking;

    if (!lacking || !ngx_wscast_cluster_lately(cluster->lacks_since)) {
        return;
    }

    for (i = 0; i < NGX_WSCAST_REDIS_SLOTS; i++) {
        if (owners[i] == 0) {
            owners[i] = cluster->owners[i];
        }
    }
}
