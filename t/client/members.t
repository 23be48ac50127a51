#!/bin/sh
# Who is in a channel: on paper.

exec node "$(dirname "$0")/members.mjs"
