# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Builds the tree in which stage 2 runs, and opens one of the three doors to it. Sourced by stage 1.

# Tools of the running system with their libraries: a shell and these are all that stage 2 needs.
tools="sh dd b2sum fallocate blkdiscard mount umount sleep sync stty tr readlink mv rm chroot"

# Fills $1. Its /shutdown is where systemd and the hook look for it.
make_tree() {
    tree=$1
    mkdir -p "$tree/bin" "$tree/cloudd" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/run" "$tree/oldroot" || return
    set --
    for tool in $tools; do
        path=$(command -v "$tool") || { why="$tool is missing" && return 1; }
        set -- "$@" "$path"
    done
    cp -L "$@" "$tree/bin" &&
        libraries "$@" >"$run/libraries" &&
        xargs cp -L --parents -t "$tree" <"$run/libraries" &&
        cp "$lib/env" "$lib/events.sh" "$lib/disks.sh" "$lib/copy.sh" "$extents" "$run/source" "$run/target" \
            "$tree/cloudd" &&
        cp "$lib/stage2" "$tree/shutdown" &&
        chmod 0755 "$tree/shutdown" || return
    # A tree that does not run here will not run there.
    chroot "$tree" /bin/sh -c 'dd if=/shutdown status=none | b2sum && mount -V && stty --version' >/dev/null
}

# Prints what the loader would load for these programs. (ldd does the same in a dozen processes a file.)
libraries() {
    for path; do
        LD_TRACE_LOADED_OBJECTS=1 "$path" </dev/null
    done | sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | sort -u
}

# systemd-shutdown pivots into /run/initramfs when it holds an executable `shutdown`. A file system of our own there is
# executable whatever /run is, hides what dracut left, and systemd never unmounts it.
arm_exitrd() {
    mkdir -p /run/initramfs && mount -t tmpfs -o mode=0755,exec cloudd /run/initramfs || return
    make_tree /run/initramfs || return
    take_window /run/initramfs
    if [ "$(getenforce)" = Enforcing ]; then
        note "SELinux is set permissive: systemd-shutdown may not run files without a label"
        setenforce 0 || return
    fi
}

# Memory for stage 2's window, in huge pages: there are only such where nothing was before. Other memory would be that
# of the programs of the system that has ended, and an emulator forgets what it had translated page by page, which takes
# 1 to 7 s, or 25 on a busy machine. Without it, stage 2 does as well.
take_window() { # TMPFS
    mount -o remount,huge=always "$1" # not every kernel has them
    : >"$1/cloudd/window" # fallocate does not create a file whose size it shall keep
    fallocate --keep-size --length 32M "$1/cloudd/window" || note "no memory set apart for the copy"
    mount -o remount,huge=never "$1"
}

# Puts tree and hook before a copy of the running kernel's initramfs: the kernel unpacks one archive after the other.
# Not behind it: nothing can follow an archive compressed with lz4 ("Initramfs unpacking failed: Decoding failed").
# Sets $initramfs to the copy.
extend_initramfs() {
    kernel=$(uname -r)
    first_file "/boot/initrd.img-$kernel" "/boot/initramfs-$kernel.img" "/boot/initrd-$kernel" \
        /boot/*/"$kernel/initrd" || { why="no initramfs of kernel $kernel in /boot" && return 1; }
    installed=$boot_file
    make_tree "$run/tree/cloudd" || return
    # The directory has moved in newer dracut, and is a symlink there: a second one would take its place.
    hooks=usr/lib/dracut/hooks
    ! grep -qs /var/lib/dracut/hooks /usr/lib/dracut/modules.d/*base/*.sh || hooks=var/lib/dracut/hooks
    mkdir -p "$run/tree/$hooks/pre-mount" &&
        cp "$lib/premount.sh" "$run/tree/$hooks/pre-mount/00-cloudd.sh" &&
        chmod 0755 "$run/tree/$hooks/pre-mount/00-cloudd.sh" || return
    initramfs=$run/initramfs
    (cd "$run/tree" && find . | cpio -o -H newc --quiet) >"$initramfs" && cat "$installed" >>"$initramfs"
}

# Sets $boot_file to the first of the files that is there.
first_file() {
    for boot_file; do
        [ ! -f "$boot_file" ] || return 0
    done
    return 1
}

arm_kexec() {
    extend_initramfs || return
    first_file "/boot/vmlinuz-$kernel" "/boot/Image-$kernel" "/lib/modules/$kernel/vmlinuz" \
        /boot/*/"$kernel/linux" || { why="no image of kernel $kernel" && return 1; }
    kexec -a -l "$boot_file" --initrd="$initramfs" --reuse-cmdline
}

arm_reboot() {
    extend_initramfs || return
    # Renamed into place: whatever happens, one of the two is whole.
    cp "$initramfs" "$installed.cloudd" && sync && mv "$installed.cloudd" "$installed"
}
