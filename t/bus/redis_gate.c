/*
 * redis: a channel is called live when the store agrees, and what has a
 * position passes the store.
 */

/* libs: -lhiredis */

#include "redis_case.h"


static void
want(unsigned kind, unsigned from, const char *channel)
{
    wscast_record_t  rec;

    memset(&rec, 0, sizeof(rec));
    rec.kind = kind;
    rec.from = from;
    rec.arg = 1000 + from;
    rec.channel = s(channel);

    ngx_wscast_redis_want(&redis, &rec);
}


/* A push of two or three strings; what the handler answers. */

static ngx_int_t
push(const char *kind, const char *channel, const char *data, size_t len)
{
    unsigned     i;
    redisReply   reply, part[3], *parts[3];

    memset(&reply, 0, sizeof(reply));
    memset(part, 0, sizeof(part));

    for (i = 0; i < 3; i++) {
        part[i].type = REDIS_REPLY_STRING;
        parts[i] = &part[i];
    }

    part[0].str = (char *) kind;
    part[0].len = strlen(kind);
    part[1].str = (char *) channel;
    part[1].len = strlen(channel);
    part[2].str = (char *) data;
    part[2].len = len;

    reply.type = REDIS_REPLY_ARRAY;
    reply.element = parts;
    reply.elements = data ? 3 : 2;

    return redis.nodes[0]->subscriber.handler->reply(redis.nodes[0], &reply);
}


static void
confirm(const char *channel)
{
    push("subscribe", channel, "", 0);
}


static ngx_int_t
message(const char *data, size_t len)
{
    return push("message", "p:c", data, len);
}


static void
announce(const char *channel)
{
    ngx_wscast_redis_announce(&redis, s(channel));
}


static void
lead(void)
{
    begin();
    ngx_wscast_redis_lead(&redis, 3);
    regain(&redis.nodes[0]->subscriber);
    story();
}


static void
test_messages(void)
{
    char  e[WSCAST_ENVELOPE_HEADER + 4];

    lead();

    is_int(message("x", 1), NGX_OK, "a message of a channel nobody wants");
    is_str(story(), "", "is let go");

    want(WSCAST_REC_WANT, 0, "c");
    confirm("p:c");
    story();

    memset(e, 0, sizeof(e));
    e[1] = WSCAST_ENVELOPE_VERSION;
    e[3] = WSCAST_PUB_JSON;

    is_int(message(e, sizeof(e)), NGX_OK, "a message is taken");
    is_str(story(), "append:1:c ", "without a position it is appended");

    e[3] = WSCAST_PUB_JSON | WSCAST_PUB_POSITION;

    is_int(message(e, sizeof(e)), NGX_OK, "a message is taken");
    is_str(story(), "arrived:c:40 ", "with a position it is the store's");
    is_int(counters[WSCAST_COUNT_REDIS_IN], 2, "both are counted");

    store_says = NGX_AGAIN;
    is_int(message(e, sizeof(e)), NGX_AGAIN, "the store may have no room");
    is_str(story(), "arrived:c:40 ", "then nothing is appended");
    is_int(counters[WSCAST_COUNT_REDIS_IN], 2, "and nothing is counted");

    store_says = NGX_DECLINED;
    is_int(message(e, sizeof(e)), NGX_OK, "there may be no store");
    is_str(story(), "arrived:c:40 append:1:c ", "then it is appended");
    store_says = NGX_OK;

    is_int(message(e, WSCAST_ENVELOPE_HEADER - 1), NGX_OK, "a short one");
    is_str(story(), "append:1:c ", "is no envelope");

    e[1] = WSCAST_ENVELOPE_VERSION + 1;
    message(e, sizeof(e));
    is_str(story(), "append:1:c ", "nor is one of another version");

    memset(e, 0x07, sizeof(e));
    message(e, sizeof(e));
    is_str(story(), "append:1:c ", "nor what does not begin with a zero");

    message("", 0);
    is_str(story(), "append:1:c ", "nor nothing");

    ring_says = WSCAST_AGAIN;
    is_int(message("x", 1), NGX_AGAIN, "without room reading is held");
    ring_says = WSCAST_CLOSE_TOO_BIG;
    is_int(message("x", 1), NGX_OK, "what never fits is dropped");
    is_str(story(), "log4 ", "with a word");
    is_int(counters[WSCAST_COUNT_GAPS], 1, "and counted as a gap");

    over();
}


