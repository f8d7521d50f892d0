//! The build context.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::agent::{agent, each};
use crate::guest_support::{Guest, failure};

/// Creates a context that contains a script, and returns its length and SHA-256.
fn context(guest: &Guest) -> (u64, String) {
    guest.write("context/bin/install", "#!/bin/sh\n");
    let script = guest.path("context/bin/install");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = guest.path("lib/context.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(guest.path("context")).arg(".");
    assert!(tar.status().unwrap().success());
    (fs::metadata(&archive).unwrap().len(), sha256(&archive))
}

fn sha256(file: &Path) -> String {
    let sum = Command::new("sha256sum").arg(file).output().unwrap().stdout;
    String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned()
}

fn fetch(how: &str, bytes: u64, sum: &str) -> String {
    format!(
        "CLOUDD_CONTAINER=context CLOUDD_CONTEXT={how} CLOUDD_CONTEXT_BYTES={bytes} \
         CLOUDD_CONTEXT_SHA256={sum} CLOUDD_UPLOAD_WAIT=0 CLOUDD_CONTEXT_DEVICE=/dev/none fetch"
    )
}

#[test]
fn a_context_that_is_whole_is_unpacked_with_its_modes() {
    each(|guest| {
        let (bytes, sum) = context(guest);
        let events = agent(guest, &fetch("file", bytes, &sum));
        assert_eq!(events.last().unwrap()["state"], "end", "{events:?}");
        let mode =
            fs::metadata(guest.path("lib/context/bin/install")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    });
}

#[test]
fn an_archive_is_read_to_its_end_even_where_tar_stops() {
    each(|guest| {
        let length = 8 << 20;
        guest.write("lib/context.tar.gz", vec![7; length as usize]);
        let sum = sha256(&guest.path("lib/context.tar.gz"));
        let events = agent(guest, &fetch("file", length, &sum));
        assert_eq!(failure(&events), ("context_corrupt", "tar cannot unpack the context"));
        let other = format!("the context's SHA-256 is {sum}");
        let events = agent(guest, &fetch("file", length, "0000"));
        assert_eq!(failure(&events), ("context_corrupt", other.as_str()));
    });
}

#[test]
fn a_context_that_is_missing_or_damaged_is_named() {
    each(|guest| {
        let (bytes, sum) = context(guest);
        let archive = guest.path("lib/context.tar.gz").display().to_string();
        let long = format!("the context has {bytes} bytes, not {}", bytes + 1);
        let other = format!("the context's SHA-256 is {sum}");
        for (script, expected) in [
            (fetch("file", bytes + 1, &sum), ("context_corrupt", long.as_str())),
            (fetch("file", bytes, "0000"), ("context_corrupt", other.as_str())),
            (fetch("media", bytes, &sum), ("context_missing", "no /dev/none")),
            (fetch("upload", bytes, &sum), ("context_missing", "the context was not uploaded")),
        ] {
            assert_eq!(failure(&agent(guest, &script)), expected);
        }
        fs::remove_file(&archive).unwrap();
        let events = agent(guest, &fetch("file", bytes, &sum));
        assert_eq!(failure(&events), ("context_missing", format!("no {archive}").as_str()));
    });
}
