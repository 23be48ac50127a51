/*
 * close.h: every reason for which a connection ends, one row each.
 *
 * Audience: all rooms.  Include it for the enum; the table itself is expanded
 * wherever a column is needed (the counter names in worker/stats.c, the codes
 * and texts in close.c).
 *
 * WSCAST_CLOSE(NAME, code, fault, counter, text)
 *
 *   code     what our close frame says (RFC 6455, 7.4; 44xx are our own);
 *            0: no close frame is sent, 1: the peer's own code is echoed
 *   fault    PEER: the client's mistake or wish, logged at info;
 *            OURS: something an operator should see, logged at error
 *   counter  label of wscast_closes_total{reason="..."}
 *   text     the reason of the close frame, at most 123 bytes, and the log's
 */

#ifndef WSCAST_CLOSE_H
#define WSCAST_CLOSE_H


#include "base.h"


#define WSCAST_CLOSE_TABLE(X)                                                 \
    X(CLOSED,          1,    PEER, "closed",       "closed by the client")    \
    X(GONE,            0,    PEER, "gone",         "connection lost")         \
    X(MOVE,            1001, PEER, "move",         "server moves, reconnect") \
    X(UNMASKED,        1002, PEER, "protocol",     "frame is not masked")     \
    X(RESERVED_BITS,   1002, PEER, "protocol",     "reserved bit set")        \
    X(RESERVED_OPCODE, 1002, PEER, "protocol",     "reserved opcode")         \
    X(LENGTH_MINIMAL,  1002, PEER, "protocol",     "length not minimal")      \
    X(LENGTH_RANGE,    1002, PEER, "protocol",     "length over 63 bits")     \
    X(CONTROL_LENGTH,  1002, PEER, "protocol",                                \
      "control frame over 125 bytes")                                         \
    X(CONTROL_FRAGMENT, 1002, PEER, "protocol",                               \
      "fragmented control frame")                                             \
    X(CONTINUATION,    1002, PEER, "protocol",                                \
      "continuation of no message")                                           \
    X(INTERRUPTED,     1002, PEER, "protocol",                                \
      "new message inside a fragmented one")                                  \
    X(CLOSE_PAYLOAD,   1002, PEER, "protocol",     "close frame of one byte") \
    X(CLOSE_CODE,      1002, PEER, "protocol",     "invalid close code")      \
    X(UTF8,            1007, PEER, "utf8",         "text is not UTF-8")       \
    X(DEFLATE,         1007, PEER, "deflate",                                 \
      "compressed message is broken")                                         \
    X(NOT_ALLOWED,     1008, PEER, "not_allowed",  "not allowed to publish")  \
    X(TOO_BIG,         1009, PEER, "too_big",      "message too big")         \
    X(INTERNAL,        1011, OURS, "internal",     "internal error")          \
    X(NO_MEMORY,       1011, OURS, "internal",     "out of memory")           \
    X(AWAY,            1013, PEER, "away",         "engine is away")          \
    X(LAPPED,          1013, OURS, "lapped",       "worker fell behind")      \
    X(SILENT,          0,    PEER, "silent",       "no answer to ping")       \
    X(EXPIRED,         4401, PEER, "expired",      "token expired")           \
    X(DISCONNECTED,    4403, PEER, "disconnected", "disconnected by the API") \
    X(SLOW,            4408, PEER, "slow",         "reads too slowly")        \
    X(REPLACED,        4409, PEER, "replaced",                                \
      "client has come back on another connection")                           \
    X(RATE,            4429, PEER, "rate",         "too many messages")


typedef enum {
#define X(name, code, fault, counter, text)  WSCAST_CLOSE_##name,
    WSCAST_CLOSE_NONE = 0,
    WSCAST_CLOSE_TABLE(X)
    WSCAST_CLOSE_MAX
#undef X
} wscast_close_e;


typedef struct {
    unsigned       code;        /* of the close frame, 0 and 1 as above */
    unsigned       ours;        /* 1: log at error, 0: at info */
    const char    *counter;
    const char    *text;
} wscast_close_t;


/* The row of a reason; WSCAST_CLOSE_INTERNAL's for anything out of range. */

const wscast_close_t *wscast_close_row(wscast_status_t reason);


#endif /* WSCAST_CLOSE_H */
