#include "rule.h"
#include "pattern.h"


const wscast_rule_t *
wscast_rule_find(const wscast_rule_t *rules, size_t n, wscast_str_t channel)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (wscast_pattern_match(rules[i].pattern, channel)) {
            return &rules[i];
        }
    }

    return NULL;
}
