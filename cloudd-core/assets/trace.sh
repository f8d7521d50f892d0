# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Records which parts of the volume the container writes, from the block layer's own trace. Sourced by stage 1.
# Whatever cannot be had or does not add up is put into $untraced, and then the whole volume is copied.
# The caller sets untraced (empty, or why there is no use in tracing), lib, trace (file), extents (file), sys.

# $1: the volume's kernel name.
trace_start() {
    disk_traffic "$1"
    written_before=$sectors_written
    [ -z "$untraced" ] || return 0
    tracefs=$sys/kernel/tracing
    instance=$tracefs/instances/cloudd # a buffer of our own: nobody else's tracing is touched
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
    cat "$instance/trace_pipe" >"$trace" 3>&- &
    tracer=$!
} 2>/dev/null

# $1: the volume's kernel name, $2: its sectors. Leaves the list of extents in $extents, and sets $written (bytes),
# $copied (bytes, with the gaps that are not worth a request of their own) and $count.
trace_stop() {
    disk_traffic "$1"
    delta=$((sectors_written - written_before))
    if [ -z "$untraced" ]; then
        # What comes before the mark in the trace is complete once the mark has come out of it.
        echo cloudd-end >"$instance/trace_marker"
        tries=100
        until grep -q cloudd-end "$trace" || [ $tries = 0 ]; do
            tries=$((tries - 1))
            sleep 0.1
        done
        [ $tries -gt 0 ] || untraced="the trace did not come to its end"
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
