#include "redis_cluster.h"


static void ngx_wscast_scout_ready(void *ctx);
static ngx_int_t ngx_wscast_scout_reply(void *ctx, redisReply *reply);
static void ngx_wscast_scout_lost(void *ctx);
static void ngx_wscast_scout_writable(void *ctx);
static ngx_int_t ngx_wscast_scout_probe(void *ctx);
static ngx_int_t ngx_wscast_scout_ask(ngx_wscast_cluster_t *cluster);
static ngx_uint_t ngx_wscast_scout_sharded(redisReply *reply);
static ngx_uint_t ngx_wscast_cluster_expects(ngx_wscast_cluster_t *cluster);
static void ngx_wscast_cluster_restart(ngx_wscast_cluster_t *cluster);
static ngx_wscast_redis_node_t *ngx_wscast_cluster_find(
    ngx_wscast_cluster_t *cluster, ngx_sockaddr_t *sockaddr,
    socklen_t socklen);
static void ngx_wscast_cluster_complain(ngx_wscast_cluster_t *cluster,
    const char *what, const char *text, size_t len);
static void ngx_wscast_cluster_dismiss(ngx_wscast_cluster_t *cluster);


static const ngx_wscast_redis_link_handler_t  ngx_wscast_scout = {
    ngx_wscast_scout_ready,
    ngx_wscast_scout_reply,
    ngx_wscast_scout_lost,
    ngx_wscast_scout_writable,
    ngx_wscast_scout_probe
};


ngx_int_t
ngx_wscast_cluster_open(ngx_wscast_redis_t *redis)
{
    ngx_wscast_cluster_t  *cluster;

    cluster = ngx_calloc(sizeof(ngx_wscast_cluster_t), redis->log);
    if (cluster == NULL) {
        return NGX_ERROR;
    }

    cluster->redis = redis;
    redis->cluster = cluster;

    ngx_wscast_guard_init(cluster);
    wscast_list_init(&cluster->held);

    cluster->timer.handler = ngx_wscast_cluster_timer;
    cluster->timer.data = cluster;
    cluster->timer.log = redis->log;
    cluster->timer.cancelable = 1;

    ngx_wscast_redis_link_init(&cluster->scout, redis->conf, "scout",
                               &ngx_wscast_scout, cluster, redis->log);
    ngx_wscast_redis_link_open(&cluster->scout, redis->local->counters);

    return NGX_OK;
}


void
ngx_wscast_cluster_close(ngx_wscast_redis_t *redis)
{
    ngx_wscast_cluster_t        *cluster;
    ngx_wscast_redis_command_t  *cmd;

    cluster = redis->cluster;

    ngx_wscast_redis_link_close(&cluster->scout);

    while (!wscast_list_empty(&cluster->held)) {
        cmd = wscast_list_first(&cluster->held, ngx_wscast_redis_command_t,
                                link);
        wscast_list_remove(&cmd->link);
        ngx_wscast_redis_answer(redis, cmd, NULL);
    }

    if (cluster->timer.timer_set) {     /* who is answered may go on */
        ngx_del_timer(&cluster->timer);
    }

    redis->cluster = NULL;
    ngx_free(cluster);
}


static void
ngx_wscast_scout_ready(void *ctx)
{
    size_t                 lens[3];
    const char            *argv[3];
    ngx_wscast_cluster_t  *cluster;

    cluster = ctx;
    cluster->asked = 0;
    cluster->anew = 0;

    argv[0] = "COMMAND";
    lens[0] = 7;
    argv[1] = "INFO";
    lens[1] = 4;
    argv[2] = "SPUBLISH";
    lens[2] = 8;

    (void) ngx_wscast_redis_link_command(&cluster->scout, 3, argv, lens, 1);
    (void) ngx_wscast_scout_ask(cluster);
}


