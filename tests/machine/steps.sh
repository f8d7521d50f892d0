#!/bin/sh
# Makes the given targets one after the other, under headings, with the time of each, and ends with
# one line that says how many passed. A failure does not keep the others from running.
#
# A target that cannot run on this machine says why in the file $CLOUDD_SKIPPED and succeeds.
set -eu

passed=0 failed=0 skipped=0 table=
CLOUDD_SKIPPED=$(mktemp)
export CLOUDD_SKIPPED
trap 'rm -f "$CLOUDD_SKIPPED"' EXIT
trap 'exit 1' INT TERM HUP

for step in "$@"; do
    printf '\n======== %s\n' "$step"
    : >"$CLOUDD_SKIPPED"
    start=$(date +%s)
    if "${MAKE:-make}" --no-print-directory "$step" </dev/null; then
        if [ -s "$CLOUDD_SKIPPED" ]; then
            result="skipped: $(cat "$CLOUDD_SKIPPED")"
            skipped=$((skipped + 1))
        else
            result=passed
            passed=$((passed + 1))
        fi
    else
        result=FAILED
        failed=$((failed + 1))
    fi
    took=$(($(date +%s) - start))
    line=$(printf '%4d:%02d  %-12s %s' $((took / 60)) $((took % 60)) "$step" "$result")
    printf -- '--------%s\n' "$line"
    table="$table$line
"
done

printf '\n======== summary\n%s%d passed, %d failed, %d skipped\n' "$table" "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
