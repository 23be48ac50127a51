#include "redis_link.h"
#include "redis_link_inner.h"


/* The conversation with a sentinel has one question. */

void
ngx_wscast_link_ask(ngx_wscast_redis_link_t *link)
{
    size_t       lens[3];
    const char  *argv[3];

    argv[0] = "SENTINEL";
    lens[0] = 8;
    argv[1] = "get-master-addr-by-name";
    lens[1] = sizeof("get-master-addr-by-name") - 1;
    argv[2] = (char *) link->conf->redis_master.data;
    lens[2] = link->conf->redis_master.len;

    (void) ngx_wscast_redis_link_command(link, 3, argv, lens, 1);
}


const char *
ngx_wscast_link_told(ngx_wscast_redis_link_t *link, redisReply *reply)
{
    socklen_t        len;
    ngx_int_t        port;
    redisReply      *host, *number;
    ngx_sockaddr_t   sockaddr;

    if (reply->type == REDIS_REPLY_NIL) {
        return "this sentinel does not know the master";
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return "this is no sentinel";
    }

    host = reply->element[0];
    number = reply->element[1];
    port = ngx_atoi((u_char *) number->str, number->len);

    if (port < 1 || port > 65535
        || ngx_wscast_redis_address(host->str, host->len, (in_port_t) port,
                                    &sockaddr, &len)
           != NGX_OK)
    {
        /* a worker never waits for a name server */

        return "this sentinel gives no address of the master but a name: "
               "let the servers have an announce-ip, or the sentinels "
               "announce-hostnames no";
    }

    ngx_wscast_link_server(link, NGX_WSCAST_FOUND_SENTINEL, &sockaddr, len);

    return NULL;
}


ngx_int_t
ngx_wscast_redis_address(const char *host, size_t len, in_port_t port,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen)
{
    u_char     *p;
    in_addr_t   in;

    p = (u_char *) host;
    in = ngx_inet_addr(p, len);

    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

    if (in != INADDR_NONE) {
        sockaddr->sockaddr_in.sin_addr.s_addr = in;
        sockaddr->sockaddr_in.sin_family = AF_INET;
        *socklen = sizeof(struct sockaddr_in);

    } else {

#if (NGX_HAVE_INET6)
        if (ngx_inet6_addr(p, len,
                           sockaddr->sockaddr_in6.sin6_addr.s6_addr)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        sockaddr->sockaddr_in6.sin6_family = AF_INET6;
        *socklen = sizeof(struct sockaddr_in6);
#else
        return NGX_ERROR;
#endif
    }

    ngx_inet_set_port(&sockaddr->sockaddr, port);

    return NGX_OK;
}


ngx_uint_t
ngx_wscast_redis_is_master(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements
           && reply->element[0]->type == REDIS_REPLY_STRING
           && reply->element[0]->len == 6
           && ngx_memcmp(reply->element[0]->str, "master", 6) == 0;
}


ngx_uint_t
ngx_wscast_redis_link_differ(ngx_wscast_redis_link_t *a,
    ngx_wscast_redis_link_t *b)
{
    return a->found == NGX_WSCAST_FOUND_SENTINEL
           && b->found == NGX_WSCAST_FOUND_SENTINEL
           && ngx_wscast_redis_link_ready(a) && ngx_wscast_redis_link_ready(b)
           && ngx_cmp_sockaddr(a->peer.sockaddr, a->peer.socklen,
                               b->peer.sockaddr, b->peer.socklen, 1)
              != NGX_OK;
}
