/*
 * process.h: a name for a process of this host, and whether it lives.
 *
 * Audience: local.c.  A pid alone is no name: it is used again.
 */

#ifndef NGX_WSCAST_PROCESS_H
#define NGX_WSCAST_PROCESS_H


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The pid and the low bits of the time at which it started; the pid alone if
 * that time cannot be had.
 */
uint64_t ngx_wscast_process_name(ngx_pid_t pid);

/* The pid alone. */
ngx_uint_t ngx_wscast_process_pid(uint64_t name);

/* 1 if the process of this name lives; in doubt it does. */
ngx_uint_t ngx_wscast_process_alive(uint64_t name);


#endif /* NGX_WSCAST_PROCESS_H */
