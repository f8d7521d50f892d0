//! Golden files of every section, each validated by the real `cloud-init schema`.

use std::sync::LazyLock;
use std::time::Duration;

use cloudd_core::cloud_init::{
    Chpasswd, CloudConfig, Encoding, Group, HostKey, HostKeyAlgorithm, Login, Mount,
    PasswordExpiry, PowerMode, PowerState, User, WriteFile,
};
use serde_json::{Map, Value, json};

use crate::support::{
    PASSWORD_HASH, PRIVATE_KEY, PUBLIC_KEY, assert_golden, cloud_init_schema, with_cloud_init,
};

/// Checks that the config equals its golden file, is valid, uses nothing deprecated, and has only keys
/// of the schema.
fn accepted(name: &str, config: &CloudConfig) {
    let data = config.render().unwrap();
    assert_golden(&format!("{name}.yaml"), data.as_str());
    let verdict = cloud_init_schema(data.as_str());
    assert!(verdict.valid, "{name}: {}", verdict.output);
    assert!(!verdict.output.to_lowercase().contains("deprecat"), "{name}: {}", verdict.output);
    assert_eq!(unknown_keys(data.as_str()), Vec::<String>::new(), "{name}");
}

/// The schema accepts unknown top-level keys, so it does not detect misspelt ones.
fn unknown_keys(text: &str) -> Vec<String> {
    static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
        let script = r"
from cloudinit.config.schema import get_schema
schema = get_schema()
sections = [schema['$defs'][section['$ref'].split('/')[-1]] for section in schema['allOf']]
answer = [key for section in sections for key in section.get('properties', {})]
";
        serde_json::from_value(with_cloud_init(script, b"")).unwrap()
    });
    let (_, json) = text.split_once('\n').unwrap();
    let keys: Map<String, Value> = serde_json::from_str(json).unwrap();
    keys.into_iter().map(|(key, _)| key).filter(|key| !KNOWN.contains(key)).collect()
}

#[test]
fn the_schema_check_can_refuse() {
    for wrong in [
        "#cloud-config\n{\"packages\":\"nginx\"}\n",
        "#cloud-config\n{\"users\":[{\"name\":\"a\",\"nosuch\":1}]}\n",
        "#cloud-config\n{\"runcmd\":[",
        "{}\n",
    ] {
        assert!(!cloud_init_schema(wrong).valid, "{wrong}");
    }
    let old = cloud_init_schema("#cloud-config\n{\"ca-certs\":{\"remove-defaults\":true}}\n");
    assert!(old.valid && old.output.contains("DEPRECATED"), "{}", old.output);
    assert_eq!(unknown_keys("#cloud-config\n{\"timezon\":\"UTC\",\"locale\":\"C\"}"), ["timezon"]);
}

#[test]
fn an_empty_config_is_accepted() {
    let data = CloudConfig::new().render().unwrap();
    assert_golden("empty.yaml", data.as_str());
    assert!(cloud_init_schema(data.as_str()).valid);
}

#[test]
fn host_names_and_time_zone_are_accepted() {
    let config =
        CloudConfig::new().hostname("web-1").fqdn("web-1.example.org").timezone("Europe/Berlin");
    accepted("host", &config);
}

#[test]
fn users_are_accepted() {
    let config = CloudConfig::new()
        .group(Group::new("builders"))
        .group(Group::new("web").member("www-data").member("root"))
        .user(User::distro_default())
        .user(
            User::new("core")
                .gecos("Core User")
                .home("/var/home/core")
                .uid(1000)
                .primary_group("core")
                .group("sudo")
                .group("adm")
                .shell("/bin/bash")
                .sudo("ALL=(ALL) NOPASSWD:ALL")
                .hashed_password(PASSWORD_HASH)
                .authorized_key(PUBLIC_KEY),
        )
        .user(User::new("daemon1").system().shell("/usr/sbin/nologin"))
        .user(User::new("nobody2").no_create_home())
        .user(User::new("plain").plain_text_password("pass word"))
        .user(User::new("locked").hashed_password(PASSWORD_HASH).password_login(Login::Refused));
    accepted("users", &config);
}

#[test]
fn the_default_user_with_a_key_is_accepted() {
    let config = CloudConfig::new().user(User::distro_default().authorized_key(PUBLIC_KEY));
    accepted("users_default", &config);
}

#[test]
fn chpasswd_is_accepted() {
    let config = CloudConfig::new().chpasswd(
        Chpasswd::new()
            .hashed("root", PASSWORD_HASH)
            .plain_text("core", "secret")
            .random("guest")
            .expiry(PasswordExpiry::Never),
    );
    accepted("chpasswd", &config);
}

#[test]
fn ssh_settings_are_accepted() {
    let config = CloudConfig::new()
        .ssh_host_key(
            HostKey::new(HostKeyAlgorithm::Ed25519, PRIVATE_KEY.trim_end()).public(PUBLIC_KEY),
        )
        .ssh_host_key(HostKey::new(HostKeyAlgorithm::Ecdsa, PRIVATE_KEY))
        .root_login(Login::Allowed)
        .ssh_password_login(Login::Refused)
        .ssh_authorized_key(PUBLIC_KEY);
    accepted("ssh", &config);
    let config = CloudConfig::new().root_login(Login::Refused).ssh_password_login(Login::Allowed);
    accepted("ssh_logins", &config);
}

