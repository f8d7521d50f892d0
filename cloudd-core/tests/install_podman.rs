//! Comparisons with the installed podman: the files that it copies from a build context, and the `RUN`
//! label that it finds.

mod install_support;
// The part of the crate that imitates podman.
#[path = "../src/install/run_label/podman.rs"]
mod podman_label;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::Path,
    process::Command,
};

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

/// The names of the options in podman's help that have no value, long and short ones.
fn flags(podman: &Podman, command: &[&str]) -> BTreeSet<String> {
    let words: Vec<&OsStr> = command.iter().chain(&["--help"]).map(OsStr::new).collect();
    let help = podman.run(&words).unwrap_or_else(|error| panic!("{error}"));
    let options = help.lines().skip_while(|line| !line.starts_with("Options:")).skip(1);
    let mut flags = BTreeSet::new();
    for option in options.filter(|line| line.trim_start().starts_with('-')) {
        // The names and a type are divided from the description by several blanks.
        let names = option.trim().split("  ").next().unwrap_or_default();
        let words: Vec<&str> = names.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        if words.iter().all(|word| word.starts_with('-')) {
            flags.extend(words.iter().map(|word| word.trim_start_matches('-').to_owned()));
        }
    }
    flags
}

#[test]
fn the_options_of_podman_that_have_no_value_are_known() {
    let podman = Podman::new();
    for (command, known) in
        [(&[][..], &podman_label::GLOBAL_FLAGS[..]), (&["run"], &podman_label::RUN_FLAGS[..])]
    {
        let help =
            podman.run(&[command, &["--help"]].concat().iter().map(OsStr::new).collect::<Vec<_>>());
        let help = help.unwrap();
        let flags = flags(&podman, command);
        assert!(flags.len() > 5, "{flags:?}");
        for flag in &flags {
            assert!(known.contains(&&**flag), "{flag} is not known to have no value");
        }
        // Those of other versions are not in the help.
        for name in known.iter().filter(|name| help.contains(&format!("--{name} "))) {
            assert!(flags.contains(*name), "{name} has a value");
        }
    }
}

#[test]
fn a_label_becomes_the_same_command_as_in_podman() {
    let podman = Podman::new();
    let shown = Tree::empty().file("words", "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\"\n", 0o755);
    let words = shown.at("words");
    let program = words.to_str().unwrap();
    let labels = [
        "podman run --rm IMAGE",
        "docker run IMAGE",
        "/usr/bin/docker run IMAGE",
        "podman run -e 'A=b c' IMAGE",
        "podman run IMAGE # comment",
        "podman run IMAGE \"open",
        "podman run IMAGE it\\'s",
        "podman run IMAGE \\",
        "# comment",
        "WORDS -e 'A=b c' \"d 'e f'\" g\\ h i\\\\\\ j IMAGE",
        "WORDS '' \"''\" '\"\"' a''b 'c\"d' 'e\"f'",
        "WORDS IMAGE=IMAGE NAME=NAME X=IMAGE X=IMAGE=IMAGE X=IMAGEX NAMEX $NAMESPACE ${NAME}s $IMAGE",
        "WORDS $PWD ${PWD} $OPT1 ${OPT2} $SUDO_UID ${UNSET} a${UNSET}b $UNSET.$PWD",
        "WORDS $ a$ $$ $1 $12 ${1} ${12} $* $@ $# $? $! $- $( $() ${} ${ x} ${x:-y} ${x",
        "WORDS $'a' \"$PWD\" '$PWD' \\$PWD \\\\$PWD \"\\\\$PWD\"",
        "WORDS a#b \"c #d\"\tg",
        "WORDS a#b '#e' f",
        "WORDS é\u{a0}x \u{2003} ＩＭＡＧＥ",
        "WORDS \"a\\n\\\"b\" 'a\\n' a\\n",
        "WORDS a && b | c > /dev/null; d `e` ~ *",
    ];
    let mut containerfile = "FROM scratch\n".to_owned();
    for (n, label) in labels.iter().enumerate() {
        let label = label.replace("WORDS", program);
        // Quoted for `podman build`, which takes one pair of quotes off and expands variables.
        let quoted = label.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        containerfile += &format!("LABEL L{n}=\"{quoted}\"\n");
    }
    let tree = Tree::empty().file("Containerfile", containerfile, 0o644);
    podman.build(tree.path(), &[]).unwrap();

    let directory = std::env::current_dir().unwrap();
    let values = podman_label::Values {
        image: "localhost/cloudd:latest",
        name: "cloudd",
        directory: directory.to_str().unwrap(),
        argument: "/dev/vdb",
    };
    for (n, label) in labels.iter().enumerate() {
        let own = podman_label::command(&label.replace("WORDS", program), &values);
        let name = format!("L{n}");
        let is_shown = !label.starts_with("WORDS");
        let mut arguments = vec!["container", "runlabel"];
        arguments.extend(is_shown.then_some("--display"));
        arguments.extend([&*name, "localhost/cloudd", "/dev/vdb"]);
        let told = podman.run(&arguments.into_iter().map(OsStr::new).collect::<Vec<_>>());
        match (own, told) {
            (Ok(own), Ok(told)) if is_shown => {
                let shown = told.trim_end().strip_prefix("command: podman ").unwrap();
                assert_eq!(own.words[0], podman_label::SELF, "{label}");
                assert_eq!(own.words[1..].join(" "), shown, "{label}");
            }
            (Ok(own), Ok(told)) => {
                let own: String = own.words.iter().map(|word| format!("<{word}>")).collect();
                assert_eq!(own, told, "{label}");
            }
            (Err(_), Err(_)) => {}
            (own, told) => panic!("{label}: {own:?}, podman: {told:?}"),
        }
    }
}

