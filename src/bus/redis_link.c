#include "redis_link.h"
#include "redis_link_inner.h"


static void ngx_wscast_link_connect(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_peer(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_step(ngx_wscast_redis_link_t *link);
static ngx_int_t ngx_wscast_link_auth(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_found(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_wrong(ngx_wscast_redis_link_t *link,
    redisReply *reply);
static void ngx_wscast_link_timer_handler(ngx_event_t *ev);
static void ngx_wscast_link_forget(ngx_wscast_redis_link_t *link);
static ngx_msec_t ngx_wscast_link_pause(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_drop(ngx_wscast_redis_link_t *link);


void
ngx_wscast_redis_link_init(ngx_wscast_redis_link_t *link,
    ngx_wscast_bus_conf_t *conf, const char *name,
    const ngx_wscast_redis_link_handler_t *handler, void *ctx,
    ngx_log_t *log)
{
    ngx_memzero(link, sizeof(ngx_wscast_redis_link_t));

    link->conf = conf;
    link->name = name;
    link->handler = handler;
    link->ctx = ctx;
    link->log = log;

    link->timer.handler = ngx_wscast_link_timer_handler;
    link->timer.data = link;
    link->timer.log = log;
    link->timer.cancelable = 1;
}


void
ngx_wscast_redis_link_at(ngx_wscast_redis_link_t *link,
    const ngx_sockaddr_t *sockaddr, socklen_t socklen)
{
    if (sockaddr == NULL) {
        link->found = NGX_WSCAST_FOUND_LISTED;
        return;
    }

    ngx_wscast_link_server(link, NGX_WSCAST_FOUND_GIVEN, sockaddr, socklen);
}


void
ngx_wscast_link_server(ngx_wscast_redis_link_t *link, ngx_wscast_found_e found,
    const ngx_sockaddr_t *sockaddr, socklen_t socklen)
{
    link->found = found;
    link->master = *sockaddr;
    link->master_len = socklen;
    link->master_name.data = link->master_text;
    link->master_name.len = ngx_sock_ntop(&link->master.sockaddr,
                                          link->master_len, link->master_text,
                                          NGX_SOCKADDR_STRLEN, 1);
}


void
ngx_wscast_redis_link_open(ngx_wscast_redis_link_t *link, uint64_t *counters)
{
    link->counters = counters;

    if (link->state == NGX_WSCAST_LINK_STOPPED) {
        link->failures = 0;
        link->told = 0;
        link->refused = 0;
        ngx_wscast_link_connect(link);
    }
}


void
ngx_wscast_redis_link_close(ngx_wscast_redis_link_t *link)
{
    ngx_wscast_link_drop(link);

    ngx_wscast_link_forget(link);
    link->state = NGX_WSCAST_LINK_STOPPED;
    link->asked = 0;

    ngx_free(link->out);
    link->out = NULL;
    link->out_size = 0;
}


static void
ngx_wscast_link_connect(ngx_wscast_redis_link_t *link)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    ngx_wscast_link_peer(link);

    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        ngx_wscast_link_fail(link, 0, "no memory");
        return;
    }

    link->state = NGX_WSCAST_LINK_CONNECT;
    link->heard = 0;
    link->probing = 0;
    link->out_pos = 0;
    link->out_len = 0;
    link->reason[0] = '\0';

    rc = ngx_event_connect_peer(&link->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_wscast_link_fail(link, ngx_socket_errno, "cannot connect");
        return;
    }

    c = link->peer.connection;

    c->data = link;
    c->log = link->log;
    c->read->log = link->log;
    c->write->log = link->log;
    c->read->handler = ngx_wscast_link_read_handler;
    c->write->handler = ngx_wscast_link_write_handler;
    c->read->channel = 1;       /* exit and the shutdown timer leave it alone */
    c->write->channel = 1;

    ngx_add_timer(&link->timer, link->conf->redis_connect_timeout);

    if (rc == NGX_OK) {
        ngx_wscast_link_connected(link);
    }
}


/* Who is next: the server that was told or given, or one of the addresses. */

static void
ngx_wscast_link_peer(ngx_wscast_redis_link_t *link)
{
    ngx_url_t              *url;
    ngx_peer_connection_t  *peer;

    url = link->conf->redis;
    peer = &link->peer;

    ngx_memzero(peer, sizeof(ngx_peer_connection_t));

    if (link->found != NGX_WSCAST_FOUND_LISTED) {
        peer->sockaddr = &link->master.sockaddr;
        peer->socklen = link->master_len;
        peer->name = &link->master_name;

    } else {
        link->address = (link->address + 1) % url->naddrs;
        peer->sockaddr = url->addrs[link->address].sockaddr;
        peer->socklen = url->addrs[link->address].socklen;
        peer->name = &url->addrs[link->address].name;
    }

    peer->get = ngx_event_get_peer;
    peer->log = link->log;
    peer->log_error = NGX_ERROR_INFO;
}


void
ngx_wscast_link_connected(ngx_wscast_redis_link_t *link)
{
    if (link->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(link->peer.connection);
    }

    if (link->conf->redis_ssl) {
        link->state = NGX_WSCAST_LINK_HANDSHAKE;
        ngx_wscast_link_tls(link);
        return;
    }

    ngx_wscast_link_secured(link);
}


void
ngx_wscast_link_secured(ngx_wscast_redis_link_t *link)
{
    link->state = NGX_WSCAST_LINK_AUTH;
    ngx_wscast_link_step(link);
}


/* The dialogue before a link is ready: each step that is needed, in order. */

static void
ngx_wscast_link_step(ngx_wscast_redis_link_t *link)
{
    u_char       db[NGX_INT_T_LEN];
    size_t       lens[2];
    const char  *argv[2];

    if (link->state == NGX_WSCAST_LINK_AUTH) {

        if (ngx_wscast_link_auth(link) == NGX_OK) {
            return;
        }

        link->state = NGX_WSCAST_LINK_SENTINEL;
    }

    if (link->state == NGX_WSCAST_LINK_SENTINEL) {

        if (ngx_wscast_link_asking(link)) {
            ngx_wscast_link_ask(link);
            return;
        }

        link->state = NGX_WSCAST_LINK_ROLE;
    }

    if (link->state == NGX_WSCAST_LINK_ROLE) {

        if (link->conf->redis_master.len) {
            argv[0] = "ROLE";
            lens[0] = 4;

            (void) ngx_wscast_redis_link_command(link, 1, argv, lens, 1);
            return;
        }

        link->state = NGX_WSCAST_LINK_SELECT;
    }

    if (link->state == NGX_WSCAST_LINK_SELECT) {

        /* also with database 0: its answer proves that this is a Redis */

        argv[0] = "SELECT";
        lens[0] = 6;
        argv[1] = (char *) db;
        lens[1] = ngx_sprintf(db, "%i", link->conf->redis_db) - db;

        (void) ngx_wscast_redis_link_command(link, 2, argv, lens, 1);
        return;
    }

    if (link->failures) {
        ngx_log_error(NGX_LOG_NOTICE, link->log, 0,
                      "wscast: redis %s to %V is back", link->name,
                      link->peer.name);
    }

    link->failures = 0;
    link->told = 0;
    link->refused = 0;
    link->counters[WSCAST_COUNT_REDIS_LINKS]++;

    if (link->found == NGX_WSCAST_FOUND_SENTINEL) {

        /* that sentinel is asked first again */

        link->address += link->conf->redis->naddrs - 1;
    }

    ngx_add_timer(&link->timer, link->conf->redis_timeout / 2 + 1);

    link->handler->ready(link->ctx);
}


/* NGX_DECLINED: this one is not told who we are. */

static ngx_int_t
ngx_wscast_link_auth(ngx_wscast_redis_link_t *link)
{
    int          argc;
    size_t       lens[3];
    ngx_str_t   *user, *password;
    const char  *argv[3];

    if (ngx_wscast_link_asking(link)) {
        user = &link->conf->redis_sentinel_user;
        password = &link->conf->redis_sentinel_password;

    } else {
        user = &link->conf->redis_user;
        password = &link->conf->redis_password;
    }

    if (password->len == 0) {
        return NGX_DECLINED;
    }

    argc = 0;

    argv[argc] = "AUTH";
    lens[argc++] = 4;

    if (user->len) {
        argv[argc] = (char *) user->data;
        lens[argc++] = user->len;
    }

    argv[argc] = (char *) password->data;
    lens[argc++] = password->len;

    (void) ngx_wscast_redis_link_command(link, argc, argv, lens, 1);

    return NGX_OK;
}


void
ngx_wscast_link_answer(ngx_wscast_redis_link_t *link, redisReply *reply)
{
    const char  *what;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_wscast_link_wrong(link, reply);
        return;
    }

    if (link->state == NGX_WSCAST_LINK_SENTINEL) {
        what = ngx_wscast_link_told(link, reply);

        if (what) {
            ngx_wscast_link_fail(link, 0, what);
            return;
        }

        ngx_wscast_link_found(link);
        return;
    }

    if (link->state == NGX_WSCAST_LINK_ROLE
        && !ngx_wscast_redis_is_master(reply))
    {
        ngx_wscast_link_fail(link, 0, "is no master");
        return;
    }

    link->state++;
    ngx_wscast_link_step(link);
}


/* An event later: what called us still looks at the old connection. */

static void
ngx_wscast_link_found(ngx_wscast_redis_link_t *link)
{
    ngx_wscast_link_drop(link);

    link->asked = 0;

    link->state = NGX_WSCAST_LINK_BACKOFF;
    ngx_add_timer(&link->timer, 1);
}


static void
ngx_wscast_link_wrong(ngx_wscast_redis_link_t *link, redisReply *reply)
{
    const char  *step, *cure;

    cure = ngx_wscast_link_asking(link)
           && (ngx_strncmp(reply->str, "NOAUTH", 6) == 0
               || ngx_strncmp(reply->str, "WRONGPASS", 9) == 0)
           ? ": see redis_sentinel_password" : "";

    switch (link->state) {

    case NGX_WSCAST_LINK_AUTH:
        step = ngx_wscast_link_asking(link) ? "the sentinel's AUTH" : "AUTH";
        break;

    case NGX_WSCAST_LINK_SENTINEL:
        step = "SENTINEL";
        break;

    case NGX_WSCAST_LINK_ROLE:
        step = "ROLE";
        break;

    default:
        step = "SELECT";
    }

    ngx_log_error((link->refused ? NGX_LOG_INFO : NGX_LOG_ERR), link->log, 0,
                  "wscast: redis %s to %V: %s answered \"%*s\"%s",
                  link->name, link->peer.name, step,
                  (size_t) reply->len, reply->str, cure);

    link->refused = 1;

    ngx_wscast_link_fail(link, 0, "refused");
}


/*
 * Connecting: it takes too long.  Waiting: now again.  Ready: if nothing was
 * heard since last time, ask; if nothing is heard even then, it is gone.
 */

static void
ngx_wscast_link_timer_handler(ngx_event_t *ev)
{
    ngx_wscast_redis_link_t  *link;

    link = ev->data;

    if (link->state == NGX_WSCAST_LINK_BACKOFF) {
        ngx_wscast_link_connect(link);
        return;
    }

    if (link->state != NGX_WSCAST_LINK_READY) {
        ngx_wscast_link_fail(link, NGX_ETIMEDOUT,
                             link->state == NGX_WSCAST_LINK_HANDSHAKE
                                 ? "TLS: the handshake timed out"
                                 : "timed out");
        return;
    }

    if (link->probing && link->held == NULL) {
        ngx_wscast_link_fail(link, NGX_ETIMEDOUT, "does not answer");
        return;
    }

    /* a master may have become a replica: it is asked at any rate */

    if ((!link->heard || link->conf->redis_master.len)
        && link->held == NULL)
    {
        link->probing = 1;

        if (link->handler->probe(link->ctx) != NGX_OK) {
            ngx_wscast_link_fail(link, 0, "no memory");
            return;
        }
    }

    link->heard = 0;

    ngx_add_timer(&link->timer, link->conf->redis_timeout / 2 + 1);
}


void
ngx_wscast_redis_link_break(ngx_wscast_redis_link_t *link, const char *what)
{
    if (ngx_wscast_redis_link_ready(link)) {
        ngx_wscast_link_fail(link, 0, what);
    }
}


void
ngx_wscast_link_fail(ngx_wscast_redis_link_t *link, ngx_err_t err,
    const char *what)
{
    ngx_msec_t  pause;

    if (link->reason[0]) {              /* TLS knows better */
        err = 0;
        what = (char *) link->reason;
    }

    ngx_log_error((link->told ? NGX_LOG_INFO : NGX_LOG_ERR), link->log, err,
                  "wscast: redis %s to %V: %s", link->name,
                  link->peer.name, what);

    link->told = 1;
    link->counters[WSCAST_COUNT_REDIS_RECONNECTS]++;

    ngx_wscast_link_drop(link);

    pause = ngx_wscast_link_pause(link);

    ngx_wscast_link_forget(link);
    link->state = NGX_WSCAST_LINK_BACKOFF;
    ngx_add_timer(&link->timer, pause);

    link->handler->lost(link->ctx);
}


/* What a sentinel has told is of one connection. */

static void
ngx_wscast_link_forget(ngx_wscast_redis_link_t *link)
{
    if (link->found == NGX_WSCAST_FOUND_SENTINEL) {
        link->found = NGX_WSCAST_FOUND_LISTED;
    }
}


/* Until the next attempt. */

static ngx_msec_t
ngx_wscast_link_pause(ngx_wscast_redis_link_t *link)
{
    ngx_msec_t  pause;
    ngx_uint_t  i;

    /* each of the sentinels is asked before there is a pause */

    if (ngx_wscast_link_asking(link)
        && ++link->asked < link->conf->redis->naddrs)
    {
        return 1;
    }

    link->asked = 0;

    pause = link->conf->redis_reconnect_min;

    for (i = 0; i < link->failures; i++) {
        pause *= 2;

        if (pause >= link->conf->redis_reconnect_max) {
            pause = link->conf->redis_reconnect_max;
            break;
        }
    }

    link->failures++;

    /* jitter, so that the workers of all hosts do not come at once */

    return pause / 2 + ngx_random() % (pause / 2 + 1);
}


static void
ngx_wscast_link_drop(ngx_wscast_redis_link_t *link)
{
    ngx_connection_t  *c;

    if (link->state == NGX_WSCAST_LINK_READY) {
        link->counters[WSCAST_COUNT_REDIS_LINKS]--;
    }

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->held) {
        freeReplyObject(link->held);
        link->held = NULL;
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    c = link->peer.connection;

    if (c) {
        link->peer.connection = NULL;
        ngx_wscast_link_tls_end(c);
        ngx_close_connection(c);
    }

    link->out_pos = 0;
    link->out_len = 0;
    link->full = 0;
}
