//! Archives preserve build contexts, and equal contexts give equal bytes.

mod install_support;

use std::{
    fs::{self, File, FileTimes},
    io::{Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    time::{Duration, SystemTime},
};

use cloudd_core::install::{ContextArchive, InstallContainer, Sha256Digest};
use install_support::{CONTAINERFILE, Numbers, Tree, listing, unpacked};

fn assert_arrives(tree: &Tree) {
    let unpacked = unpacked(&tree.archive());
    assert_eq!(listing(unpacked.path()), listing(tree.path()));
}

#[test]
fn everything_in_a_context_arrives() {
    let tree = Tree::context()
        .file("install.sh", "#!/bin/sh\n", 0o755)
        .file("nested/deeply/file", "text", 0o600)
        .file("empty file", "", 0o444)
        .file("setuid", "s", 0o4755)
        .file("setgid", "s", 0o2755)
        .file("read-only", "r", 0o400)
        .dir("empty directory", 0o755)
        .dir("sticky", 0o1777)
        .dir("private/empty", 0o500)
        .dir("private", 0o700)
        .link("link", "install.sh")
        .link("link to a directory", "nested/deeply")
        .link("dangling", "nowhere/at all")
        .link("absolute", "/etc/passwd")
        .link("up", "../../..")
        .link("loop", "loop");
    assert_arrives(&tree);
}

#[test]
fn odd_names_arrive() {
    let names: [&[u8]; 16] = [
        b" ",
        b" leading and trailing ",
        b"new\nline",
        b"tab\tand\rreturn",
        b"\xff\xfe not UTF-8 \x80",
        "é漢字🦀".as_bytes(),
        b"-rf",
        b"--",
        b"back\\slash",
        b"*?[]{}$`\"'",
        b"...",
        b".hidden",
        b"~",
        b"\x01\x1b[2J",
        b"a:b",
        b"%00",
    ];
    let tree = names.iter().fold(Tree::context(), |tree, name| {
        let nested = [b"dir ", *name, b"/", *name].concat();
        let linked = [b"link ", *name].concat();
        tree.file(name, name, 0o640).file(nested, name, 0o604).link(linked, name)
    });
    assert_arrives(&tree);
}

#[test]
fn names_and_targets_of_any_length_arrive() {
    let mut tree = Tree::context();
    for length in [98, 99, 100, 101, 102, 154, 155, 156, 254, 255] {
        let name = vec![b'n'; length];
        let target = [b"t".repeat(length), b"/".to_vec(), b"u".repeat(100)].concat();
        tree = tree.file(&name, "", 0o644).link([b"l", &name[1..]].concat(), target);
    }
    for length in [98, 99, 100, 101] {
        tree = tree.dir(vec![b'd'; length], 0o711).link(vec![b's'; length], vec![b't'; length]);
    }
    let deep = ["d".repeat(200).as_str(); 10].join("/");
    assert_arrives(&tree.file(format!("{deep}/file"), "deep", 0o644));
}

#[test]
fn sizes_around_the_block_size_arrive() {
    let content = |length: usize| (0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>();
    let sizes = [1, 511, 512, 513, 1023, 1024, 1025, 65535, 65536, 65537, 200_000];
    let tree = sizes
        .iter()
        .fold(Tree::context(), |tree, size| tree.file(format!("{size}"), content(*size), 0o644));
    assert_arrives(&tree);
}

#[test]
fn random_trees_arrive() {
    for seed in 0..20 {
        let mut numbers = Numbers::from_seed(seed);
        let mut tree = Tree::context();
        for _ in 0..30 {
            let parts: [&[u8]; 6] = [b"a", b"b c", b"\xff", b"x\ny", b".d", &[b'L'; 120]];
            let depth = 1 + numbers.below(4);
            let name: Vec<&[u8]> = (0..depth).map(|_| *numbers.pick(&parts)).collect();
            let name = name.join(&b'/');
            // A file cannot have entries below it, so such names are skipped.
            let above = tree.at(&name).ancestors().skip(1).any(|path| {
                path.starts_with(tree.path()) && path.symlink_metadata().is_ok_and(|m| !m.is_dir())
            });
            if above || tree.at(&name).symlink_metadata().is_ok() {
                continue;
            }
            tree = match numbers.below(3) {
                0 => tree.dir(name, *numbers.pick(&[0o755, 0o700, 0o1777])),
                1 => {
                    let parent = tree.at(&name).parent().unwrap().to_owned();
                    fs::create_dir_all(parent).unwrap();
                    tree.link(name, *numbers.pick(&parts))
                }
                _ => {
                    let content = vec![b'x'; numbers.below(2000)];
                    tree.file(name, content, *numbers.pick(&[0o644, 0o755, 0o4711]))
                }
            };
        }
        assert_arrives(&tree);
    }
}

#[test]
fn hard_links_become_files() {
    let tree = Tree::context().file("a", "content", 0o644);
    fs::hard_link(tree.at("a"), tree.at("b")).unwrap();
    let copies = Tree::context().file("a", "content", 0o644).file("b", "content", 0o644);
    assert_eq!(tree.archive().sha256(), copies.archive().sha256());
}

#[test]
fn order_and_times_and_place_do_not_count() {
    let names = ["z", "a/b", "a-b", "a/c/d", "a.b", "Z", "é"];
    let tree = |order: &mut dyn Iterator<Item = &&str>| {
        let tree = Tree::context();
        order
            .fold(tree, |tree, name| tree.file(name, name, 0o644))
            .link("link", "a")
            .dir("e", 0o755)
    };
    let (one, two) = (tree(&mut names.iter()), tree(&mut names.iter().rev()));
    for (age, name) in names.iter().enumerate() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 * age as u64);
        let times = FileTimes::new().set_modified(time).set_accessed(time);
        File::open(two.at(name)).unwrap().set_times(times).unwrap();
    }
    assert_eq!(one.archive().read_all().unwrap(), two.archive().read_all().unwrap());
    let fingerprint = |tree: &Tree| tree.install_container().load().unwrap().fingerprint();
    assert_eq!(fingerprint(&one), fingerprint(&two));
}

