#include "conf.h"
#include "params.h"


/* What has been counted, until the connection is closed; in its pool. */

typedef struct {
    ngx_wscast_hub_conf_t    *conf;
    char                      id[WSCAST_CLIENT_ID];
    size_t                    len;
    u_char                    key[];
} ngx_http_wscast_counted_t;


static void ngx_http_wscast_connections_cleanup(void *data);


/* KEY N | off */

char *
ngx_http_wscast_set_connections(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_int_t                          n;
    ngx_str_t                         *value;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    if (wlcf->connections_key != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") == 0) {
            wlcf->connections_key = NULL;
            return NGX_CONF_OK;
        }

        n = NGX_ERROR;

    } else {
        n = ngx_atoi(value[2].data, value[2].len);
    }

    if (n < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"wscast_connections %V%s%s\": use a key "
                           "and how many connections it may have, such as "
                           "$binary_remote_addr 20, or \"off\"", &value[1],
                           cf->args->nelts == 3 ? " " : "",
                           cf->args->nelts == 3 ? (char *) value[2].data : "");
        return NGX_CONF_ERROR;
    }

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    wlcf->connections_key = cv;
    wlcf->connections = n;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_wscast_admit(ngx_http_request_t *r, ngx_http_wscast_loc_conf_t *wlcf,
    const char *id)
{
    ngx_int_t                   rc;
    ngx_str_t                   key;
    wscast_str_t                name, client;
    ngx_pool_cleanup_t         *cln;
    ngx_http_wscast_counted_t  *counted;

    if (wlcf->connections_key == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, wlcf->connections_key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_OK;                  /* as with limit_conn: not limited */
    }

    /* of the connection's pool, which outlives the request */

    cln = ngx_pool_cleanup_add(r->connection->pool,
                               sizeof(ngx_http_wscast_counted_t) + key.len);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    name = wscast_str(key.data, key.len);
    client = wscast_str(id, WSCAST_CLIENT_ID);

    rc = ngx_wscast_store_admit(wlcf->hub->conf.hub->store, name, client,
                                wlcf->connections);

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "wscast: a connection was not counted: the key of "
                      "\"wscast_connections\" has more than %ui bytes, or the "
                      "zone is full", (ngx_uint_t) NGX_WSCAST_KEY_LEN);
        return NGX_OK;
    }

    counted = cln->data;
    counted->conf = &wlcf->hub->conf;
    counted->len = key.len;

    ngx_memcpy(counted->id, id, WSCAST_CLIENT_ID);
    ngx_memcpy(counted->key, key.data, key.len);

    cln->handler = ngx_http_wscast_connections_cleanup;

    return NGX_OK;
}


static void
ngx_http_wscast_connections_cleanup(void *data)
{
    ngx_http_wscast_counted_t  *counted;

    counted = data;

    if (counted->conf->hub) {
        ngx_wscast_store_dismiss(counted->conf->hub->store,
                                 wscast_str(counted->key, counted->len),
                                 wscast_str(counted->id, WSCAST_CLIENT_ID));
    }
}
