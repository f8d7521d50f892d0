# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Makes the target identical to the source: zero, copy, verify. Works on paths, does not identify devices. Sourced by
# stage 2. The caller sets source, target, target_bytes, extents (a file, see extents.awk), total (the bytes in it) and
# work (a directory in RAM), and defines broken REASON MESSAGE, which does not return.
#
# The copy works in windows: up to 32 MiB of neighbouring extents, assembled in RAM with zeroes in the gaps, hashed and
# written. So the number of processes does not depend on the number of extents, the source is read once and only where
# it was written, and reading a window back verifies its gaps, too. All I/O bypasses the page cache (direct): there is
# no readahead, and the verification reads the disk itself.

mib=1048576
window_bytes=$((32 * mib))
zeroing=fallocate
direct=,direct # a flag of dd, or empty

# Runs a command. If it fails, stage 2 fails with the first line of its standard error.
try() { # REASON COMMAND...
    reason=$1
    shift
    "$@" 2>"$work/error" && return
    words=
    read -r words <"$work/error"
    broken "$reason" "$words"
}

# Sets $least to the smaller of two numbers.
least() { # A B
    least=$1
    [ "$1" -lt "$2" ] || least=$2
}

# Zeroes a range of the target. Discard alone is not sufficient, because a discarded block may read as anything. These
# three guarantee zeroes: punching a hole, which can also free the space; BLKZEROOUT, which cannot; and writing, which
# always works.
zero_range() { # OFFSET LENGTH
    if [ $zeroing = fallocate ]; then
        fallocate --punch-hole --offset "$1" --length "$2" "$target" 2>/dev/null && return
        note "the target cannot punch holes, zeroing with blkdiscard"
        zeroing=blkdiscard
    fi
    if [ $zeroing = blkdiscard ]; then
        blkdiscard --zeroout --offset "$1" --length "$2" "$target" 2>/dev/null && return
        note "the target refuses BLKZEROOUT, writing zeroes"
        zeroing='dd'
    fi
    try zero_failed dd if=/dev/zero of="$target" bs=1M iflag=count_bytes oflag=seek_bytes$direct count="$2" \
        seek="$1" conv=notrunc status=none
}

zero_target() {
    offset=0
    while [ "$offset" -lt "$target_bytes" ]; do
        least $((4096 * mib)) $((target_bytes - offset))
        zero_range "$offset" "$least"
        offset=$((offset + least))
        progress zero "$offset" "$target_bytes"
    done
}

copy_extents() {
    window=
    stale=0 # bytes of the window file that earlier windows have filled
    copied=0
    : >"$work/windows"
    while read -r offset length; do
        while [ "$length" -gt 0 ]; do
            if [ -z "$window" ] || [ "$offset" -gt $((window_end + mib)) ] ||
                [ "$offset" -ge $((window + window_bytes)) ]; then
                close_window
                window=$offset
                window_end=$offset
            fi
            [ "$offset" = "$window_end" ] || clean_window
            least $((window + window_bytes - offset)) "$length"
            try copy_failed dd if="$source" of="$work/window" bs=1M skip="$offset" count="$least" \
                iflag=skip_bytes,count_bytes,fullblock$direct oflag=seek_bytes seek=$((offset - window)) \
                conv=notrunc status=none
            copied=$((copied + least))
            offset=$((offset + least))
            length=$((length - least))
            window_end=$offset
        done
    done <"$extents"
    close_window
    # An empty write with fsync flushes the disk's write cache and reports deferred write errors.
    try copy_failed dd if=/dev/null of="$target" conv=notrunc,fsync status=none
    # Without direct I/O, the page cache holds what was written, and the verification would not read the disk.
    [ -n "$direct" ] || echo 1 >"$proc/sys/vm/drop_caches" || broken copy_failed "the page cache cannot be dropped"
}

# Called before the first gap in a window: overwrites the previous window's data after the current end with zeroes.
clean_window() {
    used=$((window_end - window))
    [ "$used" -ge "$stale" ] || try copy_failed dd if=/dev/zero of="$work/window" bs=1M iflag=count_bytes \
        count=$((stale - used)) oflag=seek_bytes seek="$used" conv=notrunc status=none
    stale=0
}

# Writes the blocks of the window that are not zero; the rest of the target is zero already. The file is reused for the
# next window, so that all windows use the reserved memory (see take_window in arm.sh).
close_window() {
    [ -n "$window" ] || return 0
    used=$((window_end - window))
    dd if="$work/window" bs=1M iflag=count_bytes count="$used" status=none | b2sum >"$work/sum" &
    try copy_failed dd if="$work/window" of="$target" bs=256K iflag=count_bytes count="$used" \
        oflag=seek_bytes$direct seek="$window" conv=notrunc,sparse status=none
    wait $! || broken copy_failed "b2sum failed"
    read -r sum _ <"$work/sum"
    echo "$window $used $sum" >>"$work/windows"
    [ "$used" -le "$stale" ] || stale=$used
    progress copy "$copied" "$total"
}

# Fails unless this range of the target has this hash. A failed read results in another hash.
expect() { # OFFSET LENGTH SUM WHAT
    found=$(dd if="$target" bs=1M iflag=skip_bytes,count_bytes,fullblock$direct skip="$1" count="$2" status=none |
        b2sum)
    [ "${found%% *}" = "$3" ] || broken verify_failed "the target does not hold the $4 it should at $1"
}

# Checks the first and the last MiB of a range between windows. If the disk still held old data, the backup partition
# table would be at its end.
expect_zeroes() { # OFFSET END
    [ "$1" -lt "$2" ] || return 0
    least "$mib" $(($2 - $1))
    zeroes=$(dd if=/dev/zero bs="$least" count=1 status=none | b2sum)
    expect "$1" "$least" "${zeroes%% *}" "$least zero bytes"
    expect $(($2 - least)) "$least" "${zeroes%% *}" "$least zero bytes"
}

verify_target() {
    verified=0
    while read -r window length sum; do
        expect_zeroes "$verified" "$window"
        expect "$window" "$length" "$sum" "$length bytes"
        verified=$((window + length))
        progress verify "$verified" "$target_bytes"
    done <"$work/windows"
    expect_zeroes "$verified" "$target_bytes"
    progress verify "$target_bytes" "$target_bytes"
}
