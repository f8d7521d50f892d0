//! What a parameter's value must look like. The scripts check the same again, for those who use them
//! without cloudd.

/// A rule for one value.
#[derive(Debug)]
pub(super) struct Rule {
    /// What is expected, for the error.
    pub(super) wanted: &'static str,
    pub(super) holds: fn(&str) -> bool,
}

/// An address to download from. No name and password in it: it is shown in logs.
pub(super) const URL: Rule =
    Rule { wanted: "an http or https URL without user name and password", holds: is_url };

/// Addresses to download from, with spaces between.
pub(super) const URLS: Rule = Rule {
    wanted: "http or https URLs without user name and password",
    holds: |text| text.split(' ').all(is_url),
};

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let in_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && host.chars().all(in_host)
            && rest.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c))
    })
}

/// A SHA-256 or SHA-512 sum.
pub(super) const CHECKSUM: Rule = Rule {
    wanted: "sha256: and 64 hexadecimal digits, or sha512: and 128",
    holds: |text| match text.split_once(':') {
        Some(("sha256", sum)) => is_hex(sum, 64),
        Some(("sha512", sum)) => is_hex(sum, 128),
        _ => false,
    },
};

/// Public keys of caches for Nix, with spaces between.
pub(super) const CACHE_KEYS: Rule = Rule {
    wanted: "public keys as Nix prints them, NAME:BASE64",
    holds: |text| {
        text.split(' ').all(|key| {
            let Some((name, key)) = key.split_once(':') else { return false };
            is_made_of(name, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && is_made_of(key, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        })
    },
};

/// The name of a release, as Debian gives them.
pub(super) const CODENAME: Rule = Rule {
    wanted: "lower-case letters and -",
    holds: |text| is_made_of(text, |b| b.is_ascii_lowercase() || b == b'-'),
};

/// Names of Debian packages, with spaces between.
pub(super) const PACKAGES: Rule = Rule {
    wanted: "names of packages",
    holds: |text| {
        let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b);
        text.split(' ').all(|name| is_made_of(name, in_name))
    },
};

/// Arguments for a kernel, with spaces between. They stand in configuration files of boot loaders, so
/// there are no quotes and nothing that would be expanded.
pub(super) const KERNEL_ARGS: Rule = Rule {
    wanted: "letters, digits and any of _.,:=/@%+~-, spaces between arguments",
    holds: |text| {
        let in_argument = |b: u8| b.is_ascii_alphanumeric() || b"_.,:=/@%+~-".contains(&b);
        text.split(' ').all(|argument| is_made_of(argument, in_argument))
    },
};

/// One or more of these, and the first is a letter or digit.
fn is_made_of(text: &str, of: fn(u8) -> bool) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(of)
}

/// A version, or part of one.
pub(super) const VERSION: Rule = Rule {
    wanted: "letters, digits and any of .+-",
    holds: |text| is_made_of(text, |b| b.is_ascii_alphanumeric() || b".+-".contains(&b)),
};

