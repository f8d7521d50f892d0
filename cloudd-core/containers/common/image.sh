# shellcheck shell=bash disable=SC2154 # common.sh sets device, device_bytes, scratch and zeroed
# Writes a disk image from a URL to the device: raw or qcow2, as it is or packed by gzip, bzip2, xz or zstd. What it is
# is seen from its first bytes, never from its name.
#
#   download ─▶ tee ─▶ unpack ─▶ dd to the device           raw: nothing of it is ever on a disk of ours
#                │            └─▶ dd to a file, qemu-img       qcow2: its tables may be anywhere in it
#                └─▶ sha256sum or sha512sum
#
# Nothing in the pipe ends the script. Each part leaves how it ended in a file, and the first cause is looked for when
# all of them have ended: that of a part further down shows as a broken pipe further up.

# Without a sum the image is as its server sent it. REASON and MESSAGE are for an image that the server does not have.
write_image() { # URL ALGORITHM:SUM [REASON MESSAGE]
    local url=$1 algorithm=${2%%:*} sum=${2#*:} reason words is progress
    need_https "$url" "$2" IMAGE_CHECKSUM
    case $algorithm:${#sum} in
    sha256:64 | sha512:128) ;;
    :0) algorithm=sha256 ;;
    *) fail bad_parameter "'$2' is no checksum: expected sha256:… or sha512:…" ;;
    esac
    zero_device
    say "writing $url to $device"
    rm -f "$scratch"/{unpack,write,kind,progress,image.qcow2}
    mkfifo "$scratch/copy"
    "${algorithm}sum" <"$scratch/copy" >"$scratch/sum" &
    tell_progress &
    progress=$!
    { download "$url" | tee "$scratch/copy" | place; } || true
    kill "$progress"
    wait "$progress" 2>/dev/null || true
    wait
    rm "$scratch/copy"

    if [[ -s $scratch/write ]]; then
        words=$(tail -n 1 "$scratch/write")
        case $(<"$scratch/kind"):$words in
        qcow2:*'No space left'*) fail no_room "the qcow2 image does not fit the file system of the builder" ;;
        *'No space left'*) fail device_too_small "the image is larger than $device with its $device_bytes bytes" ;;
        *) fail write_failed "$device: $words" ;;
        esac
    fi
    read -r reason words <"$scratch/download"
    [[ $reason != not_found || -z ${3-} ]] || fail "$3" "$4"
    [[ $reason = ok ]] || fail "$reason" "$words"
    is=$(cut -d ' ' -f 1 "$scratch/sum")
    [[ $is = "${sum:-$is}" || $is = "${sum,,}" ]] ||
        fail checksum_mismatch "$url has $algorithm $is, expected ${sum,,}"
    say "$algorithm $is${sum:+, as expected}"
    [[ ! -s $scratch/unpack ]] || fail image_invalid "$url: $(tail -n 1 "$scratch/unpack")"
    [[ $(<"$scratch/kind") != qcow2 ]] || convert "$url"
    sync "$device"
    say "written"
}

# Writes an image with the checksum in IMAGE_CHECKSUM, or else that in a list on the same server, which must be https.
write_published() { # URL LIST ALGORITHM WHAT
    local sum digits=64
    local missing="no $4: $1 is not there"
    if [[ -n ${IMAGE_CHECKSUM-} ]]; then
        write_image "$1" "$IMAGE_CHECKSUM" unknown_version "$missing"
        return
    fi
    [[ $3 != sha512 ]] || digits=128
    need_https "$2" "" IMAGE_CHECKSUM
    fetch "$2" "$scratch/list" "$list_limit" unknown_version "no $4: $2 is not there"
    sum=$(listed_sum "$scratch/list" "${1##*/}" "$digits")
    [[ -n $sum ]] || fail metadata_invalid "$2 has no $3 sum of ${1##*/}"
    write_image "$1" "$3:$sum" unknown_version "$missing"
}

