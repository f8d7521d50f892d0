# shellcheck shell=bash disable=SC2154 # common.sh sets scratch
# Downloads that continue after an interruption and report why they ended.

# Fails unless the URL is https or there is a checksum: over http, anyone on the way can change the image and the list
# of its checksums alike.
need_https() { # URL CHECKSUM VARIABLE
    [[ $1 = https://* || -n $2 ]] || fail bad_parameter \
        "without https $1 can be changed on the way: use https, or set the checksum of the download in $3"
}

# Writes the body of a URL to stdout; must be run in a pipe. The result is in $scratch/download as REASON MESSAGE: `ok`
# without a message, or `unread` if the reader has ended. https is never left, also not for a redirect. The URL is not an
# argument of curl, so that the list of processes does not show it.
download() { # URL [ARGUMENT OF CURL…]
    local url=$1 offset=0 tries=0 code got status words reason protocols='=http,https' quoted
    [[ $url != https://* ]] || protocols='=https'
    quoted=${url//\\/\\\\}
    quoted=${quoted//\"/\\\"}
    while :; do
        code=0
        curl --config <(printf 'url = "%s"\n' "$quoted") --globoff --proto "$protocols" --proto-redir "$protocols" \
            --fail --silent --show-error --location --max-redirs 10 \
            --connect-timeout 30 --speed-limit 1024 --speed-time 60 --continue-at "$offset" \
            --write-out '%{stderr}\nresult %{size_download} %{http_code}\n' "${@:2}" 2>"$scratch/curl" || code=$?
        read -r _ got status < <(grep '^result ' "$scratch/curl" || echo result 0 000)
        words=$(sed -n 's/^curl: //p' "$scratch/curl" | tail -n 1)
        offset=$((offset + got))
        # After progress, the number of tries starts again.
        [[ $got -eq 0 ]] || tries=0
        reason=
        case $code:$status in
        0:*) reason=ok words= ;;
        1:3??) reason=download_failed words="$url redirects to a URL without https, which is refused: $words" ;;
        23:*) reason=unread ;;
        22:404 | 22:410) reason=not_found words="$url: the server says $status" ;;
        # The requested offset is after the end of the file, which the server had announced as longer.
        22:416) reason=truncated words="$url ended after $offset bytes, and the server has no more" ;;
        33:*) reason=truncated words="$url ended after $offset bytes, and the server cannot go on from there" ;;
        22:408 | 22:429 | 22:5??) ;;
        22:*) reason=download_failed words="$url: the server says $status" ;;
        63:*) reason=too_large words="$url: $words" ;;
        # Name resolution, connection, time, an interrupted transfer: may succeed later.
        5:* | 6:* | 7:* | 18:* | 28:* | 35:* | 52:* | 55:* | 56:* | 92:*) ;;
        *) reason=download_failed words="$url: $words" ;;
        esac
        tries=$((tries + 1))
        if [[ -z $reason && $tries -ge ${DOWNLOAD_TRIES:-5} ]]; then
            reason=download_failed words="$url: $words"
            [[ $offset -eq 0 ]] || reason=truncated words="$url ended after $offset bytes: $words"
        fi
        if [[ -n $reason ]]; then
            printf '%s %s\n' "$reason" "$words" >"$scratch/download"
            [[ $reason = ok ]]
            return
        fi
        sleep $((2 ** (tries - 1)))
    done
}

# Downloads a file of at most LIMIT bytes. If the server does not have it, fails with REASON MESSAGE, if they are given.
# --max-filesize has no effect without a Content-Length, so head ends the download, too.
fetch() { # URL FILE LIMIT [REASON MESSAGE [ARGUMENT OF CURL…]]
    local reason words
    download "$1" --max-filesize "$3" "${@:6}" | head -c $(($3 + 1)) >"$2" || true
    [[ $(stat -c %s "$2") -le $3 ]] || fail too_large "$1 has more than $3 bytes"
    read -r reason words <"$scratch/download"
    case $reason in
    ok) ;;
    not_found) fail "${4:-not_found}" "${5:-$words}" ;;
    too_large) fail too_large "$1 has more than $3 bytes" ;;
    unread) fail no_room "$1 does not fit the builder's disk" ;;
    *) fail "$reason" "$words" ;;
    esac
}

# Limits of `fetch` in bytes: a list of checksums, metadata in JSON, a file that must be stored as a whole.
# shellcheck disable=SC2034 # for the scripts that source this
readonly list_limit=$((1 << 20)) metadata_limit=$((16 << 20)) file_limit=$((4 << 30))

# The sum of the file NAME, of so many digits: lines as sha256sum prints them or in BSD's form, or a sum alone.
# Prints nothing where there is none.
listed_sum() { # LIST NAME DIGITS
    awk -v name="$2" -v digits="$3" '
        { sum = ""; listed = $2; sub(/^\*/, "", listed); sub(/.*\//, "", listed) }
        listed == name || NF == 1 { sum = $1 }
        $2 == "(" name ")" { sum = $NF }
        length(sum) == digits && sum ~ /^[0-9a-fA-F]+$/ { print sum; exit }
    ' "$1"
}
