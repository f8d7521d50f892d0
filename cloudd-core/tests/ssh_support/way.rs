use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{LOOPBACK, free_port};

/// A network path that can be cut: existing connections then silently lose all data.
pub(crate) struct Way {
    pub(crate) port: u16,
    cut: watch::Sender<usize>,
    connections: watch::Receiver<usize>,
}

impl Way {
    pub(crate) async fn to(port: u16) -> Self {
        let (cut, cuts) = watch::channel(0);
        let (count, connections) = watch::channel(0);
        let way = free_port();
        let listener = TcpListener::bind((LOOPBACK, way)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect((LOOPBACK, port)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port: way, cut, connections }
    }

    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cut| *cut += 1);
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}
