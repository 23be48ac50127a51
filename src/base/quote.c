#include "quote.h"
#include "utf8.h"


static unsigned wscast_hex4(const unsigned char *p);
static unsigned wscast_utf8_put(unsigned char *out, uint32_t c);
static void wscast_json_escape_valid(wscast_builder_t *b, wscast_str_t s);


wscast_status_t
wscast_json_decode(unsigned char *p, size_t len, wscast_str_t *out)
{
    unsigned              n;
    unsigned char        *start, *to, c[4];
    const unsigned char  *from, *end;

    start = p + 1;
    from = start;
    end = p + len - 1;

    /* up to the first escape nothing moves */

    to = memchr(start, '\\', end - from);

    if (to == NULL) {
        *out = wscast_str(start, end - from);
        return WSCAST_OK;
    }

    from = to;

    while (from < end) {

        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }

        n = wscast_json_unescape(&from, end, c);

        if (n == 0) {
            return WSCAST_ERROR;
        }

        memcpy(to, c, n);
        to += n;
    }

    *out = wscast_str(start, to - start);

    return WSCAST_OK;
}


unsigned
wscast_json_unescape(const unsigned char **p, const unsigned char *end,
    unsigned char out[4])
{
    uint32_t              c, low;
    const unsigned char  *s;

    s = *p + 1;

    if (*s != 'u') {
        *p = s + 1;

        switch (*s) {
        case 'b':  out[0] = '\b';  break;
        case 'f':  out[0] = '\f';  break;
        case 'n':  out[0] = '\n';  break;
        case 'r':  out[0] = '\r';  break;
        case 't':  out[0] = '\t';  break;
        default:   out[0] = *s;
        }

        return 1;
    }

    c = wscast_hex4(s + 1);
    s += 5;

    if (c >= 0xd800 && c <= 0xdfff) {

        if (c >= 0xdc00 || end - s < 6 || s[0] != '\\' || s[1] != 'u') {
            return 0;
        }

        low = wscast_hex4(s + 2);
        s += 6;

        if (low < 0xdc00 || low > 0xdfff) {
            return 0;
        }

        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }

    *p = s;

    return wscast_utf8_put(out, c);
}


static unsigned
wscast_hex4(const unsigned char *p)
{
    return wscast_json_hex(p[0]) << 12 | wscast_json_hex(p[1]) << 8
           | wscast_json_hex(p[2]) << 4 | wscast_json_hex(p[3]);
}


static unsigned
wscast_utf8_put(unsigned char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = c;
        return 1;
    }

    if (c < 0x800) {
        out[0] = 0xc0 | c >> 6;
        out[1] = 0x80 | (c & 0x3f);
        return 2;
    }

    if (c < 0x10000) {
        out[0] = 0xe0 | c >> 12;
        out[1] = 0x80 | (c >> 6 & 0x3f);
        out[2] = 0x80 | (c & 0x3f);
        return 3;
    }

    out[0] = 0xf0 | c >> 18;
    out[1] = 0x80 | (c >> 12 & 0x3f);
    out[2] = 0x80 | (c >> 6 & 0x3f);
    out[3] = 0x80 | (c & 0x3f);

    return 4;
}


void
wscast_json_quote(wscast_builder_t *b, wscast_str_t s)
{
    wscast_builder_lit(b, "\"");
    wscast_json_escape(b, s);
    wscast_builder_lit(b, "\"");
}


void
wscast_json_escape(wscast_builder_t *b, wscast_str_t s)
{
    const unsigned char  *p, *end, *run, *start;
    wscast_utf8_t         u;

    if (s.len == 0) {
        return;
    }

    if (wscast_utf8_valid(s)) {
        wscast_json_escape_valid(b, s);
        return;
    }

    /* what is valid is kept, each byte that spoils a character replaced */

    end = s.data + s.len;
    run = s.data;
    start = s.data;

    wscast_utf8_init(&u);

    for (p = s.data; p < end; /* void */ ) {

        if (wscast_utf8_feed_plain(&u, p, 1) == WSCAST_OK) {
            p++;

            if (u.need == 0) {
                start = p;
            }

            if (p < end) {
                continue;
            }
        }

        wscast_json_escape_valid(b, wscast_str(run, start - run));

        if (start < end) {
            wscast_builder_lit(b, "\xef\xbf\xbd");
            start++;
        }

        p = start;
        run = start;
        wscast_utf8_init(&u);
    }
}


static void
wscast_json_escape_valid(wscast_builder_t *b, wscast_str_t s)
{
    unsigned char         e[6];
    const unsigned char  *p, *end, *run;

    end = s.data + s.len;
    run = s.data;

    for (p = s.data; p < end; p++) {

        if (*p >= 0x20 && *p != '"' && *p != '\\') {
            continue;
        }

        wscast_builder_put(b, run, p - run);
        run = p + 1;

        e[0] = '\\';

        switch (*p) {
        case '\b':  e[1] = 'b';  break;
        case '\f':  e[1] = 'f';  break;
        case '\n':  e[1] = 'n';  break;
        case '\r':  e[1] = 'r';  break;
        case '\t':  e[1] = 't';  break;
        case '"':
        case '\\':  e[1] = *p;   break;

        default:
            memcpy(e + 1, "u00", 3);
            e[4] = '0' + (*p >> 4);
            e[5] = "0123456789abcdef"[*p & 15];
            wscast_builder_put(b, e, 6);
            continue;
        }

        wscast_builder_put(b, e, 2);
    }

    wscast_builder_put(b, run, end - run);
}


/* RFC 4648, 4 */

void
wscast_json_base64(wscast_builder_t *b, wscast_str_t s)
{
    static const char     digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t                len;
    uint32_t              n;
    unsigned char        *out;
    const unsigned char  *p;

    out = wscast_builder_reserve(b, 2 + (s.len + 2) / 3 * 4);

    if (out == NULL) {
        return;
    }

    *out++ = '"';

    for (p = s.data, len = s.len; len; p += 3) {
        n = (uint32_t) p[0] << 16;
        n |= len > 1 ? (uint32_t) p[1] << 8 : 0;
        n |= len > 2 ? (uint32_t) p[2] : 0;

        *out++ = digits[n >> 18];
        *out++ = digits[n >> 12 & 63];
        *out++ = len > 1 ? digits[n >> 6 & 63] : '=';
        *out++ = len > 2 ? digits[n & 63] : '=';

        if (len <= 3) {
            break;
        }

        len -= 3;
    }

    *out = '"';
}
