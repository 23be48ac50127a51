#include "local.h"

#include <sys/socket.h>
#include <sys/un.h>


static socklen_t ngx_wscast_local_address(ngx_wscast_local_t *l,
    ngx_uint_t slot, uint64_t nonce, struct sockaddr_un *sun);
static void ngx_wscast_local_wake_handler(ngx_event_t *rev);


ngx_int_t
ngx_wscast_local_listen(ngx_wscast_local_t *l)
{
    ngx_event_t         *rev;
    ngx_socket_t         s;
    socklen_t            len;
    ngx_connection_t    *c;
    struct sockaddr_un   sun;

    s = socket(AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ERR, l->log, ngx_socket_errno,
                      "wscast: socket() failed");
        return NGX_ERROR;
    }

    len = ngx_wscast_local_address(l, l->ring.slot, l->ring.nonce, &sun);

    if (bind(s, (struct sockaddr *) &sun, len) == -1) {
        ngx_log_error(NGX_LOG_ERR, l->log, ngx_socket_errno,
                      "wscast: bind() of the wake-up socket failed");
        goto failed;
    }

    c = ngx_get_connection(s, l->log);
    if (c == NULL) {
        goto failed;
    }

    rev = c->read;

    c->data = l;
    c->log = l->log;
    c->idle = 1;            /* called when the worker begins to exit */
    rev->log = l->log;
    rev->handler = ngx_wscast_local_wake_handler;
    rev->channel = 1;       /* not a connection that exit must wait for */
    c->write->log = l->log;
    c->write->channel = 1;

    if (ngx_add_event(rev, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_free_connection(c);
        goto failed;
    }

    l->wake = c;

    return NGX_OK;

failed:

    if (ngx_close_socket(s) == -1) {
        ngx_log_error(NGX_LOG_ERR, l->log, ngx_socket_errno,
                      "wscast: close() of the wake-up socket failed");
    }

    return NGX_ERROR;
}


static socklen_t
ngx_wscast_local_address(ngx_wscast_local_t *l, ngx_uint_t slot,
    uint64_t nonce, struct sockaddr_un *sun)
{
    u_char  *last;

    ngx_memzero(sun, sizeof(struct sockaddr_un));
    sun->sun_family = AF_UNIX;

    /* the leading zero byte makes the name abstract: no file, no remains */

    last = ngx_snprintf((u_char *) sun->sun_path + 1,
                        sizeof(sun->sun_path) - 1, "wscast-%016xL-%ui-%016xL",
                        l->ring.sh->id, slot, nonce);

    return (socklen_t) (last - (u_char *) sun);
}


void
ngx_wscast_local_wake(ngx_wscast_local_t *l, const wscast_slotset_t *wake)
{
    ngx_uint_t           i;
    socklen_t            len;
    struct sockaddr_un   sun;
    wscast_slot_sh_t    *slot;

    if (wscast_slotset_empty(wake) || l->wake == NULL) {
        return;
    }

    for (i = 0; i < WSCAST_SLOTS; i++) {

        if (!wscast_slotset_has(wake, i)) {
            continue;
        }

        if (i == l->ring.slot) {
            ngx_post_event(&l->read, &ngx_posted_events);
            continue;
        }

        slot = &l->ring.sh->slots[i];
        len = ngx_wscast_local_address(l, i, slot->nonce, &sun);

        l->counters[WSCAST_COUNT_WAKES]++;

        /*
         * A full queue means that it is being woken anyway; no such address,
         * that its process has died: the tick reaps it.
         */

        (void) sendto(l->wake->fd, "", 1, MSG_DONTWAIT|MSG_NOSIGNAL,
                      (struct sockaddr *) &sun, len);
    }
}


static void
ngx_wscast_local_wake_handler(ngx_event_t *rev)
{
    u_char               buf[64];
    ngx_connection_t    *c;
    ngx_wscast_local_t  *l;

    c = rev->data;
    l = c->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;
        l->handler->exiting(l->ctx);
        return;
    }

    while (recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0) { /* void */ }

    l->handler->woken(l->ctx);

    ngx_wscast_local_read(l);
}
