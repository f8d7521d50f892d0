//! The syntax of parameters. The scripts check it again because they can be used without cloudd.

use crate::install::built_in::Rule;

/// A URL to download from. It has no user name and password because logs show it.
pub(super) const URL: Rule = Rule {
    is_source: false,
    expected: "an http or https URL without user name and password",
    is_valid: is_url,
};

/// A URL that has an image and its checksums. Over http, both can be changed on the way, so another
/// parameter must set the checksum.
pub(super) const SOURCE: Rule = Rule {
    is_source: true,
    expected: "an https URL without user name and password, or an http URL and the checksum as another parameter",
    is_valid: is_url,
};

/// URLs to download from, separated by spaces.
pub(super) const URLS: Rule = Rule {
    is_source: false,
    expected: "http or https URLs without user name and password, and without trusted= for http",
    // Nix takes packages without a signature from a trusted cache.
    is_valid: |text| {
        let unsafe_trust = |url: &str| url.starts_with("http://") && url.contains("trusted=");
        text.split(' ').all(|url| is_url(url) && !unsafe_trust(url))
    },
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

/// A SHA-256 or SHA-512 checksum.
pub(super) const CHECKSUM: Rule = Rule {
    is_source: false,
    expected: "sha256: and 64 hexadecimal digits, or sha512: and 128",
    is_valid: |text| match text.split_once(':') {
        Some(("sha256", sum)) => is_hex(sum, 64),
        Some(("sha512", sum)) => is_hex(sum, 128),
        _ => false,
    },
};

/// Public keys of Nix binary caches, separated by spaces.
pub(super) const CACHE_KEYS: Rule = Rule {
    is_source: false,
    expected: "public keys as Nix prints them, NAME:BASE64",
    is_valid: |text| {
        text.split(' ').all(|key| {
            let Some((name, key)) = key.split_once(':') else { return false };
            is_made_of(name, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && is_made_of(key, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        })
    },
};

/// The code name of a release, as used by Debian.
pub(super) const CODENAME: Rule = Rule {
    is_source: false,
    expected: "lower-case letters and -",
    is_valid: |text| is_made_of(text, |b| b.is_ascii_lowercase() || b == b'-'),
};

/// Names of Debian packages, separated by spaces.
pub(super) const PACKAGES: Rule = Rule {
    is_source: false,
    expected: "names of packages",
    is_valid: |text| {
        let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b);
        text.split(' ').all(|name| is_made_of(name, in_name))
    },
};

/// Kernel arguments, separated by spaces. Boot loader configuration files contain them, so quotes and
/// characters that are expanded there are not allowed.
pub(super) const KERNEL_ARGS: Rule = Rule {
    is_source: false,
    expected: "letters, digits and any of _.,:=/@%+~-, with spaces between arguments",
    is_valid: |text| {
        let in_argument = |b: u8| b.is_ascii_alphanumeric() || b"_.,:=/@%+~-".contains(&b);
        text.split(' ').all(|argument| is_made_of(argument, in_argument))
    },
};

/// Whether the text is not empty, starts with a letter or digit, and has only bytes accepted by `of`.
fn is_made_of(text: &str, of: fn(u8) -> bool) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(of)
}

/// A version, or a part of one.
pub(super) const VERSION: Rule = Rule {
    is_source: false,
    expected: "letters, digits and any of .+-",
    is_valid: |text| is_made_of(text, |b| b.is_ascii_alphanumeric() || b".+-".contains(&b)),
};

/// A word of a URL.
pub(super) const WORD: Rule = Rule {
    is_source: false,
    expected: "lower-case letters, digits and _",
    is_valid: |text| {
        is_made_of(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    },
};

/// The id of a schematic of the Talos Image Factory.
pub(super) const SCHEMATIC: Rule =
    Rule { is_source: false, expected: "64 hexadecimal digits", is_valid: |text| is_hex(text, 64) };

/// A disk device.
pub(super) const DEVICE: Rule = Rule {
    is_source: false,
    expected: "a path in /dev",
    is_valid: |text| {
        let name = text.strip_prefix("/dev/");
        name.is_some_and(|name| is_made_of(name, |b| b.is_ascii_alphanumeric()))
    },
};

/// An Ignition config.
pub(super) const IGNITION: Rule = Rule {
    is_source: false,
    expected: "an Ignition config: a JSON object with ignition.version",
    is_valid: |text| {
        let config: Option<serde_json::Value> = serde_json::from_str(text).ok();
        config.is_some_and(|config| config["ignition"]["version"].is_string())
    },
};

/// A text that is validated by another program.
pub(super) const TEXT: Rule = Rule {
    is_source: false,
    expected: "a text that is not empty",
    is_valid: |text| !text.trim().is_empty(),
};

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &Rule, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!((rule.is_valid)(value), "{value:?} is {}", rule.expected);
        }
        for value in bad {
            assert!(!(rule.is_valid)(value), "{value:?} is not {}", rule.expected);
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
        check(&URL, &good, &bad);
    }

    #[test]
    fn lists_have_one_space_between_and_nothing_else_in_them() {
        let two = "https://cache.example http://127.0.0.1:8080/nix";
        let trusted = "http://cache.example?trusted=1";
        check(&URLS, &["https://cache.example", two], &["", "https://a.example  ", "x y", trusted]);
        let key = "cache.example-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        check(&CACHE_KEYS, &[key, &format!("{key} {key}")], &["", "cache.example-1", "a:", ":b"]);
        check(&CACHE_KEYS, &[], &[&format!("{key}\nsandbox = false"), "a:b=$(c)"]);
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
        check(&CHECKSUM, &[&sha256, &sha512], &bad.each_ref().map(String::as_str));
    }

    #[test]
    fn names_and_arguments_have_no_quotes_and_no_options() {
        check(&CODENAME, &["trixie", "old-stable"], &["", "-x", "Trixie", "a b", "trixie;"]);
        check(&PACKAGES, &["vim", "g++ libx11-6"], &["", "vim ", "-o x", "a,b", "a$(b)", "A"]);
        check(
            &KERNEL_ARGS,
            &["quiet", "console=ttyS0,115200n8 net.ifnames=0", "root=UUID=a-b"],
            &["", " quiet", "a  b", "x=\"y\"", "x=$y", "a;b", "a\tb"],
        );
    }

    #[test]
    fn versions_words_and_devices_are_parts_of_one_path() {
        check(&VERSION, &["24.04", "v1.11.0-beta.1", "current"], &["", "../x", "1/2", "-1", "1 2"]);
        check(&WORD, &["hetzner", "k3s_1"], &["", "_x", "a-b", "A", "a/b"]);
        check(
            &DEVICE,
            &["/dev/sda", "/dev/nvme0n1"],
            &["", "sda", "/dev/", "/dev/../x", "/dev/a b"],
        );
        check(&SCHEMATIC, &[&"0a".repeat(32)], &["", "0a", &"0x".repeat(32)]);
    }

    #[test]
    fn an_ignition_config_is_json_with_a_version() {
        let good = r#"{"ignition": {"version": "3.4.0"}, "passwd": {}}"#;
        let bad = ["", "{", "[]", "{}", r#"{"ignition": {}}"#, "variant: fcos\nversion: 1.5.0\n"];
        check(&IGNITION, &[good], &bad);
        check(&TEXT, &["a: b"], &["", " \n"]);
    }
}
