/*
 * mask.h: unmasking of client payloads (RFC 6455, 5.3).
 *
 * Audience: wire/message.
 */

#ifndef WSCAST_MASK_H
#define WSCAST_MASK_H


#include "../base/base.h"


/*
 * XORs len bytes in place with the four key bytes, beginning with
 * key[phase & 3], and returns the phase for the byte that follows.  SSE2 where
 * the target has it, eight bytes a step elsewhere; any alignment; nothing
 * outside p[0..len) is touched.
 */
unsigned wscast_mask(unsigned char *p, size_t len, const unsigned char key[4],
    unsigned phase);

/* The same, byte by byte: the reference that tests compare with. */
unsigned wscast_mask_plain(unsigned char *p, size_t len,
    const unsigned char key[4], unsigned phase);


#endif /* WSCAST_MASK_H */
