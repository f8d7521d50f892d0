//! What can be ordered, where, and for how much.

use super::Client;
use super::calls::catalog;
use crate::Error;
use crate::schema::{Location, Pricing, ServerType};

impl Client {
    /// All server types.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn server_types(&self) -> Result<Vec<ServerType>, Error> {
        self.core().all(catalog::server_types).await
    }

    /// All locations.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn locations(&self) -> Result<Vec<Location>, Error> {
        self.core().all(catalog::locations).await
    }

    /// All prices, in the project's currency.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn pricing(&self) -> Result<Pricing, Error> {
        self.core().run(&catalog::pricing()).await
    }
}
