# shellcheck shell=bash disable=SC2154 # common.sh sets device and scratch
# Changes to a partition of what was just written. The kernel need not know of the partition: it is mounted by its offset.

# Sets $mounted.
mount_partition() { # NAME in the partition table
    local start size
    # shellcheck disable=SC2016 # jq's variables
    read -r start size < <(sfdisk --json "$device" 2>/dev/null | jq -r --arg name "$1" '.partitiontable |
        (.sectorsize // 512) as $sector | .partitions[] | select(.name == $name) |
        "\(.start * $sector) \(.size * $sector)"') || fail image_invalid "the image has no partition named $1"
    mounted=$scratch/mounted
    mkdir -p "$mounted"
    mount -o "loop,offset=$start,sizelimit=$size" "$device" "$mounted" ||
        fail image_invalid "the partition $1 of the image cannot be mounted"
}

unmount_partition() {
    umount "$mounted" || fail write_failed "the changed partition cannot be unmounted"
    sync "$device"
}
