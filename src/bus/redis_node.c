#include "redis_inner.h"
#include "redis_cluster.h"


static void ngx_wscast_redis_publisher_ready(void *ctx);
static ngx_int_t ngx_wscast_redis_publisher_reply(void *ctx,
    redisReply *reply);
static void ngx_wscast_redis_publisher_lost(void *ctx);
static void ngx_wscast_redis_publisher_writable(void *ctx);
static ngx_int_t ngx_wscast_redis_publisher_probe(void *ctx);
static void ngx_wscast_redis_probed(ngx_wscast_call_t *call,
    redisReply *reply);
static void ngx_wscast_redis_rounded(ngx_wscast_round_t *round,
    redisReply *reply);
static void ngx_wscast_redis_published(ngx_wscast_redis_t *redis,
    wscast_receipt_t *receipt, redisReply *reply);


static const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_publisher = {
    ngx_wscast_redis_publisher_ready,
    ngx_wscast_redis_publisher_reply,
    ngx_wscast_redis_publisher_lost,
    ngx_wscast_redis_publisher_writable,
    ngx_wscast_redis_publisher_probe
};


ngx_wscast_redis_node_t *
ngx_wscast_redis_node_add(ngx_wscast_redis_t *redis, ngx_sockaddr_t *sockaddr,
    socklen_t socklen)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    for (i = 0; i < redis->nnodes && redis->nodes[i]; i++) { /* void */ }

    if (i == NGX_WSCAST_REDIS_NODES) {
        return NULL;
    }

    node = ngx_alloc(sizeof(ngx_wscast_redis_node_t), redis->log);
    if (node == NULL) {
        return NULL;
    }

    ngx_memzero(node, sizeof(ngx_wscast_redis_node_t));

    node->redis = redis;
    node->number = i;
    node->probe.done = ngx_wscast_redis_probed;
    node->marker.done = ngx_wscast_redis_handover_marked;

    wscast_list_init(&node->commands);

    ngx_wscast_redis_link_init(&node->publisher, redis->conf, "publisher",
                               &ngx_wscast_redis_publisher, node, redis->log);
    ngx_wscast_redis_link_init(&node->subscriber, redis->conf, "subscriber",
                               &ngx_wscast_redis_subscriber, node, redis->log);

    if (sockaddr) {
        ngx_wscast_redis_link_at(&node->publisher, sockaddr, socklen);
        ngx_wscast_redis_link_at(&node->subscriber, sockaddr, socklen);
    }

    redis->nodes[i] = node;
    redis->nnodes = ngx_max(redis->nnodes, i + 1);

    ngx_wscast_redis_link_open(&node->publisher, redis->local->counters);

    if (redis->leading) {
        ngx_wscast_redis_link_open(&node->subscriber, redis->local->counters);
    }

    return node;
}


void
ngx_wscast_redis_node_remove(ngx_wscast_redis_t *redis, ngx_uint_t i)
{
    ngx_wscast_redis_node_t  *node;

    node = redis->nodes[i];

    ngx_wscast_redis_link_close(&node->subscriber);
    ngx_wscast_redis_link_close(&node->publisher);
    ngx_wscast_redis_publisher_lost(node);

    redis->nodes[i] = NULL;
    ngx_free(node);
}


ngx_int_t
ngx_wscast_redis_send(ngx_wscast_redis_node_t *node,
    const ngx_wscast_redis_command_t *as, int argc, const char **argv,
    const size_t *lens, ngx_uint_t force)
{
    char                        *bytes;
    long long                    len;
    ngx_int_t                    rc;
    ngx_wscast_redis_command_t  *cmd;

    cmd = wscast_alloc(sizeof(ngx_wscast_redis_command_t));
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    len = redisFormatCommandArgv(&bytes, argc, argv, lens);

    if (len < 0) {
        wscast_free(cmd);
        return NGX_ERROR;
    }

    *cmd = *as;
    cmd->bytes = bytes;
    cmd->len = (size_t) len;

    rc = node->redis->cluster
         ? ngx_wscast_cluster_send(node->redis->cluster, node, cmd, force)
         : ngx_wscast_redis_node_send(node, cmd, force);

    if (rc != NGX_OK) {
        redisFreeCommand(bytes);
        wscast_free(cmd);

    } else if (node->redis->cluster == NULL) {
        redisFreeCommand(bytes);
        cmd->bytes = NULL;
    }

    return rc;
}


