/*
 * dialect.h: message => command, event => message.
 *
 * Audience: session.  A dialect translates and does nothing else: it holds no
 * state, checks no permission, and knows neither sockets nor channels.
 */

#ifndef WSCAST_DIALECT_H
#define WSCAST_DIALECT_H


#include "../base/base.h"
#include "../base/prepared.h"
#include "../base/query.h"


/* RFC 6455, 11.8: the opcodes that decode() takes and encode() returns. */

#define WSCAST_DIALECT_TEXT    0x1
#define WSCAST_DIALECT_BINARY  0x2


typedef enum {
    WSCAST_CMD_INVALID = 0,     /* answer with code and reason */
    WSCAST_CMD_PING,
    WSCAST_CMD_SUBSCRIBE,
    WSCAST_CMD_UNSUBSCRIBE,
    WSCAST_CMD_PUBLISH,
    WSCAST_CMD_PRESENCE,
    WSCAST_CMD_HISTORY,
    WSCAST_CMD_TOKEN
} wscast_command_e;


/* Views into the message that was decoded; they die with it. */

typedef struct {
    wscast_command_e    type;
    unsigned            code;       /* INVALID: 400; id is set if it was fine */
    const char         *reason;     /* INVALID: static text */
    wscast_str_t        id;         /* the JSON value as it came; or empty */
    wscast_str_t        channel;    /* decoded; empty: the location's only */
    unsigned            has_channel;    /* 1: the field was there */
    wscast_str_t        data;       /* PUBLISH: the bytes to broadcast */
    unsigned            flags;      /* PUBLISH: WSCAST_PUB_BINARY, _JSON */
    wscast_str_t        key;        /* PUBLISH; or empty */
    unsigned            has_since;  /* SUBSCRIBE: since is set */
    wscast_position_t   since;
    wscast_str_t        former;     /* SUBSCRIBE: the client's id before */
    uint32_t            limit;      /* HISTORY, PRESENCE; 0: not given */
    uint64_t            before;     /* HISTORY: an offset; 0: not given */
    uint64_t            after;      /* PRESENCE: a cursor; 0: not given */
    wscast_str_t        token;      /* TOKEN */
} wscast_command_t;


typedef enum {
    WSCAST_EVENT_WELCOME = 0,
    WSCAST_EVENT_PONG,
    WSCAST_EVENT_SUBSCRIBED,
    WSCAST_EVENT_UNSUBSCRIBED,
    WSCAST_EVENT_PUBLISHED,
    WSCAST_EVENT_ERROR,
    WSCAST_EVENT_MESSAGE,       /* pub is set; joins and leaves too */
    WSCAST_EVENT_DISCONNECT,    /* a close with 1001 follows */
    WSCAST_EVENT_MEMBER,        /* no message: an item of PRESENCE */
    WSCAST_EVENT_PRESENCE,
    WSCAST_EVENT_HISTORY,
    WSCAST_EVENT_TOKEN
} wscast_event_e;


typedef enum {
    WSCAST_RECOVERY_NONE = 0,   /* nobody asked for it */
    WSCAST_RECOVERY_DONE,
    WSCAST_RECOVERY_FAILED
} wscast_recovery_e;


typedef struct {
    wscast_event_e                type;
    wscast_str_t                  id;       /* raw JSON, echoed; or empty */
    wscast_str_t                  channel;
    wscast_str_t                  client;   /* WELCOME */
    wscast_str_t                  user;     /* WELCOME; empty: none */
    wscast_str_t                  msg;      /* WELCOME: the operator's text */
    unsigned                      ping;     /* WELCOME: seconds */
    unsigned                      code;     /* ERROR: as HTTP's */
    const char                   *reason;   /* ERROR: static ASCII; a channel
                                               that is not empty follows it:
                                               "not allowed to publish to" */
    const wscast_pub_fields_t    *pub;      /* MESSAGE */
    wscast_position_t             position; /* SUBSCRIBED, PUBLISHED, HISTORY;
                                               epoch 0: there is none */
    wscast_recovery_e             recovery; /* SUBSCRIBED */
    wscast_member_t               member;   /* MEMBER; SUBSCRIBED: its client,
                                               if the others know another id */
    wscast_str_t                  items;    /* PRESENCE, HISTORY: of encode(),
                                               with commas between */
    unsigned                      more;     /* HISTORY: there are older ones */
    uint64_t                      total;    /* PRESENCE */
    uint64_t                      next;     /* PRESENCE: a cursor, or 0 */
    uint64_t                      expires;  /* TOKEN: s since 1970, or 0 */
} wscast_event_t;


/* The operator's ping and pong of the text dialect. */

typedef struct {
    unsigned            on;
    wscast_str_t        in;
    wscast_str_t        out;
    const void         *in_json;    /* cJSON of in, or NULL if it is no JSON */
} wscast_heartbeat_t;


typedef struct {
    const char         *name;       /* as in nginx.conf */
    wscast_variant_e    variant;
    unsigned            answers;    /* 1: errors are answered; 0: there are no
                                       answers, errors close */
    unsigned            any_protocol;   /* take any offered subprotocol */
    wscast_str_t        protocol;       /* the subprotocol of its own */

    /*
     * Reads one message (opcode TEXT or BINARY).  data is writable and may be
     * changed (strings are decoded in place).  Always fills c: what cannot be
     * understood is WSCAST_CMD_INVALID.  WSCAST_OK, or WSCAST_NOMEM.
     */
    wscast_status_t   (*decode)(const wscast_heartbeat_t *hb, unsigned opcode,
                                unsigned char *data, size_t len,
                                wscast_command_t *c);

    /*
     * Writes the payload of an event's frame and returns the frame's opcode,
     * or 0 if this dialect does not tell such an event; then nothing was
     * written.  A failed allocation shows at wscast_builder_finish().
     */
    unsigned          (*encode)(const wscast_heartbeat_t *hb,
                                const wscast_event_t *e, wscast_builder_t *b);
} wscast_dialect_t;


extern const wscast_dialect_t  wscast_dialect_text;
extern const wscast_dialect_t  wscast_dialect_json;

/* The dialect of this name, or NULL. */
const wscast_dialect_t *wscast_dialect_find(wscast_str_t name);

/*
 * Prepares a heartbeat, at configuration time; in and out must outlive it.  A
 * zeroed one is off.  WSCAST_NOMEM if there is no memory, or in is JSON that
 * cJSON does not take, like a lone surrogate.
 */
wscast_status_t wscast_heartbeat_init(wscast_heartbeat_t *hb, wscast_str_t in,
    wscast_str_t out);
void wscast_heartbeat_done(wscast_heartbeat_t *hb);


#endif /* WSCAST_DIALECT_H */
