/*
 * control_inner.h: what the files of control share.
 *
 * Audience: control.c (sends and delivers), control_gather.c (a question's
 * answers), control_answer.c (what this worker says to one), control_json.c
 * (how it is written).
 */

#ifndef NGX_WSCAST_CONTROL_INNER_H
#define NGX_WSCAST_CONTROL_INNER_H


#include "control.h"
#include "../base/scan.h"


#define NGX_WSCAST_REPLY       "\001reply:"
#define NGX_WSCAST_REPLY_SIZE  (sizeof(NGX_WSCAST_REPLY) - 1 + 16 + 1 + 16)


typedef struct ngx_wscast_gather_s  ngx_wscast_gather_t;


struct ngx_wscast_control_s {
    ngx_wscast_hub_t        *hub;
    uint64_t                 worker;        /* random, names its answers */
    uint64_t                 number;        /* of the last question */

    wscast_list_t            gathers;       /* questions under way */
    wscast_list_t            queue;         /* posts that wait for room */
    wscast_list_t            sent;          /* posts that the engine has */
    size_t                   held;          /* bytes of both */
    wscast_waiter_t          waiter;

    ngx_event_t              join;          /* timer, until there is a slot */
    u_char                   reply[NGX_WSCAST_REPLY_SIZE];
    unsigned                 joined:1;
    unsigned                 ended:1;
};


/* A question of some worker, checked; views into its bytes. */

typedef struct {
    ngx_wscast_ask_e         type;
    uint64_t                 host;
    uint64_t                 worker;
    uint64_t                 id;
    wscast_str_t             name;
    wscast_str_t             after;
    uint64_t                 limit;
    wscast_status_t          reason;
    unsigned                 wanted:1;      /* an answer */
} ngx_wscast_asked_t;


/* An answer, checked. */

typedef struct {
    uint64_t                 host;
    uint64_t                 worker;
    uint64_t                 workers;
    uint64_t                 id;
    uint64_t                 count;
    wscast_str_t             channels;      /* JSON; or empty */
    ngx_uint_t               more;
} ngx_wscast_answer_t;


/*
 * Publishes.  gather: whose question it is, or NULL; local: if the engine is
 * away, this host shall hear it nevertheless.  NGX_ERROR: no memory, or too
 * much waits already.
 */
ngx_int_t ngx_wscast_control_post(ngx_wscast_control_t *control,
    wscast_str_t channel, wscast_str_t bytes, ngx_wscast_gather_t *gather,
    ngx_uint_t local);

/* This question's asker has gone. */
void ngx_wscast_control_forget(ngx_wscast_control_t *control,
    ngx_wscast_gather_t *gather);

/* Joins the channels of ours, once there is a slot. */
ngx_int_t ngx_wscast_control_join(ngx_wscast_control_t *control);


/* control_gather.c: the engine has taken the question, or not. */
void ngx_wscast_gather_posted(ngx_wscast_gather_t *g, wscast_status_t status,
    uint64_t receivers);

/* control_gather.c: an answer has come for this worker. */
void ngx_wscast_control_answered(ngx_wscast_control_t *control,
    wscast_str_t bytes);

/* control_gather.c: ends all, with AWAY. */
void ngx_wscast_control_give_up(ngx_wscast_control_t *control);

/* control_answer.c: a question has come. */
void ngx_wscast_control_asked(ngx_wscast_control_t *control,
    wscast_str_t bytes);


/*
 * control_json.c.  Anybody can publish to Redis, so that all is checked.
 */

/* Begins a question; the caller adds who asks, and the brace. */
void ngx_wscast_control_write(wscast_builder_t *b,
    const ngx_wscast_ask_t *ask);

/*
 * Reads a question; bytes must be writable, its strings are decoded in place.
 * NGX_DECLINED: it is none, or of a version that asks more.
 */
ngx_int_t ngx_wscast_asked_read(wscast_str_t bytes, ngx_wscast_asked_t *a);

/* Reads an answer. */
ngx_int_t ngx_wscast_answer_read(wscast_str_t bytes, ngx_wscast_answer_t *a);

/* 16 hexadecimal digits. */
void ngx_wscast_control_hex(wscast_builder_t *b, uint64_t n);

/* The member's value, if it is such a string; else -1. */
ngx_int_t ngx_wscast_control_unhex(wscast_str_t v, uint64_t *n);

/* The same of a decimal number without sign, fraction and exponent. */
ngx_int_t ngx_wscast_control_number(wscast_str_t v, uint64_t *n);

/* The channel of a worker's answers, of NGX_WSCAST_REPLY_SIZE bytes. */
void ngx_wscast_control_reply(u_char *p, uint64_t host, uint64_t worker);


#endif /* NGX_WSCAST_CONTROL_INNER_H */
