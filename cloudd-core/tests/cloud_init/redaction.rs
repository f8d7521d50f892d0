//! `Debug` and errors show no secrets.

use cloudd_core::cloud_init::{
    Chpasswd, CloudConfig, Error, HostKey, HostKeyAlgorithm, MultiPart, Part, User, WriteFile,
};
use serde_json::json;

use crate::support::{PASSWORD_HASH, PUBLIC_KEY};

const CANARY: &str = "c4n4ryS3cret";

fn secrets() -> CloudConfig {
    let private = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----");
    CloudConfig::new()
        .user(User::new("hashed").hashed_password(PASSWORD_HASH))
        .user(User::new("plain").plain_text_password(CANARY))
        .chpasswd(Chpasswd::new().hashed("root", PASSWORD_HASH).plain_text("x", CANARY))
        .ssh_host_key(HostKey::new(HostKeyAlgorithm::Ed25519, private).public(PUBLIC_KEY))
        .write_file(WriteFile::new("/etc/token", CANARY))
        .extra("password", json!(CANARY))
}

#[test]
fn debug_output_holds_no_secret() {
    let config = secrets();
    let message = MultiPart::new()
        .part(Part::cloud_config("base.cfg", config.clone()))
        .part(Part::shell_script("x.sh", format!("#!/bin/sh\n# {CANARY}\n")));
    let data = config.render().unwrap();
    let hash = &PASSWORD_HASH[10..];
    assert!(data.as_str().matches(CANARY).count() == 5 && data.as_str().contains(hash));
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        format!("{message:?}"),
        format!("{message:#?}"),
        format!("{data:?}"),
        format!("{:?}", config.render()),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(!shown.contains(hash), "{shown}");
    }
    // What is not secret is shown.
    let shown = format!("{config:?}");
    for word in ["/etc/token", "hashed", "ssh-ed25519", "password", "<redacted>"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn errors_hold_no_secret() {
    let new = CloudConfig::new;
    let pem = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n");
    let twice = User::new("a").hashed_password(PASSWORD_HASH).plain_text_password(CANARY);
    for config in [
        new().user(User::new("a").hashed_password(CANARY)),
        new().user(twice),
        new().user(User::new("a").plain_text_password(format!("{CANARY}\n"))),
        new().chpasswd(Chpasswd::new().hashed("a", CANARY)),
        new().chpasswd(Chpasswd::new().plain_text("a", format!("{CANARY}\n"))),
        new().ssh_host_key(HostKey::new(HostKeyAlgorithm::Rsa, CANARY)),
        new().ssh_host_key(HostKey::new(HostKeyAlgorithm::Rsa, pem.clone())),
        new().ssh_authorized_key(pem.clone()),
    ] {
        let error: Error = config.render().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
}
