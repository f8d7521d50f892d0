//! The gateway's socket, on a thread of its own: a test's runtime, its paused time or its end do
//! not touch it.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer};

use super::super::api::Service;
use super::fault::Faults;
use super::forward::{Answer, Forwarder};
use super::record::Recorder;

/// What a gateway is started with.
pub(crate) struct Settings {
    pub listener: TcpListener,
    pub service: Service,
    pub faults: Arc<Mutex<Faults>>,
    pub record: Option<Box<dyn Write + Send>>,
    /// Kept out of the record.
    pub tokens: Vec<String>,
    /// Counts the requests that a fault holds.
    pub held: watch::Sender<u64>,
}

/// A running gateway. Dropping it closes every connection.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    pub(crate) fn start(settings: Settings) -> io::Result<Self> {
        let address = settings.listener.local_addr()?;
        settings.listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("hcloud-sim".to_owned())
            .spawn(move || runtime.block_on(run(settings, stopped)))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; the connections are gone either way.
            thread.join().unwrap_or_default();
        }
    }
}

async fn run(settings: Settings, mut stopped: oneshot::Receiver<()>) {
    let api = MockServer::builder().disable_request_recording().start().await;
    Mock::given(any()).respond_with(settings.service.clone()).mount(&api).await;

    // Connections to the API close before it would: nothing is ever sent into a closing one.
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_timer(TokioTimer::new())
        .build_http();
    let forwarder = Arc::new(Forwarder {
        backend: api.address().to_string(),
        client,
        faults: settings.faults,
        recorder: settings.record.map(|out| Recorder::new(out, settings.tokens)),
        service: settings.service,
        held: settings.held,
    });
    let Ok(listener) = tokio::net::TcpListener::from_std(settings.listener) else {
        return;
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(stream, Arc::clone(&forwarder)));
                }
            }
            _ = &mut stopped => return,
        }
    }
}

/// Serves a connection until the client closes it or a fault resets it.
async fn connection(stream: TcpStream, forwarder: Arc<Forwarder>) {
    // A second handle on the socket: closing with a linger time of zero is what sends a reset,
    // and hyper owns the first one.
    let Ok((stream, twin)) = twins(stream) else {
        return;
    };
    let service = service_fn(|request| {
        let answering = Arc::clone(&forwarder).answer(request);
        async {
            match answering.await {
                Answer::Response(response) => Ok(response),
                // Until the client hangs up, which drops this.
                Answer::Never => std::future::pending().await,
                Answer::Reset => {
                    SockRef::from(&twin).set_linger(Some(Duration::ZERO))?;
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                }
            }
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    drop(serving); // a client that hangs up is none of our business
    drop(twin);
}

fn twins(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, twin))
}
