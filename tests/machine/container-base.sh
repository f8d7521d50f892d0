#!/bin/sh
# Makes a podman storage in which the install containers of cloudd-core/containers can be built, with no registry to
# ask: under the name of their base image it has Debian with all packages that their Containerfiles name, so that
# building one needs no network. The path of its folder is the last line printed; there are
#
#   storage.conf     for CONTAINERS_STORAGE_CONF
#   containers.conf  for CONTAINERS_CONF
#   base.tar         the root file system of the base image
#   name             its name
#
#   FRESH=1 tests/machine/container-base.sh    make it again, with the packages of today
#
#   CLOUDD_CACHE  where it is kept (/var/cache/cloudd, which every checkout on a machine shares)
#
# Kept under a hash of this script and of the list of packages; see builder-base.sh.
set -eu

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo env "PATH=$PATH:/usr/sbin:/sbin" "$@"; fi
}

here=$(cd "$(dirname "$0")" && pwd)
cache=${CLOUDD_CACHE:-/var/cache/cloudd}
containers=$here/../../cloudd-core/containers

packages=$(sed -n 's,^RUN /install/common/packages ,,p' "$containers"/*/Containerfile | tr ' ' '\n' | LC_ALL=C sort -u | paste -sd,)
base=$(sed -n 's,^ARG BASE=,,p' "$containers"/*/Containerfile | LC_ALL=C sort -u)
release=$(echo "$base" | sed 's,.*/debian:\(.*\)-slim,\1,')
key=$( (echo "$base $packages" && cat "$0") | sha256sum | cut -c1-12)
folder=$cache/container-$key

# Where podman was given these directories below a long path, every run took 20 s more (podman 4.3).
run=/run/cloudd-$key

configuration() {
    as_root tee "$1/storage.conf" >/dev/null <<END
[storage]
driver = "overlay"
graphroot = "$folder/graph"
runroot = "$run/run"
END
    # No systemd and few rights here: no cgroups, and no limits raised.
    as_root tee "$1/containers.conf" >/dev/null <<END
[containers]
cgroups = "disabled"
log_driver = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
tmp_dir = "$run/tmp"
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
END
}

make() {
    echo "container-base.sh: making $release with $packages (2 minutes)" >&2
    as_root find "$cache" -maxdepth 1 -name 'container-*' -mtime +14 -exec rm -rf {} +
    as_root rm -rf "$folder" "$run"
    as_root mkdir -p "$folder"
    as_root mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$release" "$folder/base.tar" >&2
    echo "$base" | as_root tee "$folder/name" >/dev/null
    configuration "$folder"
    as_root env CONTAINERS_STORAGE_CONF="$folder/storage.conf" CONTAINERS_CONF="$folder/containers.conf" \
        podman import --quiet "$folder/base.tar" "$base" >&2
    as_root touch "$folder/complete"
}

# Of two that ask at once, one makes it.
as_root mkdir -p "$cache"
exec 9>"${TMPDIR:-/tmp}/cloudd-container-base.lock"
flock 9
if [ ! -e "$folder/complete" ] || [ -n "${FRESH-}" ]; then
    make
fi
as_root touch "$folder"
echo "$folder"
