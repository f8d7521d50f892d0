//! Files are written by cloud-init's own module.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cloudd_core::cloud_init::{CloudConfig, Encoding, WriteFile};
use serde_json::Value;

use crate::support::with_cloud_init;

/// Runs `cc_write_files` as during boot. The owner "none" is not applied, so the tests do not need
/// root.
const WRITE_FILES: &str = r"
from cloudinit import safeyaml
from cloudinit.config import cc_write_files
cc_write_files.write_files('write_files', safeyaml.load(data)['write_files'], 'none:none')
answer = None
";

fn write(config: &CloudConfig) {
    let data = config.render().unwrap();
    assert_eq!(with_cloud_init(WRITE_FILES, data.as_str().as_bytes()), Value::Null);
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

#[test]
fn content_arrives_byte_for_byte_in_every_encoding() {
    let directory = tempfile::tempdir().unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    let contents: [&[u8]; 8] = [
        b"",
        b"\n",
        b"one line without an end",
        b"#!/bin/sh\necho \"$HOME\" 'x' \\\n",
        "Grüße, 世界, \u{1f600}\r\n\t\u{7f}\u{85}\u{2028}".as_bytes(),
        b"aGVsbG8=",
        b"\x1f\x8b\x08not gzip at all",
        &every_byte,
    ];
    let encodings =
        [None, Some(Encoding::Plain), Some(Encoding::Base64), Some(Encoding::GzipBase64)];
    let mut config = CloudConfig::new();
    let mut expected = Vec::new();
    for (i, content) in contents.into_iter().enumerate() {
        for (j, encoding) in encodings.into_iter().enumerate() {
            if encoding == Some(Encoding::Plain) && str::from_utf8(content).is_err() {
                continue;
            }
            let path = path(directory.path(), &format!("{i}-{j}"));
            let file = WriteFile::new(&path, content);
            config = config.write_file(match encoding {
                Some(encoding) => file.encoding(encoding),
                None => file,
            });
            expected.push((path, content));
        }
    }
    write(&config);
    for (path, content) in expected {
        assert_eq!(fs::read(&path).unwrap(), content, "{path}");
    }
}

#[test]
fn modes_appending_and_missing_directories_are_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name| path(directory.path(), name);
    let config = CloudConfig::new()
        .write_file(WriteFile::new(at("plain"), "a"))
        .write_file(WriteFile::new(at("script"), "a").permissions(0o755))
        .write_file(WriteFile::new(at("secret"), "a").permissions(0o400))
        .write_file(WriteFile::new(at("sub/dir/odd name ü"), "a").permissions(0o1600))
        .write_file(WriteFile::new(at("plain"), "b").append());
    write(&config);
    let mode = |name| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("plain"), 0o644);
    assert_eq!(mode("script"), 0o755);
    assert_eq!(mode("secret"), 0o400);
    assert_eq!(mode("sub/dir/odd name ü"), 0o1600);
    assert_eq!(fs::read(at("plain")).unwrap(), b"ab");
}
