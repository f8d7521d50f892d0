#!/bin/sh
# A libvirt to test against, and a storage pool in it for the tests alone.
#
#   tests/machine/libvirtd.sh start    make it so; does nothing when it is so
#   tests/machine/libvirtd.sh stop     undo what `start` did, and nothing else
#
#   CLOUDD_TEST_URI       libvirt to use (qemu:///system); daemons are started for this one only
#   CLOUDD_TEST_POOL      name of the pool (cloudd-tests)
#   CLOUDD_TEST_POOL_DIR  its directory (/var/lib/cloudd-tests)
#
# A libvirt that answers is used as it is. Otherwise systemd is asked for it, and
# where no systemd runs (containers, CI) the daemons are started by hand.
set -eu

uri=${CLOUDD_TEST_URI:-qemu:///system}
pool=${CLOUDD_TEST_POOL:-cloudd-tests}
dir=${CLOUDD_TEST_POOL_DIR:-/var/lib/cloudd-tests}
# What `start` changed, one word or `word value` a line, newest first. /run is empty after a reboot,
# as is what it tells of.
record=/run/cloudd-tests.$pool

die() {
    echo "libvirtd.sh: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

note() {
    { printf '%s\n' "$1"; cat "$record" 2>/dev/null || :; } | as_root tee "$record.new" >/dev/null
    as_root mv "$record.new" "$record"
}

# virsh can hang on a daemon that is just ending.
answers() {
    timeout 60 virsh -q -c "$uri" uri >/dev/null 2>&1
}

wait_until() {
    tries=100
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}

# Where udev runs it gives /dev/kvm to the group kvm. Without that, libvirt (root) finds KVM usable and
# QEMU (libvirt-qemu, in the group kvm) does not, and libvirt then repeats its probes at each start of
# a VM, which takes 50 s instead of 1, also for VMs that do not use KVM.
open_kvm() {
    [ -c /dev/kvm ] || return 0
    [ "$(stat -c %G:%a /dev/kvm)" = root:600 ] || return 0
    as_root chgrp kvm /dev/kvm
    as_root chmod 0660 /dev/kvm
    note kvm
}

# A process listens on the socket. A process that is just ending is no sign of that, and neither is the file:
# a virtlogd that was killed leaves it behind.
virtlogd_listens() {
    grep -q ' /run/libvirt/virtlogd-sock$' /proc/net/unix
}

# Neither daemon may keep a descriptor of ours, such as the lock of a caller.
daemon() {
    as_root "$1" -d </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}

# For a libvirtd that is not run by systemd nothing starts virtlogd, and without it no VM starts.
start_virtlogd() {
    virtlogd_listens && return
    daemon virtlogd
    wait_until virtlogd_listens || die "virtlogd does not come up; see: virtlogd --verbose"
    note "virtlogd $(as_root cat /run/virtlogd.pid)"
}

start_libvirtd() {
    open_kvm
    daemon libvirtd
    wait_until answers || die "libvirtd does not answer at $uri; see: libvirtd --verbose"
    note "libvirtd $(as_root cat /run/libvirtd.pid)"
}

# QEMU runs as a user of its own, and must be able to pass through to the disks of the pool.
check_parents() {
    path=$dir
    while [ "$path" != / ] && [ "$path" != . ]; do
        path=$(dirname "$path")
        [ -d "$path" ] || continue
        case "$(stat -c %A "$path")" in
        *x | *t) ;;
        *) die "$path is closed to other users, so QEMU cannot reach $dir; set CLOUDD_TEST_POOL_DIR" ;;
        esac
    done
}

start_pool() {
    if ! virsh -q -c "$uri" pool-info "$pool" >/dev/null 2>&1; then
        check_parents
        as_root mkdir -p "$dir"
        as_root chmod 0711 "$dir"
        virsh -q -c "$uri" pool-define-as "$pool" dir --target "$dir" >/dev/null
        note pool
    fi
    case "$(virsh -q -c "$uri" pool-info "$pool")" in
    *running*) ;;
    *) virsh -q -c "$uri" pool-start "$pool" >/dev/null ;;
    esac
}

start() {
    command -v virsh >/dev/null || die "virsh is missing; run tests/machine/install.sh"
    case "$uri" in
    qemu:///system)
        if [ -d /run/systemd/system ]; then
            answers || as_root systemctl start libvirtd.socket virtlogd.socket
        else
            start_virtlogd
            answers || start_libvirtd
        fi
        ;;
    qemu:///session) ;; # starts daemons of its own
    esac
    answers || die "no libvirt answers at $uri; is $(id -un) in the group libvirt?"
    start_pool
    echo "libvirtd.sh: $uri answers, pool $pool is at $dir"
}

# Ends a daemon if the process with that id is still that daemon.
end() {
    [ "$(cat "/proc/$2/comm" 2>/dev/null)" = "$1" ] || return 0
    as_root kill "$2"
    wait_until test ! -e "/proc/$2" || die "$1 ($2) does not end"
}

stop() {
    [ -e "$record" ] || {
        echo "libvirtd.sh: nothing to stop"
        return
    }
    # Newest first, so the pool goes while libvirtd is up. The files in the pool stay: they may be
    # the only trace of a failure.
    while read -r what value; do
        case "$what" in
        pool)
            virsh -q -c "$uri" pool-destroy "$pool" >/dev/null 2>&1 || :
            virsh -q -c "$uri" pool-undefine "$pool" >/dev/null 2>&1 || :
            ;;
        libvirtd | virtlogd) end "$what" "$value" ;;
        kvm)
            as_root chmod 0600 /dev/kvm
            as_root chgrp root /dev/kvm
            ;;
        esac
    done <"$record"
    as_root rm -f "$record"
    echo "libvirtd.sh: stopped"
}

case "${1-}" in
start) start ;;
stop) stop ;;
*)
    echo "usage: libvirtd.sh start|stop" >&2
    exit 2
    ;;
esac
