/*
 * redis_link.h: one connection to Redis: connect, TLS, AUTH, ROLE, SELECT, then
 * commands and replies; backoff and probing.  Before that, on a connection of
 * its own: connect, TLS, AUTH, ask a sentinel where it is.
 *
 * Audience: redis.c.  nginx owns the socket and the timers, hiredis reads and
 * formats RESP.  Nothing here blocks.
 *
 * A link is connecting, ready, or waiting to connect again; failing is normal
 * and ends in lost().  Handlers may call anything here but _close().
 */

#ifndef NGX_WSCAST_REDIS_LINK_H
#define NGX_WSCAST_REDIS_LINK_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include <hiredis/hiredis.h>

#include "bus.h"


/* Commands that Redis has not taken yet; over it a publish must wait. */
#define NGX_WSCAST_REDIS_OUT     (16 * 1024 * 1024)     /* bytes */

/* What one reply may gather before it is complete. */
#define NGX_WSCAST_REDIS_REPLY   (512 * 1024 * 1024)    /* bytes, as RESP's */

/* What is told of a failure of TLS. */
#define NGX_WSCAST_LINK_REASON   256                    /* bytes */


typedef struct {
    /* authenticated and on its database */
    void                (*ready)(void *ctx);

    /*
     * A reply or push.  NGX_AGAIN: not now, it is given once more after
     * ngx_wscast_redis_link_resume(), and nothing else is read till then.
     */
    ngx_int_t           (*reply)(void *ctx, redisReply *reply);

    /* it was, or was to become, ready and is not any more */
    void                (*lost)(void *ctx);

    /* less than half of NGX_WSCAST_REDIS_OUT waits again */
    void                (*writable)(void *ctx);

    /*
     * Nothing was heard for a while: something is to be sent that will be
     * answered, unless an answer is due anyway.  NGX_OK; else it fails.
     */
    ngx_int_t           (*probe)(void *ctx);
} ngx_wscast_redis_link_handler_t;


/* Named by what is awaited. */

typedef enum {
    NGX_WSCAST_LINK_STOPPED = 0,
    NGX_WSCAST_LINK_BACKOFF,
    NGX_WSCAST_LINK_CONNECT,
    NGX_WSCAST_LINK_HANDSHAKE,
    NGX_WSCAST_LINK_AUTH,
    NGX_WSCAST_LINK_SENTINEL,
    NGX_WSCAST_LINK_ROLE,
    NGX_WSCAST_LINK_SELECT,
    NGX_WSCAST_LINK_READY
} ngx_wscast_link_e;


/* Who has found the server that is next, or is connected. */

typedef enum {
    NGX_WSCAST_FOUND_LISTED = 0,    /* it is of the configuration, in turn */
    NGX_WSCAST_FOUND_SENTINEL,      /* a sentinel, for one connection */
    NGX_WSCAST_FOUND_GIVEN          /* the owner: _at(), for all to come */
} ngx_wscast_found_e;


typedef struct {
    ngx_wscast_bus_conf_t                   *conf;
    const ngx_wscast_redis_link_handler_t   *handler;
    void                                    *ctx;
    const char                              *name;      /* for the log */
    ngx_log_t                               *log;
    uint64_t                                *counters;

    ngx_log_t                                tls_log;   /* of redis_tls.c */
    u_char                                   reason[NGX_WSCAST_LINK_REASON];

    ngx_wscast_link_e                        state;
    ngx_wscast_found_e                       found;
    ngx_peer_connection_t                    peer;
    ngx_event_t                              timer;
    redisReader                             *reader;
    redisReply                              *held;      /* answered NGX_AGAIN */

    u_char                                  *out;
    size_t                                   out_pos;
    size_t                                   out_len;
    size_t                                   out_size;

    ngx_uint_t                               address;   /* tried last */
    ngx_sockaddr_t                           master;    /* if not listed */
    socklen_t                                master_len;
    ngx_str_t                                master_name;
    u_char                                   master_text[NGX_SOCKADDR_STRLEN];
    ngx_uint_t                               asked;     /* sentinels, since one
                                                           has answered */
    ngx_uint_t                               failures;  /* since it was ready */

    unsigned                                 heard:1;   /* since last probed */
    unsigned                                 probing:1;
    unsigned                                 full:1;    /* writable() is owed */
    unsigned                                 told:1;    /* failure is logged */
    unsigned                                 refused:1; /* so is an answer */
} ngx_wscast_redis_link_t;


void ngx_wscast_redis_link_init(ngx_wscast_redis_link_t *link,
    ngx_wscast_bus_conf_t *conf, const char *name,
    const ngx_wscast_redis_link_handler_t *handler, void *ctx,
    ngx_log_t *log);

/*
 * From the next attempt on it connects to this server; NULL: to the addresses
 * of the configuration, in turn.
 */
void ngx_wscast_redis_link_at(ngx_wscast_redis_link_t *link,
    const ngx_sockaddr_t *sockaddr, socklen_t socklen);

/* Begins to connect, and goes on doing so until _close(). */
void ngx_wscast_redis_link_open(ngx_wscast_redis_link_t *link,
    uint64_t *counters);

/* Ends it without calling anything. */
void ngx_wscast_redis_link_close(ngx_wscast_redis_link_t *link);

#define ngx_wscast_redis_link_ready(link)                                     \
    ((link)->state == NGX_WSCAST_LINK_READY)

/* 1 if it has not been ready yet, nor has it failed: that is waited for. */
#define ngx_wscast_redis_link_fresh(link)                                     \
    ((link)->failures == 0 && (link)->state != NGX_WSCAST_LINK_READY          \
     && (link)->state != NGX_WSCAST_LINK_STOPPED)

/* Something is wrong with it: it fails, and is connected anew. */
void ngx_wscast_redis_link_break(ngx_wscast_redis_link_t *link,
    const char *what);

/* 1 if this reply to ROLE is that of a master. */
ngx_uint_t ngx_wscast_redis_is_master(redisReply *reply);

/* 1 if both are ready, and not with the same server. */
ngx_uint_t ngx_wscast_redis_link_differ(ngx_wscast_redis_link_t *a,
    ngx_wscast_redis_link_t *b);

/*
 * Queues a command.  NGX_OK; NGX_AGAIN: too much is queued (unless force);
 * NGX_DECLINED: not ready; NGX_ERROR: no memory.
 */
ngx_int_t ngx_wscast_redis_link_command(ngx_wscast_redis_link_t *link,
    int argc, const char **argv, const size_t *lens, ngx_uint_t force);

/* The same with a command that redisFormatCommandArgv() has made. */
ngx_int_t ngx_wscast_redis_link_send(ngx_wscast_redis_link_t *link,
    const char *bytes, size_t len, ngx_uint_t force);

/* NGX_OK; NGX_ERROR: not an address but a name, or nothing of the kind. */
ngx_int_t ngx_wscast_redis_address(const char *host, size_t len,
    in_port_t port, ngx_sockaddr_t *sockaddr, socklen_t *socklen);

/* Goes on after a reply was answered NGX_AGAIN. */
void ngx_wscast_redis_link_resume(ngx_wscast_redis_link_t *link);


#endif /* NGX_WSCAST_REDIS_LINK_H */
