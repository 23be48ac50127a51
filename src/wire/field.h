/*
 * field.h: what HTTP header fields are spelled with (RFC 9110, 5.6.2).
 *
 * Audience: wire/accept, wire/offer.  Not <ctype.h>, which depends on the
 * locale.
 */

#ifndef WSCAST_FIELD_H
#define WSCAST_FIELD_H


#include "../base/base.h"


static inline int
wscast_field_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9')
           || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z');
}


/* One character of a token. */

static inline int
wscast_field_tchar(unsigned char c)
{
    return wscast_field_alnum(c)
           || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}


/* Optional white space. */

static inline int
wscast_field_ows(unsigned char c)
{
    return c == ' ' || c == '\t';
}


#endif /* WSCAST_FIELD_H */
