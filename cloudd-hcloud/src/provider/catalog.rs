//! What can be ordered, asked once for many builds.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::{Architecture, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::base::BaseImage;
use crate::client::Client;
use crate::schema::{Image, ServerType};

/// How old an answer may be: a hundred builds that begin together share it, and a base image that
/// was replaced is seen by the next ones.
pub(super) const FRESH: Duration = Duration::from_secs(60);

/// What was asked lately.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    types: Recent<(), Vec<ServerType>>,
    bases: Recent<Architecture, Image>,
}

impl Catalog {
    pub(super) async fn server_types(&self, client: &Client) -> Result<Arc<Vec<ServerType>>> {
        self.types.read((), || async { Ok(client.server_types().await?) }).await
    }

    pub(super) async fn base(
        &self,
        client: &Client,
        base: &BaseImage,
        architecture: Architecture,
    ) -> Result<Arc<Image>> {
        self.bases.read(architecture, || base.resolve(client, architecture)).await
    }
}

/// Answers by question. Who asks while the same is being asked waits for that answer.
#[derive(Debug)]
struct Recent<K, V>(Mutex<HashMap<K, (Instant, Arc<V>)>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    async fn read<F>(&self, key: K, ask: impl FnOnce() -> F) -> Result<Arc<V>>
    where
        F: Future<Output = Result<V>>,
    {
        let mut answers = self.0.lock().await;
        if let Some((at, answer)) = answers.get(&key)
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(answer));
        }
        // An error is not kept: the next one asks again.
        let answer = Arc::new(ask().await?);
        answers.insert(key, (Instant::now(), Arc::clone(&answer)));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use cloudd_core::provider::{Error, ErrorKind};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_asked_for_again_when_it_is_old_and_an_error_at_once() {
        let (recent, asked) = (Recent::default(), AtomicU32::new(0));
        let read = |fail: bool| {
            let asked = &asked;
            recent.read("types", move || async move {
                asked.fetch_add(1, Ordering::Relaxed);
                if fail { Err(Error::new(ErrorKind::Connection, "ask")) } else { Ok(7) }
            })
        };
        assert!(read(true).await.is_err());
        assert_eq!(*read(false).await.unwrap(), 7);
        assert_eq!(*read(true).await.unwrap(), 7);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        tokio::time::advance(FRESH).await;
        read(false).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