# From stdin to the device, or for qcow2 to a file.
place() {
    local kind
    kind=$(next_kind outer)
    case $kind in
    gzip | bzip2 | xz | zstd) rest outer | unpack "$kind" | { store inner "$(next_kind inner)"; } ;;
    *) store outer "$kind" ;;
    esac
}

store() { # HEAD KIND
    echo "$2" >"$scratch/kind"
    case $2 in
    raw) rest "$1" | to_disk "$device" ${zeroed:+sparse,} ;;
    qcow2) rest "$1" | to_disk "$scratch/image.qcow2" sparse, ;;
    *) rest "$1" | refuse "it is no disk image but ${2//_/ }" ;;
    esac
}

# Takes the first bytes from stdin into the file HEAD, and prints what they are the beginning of.
next_kind() { # HEAD
    head -c 6 >"$scratch/$1"
    case $(od -An -v -tx1 "$scratch/$1" | tr -d ' \n') in
    1f8b*) echo gzip ;;
    425a68*) echo bzip2 ;;
    fd377a585a00*) echo xz ;;
    28b52ffd*) echo zstd ;;
    514649fb*) echo qcow2 ;;
    504b0304*) echo a_zip_archive ;;
    4b444d56*) echo a_VMDK_image ;;
    76686478*) echo a_VHDX_image ;;
    3c21* | 3c68* | 3c48* | 3c3f*) echo a_page_of_HTML_or_XML ;;
    '') echo an_empty_file ;;
    *) echo raw ;;
    esac
}

# stdin from its first byte on, the file HEAD included.
rest() { # HEAD
    cat "$scratch/$1" -
}

# Where the data is bad the rest is read all the same, for the checksum: it knows whether the fault is upstream's.
unpack() { # PROGRAM
    "$1" --decompress --stdout 2>"$scratch/unpack.err" && return
    [[ ! -s $scratch/write ]] || return 0 # it was the writer that went away
    echo "it cannot be unpacked: $(tail -n 1 "$scratch/unpack.err")" >"$scratch/unpack"
    cat >/dev/null
}

refuse() { # WHY
    echo "$1" >"$scratch/unpack"
    cat >/dev/null
}

# The group keeps the pipe until it has left its word, so that whoever writes to it finds that there.
to_disk() { # FILE CONVERSIONS
    {
        dd of="$1" bs=64K iflag=fullblock conv="${2-}notrunc,fsync" status=progress 2>"$scratch/progress" || {
            echo "dd ended with $?"
            lines "$scratch/progress" | sed -n 's/^dd: //p'
        } >"$scratch/write"
    }
}

tell_progress() {
    trap 'kill "${pause-}" 2>/dev/null; exit 0' TERM
    while :; do
        sleep 10 &
        pause=$!
        wait "$pause"
        [[ ! -s $scratch/progress ]] || lines "$scratch/progress" | tail -n 1
    done
}

lines() { # FILE with carriage returns
    tail -c 1000 "$1" | tr '\r' '\n'
}

# The checksum was right, still nothing in the image may lead out of it.
convert() { # URL
    local size backing
    qemu-img info -f qcow2 --output=json "$scratch/image.qcow2" >"$scratch/info" 2>"$scratch/convert" ||
        fail image_invalid "$1: $(tail -n 1 "$scratch/convert")"
    size=$(jq '."virtual-size"' "$scratch/info")
    backing=$(jq -r '."backing-filename" // ."format-specific".data."data-file" // ""' "$scratch/info")
    [[ -z $backing ]] || fail image_invalid "$1 is only a part of an image: the rest would be in $backing"
    [[ $size -le $device_bytes ]] ||
        fail device_too_small "the image has $size bytes, $device only $device_bytes"
    say "unpacking the qcow2 image of $size bytes"
    qemu-img convert -n ${zeroed:+--target-is-zero} -f qcow2 -O raw "$scratch/image.qcow2" "$device" \
        2>"$scratch/convert" || fail write_failed "$device: $(tail -n 1 "$scratch/convert")"
    rm "$scratch/image.qcow2"
}
