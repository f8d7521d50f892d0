//! Hides what may be secret in URLs, so that errors and logs can name them.

/// Stands for what was hidden.
const MARK: &str = "***";

/// Hides user name, password, query and fragment of every URL in a text.
pub(super) fn redact_urls(text: &str) -> String {
    words(text, |word| match word.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", hide(rest, authority)),
        None => word.to_owned(),
    })
}

/// Hides the same in a value that should be URLs and may be anything: everything up to the last `@`, and
/// everything from the first `?` or `#`.
pub(super) fn redact_value(text: &str) -> String {
    words(text, |word| match word.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", hide(rest, str::len)),
        None => hide(word, str::len),
    })
}

fn words(text: &str, redact: impl Fn(&str) -> String) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let trimmed = word.trim_end();
            redact(trimmed) + &word[trimmed.len()..]
        })
        .collect()
}

/// The length of `host:port` and what is before it.
fn authority(rest: &str) -> usize {
    rest.find('/').unwrap_or(rest.len())
}

/// Hides the query, and what is before an `@` in the first bytes, as many as `within` says.
fn hide(rest: &str, within: fn(&str) -> usize) -> String {
    let path = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, query) = rest.split_at(path);
    let login = path[..within(path)].rfind('@').unwrap_or(0);
    let mark = |hidden: &str| if hidden.is_empty() { "" } else { MARK };
    let query = match query.split_at_checked(1) {
        Some((separator, hidden)) => format!("{separator}{}", mark(hidden)),
        None => String::new(),
    };
    format!("{}{}{query}", mark(&path[..login]), &path[login..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_a_text_keep_host_and_path() {
        for (text, shown) in [
            ("https://mirror.example/a@b/c", "https://mirror.example/a@b/c"),
            ("https://user:secret@mirror.example/x", "https://***@mirror.example/x"),
            ("https://secret@mirror.example", "https://***@mirror.example"),
            ("https://a@secret@mirror.example/x", "https://***@mirror.example/x"),
            ("get https://h.example/x?sig=secret&b now", "get https://h.example/x?*** now"),
            ("https://h.example/x#secret", "https://h.example/x#***"),
            ("https://h.example/x?", "https://h.example/x?"),
            ("https://h.example?x=secret@y", "https://h.example?***"),
            ("http://a:secret@h/\thttp://b:secret@h/", "http://***@h/\thttp://***@h/"),
            ("why? x@y  #1", "why? x@y  #1"),
            ("", ""),
        ] {
            assert_eq!(redact_urls(text), shown);
        }
    }

    #[test]
    fn a_value_that_is_no_url_is_hidden_up_to_its_last_at() {
        for (text, shown) in [
            ("user:secret@mirror.example/x", "***@mirror.example/x"),
            ("https://user:se/cret@mirror.example/x", "https://***@mirror.example/x"),
            ("https:/u:secret@h.example/x?secret", "***@h.example/x?***"),
            ("sha256:12", "sha256:12"),
            ("trixie; reboot", "trixie; reboot"),
        ] {
            assert_eq!(redact_value(text), shown);
        }
    }
}
