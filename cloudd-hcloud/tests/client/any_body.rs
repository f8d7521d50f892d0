//! Responses with any content cause no panic, no endless loop and no leak of the token.

use std::path::Path;
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, BuildRequirements, ImageId, Labels, Provider as _, ResourceId, Result, Selector,
    Size, VmId, keys,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fake::{Fake, Reply, TOKEN};
use crate::builder::Hcloud;
use crate::client::Token;

/// The objects of the API's examples, with a label of cloudd.
fn documented(key: &str) -> Value {
    if key == "pricing" {
        let price = json!({"net": "1.0000000000", "gross": "1.1900000000"});
        let prices = json!([{"location": "fsn1", "price_hourly": price, "price_monthly": price}]);
        return json!({
            "currency": "EUR", "image": {"price_per_gb_month": price},
            "volume": {"price_per_gb_month": price},
            "server_types": [{"name": "cx23", "prices": prices}],
            "primary_ips": [{"type": "ipv4", "prices": prices}],
        });
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/examples");
    let text = std::fs::read_to_string(directory.join(format!("{key}.json"))).unwrap();
    let mut object = serde_json::from_str::<Value>(&text).unwrap()[key].take();
    if object.get("labels").is_some() {
        object["labels"] = json!({keys::BUILD: "abcdefghij", keys::FINGERPRINT: "0".repeat(40)});
    }
    if key == "image" {
        object["os_flavor"] = "fedora".into();
        object["os_version"] = "43".into();
    }
    object
}

/// The documented response to a GET request.
fn response(path: &str) -> Value {
    let segments: Vec<_> = path.split('/').filter(|it| !it.is_empty()).collect();
    let (list, single) = match segments[0] {
        "servers" => ("servers", "server"),
        "volumes" => ("volumes", "volume"),
        "images" => ("images", "image"),
        "ssh_keys" => ("ssh_keys", "ssh_key"),
        "server_types" => ("server_types", "server_type"),
        "pricing" => return json!({"pricing": documented("pricing")}),
        other => panic!("a request for {other}"),
    };
    match segments.len() {
        1 => json!({
            list: [documented(single)],
            "meta": {"pagination": {"page": 1, "next_page": null, "last_page": 1}},
        }),
        _ => json!({single: documented(single)}),
    }
}

/// All nodes of a JSON value, as pointers.
fn pointers(value: &Value) -> Vec<String> {
    fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(value, &format!("{at}/{key}"), found);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
                collect(value, &format!("{at}/{index}"), found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

/// A value that a field has not been documented to have.
fn odd_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        any::<i128>().prop_map(|number| number.to_string()),
        Just("79228162514264337593543950335".to_owned()),
        Just("1e400".to_owned()),
        Just("-009999-01-01T00:00:00Z".to_owned()),
        Just("9999-12-31T23:59:60Z".to_owned()),
        Just("x".repeat(100_000)),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        Just(json!(1e308)),
        text.prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just((0..120).fold(json!(1), |inner, _| json!([inner]))),
    ]
}

/// How the responses differ from the documented ones.
#[derive(Debug, Clone)]
enum Change {
    /// These nodes have other values.
    Nodes(Vec<(Index, Value)>),
    /// The body is this text.
    Text(String),
    /// The status is another one.
    Status(u16),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => prop::collection::vec((any::<Index>(), odd_value()), 1..4).prop_map(Change::Nodes),
        1 => any::<String>().prop_map(Change::Text),
        1 => (100u16..600).prop_map(Change::Status),
    ]
}

impl Change {
    fn apply(&self, mut body: Value) -> Reply {
        match self {
            Self::Nodes(nodes) => {
                for (index, value) in nodes {
                    let pointers = pointers(&body);
                    let node = &pointers[index.index(pointers.len())];
                    *body.pointer_mut(node).unwrap() = value.clone();
                }
                Reply::Json(200, body)
            }
            Self::Text(text) => Reply::Text(200, text.clone()),
            Self::Status(status) => Reply::Json(*status, body),
        }
    }
}

/// Calls every method of the provider that only reads.
async fn read_everything(hcloud: &Hcloud) -> Vec<Result<()>> {
    let requirements = BuildRequirements::new(Architecture::X86_64, Size::gib(10));
    let mut results = vec![
        hcloud.find(&Selector::all()).await.map(drop),
        hcloud.images(&Selector::all()).await.map(drop),
        hcloud.image(&ImageId::new("512345678")).await.map(drop),
        hcloud.vm(&VmId::new("90017")).await.map(drop),
    ];
    results.push(match hcloud.resolve(&requirements).await {
        Ok(resolved) => {
            let hour = Duration::from_secs(3600);
            let cost = hcloud.estimate_cost(&requirements, &resolved, hour, Size::gib(1));
            cost.await.map(drop)
        }
        Err(error) => Err(error),
    });
    results
}

fn provider(change: Option<Change>) -> (Fake, Hcloud) {
    let fake = Fake::new(move |request| {
        let body = response(&request.path);
        match &change {
            Some(change) => change.apply(body),
            None => Reply::Json(200, body),
        }
    });
    let hcloud = Hcloud::builder(Token::new(TOKEN).unwrap()).build_with(fake.client());
    (fake, hcloud)
}

#[tokio::test(start_paused = true)]
async fn the_documented_responses_are_read_without_an_error() {
    let (fake, hcloud) = provider(None);
    for result in read_everything(&hcloud).await {
        result.unwrap();
    }
    let found = hcloud.find(&Selector::all()).await.unwrap();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(fake.requests().iter().any(|line| line.starts_with("GET /pricing")));
    assert!(found.iter().any(|it| matches!(it.id, ResourceId::Lease(_))));
    assert!(found.iter().all(|it| it.labels != Labels::new()));
}

proptest! {
    #[test]
    fn any_response_is_a_value_or_an_error_within_a_day(change in change()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (_, hcloud) = provider(Some(change));
            let day = Duration::from_secs(24 * 3600);
            let results = timeout(day, read_everything(&hcloud)).await;
            for result in results.expect("the reads end") {
                let text = result.map_or_else(|error| format!("{error} {error:?}"), |()| String::new());
                assert!(!text.contains(TOKEN));
            }
        });
    }
}
