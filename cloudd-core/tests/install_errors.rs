//! Loading an install container reports its problems by name.

mod install_support;

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener, process::CommandExt},
    path::Path,
    process::Command,
    time::Duration,
};

use cloudd_core::install::{InstallContainer, InstallError, containers};
use install_support::{CONTAINERFILE, Tree};

fn error(container: &InstallContainer) -> InstallError {
    container.load().expect_err("a bad install container was loaded")
}

/// Returns the error after checking its message: it contains the offending text and is one line.
#[track_caller]
fn named(container: &InstallContainer, text: &str) -> InstallError {
    let error = error(container);
    let shown = error.to_string();
    assert!(shown.contains(text), "{shown:?} does not name {text:?}");
    assert!(!shown.contains('\n') && !shown.contains("  "), "{shown:?}");
    error
}

macro_rules! assert_is {
    ($error:expr, $pattern:pat $(if $guard:expr)?) => {
        let error = $error;
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
    };
}

#[test]
fn a_context_that_is_missing_or_no_directory_or_empty() {
    let tree = Tree::empty().file("file", "", 0o644).dir("empty\ndir", 0o755);
    let at = |name| InstallContainer::directory(tree.at(name));
    assert_is!(
        named(&at("nowhere"), "nowhere"),
        InstallError::ContextMissing { path } if *path == tree.at("nowhere")
    );
    assert_is!(named(&at("file/below"), "below"), InstallError::ContextMissing { .. });
    assert_is!(
        named(&at("file"), "file"),
        InstallError::ContextNotADirectory { path } if *path == tree.at("file")
    );
    assert_is!(
        named(&at("empty\ndir"), "empty\\ndir"),
        InstallError::ContextEmpty { path } if *path == tree.at("empty\ndir")
    );
}

#[test]
fn a_context_without_a_containerfile() {
    let tree = Tree::empty().file("containerfile", CONTAINERFILE, 0o644).link("Dockerfile", "gone");
    assert_is!(
        named(&tree.install_container(), "Dockerfile"),
        InstallError::NoContainerfile { path } if path == tree.path()
    );
    let tree = Tree::empty().dir("Containerfile", 0o755).file("Dockerfile", CONTAINERFILE, 0o644);
    assert_is!(
        named(&tree.install_container(), "Containerfile"),
        InstallError::ContainerfileNotAFile { path } if *path == tree.at("Containerfile")
    );
}

#[test]
fn a_containerfile_asked_for_that_is_missing_or_elsewhere() {
    let tree = Tree::context().link("out", "/etc/hostname").link("up", "../x");
    let with = |path| tree.install_container().containerfile(path);
    assert_is!(
        named(&with("sub/cf"), "sub/cf"),
        InstallError::ContainerfileMissing { path } if *path == tree.at("sub/cf")
    );
    assert_is!(
        named(&with("Containerfile/x"), "Containerfile/x"),
        InstallError::ContainerfileMissing { .. }
    );
    assert_is!(named(&with("../cf"), "../cf"), InstallError::OutsideContext { .. });
    assert_is!(named(&with("/etc/passwd"), "/etc/passwd"), InstallError::OutsideContext { .. });
    assert_is!(named(&with("new\nline"), "new\\nline"), InstallError::ContainerfileName { .. });
    assert_is!(named(&with(""), ""), InstallError::ContainerfileNotAFile { .. });
}

#[test]
fn links_that_lead_out_of_the_context() {
    let outside = Tree::empty().file("cf", CONTAINERFILE, 0o644).file("rules", "", 0o644);
    let tree = Tree::empty().file("x", "", 0o644);
    symlink(outside.at("cf"), tree.at("Containerfile")).unwrap();
    assert_is!(
        named(&tree.install_container(), "Containerfile"),
        InstallError::OutsideContext { path } if *path == tree.at("Containerfile")
    );
    let tree = Tree::context();
    symlink(outside.at("rules"), tree.at(".dockerignore")).unwrap();
    assert_is!(
        named(&tree.install_container(), ".dockerignore"),
        InstallError::OutsideContext { path } if *path == tree.at(".dockerignore")
    );
}

