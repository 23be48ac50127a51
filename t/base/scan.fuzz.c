/* libs: -lcjson */

/*
 * base/scan: what we take as JSON, cJSON takes too; a member that was cut
 * out is a valid value by itself and lies inside of the text; strings that are
 * decoded and quoted again stay the same.
 */

#include "../lib/fuzz_main.h"

#include <cjson/cJSON.h>

#include "../../src/base/utf8.c"
#include "../../src/base/prepared.c"
#include "../../src/base/quote.c"
#include "../../src/base/scan.c"


static void
value(wscast_str_t v, const uint8_t *data, size_t len)
{
    wscast_str_t      s, back, again;
    unsigned char    *copy;
    wscast_builder_t  b;

    must(v.data >= data && v.data + v.len <= data + len);
    must(wscast_json_valid(v));
    must(memchr(" \t\r\n", v.data[0], 4) == NULL);
    must(memchr(" \t\r\n", v.data[v.len - 1], 4) == NULL);

    if (!wscast_json_is_string(v)) {
        return;
    }

    copy = malloc(v.len);
    must(copy != NULL);
    memcpy(copy, v.data, v.len);

    if (wscast_json_decode(copy, v.len, &s) == WSCAST_OK) {
        must(wscast_utf8_valid(s));

        wscast_builder_init(&b, 0);
        wscast_json_quote(&b, s);
        again = wscast_builder_payload(&b);
        must(wscast_json_valid(again));
        must(wscast_json_decode((unsigned char *) again.data, again.len, &back)
             == WSCAST_OK);
        must(wscast_str_eq(s, back));
        wscast_builder_drop(&b);
    }

    free(copy);
}


/* What cJSON refuses though it is JSON: it keeps strings as UTF-8, and copies
 * a number into 63 bytes. */

static int
beyond_cjson(const uint8_t *data, size_t len)
{
    size_t  i, run;

    run = 0;

    for (i = 0; i < len; i++) {
        if (data[i] == '\\') {
            return 1;
        }

        run = data[i] && strchr("0123456789+-.eE", data[i]) ? run + 1 : 0;

        if (run > 60) {
            return 1;
        }
    }

    return 0;
}


/* The number of elements of an array, each of which is a value. */

static int
elements(const uint8_t *data, size_t len)
{
    int            n;
    size_t         at;
    wscast_str_t   array, element;

    for (at = 0; data[at] != '['; at++) { /* void */ }

    array = wscast_str(data + at, len - at);

    for (n = 0; wscast_json_element(&array, &element); n++) {
        value(element, data, len);
    }

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int                   valid, object;
    char                 *text;
    cJSON                *json;
    size_t                i;
    wscast_str_t          s;
    wscast_builder_t      b;
    wscast_json_member_t  m[3] = {
        { .name = wscast_string("type") },
        { .name = wscast_string("a") },
        { .name = wscast_string("") }
    };

    s = wscast_str(data, len);
    valid = wscast_json_valid(s);
    object = wscast_json_members(s, m, 3) == WSCAST_OK;

    must(!object || valid);

    if (valid && !beyond_cjson(data, len)) {
        text = malloc(len + 1);
        must(text != NULL);
        memcpy(text, data, len);
        text[len] = '\0';

        json = cJSON_ParseWithOpts(text, NULL, 1);
        must(json != NULL);
        must(!!cJSON_IsObject(json) == object);
        must(!cJSON_IsArray(json)
             || elements(data, len) == cJSON_GetArraySize(json));

        cJSON_Delete(json);
        free(text);
    }

    for (i = 0; object && i < 3; i++) {
        must((m[i].times == 0) == (m[i].value.len == 0));

        if (m[i].value.len) {
            value(m[i].value, data, len);
        }
    }

    /* any bytes can be quoted */

    wscast_builder_init(&b, 0);
    wscast_json_quote(&b, s);
    must(wscast_json_valid(wscast_builder_payload(&b)));
    wscast_builder_drop(&b);

    return 0;
}
