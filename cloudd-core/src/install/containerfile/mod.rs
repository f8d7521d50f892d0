//! Determines the `RUN` label of a Containerfile, with the rules of podman's parser.

mod checks;
mod lines;
mod words;

use std::collections::HashMap;

pub(super) use checks::{Entrypoint, LocalCopy};
pub(super) use lines::Problem;

use super::run_label::UNKNOWN;
use lines::Instruction;

use crate::text::sanitize_untrusted;

/// The label with the command of an install container. podman ignores its case.
const RUN: &str = "RUN";

#[derive(Debug)]
pub(super) struct Containerfile {
    /// There is at least one.
    stages: Vec<Stage>,
    /// The last stage with each name, in lower case.
    names: HashMap<String, usize>,
    before_from: Vec<Instruction>,
    escape: char,
}

#[derive(Debug)]
struct Stage {
    /// The line of its FROM.
    line: usize,
    base: Base,
    labels: Vec<Label>,
    /// Those after its FROM.
    instructions: Vec<Instruction>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// An earlier stage, by its index.
    Stage(usize),
    /// `scratch`, an image without labels.
    Scratch,
    /// An image, or a variable, because podman 4 does not look for stages in variables.
    Image(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) line: usize,
    name: String,
    /// The value without quotes and without expansion of variables.
    pub(super) value: String,
    /// The value with [`UNKNOWN`] in place of every variable that `podman build` expands.
    pub(super) marked: String,
    /// The names of these variables, each with whether it has a default.
    pub(super) variables: Vec<(String, bool)>,
}

/// The `RUN` label of the image.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RunLabel {
    Set(Label),
    /// The name of a label contains variables, so it may be `RUN`.
    Unknown,
    /// Not set. The last stage starts from this base, directly or through other stages.
    Missing(Base),
    Empty {
        line: usize,
    },
    Ambiguous {
        first: String,
        second: String,
    },
}

impl Containerfile {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (instructions, escape) = lines::instructions(text)?;
        let mut parsed =
            Self { stages: Vec::new(), names: HashMap::new(), before_from: Vec::new(), escape };
        for instruction in instructions {
            let line = instruction.line;
            if instruction.keyword == "FROM" {
                let (base, name) = from(&instruction, &parsed.names, parsed.stages.len())?;
                parsed.names.extend(name.map(|name| (name, parsed.stages.len())));
                let (labels, instructions) = (Vec::new(), Vec::new());
                parsed.stages.push(Stage { line, base, labels, instructions });
            } else if let Some(stage) = parsed.stages.last_mut() {
                if instruction.keyword == "LABEL" {
                    stage.labels.extend(labels(&instruction, escape)?);
                }
                stage.instructions.push(instruction);
            } else {
                parsed.before_from.push(instruction);
            }
        }
        if parsed.stages.is_empty() {
            return Err(Problem { line: 1, problem: "there is no FROM".to_owned() });
        }
        Ok(parsed)
    }

    /// The last stage and the stages from which it starts, the last one first, and their base.
    fn chain(&self) -> (Vec<usize>, &Base) {
        let mut chain = vec![self.stages.len() - 1];
        loop {
            match &self.stages[chain[chain.len() - 1]].base {
                Base::Stage(earlier) => chain.push(*earlier),
                base => return (chain, base),
            }
        }
    }

    /// Returns the `RUN` label of the last stage, which inherits labels from the stages it starts from.
    pub(super) fn run_label(&self) -> RunLabel {
        let (chain, base) = self.chain();
        let mut set: Vec<&Label> = Vec::new();
        let mut unknown = false;
        for label in chain.iter().rev().flat_map(|stage| &self.stages[*stage].labels) {
            unknown |= label.name.contains('$');
            if label.name.eq_ignore_ascii_case(RUN) {
                set.retain(|known| known.name != label.name);
                set.push(label);
            }
        }
        match set[..] {
            [] if unknown => RunLabel::Unknown,
            [] => RunLabel::Missing(base.clone()),
            // podman crashes on a label of white space.
            [label] if label.value.trim().is_empty() => RunLabel::Empty { line: label.line },
            [label] => RunLabel::Set(label.clone()),
            [first, second, ..] => {
                RunLabel::Ambiguous { first: first.name.clone(), second: second.name.clone() }
            }
        }
    }
}

