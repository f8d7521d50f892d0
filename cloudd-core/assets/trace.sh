# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Records which parts of the volume the container writes, with the kernel's block trace. Sourced by stage 1. If tracing
# is impossible or its result is inconsistent, $untraced contains the reason, and the whole volume is copied. The
# caller sets untraced (empty, or a reason not to trace), lib, trace (a file), extents (a file) and sys.

# $1: the volume's kernel name.
trace_start() {
    disk_traffic "$1"
    written_before=$sectors_written
    [ -z "$untraced" ] || return 0
    tracefs=$sys/kernel/tracing
    instance=$tracefs/instances/cloudd # a separate buffer, which does not affect other tracing
    event=$instance/events/block/block_rq_complete
    [ -d "$tracefs/events" ] || mount -t tracefs tracefs "$tracefs"
    IFS=: read -r major minor <"$sys/block/$1/dev"
    if ! { mkdir "$instance" &&
        echo 4096 >"$instance/buffer_size_kb" &&
        echo "dev == $((major << 20 | minor))" >"$event/filter" &&
        echo 1 >"$event/enable"; }; then
        untraced="the kernel's block trace is not available"
        return
    fi
    cat "$instance/trace_pipe" >"$trace" 2>"$trace.error" 3>&- &
    tracer=$!
} 2>/dev/null

# $1: the volume's kernel name, $2: its sectors. Writes the list of extents to $extents, and sets $written (bytes),
# $copied (bytes, including gaps that are too small for a separate request) and $count.
trace_stop() {
    disk_traffic "$1"
    delta=$((sectors_written - written_before))
    if [ -z "$untraced" ]; then
        # The trace is complete up to this marker once the marker has been read.
        echo cloudd-end >"$instance/trace_marker"
        tries=100
        until grep -q cloudd-end "$trace" || [ $tries = 0 ] || [ -s "$trace.error" ]; do
            tries=$((tries - 1))
            sleep 0.1
        done
        [ $tries -gt 0 ] || untraced="the end of the trace is missing"
        [ ! -s "$trace.error" ] || untraced="the trace cannot be stored: $(head -n 1 "$trace.error")"
        echo 0 >"$instance/tracing_on"
        kill "$tracer"
        wait "$tracer"
        rmdir "$instance"
    fi
    if [ -z "$untraced" ]; then
        awk -v size="$2" -v scratch="$trace.sorted" -f "$lib/extents.awk" "$trace" >"$trace.extents" &&
            {
                read -r traced lost written copied count
                cat >"$extents"
            } <"$trace.extents" || untraced="the trace could not be read"
    fi
    if [ -z "$untraced" ] && [ "$lost" != 0 ]; then
        untraced="the trace lost events"
    elif [ -z "$untraced" ] && [ "$traced" != "$delta" ]; then
        untraced="$traced sectors were traced but $delta written"
    fi
    if [ -n "$untraced" ]; then
        written=$((delta * 512))
        copied=$(($2 * 512))
        count=1
        echo "0 $copied" >"$extents"
    fi
} 2>/dev/null
