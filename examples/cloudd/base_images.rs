//! `cloudd base-images`.

use crate::cli::CloudOptions;
use crate::exit::{Exit, ToolError};

#[cfg(not(feature = "libvirt"))]
pub(crate) async fn run(_: &CloudOptions, _: Option<u32>, _: bool) -> Result<Exit, ToolError> {
    Err(ToolError::input(crate::provider::WITHOUT_LIBVIRT))
}

/// Lists the base images in the pool, or deletes those that are older than this number of days and
/// that no disk begins with.
#[cfg(feature = "libvirt")]
pub(crate) async fn run(
    cloud: &CloudOptions,
    prune: Option<u32>,
    json: bool,
) -> Result<Exit, ToolError> {
    if cloud.on != crate::cli::Cloud::Libvirt {
        return Err(ToolError::input("only libvirt has base images in a pool: --on libvirt"));
    }
    let libvirt = crate::provider::libvirt(cloud, None).await?;
    match prune {
        Some(days) => delete(&libvirt, days, json).await,
        None => list(&libvirt, json).await,
    }
}

#[cfg(feature = "libvirt")]
async fn list(libvirt: &cloudd_libvirt::Libvirt, json: bool) -> Result<Exit, ToolError> {
    use cloudd_core::text::sanitize_untrusted;
    use serde_json::json;

    const MAX_TEXT: usize = 4096;
    let images = libvirt.base_images().await?;
    if images.is_empty() && !json {
        eprintln!("no base images of cloudd on {libvirt}");
    }
    for image in images {
        let name = sanitize_untrusted(&image.name, MAX_TEXT);
        let source = image.source.map(|source| sanitize_untrusted(&source, MAX_TEXT));
        let used_by = image.used_by.map(|user| sanitize_untrusted(&user, MAX_TEXT));
        if json {
            let (size, allocated) = (image.size.as_bytes(), image.allocated.as_bytes());
            println!(
                "{}",
                json!({"name": name, "source": source, "size": size, "allocated": allocated,
                       "created": image.created, "ready": image.ready, "used_by": used_by})
            );
            continue;
        }
        let state = match (&used_by, image.ready) {
            (Some(user), _) => format!("used by {user}"),
            (None, true) => "not used".to_owned(),
            (None, false) => "incomplete".to_owned(),
        };
        println!("{name}");
        println!("    from {}", source.as_deref().unwrap_or("an unknown source"));
        println!(
            "    disk of {}, {} in the pool, {}",
            image.size,
            image.allocated,
            age(image.created)
        );
        println!("    {state}");
    }
    Ok(Exit::Success)
}

#[cfg(feature = "libvirt")]
fn age(created: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    match now.unwrap_or_default().as_secs().saturating_sub(created) / (24 * 3600) {
        0 => "uploaded within the last day".to_owned(),
        1 => "uploaded a day ago".to_owned(),
        days => format!("uploaded {days} days ago"),
    }
}

#[cfg(feature = "libvirt")]
async fn delete(
    libvirt: &cloudd_libvirt::Libvirt,
    days: u32,
    json: bool,
) -> Result<Exit, ToolError> {
    let age = std::time::Duration::from_secs(u64::from(days).saturating_mul(24 * 3600));
    let deleted = libvirt.prune_base_images(age).await?;
    for name in &deleted {
        if json {
            println!("{}", serde_json::json!({"result": "deleted", "base_image": name}));
        } else {
            eprintln!("deleted {name}");
        }
    }
    if deleted.is_empty() {
        eprintln!("no base image on {libvirt} is older than {days} days and unused");
    }
    Ok(Exit::Success)
}
