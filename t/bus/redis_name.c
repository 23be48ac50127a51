/* redis: names in a cluster, and the slots that they lie in. */

#include "../lib/unit.h"

#include "../../src/bus/redis_name.c"

#include <stdio.h>


static ngx_wscast_bus_conf_t  conf;


/* nginx's */

ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    int       used;
    unsigned  value;

    return sscanf((char *) line, "%2x%n", &value, &used) == 1
           && used == (int) n ? (ngx_int_t) value : NGX_ERROR;
}


static ngx_uint_t
slot(const char *key)
{
    return ngx_wscast_cluster_slot((const u_char *) key, strlen(key));
}


static void
test_slots(void)
{
    const u_char  *p;

    /* 0x31C3: the check value of CRC-16/XMODEM */

    is_int(slot("123456789"), 0x31c3 % 16384, "a slot is the key's CRC-16");
    is_int(slot(""), 0, "that of nothing is 0");

    is_int(slot("{user1000}.following"), slot("user1000"),
           "what is in braces decides");
    is_int(slot("foo{bar}{zap}"), slot("bar"), "in the first of them");
    is_int(slot("foo{{bar}}zap"), slot("{bar"), "up to the first end");
    ok(slot("foo{}{bar}") != slot("bar"), "but not if there is nothing in it");
    ok(slot("foo{bar") != slot("bar"), "or no end");
    is_int(slot("}foo{bar}"), slot("bar"), "an end before it is none");

    p = unit_guard(9);
    memcpy((void *) p, "123456789", 9);
    is_int(ngx_wscast_cluster_slot(p, 9), 0x31c3 % 16384,
           "nothing behind a key is read");

    p = unit_guard(9);
    memcpy((void *) p, "12345678{", 9);
    (void) ngx_wscast_cluster_slot(p, 9);
    ok(1, "nor behind one that ends in a brace");
}


/* There and back; the key of it and its channel are in one slot. */

static void
twice(const char *channel, const char *expected)
{
    u_char        dst[256], back[256], key[300], *last;
    size_t        len;
    wscast_str_t  s;

    len = strlen(channel);
    last = ngx_wscast_bus_name(&conf, dst, wscast_str(channel, len));
    *last = '\0';

    is_str((char *) dst, expected, "a name in Redis");
    ok((size_t) (last - dst) <= NGX_WSCAST_BUS_NAMED(len), "has room");

    s = ngx_wscast_bus_unname(&conf, back, wscast_str(dst, last - dst));
    ok(wscast_str_eq(s, wscast_str(channel, len)), "and a way back");

    len = sprintf((char *) key, "{%s}:stream", dst);
    is_int(ngx_wscast_cluster_slot(key, len),
           ngx_wscast_cluster_slot(dst, last - dst),
           "its keys are in the slot of its channel");
}


static void
test_names(void)
{
    u_char        back[16];
    wscast_str_t  s;

    conf.redis_cluster = 1;

    twice("room:7", "room:7");
    twice("a{b}c", "a%7Bb%7Dc");
    twice("}{", "%7D%7B");
    twice("{}", "%7B%7D");
    twice("100%", "100%25");
    twice("%7B", "%257B");
    twice("\xc3\xbc\x01", "\xc3\xbc\x01");

    /* of somebody who does not know of that */

    s = ngx_wscast_bus_unname(&conf, back, wscast_str("50%", 3));
    ok(wscast_str_eq(s, wscast_str("50%", 3)), "a sign that ends a name");
    s = ngx_wscast_bus_unname(&conf, back, wscast_str("%zz", 3));
    ok(wscast_str_eq(s, wscast_str("%zz", 3)), "or has no digits is itself");

    conf.redis_cluster = 0;

    s = ngx_wscast_bus_unname(&conf, back, wscast_str("%7B{", 4));
    ok(wscast_str_eq(s, wscast_str("%7B{", 4)),
       "without a cluster all of them are");
    is_int(ngx_wscast_bus_name(&conf, back, wscast_str("%{}", 3)) - back, 3,
           "both ways");
    is_int(ngx_wscast_bus_name(&conf, back, wscast_str(NULL, 0)) - back, 0,
           "nothing is nothing");
}


int
main(void)
{
    test_slots();
    test_names();

    return done();
}
