# shellcheck shell=sh disable=SC2154,SC2034 # the sourcing script shares its variables
# Makes the target the source's twin: zero, copy, verify. Knows paths and numbers, no devices. Sourced by stage 2.
# The caller sets: source, target, target_bytes, extents (file, see extents.awk), total (bytes in it), work (a directory
# in RAM), and broken REASON MESSAGE, which does not return.
#
# The target is dealt with in windows: up to 32 MiB around extents that lie close together, put together in RAM with
# zeroes between them, hashed and written. So few processes are started however many extents there are, the source is
# read once and only where it was written, and reading a window back covers its gaps as well.
# All of it goes past the page cache (direct): nothing is read ahead, and what is verified is what the disk holds.

mib=1048576
window_bytes=$((32 * mib))
zeroing=fallocate

# Runs a command; when it fails, so does stage 2, with the command's own last words.
try() { # REASON COMMAND...
    reason=$1
    shift
    "$@" 2>"$work/error" && return
    words=
    read -r words <"$work/error"
    broken "$reason" "$words"
}

# Sets $least.
least() { # A B
    least=$1
    [ "$1" -lt "$2" ] || least=$2
}

# Discarding is not zeroing: what a discarded block reads as is the disk's choice. Each of these three promises zeroes:
# punching lets the disk give the space back, BLKZEROOUT does not, and writing always works.
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
    try zero_failed dd if=/dev/zero of="$target" bs=1M iflag=count_bytes oflag=seek_bytes,direct count="$2" \
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
    stale=0 # how much of the file an earlier window has filled
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
                iflag=skip_bytes,count_bytes,fullblock,direct oflag=seek_bytes seek=$((offset - window)) \
                conv=notrunc status=none
            copied=$((copied + least))
            offset=$((offset + least))
            length=$((length - least))
            window_end=$offset
        done
    done <"$extents"
    close_window
    # An empty write with fsync: the disk's own cache is flushed, and an error it kept back is heard of.
    try copy_failed dd if=/dev/null of="$target" conv=notrunc,fsync status=none
}

# Before the first gap in a window: zeroes over what the last one left behind its end.
clean_window() {
    used=$((window_end - window))
    [ "$used" -ge "$stale" ] || try copy_failed dd if=/dev/zero of="$work/window" bs=1M iflag=count_bytes \
        count=$((stale - used)) oflag=seek_bytes seek="$used" conv=notrunc status=none
    stale=0
}

# Writes the window's blocks that are not zeroes: the rest of the target is zero already. The file stays for the next
# window: the same memory for all of them (see arm_exitrd).
close_window() {
    [ -n "$window" ] || return 0
    used=$((window_end - window))
    dd if="$work/window" bs=1M iflag=count_bytes count="$used" status=none | b2sum >"$work/sum" &
    try copy_failed dd if="$work/window" of="$target" bs=256K iflag=count_bytes count="$used" \
        oflag=seek_bytes,direct seek="$window" conv=notrunc,sparse status=none
    wait $! || broken copy_failed "b2sum failed"
    read -r sum _ <"$work/sum"
    echo "$window $used $sum" >>"$work/windows"
    [ "$used" -le "$stale" ] || stale=$used
    progress copy "$copied" "$total"
}

# Fails unless the target's bytes there have this sum. A read that fails gives other bytes, so another sum.
expect() { # OFFSET LENGTH SUM WHAT
    found=$(dd if="$target" bs=1M iflag=skip_bytes,count_bytes,fullblock,direct skip="$1" count="$2" status=none |
        b2sum)
    [ "${found%% *}" = "$3" ] || broken verify_failed "the target does not hold the $4 it should at $1"
}

# Samples both ends of a stretch between windows: were the old disk's data still there, the backup partition table would
# stand at the very end.
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
}
