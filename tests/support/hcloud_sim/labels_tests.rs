use serde_json::{Map, json};

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect()
}

#[test]
fn selectors_select_what_the_grammar_says() {
    let owned = labels(&[("env", "prod"), ("tier", "web"), ("cloudd/build", "ab12"), ("flag", "")]);
    for (selector, expected) in [
        ("", true),
        ("env", true),
        ("flag", true),
        ("none", false),
        ("!none", true),
        ("!env", false),
        ("env=prod", true),
        ("env==prod", true),
        ("env = prod", true),
        ("env=test", false),
        ("flag=", true),
        ("none=", false),
        ("env!=test", true),
        ("env!=prod", false),
        ("none!=x", true),
        ("env in (test,prod)", true),
        ("env in ( test , prod )", true),
        ("env in (test)", false),
        ("none in (x)", false),
        ("env notin (test)", true),
        ("env notin (prod,test)", false),
        ("none notin (x)", true),
        ("cloudd/build=ab12", true),
        ("cloudd/build=ab12,env=prod,!none", true),
        ("cloudd/build=ab12,env=test", false),
        ("env in (prod), tier in (web,db)", true),
        ("env,env!=test", true),
        ("in", false),
        ("hetzner.cloud/x", false),
    ] {
        let parsed = Selector::parse(selector).unwrap_or_else(|e| panic!("{selector}: {e}"));
        assert_eq!(parsed.matches(&owned), expected, "{selector}");
    }
}

#[test]
fn malformed_selectors_are_refused_with_their_position() {
    for (selector, message) in [
        (",", "expected label key at pos 0"),
        ("a,", "expected label key at pos 2"),
        ("a,,b", "expected label key at pos 2"),
        ("=v", "expected label key at pos 0"),
        ("!", "expected label key at pos 1"),
        ("a=b c", "expected comma at pos 4"),
        ("a b", "expected comma at pos 2"),
        ("a in b", "expected opening parenthesis at pos 5"),
        ("a in (b", "expected closing parenthesis at pos 7"),
        ("a in (b c)", "expected closing parenthesis at pos 8"),
        ("a=b:c", "expected comma at pos 3"),
        ("a=-b", "invalid value at pos 2"),
        ("-a=b", "invalid key at pos 0"),
        ("a/b/c", "invalid key at pos 0"),
    ] {
        let error = Selector::parse(selector).expect_err(selector);
        assert_eq!(error, format!("invalid label_selector: {message}"), "{selector}");
    }
}

#[test]
fn keys_and_values_follow_the_rules() {
    let long = "a".repeat(63);
    let longer = "a".repeat(64);
    let deep = format!("{}.de/k", vec!["a".repeat(60); 4].join("."));
    for good in ["a", "A9", "a-b_c.d", "example.com/name", "cloudd/expires", long.as_str(), &deep] {
        assert_eq!(key_problem(good), None, "{good}");
    }
    for bad in [
        "",
        "/",
        "a/",
        "/a",
        "-a",
        "a-",
        "a b",
        "ä",
        "a:b",
        "ex_ample/x",
        "-x.de/a",
        "x..de/a",
        "hetzner.cloud/a",
        "a/b/c",
        longer.as_str(),
    ] {
        assert!(key_problem(bad).is_some(), "{bad}");
    }
    for good in ["", "a", "1795165200", "a-b_c.d", long.as_str()] {
        assert_eq!(value_problem(good), None, "{good}");
    }
    for bad in
        ["-", "a/b", "a:b", "a+b", "a=", "a b", ".a", "2026-11-20T09:00:00Z", longer.as_str()]
    {
        assert!(value_problem(bad).is_some(), "{bad}");
    }
}
