#!/bin/sh
# Lints every shell script of the checkout: what is called *.sh and what begins as one.
set -eu

cd "$(dirname "$0")/../.."
scripts=0
# Files that are not yet added count too.
lint() {
    while IFS= read -r file; do
        if [ ! -f "$file" ] || [ -L "$file" ]; then continue; fi
        case "$file" in
        *.sh) ;;
        *) head -n 1 "$file" | LC_ALL=C grep -aqE '^#! ?/(usr/)?bin/(env )?(ba|da)?sh' || continue ;;
        esac
        shellcheck --severity=style "$file"
        scripts=$((scripts + 1))
    done
    [ "$scripts" -gt 0 ]
    echo "shellcheck.sh: $scripts scripts are clean"
}
git -c core.quotePath=off ls-files --cached --others --exclude-standard | LC_ALL=C sort -u | lint