ngx_int_t
ngx_wscast_redis_node_send(ngx_wscast_redis_node_t *node,
    ngx_wscast_redis_command_t *cmd, ngx_uint_t force)
{
    ngx_int_t  rc;

    if (!ngx_wscast_redis_link_ready(&node->publisher)) {

        /* a worker that has just begun: who may wait, waits */

        return !force && ngx_wscast_redis_link_fresh(&node->publisher)
               ? NGX_AGAIN : NGX_DECLINED;
    }

    rc = ngx_wscast_redis_link_send(&node->publisher, cmd->bytes, cmd->len,
                                    force);
    if (rc == NGX_OK) {
        wscast_list_append(&node->commands, &cmd->link);
    }

    return rc;
}


void
ngx_wscast_redis_changing(ngx_wscast_redis_t *redis)
{
    redis->since = ngx_wscast_now();
}


uint64_t
ngx_wscast_redis_since(ngx_wscast_redis_t *redis)
{
    if (!redis->complete) {
        ngx_wscast_redis_changing(redis);
    }

    return redis->since;
}


void
ngx_wscast_redis_completed(ngx_wscast_redis_t *redis)
{
    ngx_uint_t                i;
    ngx_wscast_redis_node_t  *node;

    if (redis->complete) {
        return;
    }

    /* while commands are given up, telling all anew would only add to them */

    if (redis->cluster
        && (redis->cluster->covered == 0 || redis->cluster->given_up))
    {
        return;
    }

    ngx_wscast_redis_each(redis, i, node) {
        if (node->slots && !ngx_wscast_redis_link_ready(&node->publisher)) {
            return;
        }
    }

    redis->complete = 1;
    redis->handler->reachable(redis->ctx);
}


static void
ngx_wscast_redis_publisher_ready(void *ctx)
{
    ngx_wscast_redis_t       *redis;
    ngx_wscast_redis_node_t  *node;

    node = ctx;
    redis = node->redis;

    ngx_wscast_redis_changing(redis);

    if (ngx_wscast_redis_sharded(redis)) {
        ngx_wscast_guard_load(node);        /* before anything is published */
    }

    ngx_wscast_redis_completed(redis);

    if (redis->cluster) {
        ngx_wscast_cluster_ready(redis->cluster);
    }

    redis->handler->writable(redis->ctx);
}


static void
ngx_wscast_redis_publisher_writable(void *ctx)
{
    ngx_wscast_redis_node_t  *node;

    node = ctx;
    node->redis->handler->writable(node->redis->ctx);
}


static ngx_int_t
ngx_wscast_redis_publisher_probe(void *ctx)
{
    size_t                       len;
    ngx_int_t                    rc;
    const char                  *ping;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_command_t   as;

    node = ctx;

    /* one that has not been answered yet will do */

    if (node->probing) {
        return NGX_OK;
    }

    ping = node->redis->conf->redis_master.len ? "ROLE" : "PING";
    len = 4;

    ngx_memzero(&as, sizeof(ngx_wscast_redis_command_t));

    as.call = &node->probe;
    as.slot = NGX_WSCAST_ANY_SLOT;

    rc = ngx_wscast_redis_send(node, &as, 1, &ping, &len, 1);
    node->probing = (rc == NGX_OK);

    return rc;
}


