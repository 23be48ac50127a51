/*
 * base64url.h: base64 with the URL's alphabet and without padding (RFC 7515,
 * 2; RFC 4648, 5), strictly: what is decoded has one spelling.
 *
 * Audience: auth.
 */

#ifndef WSCAST_BASE64URL_H
#define WSCAST_BASE64URL_H


#include "../base/base.h"


/*
 * Decodes s to out, which has room for s.len bytes and may be s.data.
 * WSCAST_ERROR: a character of another alphabet, padding, an impossible
 * length, or bits set that belong to no byte.
 */
wscast_status_t wscast_base64url_decode(wscast_str_t s, unsigned char *out,
    size_t *len);


#endif /* WSCAST_BASE64URL_H */
