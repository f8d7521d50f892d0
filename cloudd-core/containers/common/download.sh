# shellcheck shell=bash disable=SC2154 # common.sh sets scratch
# Downloads that go on where they broke, and say why they ended.

# The body of a URL to stdout. Run it in a pipe: how it ended is in $scratch/download, as REASON MESSAGE, which is
# `ok` and nothing, or `unread` where the reader went away.
download() { # URL [ARGUMENT OF CURL…]
    local url=$1 offset=0 tries=0 code got status words reason
    while :; do
        code=0
        curl --fail --silent --show-error --location --proto =http,https --proto-redir =http,https \
            --connect-timeout 30 --speed-limit 1024 --speed-time 60 --continue-at "$offset" \
            --write-out '%{stderr}\nresult %{size_download} %{http_code}\n' "${@:2}" "$url" 2>"$scratch/curl" || code=$?
        read -r _ got status < <(grep '^result ' "$scratch/curl" || echo result 0 000)
        words=$(sed -n 's/^curl: //p' "$scratch/curl" | tail -n 1)
        offset=$((offset + got))
        # Whoever gets on may go on for ever.
        [[ $got -eq 0 ]] || tries=0
        reason=
        case $code:$status in
        0:*) reason=ok words= ;;
        23:*) reason=unread ;;
        22:404 | 22:410) reason=not_found words="$url: the server says $status" ;;
        # Asked for what comes after the end that it had itself declared.
        22:416) reason=truncated words="$url ended after $offset bytes, and the server has no more" ;;
        33:*) reason=truncated words="$url ended after $offset bytes, and the server cannot go on from there" ;;
        22:408 | 22:429 | 22:5??) ;;
        22:*) reason=download_failed words="$url: the server says $status" ;;
        # Name, connection, time, a broken transfer: may be better in a moment.
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

# A small file. Where the server does not have it, that is a REASON of its own, if there is one.
fetch() { # URL FILE [REASON MESSAGE [ARGUMENT OF CURL…]]
    local reason words
    download "$1" "${@:5}" >"$2" || true
    read -r reason words <"$scratch/download"
    case $reason in
    ok) ;;
    not_found) fail "${3:-not_found}" "${4:-$words}" ;;
    *) fail "$reason" "$words" ;;
    esac
}

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
