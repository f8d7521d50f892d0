//! The install containers that come with cloudd, checked without running them.

mod install_support;

use std::fs;
use std::path::Path;

use cloudd_core::install::containers::{
    Checksum, Debian, FedoraCoreos, Flatcar, K3os, Nixos, RawImage, Talos, Ubuntu, by_name, names,
};
use cloudd_core::install::{InstallContainer, InstallError};
use install_support::{listing, unpacked};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/containers");

fn sum() -> Checksum {
    Checksum::sha256("0".repeat(64))
}

/// One of each, with its required parameters.
fn each() -> impl Iterator<Item = (&'static str, InstallContainer)> {
    names().map(|name| {
        let container = match name {
            "raw_image" => RawImage::new("https://mirror.example/x", sum()).into(),
            "talos" => Talos::new("v1.11.0").into(),
            name => by_name(name).expect("it is one of the names"),
        };
        (name, container)
    })
}

#[test]
fn every_folder_is_a_container_with_a_name_and_a_readme() {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let folders = folders.map(|entry| entry.file_name().into_string().unwrap());
    let mut folders: Vec<String> = folders.filter(|name| name != "common").collect();
    folders.sort();
    assert_eq!(folders, names().collect::<Vec<_>>());
    for name in names() {
        assert!(by_name(name).is_some(), "{name}");
        assert!(
            Path::new(FOLDER).join(name).join("README.md").is_file(),
            "{name} has no README.md"
        );
    }
    assert!(by_name("common").is_none() && by_name("plan9").is_none());
}

#[test]
fn a_container_packs_its_files_as_they_are_in_the_folder_and_all_that_it_sources() {
    for (name, container) in each() {
        let loaded = container.load().unwrap();
        assert!(loaded.warnings().is_empty(), "{name}: {:?}", loaded.warnings());
        let context = loaded.context().unwrap();
        assert_eq!(context.containerfile(), Path::new(name).join("Containerfile"));
        let tree = unpacked(context.archive());
        let packed = listing(tree.path());
        let folder = listing(Path::new(FOLDER));
        for (path, content) in &packed {
            assert_eq!(folder.get(path), Some(content), "{}", String::from_utf8_lossy(path));
        }
        let script = fs::read_to_string(tree.at(format!("{name}/install"))).unwrap();
        let sourced = script.lines().filter_map(|line| line.strip_prefix(". \"${0%/*}/"));
        for file in sourced.map(|line| line.trim_end_matches('"')) {
            assert!(tree.at(file).is_file(), "{name} lacks {file}");
        }
        let others = ["common", name];
        let stray = packed
            .keys()
            .find(|path| !others.iter().any(|folder| path.starts_with(folder.as_bytes())));
        assert_eq!(stray, None, "{name} packs what it does not need");
    }
}

#[test]
fn all_have_one_base_image_and_one_way_to_run() {
    let lines = |name: &str, start: &str| {
        let text = fs::read_to_string(format!("{FOLDER}/{name}/Containerfile")).unwrap();
        let line = text.lines().find(|line| line.starts_with(start)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{name}: no {start}"))
    };
    for start in ["ARG BASE=", "FROM $BASE", "LABEL RUN="] {
        for name in names() {
            assert_eq!(lines(name, start), lines("raw_image", start), "{name}");
        }
    }
}

/// The parameter that is reported as invalid.
#[track_caller]
fn parameter(container: impl Into<InstallContainer>) -> &'static str {
    let error = container.into().load().expect_err("a bad parameter was taken");
    let text = error.to_string();
    let InstallError::Parameter { parameter, .. } = error else { panic!("{text}") };
    assert!(text.contains(parameter), "{text}");
    parameter
}

#[test]
fn bad_parameters_are_found_before_anything_is_created() {
    let image = |url: &str, sum| RawImage::new(url, sum);
    assert_eq!(parameter(image("ftp://mirror.example/x", sum())), "IMAGE_URL");
    let short = Checksum::sha512("0".repeat(64));
    assert_eq!(parameter(image("https://mirror.example/x", short)), "IMAGE_CHECKSUM");
    // The command line tool sets parameters by name.
    let tool = || by_name("raw_image").unwrap();
    assert_eq!(parameter(tool()), "IMAGE_URL");
    assert_eq!(parameter(tool().env("IMAGE_URL", "https://x.example")), "IMAGE_CHECKSUM");
    assert_eq!(parameter(Debian::new().suite("trixie; reboot")), "DEBIAN_SUITE");
    assert_eq!(parameter(Debian::new().package("vim").package("-o")), "DEBIAN_PACKAGES");
    assert_eq!(parameter(Debian::new().kernel_arg("x=\"y\"")), "KERNEL_ARGS");
    assert_eq!(parameter(Ubuntu::new().version("../24.04")), "UBUNTU_VERSION");
    assert_eq!(parameter(by_name("talos").unwrap()), "TALOS_VERSION");
    assert_eq!(parameter(Talos::new("v1.11.0").schematic("0a")), "TALOS_SCHEMATIC");
    assert_eq!(parameter(Talos::new("v1.11.0").schematic_yaml(" ")), "schematic.yaml");
    assert_eq!(parameter(FedoraCoreos::new().ignition("variant: fcos\n")), "config.ign");
    assert_eq!(parameter(K3os::new().device("sda")), "K3OS_DEVICE");
    assert_eq!(parameter(Nixos::new().channel("nixos-26.05/..")), "NIXOS_CHANNEL");
    assert_eq!(parameter(by_name("flatcar").unwrap().config("x")), "config.ign");
    let short = Checksum::sha256("0a");
    assert_eq!(parameter(Nixos::new().nixpkgs("https://x.example/x", short)), "NIXOS_CHECKSUM");
    assert_eq!(parameter(Nixos::new().cache("https://x.example").cache("s3://x")), "NIXOS_CACHES");
    assert_eq!(parameter(Nixos::new().cache_key("x.example-1")), "NIXOS_CACHE_KEYS");
    assert_eq!(parameter(Nixos::new().configuration("\n")), "configuration.nix");
}

