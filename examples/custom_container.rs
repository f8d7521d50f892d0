//! An install container of one's own: two files written by this program, looked at before anything
//! is ordered, then built.

use std::error::Error;
use std::fs;

use cloudd_examples::{cancel_on_interrupt, hetzner, narrate};
use cloudd_hcloud::{ImageBuilder, InstallContainer};

const CONTAINERFILE: &str = r#"FROM docker.io/library/debian:12
ARG TOOLS="curl ca-certificates"
RUN apt-get update && apt-get install -y --no-install-recommends $TOOLS
COPY --chmod=0755 install /
ENTRYPOINT ["/install"]
LABEL RUN="podman run --rm --privileged --network=host -v /dev:/dev IMAGE"
"#;

const INSTALL: &str = r#"#!/bin/sh
# Writes the raw disk image at $IMAGE_URL to the block device $1.
set -eu
volume=$1
curl --fail --location --silent --show-error "$IMAGE_URL" --output /tmp/disk.raw
echo "$IMAGE_SHA256  /tmp/disk.raw" | sha256sum --check
dd if=/tmp/disk.raw of="$volume" bs=4M conv=sparse,fsync
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("Containerfile"), CONTAINERFILE)?;
    fs::write(directory.path().join("install"), INSTALL)?;

    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let container = InstallContainer::directory(directory.path())
        .build_arg("TOOLS", "curl ca-certificates xz-utils")
        .env("IMAGE_URL", "https://mirror.example/disk.raw")
        .env("IMAGE_SHA256", sha256);

    // What `build` does first; here to look at it. Whatever is wrong with the container is an error
    // now, and costs nothing.
    let loaded = container.load()?;
    if let Some(context) = loaded.context() {
        println!("files and folders: {}", context.entries());
        println!("packed: {} bytes", context.archive().len());
    }
    println!("fingerprint: {}", loaded.fingerprint());

    let hetzner = hetzner()?;
    let builder = ImageBuilder::new("custom", container).label("team", "infra");
    let (build, control) = builder.build_with_control(&hetzner);
    cancel_on_interrupt(control.cancel);
    let (image, ()) = tokio::join!(build, narrate(control.events, &[]));
    println!("image: {}", image?.id);
    Ok(())
}
