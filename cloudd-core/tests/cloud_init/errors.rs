//! Each rule is violated once.

use cloudd_core::cloud_init::{
    Chpasswd, CloudConfig, Command, Encoding, Error, Group, HostKey, HostKeyAlgorithm, Mount,
    PowerMode, PowerState, User, WriteFile,
};
use serde_json::json;

use crate::support::{PASSWORD_HASH, PRIVATE_KEY, PUBLIC_KEY};

fn new() -> CloudConfig {
    CloudConfig::new()
}

fn user(user: User) -> CloudConfig {
    new().user(user)
}

fn file(file: WriteFile) -> CloudConfig {
    new().write_file(file)
}

#[test]
fn broken_rules_are_named_with_the_offending_value() {
    let two_keys = Chpasswd::new().random("a").random("a");
    let rows: Vec<(CloudConfig, &str)> = vec![
        // Names
        (user(User::new("1up")), r#"InvalidValue { key: "users", value: "1up""#),
        (user(User::new("")), r#"InvalidValue { key: "users", value: """#),
        (user(User::new("a").group("b c")), r#"InvalidValue { key: "users.groups", value: "b c""#),
        (
            user(User::new("a").primary_group(":")),
            r#"InvalidValue { key: "users.groups", value: ":""#,
        ),
        (new().group(Group::new("")), r#"InvalidValue { key: "groups", value: """#),
        (new().group(Group::new("g").member("-")), r#"InvalidValue { key: "groups", value: "-""#),
        (
            new().chpasswd(Chpasswd::new().random("a:b")),
            r#"InvalidValue { key: "chpasswd.users", value: "a:b""#,
        ),
        (new().hostname("a.b"), r#"InvalidValue { key: "hostname", value: "a.b""#),
        (new().fqdn("a..b"), r#"InvalidValue { key: "fqdn", value: "a..b""#),
        // Given twice
        (
            new().user(User::new("a")).user(User::new("a")),
            r#"GivenTwice { key: "users", name: "a" }"#,
        ),
        (
            new().group(Group::new("a")).group(Group::new("a")),
            r#"GivenTwice { key: "groups", name: "a" }"#,
        ),
        (new().chpasswd(two_keys), r#"GivenTwice { key: "chpasswd.users", name: "a" }"#),
        (new().package("a").package("a"), r#"GivenTwice { key: "packages", name: "a" }"#),
        (
            file(WriteFile::new("/a", "1")).write_file(WriteFile::new("/a", "2").defer()),
            r#"GivenTwice { key: "write_files", name: "/a" }"#,
        ),
        (
            new().mount(Mount::new("/dev/vdb", "/a")).mount(Mount::new("/dev/vdc", "/a")),
            r#"GivenTwice { key: "mounts", name: "/a" }"#,
        ),
        (
            new()
                .ssh_host_key(HostKey::new(HostKeyAlgorithm::Rsa, PRIVATE_KEY))
                .ssh_host_key(HostKey::new(HostKeyAlgorithm::Rsa, PRIVATE_KEY)),
            r#"GivenTwice { key: "ssh_keys", name: "rsa" }"#,
        ),
        (new().hostname("a").extra("hostname", "b"), r#"KeyCollision { key: "hostname" }"#),
        (new().extra("x", 1).extra("x", 1), r#"KeyCollision { key: "x" }"#),
        (
            new().extra("ca_certs", json!({})).extra("ca-certs", json!({})),
            r#"KeyCollision { key: "ca-certs" }"#,
        ),
        // Paths and modes
        (
            file(WriteFile::new("etc/motd", "")),
            r#"InvalidValue { key: "write_files", value: "etc/motd""#,
        ),
        (file(WriteFile::new("/etc/", "")), r#"InvalidValue { key: "write_files", value: "/etc/""#),
        (
            user(User::new("a").home("home")),
            r#"InvalidValue { key: "users.homedir", value: "home""#,
        ),
        (user(User::new("a").shell("bash")), r#"InvalidValue { key: "users.shell", value: "bash""#),
        (
            new().mount(Mount::new("/dev/vdb", "data")),
            r#"InvalidValue { key: "mounts", value: "data""#,
        ),
        (
            file(WriteFile::new("/a", "").permissions(0o10000)),
            r#"InvalidValue { key: "write_files", value: "/a""#,
        ),
        (
            file(WriteFile::new("/a", "").owner("a:")),
            r#"InvalidValue { key: "write_files.owner", value: "a:""#,
        ),
        (
            file(WriteFile::new("/a", "").owner("a b")),
            r#"InvalidValue { key: "write_files.owner", value: "a b""#,
        ),
        (
            file(WriteFile::new("/a", b"\xff".to_vec()).encoding(Encoding::Plain)),
            r#"InvalidValue { key: "write_files", value: "/a""#,
        ),
        // Order of the boot
        (
            file(WriteFile::new("/a", "").owner("core")).user(User::new("core")),
            r#"OwnerNotYetThere { path: "/a", owner: "core" }"#,
        ),
        (
            file(WriteFile::new("/a", "").owner("root:web")).group(Group::new("web")),
            r#"OwnerNotYetThere { path: "/a", owner: "root:web" }"#,
        ),
        (
            new().group(Group::new("g").member("core")).user(User::new("core")),
            r#"MemberNotYetThere { group: "g", user: "core" }"#,
        ),
        // Secrets
        (
            user(User::new("a").hashed_password("cloudd")),
            r#"InvalidPassword { user: "a", reason: "is not a crypt(3) hash"#,
        ),
        (
            new().chpasswd(Chpasswd::new().hashed("a", "$6$")),
            r#"InvalidPassword { user: "a", reason: "is not a crypt(3) hash"#,
        ),
        (user(User::new("a").plain_text_password("")), r#"InvalidPassword { user: "a""#),
        (
            user(User::new("a").plain_text_password("x").hashed_password(PASSWORD_HASH)),
            r#"InvalidPassword { user: "a""#,
        ),
        (user(User::new("a").authorized_key("ssh-rsa")), r#"InvalidPublicKey { owner: "user a""#),
        (new().ssh_authorized_key(PRIVATE_KEY), r#"InvalidPublicKey { owner: "the default user""#),
        (
            new().ssh_host_key(HostKey::new(HostKeyAlgorithm::Rsa, PRIVATE_KEY).public(PUBLIC_KEY)),
            r#"InvalidPublicKey { owner: "the rsa host key""#,
        ),
        (
            new().ssh_host_key(HostKey::new(HostKeyAlgorithm::Ecdsa, PUBLIC_KEY)),
            r#"InvalidHostKey { algorithm: "ecdsa""#,
        ),
        (
            user(User::new("a").system().authorized_key(PUBLIC_KEY)),
            r#"KeysWithoutHome { user: "a" }"#,
        ),
        (
            user(User::distro_default().sudo("ALL=(ALL) ALL")),
            r#"DistroDefaultUser { setting: "sudo rule" }"#,
        ),
        // Commands
        (
            new().runcmd("true").runcmd(" "),
            r#"InvalidCommand { key: "runcmd", index: 1, reason: "is empty" }"#,
        ),
        (
            new().bootcmd(Vec::<String>::new()),
            r#"InvalidCommand { key: "bootcmd", index: 0, reason: "is empty" }"#,
        ),
        (
            new().runcmd(["", "x"]),
            r#"InvalidCommand { key: "runcmd", index: 0, reason: "is empty" }"#,
        ),
        (
            new().runcmd(["echo", "a\0b"]),
            r#"InvalidCommand { key: "runcmd", index: 0, reason: "contains a NUL"#,
        ),
        (
            new().power_state(PowerState::new(PowerMode::Halt).condition(Command::Argv(vec![]))),
            r#"InvalidCommand { key: "power_state.condition", index: 0, reason: "is empty" }"#,
        ),
        // Values that would break the line or field they become part of
        (user(User::new("a").gecos("x:y")), r#"InvalidValue { key: "users.gecos", value: "x:y""#),
        (user(User::new("a").sudo("a\nb")), r#"InvalidValue { key: "users.sudo", value: "a\nb""#),
        (
            new().timezone("../etc/passwd"),
            r#"InvalidValue { key: "timezone", value: "../etc/passwd""#,
        ),
        (new().timezone("/UTC"), r#"InvalidValue { key: "timezone", value: "/UTC""#),
        (new().package("a b"), r#"InvalidValue { key: "packages", value: "a b""#),
        (new().package(""), r#"InvalidValue { key: "packages", value: """#),
        (new().package("--force"), r#"InvalidValue { key: "packages", value: "--force""#),
        (
            new().mount(Mount::new("LABEL=a b", "/a")),
            r#"InvalidValue { key: "mounts", value: "LABEL=a b""#,
        ),
        (new().chpasswd(Chpasswd::new()), r#"InvalidValue { key: "chpasswd.users", value: """#),
        (
            new().power_state(PowerState::new(PowerMode::Halt).message("a\nb")),
            r#"InvalidValue { key: "power_state.message", value: "a\nb""#,
        ),
        (new().extra("", 1), r#"InvalidValue { key: "extra", value: """#),
        (new().extra("a", json!([{"": 1}])), r#"InvalidValue { key: "extra", value: """#),
        (
            new().extra("a", json!({"k".repeat(1001): 1})),
            r#"InvalidValue { key: "extra", value: "kkk"#,
        ),
    ];
    for (config, expected) in rows {
        let error = config.render().expect_err(expected);
        assert!(format!("{error:?}").starts_with(expected), "{error:?} is not {expected}");
        let shown = error.to_string();
        assert!(!shown.ends_with('.') && !shown.is_empty(), "{shown}");
        assert!(!shown.contains("  ") && !shown.contains('\n'), "{shown}");
    }
}

#[test]
fn near_misses_are_not_errors() {
    for config in [
        file(WriteFile::new("/a", "").owner("root:root")).user(User::new("root")),
        file(WriteFile::new("/a", "").owner("core").defer()).user(User::new("core")),
        file(WriteFile::new("/a", "").owner("root:adm")).user(User::new("core").group("adm")),
        file(WriteFile::new("/a", "")).write_file(WriteFile::new("/a", "").append()),
        new().group(Group::new("g").member("root")).user(User::new("root")),
        new().mount(Mount::new("/dev/vdb", "none")).mount(Mount::new("/dev/vdc", "none")),
        new().hostname("a").hostname("b"),
    ] {
        assert_eq!(config.render().err(), None, "{config:?}");
    }
}

#[test]
fn an_error_is_an_error_that_threads_can_pass_on() {
    fn pass_on<E: std::error::Error + Send + Sync + 'static>(_: E) {}
    pass_on(Error::KeyCollision { key: "x".to_owned() });
}
