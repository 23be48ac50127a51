#!/bin/sh
# Subscribing and publishing: the client with a clock and a socket of paper.

exec node "$(dirname "$0")/channels.mjs"
