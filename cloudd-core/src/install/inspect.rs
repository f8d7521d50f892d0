//! Checks a Containerfile and its `RUN` label.

use std::path::{Path, PathBuf};

use super::container::RunLabelSource;
use super::containerfile::{Base, Containerfile, Entrypoint, Label, LocalCopy, Problem, RunLabel};
use super::copies;
use super::error::InstallError;
use super::ignore::IgnoreRules;
use super::run_label;
use super::scan::Entries;
use crate::text::sanitize_untrusted;

/// A Containerfile that podman probably accepts.
#[derive(Debug)]
pub(super) struct Inspected {
    path: PathBuf,
    /// The `RUN` label as written, if the Containerfile sets it.
    pub(super) run_label: Option<String>,
    pub(super) warnings: Vec<String>,
    copies: Vec<LocalCopy>,
}

impl Inspected {
    /// Checks what needs no other file.
    pub(super) fn new(
        path: &Path,
        text: &[u8],
        source: RunLabelSource,
    ) -> Result<Self, InstallError> {
        let mut inspected = Self {
            path: path.to_owned(),
            run_label: None,
            warnings: Vec::new(),
            copies: Vec::new(),
        };
        // podman runs such a file through the C preprocessor first, so only the build finds the label.
        if path.extension().is_some_and(|extension| extension == "in") {
            return Ok(inspected);
        }
        let invalid = |problem| invalid(path, problem);
        let parsed = Containerfile::parse(&String::from_utf8_lossy(text)).map_err(invalid)?;
        inspected.warn(parsed.check_instructions().map_err(invalid)?);
        inspected.copies = parsed.local_copies().map_err(invalid)?;
        if let Some(label) = find_label(path, &parsed, source)? {
            inspected.check_label(&parsed, &label)?;
            inspected.run_label = Some(label.value);
        }
        Ok(inspected)
    }

    /// Checks that the context has what is copied from it.
    pub(super) fn check_copies(
        &mut self,
        entries: &Entries,
        rules: &IgnoreRules,
    ) -> Result<(), InstallError> {
        let checked = copies::check(&self.copies, entries, rules);
        self.warn(checked.map_err(|problem| invalid(&self.path, problem))?);
        Ok(())
    }

    fn check_label(&mut self, parsed: &Containerfile, label: &Label) -> Result<(), InstallError> {
        let (path, line) = (self.path.clone(), label.line);
        let refused = |problem| InstallError::RunLabelInvalid { path: path.clone(), line, problem };
        let mut warnings = Vec::new();
        for (name, has_default) in &label.variables {
            if *has_default || parsed.may_set(name) {
                continue;
            }
            let name = sanitize_untrusted(name, 100);
            if matches!(&*name, "IMAGE" | "NAME") {
                return Err(refused(format!(
                    "has the variable ${name}, which `podman build` replaces by nothing before the label \
                     is run; write {name}"
                )));
            }
            warnings.push(format!(
                "has the variable ${name}, which `podman build` replaces by nothing unless the base image \
                 sets it; declare it with ARG or ENV"
            ));
        }
        let checked = run_label::check(&label.marked).map_err(refused)?;
        warnings.extend(checked.warnings);
        self.warn(warnings.into_iter().map(|warning| {
            let problem = format!("the RUN label {warning}");
            Problem { line, problem }
        }));
        match parsed.entrypoint() {
            Entrypoint::Missing { line } if checked.needs_entrypoint => {
                let problem = "the image has no ENTRYPOINT, and the RUN label names no program after IMAGE, \
                     so that podman would run the volume's device as a program; a CMD does not help, \
                     because the device replaces it";
                Err(invalid(&path, Problem { line, problem: problem.to_owned() }))
            }
            Entrypoint::OnlyCommand { line } if checked.needs_entrypoint => {
                let problem = "the volume's device replaces CMD, so that podman runs the device as a \
                     program unless the base image has an ENTRYPOINT; use ENTRYPOINT in place of CMD";
                self.warn([Problem { line, problem: problem.to_owned() }]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn warn(&mut self, warnings: impl IntoIterator<Item = Problem>) {
        let Self { path, warnings: all, .. } = self;
        let text = |Problem { line, problem }| format!("{path:?}, line {line}: {problem}");
        all.extend(warnings.into_iter().map(text));
    }
}

/// Returns the label, or `None` if only the build can find it.
fn find_label(
    path: &Path,
    parsed: &Containerfile,
    source: RunLabelSource,
) -> Result<Option<Label>, InstallError> {
    let path = path.to_owned();
    match (parsed.run_label(), source) {
        (RunLabel::Set(label), _) => Ok(Some(label)),
        (RunLabel::Unknown, _) => Ok(None),
        (RunLabel::Missing(Base::Image(_)), RunLabelSource::BaseImage) => Ok(None),
        (RunLabel::Missing(Base::Image(base)), RunLabelSource::Containerfile) => {
            Err(InstallError::RunLabelMissing { path, base })
        }
        (RunLabel::Missing(Base::Scratch | Base::Stage(_)), _) => {
            Err(InstallError::RunLabelMissing { path, base: "scratch".to_owned() })
        }
        (RunLabel::Empty { line }, _) => Err(InstallError::RunLabelEmpty { path, line }),
        (RunLabel::Ambiguous { first, second }, _) => {
            Err(InstallError::RunLabelAmbiguous { path, first, second })
        }
    }
}

fn invalid(path: &Path, Problem { line, problem }: Problem) -> InstallError {
    InstallError::ContainerfileInvalid { path: path.to_owned(), line, problem }
}
