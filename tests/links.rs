//! Every link between the Markdown files of this repository has a target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// The Markdown files that git tracks or does not ignore.
fn pages(root: &Path) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"])
        .current_dir(root)
        .output()
        .expect("git");
    let list = String::from_utf8(output.stdout).expect("UTF-8");
    list.lines().map(|name| root.join(name)).filter(|page| page.is_file()).collect()
}

/// The text without fenced code, where brackets are not links.
fn prose(text: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut prose = String::new();
    for line in text.lines() {
        let start = line.trim_start();
        match fence {
            Some(mark) if start.starts_with(mark) => fence = None,
            Some(_) => {}
            None if start.starts_with("```") => fence = Some("```"),
            None => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    prose
}

/// `[label]: target` lines.
fn definitions(prose: &str) -> BTreeMap<String, String> {
    let definition = |line: &str| {
        let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some((label.to_owned(), target.trim().to_owned()))
    };
    prose.lines().filter_map(definition).collect()
}

/// The targets of inline links: the text from `](` to the closing bracket.
fn inline_targets(prose: &str) -> Vec<String> {
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The labels of `[label][]`, `[text][label]` and `[label]`, which may be links.
fn labels(prose: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for (at, _) in prose.match_indices('[') {
        let Some((label, tail)) = prose[at + 1..].split_once(']') else { break };
        let defines = tail.starts_with(": ") && prose[..at].ends_with('\n');
        if !defines && !tail.starts_with(['(', '[']) && !label.contains('[') {
            labels.insert(label.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    labels
}

/// The anchors that a forge makes of headings: lower case, spaces to dashes, punctuation dropped.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

/// The reason why a target does not exist, if it does not.
fn broken(page: &Path, target: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => page.to_owned(),
        file => page.parent().expect("a folder").join(file),
    };
    if !path.exists() {
        return Some(format!("{}: {target}: there is no such file", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let text = fs::read_to_string(&path).expect("a readable page");
    let missing = !anchors(&text).contains(anchor);
    missing.then(|| format!("{}: {target}: there is no such heading", page.display()))
}

/// The problems of the links of one page.
fn problems(page: &Path, text: &str) -> Vec<String> {
    let prose = prose(text);
    let definitions = definitions(&prose);
    let targets = inline_targets(&prose).into_iter().chain(definitions.values().cloned());
    let mut problems: Vec<_> = targets.filter_map(|target| broken(page, &target)).collect();
    let labels = labels(&prose);
    for label in definitions.keys() {
        if !labels.contains(label) {
            problems.push(format!("{}: [{label}] is defined and not used", page.display()));
        }
    }
    problems
}

#[test]
fn every_link_inside_the_documentation_leads_somewhere() {
    let pages = pages(&root());
    assert!(pages.len() >= 10, "{pages:?}");
    let read = |page: &PathBuf| problems(page, &fs::read_to_string(page).expect("a page"));
    let problems: Vec<_> = pages.iter().flat_map(read).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_link_to_nowhere_is_found() {
    let page = root().join("README.md");
    let cases = [
        ("[a](nowhere.md)", "no such file"),
        ("[a](CONTRIBUTING.md#no-such-heading)", "no such heading"),
        ("[a](#no-such-heading)", "no such heading"),
        ("[a]\n\n[a]: cloudd-core/nowhere.rs", "no such file"),
        ("text\n\n[a]: CONTRIBUTING.md", "not used"),
    ];
    for (text, expected) in cases {
        let found = problems(&page, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
    let fine = "[a](CONTRIBUTING.md#to-read-the-code) [b](https://example.com) [`c`]\n\n\
                ```\n[d](nowhere)\n```\n\n[`c`]: Makefile\n";
    assert_eq!(problems(&page, fine), Vec::<String>::new());
}
