#include "redis.h"


static void ngx_wscast_redis_publisher_ready(void *ctx);
static ngx_int_t ngx_wscast_redis_publisher_reply(void *ctx,
    redisReply *reply);
static void ngx_wscast_redis_publisher_lost(void *ctx);
static void ngx_wscast_redis_publisher_writable(void *ctx);
static ngx_int_t ngx_wscast_redis_publisher_probe(void *ctx);
static void ngx_wscast_redis_probed(ngx_wscast_call_t *call,
    redisReply *reply);
static void ngx_wscast_redis_answer(ngx_wscast_redis_t *redis,
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


ngx_int_t
ngx_wscast_redis_open(ngx_wscast_redis_t *redis, ngx_wscast_bus_conf_t *conf,
    ngx_wscast_local_t *local, ngx_log_t *log,
    const ngx_wscast_redis_handler_t *handler, void *ctx)
{
    ngx_memzero(redis, sizeof(ngx_wscast_redis_t));

    redis->conf = conf;
    redis->local = local;
    redis->log = log;
    redis->handler = handler;
    redis->ctx = ctx;

    /* channel names are at most 65535 bytes: the ring's records say so */

    redis->name = ngx_alloc(conf->redis_prefix.len + 65536, log);
    if (redis->name == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(redis->name, conf->redis_prefix.data, conf->redis_prefix.len);

    wscast_list_init(&redis->receipts);
    wscast_list_init(&redis->calls);
    wscast_list_init(&redis->probe.link);
    redis->probe.done = ngx_wscast_redis_probed;

    ngx_wscast_redis_handover_init(redis);
    wscast_map_init(&redis->channels, local->ring.sh->seed);

    ngx_wscast_redis_link_init(&redis->publisher, conf, "publisher",
                               &ngx_wscast_redis_publisher, redis, log);
    ngx_wscast_redis_link_init(&redis->subscriber, conf, "subscriber",
                               &ngx_wscast_redis_subscriber, redis, log);

    ngx_wscast_redis_link_open(&redis->publisher, local->counters);

    return NGX_OK;
}


void
ngx_wscast_redis_close(ngx_wscast_redis_t *redis)
{
    ngx_wscast_redis_follow(redis);
    ngx_wscast_redis_link_close(&redis->publisher);
    ngx_wscast_redis_publisher_lost(redis);

    wscast_map_done(&redis->channels);
    ngx_free(redis->name);
    redis->name = NULL;
}


wscast_status_t
ngx_wscast_redis_publish(ngx_wscast_redis_t *redis, wscast_str_t channel,
    wscast_str_t bytes, wscast_receipt_t *receipt)
{
    size_t        lens[3];
    const char   *argv[3];
    wscast_str_t  name;

    /* what this host could not receive, its own clients would miss */

    if (!ngx_wscast_redis_link_ready(&redis->publisher)
        || !redis->local->ring.sh->redis_up)
    {
        return WSCAST_CLOSE_AWAY;
    }

    name = ngx_wscast_redis_name(redis, channel);

    argv[0] = "PUBLISH";
    lens[0] = 7;
    argv[1] = (const char *) name.data;
    lens[1] = name.len;
    argv[2] = (const char *) bytes.data;
    lens[2] = bytes.len;

    switch (ngx_wscast_redis_send(redis, receipt, 3, argv, lens, 0)) {

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
ngx_wscast_redis_send(ngx_wscast_redis_t *redis, wscast_receipt_t *receipt,
    int argc, const char **argv, const size_t *lens, ngx_uint_t force)
{
    ngx_int_t  rc;

    rc = ngx_wscast_redis_link_command(&redis->publisher, argc, argv, lens,
                                       force);
    if (rc == NGX_OK) {
        redis->sent++;
        wscast_list_append(&redis->receipts, &receipt->link);
    }

    return rc;
}


ngx_int_t
ngx_wscast_redis_call(ngx_wscast_redis_t *redis, ngx_wscast_call_t *call,
    int argc, const char **argv, const size_t *lens, ngx_uint_t force)
{
    ngx_int_t  rc;

    if (!ngx_wscast_redis_link_ready(&redis->publisher)) {
        return NGX_DECLINED;
    }

    rc = ngx_wscast_redis_link_command(&redis->publisher, argc, argv, lens,
                                       force);
    if (rc == NGX_OK) {
        call->number = ++redis->sent;
        wscast_list_append(&redis->calls, &call->link);
    }

    return rc;
}


static void
ngx_wscast_redis_publisher_ready(void *ctx)
{
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    redis->handler->reachable(redis->ctx);
    redis->handler->writable(redis->ctx);
}


static void
ngx_wscast_redis_publisher_writable(void *ctx)
{
    ngx_wscast_redis_t  *redis;

    redis = ctx;
    redis->handler->writable(redis->ctx);
}


static ngx_int_t
ngx_wscast_redis_publisher_probe(void *ctx)
{
    size_t               len;
    const char          *ping;
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    /* one that has not been answered yet will do */

    if (!wscast_list_empty(&redis->probe.link)) {
        return NGX_OK;
    }

    ping = redis->conf->redis_master.len ? "ROLE" : "PING";
    len = 4;

    return ngx_wscast_redis_call(redis, &redis->probe, 1, &ping, &len, 1);
}


static void
ngx_wscast_redis_probed(ngx_wscast_call_t *call, redisReply *reply)
{
    ngx_wscast_redis_t  *redis;

    redis = wscast_container(call, ngx_wscast_redis_t, probe);

    /* of PING, that it came is all there is to know */

    if (reply == NULL || redis->conf->redis_master.len == 0
        || ngx_wscast_redis_is_master(reply))
    {
        return;
    }

    /* the subscriber cannot ask, but has found the same server */

    ngx_wscast_redis_link_break(&redis->publisher, "is no master any more");
    ngx_wscast_redis_link_break(&redis->subscriber, "is no master any more");
}


static ngx_int_t
ngx_wscast_redis_publisher_reply(void *ctx, redisReply *reply)
{
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    if (wscast_list_empty(&redis->receipts)
        && wscast_list_empty(&redis->calls))
    {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: redis sent a reply to nothing");
        return NGX_OK;
    }

    ngx_wscast_redis_answer(redis, reply);

    return NGX_OK;
}


/* Ends the oldest command; reply NULL: it is not answered any more. */

static void
ngx_wscast_redis_answer(ngx_wscast_redis_t *redis, redisReply *reply)
{
    wscast_receipt_t   *receipt;
    ngx_wscast_call_t  *call;

    redis->answered++;

    if (!wscast_list_empty(&redis->calls)) {
        call = wscast_list_first(&redis->calls, ngx_wscast_call_t, link);

        if (call->number == redis->answered) {
            wscast_list_remove(&call->link);
            call->done(call, reply);
            return;
        }
    }

    receipt = wscast_list_first(&redis->receipts, wscast_receipt_t, link);
    wscast_list_remove(&receipt->link);

    ngx_wscast_redis_published(redis, receipt, reply);
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

    if (receipt != &redis->marker) {
        redis->local->counters[status == WSCAST_OK
                               ? WSCAST_COUNT_PUBLISHED
                               : WSCAST_COUNT_PUBLISH_FAILED]++;
    }

    receipt->done(receipt, status);
}


static void
ngx_wscast_redis_publisher_lost(void *ctx)
{
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    while (!wscast_list_empty(&redis->receipts)
           || !wscast_list_empty(&redis->calls))
    {
        ngx_wscast_redis_answer(redis, NULL);
    }

    redis->sent = 0;
    redis->answered = 0;

    /* who waits for room must learn that there is nobody to wait for */

    redis->handler->writable(redis->ctx);
}


wscast_str_t
ngx_wscast_redis_name(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    ngx_memcpy(redis->name + redis->conf->redis_prefix.len, channel.data,
               channel.len);

    return wscast_str(redis->name,
                      redis->conf->redis_prefix.len + channel.len);
}
