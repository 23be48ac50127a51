/* base/rule: which of nginx.conf's channel blocks a channel falls under. */

#include "../lib/unit.h"

#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"
#include "../../src/base/rule.c"


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


int
main(void)
{
    size_t                i;
    wscast_rule_t         rules[3];
    static unsigned char  text[3][8] = { "room:7", "room:*", "*" };

    memset(rules, 0, sizeof(rules));

    for (i = 0; i < 3; i++) {
        rules[i].pattern = wscast_str(text[i], strlen((char *) text[i]));
        wscast_pattern_compile(text[i], rules[i].pattern.len);
    }

    ok(wscast_rule_find(rules, 3, s("room:7")) == &rules[0],
       "the first that matches counts");
    ok(wscast_rule_find(rules, 3, s("room:70")) == &rules[1],
       "however many match");
    ok(wscast_rule_find(rules, 3, s("lobby")) == &rules[2],
       "the last may be for all the others");
    ok(wscast_rule_find(rules, 2, s("lobby")) == NULL,
       "a channel may have none");
    ok(wscast_rule_find(NULL, 0, s("lobby")) == NULL, "as may a hub");

    return done();
}
