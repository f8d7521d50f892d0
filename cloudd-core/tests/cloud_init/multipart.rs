//! Multi-part user data is parsed by cloud-init's own processor and handlers.

use cloudd_core::cloud_init::{CloudConfig, Error, Merge, MultiPart, Part, PartKind, WriteFile};
use serde_json::{Value, json};

use crate::support::{assert_golden, with_cloud_init};

/// Every part as `[content type, file name, text]`, parsed by cloud-init's user data processor.
const PARTS: &str = r"
from cloudinit import helpers, user_data, util
paths = helpers.Paths({'cloud_dir': '/nonexistent', 'run_dir': '/nonexistent'})
message = user_data.UserDataProcessor(paths).process(data)
answer = [
    [part.get_content_type(), part.get_filename(), util.fully_decoded_payload(part)]
    for part in message.walk() if part.get_content_maintype() != 'multipart'
]
";

/// The cloud-config that cloud-init merges from all parts.
const MERGED: &str = r"
import os, tempfile
from cloudinit import helpers, user_data, util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler
paths = helpers.Paths({'cloud_dir': '/nonexistent', 'run_dir': '/nonexistent'})
message = user_data.UserDataProcessor(paths).process(data)
with tempfile.TemporaryDirectory() as directory:
    merged = os.path.join(directory, 'cloud-config.txt')
    paths.get_ipath = lambda name: merged
    handler = CloudConfigPartHandler(paths)
    handler.handle_part(None, '__begin__', None, None, None, {})
    for part in message.walk():
        if part.get_content_type() == 'text/cloud-config':
            handler.handle_part(
                None, part.get_content_type(), part.get_filename(),
                util.fully_decoded_payload(part), None, dict(part))
    handler.handle_part(None, '__end__', None, None, None, {})
    answer = util.load_yaml(util.load_file(merged))
";

fn merged(parts: MultiPart) -> Value {
    with_cloud_init(MERGED, parts.render().unwrap().as_str().as_bytes())
}

#[test]
fn parts_arrive_in_order_with_type_name_and_text() {
    let script = "#!/bin/sh\nprintf '%s\\n' \"--x--\" From\nFrom here\n.\n";
    let unicode = "#!/bin/sh\necho 'Grüße 世界 \u{1f600}'\r\n";
    let config = CloudConfig::new().write_file(WriteFile::new("/etc/motd", "Grüße\n"));
    let texts = [
        (PartKind::CloudBoothook, "hook", "#cloud-boothook\n#!/bin/sh\ntrue\n"),
        (PartKind::ShellScript, "script.sh", script),
        (PartKind::ShellScriptPerBoot, "unicode.sh", unicode),
        (PartKind::ShellScriptPerInstance, "unfinished.sh", "#!/bin/sh\ntrue"),
        (PartKind::ShellScriptPerOnce, "blank.sh", "#!/bin/sh\n\n\n"),
        (
            PartKind::Jinja2,
            "jinja",
            "## template: jinja\n#cloud-config\n{\"hostname\":\"{{ v1.region }}\"}\n",
        ),
        (
            PartKind::Other("text/cloud-config-jsonp".to_owned()),
            "patch",
            "#cloud-config-jsonp\n[]\n",
        ),
        (PartKind::Other("text/part-handler".to_owned()), "handler.py", "#part-handler\n"),
        (PartKind::Other("text/x-mine".to_owned()), "mine", "anything"),
    ];
    let mut message = MultiPart::new().part(Part::cloud_config("base.cfg", config.clone()));
    let mut expected =
        vec![json!(["text/cloud-config", "base.cfg", config.render().unwrap().as_str()])];
    for (kind, name, text) in texts {
        expected.push(json!([kind.content_type(), name, text]));
        message = message.part(Part::text(kind, name, text));
    }
    let data = message.render().unwrap();
    assert_eq!(with_cloud_init(PARTS, data.as_str().as_bytes()), Value::Array(expected.clone()));
    assert_eq!(with_cloud_init(PARTS, data.gzip()), Value::Array(expected), "gzipped");
}

