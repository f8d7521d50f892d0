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
pub(super) const URL: Rule = Rule {
    wanted: "an http or https URL without user name and password",
    holds: |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let in_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
            host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && host.chars().all(in_host)
                && rest.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c))
        })
    },
};

/// A SHA-256 or SHA-512 sum.
pub(super) const CHECKSUM: Rule = Rule {
    wanted: "sha256: and 64 hexadecimal digits, or sha512: and 128",
    holds: |text| match text.split_once(':') {
        Some(("sha256", sum)) => is_hex(sum, 64),
        Some(("sha512", sum)) => is_hex(sum, 128),
        _ => false,
    },
};

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
}
