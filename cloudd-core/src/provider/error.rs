use std::error::Error as StdError;
use std::fmt;

use crate::text::{sanitize_lines, sanitize_untrusted};

/// The result of a call to a provider.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`], for programs that handle kinds differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input cannot work; nothing was created.
    InvalidInput,
    /// The resource does not exist (any more).
    NotFound,
    /// The name is taken by a resource that is not of this build.
    AlreadyExists,
    /// The credentials are missing, wrong, or may not do this.
    Unauthorized,
    /// The identity of the other side is wrong, such as a guest with an unexpected host key.
    Untrusted,
    /// A quota of the account is used up.
    QuotaExceeded,
    /// The cloud cannot provide this now (sold out, maintenance).
    Unavailable,
    /// Another operation uses the resource; trying again later may succeed.
    Busy,
    /// The resource is protected against deletion. A person has to lift the protection.
    Protected,
    /// Too many requests.
    RateLimited,
    /// The cloud could not be reached, or the connection was lost.
    Connection,
    /// A deadline passed.
    Timeout,
    /// The storage of the provider is full.
    StorageFull,
    /// A resource disappeared or broke while it was being used.
    Gone,
    /// The provider cannot do this at all ([`Capabilities`](super::Capabilities) say so).
    Unsupported,
    /// The answer was lost or not understood: the operation may have taken effect.
    OutcomeUnknown,
    /// The cloud tried and failed.
    Failed,
    /// A fault of cloudd or of this machine.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change by a person.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::RateLimited | Self::Connection)
    }
}

/// A failed call to a provider: the operation, the resource, the reason, and what the reader can do
/// about it.
///
/// Displays as `create volume cloudd-abc: the pool is full (correlation id 7f)`; the cause is in
/// [`source`](StdError::source) and not repeated. Texts of a cloud or a guest may be part of it: they
/// are limited to 16 KiB each, without characters that could control the reader's terminal.
pub struct Error(Box<Inner>);

/// The longest text in an error, in bytes.
const MAX_TEXT: usize = 16 * 1024;

struct Inner {
    kind: ErrorKind,
    operation: String,
    resource: Option<String>,
    message: Option<String>,
    attempts: u32,
    correlation_id: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of an operation, an infinitive such as `create volume`.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            resource: None,
            message: None,
            attempts: 1,
            correlation_id: None,
            hint: None,
            source: None,
        }))
    }

    /// A resource that was waited for does not exist any more ([`ErrorKind::Gone`]).
    #[must_use]
    pub fn gone(resource: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Gone, "wait for")
            .with_resource(resource)
            .with_message("it does not exist any more; another program deleted it")
    }

    /// The provider stopped a VM that was waited for ([`PowerState::Error`](super::PowerState::Error)).
    #[must_use]
    pub fn vm_failed(vm: impl fmt::Display, reason: &str) -> Self {
        Self::new(ErrorKind::Gone, "wait for VM").with_resource(vm).with_message(reason)
    }

    /// An image that was waited for will never be complete
    /// ([`ImageStatus::Broken`](super::ImageStatus::Broken)).
    #[must_use]
    pub fn image_broken(image: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, "make image")
            .with_resource(image)
            .with_message("the image is incomplete")
    }

    /// Names the resource concerned: its id or its name.
    #[must_use]
    pub fn with_resource(mut self, resource: impl fmt::Display) -> Self {
        self.0.resource = Some(sanitize_untrusted(&resource.to_string(), MAX_TEXT));
        self
    }

    /// Sets the reason: lower case, no final dot, no secret.
    #[must_use]
    pub fn with_message(mut self, message: impl fmt::Display) -> Self {
        self.0.message = Some(sanitize_lines(&message.to_string(), MAX_TEXT));
        self
    }

    /// Sets the number of attempts.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds the cloud's id of the failed request, which its support asks for.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.0.correlation_id = Some(sanitize_untrusted(&id.into(), MAX_TEXT));
        self
    }

    /// Sets a hint: what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the underlying error, which [`source`](StdError::source) returns.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, an infinitive such as `create volume`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The id or name of the resource concerned, if there is one.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// Why it failed, without the source.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// How many times the operation was tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The cloud's id of the failed request, which its support asks for.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.write_str(&inner.operation)?;
        if let Some(resource) = &inner.resource {
            write!(f, " {resource}")?;
        }
        match &inner.message {
            Some(message) => write!(f, ": {message}")?,
            None => write!(f, " failed")?,
        }
        if inner.attempts > 1 {
            write!(f, " after {} attempts", inner.attempts)?;
        }
        if let Some(id) = &inner.correlation_id {
            write!(f, " (correlation id {id})")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("display", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
