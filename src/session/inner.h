/*
 * inner.h: what the files of this room share.
 *
 * Audience: session.c and publish.c, nobody else.
 */

#ifndef WSCAST_SESSION_INNER_H
#define WSCAST_SESSION_INNER_H


#include "session.h"


static const wscast_str_t  wscast_empty = { 0, NULL };


/* Checks a publish command and hands it to the engine; as _message(). */
wscast_status_t wscast_session_publish(wscast_session_t *s,
    wscast_command_t *c);

/* There may be room on the bus again: tries what is held. */
void wscast_session_retry(wscast_waiter_t *w);

/* The session goes: its outstanding receipts have nobody to tell. */
void wscast_session_orphan_answers(wscast_session_t *s);

/*
 * Tells the client something; WSCAST_OK, or the reason for which the connection
 * must end: no memory, or an error in a dialect that has no answers.
 */
wscast_status_t wscast_session_tell(wscast_session_t *s, wscast_event_t *e);
wscast_status_t wscast_session_error(wscast_session_t *s, wscast_str_t id,
    unsigned code, const char *reason, wscast_str_t channel);

/* Copies, and forgets, the id of what is pending or held. */
wscast_status_t wscast_session_keep_id(wscast_session_t *s, wscast_str_t id);
void wscast_session_drop_id(wscast_session_t *s);

/* Tells conn, once, that what it held back may go on. */
void wscast_session_unblocked(wscast_session_t *s);


#endif /* WSCAST_SESSION_INNER_H */
