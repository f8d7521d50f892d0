#!/bin/sh
# Boots a copy of a builder base image under plain QEMU with user data of your own, and shows its
# console and its second serial port, each line with the seconds since the start. For a look by hand,
# and for measuring: what it shows at /dev/ttyS1 is what cloudd would read.
#
#   tests/machine/boot.sh USER_DATA [QEMU ARGUMENT…]
#
#   IMAGE    the base image (that of builder-base.sh)
#   DISK     size of the root disk and of the volume (10G)
#   MEMORY   of the VM, in MiB (2048)
#   ACCEL    kvm or tcg (by the processor: vmx or svm means kvm)
#   DIR      keeps the disks there (a temporary directory, removed)
set -eu

user_data=${1:?usage: boot.sh USER_DATA [QEMU ARGUMENT…]}
shift
here=$(cd "$(dirname "$0")" && pwd)
image=${IMAGE:-$("$here/builder-base.sh" | tail -n 1)}
# /dev/kvm alone proves nothing: some hosts have it and cannot run a kernel on it.
if [ -z "${ACCEL-}" ]; then
    if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then ACCEL=kvm; else ACCEL=tcg; fi
fi
case "$ACCEL" in
kvm) cpu=host ;;
*) cpu=Nehalem ;; # under emulation the quickest of those tried
esac

if [ -z "${DIR-}" ]; then
    DIR=$(mktemp -d)
    trap 'rm -rf "$DIR"' EXIT
    trap 'exit 1' INT TERM HUP
fi
mkdir -p "$DIR"
qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$DIR/root.qcow2" "${DISK:-10G}"
qemu-img create -q -f qcow2 "$DIR/volume.qcow2" "${DISK:-10G}"
# A NoCloud seed is any FAT file system with this label.
truncate -s 1M "$DIR/seed"
mformat -i "$DIR/seed" -v CIDATA ::
echo "instance-id: boot-$$" >"$DIR/meta-data"
mcopy -i "$DIR/seed" "$DIR/meta-data" ::meta-data
mcopy -i "$DIR/seed" "$user_data" ::user-data

start=$(date +%s%N)
return=$(printf '\r') # ends the lines of a console
stamp() {
    while IFS= read -r line; do
        now=$((($(date +%s%N) - start) / 100000000))
        printf '%4d.%d %s %s\n' $((now / 10)) $((now % 10)) "$1" "${line%"$return"}"
    done
}
mkfifo "$DIR/port.in" "$DIR/port.out"
stamp '|' <"$DIR/port.out" &
qemu-system-x86_64 -machine pc,accel="$ACCEL" -cpu "$cpu" -smp 2 -m "${MEMORY:-2048}" \
    -nodefaults -display none -serial stdio \
    -chardev pipe,id=port,path="$DIR/port" -device isa-serial,chardev=port \
    -drive if=none,id=root,file="$DIR/root.qcow2",discard=unmap \
    -device virtio-blk-pci,drive=root,serial=cloudd-root,bootindex=1 \
    -drive if=none,id=volume,file="$DIR/volume.qcow2",discard=unmap \
    -device virtio-blk-pci,drive=volume,serial=cloudd-volume \
    -drive if=none,id=seed,file="$DIR/seed",format=raw,readonly=on \
    -device virtio-blk-pci,drive=seed,serial=cloudd-seed \
    -netdev user,id=net -device virtio-net-pci,netdev=net \
    -device virtio-rng-pci "$@" </dev/null | stamp ' '
wait
