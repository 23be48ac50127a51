/*
 * redis_case.h: the room's talk with Redis, without a Redis: what would be sent
 * is noted, replies are made by hand, and so is what is put into the ring.
 *
 * Audience: t/bus/redis_*.c.  begin() makes a worker of slot 0 with both
 * connections ready; over() closes it and checks that nothing is left.
 */

#ifndef WSCAST_T_REDIS_CASE_H
#define WSCAST_T_REDIS_CASE_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/bus/redis.c"
#include "../../src/bus/redis_gate.c"
#include "../../src/bus/redis_handover.c"
#include "../../src/bus/redis_name.c"
#include "../../src/bus/redis_node.c"
#include "../../src/bus/redis_subscribe.c"
#include "../../src/bus/redis_subscriber.c"
#include "../../src/bus/ring_leader.c"

#include <stdio.h>
#include <stdlib.h>


#define NOTES  65536


ngx_queue_t  ngx_posted_events;


static ngx_wscast_redis_t      redis;
static ngx_wscast_bus_conf_t   conf;
static ngx_wscast_local_t      local;
static wscast_ring_sh_t        sh;
static ngx_log_t               quiet;
static uint64_t                counters[WSCAST_COUNTERS];

static ngx_int_t               link_says;       /* to the next commands */
static wscast_status_t         ring_says;       /* to the next appends */
static ngx_int_t               store_says;      /* to arrived(), confirmed() */
static wscast_slotset_t        listening;       /* to each channel */
static char                    notes[NOTES];    /* what has happened */


TAP_PRINTF(1, 2) static void
happens(const char *fmt, ...)
{
    size_t   len;
    va_list  args;

    len = strlen(notes);

    va_start(args, fmt);
    vsnprintf(notes + len, sizeof(notes) - len, fmt, args);
    va_end(args);
}


/* What has happened since the last time. */

static const char *
story(void)
{
    static char  told[NOTES];

    strcpy(told, notes);
    notes[0] = '\0';

    return told;
}


void
wscast_ring_listeners(const wscast_ring_t *r, wscast_str_t channel,
    wscast_slotset_t *slots)
{
    *slots = listening;
}


uint64_t
ngx_wscast_now(void)
{
    return 1700000000500;
}


/* nginx */


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) log;
    (void) err;
    (void) fmt;

    happens("log%u ", (unsigned) level);
}


/* Of nginx's formats the two that the handover uses. */

u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    va_list             args;
    unsigned long long  n;

    va_start(args, fmt);
    n = va_arg(args, uint64_t);
    va_end(args);

    return buf + sprintf((char *) buf,
                         fmt[0] == '\1' ? "\1host:%016llx" : "%llu", n);
}


/* The links */


void
ngx_wscast_redis_link_init(ngx_wscast_redis_link_t *link,
    ngx_wscast_bus_conf_t *c, const char *name,
    const ngx_wscast_redis_link_handler_t *handler, void *ctx, ngx_log_t *log)
{
    memset(link, 0, sizeof(ngx_wscast_redis_link_t));
    link->conf = c;
    link->name = name;
    link->handler = handler;
    link->ctx = ctx;
    link->log = log;
}


void
ngx_wscast_redis_link_open(ngx_wscast_redis_link_t *link, uint64_t *c)
{
    link->counters = c;
    link->state = NGX_WSCAST_LINK_READY;
}


void
ngx_wscast_redis_link_close(ngx_wscast_redis_link_t *link)
{
    link->state = NGX_WSCAST_LINK_STOPPED;
}


void
ngx_wscast_redis_link_break(ngx_wscast_redis_link_t *link, const char *what)
{
    happens("break(%s) ", link->name);
}


ngx_uint_t
ngx_wscast_redis_is_master(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY;
}


ngx_uint_t
ngx_wscast_redis_link_differ(ngx_wscast_redis_link_t *a,
    ngx_wscast_redis_link_t *b)
{
    return 0;
}


