//! What a deletion comes to.

use crate::schema::Action;
use crate::{Error, ErrorKind};

/// What a deletion comes to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Deletion {
    /// Deleted; the API tidies up in an action.
    Running(Action),
    /// Deleted.
    Done,
    /// It was not there, which is as good.
    AlreadyGone,
}

impl Deletion {
    /// The action that remains to be waited for, if what it occupied is to be used again.
    #[must_use]
    pub fn action(self) -> Option<Action> {
        match self {
            Self::Running(action) => Some(action),
            Self::Done | Self::AlreadyGone => None,
        }
    }

    pub(super) fn of(answer: Result<Option<Action>, Error>) -> Result<Self, Error> {
        match answer {
            Ok(Some(action)) => Ok(Self::Running(action)),
            Ok(None) => Ok(Self::Done),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::AlreadyGone),
            Err(error) => Err(error),
        }
    }
}
