//! Settings of an Ultimaker source.

use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, SettingsError, material, seconds};

/// Settings of an Ultimaker source. There is no key: the printer lets anybody read.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawUltimaker")]
pub struct UltimakerSettings {
    pub(crate) address: Address,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// An Ultimaker source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUltimaker {
    /// `http://HOST`, in the local network.
    url: String,
    /// Seconds between two questions while a print runs, twice that while none does; default 5;
    /// 1 to 60.
    poll_seconds: Option<f64>,
    /// What is loaded, where the printer does not name one of the maker's materials; default unknown.
    material: Option<String>,
}

impl TryFrom<RawUltimaker> for UltimakerSettings {
    type Error = SettingsError;

    fn try_from(raw: RawUltimaker) -> Result<Self, SettingsError> {
        Ok(Self {
            address: Address::parse(&raw.url)?,
            poll: seconds(raw.poll_seconds, 5.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
        })
    }
}