#[test]
fn a_run_label_that_is_missing_or_empty_or_doubtful() {
    let with = |text: &str| Tree::empty().file("Containerfile", text, 0o644);
    let tree = with("FROM quay.example/base\n");
    assert_is!(
        named(&tree.install_container(), "RUN label"),
        InstallError::RunLabelMissing { path, base }
            if *path == tree.at("Containerfile") && base == "quay.example/base"
    );
    assert!(tree.install_container().run_label_inherited().load().is_ok());

    let tree = with("FROM scratch\nCOPY . /\n");
    assert_is!(
        error(&tree.install_container().run_label_inherited()),
        InstallError::RunLabelMissing { base, .. } if base == "scratch"
    );

    let tree = with("FROM x\nLABEL RUN=''\n");
    let container = tree.install_container().run_label_inherited();
    assert_is!(named(&container, "line 2"), InstallError::RunLabelEmpty { line: 2, .. });
}

#[test]
fn run_labels_in_two_spellings() {
    let tree = Tree::empty().file("Containerfile", "FROM x\nLABEL RUN=a Run=b\n", 0o644);
    assert_is!(
        named(&tree.install_container(), "\"Run\""),
        InstallError::RunLabelAmbiguous { first, second, .. }
            if first == "RUN" && second == "Run"
    );
}

#[test]
fn a_containerfile_that_podman_would_refuse() {
    let tree = Tree::empty().file("Dockerfile", "FROM x\nLABEL RUN=podman run\n", 0o644);
    assert_is!(
        named(&tree.install_container(), "line 2"),
        InstallError::ContainerfileInvalid { path, line: 2, .. }
            if *path == tree.at("Dockerfile")
    );
}

/// A Containerfile of `scratch` with an entrypoint and this `RUN` label, which is on line 3.
fn labelled(label: &str) -> Tree {
    let text = format!("FROM scratch\nENTRYPOINT [\"/x\"]\nLABEL RUN={label}\n");
    Tree::empty().file("Containerfile", text, 0o644)
}

#[test]
fn a_run_label_that_gives_half_an_image_or_none_is_refused_with_its_line() {
    for (label, part) in [
        ("'podman run -d IMAGE'", "--detach"),
        ("'podman run -itd IMAGE'", "--detach"),
        ("'podman run --detach=true IMAGE'", "--detach"),
        ("'podman run --restart=always IMAGE'", "restart policy"),
        ("'podman run --rm'", "the word IMAGE"),
        ("'podman run debian:12'", "the word IMAGE"),
        ("'podman run debian:12 IMAGE'", "debian:12"),
        ("'podman start IMAGE'", "start"),
        ("'podman run \"IMAGE'", "quotation mark"),
        ("'podman run IMAGE # now'", "comment"),
        ("\"podman run -e 'A=b c' IMAGE\"", "A=b c"),
        ("\"podman run $IMAGE\"", "$IMAGE"),
    ] {
        let tree = labelled(label);
        let error = error(&tree.install_container()).to_string();
        assert!(error.contains("line 3") && error.contains(part), "{label}: {error}");
    }
}

#[test]
fn an_image_without_a_program_is_refused_with_its_line() {
    let label = "LABEL RUN=\"podman run IMAGE\"";
    for (text, line) in [
        (format!("FROM scratch\n{label}\n"), "line 1"),
        (format!("FROM scratch\nCMD [\"/x\"]\n{label}\n"), "line 1"),
        (format!("FROM a AS b\nENTRYPOINT /x\nFROM scratch\n{label}\n"), "line 3"),
        (format!("FROM a\nENTRYPOINT []\n{label}\n"), "line 1"),
    ] {
        let tree = Tree::empty().file("Containerfile", &text, 0o644);
        let error = error(&tree.install_container()).to_string();
        assert!(error.contains("no ENTRYPOINT") && error.contains(line), "{text}: {error}");
    }
    for text in [
        "FROM scratch\nLABEL RUN=\"podman run IMAGE /x\"\n",
        "FROM a\nLABEL RUN=\"podman run IMAGE\"\n",
    ] {
        assert!(
            Tree::empty().file("Containerfile", text, 0o644).install_container().load().is_ok()
        );
    }
}

