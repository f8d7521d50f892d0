#!/bin/sh
# Installs cargo-deny if it is missing. It is compiled, without optimisation: a check takes three
# seconds all the same, and compiling it half as long.
set -eu

# Raised by hand: a newer one may need a newer Rust.
version=0.20.2

if ! command -v cargo-deny >/dev/null; then
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false \
        cargo install --quiet --locked "cargo-deny@$version"
fi
echo "cargo-deny.sh: $(cargo deny --version)"