#[test]
fn pythons_email_package_reads_the_message_without_a_complaint() {
    let data = MultiPart::new()
        .part(Part::shell_script("a.sh", "#!/bin/sh\n"))
        .part(Part::shell_script("ü.sh".replace('ü', "u"), "#!/bin/sh\necho ü\n"))
        .render()
        .unwrap();
    let script = r"
import email, email.policy
message = email.message_from_bytes(data, policy=email.policy.strict)
answer = [[p.get_content_type(), p.get_filename(), p.get_content()] for p in message.iter_parts()]
assert not message.defects, message.defects
";
    let expected = json!([
        ["text/x-shellscript", "a.sh", "#!/bin/sh\n"],
        ["text/x-shellscript", "u.sh", "#!/bin/sh\necho ü\n"],
    ]);
    assert_eq!(with_cloud_init(script, data.as_str().as_bytes()), expected);
}

#[test]
fn a_message_is_the_same_every_time() {
    let message = MultiPart::new()
        .part(Part::cloud_config("base.cfg", CloudConfig::new().runcmd("true")))
        .part(
            Part::cloud_config("more.cfg", CloudConfig::new().runcmd("false")).merge(Merge::Append),
        )
        .part(Part::shell_script("last.sh", "#!/bin/sh\necho ü\n"));
    assert_golden("multipart.txt", message.render().unwrap().as_str());
    assert_eq!(message.render().unwrap().gzip(), message.render().unwrap().gzip());
    let other = message.clone().part(Part::shell_script("x.sh", "#!/bin/sh\n"));
    let boundary = |message: &MultiPart| {
        let text = message.render().unwrap().into_string();
        text.lines().next().unwrap().to_owned()
    };
    assert_ne!(boundary(&message), boundary(&other));
}

#[test]
fn a_later_part_replaces_unless_it_appends() {
    let base = CloudConfig::new().hostname("base").runcmd("echo base").package("podman");
    let more = CloudConfig::new().hostname("more").runcmd("echo more");
    let message = |merge| {
        MultiPart::new()
            .part(Part::cloud_config("base.cfg", base.clone()))
            .part(Part::cloud_config("more.cfg", more.clone()).merge(merge))
    };
    let replaced = merged(message(Merge::Replace));
    assert_eq!(
        replaced,
        json!({"hostname": "more", "runcmd": ["echo more"], "packages": ["podman"]})
    );
    let appended =
        json!({"hostname": "base", "runcmd": ["echo base", "echo more"], "packages": ["podman"]});
    assert_eq!(merged(message(Merge::Append)), appended);
    let prepended =
        merged(message(Merge::How("list(prepend)+dict(recurse_list)+str()".to_owned())));
    assert_eq!(prepended["runcmd"], json!(["echo more", "echo base"]));
}

#[test]
fn parts_that_cloud_init_would_mistake_are_refused() {
    let config = || Part::cloud_config("base.cfg", CloudConfig::new());
    let text = |kind, text: &str| Part::text(kind, "part", text);
    for part in [
        text(PartKind::ShellScript, "echo no interpreter\n"),
        text(PartKind::ShellScript, "#cloud-config\n{}\n"),
        text(PartKind::ShellScriptPerBoot, ""),
        text(PartKind::CloudBoothook, "#cloud-boothook\necho no interpreter\n"),
        text(PartKind::CloudConfig, "hostname: x\n"),
        text(PartKind::CloudConfig, "#cloud-config-archive\n[]\n"),
        text(PartKind::Jinja2, "#cloud-config\n"),
        text(PartKind::Other("text/x-include-url".to_owned()), ""),
        text(PartKind::Other("image/png".to_owned()), "x"),
        text(PartKind::Other("text/x\nEvil: 1".to_owned()), "x"),
        Part::shell_script("../evil", "#!/bin/sh\n"),
        Part::shell_script("a\"b", "#!/bin/sh\n"),
        Part::shell_script("", "#!/bin/sh\n"),
        Part::shell_script("a.sh", "#!/bin/sh\n").merge(Merge::Append),
        config().merge(Merge::How("a\nb".to_owned())),
    ] {
        let error = MultiPart::new().part(part.clone()).render().unwrap_err();
        assert!(matches!(error, Error::InvalidPart { .. }), "{part:?}: {error}");
    }
    assert!(matches!(MultiPart::new().render(), Err(Error::InvalidValue { .. })));
    let twice = MultiPart::new().part(config()).part(config());
    let error = Error::GivenTwice { key: "parts", name: "base.cfg".to_owned() };
    assert_eq!(twice.render(), Err(error));
    let inner = Part::cloud_config("base.cfg", CloudConfig::new().hostname("-"));
    let error = MultiPart::new().part(inner).render().unwrap_err();
    assert!(matches!(error, Error::InvalidValue { key: "hostname", .. }), "{error}");
}
