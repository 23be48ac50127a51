/*
 * redis_remote.h: the store in Redis, among its files; and what catchup.c asks
 * of it.
 *
 * Audience: redis_*.c, catchup.c.  A question to Redis is an "ask": one script
 * called once, and its answer.  It is made by ngx_wscast_ask(), gets its words,
 * and is sent; then it is its own owner, until its answer() has returned.
 */

#ifndef NGX_WSCAST_REDIS_REMOTE_H
#define NGX_WSCAST_REDIS_REMOTE_H


#include "store_inner.h"
#include "redis_scripts.h"


#define NGX_WSCAST_ASK_WORDS     48         /* keys and arguments */
#define NGX_WSCAST_ASK_WAITING   (16 * 1024 * 1024)     /* bytes, for scripts */

#define NGX_WSCAST_REMOTE_YOUNG  2          /* s to wait for a first link */

#define NGX_WSCAST_LEASE_LIFE    30000      /* ms */
#define NGX_WSCAST_LEASE_RENEW   10         /* s */
#define NGX_WSCAST_LEASE_POLL    2          /* s */
#define NGX_WSCAST_LEASE_HOLD    5000       /* ms that claimed work is ours */
#define NGX_WSCAST_LEASE_NAME    64         /* bytes */
#define NGX_WSCAST_LEASE_BATCH   32         /* channels at a time */
#define NGX_WSCAST_LEASE_MEMBERS 500        /* members of one at a time */
#define NGX_WSCAST_LOST_POLL     250        /* ms, while own members are lost */

/* An offset is a number of Lua's. */
#define NGX_WSCAST_OFFSET_MAX    ((uint64_t) 1 << 53)


typedef struct ngx_wscast_ask_s  ngx_wscast_ask_t;

/*
 * Exactly once, never inside ngx_wscast_ask_send().  reply: what the script has
 * answered, never an error; NULL: nothing.
 */
typedef void (*ngx_wscast_answer_pt)(ngx_wscast_ask_t *ask,
    struct redisReply *reply);

struct ngx_wscast_ask_s {
    ngx_wscast_call_t       call;
    wscast_list_t           link;           /* one of the remote's */
    ngx_wscast_remote_t    *remote;         /* NULL: that is gone */
    ngx_wscast_script_e     script;
    ngx_wscast_answer_pt    answer;
    void                   *data;           /* the asker's; NULL: it has gone */

    u_char                 *buf;            /* the words, kept for a retry */
    u_char                 *where;          /* scratch of _lease_where() */
    size_t                  len;
    size_t                  size;
    ngx_uint_t              nkeys;
    ngx_uint_t              nwords;
    size_t                  ends[NGX_WSCAST_ASK_WORDS];

    unsigned                load:1;         /* SCRIPT LOAD, no call of it */
    unsigned                retried:1;
    unsigned                failed:1;       /* no memory for a word */
};


/* The members of a dead lease are being removed; one at a time. */

typedef struct {
    u_char                  lease[NGX_WSCAST_LEASE_NAME];
    size_t                  len;            /* 0: there is none */
    u_char                 *names;          /* the batch */
    size_t                  ends[NGX_WSCAST_LEASE_BATCH];
    ngx_uint_t              n;
    ngx_uint_t              pending;        /* asks under way */
    unsigned                lose:1;         /* its clients may come back */
    unsigned                failed:1;
} ngx_wscast_purge_t;


struct ngx_wscast_remote_s {
    ngx_wscast_store_t     *store;
    ngx_log_t              *log;

    wscast_list_t           asks;           /* sent, in order */
    wscast_list_t           held;           /* to be sent once more */
    wscast_list_t           waiting;        /* behind those */
    size_t                  waiting_len;    /* bytes of words in it */
    u_char                  sha[NGX_WSCAST_SCRIPTS][40];
    u_char                  known[NGX_WSCAST_SCRIPTS];

    wscast_list_t           queries;        /* not yet answered */

    u_char                  lease[NGX_WSCAST_LEASE_NAME];
    size_t                  lease_len;      /* 0: it has none */
    uint64_t                nonce;          /* of this worker in it */
    uint64_t                generation;     /* each lease has a new one */
    ngx_wscast_purge_t      purge;
    uint64_t                burying;        /* the dead worker */
    ngx_event_t             timer;          /* while own members are lost */
    ngx_msec_t              losing;         /* until then */
    ngx_uint_t              ticks;
    ngx_uint_t              young;          /* ticks until it is reached */

