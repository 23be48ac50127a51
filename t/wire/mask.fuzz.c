/* wire/mask: input is a key of 4 bytes, a phase, an offset, and a payload. */

#include "../lib/fuzz_main.h"

#include "../../src/wire/mask.c"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t          i, n, offset;
    unsigned        phase, end, next;
    fuzz_cut_t      cut;
    const uint8_t  *key;
    unsigned char  *plain, *fast, *room;

    if (len < 6) {
        return 0;
    }

    key = data;
    phase = data[4];
    offset = data[5] & 15;
    data += 6;
    len -= 6;

    plain = malloc(len + 1);
    room = malloc(offset + len + 1);

    if (plain == NULL || room == NULL) {
        abort();
    }

    memcpy(plain, data, len);
    end = wscast_mask_plain(plain, len, key, phase);

    /* any alignment; the byte behind must stay */

    fast = room + offset;
    memcpy(fast, data, len);
    fast[len] = 0x5a;

    must(wscast_mask(fast, len, key, phase) == end);
    must(memcmp(fast, plain, len) == 0);
    must(fast[len] == 0x5a);

    /* twice is not at all */

    must(wscast_mask(fast, len, key, phase) == end);
    must(memcmp(fast, data, len) == 0);

    cut.data = data;
    cut.len = len;
    cut.at = 0;
    next = phase & 3;

    for (i = 0; i < len; i += n) {
        n = fuzz_cut(&cut, len - i);
        next = wscast_mask(fast + i, n, key, next);
    }

    must(next == end);
    must(memcmp(fast, plain, len) == 0);

    free(plain);
    free(room);

    return 0;
}
