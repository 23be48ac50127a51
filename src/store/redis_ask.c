#include "redis_remote.h"

#include <hiredis/hiredis.h>


static u_char *ngx_wscast_ask_room(ngx_wscast_ask_t *ask, size_t len);
static void ngx_wscast_ask_trim(ngx_wscast_ask_t *ask, u_char *last);
static wscast_str_t ngx_wscast_ask_sharded(wscast_str_t text);
static ngx_int_t ngx_wscast_ask_submit(ngx_wscast_ask_t *ask,
    ngx_uint_t force);
static void ngx_wscast_ask_done(ngx_wscast_call_t *call, redisReply *reply);
static void ngx_wscast_ask_end(ngx_wscast_ask_t *ask, redisReply *reply);
static void ngx_wscast_ask_again(ngx_wscast_remote_t *remote);
static void ngx_wscast_ask_loaded(ngx_wscast_ask_t *ask, redisReply *reply);
static ngx_uint_t ngx_wscast_ask_complain(ngx_wscast_remote_t *remote);
static void ngx_wscast_ask_free(ngx_wscast_ask_t *ask);


ngx_wscast_ask_t *
ngx_wscast_ask(ngx_wscast_remote_t *remote, ngx_wscast_script_e script,
    ngx_wscast_answer_pt answer, void *data)
{
    ngx_wscast_ask_t  *ask;

    ask = ngx_calloc(sizeof(ngx_wscast_ask_t), remote->log);
    if (ask == NULL) {
        return NULL;
    }

    wscast_list_init(&ask->link);

    ask->call.done = ngx_wscast_ask_done;
    ask->remote = remote;
    ask->script = script;
    ask->answer = answer;
    ask->data = data;

    return ask;
}


void
ngx_wscast_ask_key(ngx_wscast_ask_t *ask, wscast_str_t channel,
    const char *suffix, wscast_str_t rest)
{
    size_t                  len;
    u_char                 *p;
    ngx_wscast_bus_conf_t  *conf;

    conf = ask->remote->store->conf;
    len = ngx_strlen(suffix);

    p = ngx_wscast_ask_room(ask, conf->redis_prefix.len
                                 + NGX_WSCAST_BUS_NAMED(channel.len) + 2 + len
                                 + rest.len);
    if (p == NULL) {
        return;
    }

    /* in braces: what Cluster chooses a slot by */

    *p++ = '{';
    p = ngx_cpymem(p, conf->redis_prefix.data, conf->redis_prefix.len);
    p = ngx_wscast_bus_name(conf, p, channel);
    *p++ = '}';
    p = ngx_cpymem(p, suffix, len);

    if (rest.len) {
        p = ngx_cpymem(p, rest.data, rest.len);
    }

    ngx_wscast_ask_trim(ask, p);
    ask->nkeys++;
}


void
ngx_wscast_ask_name(ngx_wscast_ask_t *ask, wscast_str_t channel)
{
    u_char                 *p;
    ngx_wscast_bus_conf_t  *conf;

    conf = ask->remote->store->conf;

    p = ngx_wscast_ask_room(ask, conf->redis_prefix.len
                                 + NGX_WSCAST_BUS_NAMED(channel.len));

    if (p) {
        p = ngx_cpymem(p, conf->redis_prefix.data, conf->redis_prefix.len);
        p = ngx_wscast_bus_name(conf, p, channel);

        ngx_wscast_ask_trim(ask, p);
    }
}


void
ngx_wscast_ask_word(ngx_wscast_ask_t *ask, wscast_str_t word)
{
    u_char  *p;

    p = ngx_wscast_ask_room(ask, word.len);

    if (p && word.len) {
        ngx_memcpy(p, word.data, word.len);
    }
}


void
ngx_wscast_ask_number(ngx_wscast_ask_t *ask, uint64_t n)
{
    u_char  *p, buf[NGX_INT64_LEN];

    p = ngx_sprintf(buf, "%uL", n);
    ngx_wscast_ask_word(ask, wscast_str(buf, p - buf));
}


void
ngx_wscast_ask_epoch(ngx_wscast_ask_t *ask, uint64_t epoch)
{
    u_char  buf[16];

    (void) ngx_sprintf(buf, "%016xL", epoch);
    ngx_wscast_ask_word(ask, wscast_str(buf, 16));
}


wscast_str_t
ngx_wscast_ask_at(ngx_wscast_ask_t *ask, ngx_uint_t i)
{
    size_t  at;

    at = i ? ask->ends[i - 1] : 0;

    return wscast_str(ask->buf + at, ask->ends[i] - at);
}


/* Room for one word more. */

