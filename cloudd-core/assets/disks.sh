# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Which disk is which, without kernel names: they swap from boot to boot. Sourced by both stages.
# The caller sets sys and proc.

# Sets $id to the stable identity of the disk $1 (a kernel name): the serial number on virtio-blk, the page 0x83 or
# 0x80 designator on SCSI, the namespace's id on NVMe. Fails when the disk has none.
identity() {
    for attribute in serial device/wwid wwid; do
        id=
        # `read` strips blanks at both ends, and its status says nothing: virtio's serial ends without a newline.
        [ ! -r "$sys/block/$1/$attribute" ] || read -r id <"$sys/block/$1/$attribute"
        [ -z "$id" ] || { id=$attribute:$id && return; }
    done 2>/dev/null
    [ -r "$sys/block/$1/device/vpd_pg80" ] || return 1
    id=$(tr -cd '[:graph:]' <"$sys/block/$1/device/vpd_pg80")
    [ -n "$id" ] && id=vpd_pg80:$id
}

# Sets $disk to the one disk whose identity is $1; 1: there is none, 2: there are several.
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

# Sets $disk to the disk that a file system lies on, through partitions and mappings.
# $1 and $2 are mountinfo's major:minor and source; btrfs has a device number of its own there, so the source counts.
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
            [ $# = 1 ] || return 1 # spread over several disks
            node=$(cd -P "$1" && pwd)
        fi
    done
    disk=${node##*/}
}

# Prints "MAJOR:MINOR SOURCE MOUNTPOINT" for every mount on a block device that this process sees.
mounts() {
    while read -r _ _ number _ point rest; do
        rest=${rest#* - } # optional fields end at the dash
        rest=${rest#* }   # file system type
        # printf, not echo: mount points are written with \040 for a blank, and some shells' echo would undo that.
        case $rest in /dev/*) printf '%s\n' "$number ${rest%% *} $point" ;; esac
    done <"$proc/self/mountinfo"
}

# Sets $sectors (of 512 bytes, whatever the disk's own).
disk_size() {
    read -r sectors <"$sys/block/$1/size"
}

# Sets $sectors_read and $sectors_written of a disk, since its kernel started.
disk_traffic() {
    read -r _ _ sectors_read _ _ _ sectors_written _ <"$sys/block/$1/stat"
}
