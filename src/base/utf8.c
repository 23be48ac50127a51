#include "utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif


/*
 * Takes the first byte of a character that is not ASCII.  What may follow is
 * narrower for four of them: no overlong forms after E0 and F0, no surrogates
 * after ED, nothing over U+10FFFF after F4 (RFC 3629, 4).
 */

static inline wscast_status_t
wscast_utf8_lead(wscast_utf8_t *u, unsigned char c)
{
    u->low = 0x80;
    u->high = 0xbf;

    if (c < 0xc2 || c > 0xf4) {
        return WSCAST_ERROR;
    }

    if (c < 0xe0) {
        u->need = 1;
        return WSCAST_OK;
    }

    if (c < 0xf0) {
        u->need = 2;

        if (c == 0xe0) {
            u->low = 0xa0;

        } else if (c == 0xed) {
            u->high = 0x9f;
        }

        return WSCAST_OK;
    }

    u->need = 3;

    if (c == 0xf0) {
        u->low = 0x90;

    } else if (c == 0xf4) {
        u->high = 0x8f;
    }

    return WSCAST_OK;
}


static inline wscast_status_t
wscast_utf8_continue(wscast_utf8_t *u, unsigned char c)
{
    if (c < u->low || c > u->high) {
        return WSCAST_ERROR;
    }

    u->need--;
    u->low = 0x80;
    u->high = 0xbf;

    return WSCAST_OK;
}


/* The first byte that is not ASCII, or end. */

static inline const unsigned char *
wscast_utf8_skip_ascii(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
    int       bits;
    __m128i   v;

    while (end - p >= 16) {
        v = _mm_loadu_si128((const __m128i *) (const void *) p);
        bits = _mm_movemask_epi8(v);

        if (bits) {
            return p + __builtin_ctz((unsigned) bits);
        }

        p += 16;
    }

#else
    uint64_t  v[2];

    while (end - p >= 16) {
        memcpy(v, p, 16);

        if ((v[0] | v[1]) & 0x8080808080808080ull) {
            break;
        }

        p += 16;
    }

#endif

    while (p < end && *p < 0x80) {
        p++;
    }

    return p;
}


wscast_status_t
wscast_utf8_feed(wscast_utf8_t *u, const unsigned char *p, size_t len)
{
    wscast_utf8_t         s;
    wscast_status_t       rc;
    const unsigned char  *end;

    if (len == 0) {
        return WSCAST_OK;
    }

    /* a copy, since *u could alias the bytes as far as a compiler knows */

    s = *u;
    end = p + len;

    for ( ;; ) {

        while (s.need) {
            if (p == end) {
                *u = s;
                return WSCAST_OK;
            }

            rc = wscast_utf8_continue(&s, *p++);

            if (rc != WSCAST_OK) {
                return rc;
            }
        }

        if (p < end && *p < 0x80) {
            p = wscast_utf8_skip_ascii(p, end);
        }

        if (p == end) {
            *u = s;
            return WSCAST_OK;
        }

        rc = wscast_utf8_lead(&s, *p++);

        if (rc != WSCAST_OK) {
            return rc;
        }
    }
}


wscast_status_t
wscast_utf8_feed_plain(wscast_utf8_t *u, const unsigned char *p, size_t len)
{
    size_t           i;
    wscast_status_t  rc;

    for (i = 0; i < len; i++) {

        if (u->need) {
            rc = wscast_utf8_continue(u, p[i]);

        } else if (p[i] < 0x80) {
            rc = WSCAST_OK;

        } else {
            rc = wscast_utf8_lead(u, p[i]);
        }

        if (rc != WSCAST_OK) {
            return rc;
        }
    }

    return WSCAST_OK;
}


int
wscast_utf8_valid(wscast_str_t s)
{
    wscast_utf8_t  u;

    wscast_utf8_init(&u);

    return wscast_utf8_feed(&u, s.data, s.len) == WSCAST_OK && u.need == 0;
}
