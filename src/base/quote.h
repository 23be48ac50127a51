/*
 * quote.h: what is between the quotes of a JSON string (RFC 8259, 7), and how
 * bytes get there.
 *
 * Audience: dialect, auth, http.
 */

#ifndef WSCAST_QUOTE_H
#define WSCAST_QUOTE_H


#include "base.h"
#include "prepared.h"


/*
 * Decodes a raw slice that is a string in place, its quotes included, and
 * yields the decoded bytes.  Surrogate pairs become one character.
 * WSCAST_ERROR: a lone surrogate, which UTF-8 cannot hold.
 */
wscast_status_t wscast_json_decode(unsigned char *p, size_t len,
    wscast_str_t *out);

/*
 * Writes s as a JSON string with its quotes.  A byte that is not part of valid
 * UTF-8 becomes U+FFFD, so that what is written is always valid.
 */
void wscast_json_quote(wscast_builder_t *b, wscast_str_t s);

/* The same without the quotes: a part of a string. */
void wscast_json_escape(wscast_builder_t *b, wscast_str_t s);

/* Writes bytes as a quoted base64 string. */
void wscast_json_base64(wscast_builder_t *b, wscast_str_t s);

/*
 * Decodes the escape at *p, which is valid by itself and ends before end, or
 * two that are a surrogate pair.  Returns how many bytes it makes and moves *p
 * behind it; 0 for a lone surrogate.
 */
unsigned wscast_json_unescape(const unsigned char **p,
    const unsigned char *end, unsigned char out[4]);


/* The value of a hexadecimal digit; 16: not one. */

static inline unsigned
wscast_json_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}


#endif /* WSCAST_QUOTE_H */
