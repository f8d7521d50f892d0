#!/bin/sh
# Makes the base image of the builder VMs in the tests: Debian 12 with cloud-init, podman, dracut and
# kexec, cut down to what a builder needs, because the tests boot it under emulation, where a stock
# Debian takes 4 minutes to its first command. Made from Debian's packages alone.
#
#   tests/machine/builder-base.sh              the image; its path is the last line printed
#   tests/machine/builder-base.sh no-dracut    the same with initramfs-tools in place of dracut
#   FRESH=1 tests/machine/builder-base.sh      make it again, with the packages of today
#
#   CLOUDD_CACHE  where images are kept (/var/cache/cloudd, which every checkout on a machine shares)
#
# An image is kept under a hash of this script and of the files it lays down, so a change of either
# makes a new one. The packages of a stable Debian change by fixes only; not to follow them saves
# three minutes on most days. The file NAME.packages tells which versions are in an image.
set -eu

die() {
    echo "builder-base.sh: $*" >&2
    exit 1
}

say() {
    echo "builder-base.sh: $*" >&2
}

# Files of a root file system belong to root, and stay so from mmdebstrap to mke2fs.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo env "PATH=$PATH:/usr/sbin:/sbin" "$@"; fi
}

variant=${1:-dracut}
case "$variant" in
dracut | no-dracut) ;;
*) die "unknown variant: $variant" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
cache=${CLOUDD_CACHE:-/var/cache/cloudd}
release=bookworm
# Room for a container build on a disk of this size; cloud-init grows it to the disk it finds.
size_mib=4096

key=$(cd "$here" && find builder-base.sh builder-base ! -type d | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12)
image="$cache/builder-$variant-$key.qcow2"

# One package a line, then why. Priority "required" and apt come by themselves.
packages='
linux-image-cloud-amd64  the kernel for virtual machines
systemd-sysv             init
udev                     by-id names of the disks
kmod                     modprobe
iproute2                 ip, for cloud-init
grub-pc-bin              the boot loader
dracut                   makes the initramfs; stage 2 hooks into it
lz4                      packs it
kexec-tools              one of the doors into stage 2
cloud-init               runs the user data
cloud-guest-utils        growpart
sudo                     users that cloud-init adds
openssh-server           events and a look into a stuck builder, where there is an address
podman                   builds and runs the install container
crun                     the faster of the two runtimes
ca-certificates          registries and package mirrors
'

# Units that a builder has no use for: each is some processes, and a process is slow to start here.
# kexec-load, which Debian turns on, would make every reboot a kexec. For cloud-config see 50_builder.cfg.
masked='
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
e2scrub_reap.service kexec-load.service kexec.service grub-common.service
podman.service podman.socket podman-restart.service podman-auto-update.service podman-auto-update.timer
cloud-config.service cloud-init-hotplugd.socket
getty@tty1.service console-getty.service systemd-logind.service
getty-static.service systemd-pstore.service systemd-timesyncd.service
modprobe@dm_mod.service modprobe@loop.service modprobe@drm.service
systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
systemd-update-utmp.service systemd-update-utmp-runlevel.service
'

# The same for what runs at each start to look for things that are not here.
masked_generators='cryptsetup debug gpt-auto hibernate-resume integritysetup rc-local run system-update veritysetup'

root_file_system() {
    names=$(printf '%s\n' "$packages" | awk 'NF { print $1 }' | paste -sd, -)
    # The files go in before the packages do, so that dracut runs once, and as they say.
    as_root mmdebstrap --quiet --mode=root --format=directory --variant=apt --include="$names" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook="sync-in '$here/builder-base' /" \
        "$release" "$tree" >&2
    # A builder makes its own keys and its own identity.
    as_root sh -c "rm -f '$tree'/etc/ssh/ssh_host_*; : >'$tree/etc/machine-id'; : >'$tree/etc/hostname'; : >'$tree/etc/resolv.conf'"
    # shellcheck disable=SC2086 # a list of names
    as_root systemctl --quiet --root="$tree" mask $masked
    as_root systemctl --quiet --root="$tree" enable systemd-networkd.service resolv-conf.service
    # One sshd for each connection, in place of one at each start.
    as_root systemctl --quiet --root="$tree" disable ssh.service
    as_root systemctl --quiet --root="$tree" enable ssh.socket
    as_root mkdir -p "$tree/etc/systemd/system-generators"
    for generator in $masked_generators; do
        as_root ln -s /dev/null "$tree/etc/systemd/system-generators/systemd-$generator-generator"
    done
    as_root systemctl --quiet --root="$tree" set-default multi-user.target
}

