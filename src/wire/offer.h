/*
 * offer.h: which permessage-deflate a client and we agree on (RFC 7692, 7.1).
 *
 * Audience: http/upgrade (asks and answers), session and conn (do as agreed).
 *
 * What we send is compressed once and shared by many, so that our side never
 * takes a context over, and has only two windows to choose from.  What the
 * client sends may take its context over if it lets us bound the window, which
 * is kept for it from message to message.
 */

#ifndef WSCAST_OFFER_H
#define WSCAST_OFFER_H


#include "../base/base.h"


#define WSCAST_WINDOW_BITS    15    /* of what we send */
#define WSCAST_WINDOW_SMALL   9     /* to those who ask for less */
#define WSCAST_WINDOW_CLIENT  12    /* kept of what a client sends: 4 KB */

#define WSCAST_OFFER_ANSWER   160   /* bytes, the longest answer */


typedef struct {
    unsigned         on;            /* 1: an offer was accepted */
    unsigned         bits;          /* our window: _BITS or _SMALL */
    unsigned         client_bits;   /* its window, 8 to 12, which it takes from
                                       message to message; 0: it does not */
    unsigned         say_bits;      /* answer with server_max_window_bits */
} wscast_offer_t;


/*
 * Takes the first acceptable offer of a Sec-WebSocket-Extensions field.  1, or
 * 0: there is none, and *agreed says so.
 *
 * An offer is declined if it is of another extension, has a parameter that is
 * unknown, repeated or has a value that it must not have, wants a window of 8
 * bits of us (zlib has none), or is malformed (RFC 6455, 9.1): then the next
 * one is looked at.  A quoted string that does not end takes all with it.
 */
int wscast_offer(wscast_str_t field, wscast_offer_t *agreed);

/*
 * Writes the field of the answer, of what was accepted, and returns its
 * length.  server_no_context_takeover is always in it; of a client that does
 * not understand client_max_window_bits client_no_context_takeover is asked.
 */
size_t wscast_offer_answer(const wscast_offer_t *agreed,
    char out[WSCAST_OFFER_ANSWER]);


#endif /* WSCAST_OFFER_H */
