//! Passing one request on, with what a fault makes of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::watch;

use super::super::api::{FAULT_HEADER, Service};
use super::fault::{Fault, Faults, When};
use super::record::{Exchange, Recorder};

/// The page a real gateway shows when its backend does not answer.
const GATEWAY_PAGE: &str =
    "<html><head><title>Gateway error</title></head><body>Gateway error</body></html>\n";
/// A body that begins like JSON and is none.
const GARBAGE: &str = "{\"server\": {\"id\": 4711, \"na\u{fffd}";

/// Everything a connection needs.
#[derive(Debug)]
pub(super) struct Forwarder {
    /// Host and port of the API's mock server.
    pub backend: String,
    pub client: Client<HttpConnector, Full<Bytes>>,
    pub faults: Arc<Mutex<Faults>>,
    pub recorder: Option<Recorder>,
    pub service: Service,
    /// How many requests are held, or were.
    pub held: watch::Sender<u64>,
}

/// What a client gets.
pub(super) enum Answer {
    Response(Response<Full<Bytes>>),
    Reset,
    /// None, as long as the client waits.
    Never,
}

impl Forwarder {
    /// Answers one request.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        if parts.uri.path() == "/_sim/stats" {
            let stats = self.service.settled().world.stats.json();
            return Answer::Response(response(200, "application/json", format!("{stats:#}\n")));
        }
        // A client that gives up in the middle of its own body has sent no request.
        let Ok(body) = body.collect().await.map(Collected::to_bytes) else {
            return Answer::Reset;
        };
        let fault = self.strike(parts.method.as_str(), parts.uri.path());

        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        request.headers_mut().remove(FAULT_HEADER);
        request.headers_mut().remove(TRANSFER_ENCODING);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("http://{}{path}", self.backend).parse() {
            *request.uri_mut() = uri;
        }

        // Goes on even when the client does not wait for it: a request once sent has its effect.
        let this = Arc::clone(&self);
        let struck = fault.clone();
        let playing = tokio::spawn(async move { this.play(request, struck).await });
        let answer = playing.await.unwrap_or(Answer::Reset);

        if let Some(recorder) = &self.recorder {
            let shown = match &answer {
                Answer::Response(response) => {
                    let bytes = bytes_of(response).await;
                    Some((response.status().as_u16(), response.headers(), bytes))
                }
                Answer::Reset | Answer::Never => None,
            };
            let exchange = Exchange {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: parts.uri.query(),
                headers: &parts.headers,
                body: &body,
                answer: shown
                    .as_ref()
                    .map(|(status, headers, bytes)| (*status, *headers, bytes.as_ref())),
                fault: fault.map(|(fault, when)| format!("{fault:?} {when:?}")),
            };
            // A full disk must not look like a fault of the API: tests read the record and see.
            recorder.write(&exchange).unwrap_or_default();
        }
        answer
    }

    fn strike(&self, method: &str, path: &str) -> Option<(Fault, When)> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.strike(method, path)
    }

    async fn play(
        &self,
        mut request: Request<Full<Bytes>>,
        struck: Option<(Fault, When)>,
    ) -> Answer {
        let Some((fault, when)) = struck else {
            return self.pass(request).await;
        };
        let before = when == When::Before;
        let note = match &fault {
            Fault::Error(code) if before => Some(format!("before {code}")),
            Fault::Error(code) => Some(format!("after {code}")),
            Fault::Action(code) => Some(format!("action {code}")),
            Fault::Delay(_) => None,
            _ => Some("lost".to_owned()),
        };
        if let Some(value) = note.and_then(|note| HeaderValue::from_str(&note).ok()) {
            request.headers_mut().insert(FAULT_HEADER, value);
        }
        match fault {
            Fault::Error(_) | Fault::Action(_) => self.pass(request).await,
            Fault::Delay(time) if before => {
                tokio::time::sleep(time).await;
                self.pass(request).await
            }
            Fault::Delay(time) => self.pass_late(request, time).await,
            _ => {
                if !before {
                    self.pass(request).await;
                }
                match fault {
                    Fault::Status(status) => {
                        Answer::Response(response(status, "text/html", GATEWAY_PAGE))
                    }
                    Fault::Hold => {
                        self.held.send_modify(|held| *held += 1);
                        Answer::Never
                    }
                    Fault::Garbage => Answer::Response(response(200, "application/json", GARBAGE)),
                    _ => Answer::Reset,
                }
            }
        }
    }

    async fn pass_late(&self, request: Request<Full<Bytes>>, time: Duration) -> Answer {
        let answer = self.pass(request).await;
        tokio::time::sleep(time).await;
        answer
    }

    async fn pass(&self, request: Request<Full<Bytes>>) -> Answer {
        let Ok(response) = self.client.request(request).await else {
            return Answer::Reset;
        };
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return Answer::Reset;
        };
        parts.headers.remove(TRANSFER_ENCODING);
        Answer::Response(Response::from_parts(parts, Full::new(body.to_bytes())))
    }
}

fn response(
    status: u16,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

async fn bytes_of(response: &Response<Full<Bytes>>) -> Bytes {
    let collected: Result<_, Infallible> = response.body().clone().collect().await;
    collected.map(Collected::to_bytes).unwrap_or_default()
}
