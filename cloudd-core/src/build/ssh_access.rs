use std::sync::Arc;

use crate::guest::Access;
use crate::provider::{BuildSecret, Capabilities, Result};

/// Returns the access of a build to its builder VM over SSH. `None` when the provider's guests have
/// no SSH.
///
/// # Errors
/// [`Unsupported`](crate::provider::ErrorKind::Unsupported) when they have, and cloudd-core was built
/// without the feature `ssh`.
pub(super) fn ssh_access(
    capabilities: &Capabilities,
    secret: Option<&BuildSecret>,
) -> Result<Option<Arc<dyn Access>>> {
    capabilities.ssh.map(|port| access(secret, port)).transpose()
}

#[cfg(feature = "ssh")]
fn access(secret: Option<&BuildSecret>, port: u16) -> Result<Arc<dyn Access>> {
    Ok(Arc::new(crate::ssh::SshAccess::new(secret, port)?))
}

#[cfg(not(feature = "ssh"))]
fn access(_: Option<&BuildSecret>, _: u16) -> Result<Arc<dyn Access>> {
    use crate::provider::{Error, ErrorKind};

    Err(Error::new(ErrorKind::Unsupported, "reach builder VM over SSH")
        .with_message("cloudd-core was built without its cargo feature `ssh`")
        .with_hint("enable the feature, or configure the provider without SSH"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::UserDataLimits;

    #[test]
    fn ssh_needs_the_feature_and_is_not_left_out_without_it() {
        let mut capabilities = Capabilities::new(UserDataLimits::new(1024, false));
        assert!(ssh_access(&capabilities, None).unwrap().is_none());
        capabilities.ssh = Some(22);
        let access = ssh_access(&capabilities, None);
        if cfg!(feature = "ssh") {
            assert!(access.unwrap().is_some());
        } else {
            let error = access.map(|_| ()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "reach builder VM over SSH: cloudd-core was built without its cargo feature `ssh`; \
                 enable the feature, or configure the provider without SSH"
            );
        }
    }
}
