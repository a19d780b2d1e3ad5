#!/usr/bin/env bash
# Runs every fixture again and again, 20 times unless told otherwise, and prints
# how often each of its tests was as it should be; `track` by plain cargo as well
# as by the command. Names of fixtures may follow
# the number.
#
#   tests/repeat.sh            all fixtures, 20 times
#   tests/repeat.sh 5 races    one fixture, 5 times
set -euo pipefail
cd "$(dirname "$0")/.."

number="${1:-20}"
[ "$#" -gt 0 ] && shift

LEAKCHECK_REPEAT="$number" exec cargo test -p leakcheck-tests --test detect --test track --locked -- \
    --nocapture --test-threads=1 "$@"