# The same root with the other maker of initramfs archives.
without_dracut() {
    # Its default, every driver there is, makes an archive that takes long to load.
    as_root sh -c "mkdir -p '$tree/etc/initramfs-tools' &&
        printf 'MODULES=list\nCOMPRESS=lz4\n' >'$tree/etc/initramfs-tools/initramfs.conf' &&
        printf '%s\n' virtio_pci virtio_blk virtio_scsi sd_mod >'$tree/etc/initramfs-tools/modules'"
    # In a mount namespace, which takes the mounts away when it ends.
    # shellcheck disable=SC2016 # $0 is of the inner shell
    as_root unshare --mount sh -euc '
        mount -t proc proc "$0/proc"
        mount -t tmpfs tmp "$0/tmp"
        mount --bind /etc/resolv.conf "$0/etc/resolv.conf"
        export DEBIAN_FRONTEND=noninteractive
        chroot "$0" apt-get -q update
        chroot "$0" apt-get -q -y -o Dpkg::Options::=--force-confold --no-install-recommends install initramfs-tools
        chroot "$0" apt-get -q -y purge dracut dracut-core
        chroot "$0" apt-get clean
    ' "$tree" >&2
    as_root sh -c "rm -rf '$tree'/var/lib/apt/lists/*_*"
}

number() { # file, offset, value: 8 bytes, least significant first
    for shift in 0 8 16 24 32 40 48 56; do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\$(printf %03o $(($3 >> shift & 255)))"
    done | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# tree -> qcow2, without loop devices: the file system is written at its offset in the disk.
disk() {
    raw=$work/disk
    rm -f "$raw"
    truncate -s "${size_mib}M" "$raw"
    # The last MiB is for the second copy of the partition table.
    sfdisk --quiet "$raw" >&2 <<TABLE
label: gpt
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=boot
start=2MiB, size=$((size_mib - 3))MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
TABLE
    # The file is new, so its zeros need not be written, neither now nor by the kernel later.
    as_root mke2fs -q -t ext4 -L builder -m 0 -J size=16 -E "offset=$((2 << 20)),assume_storage_prezeroed=1" \
        -d "$tree" "$raw" "$(((size_mib - 3) * 1024))k"
    # What grub-install does, less its search for the disk: the core image reads grub.cfg from
    # partition 2 of the disk that the firmware booted.
    as_root chroot "$tree" grub-mkimage --format=i386-pc --output=/tmp/core.img --prefix='(hd0,gpt2)/boot/grub' \
        biosdisk part_gpt ext2 linux normal
    cp "$tree/usr/lib/grub/i386-pc/boot.img" "$tree/tmp/core.img" "$work/"
    as_root rm "$tree/tmp/core.img"
    chmod u+w "$work/boot.img" "$work/core.img"
    core=2048 # sector
    number "$work/boot.img" $((0x5c)) "$core"
    number "$work/core.img" $((0x1f4)) $((core + 1))
    dd if="$work/boot.img" of="$raw" bs=440 count=1 conv=notrunc status=none
    dd if="$work/core.img" of="$raw" bs=512 seek="$core" conv=notrunc status=none
    # Not compressed: the tests read it under emulation.
    qemu-img convert -f raw -O qcow2 -o compat=1.1 "$raw" "$work/$1.qcow2"
    as_root chroot "$tree" dpkg-query --show >"$work/$1.packages"
    # Of two that make the same image at once, the later wins, and both have a whole one.
    as_root install -m 0644 "$work/$1.packages" "$cache/$1.packages"
    as_root install -m 0644 "$work/$1.qcow2" "$cache/$1.qcow2.$$"
    as_root mv "$cache/$1.qcow2.$$" "$cache/$1.qcow2"
}

make_images() {
    for tool in mmdebstrap mke2fs sfdisk qemu-img; do
        as_root sh -c "command -v $tool" >/dev/null || die "$tool is missing; run tests/machine/install.sh"
    done
    as_root mkdir -p "$cache"
    # Beside the result, as /tmp may be small.
    work=$(as_root mktemp -d "$cache/work.XXXXXX")
    as_root chown "$(id -u)" "$work"
    as_root chmod 0755 "$work"
    trap 'as_root rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM HUP
    tree=$work/root
    # Those of earlier versions, when nothing has used them for a while.
    as_root find "$cache" -maxdepth 1 -name 'builder-*' -mtime +14 -delete
    say "making $release with $(printf '%s\n' "$packages" | grep -c .) packages and what they need (3 minutes)"
    root_file_system
    disk "builder-dracut-$key"
    # The second image costs a tenth of the first, so they are made together.
    without_dracut
    disk "builder-no-dracut-$key"
}

if [ ! -e "$image" ] || [ -n "${FRESH-}" ]; then
    make_images
fi
as_root touch "$image"
echo "$image"
