/* history: the memory is not what it was; nothing worse happens. */

#include "history_case.h"


#define ROUNDS  6000


static unsigned  found, healed;


static void
prepare(void)
{
    unsigned              i;
    static const char    *names[] = { "a", "b", "c", "d" };
    static unsigned char  body[900];

    begin(SMALL);

    for (i = 0; i < 300; i++) {
        publish_key(names[i % 4], i % 3 ? "" : "key", 40, 5000,
                    wscast_str(body, i * 7 % sizeof(body)));
        clock_ms += 10;
    }

    save();
}


static int
harmed(wscast_status_t rc)
{
    if (rc != WSCAST_ERROR) {
        return 0;
    }

    found++;
    wscast_heap_reset(&heap);

    return 1;
}


/* Some of everything; 1: the damage was met, and the heap is reset. */

static int
deeds(void)
{
    unsigned              i;
    wscast_position_t     p;
    static const char    *names[] = { "a", "b", "c", "d", "e" };
    static unsigned char  body[2000];

    for (i = 0; i < 40; i++) {
        wscast_heap_recover(&heap, 5);

        if (harmed(publish_key(names[i % 5], i % 3 ? "" : "key", 40, 5000,
                               wscast_str(body, unit_below(sizeof(body)))))
            || harmed(read_range(names[unit_below(5)], unit_below(60), 0,
                                 i % 2, 30, 4000, 0))
            || harmed(wscast_history_position(&history, s(names[i % 5]), 1,
                                              clock_ms, &p)))
        {
            return 1;
        }

        clock_ms += 100;

        if (harmed(wscast_history_sweep(&history, clock_ms, 20))
            || (i == 20 && harmed(wscast_history_forget(&history, s("b")))))
        {
            return 1;
        }
    }

    return 0;
}


static void
break_words(unsigned n)
{
    size_t          i;
    unsigned char  *p;

    p = (unsigned char *) sh;

    while (n--) {
        i = unit_below(4) ? unit_below(size)
                          : unit_below(sizeof(wscast_heap_sh_t));

        if (unit_below(2)) {
            p[i] ^= (unsigned char) (1u << unit_below(8));

        } else {

            /* a plausible cell in a place of others */

            i &= ~(size_t) 3;
            memset(p + i, 0, 4);
            p[i] = (unsigned char) unit_random();
        }
    }
}


/* Whatever was damaged, after a reset all is well. */

static void
heal(void)
{
    wscast_heap_reset(&heap);

    healed += valid() && accounted()
              && publish("a", 5, 1000, "well") == WSCAST_OK
              && strcmp(all("a"), "well ") == 0;
}


int
main(void)
{
    unsigned  i;

    prepare();

    for (i = 0; i < ROUNDS; i++) {
        break_words(1 + (unsigned) unit_below(30));
        (void) wscast_history_validate(&history);
        (void) wscast_heap_validate(&heap);
        (void) deeds();
        heal();
        restore();
    }

    ok(found > ROUNDS / 4, "%u of %u damaged memories were found out", found,
       ROUNDS);
    is_int(healed, ROUNDS, "a reset heals each of them");
    over();

    return done();
}
