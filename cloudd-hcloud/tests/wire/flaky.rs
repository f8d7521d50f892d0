//! Connections that are closed by the server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use cloudd_core::provider::ErrorKind;
use serde_json::{Value, json};

use super::support::{client, example, label, labels, record_logs};
use crate::schema::{CreateServer, ImageId, ServerId};

/// What the server does with a connection.
#[derive(Clone)]
pub(super) enum Fate {
    /// Closes it before reading the request.
    Unread,
    /// Closes it after reading the request, which may have taken effect.
    Unanswered,
    /// Closes it in the middle of the response.
    HalfAnswered,
    Answered(u16, Value),
}

/// A server that treats one connection after the other as given.
pub(super) struct Flaky {
    pub(super) endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Flaky {
    pub(super) fn start(fates: Vec<Fate>) -> Self {
        record_logs();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for fate in fates {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                // An error means that the client has closed the connection.
                let _broken = meet(&fate, stream, &noted);
            }
        });
        Self { endpoint, requests }
    }

    /// The first lines of the requests that were read.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn meet(fate: &Fate, mut stream: TcpStream, noted: &Mutex<Vec<String>>) -> std::io::Result<()> {
    if matches!(fate, Fate::Unread) {
        return Ok(());
    }
    let request = read_request(&mut stream)?;
    noted.lock().unwrap().push(request.lines().next().unwrap_or_default().to_owned());
    match fate {
        Fate::Unread | Fate::Unanswered => Ok(()),
        Fate::HalfAnswered => stream
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 4000\r\n\r\n{\"server\": {\"id\""),
        Fate::Answered(status, body) => {
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes())
        }
    }
}

/// Reads head and body: closing a connection with unread data would reset it.
fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let whole =
            text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length.unwrap_or(0));
        if count == 0 || whole {
            return Ok(text);
        }
    }
}

fn body() -> CreateServer {
    CreateServer::new("worker-a1", ImageId(1)).placement("cx23", "fsn1").labels(labels())
}

fn found() -> Fate {
    let mut server = example("server")["server"].clone();
    server["labels"] = json!({"cloudd/build": "7f3a"});
    Fate::Answered(200, json!({"servers": [server]}))
}

fn no_servers() -> Fate {
    Fate::Answered(200, json!({"servers": []}))
}

#[tokio::test]
async fn a_read_survives_every_kind_of_break() {
    let fates = vec![
        Fate::Unread,
        Fate::Unanswered,
        Fate::HalfAnswered,
        Fate::Answered(200, example("server")),
    ];
    let flaky = Flaky::start(fates);
    assert!(client(&flaky.endpoint).server(ServerId(90017)).await.is_ok());
    assert_eq!(flaky.requests(), ["GET /v1/servers/90017 HTTP/1.1"; 3]);
}

#[tokio::test]
async fn a_create_whose_connection_broke_after_the_effect_is_adopted() {
    for fate in [Fate::Unanswered, Fate::HalfAnswered] {
        let flaky = Flaky::start(vec![fate, found(), Fate::Answered(200, json!({"actions": []}))]);
        let made = client(&flaky.endpoint).create_server(&body(), &label()).await.unwrap();
        assert_eq!((made.was_existing, made.resource.id), (true, ServerId(90017)));
        let posts = flaky.requests().iter().filter(|line| line.starts_with("POST")).count();
        assert_eq!(posts, 1, "never sent blindly a second time");
    }
}

#[tokio::test]
async fn a_create_whose_connection_broke_before_the_effect_is_sent_again_after_a_lookup() {
    let created = Fate::Answered(201, example("server-create"));
    let flaky = Flaky::start(vec![Fate::Unread, no_servers(), created, no_servers()]);
    let made = client(&flaky.endpoint).create_server(&body(), &label()).await.unwrap();
    assert!(!made.was_existing);
    let lines = flaky.requests();
    assert!(lines[0].starts_with("GET /v1/servers?name=worker-a1"), "{lines:?}");
    assert!(lines[1].starts_with("POST /v1/servers"), "{lines:?}");
}

#[tokio::test]
async fn a_create_without_any_response_has_an_unknown_outcome() {
    let flaky = Flaky::start(vec![Fate::Unanswered; 20]);
    let error = client(&flaky.endpoint).create_server(&body(), &label()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let posts = flaky.requests().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(posts, 1);
}
