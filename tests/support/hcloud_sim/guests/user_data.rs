//! Recognising the user data of a cloudd build, as the guest's cloud-init would read it.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

/// Where cloudd lays down its agent's parameters.
const ENV: &str = "/var/lib/cloudd/env";

/// A guest's role as a builder, read from its user data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// The build's id.
    pub build: String,
    /// By-id path of the volume the install container writes.
    pub volume: String,
    /// How the build context gets there.
    pub delivery: Delivery,
}

/// How a build context reaches the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the user data, or is an image reference and needs none.
    WithUserData,
    /// Something has to upload it over SSH.
    Upload,
}

impl Builder {
    /// Reads user data as cloud-init does: base64 is decoded when the whole string is strict
    /// base64, and what is gzip then is decompressed. `None` when it is not cloudd's.
    #[must_use]
    pub fn from_user_data(user_data: &str) -> Option<Self> {
        let config = cloud_config(user_data)?;
        let files = config["write_files"].as_array()?;
        let env = files.iter().find(|file| file["path"] == ENV)?;
        let parameters = parameters(&file_content(env)?);
        let upload = parameters.get("CLOUDD_CONTEXT").is_some_and(|how| how == "upload");
        Some(Self {
            build: parameters.get("CLOUDD_BUILD")?.clone(),
            volume: parameters.get("CLOUDD_VOLUME")?.clone(),
            delivery: if upload { Delivery::Upload } else { Delivery::WithUserData },
        })
    }
}

/// The cloud-config in user data, as far as it is JSON.
#[must_use]
pub fn cloud_config(user_data: &str) -> Option<Value> {
    let text = decoded(user_data)?;
    serde_json::from_str(text.strip_prefix("#cloud-config\n")?).ok()
}

fn decoded(user_data: &str) -> Option<String> {
    let bytes = STANDARD.decode(user_data).unwrap_or_else(|_| user_data.as_bytes().to_vec());
    String::from_utf8(gunzipped(bytes)?).ok()
}

fn gunzipped(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(bytes);
    }
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// The content of a `write_files` entry, in the encodings cloud-init knows.
fn file_content(file: &Value) -> Option<String> {
    let content = file["content"].as_str()?;
    let bytes = match file["encoding"].as_str().unwrap_or_default() {
        "" | "text/plain" => content.as_bytes().to_vec(),
        "b64" | "base64" => STANDARD.decode(content).ok()?,
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => {
            gunzipped(STANDARD.decode(content).ok()?)?
        }
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

/// `KEY='value'` lines. Quotes inside values do not matter here.
fn parameters(env: &str) -> BTreeMap<String, String> {
    env.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('\'').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn config(file: &Value) -> String {
        format!(
            "#cloud-config\n{}",
            json!({"write_files": [{"path": "/etc/x", "content": ""}, file]})
        )
    }

    #[test]
    fn a_builders_user_data_is_recognised_in_every_encoding() {
        let env = "CLOUDD_BUILD='ab12'\nCLOUDD_VOLUME='/dev/disk/by-id/scsi-0HC_Volume_7'\n";
        let zipped = STANDARD.encode(gzip(env.as_bytes()));
        let expected = Some(Builder {
            build: "ab12".to_owned(),
            volume: "/dev/disk/by-id/scsi-0HC_Volume_7".to_owned(),
            delivery: Delivery::WithUserData,
        });
        for file in [
            json!({"path": ENV, "content": env}),
            json!({"path": ENV, "content": STANDARD.encode(env), "encoding": "b64"}),
            json!({"path": ENV, "content": zipped, "encoding": "gz+b64"}),
        ] {
            let plain = config(&file);
            assert_eq!(Builder::from_user_data(&plain), expected);
            let packed = STANDARD.encode(gzip(plain.as_bytes()));
            assert_eq!(Builder::from_user_data(&packed), expected);
            // cloud-init's base64 is strict: with a newline at its end it is no base64.
            assert_eq!(Builder::from_user_data(&format!("{packed}\n")), None);
        }
    }

    #[test]
    fn a_context_to_be_uploaded_is_noticed() {
        let env = "CLOUDD_BUILD='a'\nCLOUDD_VOLUME='/dev/x'\nCLOUDD_CONTEXT='upload'\n";
        let builder = Builder::from_user_data(&config(&json!({"path": ENV, "content": env})));
        assert_eq!(builder.map(|b| b.delivery), Some(Delivery::Upload));
    }

    #[test]
    fn other_user_data_is_nobodys() {
        for text in
            ["", "#!/bin/sh\n", "#cloud-config\npackages: [vim]\n", "#cloud-config\n{}", "aGVsbG8="]
        {
            assert_eq!(Builder::from_user_data(text), None, "{text}");
        }
    }
}
