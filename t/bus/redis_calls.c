/* redis: the n-th reply is that of the n-th command, whatever it was. */

/* libs: -lhiredis */

#include "redis_case.h"


typedef struct {
    ngx_wscast_call_t   call;
    const char         *name;
} call_t;


typedef struct {
    wscast_receipt_t    receipt;
    const char         *name;
} receipt_t;


static void
called(ngx_wscast_call_t *call, redisReply *reply)
{
    happens("%s=", ((call_t *) call)->name);

    if (reply == NULL) {
        happens("none ");

    } else if (reply->type == REDIS_REPLY_INTEGER) {
        happens("%lld ", reply->integer);

    } else {
        happens("%s ", reply->str);
    }
}


/* Asks once more, which must not be lost, nor answered with this reply. */

static void
called_again(ngx_wscast_call_t *call, redisReply *reply)
{
    size_t       len;
    const char  *word;

    called(call, reply);

    word = "AGAIN";
    len = 5;
    call->done = called;

    happens("rc%d ", (int) ngx_wscast_redis_call(&redis, call, none, 1, &word,
                                                 &len, 0));
}


static void
published(wscast_receipt_t *receipt, wscast_status_t status)
{
    happens("%s=%s:%llu ", ((receipt_t *) receipt)->name,
            status == WSCAST_OK ? "ok" : "away",
            (unsigned long long) receipt->receivers);
}


static ngx_int_t
call(call_t *c, const char *name, ngx_uint_t force)
{
    size_t  len;

    memset(c, 0, sizeof(call_t));
    c->call.done = called;
    c->name = name;

    len = strlen(name);

    return ngx_wscast_redis_call(&redis, &c->call, none, 1, &name, &len, force);
}


static wscast_status_t
publish(receipt_t *r, const char *name)
{
    memset(r, 0, sizeof(receipt_t));
    r->receipt.done = published;
    r->name = name;

    return ngx_wscast_redis_publish(&redis, s("c"), s(name), &r->receipt);
}


static void
probe(void)
{
    redis.nodes[0]->publisher.handler->probe(redis.nodes[0]);
}


static void
test_order(void)
{
    call_t     a, b, c;
    receipt_t  x, y;

    begin();

    is_int(publish(&x, "x"), WSCAST_MORE, "a publish is under way");
    is_int(call(&a, "a", 0), NGX_OK, "a command is, too");
    probe();
    is_int(call(&b, "b", 0), NGX_OK, "another one, behind a probe");
    is_int(publish(&y, "y"), WSCAST_MORE, "and a publish behind that");
    call(&c, "c", 0);

    is_str(story(), "PUBLISH_p:c_x a PING b PUBLISH_p:c_y c ",
           "they are sent in that order, and nobody is called meanwhile");

    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 3);
    is_str(story(), "x=ok:3 ", "the publisher learns how many have received");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "OK", 0);
    is_str(story(), "a=OK ", "a status is a reply like any other");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "PONG", 0);
    is_str(story(), "", "that of a probe concerns nobody");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 7);
    is_str(story(), "b=7 ", "an integer may be a command's");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_ERROR, "NOPERM", 0);
    is_str(story(), "log4 y=away:0 ",
           "an error to a publish is told and logged");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_ERROR, "NOSCRIPT", 0);
    is_str(story(), "c=NOSCRIPT ", "an error to a command is its own matter");

    is_int(counters[WSCAST_COUNT_PUBLISHED], 1, "one publish is counted");
    is_int(counters[WSCAST_COUNT_PUBLISH_FAILED], 1, "one failure, too");

    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 1);
    is_str(story(), "log4 ", "a reply to nothing is logged");

    publish(&x, "x");
    call(&a, "a", 0);
    story();
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 1);
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 2);
    is_str(story(), "x=ok:1 a=2 ", "and shifts nothing");

    over();
}


