# shellcheck shell=bash disable=SC2154 # common.sh sets device, device_bytes, scratch and zeroed
# A disk made from a directory tree: partition table, EFI system partition, ext4, GRUB for BIOS and UEFI. No partition
# is ever mounted, nor needs a node in /dev: each is written at its offset on the device.
#
#   1 MiB   BIOS boot partition, where GRUB's core image is (x86 only)
#   2 MiB   EFI system partition
#   66 MiB  root, up to the last MiB, which has the second copy of the table

readonly mib=$((1 << 20)) core_start=1 esp_start=2 esp_size=64 root_start=66

# Sets $root_uuid and $root_size (MiB). Nothing is written yet.
plan_partitions() {
    root_uuid=$(</proc/sys/kernel/random/uuid)
    root_size=$((device_bytes / mib - root_start - 1))
    [[ $root_size -ge 256 ]] || fail device_too_small "$device has $device_bytes bytes, less than any system needs"
}

partition() { # LABEL-OF-ROOT
    # The kernel is not told: a container has no udev to wait for, and nothing here needs it to know.
    sfdisk --quiet --no-reread --no-tell-kernel --wipe always "$device" <<TABLE || fail write_failed "$device: no partition table"
label: gpt
$([[ $(architecture) != amd64 ]] || echo "start=${core_start}MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=boot")
start=${esp_start}MiB, size=${esp_size}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=EFI
start=${root_start}MiB, size=${root_size}MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=$1
TABLE
}

# The tree becomes the root file system. Features are left out that boot loaders older than this mke2fs do not know.
write_root() { # TREE LABEL
    local needed
    needed=$(($(du --summarize --block-size=1M "$1" | cut -f 1) * 11 / 10 + 64))
    [[ $needed -le $root_size ]] || fail device_too_small "$needed MiB are needed, the root partition has $root_size"
    say "writing $needed MiB to the root partition of $root_size MiB"
    mke2fs -q -F -t ext4 -L "$2" -U "$root_uuid" -m 1 -O ^metadata_csum_seed,^orphan_file \
        -E "offset=$((root_start * mib))${zeroed:+,assume_storage_prezeroed=1}" \
        -d "$1" "$device" "${root_size}M" || fail write_failed "$device: mke2fs ended with $?"
}

# GRUB of the system SYSTEM, a directory, goes to the disk, and its modules to the tree. It finds its configuration on
# the root file system, whatever the firmware calls the disk.
write_grub() { # SYSTEM TREE [MODULE…]
    local system=$1 tree=$2
    local modules=(part_gpt ext2 search search_fs_uuid normal configfile linux echo test all_video gzio "${@:3}")
    # shellcheck disable=SC2016 # GRUB's variable
    printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$root_uuid" >"$system/tmp/early.cfg"
    case $(architecture) in
    amd64)
        grub_image i386-pc biosdisk "${modules[@]}"
        grub_image x86_64-efi fat efi_gop efi_uga "${modules[@]}"
        write_bios "$system/usr/lib/grub/i386-pc/boot.img" "$scratch/i386-pc"
        write_esp "$scratch/x86_64-efi" BOOTX64.EFI
        ;;
    arm64)
        grub_image arm64-efi fat efi_gop "${modules[@]}"
        write_esp "$scratch/arm64-efi" BOOTAA64.EFI
        ;;
    esac
    rm "$system/tmp/early.cfg"
}

grub_image() { # FORMAT MODULE…
    chroot "$system" grub-mkimage --format="$1" --output="/tmp/$1" --config=/tmp/early.cfg --prefix=/boot/grub "${@:2}" ||
        fail install_failed "grub-mkimage for $1 ended with $?"
    mv "$system/tmp/$1" "$scratch/$1"
    mkdir -p "$tree/boot/grub/$1"
    cp "$system/usr/lib/grub/$1"/*.{mod,lst} "$tree/boot/grub/$1/"
}

# What grub-install does: each of the two images has the sector of what it loads next at a fixed place.
write_bios() { # BOOT.IMG CORE.IMG
    local start=$((core_start * mib / 512))
    [[ $(stat -c %s "$2") -le $mib ]] || fail install_failed "GRUB's core image is larger than its partition"
    cp "$1" "$scratch/boot.img"
    number "$scratch/boot.img" $((0x5c)) "$start"
    number "$2" $((0x1f4)) $((start + 1))
    put "$scratch/boot.img" 0 --bytes=440
    put "$2" $((core_start * mib))
}

write_esp() { # IMAGE NAME
    local esp=$scratch/esp
    truncate -s "${esp_size}M" "$esp"
    mkfs.vfat -n EFI "$esp" >/dev/null
    mmd -i "$esp" ::EFI ::EFI/BOOT
    mcopy -i "$esp" "$1" "::EFI/BOOT/$2"
    put "$esp" $((esp_start * mib))
    rm "$esp"
}

# Writes a file, or its first bytes, to an offset of the device.
put() { # FILE OFFSET [--bytes=N]
    head "${3:---bytes=-0}" "$1" | dd of="$device" bs=64K oflag=seek_bytes seek="$2" iflag=fullblock \
        conv="${zeroed:+sparse,}notrunc" status=none || fail write_failed "$device: $1 could not be written"
}

number() { # FILE OFFSET VALUE: 8 bytes, least significant first
    local shift
    for shift in 0 8 16 24 32 40 48 56; do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\$(printf %03o $(($3 >> shift & 255)))"
    done | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
