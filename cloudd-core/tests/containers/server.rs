//! A small HTTP and HTTPS server for files that simulates faults of real servers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The certificate of the HTTPS server, valid for `localhost` and 127.0.0.1. It signs itself.
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

/// The response of a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    body: Vec<u8>,
    status: Option<u16>,
    cut: Option<usize>,
    no_ranges: bool,
    no_length: bool,
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

    /// Omits the Content-Length: the end of the connection is the end of the file.
    pub(crate) fn without_length(mut self) -> Self {
        self.no_length = true;
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
    /// A server without TLS.
    pub(crate) fn new() -> Self {
        Self::start(None)
    }

    /// A server with TLS and [`CERTIFICATE`].
    pub(crate) fn tls() -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::start(Some(Arc::new(config)))
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Self {
            address: format!("{scheme}://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (server.answers.clone(), server.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tls) = (stream.unwrap(), tls.clone());
                let (answers, asked) = (answers.clone(), asked.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &answers, &asked).map(drop),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        let stream = StreamOwned::new(connection, stream);
                        let mut stream = serve(stream, &answers, &asked)?;
                        stream.conn.send_close_notify();
                        stream.flush().ok()
                    }
                });
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
        self.redirect_to(path, self.url(to))
    }

    /// Redirects a path to a URL of any server and returns its URL.
    pub(crate) fn redirect_to(&self, path: &str, url: String) -> String {
        self.put(path, Answer { goes_to: Some(url), status: Some(302), ..Answer::default() })
    }

    /// The body of the response of a path.
    pub(crate) fn body(&self, path: &str) -> Vec<u8> {
        self.answers.lock().unwrap()[path].body.clone()
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

/// Answers one request and returns the stream. A client may close the connection at any time.
fn serve<S: Read + Write>(stream: S, answers: &Answers, asked: &Mutex<Vec<String>>) -> Option<S> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let request = lines.next()?;
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let fields = headers.iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    // A connection that is closed before the body of the request was read is a broken one.
    let sent: u64 = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut reader.by_ref().take(sent), &mut std::io::sink()).ok()?;
    let mut stream = reader.into_inner();
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
    if !answer.no_length {
        fields += &format!("Content-Length: {length}\r\n");
    }
    let head = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body[..answer.cut.unwrap_or(length).min(length)]).ok()?;
    Some(stream)
}
