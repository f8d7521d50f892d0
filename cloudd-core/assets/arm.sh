# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Builds the tree in which stage 2 runs, and prepares one of the three entries to it. Sourced by stage 1.

# The tools that stage 2 needs, taken from the running system with their libraries.
tools="sh dd b2sum fallocate blkdiscard mount umount sleep sync stty tr readlink mv rm chroot"

# Builds the tree in the directory $1. systemd-shutdown and the hook run its /shutdown.
make_tree() {
    tree=$1
    mkdir -p "$tree/bin" "$tree/cloudd" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/run" "$tree/oldroot" || return
    set --
    for tool in $tools; do
        path=$(command -v "$tool") || { why="$tool is missing" && return 1; }
        set -- "$@" "$path"
    done
    # Links are kept, because all these tools may be one program under many names (uutils, busybox).
    cp -L --preserve=links "$@" "$tree/bin" &&
        libraries "$@" >"$run/libraries" &&
        xargs cp -L --parents -t "$tree" <"$run/libraries" &&
        cp "$lib/env" "$lib/events.sh" "$lib/disks.sh" "$lib/copy.sh" "$extents" "$run/source" "$run/target" \
            "$tree/cloudd" &&
        cp "$lib/stage2" "$tree/shutdown" &&
        chmod 0755 "$tree/shutdown" || return
    does_direct_io || {
        note "dd does no direct I/O on these disks ($(cat "$run/error")); stage 2 uses the page cache"
        : >"$tree/cloudd/buffered"
    }
    # Tested now: stage 2 could not report a missing library.
    chroot "$tree" /bin/sh -c 'dd if=/shutdown status=none | b2sum && mount -V && stty --version' >/dev/null
}

# Whether dd does direct I/O as stage 2 needs it. Some versions of uutils cannot (uutils/coreutils issue 12085), which
# would be seen only after the root disk was zeroed. Reads the volume, since that changes nothing, and writes a file.
does_direct_io() {
    dd if="$device" of=/dev/null bs=1M iflag=skip_bytes,count_bytes,fullblock,direct skip=512 count=4096 status=none &&
        dd if=/dev/zero of="$lib/direct" bs=256K iflag=count_bytes oflag=seek_bytes,direct count=266240 seek=4096 \
            conv=notrunc,sparse status=none &&
        dd if=/dev/urandom of="$lib/direct" bs=256K iflag=count_bytes oflag=seek_bytes,direct count=266240 seek=4096 \
            conv=notrunc,sparse status=none
} 2>"$run/error"

# Prints the libraries that the loader loads for these programs. ldd does the same with a dozen processes per file.
libraries() {
    for path; do
        LD_TRACE_LOADED_OBJECTS=1 "$path" </dev/null
    done | sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | sort -u
}

# systemd-shutdown pivots into /run/initramfs if that contains an executable `shutdown`. A separate file system is
# mounted there because it is executable even if /run is not, hides the files of dracut, and is not unmounted by
# systemd.
arm_exitrd() {
    mkdir -p /run/initramfs && mount -t tmpfs -o mode=0755,exec cloudd /run/initramfs || return
    make_tree /run/initramfs || return
    take_window /run/initramfs
    if [ "$(getenforce)" = Enforcing ]; then
        note "SELinux is set permissive: systemd-shutdown may not run files without a label"
        setenforce 0 || return
    fi
}

# Reserves the memory for stage 2's window in huge pages, which are available only in memory that was never used. Memory
# that held the programs of the stopped system would be slow under emulation: QEMU discards its translated code page by
# page, which takes 1 to 7 s, and 25 s on a busy machine. Optional: stage 2 also works without the reservation.
take_window() { # TMPFS
    mount -o remount,huge=always "$1" # not every kernel has them
    : >"$1/cloudd/window" # fallocate --keep-size does not create the file
    fallocate --keep-size --length 32M "$1/cloudd/window" || note "could not reserve memory for the copy"
    mount -o remount,huge=never "$1"
}

# Prepends the tree and the hook to a copy of the running kernel's initramfs: the kernel unpacks concatenated archives
# in order. They are not appended, because nothing can follow an archive compressed with lz4 ("Initramfs unpacking
# failed: Decoding failed"). Sets $initramfs to the path of the copy.
extend_initramfs() {
    kernel=$(uname -r)
    first_file "/boot/initrd.img-$kernel" "/boot/initramfs-$kernel.img" "/boot/initrd-$kernel" \
        /boot/*/"$kernel/initrd" || { why="no initramfs of kernel $kernel in /boot" && return 1; }
    installed=$boot_file
    make_tree "$run/tree/cloudd" || return
    # Newer versions of dracut use another directory; the old path is a symlink there, which must not be replaced.
    hooks=usr/lib/dracut/hooks
    ! grep -qs /var/lib/dracut/hooks /usr/lib/dracut/modules.d/*base/*.sh || hooks=var/lib/dracut/hooks
    mkdir -p "$run/tree/$hooks/pre-mount" &&
        cp "$lib/premount.sh" "$run/tree/$hooks/pre-mount/00-cloudd.sh" &&
        chmod 0755 "$run/tree/$hooks/pre-mount/00-cloudd.sh" || return
    initramfs=$run/initramfs
    (cd "$run/tree" && find . | cpio -o -H newc --quiet) >"$initramfs" && cat "$installed" >>"$initramfs"
}

# Sets $boot_file to the first file that exists.
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
    kexec -a -l "$boot_file" --initrd="$initramfs" --reuse-cmdline && return
    # The newer system call (-a tries it first) can refuse a kernel that the older one loads.
    note "kexec -a failed, trying kexec -c"
    kexec -c -l "$boot_file" --initrd="$initramfs" --reuse-cmdline
}

arm_reboot() {
    extend_initramfs || return
    # Renamed into place: after a crash, either the old or the new file is complete.
    cp "$initramfs" "$installed.cloudd" && sync && mv "$installed.cloudd" "$installed"
}
