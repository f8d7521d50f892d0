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
    mkfifo "$run/fifo" "$run/ack" "$run/last.fifo"
    # Read and write: open does not block, and no reader sees the end of the file.
    exec 3<>"$run/fifo" 7<>"$run/ack"
    writer &
    writer=$!
    heartbeat &
    heartbeat=$!
}

# Sends an event every 10 s, so that the host can tell a long step from a system that has stopped.
heartbeat() {
    exec 7>&-
    while kill -0 $$ && emit '"event":"alive"'; do sleep 10; done
} >/dev/null 2>&1

writer() {
    emit() { put "$1"; }
    exec 8>>"$run/events"
    open_port
    put '"event":"hello"'
    while IFS= read -r body; do
        case $body in
        '"event":"log"'*) put_log ;;
        '"event":"alive"') put "$body" ;;
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

# Returns when all events so far have been written.
flush() {
    echo flush >&3
    read -r _ <&7
}

fail() { # REASON EXIT MESSAGE
    failed "$@"
    flush
    result_is_reported
    exit 1
}

# The file is for last_words.sh. (`true` and not `:`, whose failure would end a POSIX shell.)
reported=
result_is_reported() {
    reported=yes
    true >"$run/reported"
} 2>/dev/null

# Reports the end of this script if it has not reported a result. If it is killed, last_words.sh does.
at_exit() {
    code=$?
    if [ -z "$reported" ]; then
        failed internal $code "the agent ended unexpectedly"
        flush
        result_is_reported
    fi
    kill $heartbeat 2>/dev/null
    # Not ended by a signal: when a killed process closes the port, the kernel drops unsent bytes.
    echo quit >&3
    wait $writer
}

# Arbitrary output is possible: a carriage return ends a line, too (progress bars), other control characters become ?,
# and lines are truncated before they are buffered. stdbuf has no effect on other tools than GNU's (uutils), whose output
# would come when the command has ended; there, sed buffers whole lines.
clean_lines() {
    case $(tr --version 2>&1) in
    *GNU*) stdbuf -o0 tr '\r\000-\010\013\014\016-\037\177' '\n?' | stdbuf -oL cut -b -1000 ;;
    *) sed -u 's/\r/\n/g; s/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/?/g' | sed -uE 's/^(.{1000}).*/\1/' ;;
    esac
}

# Runs a command. Its output becomes log events of the current step, its exit code is in $code and returned. No file is
# needed, because /run may be full.
logged() {
    code=$({
        {
            "$@" </dev/null 2>&1 3>&- 4>&- 7>&-
            echo $? >&4
        } |
            clean_lines |
            stdbuf -oL sed -E -f "$lib/log.sed" \
                -e "s/.*/\"event\":\"log\",\"step\":\"$step\",\"line\":\"&\"/" >&3
    } 4>&1)
    return "${code:-1}"
}

# Runs a command like `logged`, and keeps the last bytes of its output in $run/last: the reason of a failure. Its exit code
# needs no file, either.
logged_last() {
    logged keep_last "$@"
}

keep_last() {
    tail -c 1000 <"$run/last.fifo" >"$run/last" &
    exec 6>&1
    status=$({
        {
            "$@" 2>&1 5>&- 6>&-
            echo $? >&5
        } | tee "$run/last.fifo" >&6
    } 5>&1)
    wait $!
    return "${status:-1}"
}

# Runs a command that downloads images, up to 4 times as long as a registry limits requests or has an internal error.
# Sets $code and, for a failure that podman's output explains, $hint.
with_registry() {
    pause=20
    while
        hint=
        ! logged_last "$@"
    do
        case $(tr '\000[:upper:]' '?[:lower:]' <"$run/last") in
        *toomanyrequests* | *'too many requests'*) hint="the registry limits requests (HTTP 429)" again=yes ;;
        *'status code from registry 5'[0-9][0-9]* | *'received unexpected http status: 5'[0-9][0-9]* | \
            *'500 internal server error'* | *'502 bad gateway'* | *'503 service unavailable'*)
            hint="the registry has an internal error" again=yes ;;
        *unauthorized* | *'authentication required'* | *'access to the resource is denied'*)
            hint="the registry asks for credentials, or the image does not exist" again= ;;
        *'no such host'* | *'network is unreachable'* | *'no route to host'* | *'i/o timeout'*)
            hint="the builder does not reach the registry; without IPv4, only registries with an IPv6 address can be reached"
            again= ;;
        *) again= ;;
        esac
        [ -n "$again" ] && [ $pause -le 80 ] || return "$code"
        note "$hint, trying again in $pause s"
        sleep $pause
        pause=$((pause * 2))
    done
}

# Installs the package $2 when the command $1 is missing. Repeats this for 5 minutes, since an upgrade may be holding the
# lock of the package manager, and names may not resolve yet.
need() {
    command -v "$1" >/dev/null && return
    note "$1 is missing, installing package $2"
    tries=30
    until install_package "$2" && command -v "$1" >/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return
        note "installing $2 failed ($why), trying again"
        sleep 10
    done
}

