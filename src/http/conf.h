/*
 * conf.h: what nginx.conf says, checked and ready to use.
 *
 * Audience: the http room.
 */

#ifndef NGX_HTTP_WSCAST_CONF_H
#define NGX_HTTP_WSCAST_CONF_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../worker/worker.h"


/* A hub as http knows it: it may be named before it is defined. */

typedef struct {
    ngx_wscast_hub_conf_t        conf;
    ngx_str_t                    redis_url;     /* behind the user */
    ngx_uint_t                   defined;       /* unsigned defined:1; */
    u_char                      *file;          /* where it was first named */
    ngx_uint_t                   line;
} ngx_http_wscast_hub_t;


/*
 * Where the directives of the blocks are known.  nginx has no such contexts of
 * its own to offer, so they are bits that it leaves alone: main's, which no
 * module of http uses and which "include" knows, and a free one.
 */

#define NGX_HTTP_WSCAST_HUB_CONF   NGX_MAIN_CONF
#define NGX_HTTP_WSCAST_RULE_CONF  0x00200000


/* The directives of the blocks; offset of their commands. */

typedef enum {
    NGX_HTTP_WSCAST_HUB_ZONE = 0,
    NGX_HTTP_WSCAST_HUB_REDIS,
    NGX_HTTP_WSCAST_HUB_PREFIX,
    NGX_HTTP_WSCAST_HUB_PASSWORD_FILE,
    NGX_HTTP_WSCAST_HUB_SENTINEL_USER,
    NGX_HTTP_WSCAST_HUB_SENTINEL_PASSWORD,
    NGX_HTTP_WSCAST_HUB_SENTINEL_PASSWORD_FILE,
    NGX_HTTP_WSCAST_HUB_TIMEOUT,
    NGX_HTTP_WSCAST_HUB_RECONNECT,
    NGX_HTTP_WSCAST_HUB_FALLBACK,
    NGX_HTTP_WSCAST_HUB_SSL_TRUSTED,
    NGX_HTTP_WSCAST_HUB_SSL_CERTIFICATE,
    NGX_HTTP_WSCAST_HUB_SSL_KEY,
    NGX_HTTP_WSCAST_HUB_SSL_VERIFY,
    NGX_HTTP_WSCAST_HUB_SSL_NAME,
    NGX_HTTP_WSCAST_HUB_LENGTH,
    NGX_HTTP_WSCAST_HUB_TOKEN_KEY,
    NGX_HTTP_WSCAST_HUB_TOKEN_LEEWAY,
    NGX_HTTP_WSCAST_HUB_CHANNEL,
    NGX_HTTP_WSCAST_RULE_ECHO,
    NGX_HTTP_WSCAST_RULE_HISTORY,
    NGX_HTTP_WSCAST_RULE_PRESENCE
} ngx_http_wscast_block_e;


/* A wscast_hub { } that is being read. */

typedef struct {
    ngx_http_wscast_hub_t       *hub;
    ngx_str_t                    password_file;
    ngx_str_t                    sentinel_password_file;
    ngx_str_t                    ssl_trusted;
    ngx_str_t                    ssl_certificate;
    ngx_str_t                    ssl_key;
    ngx_str_t                    ssl_name;
    ngx_uint_t                   ssl_unverified;
    ngx_uint_t                   ssl;           /* the URL is rediss... */
    wscast_rule_t               *rule;          /* inside channel { } */
    ngx_uint_t                   seen;          /* bits of the above */
} ngx_http_wscast_block_t;


typedef struct {
    ngx_array_t                  hubs;          /* ngx_http_wscast_hub_t * */
    ngx_wscast_hub_conf_t      **confs;         /* the same, for the worker */
    ngx_http_wscast_block_t     *block;         /* NULL: not inside one */
} ngx_http_wscast_main_conf_t;


/* One pattern of a wscast_allow. */

typedef struct {
    unsigned                     ops;           /* WSCAST_MAY_* */
    ngx_uint_t                   wild;          /* WSCAST_WILDs of its own */
    ngx_http_complex_value_t     pattern;
} ngx_http_wscast_allow_t;