static void
test_confirmed(void)
{
    lead();

    want(WSCAST_REC_WANT, 1, "c");
    is_str(story(), "SUBSCRIBE_p:c ", "a wish is sent to Redis");
    confirm("p:c");
    is_str(story(), "confirmed:c:0 send:2:c ",
           "without history it is live when Redis has confirmed it");

    store_says = NGX_AGAIN;
    want(WSCAST_REC_WANT, 1, "h");
    confirm("p:h");
    is_str(story(), "SUBSCRIBE_p:h confirmed:h:0 ",
           "the store may want to fetch something first");
    want(WSCAST_REC_WANT, 2, "h");
    is_str(story(), "", "until then it is live for nobody");
    announce("other");
    announce("h");
    is_str(story(), "send:2:h ", "then for all");
    announce("h");
    is_str(story(), "", "once");
    want(WSCAST_REC_WANT, 3, "h");
    is_str(story(), "send:2:h>3 ", "who comes later is told at once");

    lose(&redis.nodes[0]->subscriber);
    is_str(story(), "unsubscribed ", "the store learns of a loss");
    is_int(sh.redis_up, 0, "all workers do");

    regain(&redis.nodes[0]->subscriber);
    story();
    confirm("p:h");
    is_str(story(), "confirmed:h:1 ",
           "afterwards messages may have been missed");
    store_says = NGX_OK;
    confirm("p:c");
    is_str(story(), "confirmed:c:1 log5 send:2:c ",
           "without history they have");
    is_int(counters[WSCAST_COUNT_GAPS], 1, "that alone is a gap");

    lose(&redis.nodes[0]->subscriber);
    is_str(story(), "send:2:h unsubscribed ",
           "whoever still waits is let go on when Redis is away");
    announce("h");
    is_str(story(), "", "what the store had begun is void");

    store_says = NGX_AGAIN;
    regain(&redis.nodes[0]->subscriber);
    story();
    confirm("p:h");
    is_str(story(), "confirmed:h:1 ", "and is begun anew");
    want(WSCAST_REC_UNWANT, 1, "h");
    want(WSCAST_REC_UNWANT, 2, "h");
    want(WSCAST_REC_UNWANT, 3, "h");
    is_str(story(), "UNSUBSCRIBE_p:h ", "nobody may wait for it any more");
    want(WSCAST_REC_WANT, 1, "h");
    is_str(story(), "SUBSCRIBE_p:h ", "or somebody again");
    announce("h");
    is_str(story(), "", "then the former answer is void");
    push("unsubscribe", "p:h", "", 0);
    confirm("p:h");
    announce("h");
    is_str(story(), "confirmed:h:0 send:2:h ", "and a new one is asked for");

    ngx_wscast_redis_follow(&redis);
    is_str(story(), "unsubscribed ", "the store learns of a lead that is lost");
    ngx_wscast_redis_follow(&redis);
    announce("h");
    is_str(story(), "", "once");

    over();
}


static void
test_internal(void)
{
    lead();

    store_says = NGX_AGAIN;
    want(WSCAST_REC_WANT, 1, "\1control");
    confirm("p:\1control");
    is_str(story(), "SUBSCRIBE_p:\1control send:2:\1control ",
           "the workers' own channels need no store");
    push("message", "p:\1control", "x", 1);
    is_str(story(), "append:1:\1control ", "their messages come as others do");
    push("message", "p:\1host:0000000000000abc", "x", 1);
    is_str(story(), "", "only the marker of a handover is told apart");

    lose(&redis.nodes[0]->subscriber);
    regain(&redis.nodes[0]->subscriber);
    is_str(story(), "unsubscribed SUBSCRIBE_p:\1control PING ",
           "they are subscribed again like others");
    confirm("p:\1control");
    is_str(story(), "send:2:\1control ", "and are live again");
    is_int(counters[WSCAST_COUNT_GAPS], 0, "no client has missed anything");

    over();
}


static void
test_new_leader(void)
{
    lead();

    store_says = NGX_AGAIN;
    want(WSCAST_REC_RECALL, 1, "h");
    confirm("p:h");
    is_str(story(), "SUBSCRIBE_p:h confirmed:h:1 ",
           "after the death of a leader messages may have been missed");

    over();
}


static void
recalled(unsigned from, uint64_t epoch)
{
    wscast_record_t  rec;

    memset(&rec, 0, sizeof(rec));
    rec.kind = WSCAST_REC_RECALLED;
    rec.from = from;
    rec.arg = epoch;

    ngx_wscast_redis_recalled(&redis, &rec);
}


/* Slot 3 listens to whatever it is, and says so late. */

