#!/bin/sh
# cloudd stage 1, the agent: runs in the builder's operating system, builds and runs the install container, lists the
# extents that it wrote to the volume, and arms stage 2 (README.md). It never powers off: after a failure, it reports
# and leaves the VM running, to be examined, and deleted by the host.
set -u
export LC_ALL=C HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
lib=${0%/*}
run=/run/cloudd
sys=/sys
proc=/proc
from=stage1
extents=$run/extents
trace=$lib/trace # on the disk: one line per request may be too much for /run
state=$lib/state # progress that survives a reboot
why=

# shellcheck source=/dev/null # written by the host
. "$lib/env"
. "$lib/events.sh"
. "$lib/disks.sh"
. "$lib/trace.sh"
. "$lib/arm.sh"

# --- reporting: all processes write lines to a fifo, each shorter than PIPE_BUF; one writer numbers them

emit() { printf '%s\n' "$1" >&3; }

start_writer() {
    # Space in /run for the events that report the result, even if /run is full later.
    spare=$run/spare
    head -c 524288 /dev/zero >"$spare"
    mkfifo "$run/fifo" "$run/ack"
    # Read and write: open does not block, and no reader sees the end of the file.
    exec 3<>"$run/fifo" 7<>"$run/ack"
    writer &
    writer=$!
}

writer() {
    emit() { put "$1"; }
    exec 8>>"$run/events"
    open_port
    put '"event":"hello"'
    while IFS= read -r body; do
        case $body in
        '"event":"log"'*) put_log ;;
        flush) echo >&7 ;;
        quit) return ;;
        *)
            put_recent
            put "$body"
            ;;
        esac
    done <&3
}

# The space in bytes for lines of output, because /run is a file system in memory. After it is used up, the last 20 lines
# before each other event are written, and the lines before them are dropped. 150 is the length of a line without the
# body.
log_room=${CLOUDD_LOG_BYTES:-8388608}
recent=
recent_lines=0

# Writes the line of output $body, or keeps it in $recent.
put_log() {
    # The container's exit code is in the last such line of the step.
    case $body in
    '"event":"log","step":"run",'*'Error: '*' exit status '*[0-9]\") keep_status ;;
    esac
    if [ "$log_room" -gt 0 ]; then
        log_room=$((log_room - ${#body} - 150))
        kept=$spare
        spare= # not for output
        put "$body"
        spare=$kept
        [ "$recorded" = 0 ] || log_room=0
        [ "$log_room" -gt 0 ] ||
            note "the log is full: of further output, only the last 20 lines before the end of each step are reported"
        return
    fi
    recent=$recent$body$newline
    recent_lines=$((recent_lines + 1))
    [ $recent_lines -le 20 ] || recent=${recent#*"$newline"}
}

put_recent() {
    while [ -n "$recent" ]; do
        put "${recent%%"$newline"*}"
        recent=${recent#*"$newline"}
    done
    recent_lines=0
}

# Keeps an exit code in the range and the form that JSON and every shell have.
keep_status() {
    status=${body##* exit status }
    status=${status%\"}
    case $status in
    [0-9] | [1-9][0-9] | [12][0-9][0-9]) echo "$status" >"$run/status" ;;
    *) rm -f "$run/status" ;;
    esac
} 2>/dev/null

# Returns when all events so far have been written.
flush() {
    echo flush >&3
    read -r _ <&7
}

fail() { # REASON EXIT MESSAGE
    failed "$@"
    flush
    reported=yes
    exit 1
}

# Reports the end of this script if it has not reported a result.
reported=
at_exit() {
    code=$?
    if [ -z "$reported" ]; then
        failed internal $code "the agent ended unexpectedly"
        flush
    fi
    # Not ended by a signal: when a killed process closes the port, the kernel drops unsent bytes.
    echo quit >&3
    wait $writer
}

# Runs a command. Its output becomes log events of the current step, its exit code is in $code and returned. Arbitrary
# output is possible: a carriage return ends a line, too (progress bars), other control characters become ?, and lines
# are truncated before they are buffered. No file is needed, because /run may be full.
logged() {
    code=$({
        {
            "$@" </dev/null 2>&1 3>&- 4>&- 7>&-
            echo $? >&4
        } |
            stdbuf -o0 tr '\r\000-\010\013\014\016-\037\177' '\n?' |
            stdbuf -oL cut -b -1000 |
            stdbuf -oL sed -E -f "$lib/log.sed" \
                -e "s/.*/\"event\":\"log\",\"step\":\"$step\",\"line\":\"&\"/" >&3
    } 4>&1)
    return "${code:-1}"
}

