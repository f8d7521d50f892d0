//! Token, user data, passwords and private keys are in no error, log line or debug output, whatever
//! the result of a request is.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::flaky::{Fate, Flaky};
use super::support::{
    Api, IMPATIENT, LATE, TOKEN, answer, client_with, example, label, labels, logs,
};
use crate::client::CreateOutcome;
use crate::schema::{Action, CreateServer, ImageId, Server, ServerId, SshKeyId};
use crate::{Client, Error};

const PASSWORD: &str = "hunter2-Xk9QpV";
const PRIVATE_KEY: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";
const USER_DATA: &str = "#cloud-config\n{\"chpasswd\":\"swordfish-of-the-user\",\"ssh_keys\":{\"ed25519_private\":\
    \"-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\\n-----END\"}}";

const SECRETS: [&str; 4] = [TOKEN, PASSWORD, PRIVATE_KEY, "swordfish-of-the-user"];

fn body() -> CreateServer {
    CreateServer::new("worker-a1", ImageId(1))
        .placement("cx23", "fsn1")
        .labels(labels())
        .ssh_key(SshKeyId(1))
        .user_data(USER_DATA)
}

/// All texts that a caller can print of a result.
fn texts(client: &Client, result: &Result<CreateOutcome<Server>, Error>) -> String {
    let mut texts = format!("{client:?} {:?} {result:?}", body());
    if let Err(error) = result {
        let _infallible = write!(texts, " {error} {error:#?}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let _infallible = write!(texts, " {cause} {cause:?}");
            source = cause.source();
        }
    }
    texts
}

fn assert_clean(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "a secret in {what}");
        // A part of a secret counts too.
        assert!(!text.contains(&secret[..secret.len().min(14)]), "a piece of a secret in {what}");
    }
}

/// The response to a create request without SSH keys, which contains a password.
fn created() -> Value {
    let mut created = example("server-create");
    created["root_password"] = json!(PASSWORD);
    created
}

/// An error response that quotes the whole request.
fn quoting(status: u16, code: &str) -> ResponseTemplate {
    refusing(status, code, &format!("got Authorization: Bearer {TOKEN} and {USER_DATA}"))
}

fn refusing(status: u16, code: &str, quote: &str) -> ResponseTemplate {
    let body = json!({"error": {
        "code": code, "message": quote, "details": {"fields": [{"name": "user_data", "messages": [quote]}]},
    }});
    answer(status, &body).insert_header("X-Correlation-Id", TOKEN)
}

#[tokio::test]
async fn no_path_shows_a_secret() {
    let garbage = ResponseTemplate::new(201)
        .set_body_string(format!("{{\"root_password\": \"{PASSWORD}\", {TOKEN}"));
    let odd = answer(201, &json!({"server": PASSWORD, "action": TOKEN, "root_password": PASSWORD}));
    let html = ResponseTemplate::new(502)
        .set_body_string(format!("<html>{TOKEN} {PASSWORD} {USER_DATA}</html>"));
    let late = answer(201, &created()).set_delay(LATE);
    let nothing = || answer(200, &json!({"servers": []}));
    let paths: Vec<(&str, Vec<ResponseTemplate>)> = vec![
        ("success", vec![answer(201, &created())]),
        ("invalid input", vec![quoting(422, "invalid_input")]),
        ("a code of next year", vec![quoting(418, TOKEN)]),
        ("unauthorized", vec![quoting(401, "unauthorized")]),
        ("conflict", vec![quoting(409, "conflict"), answer(201, &created())]),
        ("locked", vec![quoting(423, "locked"), answer(201, &created())]),
        ("quota", vec![quoting(429, "rate_limit_exceeded"), answer(201, &created())]),
        ("taken", vec![quoting(409, "uniqueness_error"), nothing()]),
        ("garbage", vec![garbage, nothing(), answer(201, &created()), nothing()]),
        ("another shape", vec![odd, nothing(), answer(201, &created()), nothing()]),
        ("a gateway", vec![html, nothing(), answer(201, &created()), nothing()]),
        ("too late", vec![late, nothing(), answer(201, &created()), nothing()]),
        (
            "a server error and a failed lookup",
            vec![quoting(500, "server_error"), refusing(401, "unauthorized", TOKEN)],
        ),
    ];
    for (path, answers) in paths {
        let requests = answers.len();
        let api = Api::answering(answers).await;
        let client = match path {
            "too late" => client_with(&api.endpoint(), IMPATIENT),
            _ => api.client(),
        };
        let result = client.create_server(&body(), &label()).await;
        assert_eq!(api.lines().len(), requests, "{path} went as it should");
        assert_clean(path, &texts(&client, &result));
    }
    for (path, fates) in [
        ("closed before it was read", vec![Fate::Unread; 20]),
        ("closed before the answer", vec![Fate::Unanswered; 20]),
        ("closed in the answer", vec![Fate::HalfAnswered; 20]),
    ] {
        let client = super::support::client(&Flaky::start(fates).endpoint);
        let result = client.create_server(&body(), &label()).await;
        assert!(result.is_err(), "{path}");
        assert_clean(path, &texts(&client, &result));
    }
    logs_are_clean();
}

#[tokio::test]
async fn a_failed_action_shows_no_secret() {
    let mut failed = example("action-error")["action"].clone();
    failed["error"] = json!({"code": TOKEN, "message": format!("Bearer {TOKEN}")});
    let failed: Action = serde_json::from_value(failed).unwrap();
    let api = Api::answering([]).await;
    let error = api.client().wait([failed], Duration::from_secs(1)).await.unwrap_err();
    assert_clean("a failed action", &format!("{error} {error:?}"));
}

#[tokio::test]
async fn refused_input_shows_no_secret() {
    let api = Api::answering([]).await;
    let client = api.client();
    let long = body().user_data(USER_DATA.repeat(300));
    let error = client.create_server(&long, &label()).await.unwrap_err();
    assert_clean("user data that is too long", &format!("{error} {error:?} {long:?}"));
    assert!(api.lines().is_empty());
}

/// Checks the logs of all crates in all tests of this binary.
fn logs_are_clean() {
    let logs = logs();
    for source in ["cloudd_hcloud", "hyper_util", "reqwest", "TRACE"] {
        assert!(logs.contains(source), "the logs are recorded: {source}");
    }
    for line in logs.lines() {
        assert_clean(line, line);
    }
}

#[tokio::test]
async fn reading_a_server_logs_its_path_and_status() {
    let api = Api::answering([answer(200, &example("server"))]).await;
    api.client().server(ServerId(424_242)).await.unwrap();
    let logs = logs();
    let line = logs.lines().find(|line| line.contains("path=/servers/424242")).unwrap();
    assert!(line.contains("status=200") && line.contains("correlation_id=c0ffee"), "{line}");
}
