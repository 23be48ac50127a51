#include "redis.h"


static ngx_int_t ngx_wscast_redis_publisher_reply(void *ctx,
    redisReply *reply);
static void ngx_wscast_redis_publisher_lost(void *ctx);
static void ngx_wscast_redis_publisher_writable(void *ctx);


static const ngx_wscast_redis_link_handler_t  ngx_wscast_redis_publisher = {
    ngx_wscast_redis_publisher_writable,        /* ready: the same */
    ngx_wscast_redis_publisher_reply,
    ngx_wscast_redis_publisher_lost,
    ngx_wscast_redis_publisher_writable
};


ngx_int_t
ngx_wscast_redis_open(ngx_wscast_redis_t *redis, ngx_wscast_bus_conf_t *conf,
    ngx_wscast_local_t *local, ngx_log_t *log, void (*writable)(void *ctx),
    ngx_uint_t (*pass)(void *ctx, uint64_t epoch),
    void (*resigned)(void *ctx), void *ctx)
{
    ngx_memzero(redis, sizeof(ngx_wscast_redis_t));

    redis->conf = conf;
    redis->local = local;
    redis->log = log;
    redis->writable = writable;
    redis->pass = pass;
    redis->resigned = resigned;
    redis->ctx = ctx;

    /* channel names are at most 65535 bytes: the ring's records say so */

    redis->name = ngx_alloc(conf->redis_prefix.len + 65536, log);
    if (redis->name == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(redis->name, conf->redis_prefix.data, conf->redis_prefix.len);

    wscast_list_init(&redis->receipts);
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

    switch (ngx_wscast_redis_link_command(&redis->publisher, 3, argv, lens, 0))
    {
    case NGX_OK:
        wscast_list_append(&redis->receipts, &receipt->link);
        return WSCAST_MORE;

    case NGX_AGAIN:
        return WSCAST_AGAIN;

    case NGX_DECLINED:
        return WSCAST_CLOSE_AWAY;

    default:
        return WSCAST_CLOSE_NO_MEMORY;
    }
}


static void
ngx_wscast_redis_publisher_writable(void *ctx)
{
    ngx_wscast_redis_t  *redis;

    redis = ctx;
    redis->writable(redis->ctx);
}


static ngx_int_t
ngx_wscast_redis_publisher_reply(void *ctx, redisReply *reply)
{
    wscast_status_t      status;
    wscast_receipt_t    *receipt;
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    if (reply->type == REDIS_REPLY_STATUS) {
        return NGX_OK;                              /* of a probe */
    }

    if (wscast_list_empty(&redis->receipts)) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "wscast: redis sent a reply to nothing");
        return NGX_OK;
    }

    receipt = wscast_list_first(&redis->receipts, wscast_receipt_t, link);
    wscast_list_remove(&receipt->link);

    status = WSCAST_OK;

    if (reply->type != REDIS_REPLY_INTEGER) {
        status = WSCAST_CLOSE_AWAY;

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

    return NGX_OK;
}


static void
ngx_wscast_redis_publisher_lost(void *ctx)
{
    wscast_receipt_t    *receipt;
    ngx_wscast_redis_t  *redis;

    redis = ctx;

    while (!wscast_list_empty(&redis->receipts)) {
        receipt = wscast_list_first(&redis->receipts, wscast_receipt_t, link);
        wscast_list_remove(&receipt->link);

        if (receipt != &redis->marker) {
            redis->local->counters[WSCAST_COUNT_PUBLISH_FAILED]++;
        }

        receipt->done(receipt, WSCAST_CLOSE_AWAY);
    }

    /* who waits for room must learn that there is nobody to wait for */

    redis->writable(redis->ctx);
}


wscast_str_t
ngx_wscast_redis_name(ngx_wscast_redis_t *redis, wscast_str_t channel)
{
    ngx_memcpy(redis->name + redis->conf->redis_prefix.len, channel.data,
               channel.len);

    return wscast_str(redis->name,
                      redis->conf->redis_prefix.len + channel.len);
}