static void
test_untold(void)
{
    lead();

    store_says = NGX_AGAIN;
    wscast_slotset_add(&listening, 1);
    wscast_slotset_add(&listening, 3);

    recalled(1, 3);
    recalled(3, 2);
    recalled(WSCAST_SLOTS, 3);
    want(WSCAST_REC_WANT, 1, "a");
    confirm("p:a");
    is_str(story(), "SUBSCRIBE_p:a confirmed:a:1 ",
           "who has not told this leader all may have missed something");

    want(WSCAST_REC_RECALL, 3, "a");
    recalled(3, 4);
    want(WSCAST_REC_WANT, 1, "b");
    confirm("p:b");
    is_str(story(), "SUBSCRIBE_p:b confirmed:b:0 ",
           "who has, and is not on the channel, has not");

    ngx_wscast_redis_follow(&redis);
    ngx_wscast_redis_lead(&redis, 7);
    regain(&redis.nodes[0]->subscriber);
    story();
    recalled(1, 7);
    want(WSCAST_REC_WANT, 1, "a");
    confirm("p:a");
    is_str(story(), "SUBSCRIBE_p:a confirmed:a:1 ",
           "in another epoch it must be told again");

    memset(&listening, 0, sizeof(listening));
    over();
}


/*
 * The heir of a handover: slot 0, from the leader in slot 1.  With sleeper slot
 * 2 listens to whatever it is, and tells nobody.
 */

static void
test_heir(int sleeper)
{
    wscast_record_t  rec;

    begin();

    if (sleeper) {
        wscast_slotset_add(&listening, 2);
    }

    store_says = NGX_AGAIN;

    sh.slots[0].state = WSCAST_SLOT_ACTIVE;
    sh.slots[1].state = WSCAST_SLOT_ACTIVE;
    sh.leader = 2;
    sh.heir = 1;

    ngx_wscast_redis_inherit(&redis, 5);
    regain(&redis.nodes[0]->subscriber);
    story();

    want(WSCAST_REC_RECALL, 1, "old");
    want(WSCAST_REC_WANT, 0, "both");
    want(WSCAST_REC_RECALL, 1, "both");
    want(WSCAST_REC_WANT, 0, "new");
    want(WSCAST_REC_RECALL, 0, "new");
    is_str(story(), "SUBSCRIBE_p:old SUBSCRIBE_p:both SUBSCRIBE_p:new ",
           "the heir subscribes to all that it is told of");
    confirm("p:old");
    confirm("p:both");
    confirm("p:new");
    is_str(story(), "", "and the store is not asked: the leader delivers");

    memset(&rec, 0, sizeof(rec));
    rec.arg = 5;
    ngx_wscast_redis_recalled(&redis, &rec);
    rec.from = 1;
    sh.marker = 5;
    ngx_wscast_redis_recalled(&redis, &rec);
    is_str(story(), "PING_all ", "told all, it asks behind its subscriptions");
    push("pong", "all", NULL, 0);
    is_str(story(), "PUBLISH_p:\1host:0000000000000abc_5 ",
           "and publishes the marker");
    replies(&redis.nodes[0]->publisher, REDIS_REPLY_INTEGER, NULL, 2);
    is_int(counters[WSCAST_COUNT_PUBLISHED], 0,
           "which is not counted as a message");

    want(WSCAST_REC_WANT, 1, "late");
    confirm("p:late");
    want(WSCAST_REC_RECALL, 1, "late");
    want(WSCAST_REC_RECALL, 0, "late");
    story();

    is_int(push("message", "p:\1host:0000000000000abc", "5", 1), NGX_AGAIN,
           "at the marker it waits for the leader's last word");
    ngx_wscast_redis_handed(&redis, &rec);
    ok(strstr(notes, "resume:subscriber "), "then it goes on");
    is_int(push("message", "p:\1host:0000000000000abc", "5", 1), NGX_OK,
           "and takes over");

    ok(strstr(notes, "send:2:old ") && strstr(notes, "send:2:both "),
       "what the leader had is live");
    ok(!strstr(notes, "confirmed:old") && !strstr(notes, "confirmed:both"),
       "without a question: the marker proves that nothing was missed");
    ok(strstr(notes, sleeper ? "confirmed:new:1 " : "confirmed:new:0 ")
       && strstr(notes, sleeper ? "confirmed:late:1 " : "confirmed:late:0 ")
       && !strstr(notes, "send:2:new ") && !strstr(notes, "send:2:late "),
       "for what was new meanwhile the store is asked");
    story();

    announce("late");
    announce("new");
    is_str(story(), "send:2:late send:2:new ", "and announces it");

    want(WSCAST_REC_WANT, 1, "next");
    confirm("p:next");
    is_str(story(), sleeper ? "SUBSCRIBE_p:next confirmed:next:1 "
                            : "SUBSCRIBE_p:next confirmed:next:0 ",
           "from then on it is asked for all");

    memset(&listening, 0, sizeof(listening));
    over();
}


int
main(void)
{
    test_messages();
    test_confirmed();
    test_internal();
    test_new_leader();
    test_untold();
    test_heir(0);
    test_heir(1);

    return done();
}