#[test]
fn instructions_that_podman_refuses_are_refused_with_their_line() {
    let with = |line: &str, ignore: &str| {
        let text = format!("FROM a\nENV A=\\\nb\n{line}\nLABEL RUN=\"podman run IMAGE\"\n");
        Tree::empty().file("Containerfile", text, 0o644).file("a", "", 0o644).file(
            ".dockerignore",
            ignore,
            0o644,
        )
    };
    for (line, ignore, part) in [
        ("COPPY a /", "", "COPPY is no instruction"),
        ("COPY a", "", "COPY requires"),
        ("COPY b /", "", "\"b\", which is not in the build context"),
        ("ADD b /", "", "ADD copies \"b\""),
        ("COPY *.x /", "", "\"*.x\", which matches nothing"),
        ("COPY a /", "*", "\"a\", which the ignore file excludes"),
    ] {
        let error = error(&with(line, ignore).install_container()).to_string();
        assert!(error.contains("line 4") && error.contains(part), "{line}: {error}");
    }
    for line in ["COPY --from=a b /", "COPY $B <<E /", "ADD https://h.example/b /", "COPY . ../a /"]
    {
        assert!(with(line, "").install_container().load().is_ok(), "{line}");
    }
}

#[test]
fn what_is_probably_wrong_is_a_warning_with_its_line() {
    let warnings = |text: &str, ignore: &str| {
        let tree = Tree::empty().file("Containerfile", text, 0o644).file("a", "", 0o644);
        let tree = tree.file(".dockerignore", ignore, 0o644);
        tree.install_container().load().unwrap().warnings().to_vec()
    };
    let label = "LABEL RUN=\"podman run IMAGE\"\n";
    for (text, ignore, parts) in [
        ("FROM a\nLABEL RUN='podman run IMAGE sh -c \"b c\"'\n", "", &["line 2", "\"b c\""][..]),
        ("FROM a\nLABEL RUN='podman run -v $DEV:/x IMAGE'\n", "", &["line 2", "$DEV"]),
        (
            "FROM a\nLABEL RUN=\"podman run -v $DEV:/x IMAGE\"\n",
            "",
            &["line 2", "$DEV", "podman build"],
        ),
        ("FROM a\nLABEL RUN=/bin/install\n", "", &["line 2", "/bin/install", "not podman"]),
        (&format!("FROM a\nCMD /x\n{label}"), "", &["line 2", "CMD"]),
        (&format!("FROM a\nCOPY . /\n{label}"), "*", &["line 2", "copies nothing"]),
        (&format!("COPY a b\nFROM a\n{label}"), "", &["line 1", "no effect"]),
    ] {
        let warnings = warnings(text, ignore);
        assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
        for part in parts.iter().chain(&["Containerfile"]) {
            assert!(warnings[0].contains(part), "{part}: {warnings:?}");
        }
    }
    assert!(warnings(&format!("FROM a\nCOPY . /\n{label}"), "").is_empty());
    assert!(InstallContainer::reference("quay.example/x").load().unwrap().warnings().is_empty());
}

#[test]
fn a_preprocessed_containerfile_is_left_to_podman() {
    let tree = Tree::empty().file("Containerfile.in", "#include \"x\"\n", 0o644);
    let loaded = tree.install_container().containerfile("Containerfile.in").load().unwrap();
    assert_eq!(loaded.context().unwrap().run_label(), None);
}

#[test]
fn sockets_and_pipes_cannot_travel() {
    let tree = Tree::context().dir("run", 0o755);
    let socket = UnixListener::bind(tree.at("run/socket")).unwrap();
    assert_is!(
        named(&tree.install_container(), "socket"),
        InstallError::UnsupportedFileType { path, kind: "socket" }
            if *path == tree.at("run/socket")
    );
    drop(socket);
    fs::remove_file(tree.at("run/socket")).unwrap();

    let made = Command::new("mkfifo").arg(tree.at("run/pipe")).status().unwrap();
    assert!(made.success());
    assert_is!(
        named(&tree.install_container(), "named pipe"),
        InstallError::UnsupportedFileType { path, .. }
            if *path == tree.at("run/pipe")
    );
}

