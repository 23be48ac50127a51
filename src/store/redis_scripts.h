/*
 * redis_scripts.h: what is done in Redis atomically, in Lua.
 *
 * Audience: redis_*.c.  docs/redis.md names the keys.
 */

#ifndef NGX_WSCAST_REDIS_SCRIPTS_H
#define NGX_WSCAST_REDIS_SCRIPTS_H


#include "../base/base.h"


#define NGX_WSCAST_SCRIPT_TABLE(X)                                            \
    X(PUBLISH, publish)                                                       \
    X(POSITION, position)                                                     \
    X(RANGE, range)                                                           \
    X(FORGET, forget)                                                         \
    X(JOIN, join)                                                             \
    X(LEAVE, leave)                                                           \
    X(EXPIRE, expire)                                                         \
    X(PURGE, purge)                                                           \
    X(PAGE, page)                                                             \
    X(RENEW, renew)                                                           \
    X(NOTE, note)                                                             \
    X(UNNOTE, unnote)                                                         \
    X(MISS, miss)                                                             \
    X(POLL, poll)                                                             \
    X(SETTLE, settle)                                                         \
    X(BURY, bury)                                                             \
    X(CHANNELS, channels)


typedef enum {
#define X(name, lower)  NGX_WSCAST_SCRIPT_##name,
    NGX_WSCAST_SCRIPT_TABLE(X)
#undef X
    NGX_WSCAST_SCRIPTS
} ngx_wscast_script_e;


/* For redis_scripts*.c. */

#define X(name, lower)  extern const wscast_str_t  ngx_wscast_script_##lower;
NGX_WSCAST_SCRIPT_TABLE(X)
#undef X


wscast_str_t ngx_wscast_script(ngx_wscast_script_e script);


#endif /* NGX_WSCAST_REDIS_SCRIPTS_H */
