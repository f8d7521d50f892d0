//! A small HTTP server for files that simulates faults of real servers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The response of a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    body: Vec<u8>,
    status: Option<u16>,
    cut: Option<usize>,
    no_ranges: bool,
    goes_to: Option<String>,
}

impl Answer {
    /// Responds with another status than 200 and the body.
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Closes the connection after this number of bytes of each response.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Ignores ranges and sends the whole file.
    pub(crate) fn without_ranges(mut self) -> Self {
        self.no_ranges = true;
        self
    }
}

impl<T: Into<Vec<u8>>> From<T> for Answer {
    fn from(body: T) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// Serves until the process ends.
pub(crate) struct Server {
    address: String,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (server.answers.clone(), server.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, asked) = (answers.clone(), asked.clone());
                thread::spawn(move || serve(stream.unwrap(), &answers, &asked));
            }
        });
        server
    }

    /// Sets the response of a path and returns its URL.
    pub(crate) fn put(&self, path: &str, answer: impl Into<Answer>) -> String {
        self.answers.lock().unwrap().insert(path.to_owned(), answer.into());
        self.url(path)
    }

    /// Redirects a path to another one and returns its URL.
    pub(crate) fn redirect(&self, path: &str, to: &str) -> String {
        let goes_to = Some(self.url(to));
        self.put(path, Answer { goes_to, status: Some(302), ..Answer::default() })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Every request so far: method, path, and the requested range.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

type Answers = Mutex<BTreeMap<String, Answer>>;

// A client may close the connection at any time.
fn serve(mut stream: TcpStream, answers: &Answers, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let request = lines.next()?;
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let fields = headers.iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    let path = request.split(' ').nth(1)?;
    let range = header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let method = request.split(' ').next()?;
    asked.lock().ok()?.push(format!("{method} {path} {}", range.unwrap_or_default()).trim().into());

    let missing = Answer::from("no such file").status(404);
    let answer = answers.lock().ok()?.get(path).cloned().unwrap_or(missing);
    let (mut status, mut from) = (answer.status.unwrap_or(200), 0);
    let mut fields = String::new();
    if let Some(to) = &answer.goes_to {
        fields = format!("Location: {to}\r\n");
    }
    if let (Some(range), false, 200) = (range, answer.no_ranges, status) {
        from = range.parse().ok()?;
        let (whole, last) = (answer.body.len(), answer.body.len().saturating_sub(1));
        (status, fields) = match from < whole {
            true => (206, format!("Content-Range: bytes {from}-{last}/{whole}\r\n")),
            false => (416, format!("Content-Range: bytes */{whole}\r\n")),
        };
        from = from.min(whole);
    }
    let body = &answer.body[from..];
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body[..answer.cut.unwrap_or(length).min(length)]).ok()
}
