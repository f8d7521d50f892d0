# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Writes events, one JSON object per line (README.md). Sourced by all parts of the guest scripts. The caller sets
# CLOUDD_BUILD, from and proc, opens fd 8 (log) and fd 9 (port), and defines emit: in stage 2 it calls put, in stage 1
# it writes to the writer's fifo.

seq=0
up=0
step=
newline='
'
torn=  # a newline after a line that may be incomplete
spare= # a file whose space is for events that must not be lost

# Writes an event with the body $1. Uses built-ins only, because a fork takes 20 ms under emulation and every log line
# passes through here. Errors are ignored: a failing port must not stop a build. $recorded is 0 if fd 8 took the event.
put() {
    seq=$((seq + 1))
    read -r up _ <"$proc/uptime"
    line="{\"cloudd\":1,\"build\":\"$CLOUDD_BUILD\",\"from\":\"$from\",\"seq\":$seq,\"up\":$up,$1}"
    record || { [ -n "$spare" ] && true >"$spare" && record; }
    recorded=$?
    printf '%s\n' "$line" >&9
} 2>/dev/null

# A full file system may have taken a part of the line.
record() {
    printf '%s%s\n' "$torn" "$line" >&8 || { torn=$newline && return 1; }
    torn=
}

# Opens the port ($CLOUDD_PORT) as fd 9, in raw mode: otherwise, the terminal would write \n as \r\n and echo its input.
# Tests with -c first, because a redirection to a missing device would create a regular file in /dev.
open_port() {
    exec 9>/dev/null
    [ -n "${CLOUDD_PORT-}" ] || return 0
    # Tried in a subshell first, because a failed redirection of `exec` ends the shell.
    if [ -c "$CLOUDD_PORT" ] && (exec 9>"$CLOUDD_PORT"); then
        exec 9>"$CLOUDD_PORT"
        stty -F "$CLOUDD_PORT" raw -echo
    else
        note "no serial port at $CLOUDD_PORT"
    fi
} 2>/dev/null

# Sets $quoted to at most 1000 bytes of $1, escaped for a JSON string: a double quote becomes ', other bytes than
# printable ASCII become ?.
quote() {
    rest=$(printf '%.1000s' "$1")
    quoted=
    unsafe='[!] !#-[^-~]*' # everything but printable ASCII without " and \
    while :; do
        # shellcheck disable=SC2295 # a pattern on purpose
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
