//! Where a build takes place: what is offered, and where else it goes when a place is refused.

use cloudd_core::provider::{
    Architecture, BuildRequirements, Error, ErrorKind, ResolvedBuilder, Result, Size,
};

use super::choice::{self, Disk, Place, Want};
use super::known::Refusal;
use super::{Hcloud, base};
use crate::schema::Timestamp;

impl Hcloud {
    pub(super) async fn offer(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        let BuildRequirements { architecture, volume_size, root_size, .. } = *requirements;
        // First, as it is the one that tells a bad token from a bad wish.
        let image = self.catalog().base(self.client(), &self.config().base, architecture).await?;
        let least = [Some(volume_size), root_size, Some(choice::disk_size(image.disk_size))];
        let least = least.into_iter().flatten().max().unwrap_or_default();
        let places = self.places(Want { architecture, disk: Disk::AtLeast(least) }).await?;
        let Some(first) = places.first() else {
            return Err(Error::new(ErrorKind::Unavailable, "choose server type"));
        };
        self.known().note_root(architecture, volume_size, first.disk);
        let mut offer = ResolvedBuilder::new(base::identity(&image), first.disk);
        let expected = self.client().expected();
        // Beside these and its run, a build creates a volume, starts a server, and deletes one.
        offer.build_time = Some(
            expected.create_server
                + expected.create_image
                + expected.other * 3
                + self.config().run_time,
        );
        Ok(offer)
    }

    /// Where such a server may be had, the best place first.
    pub(super) async fn places(&self, want: Want) -> Result<Vec<Place>> {
        let types = self.catalog().server_types(self.client()).await?;
        choice::places(&types, self.config(), &want, Timestamp::now())
    }

    /// The locations in which a build may take place, without those that refused it.
    ///
    /// The volume comes before the server and binds it to its location. So a volume is created
    /// where the server is likely to be had, and both go elsewhere when it is not.
    pub(super) async fn locations(
        &self,
        build: &str,
        architecture: Architecture,
        volume: Size,
    ) -> Result<Vec<String>> {
        let disk = match self.known().root(architecture, volume) {
            Some(root) => Disk::Exactly(root),
            None => Disk::AtLeast(volume),
        };
        let refusals = self.known().refusals(build);
        let mut locations = Vec::new();
        for Place { location, .. } in self.places(Want { architecture, disk }).await? {
            let refused = refusals.iter().any(|refusal| refusal.location == location);
            if !refused && !locations.contains(&location) {
                locations.push(location);
            }
        }
        Ok(locations)
    }

    /// Remembers that a build did not get a place.
    pub(super) fn refused(&self, build: &str, location: &str, what: &str, error: &crate::Error) {
        let code = error.code().map_or("refused", |code| code.as_str());
        tracing::info!(build, location, what, code, "no room");
        let what = format!("{what} in {location}: {code}");
        self.known().note_refusal(build, Refusal { location: location.to_owned(), what });
    }

    /// The error of a build for which a location has no room: there may be some elsewhere, or there
    /// is none.
    pub(super) fn no_room(&self, operation: &str, build: &str, left: &[String]) -> Error {
        let tried: Vec<_> =
            self.known().refusals(build).into_iter().map(|refusal| refusal.what).collect();
        let tried = tried.join("; ");
        if left.is_empty() {
            self.known().forget_refusals(build);
            return Error::new(ErrorKind::Unavailable, operation)
                .with_message(format_args!("there is no room; tried {tried}"))
                .with_hint("allow more locations or server types, or try again later");
        }
        Error::new(ErrorKind::NoRoom, operation)
            .with_message(format_args!("there is no room; tried {tried}; left {}", left.join(", ")))
    }
}
