#!/bin/sh
# Prints a growing file from a byte offset on, without end. Run by the host over SSH.
#
#   ssh_follow.sh FILE KNOWN OFFSET
#
# KNOWN is the identity of the file to which OFFSET belongs, as printed by an earlier run. For any
# other file (after a reboot of the builder, /run is new) the offset is 0.
#
# Prints a dot per second until the file exists, then the line `cloudd-follow IDENTITY OFFSET`, then
# the bytes of the file.
set -u
file=$1 known=$2 offset=$3

# The dots end this script when the connection is lost: a write without a reader fails.
until [ -e "$file" ]; do
    echo . || exit 1
    sleep 1
done

read -r boot </proc/sys/kernel/random/boot_id
# shellcheck disable=SC2012 # stat is not in POSIX, and the name is not parsed
inode=$(ls -di "$file" | { read -r inode _ && echo "$inode"; })
identity=$boot.$inode
size=$(($(wc -c <"$file")))
[ "$identity" = "$known" ] && [ "$offset" -le "$size" ] || offset=0
echo "cloudd-follow $identity $offset"
exec tail -c "+$((offset + 1))" -f "$file"
