use std::fmt;
use std::str::FromStr;

use super::error::InstallError;
use super::redact::redact_urls;

/// The name of a container image in a registry: `registry/repository[:tag][@sha256:digest]`.
///
/// The registry is required, because a name without one has a different meaning on each builder,
/// according to its configuration.
///
/// Parsing checks the syntax only. The builder finds out whether the image exists when it pulls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference(String);

impl ImageReference {
    /// The reference as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageReference {
    type Err = InstallError;

    fn from_str(reference: &str) -> Result<Self, InstallError> {
        match problem(reference) {
            None => Ok(Self(reference.to_owned())),
            Some(problem) => {
                Err(InstallError::Reference { reference: redact_urls(reference), problem })
            }
        }
    }
}

/// Checks the grammar of the `reference` package of the distribution project, which podman uses, with
/// a required registry and SHA-256 as the only digest.
fn problem(reference: &str) -> Option<&'static str> {
    if reference.is_empty() {
        return Some("it is empty");
    }
    if reference.contains("://") {
        return Some("it has a transport, which must be omitted");
    }
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("its digest is not `sha256:` followed by 64 lower-case hexadecimal digits");
    }
    let Some((registry, rest)) = rest.split_once('/') else {
        return Some("it names no registry, as in `registry.example/name:tag`");
    };
    if !registry.contains(['.', ':']) && registry != "localhost" {
        return Some("it names no registry, as in `registry.example/name:tag`");
    }
    if !is_registry(registry) {
        return Some("its registry is not a host name with an optional port");
    }
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    if !repository.split('/').all(is_path_component) {
        return Some(
            "its repository does not consist of lower-case letters and digits, \
             separated by `.`, `_`, `__`, `-` or `/`",
        );
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("its tag does not consist of 1 to 128 letters, digits, `_`, `.` or `-`");
    }
    None
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|p| p > 0))
}

fn is_path_component(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<u8>| b.is_some_and(lower);
    let mut separators = text.split(|c: char| lower(c as u8) && c.is_ascii());
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && separators.all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_references_are_taken_as_they_are() {
        let digest = format!("quay.example/a@sha256:{}", "0".repeat(64));
        let tagged = format!("quay.example/a:t@sha256:{}", "f".repeat(64));
        for reference in [
            "quay.example/x:tag",
            "quay.example/x",
            "localhost/x",
            "localhost:5000/x",
            "10.0.0.1:5000/a/b/c:1.2.3-rc_4",
            "docker.io/library/fedora:42",
            "r.example/a.b_c__d-e---f/x:_t",
            &digest,
            &tagged,
        ] {
            let parsed: ImageReference = reference.parse().unwrap();
            assert_eq!(parsed.as_str(), reference);
        }
    }

    #[test]
    fn malformed_references_are_refused_with_the_reason() {
        for (reference, part) in [
            ("", "empty"),
            ("docker://quay.example/x", "transport"),
            ("fedora", "registry"),
            ("library/fedora", "registry"),
            ("fedora:42", "registry"),
            ("quay.example:0/x", "registry"),
            ("quay.example:99999/x", "registry"),
            ("quay..example/x", "registry"),
            ("-quay.example/x", "registry"),
            ("quay example.com/x", "registry"),
            ("quay.example/", "repository"),
            ("quay.example//x", "repository"),
            ("quay.example/X", "repository"),
            ("quay.example/x y", "repository"),
            ("quay.example/x\n", "repository"),
            ("quay.example/é", "repository"),
            ("quay.example/a___b", "repository"),
            ("quay.example/a..b", "repository"),
            ("quay.example/-a", "repository"),
            ("quay.example/a-", "repository"),
            ("quay.example/x:", "tag"),
            ("quay.example/x:-t", "tag"),
            ("quay.example/x:a:b", "tag"),
            ("quay.example/x:t;reboot", "tag"),
            ("quay.example/x@sha256:12", "digest"),
            ("quay.example/x@md5:00000000000000000000000000000000", "digest"),
        ] {
            let error = reference.parse::<ImageReference>().unwrap_err().to_string();
            assert!(error.contains(part), "{reference:?}: {error}");
            assert!(error.contains(&format!("{reference:?}")), "{error}");
        }
        let long = format!("quay.example/x:{}", "t".repeat(129));
        assert!(long.parse::<ImageReference>().is_err());
    }
}
