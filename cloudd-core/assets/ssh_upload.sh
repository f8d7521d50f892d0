#!/bin/sh
# Receives a file on standard input, and moves it into place once length and hash are correct. Run by
# the host over SSH, repeatedly until it prints `complete`.
#
#   ssh_upload.sh FILE BYTES SHA256
#
# Prints lines that start with `cloudd-upload`:
#   from N        the host must send the file from byte N on; the bytes before are present
#   complete      the file is in place, with the given length and hash
#   length N      only N bytes are present after the end of the input; they are kept
#   damaged SUM   the length is correct, the hash is not; the bytes were deleted
#   failed N      a command failed with exit code N; its message is on standard error
set -u
umask 077
LC_ALL=C
export LC_ALL
file=$1 bytes=$2 wanted=$3
part=$file.$wanted.part
block=65536

say() {
    echo "cloudd-upload $*"
}

length() {
    echo $(($(wc -c <"$1")))
}

sum() {
    sha256sum <"$1" | { read -r sum _ && echo "$sum"; }
}

mkdir -p "${file%/*}" || { say failed $?; exit; }

# An earlier run may have completed after the connection was lost.
if [ -f "$file" ] && [ "$(length "$file")" = "$bytes" ] && [ "$(sum "$file")" = "$wanted" ]; then
    say complete
    exit
fi

# An earlier run may still be writing after the connection was lost. Therefore bytes are written at
# their offsets instead of appended: both runs write the same bytes to the same places.
here=0
[ ! -f "$part" ] || here=$(length "$part")
[ "$here" -le "$bytes" ] || { rm -f "$part"; here=0; }
blocks=$((here / block))
say from $((blocks * block))
dd of="$part" bs=$block seek=$blocks conv=notrunc || { say failed $?; exit; }

here=$(length "$part")
[ "$here" -eq "$bytes" ] || { say length "$here"; exit; }
is=$(sum "$part")
[ "$is" = "$wanted" ] || { rm -f "$part"; say damaged "$is"; exit; }
mv -f "$part" "$file" || { say failed $?; exit; }
say complete
