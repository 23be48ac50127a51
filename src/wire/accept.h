/*
 * accept.h: the fields of the opening handshake (RFC 6455, 4.2).
 *
 * Audience: http/upgrade, which collects the fields.  Where a header occurs
 * more than once the face joins its values with ", " (RFC 9110, 5.3), but for
 * Sec-WebSocket-Key and -Version, of which a second one is a bad request.
 */

#ifndef WSCAST_ACCEPT_H
#define WSCAST_ACCEPT_H


#include "../base/base.h"


#define WSCAST_ACCEPT_LEN  28       /* base64 of a SHA-1 */
#define WSCAST_ACCEPT_SHA1 20       /* bytes of it */


typedef void (*wscast_sha1_pt)(const unsigned char *text, size_t len,
    unsigned char md[WSCAST_ACCEPT_SHA1]);


typedef struct {
    unsigned        get;            /* 1: the method is GET */
    unsigned        http11;         /* 1: HTTP/1.1, and no HTTP/2 or 3 stream */
    unsigned        body;           /* 1: the request has a body */
    wscast_str_t    upgrade;        /* header values; len 0: absent */
    wscast_str_t    connection;
    wscast_str_t    key;
    wscast_str_t    version;
    wscast_str_t    protocols;
    unsigned        keys;           /* how many Sec-WebSocket-Key headers */
    unsigned        versions;       /* how many Sec-WebSocket-Version headers */
    wscast_sha1_pt  sha1;
} wscast_accept_request_t;


typedef struct {
    unsigned        status;         /* 101, or the HTTP status to refuse with */
    unsigned        say_upgrade;    /* answer with Upgrade: websocket */
    unsigned        say_version;    /* with Sec-WebSocket-Version: 13 */
    const char     *reason;         /* for the log; static */
    char            accept[WSCAST_ACCEPT_LEN];      /* of 101; no zero byte */
    wscast_str_t    protocol;       /* chosen; a view of the offer; or empty */
} wscast_accept_t;


/*
 * Decides on a request.  supported: subprotocols the server speaks, in its own
 * order of preference, n of them; any: if none of them is offered, take the
 * client's first (for a dialect that is transparent).
 *
 *   not GET                                 405
 *   not HTTP/1.1                            426, Upgrade
 *   Upgrade lists no "websocket", or
 *   Connection lists no "upgrade"           426, Upgrade
 *   version absent or not exactly "13"      426, Upgrade, Version
 *   key not base64 of 16 bytes, repeated
 *   key or version, a body, a malformed
 *   list of subprotocols                    400
 *
 * The first row that applies decides, but for a repeated version, which is
 * seen before its value.  Empty elements of a list are skipped (RFC 9110,
 * 5.6.1.2).  The unused bits of the key's last digit may be anything.
 *
 * Tokens compare without case, subprotocols with (RFC 6455, 4.1, 11.3.4).
 */
void wscast_accept(const wscast_accept_request_t *r,
    const wscast_str_t *supported, size_t n, unsigned any,
    wscast_accept_t *out);

/* The answer to a key of 24 bytes: base64(SHA-1(key + GUID)). */
void wscast_accept_key(const unsigned char *key, wscast_sha1_pt sha1,
    char out[WSCAST_ACCEPT_LEN]);


#endif /* WSCAST_ACCEPT_H */
