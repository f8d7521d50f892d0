#!/bin/sh
# Compares the public API with that of the last release, by cargo-semver-checks.
set -eu

skip() {
    echo "$*" | tee "${CLOUDD_SKIPPED:-/dev/null}"
    exit 0
}

cd "$(dirname "$0")/../.."
release=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) || skip "nothing is released yet"
command -v cargo-semver-checks >/dev/null || skip "cargo-semver-checks is not installed"
cargo semver-checks --baseline-rev "$release" --all-features \
    -p cloudd-core -p cloudd-hcloud -p cloudd-libvirt