/// Loads the container, which must not take long.
fn prompt_error(container: InstallContainer) -> InstallError {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(error(&container)));
    wait.recv_timeout(Duration::from_secs(20)).expect("load() does not end")
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[test]
fn pipes_in_place_of_files_that_are_read_are_named_without_waiting_for_a_writer() {
    for name in [
        ".containerignore",
        ".dockerignore",
        "Containerfile.containerignore",
        "Containerfile.dockerignore",
    ] {
        let tree = Tree::context();
        pipe(&tree.at(name));
        assert_is!(
            prompt_error(tree.install_container()),
            InstallError::FileNotRegular { path } if *path == tree.at(name)
        );
    }
    let tree = Tree::context().link(".dockerignore", "pipe");
    pipe(&tree.at("pipe"));
    assert_is!(prompt_error(tree.install_container()), InstallError::FileNotRegular { .. });
    let tree = Tree::empty();
    pipe(&tree.at("Containerfile"));
    assert_is!(prompt_error(tree.install_container()), InstallError::ContainerfileNotAFile { .. });
    let tree = Tree::context().dir(".containerignore", 0o755);
    assert_is!(prompt_error(tree.install_container()), InstallError::FileNotRegular { .. });
}

#[test]
fn ignore_files_and_containerfiles_have_limits() {
    let stars = "*".repeat(600_000);
    for name in [".containerignore", "Containerfile"] {
        let tree = Tree::context().file(name, &stars, 0o644);
        let error = prompt_error(tree.install_container());
        assert!(
            error.to_string().ends_with("has 585.9 KiB, more than the limit of 256 KiB"),
            "{error}"
        );
        assert_is!(
            error,
            InstallError::FileTooLarge { path, size: 600_000, .. } if *path == tree.at(name)
        );
        // Only the size counts: nothing of a sparse file is read.
        fs::File::create(tree.at(name)).unwrap().set_len(1 << 40).unwrap();
        assert_is!(prompt_error(tree.install_container()), InstallError::FileTooLarge { .. });
    }
    let tree = Tree::context().file(".containerignore", &stars[..5000], 0o644);
    let error = prompt_error(tree.install_container());
    assert_is!(error, InstallError::IgnorePattern { line: 1, pattern, .. } if pattern.len() < 300);
}

