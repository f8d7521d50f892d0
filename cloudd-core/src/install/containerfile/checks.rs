//! What podman would refuse in a Containerfile when it runs the instructions.

use std::collections::BTreeSet;

use super::lines::{Instruction, Problem};
use super::{Base, Containerfile, words};
use crate::text::sanitize_untrusted;

/// The instructions of a stage.
const KNOWN: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Whether the image has an entrypoint.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::install) enum Entrypoint {
    Set,
    /// The base image may set it.
    Inherited,
    /// The base image may set it, but the Containerfile sets CMD on this line, which podman replaces by
    /// the argument of the container.
    OnlyCommand {
        line: usize,
    },
    Missing {
        /// The line of the last FROM.
        line: usize,
    },
}

/// A COPY or ADD of the build context.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::install) struct LocalCopy {
    pub(in crate::install) line: usize,
    /// `COPY` or `ADD`.
    pub(in crate::install) keyword: String,
    /// Paths and patterns.
    pub(in crate::install) sources: Vec<String>,
    /// Whether it has other sources, too: URLs, here-documents, variables.
    pub(in crate::install) has_others: bool,
}

impl Containerfile {
    /// Checks the keywords of the instructions that podman runs. Returns those before the first FROM,
    /// which have no effect.
    pub(in crate::install) fn check_instructions(&self) -> Result<Vec<Problem>, Problem> {
        for stage in self.built_stages() {
            for Instruction { line, keyword, .. } in &self.stages[stage].instructions {
                if !KNOWN.contains(&&**keyword) {
                    let problem = format!("{} is no instruction", shown(keyword));
                    return Err(Problem { line: *line, problem });
                }
            }
        }
        let useless = self.before_from.iter().filter(|instruction| instruction.keyword != "ARG");
        let warning = |Instruction { line, keyword, .. }: &Instruction| Problem {
            line: *line,
            problem: format!("{} before the first FROM has no effect", shown(keyword)),
        };
        Ok(useless.map(warning).collect())
    }

    pub(in crate::install) fn entrypoint(&self) -> Entrypoint {
        let (chain, base) = self.chain();
        let (mut entrypoint, mut command) = (None, None);
        for instruction in chain.iter().rev().flat_map(|stage| &self.stages[*stage].instructions) {
            let is_set = !matches!(&*instruction.arguments.replace(' ', ""), "" | "[]");
            match &*instruction.keyword {
                "ENTRYPOINT" => entrypoint = Some(is_set),
                "CMD" if is_set => command = Some(instruction.line),
                _ => {}
            }
        }
        match (entrypoint, base, command) {
            (Some(true), ..) => Entrypoint::Set,
            (None, Base::Image(_), Some(line)) => Entrypoint::OnlyCommand { line },
            (None, Base::Image(_), None) => Entrypoint::Inherited,
            _ => Entrypoint::Missing { line: self.stages[chain[0]].line },
        }
    }

    /// The instructions that copy from the build context.
    pub(in crate::install) fn local_copies(&self) -> Result<Vec<LocalCopy>, Problem> {
        let mut copies = Vec::new();
        for stage in self.built_stages() {
            for instruction in &self.stages[stage].instructions {
                if matches!(&*instruction.keyword, "COPY" | "ADD") {
                    copies.extend(local_copy(instruction, self.escape)?);
                }
            }
        }
        Ok(copies)
    }

    /// Whether `podman build` may know a variable that no base image sets.
    pub(in crate::install) fn may_set(&self, variable: &str) -> bool {
        let predefined = variable == "PATH"
            || variable.to_ascii_lowercase().ends_with("_proxy")
            || ["TARGET", "BUILD"].iter().any(|start| variable.starts_with(start));
        let stages = self.stages.iter().flat_map(|stage| &stage.instructions);
        let mut sets = self
            .before_from
            .iter()
            .chain(stages)
            .filter(|instruction| matches!(&*instruction.keyword, "ARG" | "ENV"));
        let names = |word: &String| word.split('=').next() == Some(variable);
        predefined || sets.any(|set| words::split(&set.arguments, self.escape).iter().any(names))
    }

    /// The stages that podman builds: the last one, and those from which it starts or copies.
    fn built_stages(&self) -> BTreeSet<usize> {
        let mut built = BTreeSet::new();
        let mut pending = vec![self.stages.len() - 1];
        while let Some(index) = pending.pop() {
            if !built.insert(index) {
                continue;
            }
            let stage = &self.stages[index];
            if let Base::Stage(earlier) = &stage.base {
                pending.push(*earlier);
            }
            for name in stage.instructions.iter().flat_map(other_stages) {
                let by_number = || name.parse().ok();
                let found = self.names.get(&name.to_ascii_lowercase()).copied().or_else(by_number);
                pending.extend(found.filter(|found| *found < index && !built.contains(found)));
            }
        }
        built
    }
}

/// The options at the start of an instruction, and what follows them.
fn flags(instruction: &Instruction) -> (Vec<&str>, &str) {
    let (mut flags, mut rest) = (Vec::new(), &*instruction.arguments);
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        flags.push(flag);
        rest = after.trim_start();
    }
    (flags, rest)
}

/// The stages or images that an instruction reads: `--from=NAME`, `--mount=…,from=NAME`.
fn other_stages(instruction: &Instruction) -> Vec<&str> {
    let options = match &*instruction.keyword {
        "COPY" | "ADD" | "RUN" => flags(instruction).0,
        _ => return Vec::new(),
    };
    options
        .iter()
        .filter_map(|option| match option.strip_prefix("--mount=") {
            Some(mount) => mount.split(',').find_map(|field| field.strip_prefix("from=")),
            None => option.strip_prefix("--from="),
        })
        .collect()
}