static u_char *
ngx_wscast_ask_room(ngx_wscast_ask_t *ask, size_t len)
{
    size_t   size;
    u_char  *p;

    if (ask->failed || ask->nwords == NGX_WSCAST_ASK_WORDS) {
        ask->failed = 1;
        return NULL;
    }

    if (ask->buf == NULL || ask->len + len > ask->size) {
        size = 2 * (ask->len + len) + 256;

        p = wscast_realloc(ask->buf, size);
        if (p == NULL) {
            ask->failed = 1;
            return NULL;
        }

        ask->buf = p;
        ask->size = size;
    }

    p = ask->buf + ask->len;

    ask->len += len;
    ask->ends[ask->nwords++] = ask->len;

    return p;
}


/* The last word is shorter than it might have been. */

static void
ngx_wscast_ask_trim(ngx_wscast_ask_t *ask, u_char *last)
{
    ask->len = last - ask->buf;
    ask->ends[ask->nwords - 1] = ask->len;
}


/*
 * While Redis is being given its scripts again, what is new has to wait: the
 * publishes of a worker keep their order.
 */

ngx_int_t
ngx_wscast_ask_send(ngx_wscast_ask_t *ask, ngx_uint_t force)
{
    ngx_int_t             rc;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;

    if (ask->failed) {
        rc = NGX_ERROR;

    } else if (remote->closing) {
        rc = NGX_DECLINED;

    } else if (!remote->reloading) {
        rc = ngx_wscast_ask_submit(ask, force);

    } else if (remote->waiting_len > NGX_WSCAST_ASK_WAITING) {
        rc = NGX_DECLINED;

    } else {
        remote->waiting_len += ask->len;
        wscast_list_append(&remote->waiting, &ask->link);
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        ngx_wscast_ask_free(ask);
    }

    return rc;
}


static ngx_int_t
ngx_wscast_ask_submit(ngx_wscast_ask_t *ask, ngx_uint_t force)
{
    int                   argc;
    size_t                at, lens[NGX_WSCAST_ASK_WORDS + 3];
    u_char                nkeys[NGX_INT_T_LEN];
    ngx_int_t             rc;
    ngx_uint_t            i;
    const char           *argv[NGX_WSCAST_ASK_WORDS + 3];
    wscast_str_t          key, text, sharded;
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;
    text = ngx_wscast_script(ask->script);
    sharded = wscast_str(NULL, 0);
    key = ask->nkeys ? ngx_wscast_ask_at(ask, 0) : wscast_str(NULL, 0);

    if ((ask->load || !remote->known[ask->script])
        && ngx_wscast_bus_sharded(remote->store->bus))
    {
        sharded = ngx_wscast_ask_sharded(text);

        if (sharded.data == NULL) {
            return NGX_ERROR;
        }

        text = sharded;
    }

    if (ask->load) {
        argv[0] = "SCRIPT";
        argv[1] = "LOAD";
        argv[2] = (const char *) text.data;
        lens[0] = 6;
        lens[1] = 4;
        lens[2] = text.len;

    } else {
        argv[0] = remote->known[ask->script] ? "EVALSHA" : "EVAL";
        lens[0] = ngx_strlen(argv[0]);
        argv[1] = (const char *) (remote->known[ask->script]
                                  ? remote->sha[ask->script] : text.data);
        lens[1] = remote->known[ask->script] ? 40 : text.len;
        argv[2] = (const char *) nkeys;
        lens[2] = ngx_sprintf(nkeys, "%ui", ask->nkeys) - nkeys;
    }

    argc = 3;
    at = 0;

    for (i = 0; i < ask->nwords; i++) {
        argv[argc] = (const char *) ask->buf + at;
        lens[argc++] = ask->ends[i] - at;
        at = ask->ends[i];
    }

    rc = ngx_wscast_bus_call(remote->store->bus, &ask->call, key, argc, argv,
                             lens, force);

    wscast_free((void *) sharded.data);

    if (rc == NGX_OK) {
        wscast_list_append(&remote->asks, &ask->link);
    }

    return rc;
}


/* A script for servers where a channel is with the owner of its slot. */

static wscast_str_t
ngx_wscast_ask_sharded(wscast_str_t text)
{
    size_t   i;
    u_char  *p, *buf;

    static const char  word[] = "'PUBLISH'";

    buf = wscast_alloc(2 * text.len);
    if (buf == NULL) {
        return wscast_str(NULL, 0);
    }

    p = buf;

    for (i = 0; i < text.len; i++) {
        *p++ = text.data[i];

        if (text.len - i >= sizeof(word) - 1
            && ngx_memcmp(text.data + i, word, sizeof(word) - 1) == 0)
        {
            *p++ = 'S';
        }
    }

    return wscast_str(buf, p - buf);
}


