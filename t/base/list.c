/* base/list: links stay mutual whatever is appended and removed. */

#include "../lib/unit.h"
#include "../../src/base/list.h"


typedef struct {
    int            n;
    wscast_list_t  link;
} item_t;


int
main(void)
{
    int             i, n, on[100], wrong;
    item_t          items[100], *item;
    wscast_list_t   head, *l, *tmp;

    wscast_list_init(&head);

    ok(wscast_list_empty(&head), "a new list is empty");
    ok(wscast_list_validate(&head), "an empty list is valid");

    for (i = 0; i < 3; i++) {
        items[i].n = i;
        wscast_list_append(&head, &items[i].link);
    }

    ok(!wscast_list_empty(&head), "a list with elements is not empty");
    ok(wscast_list_validate(&head), "three elements make a valid list");
    is_int(wscast_list_first(&head, item_t, link)->n, 0,
           "the first element is the one appended first");

    n = 0;
    wrong = 0;

    wscast_list_each(l, tmp, &head) {
        item = wscast_container(l, item_t, link);
        wrong += item->n != n++;
        wscast_list_remove(l);
    }

    is_int(n, 3, "a walk that removes each element sees all of them");
    is_int(wrong, 0, "a walk goes in the order of appending");
    ok(wscast_list_empty(&head), "a list is empty after its last removal");

    wscast_list_remove(&items[0].link);
    ok(wscast_list_validate(&head) && wscast_list_validate(&items[0].link),
       "removing an unlinked element once more does no harm");

    items[1].link.prev = &head;
    ok(!wscast_list_validate(&items[1].link),
       "a link that is not mutual is found");

    for (i = 0; i < 100; i++) {
        on[i] = 0;
        wscast_list_init(&items[i].link);
    }

    wrong = 0;
    n = 0;

    for (i = 0; i < 20000; i++) {
        int  k = (int) unit_below(100);

        if (on[k]) {
            wscast_list_remove(&items[k].link);
            n--;

        } else {
            wscast_list_append(&head, &items[k].link);
            n++;
        }

        on[k] = !on[k];

        if (i % 100 == 0) {
            int  count = 0;

            for (l = head.next; l != &head; l = l->next) {
                count++;
            }

            wrong += count != n || !wscast_list_validate(&head);
        }
    }

    is_int(wrong, 0, "a list stays valid through 20000 random changes");

    return done();
}
