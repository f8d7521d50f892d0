#!/bin/sh
# Prints a file that grows, from a byte offset on, for ever. Run over SSH by the host.
#
#   ssh_follow.sh FILE KNOWN OFFSET
#
# KNOWN is the identity of the file that OFFSET was counted in, as an earlier run told it. For any
# other file (the builder came up again, /run is new) the offset is 0.
#
# Prints a dot a second until the file is there, then the line `cloudd-follow IDENTITY OFFSET`, then
# the file's bytes.
set -u
file=$1 known=$2 offset=$3

# A dot that nobody reads ends this script: without it, lost connections would leave loops behind.
until [ -e "$file" ]; do
    echo . || exit 1
    sleep 1
done

read -r boot </proc/sys/kernel/random/boot_id
# shellcheck disable=SC2012 # stat is not POSIX, and the name is not read
inode=$(ls -di "$file" | { read -r inode _ && echo "$inode"; })
identity=$boot.$inode
size=$(($(wc -c <"$file")))
[ "$identity" = "$known" ] && [ "$offset" -le "$size" ] || offset=0
echo "cloudd-follow $identity $offset"
exec tail -c "+$((offset + 1))" -f "$file"
