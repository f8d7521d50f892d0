//! Comparisons with the installed podman: the files that it copies from a build context, and the `RUN`
//! label that it finds.

mod install_support;

use std::{collections::BTreeMap, ffi::OsStr, path::Path, process::Command};

use cloudd_core::install::InstallContainer;
use install_support::{CONTAINERFILE, Numbers, Tree, listing, unpacked};

/// podman with separate storage, without systemd, cgroups and overlay mounts.
struct Podman(Tree);

impl Podman {
    fn new() -> Self {
        Self(Tree::empty())
    }

    fn run(&self, arguments: &[&OsStr]) -> Result<String, String> {
        let output = Command::new("podman")
            .args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"])
            .args(["root", "runroot", "tmpdir"].map(|name| {
                let path = self.0.at(name);
                [OsStr::new("--"), OsStr::new(name), OsStr::new("="), path.as_os_str()]
                    .join(OsStr::new(""))
            }))
            .args(arguments)
            .output()
            .expect("podman is needed: run `make setup`");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn build(&self, context: &Path, options: &[&str]) -> Result<String, String> {
        let mut arguments =
            ["build", "-q", "--isolation=chroot", "--layers=false", "-t", "cloudd"].to_vec();
        arguments.extend(options);
        let mut arguments: Vec<&OsStr> = arguments.into_iter().map(OsStr::new).collect();
        arguments.push(context.as_os_str());
        self.run(&arguments)
    }

    /// The files that `COPY . /ctx` copies.
    fn copied(&self, context: &Path) -> BTreeMap<Vec<u8>, String> {
        let out = Tree::empty();
        let output = format!("--output=type=local,dest={}", out.path().display());
        self.build(context, &[&output]).unwrap_or_else(|error| panic!("{error}"));
        match out.at("ctx").exists() {
            true => listing(&out.at("ctx")),
            false => BTreeMap::new(),
        }
    }

    /// The command of the `RUN` label, as used in the builder VM.
    fn run_label(&self) -> Result<String, String> {
        let words = ["container", "runlabel", "--display", "run", "localhost/cloudd"];
        let shown = self.run(&words.map(OsStr::new))?;
        Ok(shown.trim().strip_prefix("command: ").unwrap_or_default().to_owned())
    }

    fn variables(&self) -> String {
        self.run(
            &["inspect", "--format", "{{json .Config.Env}}", "localhost/cloudd"].map(OsStr::new),
        )
        .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A tree with matches and mismatches for every pattern below.
fn project() -> Tree {
    Tree::context()
        .file("README.md", "r", 0o644)
        .file("a.md", "a", 0o755)
        .file("notes", "n", 0o600)
        .file("docs/README.md", "r", 0o644)
        .file("docs/keep", "k", 0o644)
        .file("docs/deep/keep", "k", 0o644)
        .file("docs/deep/x.o", "x", 0o644)
        .file("src/main.c", "c", 0o644)
        .file("src/main.o", "o", 0o644)
        .file("src/[odd] name", "o", 0o644)
        .file(b"src/\xff.o", "o", 0o644)
        .dir("empty/one", 0o755)
        .dir("private", 0o700)
        .file("private/key", "k", 0o400)
        .link("link", "docs/keep")
        .link("src/dangling", "../nowhere")
        .file(".hidden/file", "h", 0o644)
}

/// Checks that podman copies the same files from the unpacked archive as from the context. Returns the
/// files of the archive that podman does not copy.
fn more_than_podman_copies(podman: &Podman, tree: &Tree, rules: &str) -> Vec<String> {
    let unpacked = unpacked(&tree.archive());
    let copied = podman.copied(tree.path());
    assert_eq!(podman.copied(unpacked.path()), copied, "{rules:?}");
    let travelled = listing(unpacked.path());
    for path in copied.keys() {
        let name = String::from_utf8_lossy(path);
        assert!(travelled.contains_key(path), "{rules:?}: {name:?} is missing");
    }
    let more = travelled.keys().filter(|path| !copied.contains_key(*path));
    more.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

#[test]
fn podman_copies_the_same_from_the_archive_as_from_the_context() {
    let podman = Podman::new();
    // Rules, and the files that are packed although podman does not copy them.
    for (rules, more) in [
        ("", &[][..]),
        ("docs", &[]),
        ("/docs/", &[]),
        ("docs/*", &[]),
        ("docs/**", &[]),
        ("*.md\n!README.md", &[]),
        ("*.md\n!README.md\n**/README.md", &[]),
        ("**/*.o", &[]),
        ("**/keep\n# docs/keep\n\n!docs/deep/keep", &[]),
        ("docs\n!docs/keep", &[]),
        ("docs\n!docs/deep/keep\n", &[]),
        ("*\n!src", &[".dockerignore", "Containerfile"]),
        ("*\n!src/*.c", &[".dockerignore", "Containerfile"]),
        ("?????", &[]),
        ("[a-c].md\nsrc/\\[odd\\]*", &[]),
        ("empty/one\nprivate/key", &[]),
        ("link\nsrc/dangling", &[]),
        ("./notes\nsrc//main.?\ndocs/../a.md  ", &[]),
        ("*/*/keep", &[]),
        (".*", &[".dockerignore"]),
        ("Containerfile\n.dockerignore", &[".dockerignore", "Containerfile"]),
    ] {
        let tree = project().file(".dockerignore", rules, 0o644);
        assert_eq!(more_than_podman_copies(&podman, &tree, rules), more, "{rules:?}");
    }
}

#[test]
fn podman_takes_the_same_ignore_file() {
    let podman = Podman::new();
    let names = [
        "Containerfile.dockerignore",
        "Containerfile.containerignore",
        ".containerignore",
        ".dockerignore",
    ];
    for chosen in 0..names.len() {
        let mut tree = project();
        for (name, rule) in names.iter().zip(["docs", "src", "private", "empty"]).skip(chosen) {
            tree = tree.file(name, rule, 0o644);
        }
        assert_eq!(more_than_podman_copies(&podman, &tree, names[chosen]), [""; 0]);
    }
}

#[test]
fn random_ignore_files_never_leave_out_what_podman_copies() {
    let podman = Podman::new();
    let parts = ["*", "**", "?", "docs", "deep", "keep", "*.o", "*.md", "src", "[a-m]*", "!", ".."];
    for seed in 0..12 {
        let mut numbers = Numbers::from_seed(seed);
        let mut line = || {
            let except = *numbers.pick(&["", "", "!"]);
            let depth = 1 + numbers.below(3);
            let path: Vec<&str> = (0..depth).map(|_| *numbers.pick(&parts)).collect();
            format!("{except}{}\n", path.join("/"))
        };
        let rules: String = (0..6).map(|_| line()).filter(|line| line != "!\n").collect();
        let tree = project().file(".dockerignore", &rules, 0o644);
        more_than_podman_copies(&podman, &tree, &rules);
    }
}

#[test]
fn podman_finds_the_run_label_exactly_where_it_was_found_before() {
    let podman = Podman::new();
    for containerfile in [
        "FROM scratch\nLABEL RUN=\"podman run IMAGE x\"\n",
        "FROM scratch\nLABEL run='podman run --privileged IMAGE x'\n",
        "FROM scratch\nLABEL RuN podman run IMAGE x\n",
        "FROM scratch\nLABEL \"RUN\"=\"podman run IMAGE x\" other=y\n",
        "FROM scratch\nlabel a=b \\\n  # comment\n\n  RUN=podman\\ run\\ IMAGE\\ x \\\n  c=d\n",
        "FROM scratch\nLABEL RUN=\"podman \\\n run IMAGE x\"\n",
        "FROM scratch\nLABEL RUN=\"podman run IMAGE \\\"a b\\\" 'c'\"\n",
        "# escape=`\nFROM scratch\nLABEL a=b `\n  RUN=\"podman run IMAGE x\"\n",
        "# syntax=x\n# escape=`\nFROM scratch\nLABEL a=b `\n  RUN=\"podman run IMAGE x\"\n",
        "FROM scratch AS one\nLABEL RUN=\"podman run IMAGE x\"\nFROM one AS two\nFROM two\n",
        "FROM scratch\nLABEL RUN=\"podman run IMAGE x\"\nFROM 0\n",
        "FROM scratch AS one\nLABEL RUN=\"podman run IMAGE x\"\nFROM scratch\n",
        "FROM scratch AS one\nFROM scratch AS two\nLABEL RUN=\"podman run IMAGE x\"\nFROM one\n",
        "FROM scratch AS one\nONBUILD LABEL RUN=\"podman run IMAGE x\"\nFROM one\nLABEL a=b\n",
        "LABEL RUN=\"podman run IMAGE x\"\nFROM scratch\nLABEL a=b\n",
        "FROM scratch\nLABEL RUN=\"podman run IMAGE x\"\nLABEL RUN=\n",
        "FROM scratch\nLABEL RUN=\"\"\n",
        "FROM scratch\nLABEL RUN=\"  \"\n",
        "FROM scratch\nLABEL RUNS=\"podman run\"\n",
        "FROM scratch\nENV RUN=\"podman run IMAGE x\"\n",
        "FROM scratch\nLABEL a=b\n# LABEL RUN=\"podman run IMAGE x\"\n",
        "FROM scratch\nLABEL a=\"LABEL RUN=podman\"\n",
        "FROM scratch\nLABEL RUN\n",
        "FROM scratch\nLABEL RUN=podman run\n",
        "FROM scratch\nLABEL a=b RUN\n",
        "FROM scratch extra\nLABEL RUN=podman\n",
        "# nothing\n",
        "",
    ] {
        let tree = Tree::empty().file("Containerfile", containerfile, 0o644);
        // Images of earlier rounds must not affect this one.
        podman.run(&["rmi", "--all", "--force"].map(OsStr::new)).unwrap();
        let judged = podman.build(tree.path(), &[]).and_then(|_| podman.run_label());
        let loaded = tree.install_container().load();
        match (&loaded, &judged) {
            (Ok(loaded), Ok(command)) => {
                let label = loaded.context().unwrap().run_label().unwrap();
                let words = shell_words(label).replace("IMAGE", "localhost/cloudd:latest");
                assert_eq!(*command, words, "{containerfile}");
            }
            (Err(_), Err(_)) => {}
            _ => panic!("{containerfile}\n{loaded:?}\npodman: {judged:?}"),
        }
    }
}

/// The label as podman shows it: split into words, without quotes.
fn shell_words(label: &str) -> String {
    let output = Command::new("sh").args(["-c", &format!("echo {label}")]).output();
    String::from_utf8(output.expect("a shell").stdout).expect("text").trim().to_owned()
}

#[test]
fn build_arguments_and_variables_arrive_as_they_are() {
    let podman = Podman::new();
    let containerfile =
        format!("{CONTAINERFILE}ARG A=none\nARG B=none\nENV A=$A B=$B MODE=image\n");
    let tree = Tree::empty().file("Containerfile", containerfile, 0o644);
    let odd = r#"a  "b" 'c' $HOME ${A} \ \\ ` # = é	,"#;
    let container = tree.install_container().build_arg("A", odd).build_arg("B", "");
    let loaded = container.env("MODE", odd).env("EMPTY", "").load().unwrap();

    let arguments = loaded.build_args_file();
    let arguments: Vec<String> =
        arguments.lines().map(|line| format!("--build-arg={line}")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    podman.build(tree.path(), &arguments).unwrap();
    let quoted = serde_json::to_string(odd).unwrap();
    let variable = |name: &str| format!("\"{name}={}", &quoted[1..]);
    let variables = podman.variables();
    assert!(variables.contains(&variable("A")), "{variables}");
    assert!(variables.contains("\"B=\""), "{variables}");
    assert!(variables.contains("\"MODE=image\""), "{variables}");

    let layer = loaded.env_containerfile("localhost/cloudd").unwrap();
    let layer = Tree::empty().file("Containerfile", layer, 0o644);
    podman.build(layer.path(), &[]).unwrap();
    let variables = podman.variables();
    assert!(variables.contains(&variable("A")), "{variables}");
    assert!(variables.contains(&variable("MODE")), "{variables}");
    assert!(variables.contains("\"EMPTY=\""), "{variables}");
    assert!(!variables.contains("MODE=image"), "{variables}");
    assert_eq!(podman.run_label().unwrap(), "podman run localhost/cloudd:latest");

    assert_eq!(
        InstallContainer::reference("quay.example/x").load().unwrap().env_containerfile("x"),
        None
    );
}
