#!/bin/sh
# Installs what the tests and the quickstart need on Debian 12 that has Rust. Does nothing, in a
# second and without root, when all of it is there.
#
#   tests/machine/install.sh           install what is missing
#   tests/machine/install.sh --list    print the package names, one a line
#
# Safe on a machine that is used for other things too: nothing is removed or upgraded without need,
# and no service that comes with a package starts to listen or to configure the machine (see `quiet`).
set -eu

# One package a line, then why. Only what some file of this repository uses.
packages='
make                   the front desk
gcc                    linker of every Rust program, C parts of the TLS library
pkg-config             finds libvirt at build time
libvirt-dev            cloudd-libvirt links with it
libvirt-daemon-system  the tests build images on a local libvirt
libvirt-clients        virsh, for libvirtd.sh and for looking into a failed test
qemu-system-x86        runs the builder VMs
qemu-utils             qemu-img: the base image, and reading the images that tests made
dnsmasq-base           libvirt refuses to start its default network without it
iptables               the same
iproute2               the same, and addresses of the test hosts
mmdebstrap             makes the root file system of the builder base image
debian-archive-keyring mmdebstrap trusts packages by it, also on a host that is not Debian
fdisk                  sfdisk partitions the base image
e2fsprogs              mke2fs writes the root of the base image without a loop device
dosfstools             fsck.fat: checks the seeds that cloudd-libvirt writes
mtools                 writes the seed of boot.sh
busybox-static         the one program of the install containers under test
cpio                   stage 2 travels in an archive for the initramfs
podman                 judges the archives of build contexts
crun                   runs them for podman
bzip2                  packs the images that the install containers under test unpack
xz-utils               the same
zstd                   the same
libarchive-tools       bsdtar writes an ISO image for one of them
cloud-init             its schema command judges every cloud-config that is rendered
openssh-server         sshd, run by tests on a loopback port, is the far end of the SSH channel
openssh-client         ssh-keygen, and ssh for qemu+ssh:// connections
hcloud-cli             the official client, which must understand the Hetzner simulator
shellcheck             lint of the guest scripts and of these here
jq                     reads the answers of cargo metadata in msrv.sh
procps                 ps: tests look at what is left running
'
names=$(printf '%s\n' "$packages" | awk 'NF { print $1 }')

if [ "${1-}" = --list ]; then
    printf '%s\n' "$names"
    exit 0
fi

installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for name in $names; do
    installed "$name" || missing="$missing $name"
done
if [ -z "$missing" ]; then
    echo "install.sh: everything is installed"
    exit 0
fi
echo "install.sh: to be installed:$missing"

root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "install.sh: needs root or sudo for: apt-get install$missing" >&2
        exit 1
    }
    root=sudo
fi

# Through `env`, as sudo drops the variables of the caller. Never at the price of another package: apt
# would rather remove one than say that a request cannot be met.
apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-remove -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# Some packages are wanted for one program only, and would otherwise act on the machine by themselves.
# What was there before is the owner's business and stays as it is.
quiet() {
    if ! installed cloud-init; then
        # It would configure this machine at the next boot, if it runs in a cloud.
        $root mkdir -p /etc/cloud
        $root touch /etc/cloud/cloud-init.disabled
    fi
    if ! installed openssh-server && [ -d /run/systemd/system ]; then
        # It would open port 22.
        $root systemctl mask ssh.service ssh.socket
        echo "install.sh: sshd is installed but masked; systemctl unmask ssh.service to use it"
    fi
}

# A list that is missing or old names packages which the mirror has no more.
fresh_lists() {
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)" ]
}

# A machine may have qemu-utils of a newer release (backports) than the mirror has qemu-system-x86
# for, and the two must be of one version. So when the plain request cannot be met, and only then,
# both are taken in the version of the mirror, though it is the older one.
install_missing() {
    # shellcheck disable=SC2086 # a list of names
    if apt --simulate --no-install-recommends install $missing >/dev/null 2>&1; then
        apt --no-install-recommends install $missing
        return
    fi
    version=$(apt-cache policy qemu-system-x86 | awk '$1 == "Candidate:" { print $2 }')
    case "$version" in
    '' | '(none)') return 1 ;;
    esac
    echo "install.sh: the plain request cannot be met; trying with QEMU at $version"
    # shellcheck disable=SC2086
    apt --no-install-recommends --allow-downgrades install $missing \
        "qemu-system-x86=$version" "qemu-utils=$version"
}

quiet
fresh_lists || apt update
# A second try with fresh lists: a version listed this morning may have been replaced since.
install_missing || { apt update && install_missing; }

for name in $missing; do
    installed "$name" || {
        echo "install.sh: $name is still not installed" >&2
        exit 1
    }
done
echo "install.sh: done"