static void
test_probes(void)
{
    begin();

    probe();
    probe();
    is_str(story(), "PING ", "a probe that has no answer yet is enough");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_ERROR, "LOADING", 0);
    is_str(story(), "", "whatever the answer is");
    probe();
    is_str(story(), "PING ", "then there may be another");

    over();
}


static void
test_lost(void)
{
    call_t     a, b;
    receipt_t  x;

    begin();

    probe();
    call(&a, "a", 0);
    publish(&x, "x");
    call(&b, "b", 0);
    b.call.done = called_again;
    story();

    lose(&redis.nodes[0]->publisher);
    is_str(story(), "a=none x=away:0 b=none rc-5 writable ",
           "with the connection all end, in order; nothing new is taken");
    is_int(call(&a, "a", 1), NGX_DECLINED, "nor later, not even by force");
    is_int(publish(&x, "x"), WSCAST_CLOSE_AWAY, "no publish either");

    regain(&redis.nodes[0]->publisher);
    is_str(story(), "reachable writable ",
           "when it is back that is told, before who waits is called");

    call(&a, "a", 0);
    probe();
    publish(&x, "x");
    story();
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "fine", 0);
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "PONG", 0);
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 2);
    is_str(story(), "a=fine x=ok:2 ", "and replies are in order as before");

    call(&a, "a", 0);
    a.call.done = called_again;
    call(&b, "b", 0);
    story();
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "1", 0);
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "2", 0);
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "3", 0);
    is_str(story(), "a=1 AGAIN rc0 b=2 a=3 ",
           "who is answered may ask again, with the same struct");

    call(&a, "a", 0);
    publish(&x, "x");
    story();
    ngx_wscast_redis_close(&redis);
    is_str(story(), "a=none x=away:0 writable ",
           "who waits when all ends is told so");

    is_int(unit_live, 0, "nothing is left over");
}


static void
test_full(void)
{
    call_t     a;
    receipt_t  x;

    begin();

    link_says = NGX_AGAIN;
    is_int(call(&a, "a", 0), NGX_AGAIN,
           "if too much waits a command must wait");
    is_int(publish(&x, "x"), WSCAST_AGAIN, "and a publish");
    is_int(call(&a, "forced", 1), NGX_OK, "unless it is forced");
    is_str(story(), "forced ", "that alone is sent");

    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "OK", 0);
    is_str(story(), "forced=OK ", "and is the one that is answered");

    link_says = NGX_ERROR;
    is_int(call(&a, "a", 0), NGX_ERROR, "there may be no memory");
    is_int(publish(&x, "x"), WSCAST_CLOSE_NO_MEMORY, "for a publish, too");

    sh.redis_up = 0;
    link_says = NGX_OK;
    is_int(publish(&x, "x"), WSCAST_CLOSE_AWAY,
           "what this host could not hear is not published");
    is_int(call(&a, "a", 0), NGX_DECLINED, "nor by a script");
    is_int(call(&a, "a", 1), NGX_OK, "but other commands are sent");

    over();
}


/* Behind sentinels the probe asks for the role. */

static void
test_role(void)
{
    call_t  a;

    begin();
    ngx_str_set(&conf.redis_master, "main");

    probe();
    call(&a, "a", 0);
    is_str(story(), "ROLE a ", "a master is asked whether it is one");

    replies(&redis.nodes[0]->publisher, REDIS_REPLY_ARRAY, NULL, 0);
    is_str(story(), "", "if it is nothing happens");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_STATUS, "OK", 0);
    is_str(story(), "a=OK ", "and its replies go on");

    probe();
    story();
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_ERROR, "slave", 0);
    is_str(story(), "break(publisher) break(subscriber) ",
           "if it is not both connections are left");

    probe();
    story();
    redis.nodes[0]->publisher.handler->lost(redis.nodes[0]);
    is_str(story(), "writable ", "one that is gone is not left twice");

    ngx_str_null(&conf.redis_master);
    over();
}


int
main(void)
{
    test_order();
    test_probes();
    test_role();
    test_lost();
    test_full();

    return done();
}
