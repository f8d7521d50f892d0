#!/bin/sh
# cloudd stage 2: runs in RAM while the builder's root disk is not in use, and turns that disk into the image
# (README.md). It is /shutdown of the tree that arm.sh builds: PID 1 after systemd-shutdown has pivoted into the tree
# (entry `exitrd`), or run by the initramfs in a chroot with the argument `hook` (entries `kexec` and `reboot`).
# Power-off means that the image is complete, so only power_off may do it.
set -u
export LC_ALL=C PATH=/bin
here=${0%/*}/cloudd
work=$here
extents=$here/extents
from=stage2
sys=/sys
proc=/proc
dev=/dev

# shellcheck source=/dev/null # written by the host
. "$here/env"
. "$here/events.sh"
. "$here/disks.sh"
. "$here/copy.sh"

emit() { put "$1"; }
[ ! -e "$here/buffered" ] || direct=

# Waits without end: PID 1 must not exit, and a host that sees only the power state must not mistake a failure for
# success.
stay() {
    while :; do sleep 3600; done
}

# Fails before the first write: the builder's operating system can boot again and report the reason (from: return).
refuse() {
    failed stage2_refused 1 "$1"
    if [ "$door" = hook ]; then
        printf '%s\n' "$1" >"$here/refused"
        exit 1
    fi
    if [ -d /oldroot/var/lib/cloudd ] && mount -o remount,rw /oldroot; then
        printf '%s\n' "$1" >/oldroot/var/lib/cloudd/refused
        sync
    fi
    exec 9>&- # waits until all bytes have been sent
    echo b >"$proc/sysrq-trigger"
    stay
}

broken() { # REASON MESSAGE
    failed "$1" 1 "$2"
    stay
}

power_off() {
    emit '"event":"done"'
    exec 9>&-
    echo o >"$proc/sysrq-trigger"
    stay
}

# Sets $disk to the disk that the file $1 describes (identity, sectors). Waits up to 10 s in an initramfs, where disks
# may still be probed.
locate() {
    { read -r wanted && read -r wanted_sectors; } <"$1" || refuse "${1##*/}: no description"
    tries=0
    [ "$door" != hook ] || tries=10
    until find_disk "$wanted"; do
        [ $? = 1 ] || refuse "${1##*/}: several disks are $wanted"
        [ $tries -gt 0 ] || refuse "${1##*/}: no disk is $wanted"
        tries=$((tries - 1))
        sleep 1
    done
    disk_size "$disk"
    [ "$sectors" = "$wanted_sectors" ] || refuse "${1##*/}: $disk has $sectors sectors, not $wanted_sectors"
}

# Unmounts the old root file system, and the mounts below it that systemd could not unmount.
leave_old_root() {
    mounts | while read -r _ _ point; do
        case $point in /oldroot/*) printf '%s\n' "$point" ;; esac
    done >"$work/mounts"
    while [ -s "$work/mounts" ]; do # in reverse order of mounting
        : >"$work/rest"
        point=
        while read -r next; do
            [ -z "$point" ] || printf '%s\n' "$point" >>"$work/rest"
            point=$next
        done <"$work/mounts"
        umount "$(printf '%b' "$point")"
        mv "$work/rest" "$work/mounts"
    done
    umount -R /oldroot || umount /oldroot
}

refuse_if_used() {
    mounts >"$work/mounts"
    while read -r device _; do
        case $device in /dev/*) echo "0:0 $device swap" ;; esac
    done <"$proc/swaps" >>"$work/mounts"
    while read -r number device point; do
        disk_under "$number" "$device" || refuse "cannot tell on which disk $device ($point) is"
        [ "$disk" != "$target_disk" ] || refuse "the root disk is still in use: $point"
        [ "$disk" != "$source_disk" ] || refuse "the volume is still in use: $point"
    done <"$work/mounts"
}

identify() {
    locate "$here/source"
    source_disk=$disk
    source_sectors=$sectors
    locate "$here/target"
    target_disk=$disk
    target_bytes=$((sectors * 512))
    [ "$source_disk" != "$target_disk" ] || refuse "source and target are the same disk"
    [ "$source_sectors" -le "$sectors" ] || refuse "the volume is larger than the root disk"
    source=$dev/$source_disk
    target=$dev/$target_disk
    [ -s "$extents" ] || refuse "no list of extents"
    disk_traffic "$source_disk"
    read_before=$sectors_read
    if [ "$door" != hook ]; then
        # The kernel is the same as in stage 1, so its statistics show writes since then.
        { read -r _ && read -r _ && read -r written; } <"$here/source"
        [ "$written" = "$sectors_written" ] || refuse "the volume was written to after stage 1 had listed its extents"
        leave_old_root
    fi
    refuse_if_used
}

run() {
    open_port
    emit '"event":"hello"'
    # Disarms (V) the watchdog that systemd may have armed for the reboot that it expects.
    [ ! -c "$dev/watchdog0" ] || echo V >"$dev/watchdog0"
    begin identify
    identify
    end
    total=0
    while read -r _ length; do total=$((total + length)); done <"$extents"
    begin zero
    zero_target
    end
    begin copy
    copy_extents
    end
    disk_traffic "$source_disk"
    note "read $(((sectors_read - read_before) * 512)) bytes of the volume in stage 2"
    begin verify
    verify_target
    end
    power_off
}

door=${1-}
exec 8>&1 # the console
# shellcheck source=/dev/null
[ -z "${CLOUDD_TEST-}" ] || . "$CLOUDD_TEST" # overrides of the tests
run