# Installs package $2 when command $1 is missing.
need() {
    command -v "$1" >/dev/null && return
    note "$1 is missing, installing package $2"
    if command -v dnf >/dev/null; then
        logged dnf -y install "$2"
    elif command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        # The daily upgrade may hold the lock.
        logged apt-get -q -o DPkg::Lock::Timeout=300 update
        logged apt-get -q -y -o DPkg::Lock::Timeout=300 install "$2"
    elif command -v zypper >/dev/null; then
        logged zypper --non-interactive install "$2"
    fi
    command -v "$1" >/dev/null
}

# --- the steps

# Writes the identity and size of the disk $1 (a kernel name) to the file $2 for stage 2. Returns 1 if the disk has no
# identity, 2 if it is not unique.
describe() {
    [ -n "$1" ] && identity "$1" || return 1
    wanted=$id
    find_disk "$wanted" || return 2
    disk_size "$disk"
    printf '%s\n%s\n' "$wanted" "$sectors" >"$2"
}

find_root() {
    root=$(mounts | while read -r number device point; do
        [ "$point" != / ] || { disk_under "$number" "$device" && echo "$disk"; }
    done)
    describe "$root" "$run/target" ||
        fail root_unidentified 1 "/ is not on a single disk with a unique identity"
    root_bytes=$((sectors * 512))
}

find_volume() {
    udevadm settle --timeout=30
    left=${CLOUDD_VOLUME_WAIT:-30}
    until [ -b "$CLOUDD_VOLUME" ]; do
        [ "$left" -gt 0 ] || fail volume_missing 1 "$CLOUDD_VOLUME did not appear"
        left=$((left - 1))
        sleep 1
    done
    device=$(readlink -f "$CLOUDD_VOLUME")
    volume=${device##*/}
    [ -d "$sys/block/$volume" ] || fail volume_missing 1 "$CLOUDD_VOLUME is not a disk"
    describe "$volume" "$run/source"
    case $? in
    0) ;;
    1) fail volume_missing 1 "$CLOUDD_VOLUME has no identity" ;;
    *) fail volume_ambiguous 1 "several disks are $wanted" ;;
    esac
    volume_sectors=$sectors
    [ "$volume" != "$root" ] || fail volume_ambiguous 1 "$CLOUDD_VOLUME is the root disk"
    [ $((volume_sectors * 512)) -le "$root_bytes" ] ||
        fail image_too_large 1 "the volume has $((volume_sectors * 512)) bytes, the root disk only $root_bytes"
}

prepare() {
    begin prepare
    find_root
    find_volume
    need podman podman || fail podman_missing 1 "podman is missing and could not be installed"
    if [ "$CLOUDD_ENTRY" != exitrd ]; then
        command -v dracut >/dev/null || fail dracut_missing 1 "entry $CLOUDD_ENTRY needs an initramfs made by dracut"
    fi
    if [ "$CLOUDD_ENTRY" = kexec ]; then
        need kexec kexec-tools || fail kexec_missing 1 "kexec is missing and could not be installed"
    fi
    # Zeroed by the disk itself. If the disk cannot, writing zeroes would take as long as copying the whole volume.
    fallocate --punch-hole --offset 0 --length $((volume_sectors * 512)) "$device" 2>"$run/error" ||
        unzeroed=$(cat "$run/error")
    end
}

