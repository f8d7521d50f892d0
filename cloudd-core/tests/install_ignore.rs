//! Ignore files exclude files from the archive of a build context.

mod install_support;

use cloudd_core::install::{InstallContainer, InstallError};
use install_support::{CONTAINERFILE, Tree, archive, listing, paths, unpacked};

fn packed(container: &InstallContainer) -> Vec<String> {
    paths(unpacked(&archive(container).expect("a good install container")).path())
}

fn project() -> Tree {
    Tree::context()
        .file("a.md", "a", 0o644)
        .file("README.md", "r", 0o644)
        .file("src/main.c", "c", 0o644)
        .file("src/main.o", "o", 0o644)
        .file("src/deep/x.o", "x", 0o644)
        .dir("target/empty", 0o755)
        .file("target/out", "out", 0o644)
}

#[test]
fn what_an_ignore_file_names_stays_at_home() {
    let tree =
        project().file(".containerignore", "# built\n/target/\n**/*.o\n*.md\n!README.md\n", 0o644);
    let expected =
        [".containerignore", "Containerfile", "README.md", "src", "src/deep", "src/main.c"];
    assert_eq!(packed(&tree.install_container()), expected);
}

#[test]
fn the_containerfile_and_the_ignore_file_travel_whatever_the_ignore_file_says() {
    for line in ["*", "**", "Containerfile\n.dockerignore\n*", "*/\n*.*\n**/*"] {
        let tree = project().file(".dockerignore", line, 0o644);
        let found = packed(&tree.install_container());
        for name in [".dockerignore", "Containerfile"] {
            assert!(found.iter().any(|path| path == name), "{line:?}: {found:?}");
        }
    }
    let tree = project().file("sub/my.cf", CONTAINERFILE, 0o644).file(".dockerignore", "*", 0o644);
    let container = tree.install_container().containerfile("sub/my.cf");
    assert_eq!(packed(&container), [".dockerignore", "sub", "sub/my.cf"]);
}

#[test]
fn a_linked_containerfile_travels_with_what_it_leads_to() {
    let tree = Tree::empty()
        .file("files/real", CONTAINERFILE, 0o644)
        .file("files/other", "", 0o644)
        .file("files/rules", "files\n", 0o644)
        .link("Containerfile", "files/real")
        .link(".dockerignore", "files/rules");
    assert_eq!(
        packed(&tree.install_container()),
        [".dockerignore", "Containerfile", "files", "files/real", "files/rules"]
    );
}

#[test]
fn directories_that_lead_to_an_exception_keep_their_modes() {
    let tree = Tree::context()
        .file("a/b/keep", "k", 0o644)
        .file("a/b/drop", "d", 0o644)
        .file("a/c/drop", "d", 0o644)
        .dir("a/b", 0o711)
        .dir("a", 0o750)
        .file(".dockerignore", "a\n!a/b/keep\n", 0o644);
    let found = listing(unpacked(&tree.archive()).path());
    assert_eq!(found[&b"a"[..]], "directory 0750");
    assert_eq!(found[&b"a/b"[..]], "directory 0711");
    assert!(!found.contains_key(&b"a/c"[..]) && !found.contains_key(&b"a/b/drop"[..]));
}

#[test]
fn exceptions_with_wildcards_reach_below_excluded_directories() {
    let tree = project().file(".dockerignore", "*\n!**/*.c\n", 0o644);
    assert_eq!(
        packed(&tree.install_container()),
        [".dockerignore", "Containerfile", "src", "src/main.c"]
    );
}

#[test]
fn podmans_order_of_ignore_files_is_kept() {
    let names = [
        "Containerfile.dockerignore",
        "Containerfile.containerignore",
        ".containerignore",
        ".dockerignore",
    ];
    let mut tree = Tree::context();
    for name in ["by0", "by1", "by2", "by3"] {
        tree = tree.file(name, "", 0o644);
    }
    for (index, name) in names.iter().enumerate().rev() {
        tree = tree.file(name, format!("by{index}\n"), 0o644);
        let found = packed(&tree.install_container());
        for (other, _) in names.iter().enumerate() {
            let present = found.contains(&format!("by{other}"));
            assert_eq!(present, other != index, "{name}: {found:?}");
        }
    }
}

#[test]
fn an_empty_ignore_file_hides_the_one_after_it() {
    let tree = project().file(".containerignore", "", 0o644).file(".dockerignore", "*", 0o644);
    assert!(packed(&tree.install_container()).contains(&"src/main.o".to_owned()));
}

#[test]
fn what_stays_at_home_may_be_of_any_kind_and_does_not_count() {
    let tree = project().file(".dockerignore", "run\n", 0o644).dir("run", 0o755);
    let before = tree.archive().content_sha256();
    let _socket = std::os::unix::net::UnixListener::bind(tree.at("run/socket")).unwrap();
    assert_eq!(tree.archive().content_sha256(), before);
}

#[test]
fn a_line_that_is_no_pattern_is_named() {
    let tree = project().file(".dockerignore", "a\nb[\n", 0o644);
    let error = archive(&tree.install_container()).unwrap_err();
    assert!(
        matches!(&error, InstallError::IgnorePattern { path, line: 2, pattern, .. }
            if *path == tree.at(".dockerignore") && pattern == "b["),
        "{error:?}"
    );
}
