#include "outq.h"


#define NGX_WSCAST_OUTQ_KEEP   64       /* a larger ring is freed when empty */


static ngx_int_t ngx_wscast_outq_grow(ngx_wscast_outq_t *q);
static void ngx_wscast_outq_free(ngx_wscast_outq_t *q);


#define ngx_wscast_outq_at(q, i)                                              \
    (q)->frames[((q)->head + (i)) & ((q)->size - 1)]


ngx_int_t
ngx_wscast_outq_push(ngx_wscast_outq_t *q, wscast_prepared_t *p)
{
    if (q->count == q->size && ngx_wscast_outq_grow(q) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_wscast_outq_at(q, q->count) = wscast_prepared_ref(p);
    q->count++;
    q->bytes += p->len;

    return NGX_OK;
}


static ngx_int_t
ngx_wscast_outq_grow(ngx_wscast_outq_t *q)
{
    uint32_t             i, size;
    wscast_prepared_t  **frames;

    if (q->size == 0) {
        q->frames = q->first;
        q->size = NGX_WSCAST_OUTQ_FIRST;
        return NGX_OK;
    }

    size = q->size * 2;

    frames = wscast_alloc(size * sizeof(wscast_prepared_t *));
    if (frames == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < q->count; i++) {
        frames[i] = ngx_wscast_outq_at(q, i);
    }

    ngx_wscast_outq_free(q);

    q->frames = frames;
    q->size = size;
    q->head = 0;

    return NGX_OK;
}


static void
ngx_wscast_outq_free(ngx_wscast_outq_t *q)
{
    if (q->frames != q->first) {
        wscast_free(q->frames);
    }
}


ngx_uint_t
ngx_wscast_outq_iovec(const ngx_wscast_outq_t *q, struct iovec *iov,
    ngx_uint_t n)
{
    size_t        skip;
    ngx_uint_t    i;
    wscast_str_t  frame;

    skip = q->sent;

    for (i = 0; i < n && i < q->count; i++) {
        frame = wscast_prepared_frame(ngx_wscast_outq_at(q, i));

        iov[i].iov_base = (void *) (frame.data + skip);
        iov[i].iov_len = frame.len - skip;
        skip = 0;
    }

    return i;
}


void
ngx_wscast_outq_consume(ngx_wscast_outq_t *q, size_t len)
{
    size_t              left;
    wscast_prepared_t  *p;

    q->bytes -= len;

    while (len) {
        p = ngx_wscast_outq_at(q, 0);
        left = p->len - q->sent;

        if (len < left) {
            q->sent += len;
            return;
        }

        len -= left;
        q->sent = 0;
        q->head++;
        q->count--;

        wscast_prepared_release(p);
    }

    if (q->count == 0 && q->size > NGX_WSCAST_OUTQ_KEEP) {
        ngx_wscast_outq_done(q);
    }
}


void
ngx_wscast_outq_truncate(ngx_wscast_outq_t *q)
{
    uint32_t            keep;
    wscast_prepared_t  *p;

    keep = q->sent ? 1 : 0;

    while (q->count > keep) {
        q->count--;
        p = ngx_wscast_outq_at(q, q->count);
        q->bytes -= p->len;

        wscast_prepared_release(p);
    }
}


void
ngx_wscast_outq_done(ngx_wscast_outq_t *q)
{
    q->sent = 0;
    ngx_wscast_outq_truncate(q);

    ngx_wscast_outq_free(q);
    ngx_memzero(q, sizeof(ngx_wscast_outq_t));
}
