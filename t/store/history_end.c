/* history: what a host knows of the ends of channels, beyond where it is. */

#include "history_case.h"


static wscast_end_t
end_of(const char *channel)
{
    wscast_end_t  end;

    wscast_history_end(&history, s(channel), clock_ms, &end);

    return end;
}


static void
give(const char *channel, uint64_t epoch, uint64_t offset, uint64_t time)
{
    wscast_end_t  end;

    end.position.epoch = epoch;
    end.position.offset = offset;
    end.time = time;

    is_int(wscast_history_given(&history, s(channel), &end, clock_ms),
           WSCAST_OK, "an offset is given out");
}


static int
end_is(const char *channel, uint64_t epoch, uint64_t offset, uint64_t time)
{
    wscast_end_t  end;

    end = end_of(channel);

    return end.position.epoch == epoch && end.position.offset == offset
           && end.time == time;
}


static void
mark(const char *channel, uint64_t epoch, uint64_t offset, uint64_t time)
{
    wscast_end_t  end;

    end.position.epoch = epoch;
    end.position.offset = offset;
    end.time = time;

    wscast_heap_begin(&heap);
    wscast_history_mark(&history, s(channel), &end, clock_ms);
    wscast_heap_commit(&heap);
}


static void
test_end(void)
{
    wscast_end_t  end;

    begin(SMALL);
    is_int(wscast_history_end(&history, s("c"), clock_ms, &end), WSCAST_MORE,
           "of a channel that is not known no end is");

    mark("c", 3, 10, 100);
    ok(end_is("c", 3, 10, 100), "where a host has got is the end it knows");

    give("c", 3, 12, 120);
    ok(end_is("c", 3, 12, 120), "what is given out is the end");
    wscast_history_position(&history, s("c"), 0, clock_ms, &at);
    is_int(at.offset, 10, "... though it has not come");

    give("c", 3, 11, 110);
    mark("c", 3, 11, 110);
    ok(end_is("c", 3, 12, 120), "what was given out before changes nothing");

    give("c", 3, 13, 0);
    ok(end_is("c", 3, 13, 0), "by an answer that does not know the message");
    mark("c", 3, 13, 130);
    ok(end_is("c", 3, 13, 130), "... which is known when it has come");
    mark("c", 3, 13, 0);
    ok(end_is("c", 3, 13, 130), "... and then stays");

    give("c", 4, 1, 140);
    ok(end_is("c", 4, 1, 140), "another epoch counts anew");
    ok(valid() && accounted(), "lists and heap are valid");
}


static void
test_end_alone(void)
{
    wscast_end_t  end;

    begin(SMALL);
    give("new", 5, 7, 70);
    is_int(wscast_history_position(&history, s("new"), 0, clock_ms, &at),
           WSCAST_MORE, "where only the end is known there is no position");
    ok(end_is("new", 5, 7, 70), "... but an end");

    clock_ms += 5000;
    ok(end_is("new", 5, 7, 70) && valid(), "... also later, which is a use");

    is_int(wscast_history_position(&history, s("new"), 9, clock_ms, &at),
           WSCAST_OK, "who gives epochs gives it one");
    ok(at.epoch == 9 && at.offset == 0, "... from which it counts");

    give("kept", 5, 7, 70);
    publish("kept", 5, 1000, "x");
    is_str(all("kept"), "x ", "so does who publishes");
    wscast_history_position(&history, s("kept"), 0, clock_ms, &at);
    ok(at.epoch == 7 && at.offset == 1, "... with the first offset");

    give("mark", 5, 7, 70);
    mark("mark", 6, 3, 30);
    ok(end_is("mark", 6, 3, 30), "who has got elsewhere knows better");
    ok(valid() && accounted(), "lists and heap are valid");

    memset(&end, 0, sizeof(end));
    end.position.epoch = 1;

    wscast_heap_begin(&heap);
    take_all();
    wscast_heap_commit(&heap);
    is_int(wscast_history_given(&history, s("none"), &end, clock_ms),
           WSCAST_OK, "room is made for an end");
    ok(valid(), "lists are valid");
}


static void
test_use(void)
{
    uint32_t  cell;

    begin(SMALL);
    give("asked", 5, 7, 70);
    clock_ms++;
    give("idle", 5, 7, 70);
    clock_ms += 5000;
    ok(end_is("asked", 5, 7, 70), "somebody asks for an end");

    while (wscast_history_find(&history, s("idle"), &cell) == WSCAST_OK
           && history.evicted == 0)
    {
        clock_ms++;
        publish("c", 1000000, 1000000, "x");
    }

    ok(end_is("idle", 0, 0, 0), "when it is full, the end that nobody has "
                                "asked for since has gone");
    ok(end_is("asked", 5, 7, 70), "... the other one has not");
}


int
main(void)
{
    test_end();
    test_end_alone();
    test_use();
    over();

    return done();
}
