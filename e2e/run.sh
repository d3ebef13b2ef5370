#!/usr/bin/env bash
# The tests that need the machine's one full lab wait most of the time, so all others run beside them, with a log that is
# shown afterwards. Ends with the first code that is not 0.
set -uo pipefail
cd "$(dirname "$0")/.."
log="$(mktemp)"
set -m
"$PYTHON" -m pytest -q -m "e2e and not lab" e2e > "$log" 2>&1 < /dev/null &
beside="$!"
set +m
trap 'kill -- "-$beside" 2> /dev/null || true; rm -f "$log"' EXIT
code=0
"$PYTHON" -m pytest -q -m "e2e and lab" e2e || code="$?"
wait "$beside" || code="${code/#0/$?}"
cat "$log"
exit "$code"
