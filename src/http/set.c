#include "conf.h"


/* Setters of the directives that nginx's own slots do not cover. */


static char *ngx_http_wscast_content(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_handler_pt handler);
static ngx_array_t *ngx_http_wscast_values(ngx_conf_t *cf,
    ngx_array_t **slot, size_t size);
static ngx_int_t ngx_http_wscast_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);


char *
ngx_http_wscast_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t               *value, name;
    const wscast_dialect_t  *dialect;

    value = cf->args->elts;

    if (wlcf->hub) {
        return "is duplicate";
    }

    ngx_str_set(&name, "json");

    if (cf->args->nelts == 3) {
        name = value[2];
    }

    dialect = wscast_dialect_find(wscast_str(name.data, name.len));

    if (dialect == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown dialect \"%V\" in \"wscast %V\": use "
                           "\"json\" or \"text\"", &name, &value[1]);
        return NGX_CONF_ERROR;
    }

    wlcf->conn.session.dialect = dialect;
    wlcf->hub = ngx_http_wscast_hub_get(cf, &value[1]);

    if (wlcf->hub == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_wscast_content(cf, &value[0],
                                   ngx_http_wscast_upgrade_handler);
}


char *
ngx_http_wscast_set_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    if (wlcf->api) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex) {
        return "cannot be used in a location given by a regular expression: "
               "its routes begin below the location's prefix";
    }
#endif

    if (clcf->named) {
        return "cannot be used in a named location";
    }

    wlcf->api = ngx_http_wscast_hub_get(cf, &value[1]);

    if (wlcf->api == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_wscast_content(cf, &value[0],
                                   ngx_http_wscast_api_handler);
}


char *
ngx_http_wscast_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;
    wlcf->status = 1;

    return ngx_http_wscast_content(cf, &value[0],
                                   ngx_http_wscast_status_handler);
}


