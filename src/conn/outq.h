/*
 * outq.h: frames that wait to be sent to one client: references, in order.
 *
 * Audience: conn.  Its bytes are bounded by the caller, who asks before it
 * pushes (ngx_wscast_conn_conf_t.send_buffer).
 */

#ifndef NGX_WSCAST_OUTQ_H
#define NGX_WSCAST_OUTQ_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "../base/prepared.h"


/*
 * What a frame takes beyond its bytes, in memory: its head, its place in the
 * ring, and what the allocator adds.  Shared frames are counted for each who
 * holds them: somebody may be the last.
 */
#define NGX_WSCAST_OUTQ_FRAME  80

#define NGX_WSCAST_OUTQ_FIRST  2        /* frames without a ring of their own */


/* Zeros are an empty one; it must stay where it is. */

typedef struct {
    wscast_prepared_t  **frames;        /* a ring: first, or allocated */
    uint32_t             size;          /* of it: 0 or a power of two */
    uint32_t             head;
    uint32_t             count;
    size_t               sent;          /* bytes of the first frame */
    size_t               bytes;         /* still to be sent */
    wscast_prepared_t   *first[NGX_WSCAST_OUTQ_FIRST];
} ngx_wscast_outq_t;


/* What it holds, in bytes of memory. */
#define ngx_wscast_outq_weight(q)                                             \
    ((q)->bytes + (size_t) (q)->count * NGX_WSCAST_OUTQ_FRAME)

/* Takes a reference.  NGX_ERROR: no memory. */
ngx_int_t ngx_wscast_outq_push(ngx_wscast_outq_t *q, wscast_prepared_t *p);

/* Fills iov with what comes next, at most n pieces; returns how many. */
ngx_uint_t ngx_wscast_outq_iovec(const ngx_wscast_outq_t *q,
    struct iovec *iov, ngx_uint_t n);

/* len bytes have been sent. */
void ngx_wscast_outq_consume(ngx_wscast_outq_t *q, size_t len);

/*
 * Throws away all frames but the first if that has been begun: the stream must
 * stay a sequence of whole frames.
 */
void ngx_wscast_outq_truncate(ngx_wscast_outq_t *q);

/* Throws away everything, and the ring. */
void ngx_wscast_outq_done(ngx_wscast_outq_t *q);


#endif /* NGX_WSCAST_OUTQ_H */