void
ngx_wscast_redis_link_resume(ngx_wscast_redis_link_t *link)
{
    happens("resume:%s ", link->name);
}


/* A connection breaks. */

TAP_UNUSED static void
lose(ngx_wscast_redis_link_t *link)
{
    link->state = NGX_WSCAST_LINK_BACKOFF;
    link->failures++;
    link->handler->lost(link->ctx);
}


TAP_UNUSED static void
regain(ngx_wscast_redis_link_t *link)
{
    link->state = NGX_WSCAST_LINK_READY;
    link->failures = 0;
    link->handler->ready(link->ctx);
}


ngx_int_t
ngx_wscast_redis_link_command(ngx_wscast_redis_link_t *link, int argc,
    const char **argv, const size_t *lens, ngx_uint_t force)
{
    int  i;

    if (link->state != NGX_WSCAST_LINK_READY) {
        return NGX_DECLINED;
    }

    if (link_says != NGX_OK && !force) {
        return link_says;
    }

    for (i = 0; i < argc; i++) {
        happens("%s%.*s", i ? "_" : "", (int) lens[i], argv[i]);
    }

    happens(" ");

    return NGX_OK;
}


/* A command as it is sent: its words are told again. */

ngx_int_t
ngx_wscast_redis_link_send(ngx_wscast_redis_link_t *link, const char *bytes,
    size_t len, ngx_uint_t force)
{
    int          i, argc;
    char        *p;
    size_t       lens[16];
    const char  *argv[16];

    argc = (int) strtol(bytes + 1, &p, 10);

    for (i = 0; i < argc; i++) {
        lens[i] = strtoul(p + 3, &p, 10);
        argv[i] = p + 2;
        p += 2 + lens[i];
    }

    ok(p + 2 == bytes + len, "a command is as long as it says");

    return ngx_wscast_redis_link_command(link, argc, argv, lens, force);
}


/* There is one server: none of these is called. */


ngx_int_t
ngx_wscast_cluster_open(ngx_wscast_redis_t *r)
{
    abort();
}


void
ngx_wscast_cluster_close(ngx_wscast_redis_t *r)
{
    abort();
}


void
ngx_wscast_cluster_tick(ngx_wscast_cluster_t *cluster)
{
    abort();
}


void
ngx_wscast_cluster_doubt(ngx_wscast_cluster_t *cluster)
{
    abort();
}


void
ngx_wscast_cluster_ready(ngx_wscast_cluster_t *cluster)
{
    abort();
}


ngx_int_t
ngx_wscast_cluster_admits(ngx_wscast_cluster_t *cluster, ngx_uint_t slot)
{
    abort();
}


void
ngx_wscast_cluster_wait(ngx_wscast_cluster_t *cluster)
{
    abort();
}


int
ngx_wscast_guard_words(ngx_wscast_redis_t *r, const char **argv,
    size_t *lens)
{
    abort();
}


void
ngx_wscast_guard_load(ngx_wscast_redis_node_t *node)
{
    abort();
}


ngx_int_t
ngx_wscast_cluster_send(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    ngx_uint_t force)
{
    abort();
}


ngx_int_t
ngx_wscast_cluster_answered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_node_t *node, ngx_wscast_redis_command_t *cmd,
    redisReply *reply)
{
    abort();
}


void
ngx_wscast_cluster_unanswered(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_command_t *cmd)
{
    abort();
}


ngx_uint_t
ngx_wscast_cluster_moved(ngx_wscast_cluster_t *cluster,
    ngx_wscast_redis_link_t *from, redisReply *reply, ngx_uint_t *slot)
{
    abort();
}


void
ngx_wscast_redis_link_at(ngx_wscast_redis_link_t *link,
    const ngx_sockaddr_t *sockaddr, socklen_t socklen)
{
    abort();
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    abort();
}


/* The ring */


static void
hold(void *ctx)
{
    (void) ctx;
}


static uint64_t
now(void *ctx)
{
    (void) ctx;

    return 1000;
}


