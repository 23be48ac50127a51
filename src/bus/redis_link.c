#include "redis_link.h"


#define NGX_WSCAST_LINK_BUFFER  65536
#define NGX_WSCAST_LINK_READS   16          /* buffers per turn */


static void ngx_wscast_link_connect(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_connected(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_step(ngx_wscast_redis_link_t *link);
static void ngx_wscast_link_answer(ngx_wscast_redis_link_t *link,
    redisReply *reply);
static void ngx_wscast_link_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_wscast_link_replies(ngx_wscast_redis_link_t *link);
static ngx_int_t ngx_wscast_link_take(ngx_wscast_redis_link_t *link,
    redisReply *reply);
static void ngx_wscast_link_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_wscast_link_append(ngx_wscast_redis_link_t *link,
    const char *data, size_t len);
static void ngx_wscast_link_timer_handler(ngx_event_t *ev);
static void ngx_wscast_link_fail(ngx_wscast_redis_link_t *link,
    ngx_err_t err, const char *what);
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
ngx_wscast_redis_link_open(ngx_wscast_redis_link_t *link, uint64_t *counters)
{
    link->counters = counters;

    if (link->state == NGX_WSCAST_LINK_STOPPED) {
        link->failures = 0;
        link->told = 0;
        ngx_wscast_link_connect(link);
    }
}


void
ngx_wscast_redis_link_close(ngx_wscast_redis_link_t *link)
{
    ngx_wscast_link_drop(link);

    link->state = NGX_WSCAST_LINK_STOPPED;

    ngx_free(link->out);
    link->out = NULL;
    link->out_size = 0;
}


static void
ngx_wscast_link_connect(ngx_wscast_redis_link_t *link)
{
    ngx_int_t          rc;
    ngx_url_t         *url;
    ngx_connection_t  *c;

    url = link->conf->redis;

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

    ngx_memzero(&link->peer, sizeof(ngx_peer_connection_t));

    link->address = (link->address + 1) % url->naddrs;
    link->peer.sockaddr = url->addrs[link->address].sockaddr;
    link->peer.socklen = url->addrs[link->address].socklen;
    link->peer.name = &url->addrs[link->address].name;
    link->peer.get = ngx_event_get_peer;
    link->peer.log = link->log;
    link->peer.log_error = NGX_ERROR_INFO;

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


static void
ngx_wscast_link_connected(ngx_wscast_redis_link_t *link)
{
    if (link->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(link->peer.connection);
    }

    link->state = NGX_WSCAST_LINK_AUTH;
    ngx_wscast_link_step(link);
}


/* The dialogue before a link is ready: each step that is needed, in order. */

static void
ngx_wscast_link_step(ngx_wscast_redis_link_t *link)
{
    int          argc;
    u_char       db[NGX_INT_T_LEN];
    size_t       lens[3];
    const char  *argv[3];

    if (link->state == NGX_WSCAST_LINK_AUTH) {

        if (link->conf->redis_password.len) {
            argc = 0;

            argv[argc] = "AUTH";
            lens[argc++] = 4;

            if (link->conf->redis_user.len) {
                argv[argc] = (char *) link->conf->redis_user.data;
                lens[argc++] = link->conf->redis_user.len;
            }

            argv[argc] = (char *) link->conf->redis_password.data;
            lens[argc++] = link->conf->redis_password.len;

            (void) ngx_wscast_redis_link_command(link, argc, argv, lens, 1);
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
    link->counters[WSCAST_COUNT_REDIS_LINKS]++;

    ngx_add_timer(&link->timer, link->conf->redis_timeout / 2 + 1);

    link->handler->ready(link->ctx);
}


static void
ngx_wscast_link_answer(ngx_wscast_redis_link_t *link, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->log, 0,
                      "wscast: redis %s to %V: %s answered \"%*s\"",
                      link->name, link->peer.name,
                      link->state == NGX_WSCAST_LINK_AUTH ? "AUTH" : "SELECT",
                      (size_t) reply->len, reply->str);

        ngx_wscast_link_fail(link, 0, "refused");
        return;
    }

    link->state++;
    ngx_wscast_link_step(link);
}


static void
ngx_wscast_link_read_handler(ngx_event_t *rev)
{
    u_char                   *buf;
    ssize_t                   n;
    ngx_uint_t                i;
    ngx_connection_t         *c;
    ngx_wscast_redis_link_t  *link;

    c = rev->data;
    link = c->data;

    if (link->state == NGX_WSCAST_LINK_CONNECT || link->held) {
        return;
    }

    buf = ngx_alloc(NGX_WSCAST_LINK_BUFFER, link->log);
    if (buf == NULL) {
        ngx_wscast_link_fail(link, 0, "no memory");
        return;
    }

    for (i = 0; i < NGX_WSCAST_LINK_READS; i++) {

        n = c->recv(c, buf, NGX_WSCAST_LINK_BUFFER);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_wscast_link_fail(link, 0, "event failed");
            }

            goto done;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_wscast_link_fail(link, n ? ngx_socket_errno : 0,
                                 "connection lost");
            goto done;
        }

        link->heard = 1;
        link->probing = 0;

        if (redisReaderFeed(link->reader, (char *) buf, n) != REDIS_OK) {
            ngx_wscast_link_fail(link, 0, "no memory");
            goto done;
        }

        if (ngx_wscast_link_replies(link) != NGX_OK) {
            goto done;
        }
    }

    /* more is there, but others have their turn first */

    ngx_post_event(rev, &ngx_posted_next_events);

done:

    ngx_free(buf);
}


/* NGX_OK: all complete replies are handled; NGX_DECLINED: stop reading. */

static ngx_int_t
ngx_wscast_link_replies(ngx_wscast_redis_link_t *link)
{
    void  *reply;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            ngx_wscast_link_fail(link, 0, "broken reply");
            return NGX_DECLINED;
        }

        if (reply == NULL) {

            if (link->reader->len > NGX_WSCAST_REDIS_REPLY) {
                ngx_wscast_link_fail(link, 0, "reply is too long");
                return NGX_DECLINED;
            }

            return NGX_OK;
        }

        if (ngx_wscast_link_take(link, reply) != NGX_OK) {
            return NGX_DECLINED;
        }
    }
}