#[test]
fn a_mirror_over_http_needs_a_checksum_that_is_not_from_the_mirror() {
    let http = "http://mirror.example";
    assert_eq!(parameter(Ubuntu::new().mirror(http)), "UBUNTU_MIRROR");
    assert_eq!(parameter(Talos::new("v1.11.0").factory(http)), "TALOS_FACTORY");
    assert_eq!(parameter(Nixos::new().mirror(http)), "NIXOS_MIRROR");
    for name in names() {
        let variables =
            each().find(|(other, _)| *other == name).map(|(_, container)| container).unwrap();
        for mirror in ["ALPINE", "ARCH", "FCOS", "FLATCAR", "K3OS", "NIXOS", "LEAP", "UBUNTU"] {
            let container = variables.clone().env(format!("{mirror}_MIRROR"), http);
            let own = name.to_uppercase() == mirror
                || matches!((name, mirror), ("fedora_coreos", "FCOS") | ("open_suse_leap", "LEAP"));
            let refused = container.load().is_err();
            assert_eq!(refused, own, "{name} {mirror}");
            let checksum = if name == "nixos" { "NIXOS_CHECKSUM" } else { "IMAGE_CHECKSUM" };
            assert!(container.env(checksum, sum().to_string()).load().is_ok(), "{name}");
        }
    }
    // The image has a checksum anyway, and apt checks signatures.
    assert!(InstallContainer::from(RawImage::new(http, sum())).load().is_ok());
    assert!(InstallContainer::from(Debian::new().mirror(http)).load().is_ok());
}

#[test]
fn a_file_that_is_wrong_is_not_shown() {
    let error = InstallContainer::from(Flatcar::new().ignition("secret")).load().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_configuration_for_a_container_that_takes_none_is_an_error() {
    let takes = ["fedora_coreos", "flatcar", "k3os", "nixos", "talos"];
    for (name, container) in each() {
        let loaded = container.config("{}").load();
        // The configuration may be invalid for the containers that have one.
        let refused = matches!(loaded, Err(InstallError::NoConfig { .. }));
        assert_eq!(refused, !takes.contains(&name), "{name}: {loaded:?}");
    }
    for own in [InstallContainer::directory(FOLDER), InstallContainer::reference("x.example/x:1")] {
        let error = own.config("{}").load().unwrap_err();
        assert!(matches!(error, InstallError::NoConfig { .. }), "{error}");
    }
}

#[test]
fn a_file_travels_with_the_context_and_counts_for_the_fingerprint() {
    let config = |version: &str| format!(r#"{{"ignition": {{"version": "{version}"}}}}"#);
    let with = |config: &str| {
        let flatcar =
            Flatcar::new().ignition("{}").ignition(config).kernel_arg("a").kernel_arg("b");
        InstallContainer::from(flatcar).load().unwrap()
    };
    let (one, two) = (with(&config("3.3.0")), with(&config("3.4.0")));
    assert_ne!(one.fingerprint(), two.fingerprint());
    let tree = unpacked(one.context().unwrap().archive());
    assert_eq!(fs::read_to_string(tree.at("flatcar/config.ign")).unwrap(), config("3.3.0"));
    assert!(one.env_containerfile("x").unwrap().contains("KERNEL_ARGS=\"a b\""));
}

#[test]
fn parameters_and_base_image_count_for_the_fingerprint() {
    let print = |container: InstallContainer| container.load().unwrap().fingerprint();
    let image = |url: &str| InstallContainer::from(RawImage::new(url, sum()));
    let one = print(image("https://mirror.example/1"));
    assert_eq!(one, print(image("https://mirror.example/1")));
    assert_ne!(one, print(image("https://mirror.example/2")));
    assert_ne!(
        one,
        print(image("https://mirror.example/1").build_arg("BASE", "registry.example/x"))
    );
}

#[test]
fn a_container_of_ours_has_its_own_containerfile() {
    let container = InstallContainer::from(RawImage::new("https://mirror.example/1", sum()));
    let error = container.containerfile("mine").load().unwrap_err();
    assert!(matches!(error, InstallError::NotABuild { setting: "containerfile", .. }), "{error}");
}
