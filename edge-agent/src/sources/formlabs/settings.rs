//! Settings of a Formlabs source.

use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, SettingsError, material, seconds};

/// Settings of a Formlabs source. There is no key: `PreFormServer` lets its own host ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawFormlabs")]
pub struct FormlabsSettings {
    pub(crate) address: Address,
    pub(crate) device: Device,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// The id of a printer, which is its serial number: used to ask, never shown.
#[derive(Clone)]
pub(crate) struct Device(String);

/// A Formlabs source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormlabs {
    /// `http://HOST:PORT` of `PreFormServer`, on this host or in the local network.
    url: String,
    /// Which of the printers that it lists, such as `Form4-CapableGecko`.
    device: String,
    /// Seconds between two questions while a print runs, twice that while none does; default 10;
    /// 1 to 60.
    poll_seconds: Option<f64>,
    /// What is loaded, where the printer does not name one of the maker's materials; default unknown.
    material: Option<String>,
}

impl TryFrom<RawFormlabs> for FormlabsSettings {
    type Error = SettingsError;

    fn try_from(raw: RawFormlabs) -> Result<Self, SettingsError> {
        Ok(Self {
            address: Address::parse(&raw.url)?,
            device: Device::parse(raw.device).ok_or(SettingsError::Device)?,
            poll: seconds(raw.poll_seconds, 10.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
        })
    }
}

impl Device {
    /// 1 to 64 letters, digits and hyphens: it becomes a part of a path.
    fn parse(id: String) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then_some(Self(id))
    }

    /// Where its state is.
    pub(crate) fn path(&self) -> String {
        format!("devices/{}/", self.0)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}