static void
ngx_wscast_ask_done(ngx_wscast_call_t *call, redisReply *reply)
{
    ngx_wscast_ask_t     *ask;
    ngx_wscast_remote_t  *remote;

    ask = wscast_container(call, ngx_wscast_ask_t, call);
    remote = ask->remote;

    if (remote == NULL) {
        ngx_wscast_ask_free(ask);
        return;
    }

    wscast_list_remove(&ask->link);

    if (reply && reply->type == REDIS_REPLY_ERROR && !ask->retried
        && reply->len >= 8 && ngx_memcmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        ask->retried = 1;
        remote->known[ask->script] = 0;
        remote->reloading = 1;
        wscast_list_append(&remote->held, &ask->link);

    } else {
        ngx_wscast_ask_end(ask, reply);
    }

    if (remote->reloading && wscast_list_empty(&remote->asks)) {
        ngx_wscast_ask_again(remote);
    }
}


static void
ngx_wscast_ask_end(ngx_wscast_ask_t *ask, redisReply *reply)
{
    ngx_wscast_remote_t  *remote;

    remote = ask->remote;

    if (reply && reply->type == REDIS_REPLY_ERROR) {

        if (ngx_wscast_ask_complain(remote)) {
            ngx_log_error(NGX_LOG_ERR, remote->log, 0,
                          "wscast: redis refused a script: \"%*s\"",
                          (size_t) reply->len, reply->str);
        }

        reply = NULL;
    }

    ask->answer(ask, reply);
    ngx_wscast_ask_free(ask);
}


/* All that Redis was asked before it forgot its scripts has been answered. */

static void
ngx_wscast_ask_again(ngx_wscast_remote_t *remote)
{
    wscast_list_t      list, *l, *tmp;
    ngx_wscast_ask_t  *ask;

    remote->reloading = 0;
    remote->waiting_len = 0;

    wscast_list_init(&list);

    wscast_list_each(l, tmp, &remote->held) {
        wscast_list_remove(l);
        wscast_list_append(&list, l);
    }

    wscast_list_each(l, tmp, &remote->waiting) {
        wscast_list_remove(l);
        wscast_list_append(&list, l);
    }

    ngx_wscast_ask_load(remote);

    while (!wscast_list_empty(&list)) {
        ask = wscast_list_first(&list, ngx_wscast_ask_t, link);
        wscast_list_remove(&ask->link);

        if (ngx_wscast_ask_submit(ask, 1) != NGX_OK) {
            ngx_wscast_ask_end(ask, NULL);
        }
    }
}


void
ngx_wscast_ask_load(ngx_wscast_remote_t *remote)
{
    ngx_uint_t         i;
    ngx_wscast_ask_t  *ask;

    for (i = 0; i < NGX_WSCAST_SCRIPTS; i++) {

        remote->known[i] = 0;

        ask = ngx_wscast_ask(remote, i, ngx_wscast_ask_loaded, NULL);
        if (ask == NULL) {
            return;                     /* then each EVAL carries its text */
        }

        ask->load = 1;

        if (ngx_wscast_ask_send(ask, 1) != NGX_OK) {
            return;
        }
    }
}


static void
ngx_wscast_ask_loaded(ngx_wscast_ask_t *ask, redisReply *reply)
{
    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len != 40) {
        ngx_wscast_reply_malformed(ask);
        return;
    }

    ngx_memcpy(ask->remote->sha[ask->script], reply->str, 40);
    ask->remote->known[ask->script] = 1;
}


void
ngx_wscast_ask_ignore(ngx_wscast_ask_t *ask, redisReply *reply)
{
    /* a failure here is mended by the lease, or by the next poll */
}


void
ngx_wscast_ask_close(ngx_wscast_remote_t *remote)
{
    ngx_uint_t         i;
    wscast_list_t     *list;
    ngx_wscast_ask_t  *ask;

    remote->closing = 1;

    for (i = 0; i < 3; i++) {
        list = i == 0 ? &remote->asks
                      : i == 1 ? &remote->held : &remote->waiting;

        while (!wscast_list_empty(list)) {
            ask = wscast_list_first(list, ngx_wscast_ask_t, link);
            wscast_list_remove(&ask->link);

            ask->answer(ask, NULL);

            if (i) {
                ngx_wscast_ask_free(ask);

            } else {
                ask->remote = NULL;     /* the bus still has it */
            }
        }
    }
}


/* 1 if a complaint may be logged: once a second. */

static ngx_uint_t
ngx_wscast_ask_complain(ngx_wscast_remote_t *remote)
{
    if (remote->complained == ngx_time()) {
        return 0;
    }

    remote->complained = ngx_time();

    return 1;
}


static void
ngx_wscast_ask_free(ngx_wscast_ask_t *ask)
{
    wscast_free(ask->where);
    wscast_free(ask->buf);
    ngx_free(ask);
}


void
ngx_wscast_reply_malformed(ngx_wscast_ask_t *ask)
{
    if (ngx_wscast_ask_complain(ask->remote)) {
        ngx_log_error(NGX_LOG_ERR, ask->remote->log, 0,
                      "wscast: redis gave a malformed answer to script %ui",
                      (ngx_uint_t) ask->script);
    }
}
