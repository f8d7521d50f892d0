//! Server types and prices.

use super::Client;
use super::request::Request;
use super::response;
use crate::Error;
use crate::schema::{Pricing, ServerType};

impl Client {
    /// Lists all server types.
    pub(crate) async fn server_types(&self) -> Result<Vec<ServerType>, Error> {
        self.executor().list(Request::get("/server_types", "list server types")).await
    }

    /// Reads all prices, in the currency of the project.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn pricing(&self) -> Result<Pricing, Error> {
        self.executor().run(&Request::get("/pricing", "read prices"), response::object).await
    }
}
