//! Turning pages.

use std::collections::BTreeSet;

use super::calls::Page;
use super::core::Core;
use super::request::Call;
use crate::schema::{Action, Image, Location, Server, ServerType, SshKey, Volume};
use crate::{Error, ErrorKind};

impl Core {
    /// All items of a list, in the API's order.
    ///
    /// Pages are no snapshot: an item that moves to the next page while one turns it comes twice,
    /// and is taken once.
    pub(super) async fn all<T: Item>(
        &self,
        call: impl Fn(u32) -> Call<Page<T>>,
    ) -> Result<Vec<T>, Error> {
        let (mut items, mut seen, mut number) = (Vec::new(), BTreeSet::new(), 1);
        loop {
            let call = call(number);
            let page = self.run(&call).await?;
            items.extend(page.items.into_iter().filter(|item| seen.insert(item.number())));
            match page.next {
                None => return Ok(items),
                Some(next) if next > number => number = next,
                Some(_) => {
                    let operation = call.request.operation.as_str();
                    return Err(Error::new(
                        ErrorKind::Protocol,
                        operation,
                        "the pages of the list go in circles",
                    ));
                }
            }
        }
    }
}

/// Something with an id.
pub(super) trait Item {
    fn number(&self) -> u64;
}

macro_rules! items {
    ($($type:ty),+) => {$(
        impl Item for $type {
            fn number(&self) -> u64 {
                self.id.0
            }
        }
    )+};
}

items!(Action, Image, Location, Server, ServerType, SshKey, Volume);