static ngx_int_t
ngx_wscast_link_take(ngx_wscast_redis_link_t *link, redisReply *reply)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (link->state < NGX_WSCAST_LINK_READY) {
        ngx_wscast_link_answer(link, reply);

    } else if (link->handler->reply(link->ctx, reply) == NGX_AGAIN) {
        link->held = reply;
        return NGX_DECLINED;
    }

    freeReplyObject(reply);

    /* the handler may have caused the link to fail */

    return link->peer.connection == c && c ? NGX_OK : NGX_DECLINED;
}


void
ngx_wscast_redis_link_resume(ngx_wscast_redis_link_t *link)
{
    redisReply  *reply;

    reply = link->held;

    if (reply == NULL) {
        return;
    }

    link->held = NULL;

    if (ngx_wscast_link_take(link, reply) != NGX_OK
        || ngx_wscast_link_replies(link) != NGX_OK)
    {
        return;
    }

    ngx_post_event(link->peer.connection->read, &ngx_posted_events);
}


static void
ngx_wscast_link_write_handler(ngx_event_t *wev)
{
    int                       err;
    ssize_t                   n;
    socklen_t                 len;
    ngx_connection_t         *c;
    ngx_wscast_redis_link_t  *link;

    c = wev->data;
    link = c->data;

    if (link->state == NGX_WSCAST_LINK_CONNECT) {
        err = 0;
        len = sizeof(int);

        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len)
            == -1)
        {
            err = ngx_socket_errno;
        }

        if (err) {
            ngx_wscast_link_fail(link, err, "cannot connect");
            return;
        }

        ngx_wscast_link_connected(link);

        if (link->peer.connection != c) {
            return;
        }
    }

    while (link->out_pos < link->out_len) {
        n = c->send(c, link->out + link->out_pos,
                    link->out_len - link->out_pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            ngx_wscast_link_fail(link, ngx_socket_errno, "connection lost");
            return;
        }

        link->out_pos += n;
    }

    if (link->out_pos == link->out_len) {
        link->out_pos = 0;
        link->out_len = 0;
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_wscast_link_fail(link, 0, "event failed");
        return;
    }

    if (link->full
        && link->out_len - link->out_pos < NGX_WSCAST_REDIS_OUT / 2)
    {
        link->full = 0;
        link->handler->writable(link->ctx);
    }
}