#[test]
fn packages_are_accepted() {
    let config = CloudConfig::new()
        .package_update()
        .package_upgrade()
        .package("podman")
        .package("dracut=059-4");
    accepted("packages", &config);
}

#[test]
fn write_files_are_accepted() {
    let config = CloudConfig::new()
        .write_file(WriteFile::new("/etc/motd", "Grüße\tund\nZeilen\n").permissions(0o644))
        .write_file(WriteFile::new("/etc/empty", ""))
        .write_file(
            WriteFile::new("/usr/local/bin/tool", b"\x7fELF\0\xff".to_vec()).permissions(0o755),
        )
        .write_file(WriteFile::new("/etc/b64", "text").encoding(Encoding::Base64))
        .write_file(WriteFile::new("/etc/motd", "more\n").append())
        .write_file(WriteFile::new("/home/core/.profile", "umask 077\n").owner("core:core").defer())
        .write_file(WriteFile::new("/etc/sticky", "").permissions(0o1777).owner("root"))
        .user(User::new("core"));
    accepted("write_files", &config);
    // Not in the golden file, because the compressed bytes depend on the version of the compressor.
    let packed = WriteFile::new("/etc/packed", "again ".repeat(40)).encoding(Encoding::GzipBase64);
    let data = CloudConfig::new().write_file(packed).render().unwrap();
    assert!(data.as_str().contains("\"encoding\":\"gz+b64\""));
    assert!(cloud_init_schema(data.as_str()).valid);
}

#[test]
fn commands_are_accepted() {
    let config = CloudConfig::new()
        .bootcmd("echo early > /dev/kmsg")
        .bootcmd(["modprobe", "loop"])
        .runcmd("for i in 1 2; do echo $i; done")
        .runcmd(["sh", "-c", "echo \"it's\" $HOME"])
        .runcmd(vec!["true".to_owned()]);
    accepted("commands", &config);
}

#[test]
fn mounts_are_accepted() {
    let config = CloudConfig::new()
        .mount(Mount::new("/dev/disk/by-id/scsi-0HC_Volume_1", "/srv").fs_type("ext4").pass(2))
        .mount(Mount::new("LABEL=data", "/data").options("noatime"))
        .mount(Mount::new("tmpfs", "/tmp"))
        .mount(Mount::new("/dev/vdc", "none").fs_type("swap").options("sw").pass(0));
    accepted("mounts", &config);
}

#[test]
fn power_state_is_accepted() {
    let config = CloudConfig::new().power_state(
        PowerState::new(PowerMode::Poweroff)
            .delay_minutes(5)
            .message("Bye")
            .timeout(Duration::from_secs(120))
            .condition(["test", "-e", "/run/ready"]),
    );
    accepted("power_state", &config);
    let config = CloudConfig::new()
        .power_state(PowerState::new(PowerMode::Reboot).condition("test -e /run/ready"));
    accepted("power_state_reboot", &config);
}

#[test]
fn keys_without_a_setter_are_accepted() {
    let config = CloudConfig::new()
        .hostname("web-1")
        .extra("random_seed", json!({"file": "/dev/urandom", "data": "x", "encoding": "raw"}))
        .extra("disable_ec2_metadata", true)
        .extra("ssh_quiet_keygen", true)
        .extra("apt", json!({"http_proxy": "http://proxy.example.org:3128/"}))
        .extra("ca_certs", json!({"trusted": [include_str!("ca.pem")]}))
        .extra("growpart", json!({"mode": "off"}))
        .extra("locale", "de_DE.UTF-8")
        .extra("ntp", json!({"servers": ["time.example.org"]}))
        .extra("ssh_genkeytypes", json!(["ed25519"]))
        .extra("swap", json!({"filename": "/var/swap", "size": 512 << 20}));
    accepted("extra", &config);
}

#[test]
fn everything_at_once_is_accepted() {
    let config = CloudConfig::new()
        .hostname("builder")
        .fqdn("builder.example.org")
        .timezone("UTC")
        .group(Group::new("builders"))
        .user(User::distro_default())
        .user(User::new("core").sudo("ALL=(ALL) NOPASSWD:ALL").authorized_key(PUBLIC_KEY))
        .chpasswd(Chpasswd::new().hashed("root", PASSWORD_HASH).expiry(PasswordExpiry::Never))
        .ssh_host_key(HostKey::new(HostKeyAlgorithm::Ed25519, PRIVATE_KEY).public(PUBLIC_KEY))
        .root_login(Login::Allowed)
        .ssh_password_login(Login::Refused)
        .mount(Mount::new("LABEL=data", "/data"))
        .package_update()
        .package("podman")
        .write_file(WriteFile::new("/var/lib/cloudd/stage1", "#!/bin/sh\n").permissions(0o755))
        .bootcmd("true")
        .runcmd(["systemctl", "start", "--no-block", "cloudd"])
        .power_state(PowerState::new(PowerMode::Halt).delay_minutes(1))
        .extra("random_seed", json!({"data": "x"}));
    accepted("everything", &config);
}
