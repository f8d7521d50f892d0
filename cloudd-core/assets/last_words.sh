#!/bin/sh
# Reports that the agent has ended without a result, whatever ended it. systemd runs this after the agent (ExecStopPost),
# with the cause in SERVICE_RESULT, EXIT_CODE and EXIT_STATUS (systemd.exec(5)).
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
lib=${0%/*}
run=/run/cloudd
proc=/proc

# shellcheck source=/dev/null # written by the host
. "$lib/env"
. "$lib/events.sh"
emit() { put "$1"; }

# shellcheck source=/dev/null
[ -z "${CLOUDD_TEST-}" ] || . "$CLOUDD_TEST" # overrides of the tests
[ -e "$run/events" ] && [ ! -e "$run/reported" ] || exit 0
# Continues the numbers and the source of the agent's events.
last=$(sed -n 's/^{"cloudd":1,"build":"[^"]*","from":"\([^"]*\)","seq":\([0-9]*\),.*/\1 \2/p' "$run/events" | tail -n 1)
from=${last% *}
seq=${last#* }
exec 8>>"$run/events"
open_port
# The last line of the agent may be incomplete.
torn=$newline
echo >&9
failed internal 1 "the agent was ended: ${SERVICE_RESULT-} (${EXIT_CODE-} ${EXIT_STATUS-})"
: >"$run/reported"