static void
put(const char *how, const wscast_record_t *rec)
{
    happens("%s:%u:%.*s", how, rec->kind, (int) rec->channel.len,
            (const char *) rec->channel.data);

    if (rec->to != WSCAST_NO_SLOT) {
        happens(">%u", rec->to);
    }

    happens(" ");
}


wscast_status_t
ngx_wscast_local_append(ngx_wscast_local_t *l, const wscast_record_t *rec,
    wscast_stamp_t *stamp, wscast_slotset_t *targets)
{
    (void) l;
    (void) stamp;
    (void) targets;

    if (ring_says == WSCAST_OK) {
        put("append", rec);
    }

    return ring_says;
}


void
ngx_wscast_local_send(ngx_wscast_local_t *l, const wscast_record_t *rec)
{
    (void) l;

    put("send", rec);
}


/* Above */


static void
on_writable(void *ctx)
{
    (void) ctx;

    happens("writable ");
}


static ngx_uint_t
on_pass(void *ctx, uint64_t epoch)
{
    (void) ctx;
    (void) epoch;

    return 1;
}


static void
on_resigned(void *ctx)
{
    (void) ctx;
}


static void
on_reachable(void *ctx)
{
    (void) ctx;

    happens("reachable ");
}


static ngx_int_t
on_arrived(void *ctx, wscast_str_t channel, wscast_str_t bytes)
{
    (void) ctx;

    happens("arrived:%.*s:%u ", (int) channel.len, (const char *) channel.data,
            (unsigned) bytes.len);

    return store_says;
}


static ngx_int_t
on_confirmed(void *ctx, wscast_str_t channel, ngx_uint_t missed)
{
    (void) ctx;

    happens("confirmed:%.*s:%u ", (int) channel.len,
            (const char *) channel.data, (unsigned) missed);

    return store_says;
}


static void
on_unsubscribed(void *ctx, const wscast_str_t *channel)
{
    (void) ctx;

    if (channel) {
        happens("unsubscribed:%.*s ", (int) channel->len,
                (const char *) channel->data);

    } else {
        happens("unsubscribed ");
    }
}


static const wscast_str_t  none;

static const ngx_wscast_redis_handler_t  above = {
    on_writable,
    on_pass,
    on_resigned,
    on_reachable,
    on_arrived,
    on_confirmed,
    on_unsubscribed
};


static void
begin(void)
{
    memset(&conf, 0, sizeof(conf));
    memset(&local, 0, sizeof(local));
    memset(&sh, 0, sizeof(sh));
    memset(counters, 0, sizeof(counters));

    ngx_queue_init(&ngx_posted_events);

    quiet.log_level = NGX_LOG_NOTICE;
    conf.redis_prefix.data = (u_char *) "p:";
    conf.redis_prefix.len = 2;

    sh.redis_up = 1;
    sh.id = 0xabc;
    local.ring.sh = &sh;
    local.ring.slot = 0;
    local.ring.lock = hold;
    local.ring.unlock = hold;
    local.ring.now = now;
    sh.leader = 1;
    local.counters = counters;

    link_says = NGX_OK;
    ring_says = WSCAST_OK;
    store_says = NGX_OK;

    if (ngx_wscast_redis_open(&redis, &conf, &local, &quiet, &above, NULL)
        != NGX_OK)
    {
        abort();
    }

    notes[0] = '\0';
}


static void
over(void)
{
    ngx_wscast_redis_close(&redis);
    notes[0] = '\0';

    is_int(unit_live, 0, "nothing is left over");
}


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


TAP_UNUSED static void
replies(ngx_wscast_redis_link_t *link, int type, const char *text,
    long long n)
{
    redisReply  reply;

    memset(&reply, 0, sizeof(reply));
    reply.type = type;
    reply.str = (char *) text;
    reply.len = text ? strlen(text) : 0;
    reply.integer = n;

    link->handler->reply(link->ctx, &reply);
}


#endif /* WSCAST_T_REDIS_CASE_H */
