//! `nixos`, built by the real Nix from a minimal nixpkgs, because the real one is not available here.

use std::fs;
use std::path::Path;
use std::process::Command;

use cloudd_core::install::InstallContainer;
use cloudd_core::install::containers::{Checksum, Nixos};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::fixtures::{check_file_system, file_at, link_at, names_at, sum};
use crate::kernel::{kernel, start};
use crate::podman::{by_hand, install, install_trusting, run};
use crate::server::Server;

const MIB: u64 = 1 << 20;
const ROOT: u64 = 66 * MIB;
const CHANNEL: &str = "/nixos-26.05/nixexprs.tar.xz";

/// The public key that belongs to the signature of `cache/cached.narinfo`.
const CACHE_KEY: &str = "cloudd.example-1:kPsDmSTemvpnIUlNrPlEGQZ4/2ApqlQcOSq3lZxmHFU=";
const NARINFO: &str = include_str!("cache/cached.narinfo");
const NAR: &[u8] = include_bytes!("cache/cached.nar");

/// A tarball like that of a channel: the folder `nixpkgs`, and the parts of its system.
fn tarball() -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let tree = directory.path().join("nixos-26.05.1.abc");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/nixpkgs");
    run(Command::new("cp").arg("-r").args([&folder, &tree]));
    for folder in ["bin", "linux"] {
        fs::create_dir(tree.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
    fs::write(tree.join("linux/bzImage"), kernel()).unwrap();
    fs::write(tree.join("linux/initrd"), "initrd").unwrap();
    packed(directory.path(), "nixos-26.05.1.abc")
}

fn packed(directory: &Path, name: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    run(Command::new("tar").arg("-cJf").arg(file.path()).arg("-C").arg(directory).arg(name));
    fs::read(file.path()).unwrap()
}

/// A server of a channel, and of a cache with one package.
struct World {
    server: Server,
    sum: Checksum,
}

impl World {
    fn new() -> Self {
        let (server, tarball) = (Server::new(), tarball());
        server.put(CHANNEL, &*tarball);
        server.put("/cache/nix-cache-info", "StoreDir: /nix/store\n");
        let path = NARINFO.lines().find_map(|line| line.strip_prefix("StorePath: /nix/store/"));
        let hash = path.unwrap().split('-').next().unwrap();
        server.put(&format!("/cache/{hash}.narinfo"), NARINFO);
        server.put("/cache/nar/cached.nar", NAR);
        Self { server, sum: sum(&tarball) }
    }

    fn nixos(&self) -> Nixos {
        let nixos = Nixos::new().mirror(self.server.url("")).checksum(self.sum.clone());
        nixos.cache(self.server.url("/cache"))
    }
}

#[test]
fn nixos_is_built_from_its_configuration_and_its_disk_starts() {
    let (world, disk) = (World::new(), Disk::new(512 * MIB));
    let configuration = "{ lib, ... }: { networking.hostName = lib.mkDefault \"box\"; }\n";
    let nixos = Nixos::new().nixpkgs(world.server.url(CHANNEL), world.sum.clone());
    let nixos = nixos.cache(world.server.url("/cache")).configuration(configuration);
    install(nixos.kernel_arg("cloudd.test=1"), &disk).well();
    check_file_system(&disk, ROOT);
    let file = |path: &str| file_at(&disk, ROOT, path);
    let names = |path: &str| names_at(&disk, ROOT, path);
    let link = |path: &str| link_at(&disk, ROOT, path);

    assert_eq!(link("/nix/var/nix/profiles/system"), "system-1-link");
    let system = link("/nix/var/nix/profiles/system-1-link");
    assert!(system.starts_with("/nix/store/") && system.ends_with("-nixos-system"), "{system}");
    let config: serde_json::Value =
        serde_json::from_str(&file(&format!("{system}/config.json"))).unwrap();
    assert_eq!(config["networking"]["hostName"], "box");
    assert_eq!(config["fileSystems"]["/"]["device"], "/dev/disk/by-label/nixos");
    assert_eq!(config["system"]["stateVersion"], "26.05");

    // nixos-rebuild and the garbage collector find all files that the system was built from.
    assert_eq!(file("/etc/nixos/system.nix"), configuration);
    let imports = file("/etc/nixos/configuration.nix");
    assert!(imports.contains("./hardware-configuration.nix ./system.nix"), "{imports}");
    assert!(names("/etc/nixos").contains("/hardware-configuration.nix/"));
    assert_eq!(link("/nix/var/nix/gcroots/profiles"), "/nix/var/nix/profiles");
    assert!(names("/nix/var/nix/db").contains("/db.sqlite/"));
    let store = names("/nix/store");
    assert!(store.contains("-linux/"), "{store}");
    assert!(!store.contains("-compiler/") && !store.contains(".drv/"), "{store}");
    let etc = names("/etc");
    assert!(etc.contains("/NIXOS/"), "{etc}");
    assert!(!etc.contains("/os-release/") && !etc.contains("/machine-id/"), "{etc}");

    let output = start(disk.path());
    let arguments = "console=tty0 console=ttyS0,115200 cloudd.test=1";
    assert!(output.trim_end().ends_with(&format!("init={system}/init {arguments}")), "{output}");
}

#[test]
fn a_channel_and_the_configuration_that_comes_with_it_make_a_system() {
    let (world, disk) = (World::new(), Disk::new(512 * MIB));
    install(world.nixos(), &disk).well();
    let system = link_at(&disk, ROOT, "/nix/var/nix/profiles/system-1-link");
    let config = file_at(&disk, ROOT, &format!("{system}/config.json"));
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["services"]["cloud-init"]["enable"], true);
    let ssh = &config["services"]["openssh"]["settings"];
    assert_eq!(ssh["PasswordAuthentication"], false);
    assert_eq!(ssh["KbdInteractiveAuthentication"], false);
}

