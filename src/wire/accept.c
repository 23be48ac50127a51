#include "accept.h"
#include "field.h"


#define WSCAST_ACCEPT_GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WSCAST_ACCEPT_KEY     24        /* base64 of 16 bytes */
#define WSCAST_ACCEPT_DIGITS  22        /* of them, before the padding */
#define WSCAST_ACCEPT_TEXT    60        /* key and GUID */


static void wscast_accept_refuse(wscast_accept_t *out, unsigned status,
    const char *reason);
static int wscast_accept_next(wscast_str_t *list, wscast_str_t *element);
static int wscast_accept_lists(wscast_str_t list, wscast_str_t token);
static int wscast_accept_key_valid(wscast_str_t key);
static int wscast_accept_protocols_valid(wscast_str_t list);
static wscast_str_t wscast_accept_choose(wscast_str_t list,
    const wscast_str_t *supported, size_t n, unsigned any);
static int wscast_accept_token(wscast_str_t s);
static unsigned char wscast_accept_lower(unsigned char c);


static const wscast_str_t  wscast_accept_websocket =
    wscast_string("websocket");
static const wscast_str_t  wscast_accept_upgrade = wscast_string("upgrade");
static const wscast_str_t  wscast_accept_version = wscast_string("13");


void
wscast_accept(const wscast_accept_request_t *r, const wscast_str_t *supported,
    size_t n, unsigned any, wscast_accept_t *out)
{
    memset(out, 0, sizeof(wscast_accept_t));

    if (!r->get) {
        wscast_accept_refuse(out, 405, "method is not GET");

    } else if (!r->http11) {
        wscast_accept_refuse(out, 426, "protocol is not HTTP/1.1");

    } else if (!wscast_accept_lists(r->upgrade, wscast_accept_websocket)) {
        wscast_accept_refuse(out, 426, "Upgrade does not list \"websocket\"");

    } else if (!wscast_accept_lists(r->connection, wscast_accept_upgrade)) {
        wscast_accept_refuse(out, 426, "Connection does not list \"upgrade\"");

    } else if (r->versions > 1) {
        wscast_accept_refuse(out, 400, "Sec-WebSocket-Version is repeated");

    } else if (!wscast_str_eq(r->version, wscast_accept_version)) {
        wscast_accept_refuse(out, 426, "Sec-WebSocket-Version is not 13");
        out->say_version = 1;

    } else if (r->keys > 1) {
        wscast_accept_refuse(out, 400, "Sec-WebSocket-Key is repeated");

    } else if (!wscast_accept_key_valid(r->key)) {
        wscast_accept_refuse(out, 400,
                             "Sec-WebSocket-Key is not base64 of 16 bytes");

    } else if (r->body) {
        wscast_accept_refuse(out, 400, "handshake has a body");

    } else if (!wscast_accept_protocols_valid(r->protocols)) {
        wscast_accept_refuse(out, 400, "Sec-WebSocket-Protocol is malformed");

    } else {
        wscast_accept_key(r->key.data, r->sha1, out->accept);
        out->status = 101;
        out->reason = "accepted";
        out->protocol = wscast_accept_choose(r->protocols, supported, n, any);
    }
}


static void
wscast_accept_refuse(wscast_accept_t *out, unsigned status, const char *reason)
{
    out->status = status;
    out->reason = reason;

    /* "A server that sends a 426 MUST send an Upgrade" (RFC 9110, 15.5.22) */

    out->say_upgrade = (status == 426);
}


