use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(label: &str, part: &str) {
    let problem = check(label).expect_err(label);
    assert!(problem.contains(part), "{label:?}: {problem}");
}

#[test]
fn a_container_that_goes_on_after_podman_is_refused() {
    for label in [
        "podman run -d IMAGE",
        "podman run --rm --detach IMAGE",
        "podman run --detach=true IMAGE",
        "podman run --detach=1 IMAGE",
        "podman run -itd IMAGE",
        "podman run -dit IMAGE",
        "podman run -d=true IMAGE",
        "podman run -id=T IMAGE",
        "podman run -e A -v /a:/b -d --name x IMAGE sh",
        "podman run --detach=false -d IMAGE",
        "podman container run -d IMAGE",
        "podman --log-level debug --remote run -d IMAGE",
        "docker run -d IMAGE",
        "/usr/bin/docker run -d IMAGE",
        "/usr/bin/podman run -d IMAGE",
        "/proc/self/exe run -d IMAGE",
        "podman \"run -d\" IMAGE",
        "podman run '--detach IMAGE'",
        "podman run -e A=\u{fffc} -d IMAGE",
    ] {
        refused(label, "--detach");
    }
    for label in [
        "podman run --rm --restart=always IMAGE",
        "podman run --restart on-failure:3 IMAGE",
        "podman run --restart no --restart unless-stopped IMAGE",
    ] {
        refused(label, "restart policy");
    }
    for label in [
        "podman run --rm IMAGE",
        "podman run --detach=false IMAGE",
        "podman run -d --detach=false IMAGE",
        "podman run -d=0 IMAGE",
        "podman run --detach-keys d IMAGE",
        "podman run -e -d IMAGE",
        "podman run -ed -v/dev:/dev IMAGE",
        "podman run --env -d IMAGE",
        "podman run IMAGE -d",
        "podman run IMAGE --restart=always",
        "podman run -- IMAGE -d",
        "podman run --restart=no IMAGE",
        "podman run --restart no IMAGE",
        "podman run --restart=\u{fffc} IMAGE",
        "podman run --unknown-option x IMAGE",
    ] {
        assert!(check(label).unwrap().warnings.is_empty(), "{label}");
    }
}

#[test]
fn a_label_without_the_image_is_refused() {
    for label in ["podman run", "podman run --rm", "podman run -e A=IMAGE", "docker run image"] {
        refused(label, "does not have the word IMAGE");
    }
    refused("podman run debian IMAGE", "runs the image \"debian\"");
    refused("podman run --privileged debian:12 IMAGE", "runs the image \"debian:12\"");
    for label in ["podman run $IMAGE", "podman run '${IMAGE}'", "podman run --new-flag IMAGE sh"] {
        assert!(check(label).is_ok(), "{label}");
    }
    assert!(check("podman run \u{fffc}").is_ok(), "the image may be in the variable");
}

#[test]
fn another_command_of_podman_is_refused() {
    refused("podman start NAME", "\"start\"");
    refused("podman create IMAGE", "\"create\"");
    refused("podman container start NAME", "\"container\"");
    refused("podman", "\"\"");
    refused("podman --log-level=debug IMAGE", "\"IMAGE\"");
    assert!(check("podman \u{fffc} IMAGE").is_ok());
}

#[test]
fn quotes_that_are_not_closed_are_refused() {
    for label in ["podman run \"IMAGE", "podman run IMAGE 'a", "podman run \"IMAGE \\\"", "a \"'\""]
    {
        refused(label, "quotation mark that is not closed");
    }
    // Without the closing quote on the second split only.
    refused("podman run IMAGE it\\'s", "quotation mark that is not closed");
}

#[test]
fn a_label_that_hides_the_device_is_refused() {
    for label in ["podman run IMAGE # c", "podman run IMAGE \\# c"] {
        refused(label, "hides the volume's device");
    }
    refused("# c", "is a comment");
    assert!(check("podman run # c\nIMAGE a#b").is_ok());
    // podman splits the device off again.
    assert!(check("podman run IMAGE \\").is_ok());
}

#[test]
fn quotes_that_podman_loses_are_told() {
    // The image would be `c`.
    for label in ["-e 'A=b c' IMAGE", "-e \"A=b c\" IMAGE", "-e A=b\\ c IMAGE"] {
        refused(&format!("podman run {label}"), "the word \"A=b c\", which podman splits again");
    }
    for (label, word) in [
        ("podman run IMAGE ''", "\"\""),
        ("podman run IMAGE sh -c 'a b'", "\"a b\""),
        ("podman run --env='A=b --rm' IMAGE", "\"--env=A=b --rm\""),
    ] {
        let warnings = check(label).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(word), "{label}: {warnings:?}");
    }
    for label in
        ["podman run -e \"'A=b c'\" IMAGE", "podman run -e 'A=b' IMAGE", "podman run IMAGE \"''\""]
    {
        assert!(check(label).unwrap().warnings.is_empty(), "{label}");
    }
}

#[test]
fn variables_that_podman_does_not_set_are_told() {
    let label = "podman run -v $HOME:/h -e A=${OPT1} -e B=$? IMAGE $DEVICE ${} ${x";
    let warnings = check(label).unwrap().warnings.join("\n");
    for name in ["\"$HOME\"", "\"$OPT1\"", "\"$?\"", "\"$DEVICE\"", "\"${\""] {
        assert!(warnings.contains(name), "{name}: {warnings}");
    }
    let known = check("podman run -e A=$NAME -e B=$IMAGE -v ${PWD}:/x IMAGE 5$ $( $").unwrap();
    assert!(known.warnings.is_empty(), "{known:?}");
}

#[test]
fn a_program_other_than_podman_is_told() {
    for label in ["sudo podman run -d IMAGE", "sh -c x", "/opt/run IMAGE", "podman2 run IMAGE"] {
        let warnings = check(label).unwrap().warnings;
        assert!(warnings.iter().any(|warning| warning.contains("not podman")), "{label}");
    }
}

#[test]
fn an_entrypoint_is_needed_where_the_label_names_no_program() {
    for (label, needed) in [
        ("podman run IMAGE", true),
        ("podman run -e A IMAGE", true),
        ("podman run IMAGE sh", false),
        ("podman run --entrypoint=/x IMAGE", false),
        ("podman run --entrypoint /x IMAGE", false),
        ("podman run IMAGE \u{fffc}", false),
        ("sh IMAGE", false),
    ] {
        assert_eq!(check(label).unwrap().needs_entrypoint, needed, "{label}");
    }
}

/// Fragments whose combinations are likely to be labels.
fn label() -> impl Strategy<Value = String> {
    let parts = [
        "podman ",
        "docker ",
        "run ",
        "container ",
        "IMAGE",
        "$IMAGE",
        "NAME",
        "=NAME",
        "-d",
        "-it",
        "-e",
        "--detach",
        "--restart=",
        "always",
        "--",
        "-",
        "=",
        "\"",
        "'",
        "\\",
        "#",
        "\n",
        "\t",
        " ",
        " ",
        "$",
        "${",
        "}",
        "$PWD",
        "$X",
        "$$",
        "é",
        "\u{fffc}",
        "/",
    ];
    let part = prop_oneof![
        4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_label_is_judged_in_one_line(label in label()) {
        let told = match check(&label) {
            Ok(checked) => checked.warnings,
            Err(problem) => vec![problem],
        };
        for text in told {
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
