use async_trait::async_trait;

use super::Reachability;
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Reporter, Result};

/// The channel from a builder VM to the build: a stream of bytes with one event per line.
///
/// Implementations must reconnect transparently and resume where they left off. Lines that were
/// already delivered may be repeated, in whole (they carry sequence numbers); no line may be lost.
#[async_trait]
pub trait GuestChannel: Send {
    /// Waits for the next bytes. Returns `None` when the channel has ended.
    ///
    /// Must be cancel-safe: dropping the future loses no bytes.
    ///
    /// # Errors
    /// A failure that reconnecting cannot repair, such as a wrong host key.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>>;

    /// Returns the state of the connection, for a channel that needs a network route to the guest.
    /// While the guest is unreachable, its silence is not evidence of a failed build.
    ///
    /// `None` (the default) for a channel that needs no route, such as a serial port.
    fn reachability(&self) -> Option<Reachability> {
        None
    }

    /// Uploads a build context to the guest and verifies it there. Dropping the future cancels the
    /// upload.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] (the default) for a channel that only carries events.
    async fn upload(&mut self, archive: &ContextArchive, reporter: &Reporter) -> Result<()> {
        let _ = (archive, reporter);
        Err(Error::new(ErrorKind::Unsupported, "upload build context")
            .with_message("this channel only carries events"))
    }
}