fetch() {
    begin fetch
    if [ "$CLOUDD_CONTAINER" = reference ]; then
        image=$CLOUDD_REFERENCE
        logged podman pull "$image" || fail pull_failed "$code" "podman pull $image ended with $code"
    else
        fetch_context
    fi
    end
}

fetch_context() {
    archive=$lib/context.tar.gz
    case $CLOUDD_CONTEXT in
    media)
        archive=$CLOUDD_CONTEXT_DEVICE
        [ -b "$archive" ] || fail context_missing 1 "no $archive"
        ;;
    upload)
        archive=$run/context.tar.gz
        left=${CLOUDD_UPLOAD_WAIT:-600}
        until [ -f "$archive" ]; do
            [ "$left" -gt 0 ] || fail context_missing 1 "the context was not uploaded"
            left=$((left - 1))
            sleep 1
        done
        ;;
    esac
    if [ "$CLOUDD_CONTEXT" != media ]; then
        [ -f "$archive" ] || fail context_missing 1 "no $archive"
        bytes=$(stat -c %s "$archive")
        [ "$bytes" = "$CLOUDD_CONTEXT_BYTES" ] ||
            fail context_corrupt 1 "the context has $bytes bytes, not $CLOUDD_CONTEXT_BYTES"
    fi
    mkdir -p "$lib/context"
    mkfifo "$run/copy"
    unpacked=0
    logged unpack || unpacked=$code
    [ ! -e "$run/unread" ] || fail context_missing 1 "cannot read $archive"
    read -r sum _ <"$run/sum"
    [ "$sum" = "$CLOUDD_CONTEXT_SHA256" ] || fail context_corrupt 1 "the context's SHA-256 is $sum"
    [ "$unpacked" = 0 ] || fail context_corrupt "$unpacked" "tar cannot unpack the context"
}

# Reads the archive once, and hashes and unpacks it at the same time. The unpacked files are not used before the hash
# has been checked. tee continues after tar has ended (-p), so that the hash covers the whole archive.
unpack() {
    sha256sum <"$run/copy" >"$run/sum" &
    { dd if="$archive" bs=1M iflag=count_bytes,fullblock count="$CLOUDD_CONTEXT_BYTES" status=none ||
        : >"$run/unread"; } |
        tee -p "$run/copy" |
        tar -xzpf - -C "$lib/context"
    set -- $?
    wait $!
    return "$1"
}

build() {
    layer=$lib/env.Containerfile # sets the container's environment
    [ "$CLOUDD_CONTAINER" = context ] || [ -f "$layer" ] || return 0
    begin build
    image=localhost/cloudd
    if [ "$CLOUDD_CONTAINER" = context ]; then
        set --
        [ -z "${CLOUDD_CONTAINERFILE-}" ] || set -- -f "$lib/context/$CLOUDD_CONTAINERFILE"
        if [ -f "$lib/build-args" ]; then
            while IFS= read -r line; do set -- "$@" --build-arg "$line"; done <"$lib/build-args"
        fi
        podman_build "$@" "$lib/context"
    fi
    [ ! -f "$layer" ] || build_environment
    end
}

# Values may be secret. podman prints instructions, and on some errors the whole environment, so its output is not
# reported.
build_environment() {
    mkdir -p "$run/empty"
    podman build --quiet --layers=false -t "$image" -f "$layer" "$run/empty" </dev/null >/dev/null 2>&1 3>&- 7>&- || {
        code=$?
        fail build_failed "$code" "podman build of the environment ended with $code; its output may be secret"
    }
}

# Without layers: caching each line of a Containerfile would help a second build only, and copies files for each.
podman_build() {
    logged podman build --layers=false -t "$image" "$@" || fail build_failed "$code" "podman build ended with $code"
}

# podman ignores the case of the label's name.
has_run_label() {
    podman image inspect --format '{{range $k, $v := .Labels}}{{if $v}}{{println $k}}{{end}}{{end}}' "$image" |
        grep -qix run
}