/// Parses a COPY or ADD. `None` if it copies nothing of the build context.
fn local_copy(instruction: &Instruction, escape: char) -> Result<Option<LocalCopy>, Problem> {
    let Instruction { line, keyword, .. } = instruction;
    let (flags, rest) = flags(instruction);
    let json = || serde_json::from_str(rest).ok();
    let words: Vec<String> = match json().filter(|_| rest.starts_with('[')) {
        Some(words) => words,
        None => words::split(rest, escape),
    };
    let Some((_, sources)) = words.split_last().filter(|(_, sources)| !sources.is_empty()) else {
        let problem = format!("{keyword} requires a source and a destination");
        return Err(Problem { line: *line, problem });
    };
    if flags.iter().any(|flag| flag.starts_with("--from=")) {
        return Ok(None);
    }
    let is_local = |source: &&String| {
        let document = source.trim_start_matches(|c: char| c.is_ascii_digit());
        !source.contains(['$', '\0'])
            && !source.contains("://")
            && !source.starts_with("git@")
            && !document.starts_with("<<")
    };
    let unquoted = |source: &String| match rest.starts_with('[') {
        true => source.clone(),
        false => words::unquote(source, escape),
    };
    let local: Vec<String> = sources.iter().filter(is_local).map(unquoted).collect();
    let has_others = local.len() < sources.len();
    Ok(Some(LocalCopy { line: *line, keyword: keyword.clone(), sources: local, has_others }))
}

fn shown(keyword: &str) -> String {
    sanitize_untrusted(keyword, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Containerfile {
        Containerfile::parse(text).unwrap()
    }

    #[test]
    fn an_unknown_instruction_is_refused_where_podman_runs_it() {
        for (text, line) in [
            ("FROM a\nCOPPY x y\n", 2),
            ("FROM a AS b\nFOO\nFROM b\n", 2),
            ("FROM a AS b\nFOO\nFROM c\nCOPY --from=b x y\n", 2),
            ("FROM a\nFOO\nFROM c\nRUN --mount=type=bind,from=0,target=/x x\n", 2),
        ] {
            let problem = parsed(text).check_instructions().unwrap_err();
            assert_eq!(problem.line, line, "{text}");
            assert!(problem.problem.ends_with("is no instruction"), "{problem:?}");
        }
        let unused = parsed("FROM a AS b\nFOO\nFROM c\nRUN x\n");
        assert_eq!(unused.check_instructions(), Ok(vec![]));
        let before = parsed("FOO x\nARG y\nFROM a\n").check_instructions().unwrap();
        assert_eq!(before.len(), 1);
        assert!(before[0].problem.contains("FOO before the first FROM"), "{before:?}");
    }

    #[test]
    fn the_entrypoint_is_that_of_the_last_stage_and_its_bases() {
        for (text, entrypoint) in [
            ("FROM scratch\n", Entrypoint::Missing { line: 1 }),
            ("FROM scratch\nCMD [\"/x\"]\n", Entrypoint::Missing { line: 1 }),
            ("FROM a\nENTRYPOINT [\"/x\"]\nENTRYPOINT [ ]\n", Entrypoint::Missing { line: 1 }),
            ("FROM a AS b\nENTRYPOINT x\nFROM scratch\n", Entrypoint::Missing { line: 3 }),
            ("FROM scratch AS b\nENTRYPOINT x\nFROM b\n", Entrypoint::Set),
            ("FROM scratch\nentrypoint [\"/x\"]\n", Entrypoint::Set),
            ("FROM a\n", Entrypoint::Inherited),
            ("FROM a\nRUN x\nCMD /x\n", Entrypoint::OnlyCommand { line: 3 }),
        ] {
            assert_eq!(parsed(text).entrypoint(), entrypoint, "{text}");
        }
    }

    #[test]
    fn local_sources_are_those_of_the_build_context() {
        for (copy, sources, has_others) in [
            ("COPY a b /x", &["a", "b"][..], false),
            ("ADD --chown=1 \"a b\" c\\ d /x", &["a b", "c d"], false),
            ("COPY [\"a b\", \"/x\"]", &["a b"], false),
            ("ADD https://h.example/x git@h.example:x a /x", &["a"], true),
            ("COPY $A <<EOF a /x", &["a"], true),
        ] {
            let copies = parsed(&format!("FROM a\n{copy}\n")).local_copies().unwrap();
            assert_eq!(
                (copies[0].line, &copies[0].sources[..]),
                (2, &sources.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]),
                "{copy}"
            );
            assert_eq!(copies[0].has_others, has_others, "{copy}");
        }
        assert!(parsed("FROM a\nCOPY --from=b x y\n").local_copies().unwrap().is_empty());
        let problem = parsed("FROM a\n\nCOPY x\n").local_copies().unwrap_err();
        assert_eq!(
            (problem.line, &*problem.problem),
            (3, "COPY requires a source and a destination")
        );
    }

    #[test]
    fn variables_of_the_build_are_known() {
        let parsed = parsed("ARG A=1\nFROM a\nARG B\nENV C 1\nENV D=1 E=2\n");
        for name in ["A", "B", "C", "D", "E", "PATH", "TARGETARCH", "http_proxy"] {
            assert!(parsed.may_set(name), "{name}");
        }
        assert!(!parsed.may_set("IMAGE") && !parsed.may_set("F"));
    }
}
