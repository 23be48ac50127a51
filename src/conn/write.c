#include "conn.h"


#define NGX_WSCAST_IOVECS  64
#define NGX_WSCAST_RECORD  16384        /* payload of a TLS record */


static ngx_int_t ngx_wscast_conn_write_plain(ngx_wscast_conn_t *conn);
static ngx_int_t ngx_wscast_conn_unwritten(ngx_wscast_conn_t *conn,
    ngx_err_t err);
#if (NGX_SSL)
static ngx_int_t ngx_wscast_conn_write_tls(ngx_wscast_conn_t *conn);
static ngx_int_t ngx_wscast_conn_stage(ngx_wscast_conn_t *conn);
#endif
static void ngx_wscast_conn_written(ngx_wscast_conn_t *conn, size_t n);


ngx_int_t
ngx_wscast_conn_write(ngx_wscast_conn_t *conn)
{
#if (NGX_SSL)
    if (conn->secure) {
        return ngx_wscast_conn_write_tls(conn);
    }
#endif

    return ngx_wscast_conn_write_plain(conn);
}


/*
 * It is called for each delivery, so it does not touch nginx's connection:
 * that would be the only thing which brings its memory into the cache.
 */

static ngx_int_t
ngx_wscast_conn_write_plain(ngx_wscast_conn_t *conn)
{
    int           flags;
    ssize_t       n;
    ngx_uint_t    niov;
    struct iovec  iov[NGX_WSCAST_IOVECS];

    /* the end of our side comes right behind, and goes in the same packet */

    flags = ngx_wscast_conn_ends(conn) ? MSG_MORE : 0;

    while (conn->out.count) {

        if (conn->full) {
            return NGX_AGAIN;
        }

        niov = ngx_wscast_outq_iovec(&conn->out, iov, NGX_WSCAST_IOVECS);

        /* the kernel takes a tenth less time for one frame that is sent so */

        n = niov == 1 ? send(conn->fd, iov[0].iov_base, iov[0].iov_len, flags)
                      : writev(conn->fd, iov, (int) niov);

        if (n == -1) {

            if (ngx_socket_errno == NGX_EINTR) {
                continue;
            }

            return ngx_wscast_conn_unwritten(conn, ngx_socket_errno);
        }

        conn->sent += n;

        ngx_wscast_conn_written(conn, (size_t) n);
        ngx_wscast_outq_consume(&conn->out, (size_t) n);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_wscast_conn_unwritten(ngx_wscast_conn_t *conn, ngx_err_t err)
{
    ngx_connection_t  *c;

    c = conn->connection;

    if (err == NGX_EAGAIN) {
        conn->full = 1;
        c->write->ready = 0;
        return NGX_AGAIN;
    }

    /* as nginx has it: a peer that went away is no error of ours */

    c->write->error = 1;
    (void) ngx_connection_error(c, err, "wscast: sending failed");

    return NGX_ERROR;
}


#if (NGX_SSL)

/*
 * OpenSSL must be given the same bytes again after it could not write them,
 * and a record each for many small frames would be wasteful: so they are
 * copied into a buffer of one record, which lives until it has been written.
 */

static ngx_int_t
ngx_wscast_conn_write_tls(ngx_wscast_conn_t *conn)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = conn->connection;

    if (!c->write->ready) {
        return conn->out.count || conn->tls_len ? NGX_AGAIN : NGX_OK;
    }

    for ( ;; ) {

        if (conn->tls_len == 0) {

            if (conn->out.count == 0) {
                return NGX_OK;
            }

            if (ngx_wscast_conn_stage(conn) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        n = c->send(c, conn->tls + conn->tls_pos,
                    conn->tls_len - conn->tls_pos);

        if (n == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        ngx_wscast_conn_written(conn, (size_t) n);
        conn->tls_pos += (uint32_t) n;

        if (conn->tls_pos == conn->tls_len) {
            wscast_free(conn->tls);
            conn->tls = NULL;
            conn->tls_pos = 0;
            conn->tls_len = 0;
        }
    }
}


static ngx_int_t
ngx_wscast_conn_stage(ngx_wscast_conn_t *conn)
{
    size_t        len, piece;
    ngx_uint_t    i, niov;
    struct iovec  iov[NGX_WSCAST_IOVECS];

    len = ngx_min(conn->out.bytes, (size_t) NGX_WSCAST_RECORD);

    conn->tls = wscast_alloc(len);
    if (conn->tls == NULL) {
        return NGX_ERROR;
    }

    niov = ngx_wscast_outq_iovec(&conn->out, iov, NGX_WSCAST_IOVECS);

    for (i = 0; i < niov && conn->tls_len < len; i++) {
        piece = ngx_min(iov[i].iov_len, len - conn->tls_len);

        ngx_memcpy(conn->tls + conn->tls_len, iov[i].iov_base, piece);
        conn->tls_len += (uint32_t) piece;
    }

    ngx_wscast_outq_consume(&conn->out, conn->tls_len);

    return NGX_OK;
}

#endif


static void
ngx_wscast_conn_written(ngx_wscast_conn_t *conn, size_t n)
{
    conn->conns->counters[WSCAST_COUNT_BYTES_OUT] += n;
    conn->conns->counters[WSCAST_COUNT_QUEUED] -= n;
}