#[test]
fn a_context_that_is_too_large_is_named_with_its_largest_file_before_it_is_read() {
    let tree = Tree::context().file("small", "s", 0o644).dir("disks", 0o755);
    fs::File::create(tree.at("disks/sparse.raw")).unwrap().set_len(3 << 30).unwrap();
    let error = prompt_error(tree.install_container());
    let shown = error.to_string();
    for part in [
        "has 3 GiB, more than the limit of 1 GiB",
        "its largest file is \"disks/sparse.raw\" with 3 GiB",
        ".containerignore",
        "max_context_size",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_is!(
        error,
        InstallError::ContextTooLarge { path, size, limit, largest, largest_size }
            if path == tree.path() && *size > 3 << 30 && *limit == InstallContainer::MAX_CONTEXT_SIZE
                && largest == Path::new("disks/sparse.raw") && *largest_size == 3 << 30
    );
    let excluded = tree.file(".containerignore", "*.raw\ndisks\n", 0o644);
    let loaded = excluded.install_container().load().unwrap();
    let content = loaded.context().unwrap().archive().content_len();
    assert!(excluded.install_container().max_context_size(content).load().is_ok());

    // Many small files count as well.
    let mut many = Tree::context();
    for name in 0..20 {
        many = many.file(format!("{name}"), "", 0o644);
    }
    let container = many.install_container().max_context_size(20 * 512);
    assert_is!(prompt_error(container), InstallError::ContextTooLarge { .. });
}

#[test]
fn secrets_of_parameters_are_not_shown() {
    let secret = "hunter2";
    let url = format!("https://user:{secret}@mirror.example/x?signature={secret}");
    let by_name = |name: &str| containers::by_name(name).unwrap();
    let shown = [
        error(&by_name("raw_image").env("IMAGE_URL", &url)),
        error(&by_name("raw_image").env("IMAGE_URL", format!("user:{secret}@mirror.example"))),
        error(&by_name("nixos").env("NIXOS_CACHES", format!("https://cache.example {url}"))),
        error(&InstallContainer::reference(&url)),
        error(&InstallContainer::reference(&url).build_arg("A", secret)),
        error(&InstallContainer::reference("x.example/x").env("A", format!("{secret}\n"))),
    ];
    for error in shown {
        let all = format!("{error} {error:?}");
        assert!(!all.contains(secret), "{all}");
    }
    let container = by_name("raw_image")
        .env("IMAGE_URL", format!("https://mirror.example/x?signature={secret}"))
        .env("IMAGE_CHECKSUM", format!("sha256:{}", "0".repeat(64)))
        .build_arg("BASE", secret);
    let loaded = container.load().unwrap();
    let container = container.config(secret);
    let all = format!("{container:?} {loaded:?} {:?}", InstallContainer::reference(&url));
    assert!(all.contains("IMAGE_URL") && !all.contains(secret), "{all}");
}

#[test]
fn a_link_to_a_device_travels_as_a_link() {
    assert!(Tree::context().link("null", "/dev/null").install_container().load().is_ok());
}

#[test]
fn build_arguments_and_variables_that_cannot_be_passed_on() {
    let tree = Tree::context();
    let container = || tree.install_container();
    assert_is!(
        named(&container().build_arg("A B", "x"), "A B"),
        InstallError::BuildArg { name, .. } if name == "A B"
    );
    assert_is!(named(&container().build_arg("A", "x\ny"), "\"A\""), InstallError::BuildArg { .. });
    assert_is!(
        named(&container().env("9", "x"), "\"9\""),
        InstallError::Env { name, .. } if name == "9"
    );
    let reference = InstallContainer::reference("quay.example/x").env("A", "x\n");
    assert_is!(named(&reference, "\"A\""), InstallError::Env { .. });
}

#[test]
fn references_that_are_none_and_settings_that_need_a_build() {
    let reference = InstallContainer::reference;
    assert_is!(
        named(&reference("Fedora"), "Fedora"),
        InstallError::Reference { reference, .. } if reference == "Fedora"
    );
    let built = reference("quay.example/x").build_arg("A", "1");
    assert_is!(named(&built, "build_arg"), InstallError::NotABuild { setting: "build_arg", .. });
    let built = reference("quay.example/x").containerfile("cf");
    assert_is!(
        named(&built, "quay.example/x"),
        InstallError::NotABuild { setting: "containerfile", .. }
    );
    assert!(reference("quay.example/x").run_label_inherited().env("A", "1").load().is_ok());
}

/// Set in the child that `files_without_permission_to_read_are_named` starts.
const AS_NOBODY: &str = "CLOUDD_TEST_CONTEXT_TO_LOAD_AS_NOBODY";

#[test]
fn files_without_permission_to_read_are_named() {
    // Root can read everything, so the test runs as another user.
    if let Some(context) = std::env::var_os(AS_NOBODY) {
        let error = error(&InstallContainer::directory(context));
        assert_is!(error, InstallError::Unreadable { path, .. } if path.ends_with("secret"));
        return;
    }
    let is_root =
        fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
    for tree in [
        Tree::context().file("secret", "s", 0o000).dir("", 0o755),
        Tree::context().dir("secret", 0o000).dir("", 0o755),
    ] {
        // Through /proc, because the path of this program may have directories that only root can enter.
        let mut child = Command::new("/proc/self/exe");
        child.args(["--exact", "files_without_permission_to_read_are_named"]);
        child.env(AS_NOBODY, tree.path()).current_dir("/");
        if is_root {
            child.uid(65534).gid(65534);
        }
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}

#[test]
fn credentials_for_registries_are_checked_and_never_quoted() {
    let load = |text: String| {
        InstallContainer::reference("registry.example/x:1").registry_auth(text).load()
    };
    let entry = r#"{"auths": {"registry.example": {"auth": "c2VjcmV0"}}, "other": 1}"#;
    assert_eq!(load(entry.to_owned()).unwrap().registry_auth(), Some(entry));
    let other = load(entry.replace("c2VjcmV0", "b3RoZXI=")).unwrap().fingerprint();
    assert_eq!(load(entry.to_owned()).unwrap().fingerprint(), other);
    for (text, problem) in [
        ("c2VjcmV0".to_owned(), "it is not JSON"),
        (r#"{"auth": "c2VjcmV0"}"#.to_owned(), "no object \"auths\""),
        (r#"{"auths": {"r.example": {}}, "credsStore": "c2VjcmV0"}"#.to_owned(), "helper"),
        (" ".repeat((64 << 10) + 1), "more than 64 KiB"),
    ] {
        let error = load(text).unwrap_err();
        assert!(matches!(error, InstallError::RegistryAuthInvalid { .. }), "{error:?}");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!format!("{error} {error:?}").contains("c2VjcmV0"), "{error:?}");
    }
}
