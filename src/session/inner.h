/*
 * inner.h: what the files of this room share.
 *
 * Audience: session.c (the conversation as a whole), subscribe.c (on and off
 * channels), entry.c (a subscribe that takes time), publish.c, ask.c
 * (questions), nobody else.
 */

#ifndef WSCAST_SESSION_INNER_H
#define WSCAST_SESSION_INNER_H


#include "session.h"


static const wscast_str_t  wscast_empty = { 0, NULL };


/* subscribe.c; all as wscast_session_message() */

wscast_status_t wscast_session_subscribe(wscast_session_t *s,
    wscast_command_t *c);
wscast_status_t wscast_session_unsubscribe(wscast_session_t *s,
    wscast_command_t *c);

/* Joins the channels of the location.  WSCAST_OK, or WSCAST_NOMEM. */
wscast_status_t wscast_session_enter(wscast_session_t *s,
    const wscast_session_params_t *params);

/* Leaves all channels; lost as of wscast_session_end(). */
void wscast_session_leave(wscast_session_t *s, unsigned lost);

/* The client's rights have changed: ends what it may not have any more. */
wscast_status_t wscast_session_review(wscast_session_t *s);

/* Becomes a member of a subscription's channel; nobody waits for it. */
void wscast_session_member(wscast_subscription_t *sub);

wscast_subscription_t *wscast_session_find(wscast_session_t *s,
    wscast_str_t channel);


/*
 * entry.c: a subscribe that does not end at once.  The session waits for it
 * (s->entry), so there is one at a time.
 */

wscast_status_t wscast_entry_begin(wscast_session_t *s,
    wscast_subscription_t *sub, const wscast_command_t *c);

/* The bus delivers its channel now. */
void wscast_entry_live(wscast_session_t *s);

/* A publication while it goes on: kept, if it is to come after the answer. */
void wscast_entry_hold(wscast_subscription_t *sub, wscast_publication_t *pub);

/* There is room for more of what was missed. */
void wscast_entry_drained(wscast_session_t *s);

/* The session goes. */
void wscast_entry_drop(wscast_session_t *s);


/* publish.c */

/* Checks a publish command and hands it to the engine; as _message(). */
wscast_status_t wscast_session_publish(wscast_session_t *s,
    wscast_command_t *c);

/* There may be room on the bus again: tries what is held. */
void wscast_session_retry(wscast_waiter_t *w);

/* The session goes: its outstanding receipts have nobody to tell. */
void wscast_session_orphan_answers(wscast_session_t *s);


/* ask.c; as _message() */

wscast_status_t wscast_session_presence(wscast_session_t *s,
    wscast_command_t *c);
wscast_status_t wscast_session_history(wscast_session_t *s,
    wscast_command_t *c);
wscast_status_t wscast_session_token(wscast_session_t *s,
    wscast_command_t *c);

/* The session goes: its questions are taken back. */
void wscast_session_drop_asks(wscast_session_t *s);


/* session.c */

/* 1 if the client may do this, by its location or by its token. */
int wscast_session_may(const wscast_session_t *s, unsigned op,
    wscast_str_t channel);

const wscast_rule_t *wscast_session_rule(const wscast_session_t *s,
    wscast_str_t channel);

/* The welcome, once all channels of the location are live. */
void wscast_session_welcome(wscast_session_t *s);

/*
 * The frame of a publication as this client shall have it; the publication's.
 * NULL and *told as of wscast_prepare_publication().
 */
wscast_prepared_t *wscast_session_frame(wscast_session_t *s,
    wscast_publication_t *pub, unsigned *told);

/*
 * Tells the client something; WSCAST_OK, or the reason for which the connection
 * must end: no memory, or an error in a dialect that has no answers.
 */
wscast_status_t wscast_session_tell(wscast_session_t *s, wscast_event_t *e);
wscast_status_t wscast_session_error(wscast_session_t *s, wscast_str_t id,
    unsigned code, const char *reason, wscast_str_t channel);

/* Tells conn, once, that what it held back may go on. */
void wscast_session_unblocked(wscast_session_t *s);


#endif /* WSCAST_SESSION_INNER_H */