typedef struct {
    ngx_http_wscast_hub_t       *hub;           /* of wscast; or NULL */
    ngx_http_wscast_hub_t       *api;           /* of wscast_api; or NULL */
    ngx_uint_t                   status;        /* wscast_status is here */
    ngx_wscast_conn_conf_t       conn;

    ngx_array_t                 *channels;      /* ngx_http_complex_value_t */
    ngx_array_t                 *allow;         /* ngx_http_wscast_allow_t */
    ngx_array_t                 *origins;       /* wscast_str_t, compiled */
    ngx_flag_t                   any_origin;
    wscast_grants_t             *grants;        /* if without variables */
    ngx_http_complex_value_t    *token;         /* NULL: takes none */
    ngx_http_complex_value_t    *user;
    ngx_http_complex_value_t    *info;
    ngx_http_complex_value_t    *welcome;

    ngx_flag_t                   heartbeat;
    ngx_str_t                    heartbeat_in;
    ngx_str_t                    heartbeat_out;
    ngx_uint_t                   deflate;       /* level; 0: off */
    size_t                       deflate_min;
    ngx_uint_t                   subscriptions;
    ngx_http_complex_value_t    *connections_key;   /* NULL: not counted */
    ngx_uint_t                   connections;
    ngx_uint_t                   hold;          /* ngx_http_wscast_request_e */
} ngx_http_wscast_loc_conf_t;


#define NGX_HTTP_WSCAST_USER_MAX  1024      /* bytes of a user's name */

/* Of a rate's ahead: nothing was said. */
#define NGX_HTTP_WSCAST_RATE_UNSET  ((uint64_t) -1)

#define NGX_HTTP_WSCAST_RELEASE  0
#define NGX_HTTP_WSCAST_HOLD     1


/* One of nginx's setters, and what to tell whom it refuses. */

typedef struct {
    char                      *(*set)(ngx_conf_t *cf, ngx_command_t *cmd,
                                      void *conf);
    void                        *post;          /* for it */
    const char                  *cure;
} ngx_http_wscast_slot_t;


extern ngx_module_t  ngx_http_wscast_module;


/* conf.c */
void *ngx_http_wscast_create_main_conf(ngx_conf_t *cf);
char *ngx_http_wscast_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_wscast_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_wscast_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
ngx_http_wscast_hub_t *ngx_http_wscast_hub_get(ngx_conf_t *cf,
    ngx_str_t *name);

char *ngx_http_wscast_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_wscast_set_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_channel(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_heartbeat(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_ping(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_send_buffer(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* connections.c */
char *ngx_http_wscast_set_connections(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* deflate.c */
char *ngx_http_wscast_set_deflate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_wscast_merge_deflate(ngx_http_wscast_loc_conf_t *prev,
    ngx_http_wscast_loc_conf_t *conf);

/* hub.c */
char *ngx_http_wscast_hub_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_block_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_wscast_block(ngx_conf_t *cf, ngx_uint_t type);
ngx_int_t ngx_http_wscast_hub_zone(ngx_conf_t *cf,
    ngx_http_wscast_hub_t *hub);

/* zone.c: of a configuration in force: what has not been kept. */
void ngx_http_wscast_zones_tell(ngx_cycle_t *cycle,
    ngx_http_wscast_main_conf_t *wmcf);

/* rule.c */
char *ngx_http_wscast_rule_set_channel(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_wscast_rule_set_echo(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_wscast_rule_set_history(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_wscast_rule_set_presence(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);

/* token_key.c */
char *ngx_http_wscast_hub_set_token_key(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_wscast_hub_set_leeway(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);

/* redis_url.c */
char *ngx_http_wscast_redis_url(ngx_conf_t *cf, ngx_http_wscast_block_t *b,
    ngx_str_t *value);
char *ngx_http_wscast_redis_prefix(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);
char *ngx_http_wscast_redis_sentinel(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);
char *ngx_http_wscast_redis_password(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b);

/* redis_ssl.c */
char *ngx_http_wscast_redis_set_ssl(ngx_conf_t *cf,
    ngx_http_wscast_block_t *b, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_wscast_redis_ssl(ngx_conf_t *cf, ngx_http_wscast_block_t *b);

/* the content handlers */
ngx_int_t ngx_http_wscast_upgrade_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_wscast_api_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_wscast_status_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_WSCAST_CONF_H */