/// Parses a FROM after `stages` stages. Returns the base and the name of the stage in lower case.
fn from(
    instruction: &Instruction,
    names: &HashMap<String, usize>,
    stages: usize,
) -> Result<(Base, Option<String>), Problem> {
    let words = instruction.arguments.split_whitespace();
    let words: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
    let (image, name) = match words[..] {
        [image] => (image, None),
        [image, word, name] if word.eq_ignore_ascii_case("as") => {
            (image, Some(name.to_ascii_lowercase()))
        }
        _ => {
            let problem = "FROM requires an image, optionally followed by AS and a name".to_owned();
            return Err(Problem { line: instruction.line, problem });
        }
    };
    let by_number = || image.parse().ok().filter(|stage| *stage < stages);
    let by_name = names.get(&image.to_ascii_lowercase()).copied();
    let base = match by_name.or_else(by_number) {
        Some(stage) => Base::Stage(stage),
        None if image == "scratch" => Base::Scratch,
        None => Base::Image(image.to_owned()),
    };
    Ok((base, name))
}

fn labels(instruction: &Instruction, escape: char) -> Result<Vec<Label>, Problem> {
    let line = instruction.line;
    let label = |name: &str, value: &str| {
        let (marked, variables) = words::mark_variables(value, escape, UNKNOWN);
        let name = words::unquote(name, escape);
        let [value, marked] = [value, &marked].map(|value| words::unquote(value, escape));
        Label { line, name, value, marked, variables }
    };
    let shown = |word: &str| sanitize_untrusted(word, 100);
    let words = words::split(&instruction.arguments, escape);
    match words.first() {
        None => Err(Problem { line, problem: "LABEL has no name and value".to_owned() }),
        // The old form: a name, then the value up to the end of the line.
        Some(first) if !first.contains('=') => {
            match instruction.arguments.split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![label(name, value.trim())]),
                None => {
                    Err(Problem { line, problem: format!("LABEL {} has no value", shown(first)) })
                }
            }
        }
        Some(_) => {
            let pair = |word: &String| match word.split_once('=') {
                Some((name, value)) => Ok(label(name, value)),
                None => Err(Problem {
                    line,
                    problem: format!("in LABEL, {} is not of the form name=value", shown(word)),
                }),
            };
            words.iter().map(pair).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run_label(text: &str) -> RunLabel {
        Containerfile::parse(text).unwrap().run_label()
    }

    fn value(text: &str) -> String {
        match run_label(text) {
            RunLabel::Set(label) => label.value,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn image(name: &str) -> RunLabel {
        RunLabel::Missing(Base::Image(name.to_owned()))
    }

    #[test]
    fn the_label_is_found_in_all_its_forms() {
        for label in [
            "LABEL RUN=\"podman run IMAGE\"",
            "label run='podman run IMAGE'",
            "LABEL RUN podman run IMAGE",
            "LABEL RUN   \"podman run IMAGE\"",
            "LABEL \"RUN\"=\"podman run IMAGE\" other=y",
            "LABEL a=b \\\n  # comment\n  Run=podman\\ run\\ IMAGE \\\n  c=d",
            "LABEL RUN=x\nUSER y\nLABEL RUN=\"podman run IMAGE\"",
            "LABEL RUN=\"podman \\\nrun IMAGE\"",
        ] {
            let text = format!("ARG V=1\nFROM --platform=linux/amd64 quay.example/x:$V\n{label}\n");
            assert_eq!(value(&text), "podman run IMAGE", "{label}");
        }
    }

    #[test]
    fn only_the_last_stage_and_what_it_is_built_on_counts() {
        assert_eq!(run_label("FROM a AS one\nLABEL RUN=x\nFROM b"), image("b"));
        assert_eq!(value("FROM a AS one\nFROM one\nLABEL RUN=x"), "x");
        assert_eq!(value("FROM a as One\nLABEL RUN=x\nFROM one AS two\nFROM two"), "x");
        assert_eq!(value("FROM a\nLABEL RUN=x\nFROM 0"), "x");
        assert_eq!(run_label("FROM a AS one\nFROM scratch\nLABEL RUN=x\nFROM one"), image("a"));
        assert_eq!(run_label("FROM a AS x\nLABEL RUN=x\nFROM $x"), image("$x"));
        assert_eq!(run_label("FROM one\nLABEL RUN=x\nFROM b AS one"), image("b"));
        assert_eq!(run_label("FROM scratch\n"), RunLabel::Missing(Base::Scratch));
        assert_eq!(run_label("LABEL RUN=x\nFROM a"), image("a"));
    }

    #[test]
    fn what_is_no_label_of_the_image_does_not_count() {
        for line in [
            "# LABEL RUN=x",
            "ONBUILD LABEL RUN=x",
            "RUN echo LABEL RUN=x",
            "ENV RUN=x",
            "LABEL MYRUN=x",
            "LABEL a=\"b RUN=x\"",
            "RUN a \\\nLABEL RUN=x",
            "RUN <<EOF\nLABEL RUN=x\nEOF",
        ] {
            assert_eq!(run_label(&format!("FROM a\n{line}\n")), image("a"), "{line}");
        }
    }

    #[test]
    fn an_empty_label_is_none_even_where_a_stage_below_sets_it() {
        for label in ["LABEL RUN=", "LABEL RUN=\"\"", "LABEL RUN='  '", "LABEL RUN \"\""] {
            let text = format!("FROM a AS b\nLABEL RUN=x\nFROM b\n{label}\n");
            assert_eq!(run_label(&text), RunLabel::Empty { line: 4 }, "{label}");
        }
    }

    #[test]
    fn two_spellings_are_ambiguous() {
        let ambiguous = RunLabel::Ambiguous { first: "RUN".to_owned(), second: "run".to_owned() };
        assert_eq!(run_label("FROM a\nLABEL RUN=x run=y"), ambiguous);
    }

    #[test]
    fn a_name_made_of_variables_may_be_the_label() {
        assert_eq!(run_label("FROM a\nLABEL $NAME=x"), RunLabel::Unknown);
    }

    #[test]
    fn what_podman_refuses_is_refused_with_its_line() {
        for (text, line, part) in [
            ("", 1, "no FROM"),
            ("# nothing\n\n", 1, "no FROM"),
            ("ARG x\n", 1, "no FROM"),
            ("FROM\n", 1, "FROM requires"),
            ("\nFROM a b\n", 2, "FROM requires"),
            ("FROM a AS\n", 1, "FROM requires"),
            ("FROM a\n\nLABEL\n", 3, "no name"),
            ("FROM a\nLABEL RUN\n", 2, "no value"),
            ("FROM a\nLABEL RUN=podman run IMAGE\n", 2, "run is not of the form"),
        ] {
            let problem = Containerfile::parse(text).unwrap_err();
            assert_eq!(problem.line, line, "{text:?}");
            assert!(problem.problem.contains(part), "{problem:?}");
        }
    }

    /// Fragments whose combinations are likely to be Containerfiles.
    fn text() -> impl Strategy<Value = String> {
        let parts = [
            "FROM ",
            "FROM a AS b\n",
            "FROM b",
            "FROM 0",
            "FROM 99999999999999999999999",
            "LABEL ",
            "RUN=x",
            "run ",
            "\"",
            "'",
            "\\",
            "`",
            "\n",
            "\r\n",
            "\t",
            " ",
            "=",
            "$",
            "<<E",
            "<<-E",
            "<<\"E F\"",
            "E",
            "E F",
            "COPY ",
            "ADD ",
            "--from=b ",
            "RUN --mount=from=b ",
            "[\"a\",",
            "ENTRYPOINT ",
            "CMD ",
            "ARG ",
            "# escape=`\n",
            "#",
            "\u{feff}",
            "\u{85}",
            "é",
            "AS",
            "--x",
        ];
        let part = prop_oneof![
            4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_with_a_line_that_it_has(text in text()) {
            match Containerfile::parse(&text) {
                Ok(parsed) => {
                    parsed.run_label();
                    parsed.entrypoint();
                    let _ = parsed.local_copies();
                    let told = match parsed.check_instructions() {
                        Ok(warnings) => warnings,
                        Err(problem) => vec![problem],
                    };
                    for Problem { line, problem } in told {
                        prop_assert!((1..=text.lines().count()).contains(&line));
                        prop_assert!(!problem.contains(char::is_control), "{problem:?}");
                    }
                }
                Err(problem) => {
                    prop_assert!((1..=text.lines().count().max(1)).contains(&problem.line));
                    prop_assert!(!problem.problem.contains(char::is_control), "{problem:?}");
                }
            }
        }
    }

    #[test]
    fn the_time_is_proportional_to_the_length() {
        // The longest Containerfile that is read, filled with what was slow to parse.
        for line in [
            "RUN <<E\n",
            "RUN <<-E <<F\n",
            "FROM a AS b\n",
            "FROM b\n",
            "LABEL RUN=x\n",
            "'\\\n",
            "COPY --from=b a b\n",
            "FROM a AS b\nCOPY --from=b a b\n",
            "LABEL $a=${\n",
        ] {
            let text = format!("FROM a\n{}", line.repeat((256 << 10) / line.len()));
            let started = std::time::Instant::now();
            if let Ok(parsed) = Containerfile::parse(&text) {
                parsed.run_label();
                parsed.entrypoint();
                let _ = (parsed.check_instructions(), parsed.local_copies());
            }
            // Each took a minute or more when it was quadratic, and takes milliseconds.
            assert!(started.elapsed().as_secs() < 5, "{line:?}: {:?}", started.elapsed());
        }
        let stages: String = (0..12_000).map(|n| format!("FROM a AS n{n}\n")).collect();
        let started = std::time::Instant::now();
        Containerfile::parse(&stages).unwrap();
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
