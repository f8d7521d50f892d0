//! The images Hetzner offers: x86 and arm share their names.

/// How old an image's deprecation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deprecation {
    /// Not deprecated.
    None,
    /// Hidden from lists, still usable.
    Announced,
    /// Past its date: cannot be used any more.
    Past,
}

/// An operating system on offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SystemImage {
    pub id: u64,
    pub name: &'static str,
    pub description: &'static str,
    pub flavor: &'static str,
    pub version: &'static str,
    pub architecture: &'static str,
    pub deprecation: Deprecation,
    /// `system` or `app`.
    pub kind: &'static str,
    /// Days before the simulator's start.
    pub age: u64,
}

const fn image(
    id: u64,
    name: &'static str,
    description: &'static str,
    os: (&'static str, &'static str),
    architecture: &'static str,
    age: u64,
) -> SystemImage {
    SystemImage {
        id,
        name,
        description,
        flavor: os.0,
        version: os.1,
        architecture,
        deprecation: Deprecation::None,
        kind: "system",
        age,
    }
}

const fn old(image: SystemImage, deprecation: Deprecation) -> SystemImage {
    SystemImage { deprecation, ..image }
}

use Deprecation::{Announced, Past};

pub(super) const ALL: &[SystemImage] = &[
    image(67_794_396, "ubuntu-22.04", "Ubuntu 22.04", ("ubuntu", "22.04"), "x86", 1600),
    image(103_908_130, "ubuntu-22.04", "Ubuntu 22.04", ("ubuntu", "22.04"), "arm", 1200),
    image(161_547_269, "ubuntu-24.04", "Ubuntu 24.04", ("ubuntu", "24.04"), "x86", 900),
    image(161_547_270, "ubuntu-24.04", "Ubuntu 24.04", ("ubuntu", "24.04"), "arm", 900),
    image(114_690_387, "debian-12", "Debian 12", ("debian", "12"), "x86", 1100),
    image(114_690_389, "debian-12", "Debian 12", ("debian", "12"), "arm", 1100),
    image(310_557_660, "debian-13", "Debian 13", ("debian", "13"), "x86", 400),
    image(310_557_661, "debian-13", "Debian 13", ("debian", "13"), "arm", 400),
    old(image(173_458_120, "fedora-40", "Fedora 40", ("fedora", "40"), "x86", 880), Past),
    old(image(215_840_201, "fedora-41", "Fedora 41", ("fedora", "41"), "x86", 700), Announced),
    old(image(215_840_202, "fedora-41", "Fedora 41", ("fedora", "41"), "arm", 700), Announced),
    image(290_041_118, "fedora-42", "Fedora 42", ("fedora", "42"), "x86", 500),
    image(290_041_119, "fedora-42", "Fedora 42", ("fedora", "42"), "arm", 500),
    image(330_120_054, "fedora-43", "Fedora 43", ("fedora", "43"), "x86", 300),
    image(330_120_055, "fedora-43", "Fedora 43", ("fedora", "43"), "arm", 300),
    image(45_557_056, "rocky-9", "Rocky Linux 9", ("rocky", "9"), "x86", 1500),
    image(45_557_058, "alma-9", "AlmaLinux 9", ("alma", "9"), "x86", 1500),
    image(298_164_000, "opensuse-15", "openSUSE Leap 15", ("opensuse", "15"), "x86", 450),
    SystemImage {
        kind: "app",
        ..image(40_093_247, "docker-ce", "Docker CE", ("ubuntu", "24.04"), "x86", 800)
    },
];

impl SystemImage {
    /// Days since the deprecation was announced and days it gives notice for.
    pub(crate) fn deprecated(&self) -> Option<(u64, u64)> {
        match self.deprecation {
            Deprecation::None => None,
            Announced => Some((20, 90)),
            Past => Some((200, 90)),
        }
    }
}