#[test]
fn podman_refuses_the_same_instructions() {
    let podman = Podman::new();
    let tree = |containerfile: &str, ignore: &str| {
        Tree::empty()
            .file("a.txt", "a", 0o644)
            .file("d/b", "b", 0o644)
            .link("l", "d")
            .file("Containerfile", containerfile, 0o644)
            .file(".dockerignore", ignore, 0o644)
    };
    for (instructions, ignore) in [
        ("FOO x", ""),
        ("CROSS x", ""),
        ("MAINTAINER x", ""),
        ("ONBUILD FOO", ""),
        ("COPY", ""),
        ("COPY a.txt", ""),
        ("COPY nope /", ""),
        ("ADD nope /", ""),
        ("COPY nope a.txt /x/", ""),
        ("COPY [\"nope x\", \"/x/\"]", ""),
        ("COPY [\"a.txt\", \"/x/\"]", ""),
        ("COPY --chown=1:1 \"a.txt\" a\\.txt /x/", ""),
        ("COPY /a.txt ../a.txt d/../a.txt ./d/ /x/", ""),
        ("COPY l/b /x/", ""),
        ("COPY l/* /x/", ""),
        ("COPY *.txt */b **/b [a].txt ?.txt /x/", ""),
        ("COPY *.md /x/", ""),
        ("COPY d/**/a.txt /x/", ""),
        ("COPY *.md a.txt /x/", ""),
        ("COPY *.md *.no /x/", ""),
        ("COPY a.txt /x/", "*"),
        ("COPY Containerfile /x/", "*"),
        ("COPY *.txt /x/", "*.txt"),
        ("COPY d /x/", "d/*"),
        ("COPY d /x/", "d"),
        ("COPY d /x/", "d\n!d/b"),
        ("COPY . /x/", "*"),
        ("ENV F=a\nCOPY $F.txt /x/", ""),
        ("FROM scratch\nCOPY --from=0 / /", ""),
        ("COPY nope /\nFROM scratch\nENV A=b", ""),
        ("COPY nope /\nFROM scratch\nCOPY --from=0 / /", ""),
        ("FOO\nFROM 0\nENV A=b", ""),
        ("FOO\nFROM scratch\nENV A=b", ""),
    ] {
        let end = "ENTRYPOINT [\"/x\"]\nLABEL RUN=\"podman run IMAGE\"\n";
        let tree = tree(&format!("FROM scratch\n{instructions}\n{end}"), ignore);
        let judged = podman.build(tree.path(), &[]);
        let loaded = tree.install_container().load();
        assert_eq!(loaded.is_ok(), judged.is_ok(), "{instructions}: {loaded:?}\n{judged:?}");
    }
}

#[test]
fn podman_build_expands_the_variables_that_are_found_in_a_label() {
    let podman = Podman::new();
    // The label, the variable that is told, and the label of the image.
    for (label, told, built) in [
        ("\"podman run IMAGE $X a\"", "$X", "podman run IMAGE  a"),
        ("\"podman run IMAGE ${X} a\"", "$X", "podman run IMAGE  a"),
        ("podman\\ run\\ IMAGE\\ $X a=b", "$X", "podman run IMAGE "),
        ("\"podman run IMAGE $1 a\"", "$1", "podman run IMAGE  a"),
        ("\"podman run IMAGE ${X:-y} a\"", "", "podman run IMAGE y a"),
        ("\"podman run IMAGE $V a\"", "", "podman run IMAGE 1 a"),
        ("\"podman run IMAGE $ a\"", "", "podman run IMAGE $ a"),
        ("\"podman run IMAGE \\$PWD a\"", "", "podman run IMAGE $PWD a"),
        ("'podman run IMAGE $PWD a'", "", "podman run IMAGE $PWD a"),
    ] {
        let text = format!("FROM scratch\nARG V=1\nENTRYPOINT [\"/x\"]\nLABEL RUN={label}\n");
        let tree = Tree::empty().file("Containerfile", text, 0o644);
        podman.build(tree.path(), &[]).unwrap();
        let inspect = ["inspect", "--format", "{{index .Config.Labels \"RUN\"}}", "cloudd"];
        let of_image = podman.run(&inspect.map(OsStr::new)).unwrap();
        assert_eq!(of_image.strip_suffix('\n'), Some(built), "{label}");

        let warnings = tree.install_container().load().unwrap().warnings().join("\n");
        assert_eq!(warnings.contains("`podman build` replaces"), !told.is_empty(), "{warnings}");
        assert!(warnings.contains(told), "{warnings}");
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