# Without recommended packages, which are more than half of the download. The packages of Debian do not depend on what
# podman needs besides them: a runtime, a network, and the program that writes the network's firewall rules (iptables up
# to netavark 1.11, nftables since). Sets $why after a failure.
install_package() {
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        # Lists that could not be downloaded are an error; older versions of apt ignore the option.
        logged apt-get -q -o APT::Update::Error-Mode=any update || why="apt-get update ended with $code"
        [ "$1" != podman ] || set -- podman crun netavark iptables nftables ca-certificates
        logged apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" ||
            { why="apt-get install ended with $code" && return 1; }
    elif command -v dnf >/dev/null; then
        logged dnf -y --setopt=install_weak_deps=False install "$1" ||
            { why="dnf install ended with $code" && return 1; }
    elif command -v zypper >/dev/null; then
        logged zypper --non-interactive install --no-recommends "$1" ||
            { why="zypper install ended with $code" && return 1; }
    elif command -v pacman >/dev/null; then
        logged pacman -Sy --noconfirm --needed "$1" || { why="pacman ended with $code" && return 1; }
    else
        why="there is none of apt-get, dnf, zypper and pacman"
        tries=1
        return 1
    fi
}

# Automatic upgrades would hold the lock of the package manager, restart services, and delay the reboot. One that runs
# already is not interrupted.
stop_upgrades() {
    systemctl --quiet --runtime --no-block --now mask apt-daily.timer apt-daily-upgrade.timer \
        dnf-makecache.timer dnf-automatic.timer dnf5-automatic.timer packagekit.service
} >/dev/null 2>&1 3>&- 7>&-

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
        if find_by_name "${CLOUDD_VOLUME##*/}"; then
            note "$CLOUDD_VOLUME is missing, and the disk of this name is $disk"
            break
        fi
        [ "$left" -gt 0 ] || fail volume_missing 1 "$CLOUDD_VOLUME did not appear"
        left=$((left - 1))
        sleep 1
    done
    volume=$disk
    if [ -b "$CLOUDD_VOLUME" ]; then
        device=$(readlink -f "$CLOUDD_VOLUME")
        volume=${device##*/}
    fi
    device=/dev/$volume
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
    stop_upgrades
    find_root
    find_volume
    need podman podman || fail podman_missing 1 "podman is missing and could not be installed: $why"
    if [ "$CLOUDD_ENTRY" != exitrd ]; then
        command -v dracut >/dev/null || fail dracut_missing 1 "entry $CLOUDD_ENTRY needs an initramfs made by dracut"
    fi
    if [ "$CLOUDD_ENTRY" = kexec ]; then
        need kexec kexec-tools || fail kexec_missing 1 "kexec is missing and could not be installed: $why"
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
        with_registry podman pull "$image" || {
            explain_space
            fail pull_failed "$code" "podman pull $image ended with $code${hint:+: $hint}"
        }
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
    with_registry podman build --layers=false -t "$image" "$@" || {
        explain_space
        fail build_failed "$code" "podman build ended with $code${hint:+: $hint}"
    }
}

# Fails only if podman printed the labels and RUN is not among them; podman ignores the case of the name.
may_have_run_label() {
    podman image inspect --format '{{range $k, $v := .Labels}}{{if $v}}{{println $k}}{{end}}{{end}}' "$image" \
        >"$run/labels" || return 0
    grep -qix run "$run/labels"
} 2>/dev/null


# Sets $code to the container's exit code: podman always exits with 125, and reports the code at the end of its last line,
# behind the whole command. Codes of another form or range do not count.
container_code() {
    status=$(tr '\r\000' '\n?' <"$run/last" | sed -n '$s/^.* exit status \([0-9]*\)$/\1/p')
    case $status in
    [1-9] | [1-9][0-9] | [12][0-9][0-9]) code=$status ;;
    esac
}

# Sets $hint to what an exit code most often means, for a container that was killed and for podman's own codes (podman
# run, "Exit Status").
explain_code() {
    case $1 in
    125) hint="podman could not start it" ;;
    126) hint="its program cannot be executed: is the file executable, and for this architecture?" ;;
    127) hint="its program was not found" ;;
    137) hint="it was killed" ;;
    139) hint="it crashed with a segmentation fault" ;;
    143) hint="it was terminated" ;;
    *) hint= ;;
    esac
    oom_kills
    [ "$killed" = "$killed_before" ] || hint="the builder ran out of memory, and the kernel killed a process"
    explain_space
}

# Adds to $hint that the builder's disk is full.
explain_space() {
    free=$(df -Pk "$lib" | awk 'END { print int($4 / 1024) }')
    [ "${free:-1000}" -gt 64 ] || hint="${hint:+$hint; }the builder's root disk has only $free MiB free"
}

