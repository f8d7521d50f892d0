//! Writes an install container, inspects what would be sent to the builder VM, and builds an image
//! with it on Hetzner Cloud.

use std::error::Error;
use std::fs;
use std::sync::Arc;

use cloudd_examples::{for_simulator, hetzner, watch};
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

    // A build loads the container first, too. Mistakes in it are errors before anything is created.
    let loaded = container.load()?;
    if let Some(context) = loaded.context() {
        println!("files and directories: {}", context.entries());
        println!("packed: {} bytes", context.archive().len());
    }
    println!("fingerprint: {}", loaded.fingerprint());

    let builder = for_simulator(ImageBuilder::new("custom", container)).label("team", "infra");
    let image = watch(builder.start(Arc::new(hetzner()?))).await?;
    println!("image: {}", image.id);
    Ok(())
}
