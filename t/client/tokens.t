#!/bin/sh
# Tokens and their renewal: on paper.

exec node "$(dirname "$0")/tokens.mjs"