run_container() {
    begin run
    untraced=${unzeroed:-}
    trace_start "$volume"
    rm -f "$run/status"
    # The kernel's name of the device node: the container's /dev may lack the links that udev makes.
    if ! logged podman container runlabel run "$image" "$device"; then
        # Checked only after a failure: podman runs nothing without the label, and the check takes a second.
        has_run_label || fail run_label_missing 1 "the image has no RUN label"
        # podman always exits with 125; the container's exit code is in the last line of its output.
        flush
        [ ! -s "$run/status" ] || read -r code <"$run/status"
        fail container_failed "$code" "the install container ended with $code"
    fi
    end
}

# Prints the users of the volume: mounts in any mount namespace, and device mappings.
volume_users() {
    for entry in "$sys/block/$volume" "$sys/block/$volume/$volume"*; do
        [ -e "$entry/dev" ] || continue
        read -r number <"$entry/dev"
        printf ' %s \n /dev/%s \n' "$number" "${entry##*/}" >&4
        for holder in "$entry"/holders/*; do [ ! -e "$holder" ] || echo "$holder"; done
    done 4>"$run/nodes"
    grep -lFf "$run/nodes" "$proc"/[0-9]*/mountinfo
} 2>/dev/null

check() {
    begin check
    sync
    left=5
    while users=$(volume_users); [ -n "$users" ]; do
        [ $left -gt 0 ] || fail volume_busy 1 "the volume is still in use after the container has ended: $users"
        left=$((left - 1))
        sleep 1
    done
    sync
    trace_stop "$volume" "$volume_sectors"
    [ "$written" -gt 0 ] || fail nothing_written 1 "the container wrote nothing to the volume"
    [ -z "$untraced" ] || note "the whole volume is copied: $untraced"
    emit "\"event\":\"report\",\"written\":$written,\"extents\":$count,\"copy\":$copied,\
\"volume\":$((volume_sectors * 512)),\"root\":$root_bytes"
    echo "$sectors_written" >>"$run/source"
    end
}

arm() {
    begin arm
    "arm_$CLOUDD_ENTRY" 2>"$run/error" || {
        [ -n "$why" ] || why=$(tail -n 1 "$run/error")
        fail arm_failed 1 "$why"
    }
    echo "armed" >"$state"
    sync
    end
    emit "\"event\":\"armed\",\"entry\":\"$CLOUDD_ENTRY\""
    flush
    # A host that reads the file over the network needs time to receive the event before the network stops.
    [ -n "${CLOUDD_PORT-}" ] || sleep 2
    verb=reboot # never power-off: after a failed entry, this system boots again and reports it
    [ "$CLOUDD_ENTRY" != kexec ] || verb=kexec
    systemctl --no-block $verb || fail arm_failed $? "systemctl $verb"
    reported=yes
}

# Reports why the builder's operating system booted again: stage 2 was not entered, or refused before its first write.
report_return() {
    read -r reached <"$state"
    [ "$reached" = armed ] || fail internal 1 "the builder rebooted during stage 1"
    for refused in "$run/refused" "$lib/refused"; do
        [ ! -f "$refused" ] || fail stage2_refused 1 "$(cat "$refused")"
    done
    fail stage2_not_entered 1 "the builder booted again after $CLOUDD_ENTRY was armed"
}

main() {
    mkdir -p "$run"
    [ ! -e "$run/fifo" ] || exit 0 # already ran in this boot
    [ ! -e "$state" ] || from='return'
    start_writer
    trap at_exit EXIT
    [ "$from" = stage1 ] || report_return
    echo started >"$state"
    ln -sf /etc/systemd/system/cloudd.service /etc/systemd/system/multi-user.target.wants/
    # Warms up podman in the background: its first start reads 40 MB from the disk and probes the storage.
    podman info >/dev/null 2>&1 3>&- 7>&- &
    prepare
    fetch
    build
    run_container
    check
    arm
}

# shellcheck source=/dev/null
[ -z "${CLOUDD_TEST-}" ] || . "$CLOUDD_TEST" # overrides of the tests
main
