# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Identifies disks without their kernel names, which can change from boot to boot. Sourced by both stages. The caller
# sets sys and proc.

# Sets $id to the stable identity of the disk $1 (a kernel name): the serial number for virtio-blk, the designator of
# VPD page 0x83 or 0x80 for SCSI, the namespace id for NVMe. Fails if the disk has none.
identity() {
    for attribute in serial device/wwid wwid; do
        id=
        # `read` strips whitespace; its status is ignored, because the serial of virtio has no newline.
        [ ! -r "$sys/block/$1/$attribute" ] || read -r id <"$sys/block/$1/$attribute"
        [ -z "$id" ] || { id=$attribute:$id && return; }
    done 2>/dev/null
    [ -r "$sys/block/$1/device/vpd_pg80" ] || return 1
    id=$(tr -cd '[:graph:]' <"$sys/block/$1/device/vpd_pg80")
    [ -n "$id" ] && id=vpd_pg80:$id
}

# Sets $disk to the only disk with the identity $1. Returns 1 if there is none, 2 if there are several.
find_disk() {
    disk=
    for candidate in "$sys"/block/*; do
        candidate=${candidate##*/}
        identity "$candidate" && [ "$id" = "$1" ] || continue
        [ -z "$disk" ] || return 2
        disk=$candidate
    done
    [ -n "$disk" ]
}

# Sets $disk to the only disk whose link in /dev/disk/by-id would have the name $1: virtio-SERIAL, or
# scsi-0VENDOR_MODEL_SERIAL, which some systems do not make. Fails if there is not exactly one.
find_by_name() {
    disk=
    for candidate in "$sys"/block/*; do
        candidate=${candidate##*/}
        identity "$candidate" || continue
        vendor='' model='' serial=''
        { read -r vendor <"$sys/block/$candidate/device/vendor"; read -r model <"$sys/block/$candidate/device/model"; }
        [ ! -r "$sys/block/$candidate/device/vpd_pg80" ] ||
            serial=$(tail -c +5 "$sys/block/$candidate/device/vpd_pg80" | tr -cd '[:graph:]')
        case $1 in
        "virtio-${id#serial:}" | "scsi-0${vendor}_${model}_$serial") ;;
        *) continue ;;
        esac
        [ -z "$disk" ] || return 2
        disk=$candidate
    done 2>/dev/null
    [ -n "$disk" ]
}

# Sets $disk to the disk of a file system, through partitions and device mappings. $1 and $2 are major:minor and source
# from mountinfo; for btrfs, whose device number there is virtual, the source is used.
disk_under() {
    case $1 in
    0:*)
        node=$(readlink -f "$2") && node=$sys/class/block/${node##*/} ;;
    *) node=$sys/dev/block/$1 ;;
    esac
    node=$(cd -P "$node" 2>/dev/null && pwd) || return 1
    while :; do
        if [ -e "$node/partition" ]; then
            node=${node%/*}
        else
            set -- "$node"/slaves/*
            [ -e "$1" ] || break
            [ $# = 1 ] || return 1 # on several disks
            node=$(cd -P "$1" && pwd)
        fi
    done
    disk=${node##*/}
}

# Prints "MAJOR:MINOR SOURCE MOUNTPOINT" for each mount of a block device in this mount namespace.
mounts() {
    while read -r _ _ number _ point rest; do
        rest=${rest#* - } # the optional fields end at the dash
        rest=${rest#* }   # file system type
        # printf, because the echo of some shells would unescape the \040 that stands for a space in mount points.
        case $rest in /dev/*) printf '%s\n' "$number ${rest%% *} $point" ;; esac
    done <"$proc/self/mountinfo"
}

# Sets $sectors, in units of 512 bytes for every disk.
disk_size() {
    read -r sectors <"$sys/block/$1/size"
}

# Sets $sectors_read and $sectors_written of a disk, counted since the kernel booted.
disk_traffic() {
    read -r _ _ sectors_read _ _ _ sectors_written _ <"$sys/block/$1/stat"
}
