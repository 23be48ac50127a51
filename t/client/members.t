#!/bin/sh
# Who is in a channel: the client with a clock and a socket of paper.

exec node "$(dirname "$0")/members.mjs"
