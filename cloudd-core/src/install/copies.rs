//! Checks that the build context has what a Containerfile copies from it.

use std::collections::HashSet;

use super::containerfile::{LocalCopy, Problem};
use super::ignore::{IgnoreRules, Pattern};
use super::scan::{Entries, EntryKind};
use crate::text::sanitize_untrusted;

/// Returns a warning for each COPY of a context that the ignore file empties, which podman accepts.
///
/// # Errors
/// The first COPY or ADD of something that podman does not find. What a symbolic link leads to is not
/// checked.
pub(super) fn check(
    copies: &[LocalCopy],
    entries: &Entries,
    rules: &IgnoreRules,
) -> Result<Vec<Problem>, Problem> {
    let context = Context { entries, rules };
    let mut warnings = Vec::new();
    let mut found = HashSet::new();
    for LocalCopy { line, keyword, sources, has_others } in copies {
        let problem = |problem| Problem { line: *line, problem };
        let mut has_any = *has_others;
        let mut missing = None;
        for source in sources {
            let path = clean(source);
            let shown = sanitize_untrusted(source, 100);
            let is_pattern = path.contains(['*', '?', '[', '\\']);
            if path.is_empty() {
                has_any = true;
                if context.is_emptied() {
                    let text =
                        format!("{keyword} copies nothing: the ignore file excludes all files");
                    warnings.push(problem(text));
                }
            } else if found.contains(&path) || context.has(&path, is_pattern) {
                has_any = true;
                found.insert(path);
            } else if is_pattern {
                let text = format!(
                    "{keyword} copies {shown:?}, which matches nothing in the build context"
                );
                missing.get_or_insert(text);
            } else {
                let reason = match rules.excludes(path.as_bytes()) {
                    true => "which the ignore file excludes",
                    false => "which is not in the build context",
                };
                return Err(problem(format!("{keyword} copies {shown:?}, {reason}")));
            }
        }
        // podman accepts a pattern without a match next to another source.
        if let (false, Some(missing)) = (has_any, missing) {
            return Err(problem(missing));
        }
    }
    Ok(warnings)
}

/// The build context as podman sees it: files are packed although the ignore file excludes them if
/// podman needs them for something else.
struct Context<'a> {
    entries: &'a Entries,
    rules: &'a IgnoreRules,
}

impl Context<'_> {
    fn is_emptied(&self) -> bool {
        self.entries.keys().all(|path| self.rules.excludes(path))
    }

    fn has(&self, path: &str, is_pattern: bool) -> bool {
        let is_link = |path: &[u8]| {
            self.entries
                .get(path)
                .is_some_and(|entry| matches!(entry.kind, EntryKind::Symlink { .. }))
        };
        if !is_pattern {
            let mut parents = path.match_indices('/').map(|(at, _)| &path.as_bytes()[..at]);
            return self.is_copied(path.as_bytes()) || parents.any(is_link);
        }
        // `**` has no special meaning in COPY.
        let mut pattern = path.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let Ok(parsed) = Pattern::parse(&pattern) else { return false };
        let depth = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
        let (wanted, mut paths) = (depth(pattern.as_bytes()), self.entries.keys());
        // The pattern up to each of its slashes, which may match a link to a directory.
        let parents = pattern.match_indices('/').map(|(at, _)| Pattern::parse(&pattern[..at]));
        let parents: Vec<Pattern> = parents.filter_map(Result::ok).collect();
        let is_parent = |path: &[u8]| parents.iter().any(|parent| parent.matches(path));
        paths.any(|path| {
            let is_match = depth(path) == wanted && parsed.matches(path) && self.is_copied(path);
            is_match || is_link(path) && is_parent(path)
        })
    }

    /// Whether a path, or something below it, is there and not excluded.
    fn is_copied(&self, path: &[u8]) -> bool {
        let below = [path, b"/"].concat();
        let mut inner = self.entries.range(below.clone()..).map(|(path, _)| path);
        self.entries.contains_key(path)
            && (!self.rules.excludes(path)
                || inner
                    .by_ref()
                    .take_while(|path| path.starts_with(&below))
                    .any(|path| !self.rules.excludes(path)))
    }
}

/// Resolves `.`, `..` and empty components below the root of the context.
fn clean(source: &str) -> String {
    let mut components = Vec::new();
    for component in source.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    components.join("/")
}