#[test]
fn every_change_of_content_counts() {
    let base = || Tree::context().file("a", "1", 0o644).link("l", "a").dir("d", 0o755);
    let mut sums = vec![
        base().archive().content_sha256(),
        base().file("a", "2", 0o644).archive().content_sha256(),
        base().file("a", "1", 0o755).archive().content_sha256(),
        base().dir("d", 0o700).archive().content_sha256(),
        base().dir("d2", 0o755).archive().content_sha256(),
        base().file("b", "1", 0o644).archive().content_sha256(),
        Tree::context()
            .file("a", "1", 0o644)
            .link("l", "b")
            .dir("d", 0o755)
            .archive()
            .content_sha256(),
    ];
    sums.sort_unstable();
    sums.dedup();
    assert_eq!(sums.len(), 7);
}

#[test]
fn a_known_context_has_a_known_sum() {
    let tree = Tree::empty()
        .file("Containerfile", "FROM scratch\nLABEL RUN=x\n", 0o644)
        .file("install.sh", "#!/bin/sh\nexit 0\n", 0o755)
        .file(b"odd \xff\n name", "odd", 0o600)
        .file(format!("{}/file", "long".repeat(30)), "deep", 0o644)
        .dir("empty", 0o1777)
        .dir("long".repeat(30), 0o755)
        .link("link", "t".repeat(120));
    // If this fails, all fingerprints have changed, and every existing image would be rebuilt.
    let known = "a9d2a8c87fb915c20560d4d6103453c2844920eeadf52384102f1927e50234b8";
    assert_eq!(tree.archive().content_sha256().to_string(), known);
}

