/*
 * utf8.h: is this UTF-8? (RFC 3629), checked while the bytes arrive.
 *
 * Audience: wire (text messages, close reasons), base (channel names, plain
 * payloads from Redis), dialect.  It lives in base because all of them need
 * it.
 *
 * Overlong forms, surrogates (U+D800 to U+DFFF) and code points over U+10FFFF
 * are refused at the first byte that makes the sequence impossible, so that a
 * bad fragment fails before its message ends.
 */

#ifndef WSCAST_UTF8_H
#define WSCAST_UTF8_H


#include "base.h"


/* What a sequence cut by the end of the input still needs. */

typedef struct {
    unsigned char  need;    /* continuation bytes awaited; 0: between chars */
    unsigned char  low;     /* the next one's least value */
    unsigned char  high;    /* and its greatest */
} wscast_utf8_t;


static inline void
wscast_utf8_init(wscast_utf8_t *u)
{
    u->need = 0;
    u->low = 0x80;
    u->high = 0xbf;
}


/*
 * Takes the next bytes of the text.  WSCAST_OK: fine so far (u->need tells
 * whether a character is incomplete), WSCAST_ERROR: cannot be UTF-8 any more.
 * Runs of ASCII go 16 bytes a step.
 */
wscast_status_t wscast_utf8_feed(wscast_utf8_t *u, const unsigned char *p,
    size_t len);

/* The same, byte by byte: the reference that tests compare with. */
wscast_status_t wscast_utf8_feed_plain(wscast_utf8_t *u,
    const unsigned char *p, size_t len);

/* 1 if s as a whole is valid UTF-8. */
int wscast_utf8_valid(wscast_str_t s);


#endif /* WSCAST_UTF8_H */
