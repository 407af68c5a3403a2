//! Settings of a Formlabs source: through `PreFormServer`, or through the maker's cloud.

use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use super::dashboard::settings::{DashboardSettings, RawDashboard};
use crate::sources::settings::{Address, SettingsError, material, seconds};

/// Settings of a Formlabs source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawFormlabs")]
pub enum FormlabsSettings {
    /// Through `PreFormServer`.
    PreForm(PreFormSettings),
    /// Through the maker's cloud.
    Dashboard(Box<DashboardSettings>),
}

/// Settings for `PreFormServer`. There is no key: it lets its own host ask.
#[derive(Clone, Debug)]
pub struct PreFormSettings {
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
    url: Option<String>,
    /// Which of the printers that it lists, such as `Form4-CapableGecko`.
    device: Option<String>,
    /// Instead of these two: how the maker's cloud is asked. It needs the internet.
    dashboard: Option<RawDashboard>,
    /// Seconds between two questions while a print runs, twice that while none does; default 10,
    /// 1 to 60; for the cloud default 60, 1 to 600.
    poll_seconds: Option<f64>,
    /// What is loaded, where the printer does not name one of the maker's materials; default unknown.
    material: Option<String>,
}

impl TryFrom<RawFormlabs> for FormlabsSettings {
    type Error = SettingsError;

    fn try_from(raw: RawFormlabs) -> Result<Self, SettingsError> {
        let material = material(raw.material.as_deref())?;
        let (url, device) = match (raw.url, raw.device, raw.dashboard) {
            (Some(url), Some(device), None) => (url, device),
            (None, None, Some(dashboard)) => {
                let checked = dashboard.checked(raw.poll_seconds, material)?;
                return Ok(Self::Dashboard(Box::new(checked)));
            }
            _ => return Err(SettingsError::OneWay),
        };
        Ok(Self::PreForm(PreFormSettings {
            address: Address::parse(&url)?,
            device: Device::parse(device).ok_or(SettingsError::Device)?,
            poll: seconds(raw.poll_seconds, 10.0, 60.0, "1 to 60 seconds")?,
            material,
        }))
    }
}

impl Device {
    /// 1 to 64 letters, digits and hyphens: it becomes a part of a path.
    pub(super) fn parse(id: String) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then_some(Self(id))
    }

    /// Where the Dashboard has it.
    pub(super) fn dashboard_path(&self) -> String {
        format!("printers/{}/", self.0)
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