    time_t                  complained;     /* s: logged a refusal */
    unsigned                reached:1;      /* else queries wait for it */
    unsigned                reloading:1;    /* Redis has forgotten scripts */
    unsigned                refused:1;      /* the lease: Redis loads */
    unsigned                closing:1;
    unsigned                polling:1;
};


/* redis_ask.c: NULL: no memory. */
ngx_wscast_ask_t *ngx_wscast_ask(ngx_wscast_remote_t *remote,
    ngx_wscast_script_e script, ngx_wscast_answer_pt answer, void *data);

/*
 * redis_ask.c: the words, keys first: {PREFIX CHANNEL} and suffix (an empty
 * channel: a key of the hub), its name in Pub/Sub, a string, a number.
 */
void ngx_wscast_ask_key(ngx_wscast_ask_t *ask, wscast_str_t channel,
    const char *suffix, wscast_str_t rest);
void ngx_wscast_ask_name(ngx_wscast_ask_t *ask, wscast_str_t channel);
void ngx_wscast_ask_word(ngx_wscast_ask_t *ask, wscast_str_t word);
void ngx_wscast_ask_number(ngx_wscast_ask_t *ask, uint64_t n);
void ngx_wscast_ask_epoch(ngx_wscast_ask_t *ask, uint64_t epoch);

/* redis_ask.c: a word, keys included. */
wscast_str_t ngx_wscast_ask_at(ngx_wscast_ask_t *ask, ngx_uint_t i);

/*
 * redis_ask.c: NGX_OK; else it is freed and not answered: NGX_DECLINED, Redis
 * is away; NGX_AGAIN, as of ngx_wscast_bus_call(); NGX_ERROR.
 */
ngx_int_t ngx_wscast_ask_send(ngx_wscast_ask_t *ask, ngx_uint_t force);

/* redis_ask.c: an answer of which nothing is wanted. */
void ngx_wscast_ask_ignore(ngx_wscast_ask_t *ask, struct redisReply *reply);

/* redis_ask.c: the scripts are given to Redis. */
void ngx_wscast_ask_load(ngx_wscast_remote_t *remote);

/* redis_ask.c: answers all with NULL. */
void ngx_wscast_ask_close(ngx_wscast_remote_t *remote);

/*
 * redis_reply.c: what a reply has at i.  NGX_ERROR: something else; the asker
 * then says so by _malformed() of redis_ask.c, which logs it.
 */
ngx_int_t ngx_wscast_reply_number(struct redisReply *reply, size_t i,
    uint64_t *n);
ngx_int_t ngx_wscast_reply_string(struct redisReply *reply, size_t i,
    wscast_str_t *s);
ngx_int_t ngx_wscast_reply_position(struct redisReply *reply,
    wscast_position_t *position);
void ngx_wscast_reply_malformed(ngx_wscast_ask_t *ask);


/*
 * redis_end.c: a publish was answered, and its message is there; duplicate 1:
 * it was before.
 */
void ngx_wscast_end_given(ngx_wscast_ask_t *ask,
    const wscast_position_t *position, ngx_uint_t duplicate);

/*
 * redis_end.c: what this host knows of the end of a channel, zeros: nothing;
 * and the words that say so: epoch, offset, and the time unless it is 0.
 */
void ngx_wscast_end_known(ngx_wscast_remote_t *remote, wscast_str_t channel,
    wscast_end_t *end);
void ngx_wscast_end_words(ngx_wscast_ask_t *ask, const wscast_end_t *end);

/* redis_end.c: 1 if the same server has said that: it need not be compared. */
ngx_uint_t ngx_wscast_end_sure(ngx_wscast_remote_t *remote,
    const wscast_end_t *end);


/* redis_lease.c */
void ngx_wscast_lease_init(ngx_wscast_remote_t *remote);
void ngx_wscast_lease_close(ngx_wscast_remote_t *remote);
void ngx_wscast_lease_tick(ngx_wscast_remote_t *remote);

/* redis_lease.c: a new one, and the members move to it. */
ngx_int_t ngx_wscast_lease_begin(ngx_wscast_remote_t *remote);

