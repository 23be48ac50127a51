#include "pattern.h"
#include "utf8.h"


int
wscast_pattern_compile(unsigned char *s, size_t len)
{
    int     n;
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] == WSCAST_WILD) {
            return -1;
        }
    }

    n = 0;

    for (i = 0; i < len; i++) {
        if (s[i] == '*') {
            s[i] = WSCAST_WILD;
            n++;
        }
    }

    return n;
}


int
wscast_pattern_match(wscast_str_t pattern, wscast_str_t name)
{
    int     wild;
    size_t  p, n, after, taken;

    p = 0;
    n = 0;
    wild = 0;
    after = 0;
    taken = 0;

    while (n < name.len) {

        if (p < pattern.len && pattern.data[p] == WSCAST_WILD) {
            wild = 1;
            after = ++p;
            taken = n;
            continue;
        }

        if (p < pattern.len && pattern.data[p] == name.data[n]) {
            p++;
            n++;
            continue;
        }

        if (!wild) {
            return 0;
        }

        /*
         * Only the last wildcard needs to take one byte more: what an earlier
         * one could take, the last one can take as well.
         */

        p = after;
        n = ++taken;
    }

    while (p < pattern.len && pattern.data[p] == WSCAST_WILD) {
        p++;
    }

    return p == pattern.len;
}


int
wscast_channel_valid(wscast_str_t name, size_t max)
{
    size_t  i;

    if (name.len == 0 || name.len > max) {
        return 0;
    }

    for (i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f) {
            return 0;
        }
    }

    return wscast_utf8_valid(name);
}
