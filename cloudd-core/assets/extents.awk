# Converts a trace of block_rq_complete into the list of extents to copy.
#   awk -v size=SECTORS -v scratch=FILE -f extents.awk TRACE
# Prints TRACED LOST WRITTEN COPIED COUNT: the sectors of all writes (counted as in the disk's statistics), the number
# of lost events, the bytes written at least once, the bytes of all extents, the number of extents. Then prints OFFSET
# LENGTH of each extent in bytes, in ascending order, on 4 KiB boundaries (except at the end of the volume). Formats of
# the trace in older and newer kernels:
#   ... block_rq_complete: 254,16 WS () 2048 + 8 [0]
#   ... block_rq_complete: 254,16 WS () 2048 + 8 none,0,0 [0]

# Adds a run of blocks [block, next_block). Consecutive runs are merged before they are passed to sort.
function run(block, next_block) {
    if (block >= first && block <= last) {
        if (next_block > last) last = next_block
        return
    }
    if (last > first) printf "%.0f %.0f\n", first, last | sort
    first = block
    last = next_block
}

# Merges runs across gaps, the smallest gaps first (by powers of two), as long as the sum of the gaps is at most
# `budget`.
function join_gaps(budget,    i, k, gap, whole, sum) {
    for (whole = 0; whole < 52 && sum + gaps[whole] <= budget; whole++) sum += gaps[whole]
    count = 0
    copied = written
    for (i = 1; i <= runs; i++) {
        gap = start[i] - tail[count]
        if (count && (size_class(gap) < whole || size_class(gap) == whole && sum + gap <= budget)) {
            if (size_class(gap) == whole) sum += gap
            copied += gap
        } else
            head[++count] = start[i]
        tail[count] = stop[i]
    }
}

function size_class(gap,    k) {
    while (2 ^ k < gap) k++
    return k + 0
}

BEGIN { sort = "sort -n > '" scratch "'" }

/LOST .*EVENTS/ { lost++ }

/ block_rq_complete: / {
    for (i = 1; $i != "block_rq_complete:"; i++);
    kind = $(i + 2)
    for (j = i + 3; j < NF && $j != "+"; j++);
    sector = $(j - 1)
    sectors = $(j + 1)
    sub(/^F/, "", kind) # a flush before the write
    if ($j != "+" || sectors == 0) next
    if (kind ~ /^(N|WZ)/) # zeroing by the device: on a zeroed volume it changes only extents that are listed already
        traced += sectors
    else if (kind ~ /^W/) {
        traced += sectors
        run(int(sector / 8), int((sector + sectors + 7) / 8))
    }
}

END {
    run(-1, -1)
    printf "" | sort
    close(sort)
    while ((getline < scratch) > 0)
        if (runs && $1 <= stop[runs]) {
            if ($2 > stop[runs]) stop[runs] = $2 + 0
        } else {
            start[++runs] = $1 + 0
            stop[runs] = $2 + 0
        }
    for (i = 1; i <= runs; i++) {
        written += stop[i] - start[i]
        if (i > 1) gaps[size_class(start[i] - stop[i - 1])] += start[i] - stop[i - 1]
    }
    # A separate request takes longer than copying 5 % more bytes; more than 2000 requests take longer than any gap.
    budget = written * 0.05
    join_gaps(budget)
    while (count > 2000) join_gaps(budget *= 2)
    over = count ? tail[count] * 4096 - size * 512 : 0 # the last block may extend past the end of the volume
    if (over < 0) over = 0
    printf "%.0f %.0f %.0f %.0f %.0f\n", traced, lost, written * 4096 - over, copied * 4096 - over, count
    for (i = 1; i <= count; i++)
        printf "%.0f %.0f\n", head[i] * 4096, (tail[i] - head[i]) * 4096 - (i == count ? over : 0)
}