static void
ngx_wscast_redis_probed(ngx_wscast_call_t *call, redisReply *reply)
{
    ngx_wscast_redis_node_t  *node;

    node = wscast_container(call, ngx_wscast_redis_node_t, probe);
    node->probing = 0;

    /* of PING, that it came is all there is to know */

    if (reply == NULL || node->redis->conf->redis_master.len == 0
        || ngx_wscast_redis_is_master(reply))
    {
        return;
    }

    /* the subscriber cannot ask, but has found the same server */

    ngx_wscast_redis_link_break(&node->publisher, "is no master any more");
    ngx_wscast_redis_link_break(&node->subscriber, "is no master any more");
}


static ngx_int_t
ngx_wscast_redis_publisher_reply(void *ctx, redisReply *reply)
{
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_command_t  *cmd;

    node = ctx;
    redis = node->redis;

    if (wscast_list_empty(&node->commands)) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: redis sent a reply to nothing");
        return NGX_OK;
    }

    cmd = wscast_list_first(&node->commands, ngx_wscast_redis_command_t, link);
    wscast_list_remove(&cmd->link);

    if (redis->cluster
        && ngx_wscast_cluster_answered(redis->cluster, node, cmd, reply)
           == NGX_DECLINED)
    {
        return NGX_OK;                      /* it will be sent once more */
    }

    ngx_wscast_redis_answer(redis, cmd, reply);

    return NGX_OK;
}


void
ngx_wscast_redis_answer(ngx_wscast_redis_t *redis,
    ngx_wscast_redis_command_t *cmd, redisReply *reply)
{
    wscast_receipt_t    *receipt;
    ngx_wscast_call_t   *call;
    ngx_wscast_round_t  *round;

    receipt = cmd->receipt;
    call = cmd->call;
    round = cmd->round;

    if (cmd->bytes) {
        redisFreeCommand(cmd->bytes);
    }

    wscast_free(cmd);

    if (receipt) {
        ngx_wscast_redis_published(redis, receipt, reply);

    } else if (call) {
        call->done(call, reply);

    } else if (round) {
        ngx_wscast_redis_rounded(round, reply);
    }
}


static void
ngx_wscast_redis_rounded(ngx_wscast_round_t *round, redisReply *reply)
{
    ngx_uint_t          failed;
    ngx_wscast_call_t  *call;

    round->failed |= (reply == NULL);

    if (--round->pending) {
        return;
    }

    call = round->call;
    failed = round->failed;

    wscast_free(round);

    call->done(call, failed ? NULL : reply);
}


static void
ngx_wscast_redis_published(ngx_wscast_redis_t *redis,
    wscast_receipt_t *receipt, redisReply *reply)
{
    wscast_status_t  status;

    status = WSCAST_CLOSE_AWAY;

    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        status = WSCAST_OK;
        receipt->receivers = (uint64_t) reply->integer;

    } else if (reply) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: redis refused to publish: \"%*s\"",
                      reply->type == REDIS_REPLY_ERROR
                          ? (size_t) reply->len : (size_t) 0, reply->str);
    }

    if (receipt->done != ngx_wscast_redis_handover_marked) {
        redis->local->counters[status == WSCAST_OK
                               ? WSCAST_COUNT_PUBLISHED
                               : WSCAST_COUNT_PUBLISH_FAILED]++;
    }

    receipt->done(receipt, status);
}


static void
ngx_wscast_redis_publisher_lost(void *ctx)
{
    ngx_wscast_redis_t          *redis;
    ngx_wscast_redis_node_t     *node;
    ngx_wscast_redis_command_t  *cmd;

    node = ctx;
    redis = node->redis;

    redis->complete &= (node->slots == 0);

    while (!wscast_list_empty(&node->commands)) {
        cmd = wscast_list_first(&node->commands, ngx_wscast_redis_command_t,
                                link);
        wscast_list_remove(&cmd->link);

        if (redis->cluster) {
            ngx_wscast_cluster_unanswered(redis->cluster, cmd);
        }

        ngx_wscast_redis_answer(redis, cmd, NULL);
    }

    if (redis->cluster) {
        ngx_wscast_cluster_doubt(redis->cluster);
    }

    /* who waits for room must learn that there is nobody to wait for */

    redis->handler->writable(redis->ctx);
}
