#!/bin/sh
# Receives a file on standard input and puts it in place once it is complete and right. Run over SSH
# by the host, again and again until it says `complete`.
#
#   ssh_upload.sh FILE BYTES SHA256
#
# Prints lines that begin with `cloudd-upload`:
#   from N        send the file from byte N on: what comes before is here already
#   complete      the file is in place, with this length and sum
#   length N      after all that was sent there are N bytes; what is here is kept
#   damaged SUM   the length is right, the sum is not; what was here is removed
#   failed N      a command failed with exit code N, its words are on standard error
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

# An earlier run may have finished without the host's hearing of it.
if [ -f "$file" ] && [ "$(length "$file")" = "$bytes" ] && [ "$(sum "$file")" = "$wanted" ]; then
    say complete
    exit
fi

# An earlier run may even be alive behind a lost connection, with bytes still to write. So bytes go
# to their place instead of to the end: whoever writes, it is the same byte.
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
