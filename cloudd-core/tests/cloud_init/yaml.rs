//! cloud-init's YAML parser reads the rendered JSON as the values that were given.

use cloudd_core::cloud_init::{CloudConfig, WriteFile};
use serde_json::{Map, Value, json};

use crate::support::with_cloud_init;

/// Parses as cloud-init does when it reads user data, and again as it does after it has written the
/// merged cloud-config to disk.
const LOAD_TWICE: &str = r"
from cloudinit import safeyaml, util
once = util.load_yaml(data)
twice = util.load_yaml(safeyaml.dumps(once))
assert once is not None, 'the parser has refused it'
assert once == twice, 'dumping and loading has changed it'
answer = once
";

#[test]
fn every_character_arrives_as_it_was() {
    // Every code point of the blocks in use, and the ends of the others.
    let ranges = [
        (0, 0x3100),
        (0xd780, 0xd800),
        (0xe000, 0xe100),
        (0xfe00, 0x1_0100),
        (0x1_f300, 0x1_f700),
        (0x10_ff00, 0x11_0000),
    ];
    let text: String =
        ranges.into_iter().flat_map(|(first, end)| first..end).filter_map(char::from_u32).collect();
    let data = CloudConfig::new()
        .write_file(WriteFile::new("/a", text.clone()))
        .runcmd(["echo", &text[1..]])
        .render()
        .unwrap();
    let read = with_cloud_init(LOAD_TWICE, data.as_str().as_bytes());
    assert_eq!(read["write_files"][0]["content"], Value::String(text.clone()));
    assert_eq!(read["runcmd"][0][1], Value::String(text[1..].to_owned()));
}

#[test]
fn text_that_looks_like_yaml_is_text() {
    let texts = [
        "yes",
        "no",
        "on",
        "off",
        "null",
        "~",
        "",
        "1:30",
        "0o17",
        "017",
        "1e5",
        "0x1f",
        "2001-12-14",
        "<<",
        "=",
        ": ",
        "# not a comment",
        "- x",
        "{a: b}",
        "*alias",
        "&anchor",
        "!tag",
        "%YAML",
        "|",
        ">",
        "@x",
        "`x`",
        " leading",
        "trailing ",
        "  two  blanks  ",
        "a\\/b",
        "C:\\new\\table",
        "\\u0041",
        "\"quoted\"",
        "'single'",
        "tab\tinside",
        "line\nline\n\nline",
        "\r\n",
        "\u{7f}",
        "\u{85}",
        "\u{feff}x",
        "a \u{2028} b",
        "a \u{2029} b",
        "a \u{85} b",
        "{{ jinja }}",
        "${var}",
        "#cloud-config",
        "---",
        "...",
        "a: b: c",
    ];
    let keys: Map<String, Value> =
        texts.iter().map(|text| (format!("k{text}"), json!(text))).collect();
    let data = CloudConfig::new()
        .extra("texts", texts.to_vec())
        .extra("keys", keys.clone())
        .render()
        .unwrap();
    let read = with_cloud_init(LOAD_TWICE, data.as_str().as_bytes());
    assert_eq!(read["texts"], json!(texts.to_vec()));
    assert_eq!(read["keys"], Value::Object(keys));
}

#[test]
fn values_of_every_type_arrive_as_they_were() {
    let value = json!({
        "numbers": [0, -1, 1.5, 1e20, 1.5e-7, 1e300, -2.5e10, u64::MAX, i64::MIN],
        "words": [true, false, null],
        "empty": [{}, [], ""],
        "nested": {"z": {"a": [[1, [2]]]}, "a": 1},
        "<<": {"merge": "not"},
        "k".repeat(900): 1,
    });
    let data = CloudConfig::new().extra("x", value.clone()).render().unwrap();
    let read = with_cloud_init(LOAD_TWICE, data.as_str().as_bytes());
    assert_eq!(read["x"], value);
}

#[test]
fn a_config_that_mentions_mime_is_not_taken_for_a_message() {
    let text = "MIME-Version: 1.0\nmime-version:\n";
    let data = CloudConfig::new().write_file(WriteFile::new("/a", text)).render().unwrap();
    let script = r"
from cloudinit import user_data, util
message = user_data.convert_string(data)
answer = [message.get_content_type(), util.load_yaml(message.get_payload(decode=True))]
";
    let read = with_cloud_init(script, data.as_str().as_bytes());
    assert_eq!(read[0], "text/x-not-multipart");
    assert_eq!(read[1]["write_files"][0]["content"], text);
    // Cross-check: cloud-init does treat plain JSON as a message.
    let plain = format!("#cloud-config\n{}\n", json!({"a": text}));
    let read = with_cloud_init(
        &script.replace("util.load_yaml(message.get_payload(decode=True))", "0"),
        plain.as_bytes(),
    );
    assert_ne!(read[0], "text/x-not-multipart");
}

#[test]
fn compressed_forms_are_unpacked_by_cloud_init() {
    let data = CloudConfig::new()
        .write_file(WriteFile::new("/a", "Grüße ".repeat(2000)))
        .render()
        .unwrap();
    let unpack = r"
from cloudinit import util
answer = util.decomp_gzip(data, decode=False).decode()
";
    assert_eq!(with_cloud_init(unpack, data.gzip()), json!(data.as_str()));
    // As the Hetzner datasource does: strict base64, then gzip.
    let strict = r"
import base64, binascii
from cloudinit import util
answer = util.decomp_gzip(base64.b64decode(data, validate=True), decode=False).decode()
";
    assert_eq!(with_cloud_init(strict, data.gzip_base64().as_bytes()), json!(data.as_str()));
    assert!(data.sizes().gzip_base64 < data.sizes().plain);
}
