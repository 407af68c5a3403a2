//! Settings of a `PrusaLink` source.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, KeySource, Secret, SettingsError, key, material, seconds};

/// Settings of a `PrusaLink` source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawPrusaLink")]
pub struct PrusaLinkSettings {
    pub(crate) address: Address,
    pub(crate) key: KeySource,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// A `PrusaLink` source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrusaLink {
    /// `http://HOST:PORT`, in the local network.
    url: String,
    /// The printer's one key. It can do everything: prefer the file.
    api_key: Option<Secret>,
    /// File that holds the key, read anew at each connection.
    api_key_file: Option<PathBuf>,
    /// Seconds between two questions while a print runs, twice that while none does; default 5;
    /// 1 to 5, because `PrusaLink` 0.8.1 shows how a print ended for 11 seconds only.
    poll_seconds: Option<f64>,
    /// What is loaded, where the file of a print does not say; default unknown.
    material: Option<String>,
}

impl TryFrom<RawPrusaLink> for PrusaLinkSettings {
    type Error = SettingsError;

    fn try_from(raw: RawPrusaLink) -> Result<Self, SettingsError> {
        Ok(Self {
            address: Address::parse(&raw.url)?,
            key: key(raw.api_key, raw.api_key_file)?.ok_or(SettingsError::Key)?,
            poll: seconds(raw.poll_seconds, 5.0, 5.0, "1 to 5 seconds")?,
            material: material(raw.material.as_deref())?,
        })
    }
}
