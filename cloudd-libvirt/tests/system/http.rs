//! A web server with one file, which can misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, file) = (Arc::clone(&requests), Arc::new(file));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                // A client that goes away in the middle is what some tests are about.
                tokio::spawn(answer(connection, Arc::clone(&file)));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/base.img", self.address)
    }

    pub(crate) fn url_that_breaks_off(&self) -> String {
        format!("http://{}/breaks-off", self.address)
    }

    pub(crate) fn url_that_hangs(&self) -> String {
        format!("http://{}/hangs", self.address)
    }

    /// A file without an announced length that never ends.
    pub(crate) fn url_without_end(&self) -> String {
        format!("http://{}/endless", self.address)
    }

    /// With a user, a password and a token.
    pub(crate) fn url_with_secrets(&self, path: &str) -> String {
        format!("http://alice:hunter2@{}/{path}?token=s3cret", self.address)
    }

    pub(crate) fn url_that_is_missing(&self) -> String {
        format!("http://{}/missing", self.address)
    }
}

async fn answer(connection: TcpStream, file: Arc<Vec<u8>>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let (mut request, mut line) = (String::new(), String::new());
    while connection.read_line(&mut line).await? > 2 {
        request.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let ranged = request.contains("range: bytes=0-511");
    let (status, range) = match () {
        () if request.contains("/missing") => ("404 Not Found", String::new()),
        () if ranged => {
            ("206 Partial Content", format!("Content-Range: bytes 0-511/{}\r\n", file.len()))
        }
        () => ("200 OK", String::new()),
    };
    if !ranged && request.contains("/endless") {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        connection.write_all(head.as_bytes()).await?;
        let mut chunk = file.to_vec();
        loop {
            connection.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            connection.write_all(&chunk).await?;
            connection.write_all(b"\r\n").await?;
            chunk = vec![7; 1 << 20];
        }
    }
    let length = if ranged { 512 } else { file.len() };
    let head = format!(
        "HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await?;
    let half = length / 2;
    connection.write_all(&file[..half]).await?;
    if !ranged && request.contains("/breaks-off") {
        return connection.shutdown().await;
    }
    if !ranged && request.contains("/hangs") {
        connection.flush().await?;
        std::future::pending::<()>().await;
    }
    connection.write_all(&file[half..length]).await?;
    connection.shutdown().await
}
