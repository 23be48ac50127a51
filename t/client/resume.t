#!/bin/sh
# Coming back without a gap, publishing once: on paper.

exec node "$(dirname "$0")/resume.mjs"
