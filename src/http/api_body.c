#include "api.h"


ngx_int_t
ngx_http_wscast_api_body(ngx_http_request_t *r, ngx_str_t *body)
{
    off_t         size;
    size_t        n;
    u_char       *p;
    ssize_t       got;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = 0;

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);
        }
    }

    p = ngx_pnalloc(r->pool, size ? size : 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    body->len = size;

    if (size == 0) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        n = (size_t) ngx_buf_size(b);

        if (n == 0) {
            continue;               /* the end of a chunked body */
        }

        if (!b->in_file) {
            p = ngx_cpymem(p, b->pos, n);
            continue;
        }

        /* over client_body_buffer_size, nginx has put it into a file */

        got = ngx_read_file(b->file, p, n, b->file_pos);

        if (got == NGX_ERROR || (size_t) got != n) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}
