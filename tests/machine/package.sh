#!/bin/sh
# Packs the crates as they would be published, builds each from its package alone, and then does what
# a new user does: `cargo add cloudd-hcloud` in an empty project, and the program of README.md. That
# project sees the packages, never the workspace.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
crates='cloudd-core cloudd-hcloud cloudd-libvirt'
target=${CARGO_TARGET_DIR:-$root/target}
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
trap 'exit 1' INT TERM HUP

die() {
    echo "package.sh: $*" >&2
    exit 1
}

# cargo takes the packages from a registry of its own making, and what it has once unpacked and compiled from
# a registry for good, by name and version: those of an earlier run would serve again.
for crate in $crates; do
    rm -rf "${CARGO_HOME:-$HOME/.cargo}"/registry/src/-*/"$crate"-[0-9]* "$target"/debug/.fingerprint/"$crate"-*
done
# A checkout with changes is tested like any other; what is published is a matter of the release.
cargo fetch --quiet --locked
cargo package --locked --offline --allow-dirty -p cloudd-core -p cloudd-hcloud -p cloudd-libvirt

version=$(cargo metadata --locked --no-deps --format-version 1 |
    jq -r '.packages[] | select(.name == "cloudd-core") | .version')
# In one place each time: cargo builds a package anew where its path is new.
packages=$target/package/unpacked
rm -rf "$packages"
mkdir "$packages"
for crate in $crates; do
    package=$target/package/$crate-$version.crate
    tar xzf "$package" -C "$packages"
    unpacked=$packages/$crate-$version
    for file in README.md LICENSE-MIT LICENSE-APACHE; do
        [ -s "$unpacked/$file" ] || die "$crate lacks $file"
    done
    [ ! -e "$unpacked/tests" ] || die "$crate holds its tests"
    bytes=$(stat -c %s "$package")
    # The registry's limit is 10 MiB; ours keeps a stray file from going along.
    [ "$bytes" -le 524288 ] || die "$crate has $bytes bytes"
    echo "package.sh: $crate $version has $bytes bytes"
done

# A registry that has the packages, beside everything they depend on.
cargo vendor --locked --offline --versioned-dirs "$project/registry" >/dev/null 2>"$project/vendor.log" || {
    cat "$project/vendor.log" >&2
    die "no copy of the dependencies"
}
for crate in $crates; do
    cp -r "$packages/$crate-$version" "$project/registry/"
    sum=$(sha256sum "$target/package/$crate-$version.crate" | cut -d ' ' -f 1)
    printf '{"files":{},"package":"%s"}' "$sum" \
        >"$project/registry/$crate-$version/.cargo-checksum.json"
done
cat >"$project/registry.toml" <<END
[source.crates-io]
replace-with = "packaged"
[source.packaged]
directory = "$project/registry"
END

cargo init --quiet --vcs none --name new-user "$project/new-user"
cd "$project/new-user"
cargo add --quiet --offline --config "$project/registry.toml" cloudd-hcloud
cargo add --quiet --offline --config "$project/registry.toml" tokio --features macros,rt-multi-thread
# The first program of the page.
awk '/^```rust/ { program = 1; next } /^```/ && program { exit } program' "$root/README.md" >src/main.rs
grep -q 'fn main' src/main.rs || die "README.md has no program"

# Built with the versions of our lock file, so that what the packages were built with serves again.
rm Cargo.lock
cp "$root/Cargo.lock" .
CARGO_TARGET_DIR=$target cargo build --offline \
    --config "patch.crates-io.cloudd-core.path='$packages/cloudd-core-$version'" \
    --config "patch.crates-io.cloudd-hcloud.path='$packages/cloudd-hcloud-$version'"
echo "package.sh: an empty project with cloudd-hcloud builds the program of README.md"
