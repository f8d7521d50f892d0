use async_trait::async_trait;

use super::Reachability;
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Reporter, Result};

/// The channel on which a builder VM speaks: a stream of bytes that hold one event a line.
///
/// A channel survives what its transport survives not: it reconnects and goes on where it was. It
/// may give bytes again that it gave before (whole lines, which carry sequence numbers), never
/// leave any out.
#[async_trait]
pub trait GuestChannel: Send {
    /// Waits for the next bytes. `None` when nothing can come any more.
    ///
    /// May be dropped while it waits, without losing bytes.
    ///
    /// # Errors
    /// What keeps the channel from ever going on, such as a wrong host key.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>>;

    /// What keeps bytes from coming, for a channel that needs a route to the guest: as long as the
    /// guest is not reached, silence says nothing about it. `None`: it needs none.
    fn reachability(&self) -> Option<Reachability> {
        None
    }

    /// Brings a build context into the guest, complete and verified. May be dropped while it waits.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on channels that only speak.
    async fn upload(&mut self, archive: &ContextArchive, reporter: &Reporter) -> Result<()> {
        let _ = (archive, reporter);
        Err(Error::new(ErrorKind::Unsupported, "upload build context")
            .with_message("this channel only carries events"))
    }
}
