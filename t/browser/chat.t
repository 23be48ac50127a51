#!/bin/sh
# The chat of `make run` in a real browser.  `make test` has installed what it
# needs by now; run alone, it does so itself.

cd "$(dirname "$0")" || exit 1

if [ ! -d node_modules/playwright-core ]; then
    npm ci --no-audit --no-fund --loglevel=error >&2 || exit 1
fi

exec node chat.mjs
