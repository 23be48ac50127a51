#include "reply.h"
#include "../base/scan.h"


ngx_int_t
ngx_http_wscast_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_http_wscast_reply(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const u_char *body, size_t len)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (status == 426) {
        /* nginx has no text for it */
        ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (r->header_only) {
        return NGX_OK;
    }

    b = ngx_create_temp_buf(r->pool, len ? len : 1);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body, len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    if (len == 0) {
        b->temporary = 0;
    }

    out.buf = b;
    out.next = NULL;

    /* what does not leave at once is nginx's: r->buffered tells it */

    rc = ngx_http_output_filter(r, &out);

    return rc == NGX_AGAIN ? NGX_OK : rc;
}


ngx_int_t
ngx_http_wscast_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    wscast_builder_t *b)
{
    ngx_int_t     rc;
    wscast_str_t  text;

    wscast_builder_lit(b, "\n");

    text = wscast_builder_payload(b);

    rc = text.len ? ngx_http_wscast_reply(r, status, "application/json",
                                          text.data, text.len)
                  : NGX_HTTP_INTERNAL_SERVER_ERROR;

    wscast_builder_drop(b);

    return rc;
}


void
ngx_http_wscast_error(wscast_builder_t *b, ngx_uint_t status,
    const char *reason, wscast_str_t about)
{
    wscast_builder_lit(b, "{\"code\":");
    wscast_builder_uint(b, status);
    wscast_builder_lit(b, ",\"reason\":\"");
    wscast_builder_put(b, reason, ngx_strlen(reason));

    if (about.len) {
        wscast_builder_lit(b, " ");
        wscast_json_escape(b, about);
    }

    wscast_builder_lit(b, "\"}");
}


ngx_table_elt_t *
ngx_http_wscast_find_header(ngx_http_request_t *r, const char *name,
    ngx_table_elt_t *after)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (after) {
                if (after == &h[i]) {
                    after = NULL;
                }

                continue;
            }

            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}
