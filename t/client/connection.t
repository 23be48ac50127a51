#!/bin/sh
# One connection that stays: the client with a clock and a socket of paper.

exec node "$(dirname "$0")/connection.mjs"