/// A disk that must not be changed, because all errors occur before it is written.
struct Untouched(Disk);

impl Untouched {
    fn new() -> Self {
        Self(Disk::holding(512 * MIB, b"what was there before"))
    }

    #[track_caller]
    fn refuses(&self, nixos: impl Into<InstallContainer>, code: i32, line: &str) -> String {
        // Instead of the default of five tries with pauses.
        let ended = install(nixos.into().env("DOWNLOAD_TRIES", "1"), &self.0);
        ended.badly(code, line);
        assert!(self.0.bytes().starts_with(b"what was there before"), "{line}");
        ended.output
    }
}

#[test]
fn a_nixpkgs_that_is_not_there_or_not_the_one_is_named() {
    let (world, disk) = (World::new(), Untouched::new());
    let server = &world.server;
    let channel = world.nixos().channel("nixos-99.11");
    disk.refuses(channel, 66, "unknown_version: no channel nixos-99.11: ");
    let nowhere = world.nixos().nixpkgs(server.url("/nowhere"), world.sum.clone());
    disk.refuses(nowhere, 65, "not_found: ");
    disk.refuses(world.nixos().checksum(sum(b"another")), 69, "checksum_mismatch: ");
    by_hand("nixos", &[("NIXOS_MIRROR", &server.url(""))], &disk.0)
        .badly(64, "bad_parameter: without https ");
    let trusted = server.url("/cache?trusted=1");
    let variables = [("NIXOS_CACHES", &*trusted), ("NIXOS_CHECKSUM", &world.sum.to_string())];
    by_hand("nixos", &variables, &disk.0).badly(64, "bad_parameter: ");
    let page = world.nixos().nixpkgs(server.put("/page", "<html>"), sum(b"<html>"));
    disk.refuses(page, 72, "image_invalid: ");
    let other = TempDir::new().unwrap();
    fs::create_dir(other.path().join("other")).unwrap();
    let other = packed(other.path(), "other");
    let other = world.nixos().nixpkgs(server.put("/other", &*other), sum(&other));
    let output = disk.refuses(other, 72, "image_invalid: ");
    assert!(output.contains("holds no nixpkgs"), "{output}");
}

#[test]
fn a_channel_without_a_checksum_never_leaves_https() {
    let (world, disk) = (World::new(), Untouched::new());
    let tls = Server::tls();
    tls.redirect_to(CHANNEL, world.server.url(CHANNEL));
    let before = world.server.asked().len();
    let nixos = Nixos::new().mirror(tls.url("")).cache(world.server.url("/cache"));
    let ended = install_trusting(nixos, &disk.0);
    ended.badly(67, "download_failed: ");
    assert!(ended.output.contains("redirects to a URL without https"), "{}", ended.output);
    let asked = &world.server.asked()[before..];
    assert!(!asked.iter().any(|request| request.contains("nixexprs")), "{asked:?}");
    assert!(disk.0.bytes().starts_with(b"what was there before"));
}

#[test]
fn a_configuration_that_cannot_become_a_system_is_named_with_its_fault() {
    let (world, disk) = (World::new(), Untouched::new());
    let with = |configuration: &str| world.nixos().configuration(configuration);
    let evaluation = "bad_parameter: the configuration does not evaluate: error: ";
    let unknown = format!("{evaluation}undefined variable 'nmae' at /etc/nixos/system.nix:2:25");
    disk.refuses(with("{ ... }:\n{ networking.hostName = nmae; }"), 64, &unknown);
    let unknown = format!("{evaluation}The option `sevices' does not exist.");
    disk.refuses(with("{ sevices.openssh.enable = true; }"), 64, &unknown);
    let download = "{ system.x = builtins.readFile (builtins.fetchurl http://127.0.0.1:1/x); }";
    disk.refuses(with(download), 67, "download_failed: error: unable to download ");
    let broken = "install_failed: the system cannot be built: error: builder for ";
    disk.refuses(with("{ system.broken = true; }"), 76, broken);
    let loader = with("{ boot.loader.generic-extlinux-compatible.enable = false; }");
    disk.refuses(loader, 76, "install_failed: the system wrote no /boot/extlinux/extlinux.conf");
}

#[test]
fn a_cache_that_is_away_is_named_before_anything_is_built() {
    let (world, disk) = (World::new(), Untouched::new());
    let away = world.nixos().cache("http://127.0.0.1:1/cache");
    disk.refuses(away, 67, "download_failed: http://127.0.0.1:1/cache/nix-cache-info: ");
    let none = world.nixos().cache(world.server.url("/elsewhere"));
    disk.refuses(none, 65, "not_found: ");
    world.server.put("/page/nix-cache-info", "<html>");
    let page = world.nixos().cache(world.server.url("/page"));
    disk.refuses(page, 71, "metadata_invalid: ");
}

#[test]
fn what_a_cache_has_is_taken_from_it_only_with_a_signature_by_a_known_key() {
    let (world, disk) = (World::new(), Disk::new(512 * MIB));
    let nixos = || world.nixos().configuration("{ system.cached = true; }");
    install(nixos().cache_key(CACHE_KEY), &disk).well();
    let system = link_at(&disk, ROOT, "/nix/var/nix/profiles/system-1-link");
    assert_eq!(file_at(&disk, ROOT, &format!("{system}/cached")), "from the cache\n");
    let output =
        Untouched::new().refuses(nixos(), 70, "signature_invalid: ignoring substitute for ");
    assert!(output.contains("-cached' from "), "{output}");
}

#[test]
fn a_device_that_is_too_small_for_any_system_is_named() {
    let disk = Disk::new(200 * MIB);
    install(World::new().nixos(), &disk).badly(73, "device_too_small: ");
}
