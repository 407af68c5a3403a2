//! What settings of sources are made of: what the owner writes, checked once, impossible to misuse after.
//!
//! A key is never shown: neither by `Debug`, nor in an error, nor in a status.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;
use url::{Host, Url};

use super::error::SourceError;
use crate::catalogue;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// `url` is no address. Report and exit.
    #[error("`url` is not an address such as `http://printer.local:5000`")]
    Address,
    /// `url` wants TLS, which this program does not speak to printers. Report and exit.
    #[error("`url` uses https: give the plain http address of the printer's host in your network")]
    Tls,
    /// `url` has a user name, password, query or fragment. Report and exit.
    #[error("`url` may hold only host, port and path: write the key as `api_key_file`")]
    AddressParts,
    /// `url` leads out of the local network, where a key would travel readable. Report and exit.
    #[error("`url` leads out of the local network, where anybody could read the key")]
    NotLocal,
    /// Neither or both of `api_key` and `api_key_file` are given. Report and exit.
    #[error("give either `api_key` or `api_key_file`")]
    Key,
    /// A key cannot be one. Report and exit.
    #[error("`api_key` is empty or has characters that no key has")]
    KeyForm,
    /// A number is outside its range. Report and exit.
    #[error("`{key}` is outside {expected}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// The range.
        expected: &'static str,
    },
    /// A Klipper name is not of one or more words. Report and exit.
    #[error("`{key}` is not a name from the Klipper configuration")]
    Name {
        /// The setting.
        key: &'static str,
    },
    /// `device` is no id of a Formlabs printer. Report and exit.
    #[error("`device` is not an id as PreFormServer lists it, such as `Form4-CapableGecko`")]
    Device,
    /// Both ways to a Formlabs printer are given, or none. Report and exit.
    #[error("give `url` and `device` of PreFormServer, or the table `dashboard`")]
    OneWay,
    /// `printer` is no serial number. Report and exit.
    #[error("`printer` is not a serial number as the Dashboard lists it")]
    Printer,
    /// `client_id` cannot be one. Report and exit.
    #[error("`client_id` is empty or has characters that none has")]
    Client,
    /// `url` is no address of a service. Report and exit.
    #[error("`url` is not an address such as `https://api.formlabs.com/developer/v1`")]
    Service,
    /// `url` is no address of a printer's broker. Report and exit.
    #[error("`url` is not an address such as `mqtts://192.168.1.20`")]
    Broker,
    /// `serial` cannot be a serial number. Report and exit.
    #[error("`serial` is not a serial number of 8 to 32 letters and digits")]
    Serial,
    /// `certificate_sha256` is no digest. Report and exit.
    #[error("`certificate_sha256` is not 64 hexadecimal digits")]
    Certificate,
    /// `port` is no device. Report and exit.
    #[error("`port` is not a device such as `/dev/ttyUSB0`")]
    Port,
    /// `material` is not known. Report and exit.
    #[error("`material` is not a material such as `PLA` or `PETG`")]
    Material,
}

/// Where a peer listens: plain HTTP, in the local network, without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Where the key comes from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// In the settings.
    Inline(Secret),
    /// In a file, read anew at each connection.
    File(PathBuf),
}

/// A text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it is not plain HTTP, leads out of the local network or holds more
    /// than host, port and path. A host name is taken as local: it is resolved by the owner's
    /// network.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let mut url = Url::parse(text).map_err(|_malformed| SettingsError::Address)?;
        match url.scheme() {
            "http" => {}
            "https" | "wss" => return Err(SettingsError::Tls),
            _ => return Err(SettingsError::Address),
        }
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::AddressParts);
        }
        let local = match url.host() {
            None => return Err(SettingsError::Address),
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(ip)) => is_local(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => is_local(IpAddr::V6(ip)),
        };
        if !local {
            return Err(SettingsError::NotLocal);
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// The address of something below, for HTTP.
    pub(crate) fn http(&self, path: &str) -> Url {
        self.0.join(path).unwrap_or_else(|_impossible| self.0.clone())
    }

    /// The host and its port, unless that is the scheme's own; `None` when there is a path as well.
    pub(crate) fn host_and_port(&self) -> Option<(String, Option<u16>)> {
        let host = self.0.host_str().filter(|_| self.0.path() == "/")?;
        Some((host.to_owned(), self.0.port()))
    }

    /// The address of something below, for a WebSocket.
    pub(crate) fn socket(&self, path: &str) -> Url {
        let mut url = self.http(path);
        // Both schemes are special and have a host: `http` to `ws` is always allowed.
        if url.set_scheme("ws").is_err() {
            tracing::error!("an http address could not be made a ws one");
        }
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl KeySource {
    /// The key as it is now.
    pub(crate) async fn read(&self) -> Result<Secret, SourceError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|source| SourceError::KeyFile { path: path.clone(), source })?;
                Secret::parse(&text).ok_or(SourceError::KeyForm)
            }
        }
    }
}

impl Secret {
    /// A key: 1 to 512 printable ASCII characters without spaces; outer white space is cut.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The key itself; for the one header or call that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The key, of two ways to give it.
pub(crate) fn key(
    inline: Option<Secret>,
    file: Option<PathBuf>,
) -> Result<Option<KeySource>, SettingsError> {
    match (inline, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(SettingsError::Key),
        (None, Some(path)) => Ok(Some(KeySource::File(path))),
        (Some(secret), None) => Secret::parse(secret.expose())
            .map(|secret| Some(KeySource::Inline(secret)))
            .ok_or(SettingsError::KeyForm),
    }
}

/// `poll_seconds`, within 1 and `max`.
pub(crate) fn seconds(
    given: Option<f64>,
    default: f64,
    max: f64,
    expected: &'static str,
) -> Result<Duration, SettingsError> {
    let value = given.unwrap_or(default);
    if (1.0..=max).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(SettingsError::OutOfRange { key: "poll_seconds", expected })
    }
}

/// `material`: a family by name.
pub(crate) fn material(name: Option<&str>) -> Result<Option<MaterialFamily>, SettingsError> {
    match name.map(catalogue::material) {
        None => Ok(None),
        Some(None) => Err(SettingsError::Material),
        Some(Some(MaterialFamily::Other))
            if !name.is_some_and(|n| n.trim().eq_ignore_ascii_case("other")) =>
        {
            Err(SettingsError::Material)
        }
        Some(family) => Ok(family),
    }
}

/// Loopback, private (RFC 1918, RFC 4193), link-local, or shared by a carrier (RFC 6598).
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