#[test]
fn the_gzip_header_names_neither_time_nor_file_nor_system() {
    let bytes = Tree::context().archive().read_all().unwrap();
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn lengths_and_sums_are_those_of_the_bytes() {
    let archive = Tree::context().archive();
    let bytes = archive.read_all().unwrap();
    assert_eq!(archive.len(), bytes.len() as u64);
    assert_eq!(archive.sha256(), Sha256Digest::digest(&bytes));
    assert_eq!(archive.as_bytes(), Some(&bytes[..]));

    let mut content = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut content).unwrap();
    assert_eq!(archive.content_len(), content.len() as u64);
    assert_eq!(archive.content_sha256(), Sha256Digest::digest(&content));
    assert_eq!(content.len() % 512, 0);
}

#[test]
fn a_large_context_is_kept_outside_of_memory_and_reads_the_same() {
    let mut numbers = Numbers::from_seed(1);
    let noise: Vec<u8> =
        (0..ContextArchive::MEMORY_LIMIT + 100_000).map(|_| numbers.below(256) as u8).collect();
    let tree = Tree::context().file("noise", &noise, 0o644);
    let archive = tree.archive();
    assert!(archive.len() > ContextArchive::MEMORY_LIMIT as u64);
    assert!(archive.as_bytes().is_none());

    let bytes = archive.read_all().unwrap();
    assert_eq!(archive.sha256(), Sha256Digest::digest(&bytes));
    let (mut first, mut second) = (archive.open(), archive.clone().open());
    let mut half = vec![0; 1 << 20];
    first.seek(SeekFrom::End(-(1 << 20))).unwrap();
    first.read_exact(&mut half).unwrap();
    assert_eq!(half, bytes[bytes.len() - (1 << 20)..]);
    second.read_exact(&mut half).unwrap();
    assert_eq!(half, bytes[..1 << 20]);
    assert_eq!(fs::read(unpacked(&archive).at("noise")).unwrap(), noise);
}

#[test]
fn the_containerfile_is_found_as_podman_finds_it() {
    let found = |tree: &Tree| {
        let loaded = tree.install_container().load().unwrap();
        let context = loaded.context().unwrap();
        (context.containerfile().to_owned(), context.run_label().unwrap().to_owned())
    };
    let labelled = |label: &str| format!("FROM scratch\nLABEL RUN={label}\n");
    let docker = Tree::empty().file("Dockerfile", labelled("in-docker"), 0o644);
    assert_eq!(found(&docker), ("Dockerfile".into(), "in-docker".to_owned()));
    let both = docker.file("Containerfile", labelled("in-podman"), 0o644);
    assert_eq!(found(&both), ("Containerfile".into(), "in-podman".to_owned()));

    let nested = both.file("sub/my.cf", labelled("mine"), 0o644);
    let container = nested.install_container().containerfile("./sub//my.cf");
    let loaded = container.load().unwrap();
    assert_eq!(loaded.context().unwrap().containerfile().as_os_str().as_bytes(), b"sub/my.cf");
    assert_eq!(loaded.context().unwrap().run_label(), Some("mine"));
    assert_eq!(loaded.context().unwrap().entries(), 4);
}

#[test]
fn the_fingerprint_follows_everything_the_image_is_made_from() {
    let tree = Tree::context().file("other", CONTAINERFILE, 0o644);
    let plain = || tree.install_container();
    let reference = InstallContainer::reference;
    let print = |container: InstallContainer| container.load().unwrap().fingerprint();
    assert_eq!(print(plain().build_arg("A", "1").build_arg("B", "2")), {
        print(plain().build_arg("B", "2").build_arg("A", "0").build_arg("A", "1"))
    });
    assert_eq!(print(plain().run_label_inherited()), print(plain()));
    let mut prints = [
        print(plain()),
        print(plain().build_arg("A", "1")),
        print(plain().build_arg("A", "2")),
        print(plain().build_arg("B", "1")),
        print(plain().env("A", "1")),
        print(plain().containerfile("other")),
        print(reference("quay.example/a:1")),
        print(reference("quay.example/a:2")),
        print(reference("quay.example/a:2").env("A", "1")),
    ];
    prints.sort_unstable();
    assert!(prints.windows(2).all(|pair| pair[0] != pair[1]));
}