static ngx_int_t
ngx_wscast_scout_ask(ngx_wscast_cluster_t *cluster)
{
    size_t       lens[2];
    ngx_int_t    rc;
    const char  *argv[2];

    argv[0] = "CLUSTER";
    lens[0] = 7;
    argv[1] = "SLOTS";
    lens[1] = 5;

    rc = ngx_wscast_redis_link_command(&cluster->scout, 2, argv, lens, 1);

    if (rc == NGX_OK) {
        cluster->asked++;
        cluster->ticks = 0;
    }

    return rc;
}


/* Its first answer is that to COMMAND INFO, all others are of CLUSTER SLOTS. */

static ngx_int_t
ngx_wscast_scout_reply(void *ctx, redisReply *reply)
{
    ngx_uint_t             sharded;
    ngx_wscast_cluster_t  *cluster;

    cluster = ctx;

    if (cluster->asked == 0) {
        return NGX_OK;
    }

    if (!cluster->scouted) {
        cluster->scouted = 1;
        sharded = ngx_wscast_scout_sharded(reply);

        if (!cluster->known) {
            cluster->sharded = sharded;

        } else if (sharded != cluster->sharded) {
            cluster->sharded = sharded;
            ngx_wscast_cluster_restart(cluster);
        }

        return NGX_OK;
    }

    cluster->asked--;
    cluster->due = cluster->anew;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_wscast_cluster_complain(cluster, "CLUSTER SLOTS was answered",
                                    reply->str, reply->len);

    } else if (ngx_wscast_cluster_learn(cluster, reply) != NGX_OK) {
        ngx_wscast_cluster_complain(cluster, "CLUSTER SLOTS was answered",
                                    "no table of slots", 17);
    }

    if (cluster->anew) {
        cluster->anew = 0;
        ngx_wscast_cluster_doubt(cluster);
    }

    /* who waits for the answer goes on, or is refused */

    cluster->redis->handler->writable(cluster->redis->ctx);

    return NGX_OK;
}


/* Sharded Pub/Sub came with Redis 7.0. */

static ngx_uint_t
ngx_wscast_scout_sharded(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
           && reply->element[0]->type == REDIS_REPLY_ARRAY
           && reply->element[0]->elements;
}


/* The servers are of another version now: they are talked to otherwise. */

static void
ngx_wscast_cluster_restart(ngx_wscast_cluster_t *cluster)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_each(cluster->redis, i, node) {
        ngx_wscast_redis_link_break(&node->subscriber, "has another Pub/Sub");
        ngx_wscast_redis_link_break(&node->publisher, "has another Pub/Sub");
    }
}


/* Whoever it was, another one is asked next: one of the list, or one found. */

static void
ngx_wscast_scout_lost(void *ctx)
{
    ngx_uint_t                i;
    ngx_wscast_cluster_t     *cluster;
    ngx_wscast_redis_node_t  *node;

    cluster = ctx;
    cluster->asked = 0;
    cluster->scouted = 0;

    ngx_wscast_redis_link_at(&cluster->scout, NULL, 0);

    i = cluster->turn++ % (cluster->redis->nnodes + 1);
    node = i ? cluster->redis->nodes[i - 1] : NULL;

    if (node && node->slots) {
        ngx_wscast_redis_link_at(&cluster->scout, &node->publisher.master,
                                 node->publisher.master_len);
    }

    /* who waits for the first answer must learn that it may not come */

    if (!cluster->known) {
        cluster->redis->handler->writable(cluster->redis->ctx);
    }
}


static void
ngx_wscast_scout_writable(void *ctx)
{
    /* its commands are forced, and few */
}


static ngx_int_t
ngx_wscast_scout_probe(void *ctx)
{
    ngx_wscast_cluster_t  *cluster;

    cluster = ctx;

    return cluster->asked ? NGX_OK : ngx_wscast_scout_ask(cluster);
}


void
ngx_wscast_cluster_doubt(ngx_wscast_cluster_t *cluster)
{
    if (!cluster->due) {
        cluster->due = 1;
        cluster->due_since = ngx_current_msec;
    }

    if (cluster->asked) {
        cluster->anew = 1;

    } else if (ngx_wscast_redis_link_ready(&cluster->scout)) {
        (void) ngx_wscast_scout_ask(cluster);
    }
}


