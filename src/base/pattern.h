/*
 * pattern.h: channel names and the patterns that match them.
 *
 * Audience: auth (grants), http (channel rules of a hub).
 *
 * In a compiled pattern the byte WSCAST_WILD stands for "anything, also
 * nothing"; every other byte, '*' included, stands for itself.  So a '*' that
 * comes out of a variable is a plain character: only the '*' that an operator
 * wrote is compiled to WSCAST_WILD.  Channel names cannot contain that byte
 * (wscast_channel_valid() refuses control characters).
 */

#ifndef WSCAST_PATTERN_H
#define WSCAST_PATTERN_H


#include "base.h"


#define WSCAST_WILD  '\001'


/*
 * Turns each '*' of s, in place, into WSCAST_WILD.  Returns the number of
 * them, or -1 if s had a WSCAST_WILD of its own.
 */
int wscast_pattern_compile(unsigned char *s, size_t len);

/*
 * 1 if the compiled pattern matches all of name.  Linear in practice and
 * O(pattern x name) at worst: no recursion, no allocation.
 */
int wscast_pattern_match(wscast_str_t pattern, wscast_str_t name);

/*
 * 1 if a channel may have this name: 1 to max bytes of valid UTF-8 without
 * control characters (below 0x20, and 0x7f).
 */
int wscast_channel_valid(wscast_str_t name, size_t max);


#endif /* WSCAST_PATTERN_H */
