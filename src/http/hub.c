#include "conf.h"


typedef char *(*ngx_http_wscast_set_pt)(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);


static char *ngx_http_wscast_hub_set_zone(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_redis(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_prefix(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_password_file(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_sentinel(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_timeout(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_reconnect(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_fallback(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_set_length(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_wscast_hub_times(ngx_conf_t *cf, ngx_str_t *value,
    ngx_uint_t n, ngx_msec_t *first, ngx_msec_t *second);
static ngx_int_t ngx_http_wscast_init_zone(ngx_shm_zone_t *zone, void *data);


/*
 * One function for all directives of the blocks: which of them it is, and
 * whether it may be repeated, is in the command.
 */

char *
ngx_http_wscast_block_set(ngx_conf_t *cf, ngx_command_t *cmd, void *dummy)
{
    ngx_str_t                    *value;
    ngx_uint_t                    bit;
    ngx_http_wscast_block_t      *b;
    ngx_http_wscast_main_conf_t  *wmcf;

    static const ngx_http_wscast_set_pt  set[] = {
        ngx_http_wscast_hub_set_zone,
        ngx_http_wscast_hub_set_redis,
        ngx_http_wscast_hub_set_prefix,
        ngx_http_wscast_hub_set_password_file,
        ngx_http_wscast_hub_set_sentinel,
        ngx_http_wscast_hub_set_sentinel,
        ngx_http_wscast_hub_set_password_file,
        ngx_http_wscast_hub_set_timeout,
        ngx_http_wscast_hub_set_reconnect,
        ngx_http_wscast_hub_set_fallback,
        ngx_http_wscast_redis_set_ssl,
        ngx_http_wscast_redis_set_ssl,
        ngx_http_wscast_redis_set_ssl,
        ngx_http_wscast_redis_set_ssl,
        ngx_http_wscast_redis_set_ssl,
        ngx_http_wscast_hub_set_length,
        ngx_http_wscast_hub_set_token_key,
        ngx_http_wscast_hub_set_leeway,
        ngx_http_wscast_rule_set_channel,
        ngx_http_wscast_rule_set_echo,
        ngx_http_wscast_rule_set_history,
        ngx_http_wscast_rule_set_presence
    };

    /* in a context of main's, nginx's own idea of conf is not ours */

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wscast_module);

    b = wmcf->block;
    value = cf->args->elts;
    bit = (ngx_uint_t) 1 << cmd->offset;

    if ((b->seen & bit)
        && cmd->offset != NGX_HTTP_WSCAST_HUB_CHANNEL
        && cmd->offset != NGX_HTTP_WSCAST_HUB_TOKEN_KEY)
    {
        return "is duplicate";
    }

    b->seen |= bit;

    return set[cmd->offset](cf, b, value, cf->args->nelts - 1);
}


char *
ngx_http_wscast_hub_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_wscast_main_conf_t  *wmcf = conf;

    char                     *rv;
    u_char                   *p;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_wscast_hub_t    *hub;
    ngx_http_wscast_block_t   b;

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        p = &value[1].data[i];

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9')
              || *p == '_' || *p == '-' || *p == '.'))
        {
            break;
        }
    }

    if (value[1].len == 0 || value[1].len > 32 || i < value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of \"wscast_hub\": use 1 to 32 "
                           "letters, digits, \"_\", \"-\" or \".\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    hub = ngx_http_wscast_hub_get(cf, &value[1]);
    if (hub == NULL) {
        return NGX_CONF_ERROR;
    }

    if (hub->defined) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate \"wscast_hub\" \"%V\": give each hub a "
                           "name of its own", &value[1]);
        return NGX_CONF_ERROR;
    }

    hub->defined = 1;

    ngx_memzero(&b, sizeof(ngx_http_wscast_block_t));
    b.hub = hub;

    wmcf->block = &b;
    rv = ngx_http_wscast_block(cf, NGX_HTTP_WSCAST_HUB_CONF);
    wmcf->block = NULL;

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_wscast_redis_password(cf, &b);
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_wscast_redis_sentinel(cf, &b);
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_wscast_redis_prefix(cf, &b);
    }

    return rv == NGX_CONF_OK ? ngx_http_wscast_redis_ssl(cf, &b) : rv;
}


char *
ngx_http_wscast_block(ngx_conf_t *cf, ngx_uint_t type)
{
    char        *rv;
    ngx_uint_t   save;

    save = cf->cmd_type;
    cf->cmd_type = type;

    rv = ngx_conf_parse(cf, NULL);

    cf->cmd_type = save;

    return rv;
}


static char *
ngx_http_wscast_hub_set_zone(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ssize_t  size;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || (size_t) size < ngx_wscast_bus_min()) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"zone %V\" of hub \"%V\": use a size of "
                           "at least 1m, such as 32m", &value[1],
                           &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    b->hub->conf.bus.zone_size = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_redis(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    return ngx_http_wscast_redis_url(cf, b, &value[1]);
}


static char *
ngx_http_wscast_hub_set_prefix(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    if (value[1].len == 0 || value[1].len > 256) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"redis_prefix %V\": use 1 to 256 bytes, "
                           "such as \"wscast:%V:\"", &value[1],
                           &b->hub->conf.name);
        return NGX_CONF_ERROR;
    }

    b->hub->conf.bus.redis_prefix = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_password_file(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n)
{
    ngx_str_t  *file;

    file = ngx_strcmp(value[0].data, "redis_password_file") == 0
           ? &b->password_file : &b->sentinel_password_file;

    *file = value[1];

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_sentinel(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_wscast_bus_conf_t  *bus;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty \"%V\": give it a value, or leave it out",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    bus = &b->hub->conf.bus;

    if (ngx_strcmp(value[0].data, "redis_sentinel_user") == 0) {
        bus->redis_sentinel_user = value[1];

    } else {
        bus->redis_sentinel_password = value[1];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_timeout(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    return ngx_http_wscast_hub_times(cf, value, n,
                                     &b->hub->conf.bus.redis_connect_timeout,
                                     &b->hub->conf.bus.redis_timeout);
}


static char *
ngx_http_wscast_hub_set_reconnect(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_wscast_bus_conf_t  *bus;

    bus = &b->hub->conf.bus;

    if (ngx_http_wscast_hub_times(cf, value, n, &bus->redis_reconnect_min,
                                  &bus->redis_reconnect_max)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (bus->redis_reconnect_min > bus->redis_reconnect_max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"redis_reconnect %V %V\": the first time, "
                           "the minimum, is longer than the second",
                           &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_fallback(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    if (ngx_strcmp(value[1].data, "local") == 0) {
        b->hub->conf.bus.redis_fallback = 1;

    } else if (ngx_strcmp(value[1].data, "reject") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"redis_fallback %V\": it is \"reject\" "
                           "or \"local\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_times(ngx_conf_t *cf, ngx_str_t *value, ngx_uint_t n,
    ngx_msec_t *first, ngx_msec_t *second)
{
    ngx_int_t   ms;
    ngx_uint_t  i;

    for (i = 1; i <= n; i++) {
        ms = ngx_parse_time(&value[i], 0);

        if (ms == NGX_ERROR || ms < 10) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\" in \"%V\": use 10ms or "
                               "more, such as 500ms or 2s", &value[i],
                               &value[0]);
            return NGX_CONF_ERROR;
        }

        *(i == 1 ? first : second) = ms;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_wscast_hub_set_length(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_int_t  len;

    len = ngx_atoi(value[1].data, value[1].len);

    if (len == NGX_ERROR || len < 1 || len > 4096) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"channel_length %V\": use 1 to 4096 bytes",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    b->hub->conf.channel_length = len;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_wscast_hub_zone(ngx_conf_t *cf, ngx_http_wscast_hub_t *hub)
{
    uint32_t                where;
    ngx_str_t               name;
    ngx_shm_zone_t         *zone;
    ngx_wscast_bus_conf_t  *bus;

    bus = &hub->conf.bus;

    name.data = ngx_pnalloc(cf->pool, sizeof("wscast::") - 1
                                      + hub->conf.name.len
                                      + 2 * sizeof(uint32_t));
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    name.len = ngx_sprintf(name.data, "wscast:%V", &hub->conf.name)
               - name.data;

    /*
     * nginx keeps the memory of a name.  Positions in it are those of one
     * Redis, and workers that publish elsewhere must not share it.
     */

    if (bus->redis) {
        ngx_crc32_init(where);
        ngx_crc32_update(&where, hub->redis_url.data, hub->redis_url.len);
        ngx_crc32_update(&where, (u_char *) (bus->redis_cluster ? " c" : " "),
                         bus->redis_cluster ? 2 : 1);
        ngx_crc32_update(&where, bus->redis_prefix.data,
                         bus->redis_prefix.len);
        ngx_crc32_final(where);

        name.len = ngx_sprintf(name.data + name.len, ":%08xD", where)
                   - name.data;
    }

    zone = ngx_shared_memory_add(cf, &name, hub->conf.bus.zone_size,
                                 &ngx_http_wscast_module);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_http_wscast_init_zone;
    zone->data = &hub->conf.bus;

    hub->conf.bus.zone = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wscast_init_zone(ngx_shm_zone_t *zone, void *data)
{
    if (ngx_wscast_bus_init_zone(zone->data, data) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "\"zone\" of \"%V\" is too small", &zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}