void
wscast_accept_key(const unsigned char *key, wscast_sha1_pt sha1,
    char out[WSCAST_ACCEPT_LEN])
{
    size_t              i, o;
    unsigned            bits;
    unsigned char       text[WSCAST_ACCEPT_TEXT];
    unsigned char       md[WSCAST_ACCEPT_SHA1 + 1];

    static const char   digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789+/";

    memcpy(text, key, WSCAST_ACCEPT_KEY);
    memcpy(text + WSCAST_ACCEPT_KEY, WSCAST_ACCEPT_GUID,
           WSCAST_ACCEPT_TEXT - WSCAST_ACCEPT_KEY);

    sha1(text, sizeof(text), md);

    /* 20 bytes are six groups of three and one of two */

    md[WSCAST_ACCEPT_SHA1] = 0;

    for (i = 0, o = 0; o < WSCAST_ACCEPT_LEN; i += 3) {
        bits = (unsigned) md[i] << 16 | (unsigned) md[i + 1] << 8 | md[i + 2];

        out[o++] = digits[bits >> 18];
        out[o++] = digits[bits >> 12 & 63];
        out[o++] = digits[bits >> 6 & 63];
        out[o++] = digits[bits & 63];
    }

    out[WSCAST_ACCEPT_LEN - 1] = '=';
}


/*
 * Cuts the next non-empty element off a comma-separated list; 0 at its end.
 * "A recipient MUST parse and ignore a reasonable number of empty list
 * elements" (RFC 9110, 5.6.1.2).
 */

static int
wscast_accept_next(wscast_str_t *list, wscast_str_t *element)
{
    size_t                len;
    const unsigned char  *p, *last, *end;

    while (list->len) {
        p = list->data;
        end = memchr(p, ',', list->len);
        len = end ? (size_t) (end - p) + 1 : list->len;
        last = end ? end : p + len;

        list->data += len;
        list->len -= len;

        while (p < last && wscast_field_ows(*p)) {
            p++;
        }

        while (p < last && wscast_field_ows(last[-1])) {
            last--;
        }

        if (p < last) {
            *element = wscast_str(p, (size_t) (last - p));
            return 1;
        }
    }

    return 0;
}


/* token: in lower case */

static int
wscast_accept_lists(wscast_str_t list, wscast_str_t token)
{
    size_t        i;
    wscast_str_t  s;

    while (wscast_accept_next(&list, &s)) {

        if (s.len != token.len) {
            continue;
        }

        for (i = 0; i < s.len; i++) {
            if (wscast_accept_lower(s.data[i]) != token.data[i]) {
                break;
            }
        }

        if (i == s.len) {
            return 1;
        }
    }

    return 0;
}


/*
 * The last digit holds two bits of the key and four unused ones, which may be
 * anything: the key is never decoded, and the accept value is computed from
 * its text.
 */

static int
wscast_accept_key_valid(wscast_str_t key)
{
    size_t  i;

    if (key.len != WSCAST_ACCEPT_KEY
        || memcmp(key.data + WSCAST_ACCEPT_DIGITS, "==", 2) != 0)
    {
        return 0;
    }

    for (i = 0; i < WSCAST_ACCEPT_DIGITS; i++) {
        if (!wscast_field_alnum(key.data[i])
            && key.data[i] != '+'
            && key.data[i] != '/')
        {
            return 0;
        }
    }

    return 1;
}


/*
 * Absent, or at least one element, each a token (RFC 6455, 4.1, item 10).
 * That they differ is not checked: a repeated offer harms nobody, and looking
 * for one takes quadratic time.
 */

static int
wscast_accept_protocols_valid(wscast_str_t list)
{
    size_t        n;
    wscast_str_t  s;

    if (list.len == 0) {
        return 1;
    }

    for (n = 0; wscast_accept_next(&list, &s); n++) {
        if (!wscast_accept_token(s)) {
            return 0;
        }
    }

    return n != 0;
}


static wscast_str_t
wscast_accept_choose(wscast_str_t list, const wscast_str_t *supported,
    size_t n, unsigned any)
{
    size_t        i;
    wscast_str_t  rest, s;

    for (i = 0; i < n; i++) {
        rest = list;

        while (wscast_accept_next(&rest, &s)) {
            if (wscast_str_eq(s, supported[i])) {
                return s;
            }
        }
    }

    rest = list;

    if (any && wscast_accept_next(&rest, &s)) {
        return s;
    }

    return wscast_str(NULL, 0);
}


/* RFC 9110, 5.6.2 */

static int
wscast_accept_token(wscast_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (!wscast_field_tchar(s.data[i])) {
            return 0;
        }
    }

    return s.len != 0;
}


static unsigned char
wscast_accept_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char) (c | 0x20) : c;
}