# Sets $killed to the number of processes that the kernel has killed for lack of memory.
oom_kills() {
    killed=$(sed -n 's/^oom_kill //p' "$proc/vmstat")
} 2>/dev/null

run_container() {
    begin run
    untraced=${unzeroed:-}
    trace_start "$volume"
    oom_kills
    killed_before=$killed
    # The kernel's name of the device node: the container's /dev may lack the links that udev makes.
    if ! logged_last podman container runlabel run "$image" "$device"; then
        may_have_run_label || fail run_label_missing 1 "the image has no RUN label"
        container_code
        explain_code "$code"
        fail container_failed "$code" "the install container ended with $code${hint:+: $hint}"
    fi
    # A container that runs on would write after the image was taken.
    running=$(podman ps --format '{{.Names}} ({{.Image}})' 2>/dev/null) ||
        note "podman ps ended with $?: whether a container still runs is not known"
    [ -z "$running" ] || fail container_running 1 "a container still runs after podman run has returned, perhaps because \
of -d in the RUN label: $(printf '%s' "$running" | tr '\n' ' ')"
    end
}

# Writes a line for the volume and for each of its partitions to $run/nodes: the device number as in mountinfo, as stat
# prints it for a device node, and as stat prints it for a file on it, and the usual name of the node.
list_nodes() {
    for entry in "$sys/block/$volume" "$sys/block/$volume/$volume"*; do
        [ -e "$entry/dev" ] || continue
        IFS=: read -r major minor <"$entry/dev"
        high=$((minor / 256))
        printf '%d:%d %x:%x %d /dev/%s\n' "$major" "$minor" "$major" "$minor" \
            $((major * 256 + minor % 256 + high * 1048576)) "${entry##*/}"
    done >"$run/nodes"
}

# Prints what uses the volume, one use a line. Device numbers decide, because a container may have given a device another
# name.
volume_users() {
    list_nodes
    [ -s "$run/nodes" ] || echo "unknown, because /run is full"
    while read -r number _ _ node; do
        for holder in "$sys/block/$volume/holders"/* "$sys/block/$volume/${node#/dev/}/holders"/*; do
            [ ! -e "$holder" ] || echo "device ${holder##*/}"
        done
        grep -hF -e " $number " -e " $node " "$proc"/[0-9]*/mountinfo | cut -d ' ' -f 5 | sed 's/^/mounted on /'
        # For a container's /dev, the path lacks the mount point: /vdb in place of /dev/vdb; the same for loop devices.
        awk -v node="$node" '
            { sub(/.*\//, "", $1) }
            $2 == "partition" && "/dev/" $1 == node { print "swap on " node }
        ' "$proc/swaps"
        for loop in "$sys"/block/loop*/loop/backing_file; do
            read -r backing <"$loop" || continue
            loop=${loop%/loop/backing_file}
            case $backing in "$node" | "/${node##*/}") echo "loop device ${loop##*/}" ;; esac
        done
    done <"$run/nodes"
    stat -Lc '%F|%t:%T|%d|%n' "$proc"/[0-9]*/fd/* | awk -F '|' '
        FNR == NR { split($0, word, " "); node[word[2]]; system_of[word[3]]; next }
        $1 ~ /^block/ && $2 in node || $3 in system_of { sub(/\/fd\/.*/, "", $4); print $4 }
    ' "$run/nodes" - | while read -r process; do
        read -r name <"$process/comm" && echo "opened by process ${process##*/} ($name)"
    done
} 2>/dev/null

# Whether the kernel refuses exclusive use of the volume: a file system, swap space or device mapping is on it, also one
# that `volume_users` does not find. The range has no bytes, so nothing is discarded.
is_claimed() {
    ! blkdiscard --offset $((volume_sectors * 512)) --length 0 "$device" 2>"$run/error" && grep -q busy "$run/error"
}

check() {
    begin check
    sync
    left=5
    while users=$(volume_users | sort -u | head -n 5 | paste -sd ';') && [ -n "$users" ] || is_claimed; do
        [ $left -gt 0 ] ||
            fail volume_busy 1 "after the container has ended, the volume is in use: ${users:-by the kernel, such as by a file system that is mounted nowhere}"
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
    goal=reboot # never power-off: after a failed entry, this system boots again and reports it
    [ "$CLOUDD_ENTRY" != kexec ] || goal=kexec
    # Before the request, which ends this agent.
    result_is_reported
    # A job of PID 1, because a package manager can hold an inhibitor lock, for which `systemctl reboot` is refused.
    systemctl --no-block --job-mode=replace-irreversibly start $goal.target || fail arm_failed $? "starting $goal.target failed"
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
    [ ! -f "$lib/auth.json" ] || export REGISTRY_AUTH_FILE="$lib/auth.json"
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
