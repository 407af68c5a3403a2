//! Settings of a Formlabs printer that is read from its maker's cloud.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::formlabs::settings::Device;
use crate::sources::https::Service;
use crate::sources::settings::{KeySource, Secret, SettingsError, seconds};

/// The maker's own address.
const SERVICE: &str = "https://api.formlabs.com/developer/v1";

/// Where Debian, Ubuntu, Arch and Alpine keep the authorities that the host trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Settings of a Formlabs printer in the Dashboard.
#[derive(Clone, Debug)]
pub struct DashboardSettings {
    pub(crate) service: Service,
    pub(crate) authorities: PathBuf,
    pub(crate) printer: Device,
    pub(crate) client: Secret,
    pub(crate) secret: KeySource,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// The table `dashboard` as the owner writes it; that it is there is the owner's choice to ask the
/// maker's cloud.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sources::formlabs) struct RawDashboard {
    /// Serial number of the printer, as the Dashboard lists it: 1 to 64 letters, digits and hyphens.
    printer: String,
    /// Client of the developer settings of the owner's Dashboard account.
    client_id: String,
    /// File that holds its secret. It opens the whole account, so there is no way to write it into
    /// the settings themselves.
    client_secret_file: PathBuf,
    /// `https://HOST/PATH` of the interface; default the maker's own.
    url: Option<String>,
    /// File of PEM with the authorities that are trusted; default the host's own.
    ca_file: Option<PathBuf>,
}

impl RawDashboard {
    pub(in crate::sources::formlabs) fn checked(
        self,
        poll_seconds: Option<f64>,
        material: Option<MaterialFamily>,
    ) -> Result<DashboardSettings, SettingsError> {
        Ok(DashboardSettings {
            service: Service::parse(self.url.as_deref().unwrap_or(SERVICE))?,
            authorities: self.ca_file.unwrap_or_else(|| AUTHORITIES.into()),
            printer: Device::parse(self.printer).ok_or(SettingsError::Printer)?,
            client: Secret::parse(&self.client_id).ok_or(SettingsError::Client)?,
            secret: KeySource::File(self.client_secret_file),
            poll: seconds(poll_seconds, 60.0, 600.0, "1 to 600 seconds")?,
            material,
        })
    }
}