/// One word of an address.
pub(super) const WORD: Rule = Rule {
    wanted: "lower-case letters, digits and _",
    holds: |text| is_made_of(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
};

/// The id of a schematic of Talos' Image Factory.
pub(super) const SCHEMATIC: Rule =
    Rule { wanted: "64 hexadecimal digits", holds: |text| is_hex(text, 64) };

/// A disk of a server.
pub(super) const DEVICE: Rule = Rule {
    wanted: "a path in /dev",
    holds: |text| {
        let name = text.strip_prefix("/dev/");
        name.is_some_and(|name| is_made_of(name, |b| b.is_ascii_alphanumeric()))
    },
};

/// A config for Ignition.
pub(super) const IGNITION: Rule = Rule {
    wanted: "an Ignition config: a JSON object with ignition.version",
    holds: |text| {
        let config: Option<serde_json::Value> = serde_json::from_str(text).ok();
        config.is_some_and(|config| config["ignition"]["version"].is_string())
    },
};

/// A text that another program reads.
pub(super) const TEXT: Rule =
    Rule { wanted: "a text that is not empty", holds: |text| !text.trim().is_empty() };

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds a rule against good values and bad ones.
    #[track_caller]
    fn judge(rule: &Rule, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!((rule.holds)(value), "{value:?} is {}", rule.wanted);
        }
        for value in bad {
            assert!(!(rule.holds)(value), "{value:?} is not {}", rule.wanted);
        }
    }

    #[test]
    fn urls_have_a_host_and_nothing_that_a_url_cannot_have() {
        let good = [
            "http://mirror.example",
            "https://mirror.example:8443/a%20b/x?y=1&z#w",
            "http://127.0.0.1:8080/os.raw",
            "https://[::1]/x",
        ];
        let bad = [
            "",
            "mirror.example/os.raw",
            "ftp://mirror.example/os.raw",
            "file:///etc/passwd",
            "https://",
            "https:///os.raw",
            "https://mirror.example/a b",
            "https://mirror.example/\"quoted\"",
            "https://user:secret@mirror.example/",
            "https://-o/x",
            "https://mirror.example/\u{e9}",
            "https://mirror.example/{a,b}",
        ];
        judge(&URL, &good, &bad);
    }

    #[test]
    fn lists_have_one_space_between_and_nothing_else_in_them() {
        let two = "https://cache.example http://127.0.0.1:8080/nix";
        judge(&URLS, &["https://cache.example", two], &["", "https://a.example  ", "x y"]);
        let key = "cache.example-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        judge(&CACHE_KEYS, &[key, &format!("{key} {key}")], &["", "cache.example-1", "a:", ":b"]);
        judge(&CACHE_KEYS, &[], &[&format!("{key}\nsandbox = false"), "a:b=$(c)"]);
    }

    #[test]
    fn checksums_name_their_kind_and_have_its_length() {
        let (short, long) = ("0aF9".repeat(16), "0aF9".repeat(32));
        let (sha256, sha512) = (format!("sha256:{short}"), format!("sha512:{long}"));
        let bad = [
            String::new(),
            short.clone(),
            format!("sha256:{long}"),
            format!("sha512:{short}"),
            format!("md5:{short}"),
            format!("sha256:{}", short.replace('F', "g")),
            format!("sha256: {}", &short[1..]),
        ];
        judge(&CHECKSUM, &[&sha256, &sha512], &bad.each_ref().map(String::as_str));
    }

    #[test]
    fn names_and_arguments_have_no_quotes_and_no_options() {
        judge(&CODENAME, &["trixie", "old-stable"], &["", "-x", "Trixie", "a b", "trixie;"]);
        judge(&PACKAGES, &["vim", "g++ libx11-6"], &["", "vim ", "-o x", "a,b", "a$(b)", "A"]);
        judge(
            &KERNEL_ARGS,
            &["quiet", "console=ttyS0,115200n8 net.ifnames=0", "root=UUID=a-b"],
            &["", " quiet", "a  b", "x=\"y\"", "x=$y", "a;b", "a\tb"],
        );
    }

    #[test]
    fn versions_words_and_devices_are_parts_of_one_path() {
        judge(&VERSION, &["24.04", "v1.11.0-beta.1", "current"], &["", "../x", "1/2", "-1", "1 2"]);
        judge(&WORD, &["hetzner", "k3s_1"], &["", "_x", "a-b", "A", "a/b"]);
        judge(
            &DEVICE,
            &["/dev/sda", "/dev/nvme0n1"],
            &["", "sda", "/dev/", "/dev/../x", "/dev/a b"],
        );
        judge(&SCHEMATIC, &[&"0a".repeat(32)], &["", "0a", &"0x".repeat(32)]);
    }

    #[test]
    fn an_ignition_config_is_json_with_a_version() {
        let good = r#"{"ignition": {"version": "3.4.0"}, "passwd": {}}"#;
        let bad = ["", "{", "[]", "{}", r#"{"ignition": {}}"#, "variant: fcos\nversion: 1.5.0\n"];
        judge(&IGNITION, &[good], &bad);
        judge(&TEXT, &["a: b"], &["", " \n"]);
    }
}
