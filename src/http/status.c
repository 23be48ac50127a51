#include "conf.h"
#include "reply.h"
#include "../worker/stats.h"


ngx_int_t
ngx_http_wscast_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_str_t                     format;
    wscast_str_t                  text;
    const char                   *type;
    wscast_builder_t              b;
    ngx_http_wscast_main_conf_t  *wmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    wmcf = ngx_http_get_module_main_conf(r, ngx_http_wscast_module);

    wscast_builder_init(&b, 8192);

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK
        && format.len == 4 && ngx_strncmp(format.data, "json", 4) == 0)
    {
        type = "application/json";
        ngx_wscast_stats_json(&b, wmcf->confs, wmcf->hubs.nelts);

    } else {
        type = "text/plain; version=0.0.4";
        ngx_wscast_stats_prometheus(&b, wmcf->confs, wmcf->hubs.nelts);
    }

    text = wscast_builder_payload(&b);

    rc = text.len ? ngx_http_wscast_reply(r, NGX_HTTP_OK, type, text.data,
                                          text.len)
                  : NGX_HTTP_INTERNAL_SERVER_ERROR;

    wscast_builder_drop(&b);

    return rc;
}