ngx_int_t
ngx_wscast_cluster_admits(ngx_wscast_cluster_t *cluster, ngx_uint_t slot)
{
    ngx_wscast_redis_t       *redis;
    ngx_wscast_redis_node_t  *node;

    redis = cluster->redis;
    node = ngx_wscast_redis_owner(redis, slot);

    /* a server that is lost may have lost the slot as well */

    if (node == NULL || (node->publisher.failures && !cluster->waiting[slot]))
    {
        return ngx_wscast_cluster_expects(cluster) ? NGX_AGAIN : NGX_DECLINED;
    }

    /* what this host could not receive, its own clients would miss */

    if (wscast_ring_receives(&redis->local->ring, (unsigned) slot)) {
        return NGX_OK;
    }

    /* the leader has a scout of its own, and may learn it later */

    if (!cluster->deaf) {
        cluster->deaf = 1;
        cluster->deaf_since = ngx_current_msec;
    }

    return ngx_wscast_cluster_lately(cluster->deaf_since) ? NGX_AGAIN
                                                          : NGX_DECLINED;
}


/* Will the scout say in a moment who owns what? */

static ngx_uint_t
ngx_wscast_cluster_expects(ngx_wscast_cluster_t *cluster)
{
    /* nobody has told yet, nor has failed to */

    if (!cluster->known && !cluster->complained
        && cluster->scout.failures == 0)
    {
        return 1;
    }

    return cluster->due && ngx_wscast_cluster_lately(cluster->due_since);
}


void
ngx_wscast_cluster_wait(ngx_wscast_cluster_t *cluster)
{
    cluster->waited = 1;

    if (!cluster->timer.timer_set) {
        ngx_add_timer(&cluster->timer, NGX_WSCAST_CLUSTER_AGAIN);
    }
}


void
ngx_wscast_cluster_tick(ngx_wscast_cluster_t *cluster)
{
    ngx_uint_t         whole;
    wscast_ring_sh_t  *sh;

    whole = cluster->redis->complete && ngx_wscast_cluster_covered(cluster);

    if (++cluster->ticks >= NGX_WSCAST_CLUSTER_ASK || !whole
        || cluster->hopping || cluster->lacking)    /* it may know by now */
    {
        ngx_wscast_cluster_doubt(cluster);
    }

    sh = cluster->redis->local->ring.sh;
    cluster->deaf &= !(sh->redis_up && sh->redis_deaf == 0);

    if (cluster->hopping) {
        cluster->hopping = 0;
        ngx_memzero(cluster->hops, sizeof(cluster->hops));
    }

    /* who does not know better may be cut off itself: another one is asked */

    if (whole) {
        cluster->broken = 0;

    } else if (++cluster->broken % NGX_WSCAST_CLUSTER_PATIENCE == 0) {
        ngx_wscast_redis_link_close(&cluster->scout);
        ngx_wscast_scout_lost(cluster);
        ngx_wscast_redis_link_open(&cluster->scout,
                                   cluster->redis->local->counters);
    }

    ngx_wscast_redis_completed(cluster->redis);
    cluster->given_up = 0;

    ngx_wscast_cluster_dismiss(cluster);
}


/* Servers without slots, when all that they were told is answered. */

static void
ngx_wscast_cluster_dismiss(ngx_wscast_cluster_t *cluster)
{
    ngx_uint_t                i;
    ngx_wscast_redis_t       *redis;
    ngx_wscast_redis_node_t  *node;

    redis = cluster->redis;

    ngx_wscast_redis_each(redis, i, node) {

        if (node->slots || ++node->spare < NGX_WSCAST_CLUSTER_SPARE
            || !wscast_list_empty(&node->commands))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_NOTICE, redis->log, 0,
                      "wscast: redis at %V has no slots any more",
                      node->publisher.peer.name);

        ngx_wscast_cluster_forget(cluster, i);
        ngx_wscast_redis_node_remove(redis, i);
    }
}


