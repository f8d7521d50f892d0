//! Splits a Containerfile into instructions: comments, continuation lines, the escape directive and
//! here-documents.

use std::collections::HashMap;

use super::words;

/// Why podman would reject a Containerfile.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::install) struct Problem {
    pub(in crate::install) line: usize,
    pub(in crate::install) problem: String,
}

/// An instruction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// The line on which it starts, counted from 1.
    pub(super) line: usize,
    /// In upper case.
    pub(super) keyword: String,
    pub(super) arguments: String,
}

/// Returns the instructions and the escape character.
pub(super) fn instructions(text: &str) -> Result<(Vec<Instruction>, char), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_directive(text)?;
    let mut instructions = Vec::new();
    let last_lines = LastLines::of(text);
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let (mut logical, mut continues) = continuation(first, escape);
        while continues {
            let Some((next, _)) = lines.next() else { break };
            // Comments and empty lines do not end an instruction.
            if next.trim_start().is_empty() || next.trim_start().starts_with('#') {
                continue;
            }
            let part;
            (part, continues) = continuation(next, escape);
            logical += &part;
        }
        if logical.trim().is_empty() {
            continue;
        }
        let instruction = instruction(&logical, line);
        for document in here_documents(&instruction, escape) {
            // Without its last line it is not a here-document, but may still be one for the shell.
            match lines.peek() {
                Some((_, next)) if last_lines.has_from(*next, &document) => {}
                _ => break,
            }
            while lines.next().is_some_and(|(line, _)| !document.ends_at(line)) {}
        }
        instructions.push(instruction);
    }
    Ok((instructions, escape))
}

/// Parses `# escape=X`, which podman accepts on the first line only.
fn escape_directive(text: &str) -> Result<char, Problem> {
    let directive = || {
        let comment = text.lines().next()?.trim_start().strip_prefix('#')?;
        let (name, value) = comment.split_once('=')?;
        name.trim().eq_ignore_ascii_case("escape").then(|| value.trim_start().chars().next())?
    };
    match directive() {
        None => Ok('\\'),
        Some(escape @ ('\\' | '`')) => Ok(escape),
        Some(other) => Err(Problem {
            line: 1,
            problem: format!("the escape directive is {other:?}, expected \\ or `"),
        }),
    }
}

/// Removes the continuation character at the end of a line, and returns whether there was one.
fn continuation(line: &str, escape: char) -> (String, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(line) => (line.to_owned(), true),
        None => (line.to_owned(), false),
    }
}

fn instruction(logical: &str, line: usize) -> Instruction {
    let logical = logical.trim();
    let (keyword, arguments) = logical.split_once(char::is_whitespace).unwrap_or((logical, ""));
    Instruction {
        line,
        keyword: keyword.to_ascii_uppercase(),
        arguments: arguments.trim().to_owned(),
    }
}

struct HereDocument {
    end: String,
    strip_tabs: bool,
}

impl HereDocument {
    fn ends_at(&self, line: &str) -> bool {
        let line = if self.strip_tabs { line.trim_start_matches('\t') } else { line };
        line == self.end
    }
}

/// The number of the last line with each text, so that the end of a here-document that has none is not
/// searched for in the whole file each time.
struct LastLines<'a> {
    whole: HashMap<&'a str, usize>,
    without_tabs: HashMap<&'a str, usize>,
}

impl<'a> LastLines<'a> {
    fn of(text: &'a str) -> Self {
        let lines = || text.lines().zip(1..);
        Self {
            whole: lines().collect(),
            without_tabs: lines()
                .map(|(line, number)| (line.trim_start_matches('\t'), number))
                .collect(),
        }
    }

    /// Whether the here-document ends on the line `first` or later.
    fn has_from(&self, first: usize, document: &HereDocument) -> bool {
        let last = if document.strip_tabs { &self.without_tabs } else { &self.whole };
        last.get(&*document.end).is_some_and(|last| *last >= first)
    }
}

/// Returns the here-documents of an instruction in their order: `<<END`, `<<-END`, `<<"END"`,
/// `3<<END`.
fn here_documents(instruction: &Instruction, escape: char) -> Vec<HereDocument> {
    if !matches!(&*instruction.keyword, "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let here_document = |word: &String| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (word, strip_tabs) = match word.strip_prefix('-') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let end = words::unquote(word, escape);
        (!end.is_empty() && !end.contains('<')).then_some(HereDocument { end, strip_tabs })
    };
    words::split(&instruction.arguments, escape).iter().filter_map(here_document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(usize, String, String)> {
        let (instructions, _) = instructions(text).unwrap();
        instructions.into_iter().map(|i| (i.line, i.keyword, i.arguments)).collect()
    }

    fn expected(rows: &[(usize, &str, &str)]) -> Vec<(usize, String, String)> {
        rows.iter().map(|(line, k, a)| (*line, (*k).to_owned(), (*a).to_owned())).collect()
    }

    #[test]
    fn comments_blank_lines_and_case() {
        assert_eq!(
            parsed("\u{feff}# c\n\n  from  scratch  \r\n\t# c\nLabel a=b # no comment\nEND"),
            expected(&[(3, "FROM", "scratch"), (5, "LABEL", "a=b # no comment"), (6, "END", "")])
        );
    }

    #[test]
    fn continuation_lines_skip_comments_and_empty_lines() {
        assert_eq!(
            parsed("LABEL a=b \\\n# c\n\n   # c \\\n  d=e \\ \t\n f\nRUN x"),
            expected(&[(1, "LABEL", "a=b   d=e  f"), (7, "RUN", "x")])
        );
        assert_eq!(parsed("RUN a \\"), expected(&[(1, "RUN", "a")]));
    }

    #[test]
    fn the_escape_directive_counts_on_the_first_line_only() {
        assert_eq!(parsed("# Escape = `\nRUN a `\nb\\\n"), expected(&[(2, "RUN", "a b\\")]));
        let late = parsed("# syntax=x\n# escape=`\nRUN a `\nRUN b\\\nc");
        assert_eq!(late, expected(&[(3, "RUN", "a `"), (4, "RUN", "bc")]));
        assert_eq!(instructions("# escape=x\n").unwrap_err().line, 1);
    }

    #[test]
    fn here_documents_are_no_instructions() {
        let text = "RUN <<EOF cat 3<<-'E F'\nLABEL RUN=x\n\\\nEOF\n\tUSER y\n\tE F\nLABEL a=b\n";
        assert_eq!(
            parsed(text),
            expected(&[(1, "RUN", "<<EOF cat 3<<-'E F'"), (7, "LABEL", "a=b")])
        );
    }

    #[test]
    fn what_only_looks_like_a_here_document_is_none() {
        for first in ["RUN cat <<<EOF", "LABEL x=<<EOF", "RUN echo '<<EOF'x", "RUN cat <<EOF"] {
            let text = format!("{first}\nLABEL a=b\n");
            assert_eq!(parsed(&text).len(), 2, "{first}");
        }
    }
}
