#!/bin/sh
# Tokens and their renewal: the client with a clock and a socket of paper.

exec node "$(dirname "$0")/tokens.mjs"
