#!/bin/sh
# Runs a command with a libvirt and the builder base images at hand, and tells it where they are.
#
#   tests/machine/run.sh cargo test -p cloudd-tests --test e2e -- e2e_one_of_them
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || {
    echo "usage: run.sh COMMAND [ARGUMENT…]" >&2
    exit 2
}

export CLOUDD_TEST_URI="${CLOUDD_TEST_URI:-qemu:///system}"
export CLOUDD_TEST_POOL="${CLOUDD_TEST_POOL:-cloudd-tests}"
"$here/libvirtd.sh" start
image() {
    path=$("$here/builder-base.sh" "$1" | tail -n 1)
    # `tail` ate the exit code of a failed build.
    [ -f "$path" ] || {
        echo "run.sh: no builder base image" >&2
        exit 1
    }
    echo "$path"
}
# In two steps, since a failure inside `export NAME=$(…)` goes unseen.
CLOUDD_TEST_BASE=$(image dracut)
CLOUDD_TEST_BASE_NODRACUT=$(image no-dracut)
export CLOUDD_TEST_BASE CLOUDD_TEST_BASE_NODRACUT
exec "$@"
