//! Settings of a Bambu Lab source.

use std::fmt;
use std::path::PathBuf;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::fingerprint::Fingerprint;
use crate::sources::settings::{Address, KeySource, SettingsError, material};

/// Where the printer's broker listens, unless the address says otherwise.
const PORT: u16 = 8883;

/// Settings of a Bambu Lab source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawBambu")]
pub struct BambuSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) serial: Serial,
    pub(crate) code: KeySource,
    pub(crate) certificate: Option<Fingerprint>,
    pub(crate) material: Option<MaterialFamily>,
}

/// The printer's serial number: names its topics, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Serial(String);

/// A Bambu Lab source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBambu {
    /// `mqtts://HOST`, in the local network; port 8883 unless it says another.
    url: String,
    /// Serial number, from the printer's screen: 8 to 32 letters and digits.
    serial: String,
    /// File that holds the LAN access code from the printer's screen. It can also control the
    /// printer, so there is no way to write it into the settings themselves.
    access_code_file: PathBuf,
    /// SHA-256 of the printer's own certificate, 64 hexadecimal digits, colons allowed. Without it
    /// nothing is sent: the error tells what was seen, to be compared and written here.
    certificate_sha256: Option<String>,
    /// What is loaded, where the printer does not say; default unknown.
    material: Option<String>,
}

impl Serial {
    /// Reads a serial number; `None` when it cannot be one, as with characters that topics use.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits =
            (8..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The topic that it sends to, or is asked over.
    pub(crate) fn topic(&self, kind: &str) -> String {
        format!("device/{}/{kind}", self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serial")
    }
}

impl TryFrom<RawBambu> for BambuSettings {
    type Error = SettingsError;

    fn try_from(raw: RawBambu) -> Result<Self, SettingsError> {
        let bare = raw.url.strip_prefix("mqtts://").ok_or(SettingsError::Broker)?;
        let address = Address::parse(&format!("http://{bare}"))?;
        let (host, port) = address.host_and_port().ok_or(SettingsError::Broker)?;
        let certificate = match raw.certificate_sha256.as_deref().map(Fingerprint::parse) {
            Some(None) => return Err(SettingsError::Certificate),
            Some(known) => known,
            None => None,
        };
        Ok(Self {
            host,
            port: port.unwrap_or(PORT),
            serial: Serial::parse(&raw.serial).ok_or(SettingsError::Serial)?,
            code: KeySource::File(raw.access_code_file),
            certificate,
            material: material(raw.material.as_deref())?,
        })
    }
}
