//! Hetzner's metadata service, as one server sees it at 169.254.169.254.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Boot;
use super::command::mac_address;

/// What the service says to one server.
#[derive(Debug)]
pub(super) struct Answers {
    /// JSON, which is YAML: the service speaks YAML, and everything in it that a reader could take
    /// for something else, such as a MAC address for a number, has its quotes.
    metadata: Value,
    user_data: Option<String>,
}

impl Answers {
    pub(super) fn of(boot: &Boot) -> Self {
        let address = boot.ipv4.map(|address| address.to_string()).unwrap_or_default();
        let metadata = json!({
            "instance-id": boot.server,
            "hostname": boot.name,
            "public-ipv4": address,
            "local-ipv4": "",
            "availability-zone": "sim1-dc1",
            "region": "eu-central",
            "public-keys": boot.ssh_keys,
            "network-config": {
                "version": 1,
                "config": [{
                    "type": "physical",
                    "name": "eth0",
                    "mac_address": mac_address(boot.server),
                    "subnets": [{"type": "dhcp", "ipv4": true}],
                }],
            },
        });
        Self { metadata, user_data: boot.user_data.clone() }
    }

    /// Status and body for a path.
    fn to(&self, path: &str) -> (u16, String) {
        let Some(path) = path.strip_prefix("/hetzner/v1/") else { return (404, String::new()) };
        match (path, path.strip_prefix("metadata/")) {
            ("userdata", _) => match &self.user_data {
                Some(user_data) => (200, user_data.clone()),
                None => (204, String::new()),
            },
            ("metadata", _) => (200, self.metadata.to_string()),
            (_, Some("private-networks")) => (200, "[]".to_owned()),
            (_, Some(key)) => match &self.metadata[key] {
                Value::Null => (404, String::new()),
                Value::String(text) => (200, text.clone()),
                other => (200, other.to_string()),
            },
            _ => (404, String::new()),
        }
    }
}

/// The service, at a port of loopback. Dropping it ends it.
#[derive(Debug)]
pub(super) struct MetadataService {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetadataService {
    pub(super) fn start(answers: Answers) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let asked_to = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if asked_to.load(Ordering::Relaxed) {
                    return;
                }
                // A guest that goes in the middle of a question wants no answer.
                connection.and_then(|connection| answer(connection, &answers)).unwrap_or_default();
            }
        });
        Ok(Self { address, ends, thread: Some(thread) })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for MetadataService {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // The thread waits for a connection, so it gets one.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().unwrap_or_default();
        }
    }
}

/// How long a guest may take over a question.
const PATIENCE: Duration = Duration::from_secs(10);

fn answer(mut connection: TcpStream, answers: &Answers) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&connection).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The rest has to be read: a connection closed before is reset, and its answer lost.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = answers.to(request.split(' ').nth(1).unwrap_or_default());
    let reason = match status {
        200 => "OK",
        204 => "No Content",
        _ => "Not Found",
    };
    write!(connection, "HTTP/1.1 {status} {reason}\r\nConnection: close\r\n")?;
    if status != 204 {
        write!(connection, "Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len())?;
    }
    write!(connection, "\r\n{body}")?;
    connection.shutdown(Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn boot(user_data: Option<&str>) -> Boot {
        Boot {
            server: 4711,
            name: "web".to_owned(),
            user_data: user_data.map(str::to_owned),
            ssh_keys: vec!["ssh-ed25519 AAAA a".to_owned()],
            volumes: vec![],
            rescue: false,
            ipv4: Some(Ipv4Addr::new(127, 64, 0, 1)),
            architecture: "x86".to_owned(),
            memory: 4.0,
        }
    }

    #[test]
    fn the_service_says_who_the_server_is() {
        let answers = Answers::of(&boot(None));
        let says = |path: &str| answers.to(path);
        assert_eq!(says("/hetzner/v1/metadata/instance-id"), (200, "4711".to_owned()));
        assert_eq!(says("/hetzner/v1/metadata/hostname"), (200, "web".to_owned()));
        assert_eq!(says("/hetzner/v1/metadata/public-ipv4"), (200, "127.64.0.1".to_owned()));
        let keys = "[\"ssh-ed25519 AAAA a\"]".to_owned();
        assert_eq!(says("/hetzner/v1/metadata/public-keys"), (200, keys));
        let (status, all) = says("/hetzner/v1/metadata");
        assert_eq!(status, 200);
        let all: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all["instance-id"], 4711);
        // Without quotes YAML takes some addresses for numbers in base 60.
        assert!(all.pointer("/network-config/config/0/mac_address").unwrap().is_string());
    }

    #[test]
    fn what_is_not_there_is_no_answer_and_no_user_data_is_an_empty_one() {
        let answers = Answers::of(&boot(None));
        assert_eq!(answers.to("/hetzner/v1/userdata"), (204, String::new()));
        for path in ["/", "/hetzner/v1/", "/hetzner/v1/metadata/nothing", "/latest/meta-data"] {
            assert_eq!(answers.to(path).0, 404, "{path}");
        }
    }

    #[test]
    fn user_data_come_as_they_were_sent() {
        let sent = "#cloud-config\n{\"é\": 1}\n";
        let service = MetadataService::start(Answers::of(&boot(Some(sent)))).unwrap();
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, service.port())).unwrap();
        let request = "GET /hetzner/v1/userdata HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", sent.len())), "{head}");
        assert_eq!(body, sent);
    }
}
