# shellcheck shell=bash
# What every install script begins with: how it speaks and how it ends. README.md beside this file has the table of
# exit codes. The argument is the device.
set -Eeuo pipefail
export LC_ALL=C

# Hides user name, password and query of every URL on stdin; line by line, so that it can stay in a pipe.
redact() {
    sed -u -E -e 's,(://)[^/?#[:space:]]*@,\1***@,g' -e 's,(://[^?#[:space:]]*[?#])[^[:space:]]+,\1***,g'
}

say() { printf '%s\n' "$*" | redact; }

fail() { # REASON MESSAGE
    printf '%s: %s\n' "$1" "$2" | redact >&2
    exit "$(exit_code "$1")"
}

exit_code() {
    case $1 in
    bad_parameter) echo 64 ;;
    not_found) echo 65 ;;
    unknown_version) echo 66 ;;
    download_failed) echo 67 ;;
    truncated) echo 68 ;;
    checksum_mismatch) echo 69 ;;
    signature_invalid) echo 70 ;;
    metadata_invalid) echo 71 ;;
    image_invalid) echo 72 ;;
    device_too_small) echo 73 ;;
    write_failed) echo 74 ;;
    no_room) echo 75 ;;
    install_failed) echo 76 ;;
    too_large) echo 77 ;;
    *) echo 1 ;;
    esac
}

trap 'printf "internal: line %s of %s: %s\n" "$LINENO" "$0" "$BASH_COMMAND" >&2' ERR

# Sets $device, $device_bytes and $scratch, a directory that goes when the script ends.
begin() { # "$@"
    [[ $# -eq 1 && -b $1 ]] || fail bad_parameter "expected one argument, a block device, not '$*'"
    device=$1
    device_bytes=$(blockdev --getsize64 "$device")
    scratch=$(mktemp -d)
    trap clean_up EXIT
}

clean_up() {
    # A part of the script that runs beside it may be ended before it has forgotten this trap.
    [[ $BASHPID = "$$" ]] || return 0
    umount "$scratch/mounted" 2>/dev/null || true
    rm -rf --one-file-system "$scratch"
}

# Fails unless the variable $1 is set and matches the regular expression $2, which $3 describes. A malformed URL may have
# a password anywhere before its last @.
check() { # VARIABLE REGEX DESCRIPTION
    local whole="^($2)\$" shown
    [[ ${!1-} =~ $whole ]] && return
    shown=$(redact <<<"${!1-}" | sed -E 's,(^|[[:space:]])[^[:space:]]*@,\1***@,g')
    fail bad_parameter "$1 is '$shown', expected $3"
}

# Stand in configuration files of boot loaders: no quotes, nothing that would be expanded.
# shellcheck disable=SC2034 # for those who source this
kernel_args='[A-Za-z0-9_.,:=/@%+~ -]*' kernel_args_wanted='kernel arguments without quotes'

# Zeroes the device where it can do that by itself, in no time. Zeros need not be written then.
# Sets $zeroed to yes or nothing.
# shellcheck disable=SC2034 # for those who source this
zero_device() {
    zeroed=
    if fallocate --punch-hole --offset 0 --length "$device_bytes" "$device" 2>/dev/null; then zeroed=yes; fi
}

# The name that most publishers have for this processor: amd64, arm64.
architecture() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
    esac
}
