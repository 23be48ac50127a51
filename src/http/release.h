/*
 * release.h: a connection without its HTTP request.
 *
 * Audience: upgrade.
 */

#ifndef NGX_HTTP_WSCAST_RELEASE_H
#define NGX_HTTP_WSCAST_RELEASE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Frees the request, as between two requests of a keepalive connection, and
 * what nginx keeps for the next one: about 10 KB a client.  The access log is
 * written here.  From a posted event only, when nothing waits to be sent.
 *
 * The connection's log may be another one afterwards: who noted it for events
 * of his own notes it again.
 */
void ngx_http_wscast_release(ngx_http_request_t *r);


#endif /* NGX_HTTP_WSCAST_RELEASE_H */
