#!/bin/sh
# Fails when a dependency demands a newer Rust than the workspace promises. (That our own code keeps
# to the promise is for clippy's `incompatible_msrv` to say, so no second toolchain is needed.)
set -eu

metadata=$(cargo metadata --format-version 1 --all-features --locked)
ours=$(printf '%s' "$metadata" | jq -r '.packages[] | select(.name == "cloudd-core") | .rust_version')
newer=$(printf '%s' "$metadata" | jq -r --arg ours "$ours" '
    def number: split(".") | map(tonumber) | . + [0, 0] | .[:3];
    .packages[]
    | select(.rust_version != null and (.rust_version | number) > ($ours | number))
    | "\(.name) \(.version) demands Rust \(.rust_version)"')
if [ -n "$newer" ]; then
    echo "msrv.sh: the workspace promises Rust $ours, but"
    printf '%s\n' "$newer"
    exit 1
fi
echo "msrv.sh: all $(printf '%s' "$metadata" | jq '.packages | length') packages build with Rust $ours"
