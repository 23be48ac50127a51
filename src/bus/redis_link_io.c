#include "redis_link.h"
#include "redis_link_inner.h"


#define NGX_WSCAST_LINK_BUFFER  65536
#define NGX_WSCAST_LINK_READS   16          /* buffers per turn */


static ngx_int_t ngx_wscast_link_replies(ngx_wscast_redis_link_t *link);
static ngx_int_t ngx_wscast_link_take(ngx_wscast_redis_link_t *link,
    redisReply *reply);
static ngx_int_t ngx_wscast_link_append(ngx_wscast_redis_link_t *link,
    const char *data, size_t len);


void
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


void
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

    len = redisFormatCommandArgv(&cmd, argc, argv, lens);

    if (len < 0) {
        return NGX_ERROR;
    }

    rc = ngx_wscast_redis_link_send(link, cmd, (size_t) len, force);

    redisFreeCommand(cmd);

    return rc;
}


ngx_int_t
ngx_wscast_redis_link_send(ngx_wscast_redis_link_t *link, const char *bytes,
    size_t len, ngx_uint_t force)
{
    if (link->state < NGX_WSCAST_LINK_AUTH) {
        return NGX_DECLINED;
    }

    if (!force && link->out_len - link->out_pos > NGX_WSCAST_REDIS_OUT) {
        link->full = 1;
        return NGX_AGAIN;
    }

    if (ngx_wscast_link_append(link, bytes, len) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the commands of one turn go out in one piece */

    if (link->peer.connection->write->ready) {
        ngx_post_event(link->peer.connection->write, &ngx_posted_events);
    }

    return NGX_OK;
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
