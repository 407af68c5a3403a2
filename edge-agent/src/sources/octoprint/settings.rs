//! Settings of an `OctoPrint` source.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, KeySource, Secret, SettingsError, key, material, seconds};

/// Settings of an `OctoPrint` source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawOctoPrint")]
pub struct OctoPrintSettings {
    pub(crate) address: Address,
    pub(crate) key: KeySource,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// An `OctoPrint` source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOctoPrint {
    /// `http://HOST:PORT`, in the local network.
    url: String,
    /// Key of an account with the single permission STATUS. Prefer the file.
    api_key: Option<Secret>,
    /// File that holds the key.
    api_key_file: Option<PathBuf>,
    /// Seconds between two looks of two questions each; default 5, because `OctoPrint` itself asks its
    /// printer about each 5 s while printing, so that more tells nothing and costs the print lines; 1 to 60.
    poll_seconds: Option<f64>,
    /// What is loaded, since the least account cannot read it; default unknown.
    material: Option<String>,
}

impl TryFrom<RawOctoPrint> for OctoPrintSettings {
    type Error = SettingsError;

    fn try_from(raw: RawOctoPrint) -> Result<Self, SettingsError> {
        Ok(Self {
            address: Address::parse(&raw.url)?,
            key: key(raw.api_key, raw.api_key_file)?.ok_or(SettingsError::Key)?,
            poll: seconds(raw.poll_seconds, 5.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
        })
    }
}