ngx_wscast_redis_node_t *
ngx_wscast_cluster_at(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, const char *address, size_t len)
{
    size_t                    host;
    ngx_int_t                 port;
    socklen_t                 socklen;
    ngx_sockaddr_t            sockaddr;
    ngx_wscast_redis_node_t  *node;

    for (host = len; host && address[host - 1] != ':'; host--) { /* void */ }

    port = ngx_atoi((u_char *) address + host, len - host);

    if (host == 0 || port < 1 || port > 65535) {
        ngx_wscast_cluster_complain(cluster, "no address:", address, len);
        return NULL;
    }

    host--;

    if (host == 0) {                    /* its own, as we see it */
        ngx_memzero(&sockaddr, sizeof(ngx_sockaddr_t));
        ngx_memcpy(&sockaddr, from->peer.sockaddr, from->peer.socklen);
        socklen = from->peer.socklen;
        ngx_inet_set_port(&sockaddr.sockaddr, (in_port_t) port);

    } else if (ngx_wscast_redis_address(address, host, (in_port_t) port,
                                        &sockaddr, &socklen)
               != NGX_OK)
    {
        /* a worker never waits for a name server */

        ngx_wscast_cluster_complain(cluster, "it names servers by a name and "
                                    "not by an address (let "
                                    "cluster-preferred-endpoint-type be ip):",
                                    address, len);
        return NULL;
    }

    node = ngx_wscast_cluster_find(cluster, &sockaddr, socklen);

    if (node == NULL) {
        node = ngx_wscast_redis_node_add(cluster->redis, &sockaddr, socklen);
    }

    if (node == NULL) {
        ngx_wscast_cluster_complain(cluster, "no room for one more server:",
                                    address, len);
    }

    return node;
}


static ngx_wscast_redis_node_t *
ngx_wscast_cluster_find(ngx_wscast_cluster_t *cluster,
    ngx_sockaddr_t *sockaddr, socklen_t socklen)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    ngx_wscast_redis_each(cluster->redis, i, node) {
        if (ngx_cmp_sockaddr(&node->publisher.master.sockaddr,
                             node->publisher.master_len, &sockaddr->sockaddr,
                             socklen, 1)
            == NGX_OK)
        {
            return node;
        }
    }

    return NULL;
}


/* Not of more than its slot: what else has changed the scout is asked. */

void
ngx_wscast_cluster_own(ngx_wscast_cluster_t *cluster, ngx_uint_t slot,
    ngx_wscast_redis_node_t *node)
{
    ngx_wscast_redis_t  *redis;

    redis = cluster->redis;

    if (cluster->owners[slot] == node->number + 1) {
        return;
    }

    if (cluster->owners[slot]) {
        redis->nodes[cluster->owners[slot] - 1]->slots--;
        cluster->covered--;
    }

    cluster->hopping = 1;

    if (cluster->hops[slot]++ >= NGX_WSCAST_CLUSTER_HOPS) {

        /* servers name each other: nobody has it, until the scout is asked */

        cluster->hops[slot] = NGX_WSCAST_CLUSTER_HOPS;
        cluster->owners[slot] = 0;

        ngx_wscast_redis_move(redis, slot);
        return;
    }

    ngx_wscast_redis_changing(redis);

    cluster->owners[slot] = (uint8_t) (node->number + 1);
    cluster->covered++;
    node->slots++;
    node->spare = 0;

    ngx_wscast_redis_move(redis, slot);
    ngx_wscast_cluster_doubt(cluster);
}


/* Loudly, until the next answer that helps. */

static void
ngx_wscast_cluster_complain(ngx_wscast_cluster_t *cluster, const char *what,
    const char *text, size_t len)
{
    ngx_log_error((cluster->complained ? NGX_LOG_INFO : NGX_LOG_ERR),
                  cluster->redis->log, 0,
                  "wscast: redis cluster: %s \"%*s\"", what, len, text);

    cluster->complained = 1;
}
