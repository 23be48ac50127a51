#include "base64url.h"


static unsigned
wscast_base64url_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return c == '-' ? 62 : c == '_' ? 63 : 64;
}


wscast_status_t
wscast_base64url_decode(wscast_str_t s, unsigned char *out, size_t *len)
{
    size_t          i;
    unsigned        bits, value;
    uint32_t        word;
    unsigned char  *p;

    p = out;
    word = 0;
    bits = 0;

    for (i = 0; i < s.len; i++) {
        value = wscast_base64url_value(s.data[i]);

        if (value > 63) {
            return WSCAST_ERROR;
        }

        word = (word << 6 | value) & 0xfff;
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            *p++ = (unsigned char) (word >> bits);
        }
    }

    if (bits == 6 || (word & ((1u << bits) - 1)) != 0) {
        return WSCAST_ERROR;
    }

    *len = (size_t) (p - out);

    return WSCAST_OK;
}