/* redis_lease.c: the keys of a channel's members, in the scripts' order. */
void ngx_wscast_lease_members(ngx_wscast_ask_t *ask, wscast_str_t channel);

/*
 * redis_lease.c: the nonce of a worker of this host that has, or had, members,
 * and is gone, after this nonce (0: the first); 0: there is none.
 */
uint64_t ngx_wscast_lease_orphan(ngx_wscast_remote_t *remote, uint64_t nonce);

/* redis_lease.c: before a join; NGX_OK or as ngx_wscast_ask_send(). */
ngx_int_t ngx_wscast_lease_note(ngx_wscast_remote_t *remote,
    wscast_str_t channel);

/* redis_lease.c: after a leave, if nobody of this worker is there any more. */
void ngx_wscast_lease_unnote(ngx_wscast_remote_t *remote,
    wscast_str_t channel);

/* redis_lease.c: the channel of an ask for a script of members; empty: no
   memory. */
#define NGX_WSCAST_LEASE_KEYS    6          /* then comes the name */
wscast_str_t ngx_wscast_lease_where(ngx_wscast_ask_t *ask);

/*
 * redis_purge.c: the end of a lease: a dead worker's of this host, one of this
 * worker that has a new one, a dead worker's on this channel alone, and one
 * that was claimed.
 */
void ngx_wscast_purge_bury(ngx_wscast_remote_t *remote, uint64_t nonce);
void ngx_wscast_purge_replace(ngx_wscast_remote_t *remote,
    wscast_str_t lease);
void ngx_wscast_purge_sooner(ngx_wscast_remote_t *remote, uint64_t nonce,
    wscast_str_t channel);
void ngx_wscast_purge_begin(ngx_wscast_remote_t *remote, wscast_str_t lease,
    ngx_uint_t lose);

/* redis_lost.c: what is due in Redis is done by who asks first. */
void ngx_wscast_lost_poll(ngx_wscast_remote_t *remote);

/* redis_lost.c: members of this channel are about to become lost. */
void ngx_wscast_lost_miss(ngx_wscast_remote_t *remote, wscast_str_t channel,
    uint32_t grace);

/*
 * redis_fetch.c: an ask for the messages between two offsets, for which its
 * answer and data are still to be set; NULL: no memory.
 */
ngx_wscast_ask_t *ngx_wscast_fetch_range(ngx_wscast_remote_t *remote,
    const wscast_rule_t *rule, wscast_str_t channel, uint64_t after,
    uint64_t upto, unsigned newest, uint64_t limit, uint64_t bytes);

/*
 * redis_fetch.c: what its answer has at i, from 3 on; views.  NGX_DECLINED:
 * no message that this build can read.
 */
ngx_int_t ngx_wscast_fetch_entry(ngx_wscast_ask_t *ask,
    struct redisReply *reply, size_t i, wscast_str_t channel,
    wscast_str_t *bytes, wscast_pub_fields_t *f);


/* For catchup.c: a question about a channel; embed it. */

typedef struct ngx_wscast_fetch_s  ngx_wscast_fetch_t;

struct ngx_wscast_fetch_s {
    ngx_wscast_ask_t       *ask;            /* under way; or NULL */

    /* a message, in order; views */
    void                  (*entry)(ngx_wscast_fetch_t *fetch,
                                   wscast_str_t bytes,
                                   const wscast_pub_fields_t *f);

    /* top: where the channel is, 0, 0: Redis does not know; NULL: no answer */
    void                  (*done)(ngx_wscast_fetch_t *fetch,
                                  const wscast_position_t *top,
                                  ngx_uint_t more);
};

/*
 * redis_fetch.c: where the channel is, and messages after an offset.  NGX_OK:
 * done() will be called, later; else it will not.
 */
ngx_int_t ngx_wscast_remote_locate(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, wscast_str_t channel,
    ngx_wscast_fetch_t *fetch);
ngx_int_t ngx_wscast_remote_fetch(ngx_wscast_store_t *store,
    const wscast_rule_t *rule, wscast_str_t channel, uint64_t after,
    ngx_wscast_fetch_t *fetch);

/* redis_fetch.c: forgets the question. */
void ngx_wscast_remote_unfetch(ngx_wscast_fetch_t *fetch);


#endif /* NGX_WSCAST_REDIS_REMOTE_H */
