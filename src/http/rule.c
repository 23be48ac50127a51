#include "conf.h"


/* Rules of channels: what is inside of `channel PATTERN { }`. */


char *
ngx_http_wscast_rule_set_channel(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    char           *rv;
    wscast_rule_t  *rule;

    if (value[1].len == 0
        || wscast_pattern_compile(value[1].data, value[1].len) < 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid pattern of \"channel\": use a channel's "
                           "name, in which \"*\" stands for anything");
        return NGX_CONF_ERROR;
    }

    if (b->hub->conf.rules == NULL) {
        b->hub->conf.rules = ngx_array_create(cf->pool, 4,
                                              sizeof(wscast_rule_t));
        if (b->hub->conf.rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(b->hub->conf.rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    rule->pattern = wscast_str(value[1].data, value[1].len);
    rule->no_echo = 0;

    b->rule = rule;
    b->seen &= ~((ngx_uint_t) 1 << NGX_HTTP_WSCAST_RULE_ECHO);

    rv = ngx_http_wscast_block(cf, NGX_HTTP_WSCAST_RULE_CONF);

    b->rule = NULL;

    return rv;
}


char *
ngx_http_wscast_rule_set_echo(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        b->rule->no_echo = 0;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        b->rule->no_echo = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"echo %V\": it is \"on\" or \"off\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
