# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# How every part of the guest side reports: one event, one line of JSON (README.md). Sourced, never run.
# The caller sets: CLOUDD_BUILD, from, proc, and opens fd 8 (log) and fd 9 (port). `emit` is put() itself where one
# process speaks, and a line into the writer's fifo in stage 1.

seq=0
up=0
step=

# Writes the event whose body is $1. Built-ins only: a fork costs 20 ms under emulation, and every log line comes here.
# A port that refuses bytes must not stop a build, so errors are dropped.
put() {
    seq=$((seq + 1))
    read -r up _ <"$proc/uptime"
    line="{\"cloudd\":1,\"build\":\"$CLOUDD_BUILD\",\"from\":\"$from\",\"seq\":$seq,\"up\":$up,$1}"
    printf '%s\n' "$line" >&8
    printf '%s\n' "$line" >&9
} 2>/dev/null

# Opens the port ($CLOUDD_PORT) as fd 9. Not raw, a terminal would turn \n into \r\n and echo what the host sends.
# -c first: a redirection to a missing device would make a plain file in /dev.
open_port() {
    exec 9>/dev/null
    [ -n "${CLOUDD_PORT-}" ] || return 0
    # Tried first in a subshell: a redirection that fails on `exec` ends the shell.
    if [ -c "$CLOUDD_PORT" ] && (exec 9>"$CLOUDD_PORT"); then
        exec 9>"$CLOUDD_PORT"
        stty -F "$CLOUDD_PORT" raw -echo
    else
        note "no serial port at $CLOUDD_PORT"
    fi
} 2>/dev/null

# Sets $quoted to at most 1000 bytes of $1, made safe inside a JSON string.
quote() {
    rest=$(printf '%.1000s' "$1")
    quoted=
    unsafe='[!] !#-[^-~]*' # all but printable ASCII; nor " and \
    while :; do
        # shellcheck disable=SC2295 # it is a pattern
        safe=${rest%%$unsafe}
        quoted=$quoted$safe
        rest=${rest#"$safe"}
        case $rest in
        '') break ;;
        \"*) quoted="$quoted'" ;;
        *) quoted="$quoted?" ;;
        esac
        rest=${rest#?}
    done
}

note() {
    quote "$1"
    emit "\"event\":\"note\",\"message\":\"$quoted\""
}

begin() {
    step=$1
    emit "\"event\":\"step\",\"step\":\"$step\",\"state\":\"start\""
}

end() {
    emit "\"event\":\"step\",\"step\":\"$step\",\"state\":\"end\",\"exit\":${1:-0}"
    step=
}

progress() { # STEP DONE TOTAL
    emit "\"event\":\"progress\",\"step\":\"$1\",\"done\":$2,\"total\":$3"
}

failed() { # REASON EXIT MESSAGE
    [ -z "$step" ] || end "$2"
    quote "$3"
    emit "\"event\":\"failed\",\"reason\":\"$1\",\"exit\":$2,\"message\":\"$quoted\""
}