static char *
ngx_http_wscast_content(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler && clcf->handler != handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in a location that something else serves "
                           "already: give it a location of its own", name);
        return NGX_CONF_ERROR;
    }

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    clcf->handler = handler;

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_set_channel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    value = cf->args->elts;

    if (wlcf->channels != NGX_CONF_UNSET_PTR) {
        return "is duplicate: name all channels in one";
    }

    if (ngx_http_wscast_values(cf, &wlcf->channels,
                               sizeof(ngx_http_complex_value_t))
        == NULL)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        cv = ngx_array_push(wlcf->channels);

        if (cv == NULL
            || ngx_http_wscast_value(cf, &value[i], cv) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (cv->lengths == NULL
            && !wscast_channel_valid(wscast_str(value[i].data, value[i].len),
                                     4096))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid channel \"%V\" in \"wscast_channel\": "
                               "use valid UTF-8 without control characters",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_set_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    int                       wild;
    unsigned                  op, ops;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_wscast_allow_t  *a;

    value = cf->args->elts;
    ops = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        op = wscast_grant_op(wscast_str(value[i].data, value[i].len));

        if (op == 0) {
            break;
        }

        ops |= op;
    }

    if (ops == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown operation \"%V\" in \"wscast_allow\": use "
                           "\"subscribe\", \"publish\", \"presence\", "
                           "\"history\" or \"all\", then the patterns",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (i == cf->args->nelts) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no pattern in \"wscast_allow\": after \"%V\" come "
                           "channels, such as \"room:*\"", &value[i - 1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_wscast_values(cf, &wlcf->allow,
                               sizeof(ngx_http_wscast_allow_t))
        == NULL)
    {
        return NGX_CONF_ERROR;
    }

    for ( /* void */ ; i < cf->args->nelts; i++) {
        a = ngx_array_push(wlcf->allow);
        if (a == NULL) {
            return NGX_CONF_ERROR;
        }

        /* before its variables: only the operator's own "*" is wild */

        wild = wscast_pattern_compile(value[i].data, value[i].len);

        if (wild < 0 || value[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pattern in \"wscast_allow\": it is "
                               "empty or has a control character");
            return NGX_CONF_ERROR;
        }

        a->ops = ops;
        a->wild = wild;

        if (ngx_http_wscast_value(cf, &value[i], &a->pattern) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_set_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    u_char        *scheme;
    ngx_str_t     *value;
    ngx_uint_t     i;
    wscast_str_t  *origin;

    value = cf->args->elts;

    if (wlcf->origins != NGX_CONF_UNSET_PTR
        || wlcf->any_origin != NGX_CONF_UNSET)
    {
        return "is duplicate: name all origins in one";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "any") == 0) {
        wlcf->any_origin = 1;
        return NGX_CONF_OK;
    }

    if (ngx_http_wscast_values(cf, &wlcf->origins, sizeof(wscast_str_t))
        == NULL)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        scheme = (u_char *) ngx_strstr(value[i].data, "://");

        if (scheme == NULL || scheme[3] == '\0'
            || ngx_strchr(scheme + 3, '/')
            || wscast_pattern_compile(value[i].data, value[i].len) < 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid origin \"%V\" in \"wscast_origin\": "
                               "use scheme://host[:port] as browsers send it, "
                               "such as https://example.com, or \"any\" alone",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(wlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_strlow(value[i].data, value[i].data, value[i].len);
        *origin = wscast_str(value[i].data, value[i].len);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_set_heartbeat(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (wlcf->heartbeat != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (cf->args->nelts == 3 && value[1].len && value[2].len) {
        wlcf->heartbeat = 1;
        wlcf->heartbeat_in = value[1];
        wlcf->heartbeat_out = value[2];

        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        wlcf->heartbeat = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"wscast_heartbeat %V\": use what clients send "
                       "and what they are answered, or \"off\"", &value[1]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_wscast_set_ping(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_int_t    ms;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (wlcf->conn.ping_interval != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        wlcf->conn.ping_interval = 0;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        ms = ngx_parse_time(&value[i], 0);

        if (ms == NGX_ERROR || ms == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\" in \"wscast_ping\": use an "
                               "interval and perhaps a timeout, such as 25s "
                               "10s, or \"off\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (i == 1) {
            wlcf->conn.ping_interval = ms;

        } else {
            wlcf->conn.ping_timeout = ms;
        }
    }

    return NGX_CONF_OK;
}


/* N [burst=B] | off */

char *
ngx_http_wscast_set_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ngx_int_t       n, burst;
    ngx_str_t      *value;
    wscast_rate_t  *rate;

    value = cf->args->elts;
    rate = &wlcf->conn.rate;

    if (rate->ahead != NGX_HTTP_WSCAST_RATE_UNSET) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        ngx_memzero(rate, sizeof(wscast_rate_t));
        return NGX_CONF_OK;
    }

    n = ngx_atoi(value[1].data, value[1].len);
    burst = n;

    if (cf->args->nelts == 3) {
        burst = ngx_strncmp(value[2].data, "burst=", 6) == 0
                ? ngx_atoi(value[2].data + 6, value[2].len - 6) : NGX_ERROR;
    }

    if (n < 1 || n > WSCAST_RATE_MAX || burst < 1 || burst > WSCAST_RATE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"wscast_message_rate %V%s%s\": "
                           "use messages per second, from 1 to 1000000, and "
                           "perhaps how many at once, such as 20 burst=40, or "
                           "\"off\"", &value[1],
                           cf->args->nelts == 3 ? " " : "",
                           cf->args->nelts == 3 ? (char *) value[2].data : "");
        return NGX_CONF_ERROR;
    }

    wscast_rate_init(rate, (uint32_t) n, (uint32_t) burst);

    return NGX_CONF_OK;
}


char *
ngx_http_wscast_set_send_buffer(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_wscast_loc_conf_t  *wlcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (wlcf->conn.send_buffer != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"wscast_send_buffer\": use "
                           "a size such as 1m", &value[1]);
        return NGX_CONF_ERROR;
    }

    wlcf->conn.send_buffer = size;
    wlcf->conn.send_drop = 0;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "drop") == 0) {
            wlcf->conn.send_drop = 1;

        } else if (ngx_strcmp(value[2].data, "close") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" in \"wscast_send_buffer\": use "
                               "\"close\" or \"drop\"", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * nginx's own setters do not say which value they refuse, nor what would be
 * right: so they are called, and spoken for.
 */

char *
ngx_http_wscast_set_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 level;
    ngx_http_wscast_slot_t    *slot;

    slot = cmd->post;
    value = cf->args->elts;

    /* its own complaint would be a second, poorer one */

    level = cf->log->log_level;
    cf->log->log_level = 0;

    cmd->post = slot->post;
    rv = slot->set(cf, cmd, conf);
    cmd->post = slot;

    cf->log->log_level = level;

    if (rv == NGX_CONF_OK) {
        return NGX_CONF_OK;
    }

    if (rv != NGX_CONF_ERROR && ngx_strcmp(rv, "is duplicate") == 0) {
        return rv;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid \"%V %V\": use %s",
                       &value[0], &value[1], slot->cure);

    return NGX_CONF_ERROR;
}


static ngx_array_t *
ngx_http_wscast_values(ngx_conf_t *cf, ngx_array_t **slot, size_t size)
{
    if (*slot == NGX_CONF_UNSET_PTR) {
        *slot = ngx_array_create(cf->pool, 4, size);
    }

    return *slot;
}


static ngx_int_t
ngx_http_wscast_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}
