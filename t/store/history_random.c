/* history: random deeds, against plain arrays. */

#include "heap_case.h"
#include "../../src/store/history.c"
#include "../../src/store/history_objects.c"
#include "../../src/store/history_end.c"
#include "../../src/store/history_read.c"
#include "../../src/store/history_check.c"


static wscast_history_t  history;
static unsigned          differences;


#define MUST(cond)                                                            \
    do {                                                                      \
        if (!(cond) && differences++ == 0) {                                  \
            note("%s:%d: must hold: %s", __FILE__, __LINE__, #cond);          \
        }                                                                     \
    } while (0)


#include "history_deeds.h"


/* What a script is made of; the rest are reads. */

typedef struct {
    const char      *name;
    unsigned         rounds;
    size_t           memory;
    unsigned         channels;
    uint32_t         count;         /* of messages: up to so many */
    uint64_t         ttl;           /* up to so many ms */
    uint64_t         pause;         /* up to so many ms between two deeds */
    uint32_t         len;           /* of most bodies: up to so many */
    unsigned         keys;          /* one of two publishes has one of these */
} script_t;


static const script_t  scripts[] = {
    { "in a heap with room", 6000, 1024 * 1024, 4, 40, 100000, 50, 300, 15 },
    { "in a full heap", 6000, SMALL, CHANNELS, 1000, 100000, 50, 300, 15 },
    { "in a heap full of large bodies", 4000, SMALL, CHANNELS, 1000, 100000,
      50, 16000, 2 },
    { "with one message a channel", 4000, SMALL, CHANNELS, 1, 1000000, 50, 600,
      0 },
    { "that expire", 6000, SMALL, CHANNELS, 30, 20000, 2000, 200, 15 },
    { "with keys", 4000, SMALL, 2, 3, 1000, 8000, 20, 15 },
};


static void
deed(const script_t *s)
{
    unsigned   channel, key;
    uint32_t   count, len;
    uint64_t   top, after, upto;

    channel = (unsigned) unit_below(s->channels);
    top = channels[channel].offset;
    clock_ms += unit_below(8) ? 0 : unit_below(s->pause);

    switch (unit_below(32)) {

    case 0:
        do_position(channel, unit_below(2) * (clock_ms + 1));
        return;

    case 1:
        do_sweep((unsigned) unit_below(30));
        return;

    case 2:
        if (unit_below(8) == 0) {
            do_forget(channel);
        }

        return;

    case 3:
        if (unit_below(16) == 0) {
            do_mark(channel, unit_below(2) ? channels[channel].epoch + 1
                                           : clock_ms,
                    unit_below(5));
        }

        return;

    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        after = unit_below(top + 3);
        upto = unit_below(2) ? 0 : after + unit_below(30);
        after = unit_below(3) ? after : 0;
        do_read(channel, after, upto, (unsigned) unit_below(2),
                (uint32_t) unit_below(12),
                unit_below(2) ? SIZE_MAX : unit_below(2000),
                unit_below(2) ? 0 : clock_ms - unit_below(s->ttl));
        return;

    case 10:
        do_given(channel, unit_below(4) ? channels[channel].epoch + 1
                                        : clock_ms,
                 top + unit_below(5), unit_below(2) * clock_ms);
        return;

    case 11:
        do_end(channel);
        return;

    default:
        key = s->keys ? (unsigned) unit_below(s->keys * 2) : 0;
        count = (uint32_t) unit_below(s->count + 1);
        len = (uint32_t) unit_below(s->len);
        len = unit_below(64) ? len : (uint32_t) unit_below(20000);
        do_publish(channel, key > s->keys ? 0 : key, count,
                   unit_below(s->ttl), (uint8_t) unit_random(), len,
                   (unsigned) unit_below(4));
    }
}


static void
test_script(const script_t *s)
{
    unsigned  i, bad;
    size_t    most;

    fresh(s->memory);
    wscast_history_init(&history, &heap, 77);
    model_clear();
    differences = 0;
    bad = 0;
    most = 0;

    for (i = 0; i < s->rounds; i++) {
        deed(s);
        most = nmessages > most ? nmessages : most;

        if (i % 20 == 0) {
            read_all();
            bad += !wscast_history_validate(&history)
                   || !wscast_heap_validate(&heap);
        }
    }

    is_int(differences, 0, "%u deeds %s are answered as by plain arrays",
           s->rounds, s->name);
    is_int(bad, 0, "and lists and heap are valid");
    note("%zu messages at most, %llu evicted", most,
         (unsigned long long) evicted);
}


int
main(void)
{
    unsigned  i;

    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        test_script(&scripts[i]);
    }

    wscast_free(packed.data);
    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
