#include "redis_cluster.h"


/*
 * In a cluster the slot of a name is that of what it has in braces.  The keys
 * of a channel have the whole of its name in braces, its name in Pub/Sub has
 * none: for both to lie in one slot a channel's own braces are written
 * otherwise, as in a URL.
 */

#define ngx_wscast_bus_escaped(c)                                             \
    ((c) == '%' || (c) == '{' || (c) == '}')


u_char *
ngx_wscast_bus_name(ngx_wscast_bus_conf_t *conf, u_char *dst,
    wscast_str_t channel)
{
    u_char  c;
    size_t  i;

    static u_char  hex[] = "0123456789ABCDEF";

    if (!conf->redis_cluster) {
        return channel.len ? ngx_cpymem(dst, channel.data, channel.len) : dst;
    }

    for (i = 0; i < channel.len; i++) {
        c = channel.data[i];

        if (ngx_wscast_bus_escaped(c)) {
            *dst++ = '%';
            *dst++ = hex[c >> 4];
            *dst++ = hex[c & 15];

        } else {
            *dst++ = c;
        }
    }

    return dst;
}


wscast_str_t
ngx_wscast_bus_unname(ngx_wscast_bus_conf_t *conf, u_char *dst,
    wscast_str_t name)
{
    u_char    *p;
    size_t     i;
    ngx_int_t  n;

    if (!conf->redis_cluster) {
        return name;
    }

    p = dst;

    for (i = 0; i < name.len; i++) {

        if (name.data[i] == '%' && name.len - i > 2) {
            n = ngx_hextoi((u_char *) name.data + i + 1, 2);

            if (n != NGX_ERROR) {
                *p++ = (u_char) n;
                i += 2;
                continue;
            }
        }

        *p++ = name.data[i];
    }

    return wscast_str(dst, p - dst);
}


/* CRC-16/XMODEM, four bits at a time. */

ngx_uint_t
ngx_wscast_cluster_slot(const u_char *key, size_t len)
{
    size_t         i;
    uint16_t       crc;
    const u_char  *open, *close;

    static const uint16_t  table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef
    };

    open = len ? memchr(key, '{', len) : NULL;

    if (open) {
        close = memchr(open + 1, '}', key + len - (open + 1));

        if (close && close > open + 1) {
            key = open + 1;
            len = close - key;
        }
    }

    crc = 0;

    for (i = 0; i < len; i++) {
        crc = (uint16_t) (crc << 4) ^ table[(crc >> 12) ^ (key[i] >> 4)];
        crc = (uint16_t) (crc << 4) ^ table[(crc >> 12) ^ (key[i] & 15)];
    }

    return crc % NGX_WSCAST_REDIS_SLOTS;
}