ngx_int_t
ngx_wscast_redis_link_command(ngx_wscast_redis_link_t *link, int argc,
    const char **argv, const size_t *lens, ngx_uint_t force)
{
    char       *cmd;
    ngx_int_t   rc;
    long long   len;

    if (link->state < NGX_WSCAST_LINK_AUTH) {
        return NGX_DECLINED;
    }

    if (!force && link->out_len - link->out_pos > NGX_WSCAST_REDIS_OUT) {
        link->full = 1;
        return NGX_AGAIN;
    }

    len = redisFormatCommandArgv(&cmd, argc, argv, lens);

    if (len < 0) {
        return NGX_ERROR;
    }

    rc = ngx_wscast_link_append(link, cmd, (size_t) len);

    redisFreeCommand(cmd);

    /* the commands of one turn go out in one piece */

    if (rc == NGX_OK && link->peer.connection->write->ready) {
        ngx_post_event(link->peer.connection->write, &ngx_posted_events);
    }

    return rc;
}


static ngx_int_t
ngx_wscast_link_append(ngx_wscast_redis_link_t *link, const char *data,
    size_t len)
{
    size_t   size;
    u_char  *p;

    if (link->out_pos && link->out_len + len > link->out_size) {
        ngx_memmove(link->out, link->out + link->out_pos,
                    link->out_len - link->out_pos);
        link->out_len -= link->out_pos;
        link->out_pos = 0;
    }

    if (link->out_len + len > link->out_size) {

        for (size = link->out_size ? link->out_size : 4096;
             size < link->out_len + len;
             size *= 2)
        {
            /* void */
        }

        p = realloc(link->out, size);
        if (p == NULL) {
            ngx_log_error(NGX_LOG_ERR, link->log, 0,
                          "wscast: no memory for a command to redis");
            return NGX_ERROR;
        }

        link->out = p;
        link->out_size = size;
    }

    ngx_memcpy(link->out + link->out_len, data, len);
    link->out_len += len;

    return NGX_OK;
}


/*
 * Connecting: it takes too long.  Waiting: now again.  Ready: if nothing was
 * heard since last time, ask; if nothing is heard even then, it is gone.
 */

static void
ngx_wscast_link_timer_handler(ngx_event_t *ev)
{
    size_t                    len;
    const char               *ping;
    ngx_wscast_redis_link_t  *link;

    link = ev->data;

    if (link->state == NGX_WSCAST_LINK_BACKOFF) {
        ngx_wscast_link_connect(link);
        return;
    }

    if (link->state != NGX_WSCAST_LINK_READY) {
        ngx_wscast_link_fail(link, NGX_ETIMEDOUT, "timed out");
        return;
    }

    if (link->probing && link->held == NULL) {
        ngx_wscast_link_fail(link, NGX_ETIMEDOUT, "does not answer");
        return;
    }

    if (!link->heard && link->held == NULL) {
        ping = "PING";
        len = 4;
        link->probing = 1;

        if (ngx_wscast_redis_link_command(link, 1, &ping, &len, 1) != NGX_OK) {
            ngx_wscast_link_fail(link, 0, "no memory");
            return;
        }
    }

    link->heard = 0;

    ngx_add_timer(&link->timer, link->conf->redis_timeout / 2 + 1);
}


static void
ngx_wscast_link_fail(ngx_wscast_redis_link_t *link, ngx_err_t err,
    const char *what)
{
    ngx_msec_t  delay;
    ngx_uint_t  i;

    ngx_log_error((link->told ? NGX_LOG_INFO : NGX_LOG_ERR), link->log, err,
                  "wscast: redis %s to %V: %s", link->name,
                  &link->conf->redis->addrs[link->address].name, what);

    link->told = 1;
    link->counters[WSCAST_COUNT_REDIS_RECONNECTS]++;

    ngx_wscast_link_drop(link);

    delay = link->conf->redis_reconnect_min;

    for (i = 0; i < link->failures; i++) {
        delay *= 2;

        if (delay >= link->conf->redis_reconnect_max) {
            delay = link->conf->redis_reconnect_max;
            break;
        }
    }

    /* jitter, so that the workers of all hosts do not come at once */

    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    link->failures++;
    link->state = NGX_WSCAST_LINK_BACKOFF;
    ngx_add_timer(&link->timer, delay);

    link->handler->lost(link->ctx);
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
        ngx_close_connection(c);
    }

    link->out_pos = 0;
    link->out_len = 0;
    link->full = 0;
}
