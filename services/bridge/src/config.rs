//! Settings: what an operator writes, and what the bridge is sure of.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::frame;
use serde::Deserialize;
use tonic::transport::Endpoint;

/// Largest payload that is carried, bytes: the largest frame and as much again, so that the collector
/// can say `oversized` to an honest mistake. Larger ones are dropped unread.
pub const PAYLOAD_BYTES_MAX: usize = 2 * frame::BYTES_MAX;
/// Largest MQTT packet that the bridge takes, bytes; what the brokers that come with the project allow.
pub const PACKET_BYTES_MAX: u32 = 32 * 1024;
/// Largest answer that is taken from the collector, bytes: a page of 8 KiB in its signed answer. A
/// receipt with its proofs is below 4 KiB, a verdict below 200 bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long the collector may take for one answer before it counts as away. It syncs its disk for
/// each group of batches, which takes milliseconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Rights requests under way at once, or a quarter of the window where that is less. An answer may take
/// a read of the lake, and people ask one thing at a time; what is above is answered busy, so that
/// batches and consent never wait for it.
pub const REQUESTS_MAX: usize = 16;
/// How long messages under way may take after a stop; longer than one group commit, shorter than what
/// service managers allow.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// How often the collector is asked whether it is there, and how long it may take to say so.
pub const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long connecting may take, with the broker's word that it accepts the connection.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long the broker may take until it was looked at and granted all subscriptions.
pub const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long the broker may take to take one publish. It keeps them in memory.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// The largest MQTT packet that the bridge sends, bytes: the largest answer with its topic and header.
pub const ANSWER_PACKET_BYTES: u32 = 16 * 1024 + 128;

/// A setting that cannot be used. Report and exit with 64.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is outside its range.
    #[error("`{key}` must be {expected}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The collector's address is no URI.
    #[error("`collector` is no address of the form `http://host:port`")]
    Collector(#[source] tonic::transport::Error),
    /// The file with the password cannot be read.
    #[error("cannot read `password_file`")]
    Password(#[source] std::io::Error),
}

/// What an operator writes, for example in TOML.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSettings {
    /// Host name or address of the MQTT broker. Default: 127.0.0.1.
    #[serde(default = "defaults::host")]
    pub broker_host: String,
    /// Port of the MQTT broker, 1 ..= 65535. Default: 1883, registered for MQTT.
    #[serde(default = "defaults::port")]
    pub broker_port: u16,
    /// The bridge's account with the broker. Default: bridge.
    #[serde(default = "defaults::user")]
    pub user: String,
    /// File with the password, one line; a file because command lines and settings are read by many.
    pub password_file: PathBuf,
    /// Name of the shared subscription, 1 ..= 64 of `a-z 0-9 -`. Default: bridge. With Mosquitto 2.0
    /// it must be a secret: whoever knows it can swallow messages.
    #[serde(default = "defaults::share")]
    pub share: String,
    /// The collector's gRPC address, `http://host:port`.
    pub collector: String,
    /// Batches under way at once, 1 ..= 1024. Default: 64: at a disk that syncs in 10 ms that is more
    /// than 6,000 a second. The broker may bring twice as many messages; batches beyond the window are
    /// answered busy.
    #[serde(default = "defaults::window")]
    pub window: u16,
}

mod defaults {
    pub(super) fn host() -> String {
        "127.0.0.1".to_owned()
    }
    pub(super) fn port() -> u16 {
        1883
    }
    pub(super) fn user() -> String {
        "bridge".to_owned()
    }
    pub(super) fn share() -> String {
        "bridge".to_owned()
    }
    pub(super) fn window() -> u16 {
        64
    }
}

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    host: String,
    port: u16,
}

impl BrokerAddress {
    /// A host that is not empty and a port that is not 0.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn new(host: impl Into<String>, port: u16) -> Result<Self, SettingsError> {
        let host = host.into();
        if host.is_empty() {
            return Err(out_of_range("broker_host", "a host name or an address"));
        }
        if port == 0 {
            return Err(out_of_range("broker_port", "1 ..= 65535"));
        }
        Ok(Self { host, port })
    }

    pub(crate) fn parts(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

/// The bridge's account with the broker. `Debug` prints nothing.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// An account; both parts not empty.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn new(
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, SettingsError> {
        let (user, password) = (user.into(), password.into());
        if user.is_empty() {
            return Err(out_of_range("user", "the account's name"));
        }
        if password.is_empty() {
            return Err(out_of_range("password", "not empty"));
        }
        Ok(Self { user, password })
    }

    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What the bridge is sure of.
#[derive(Clone, Debug)]
pub struct BridgeSettings {
    pub(crate) broker: BrokerAddress,
    pub(crate) credentials: Credentials,
    pub(crate) collector: Endpoint,
    pub(crate) share: String,
    pub(crate) window: u16,
    pub(crate) retry_first: Duration,
    pub(crate) retry_last: Duration,
}

impl BridgeSettings {
    /// The given places, and defaults for the rest: share name `bridge`, a window of 64 messages,
    /// retries after 0.25 s to 30 s.
    ///
    /// # Errors
    /// [`SettingsError::Collector`] for an address that is none, [`SettingsError::OutOfRange`] for one
    /// that is not `http`: this build has no TLS of its own.
    pub fn new(
        broker: BrokerAddress,
        credentials: Credentials,
        collector: &str,
    ) -> Result<Self, SettingsError> {
        if !collector.starts_with("http://") {
            return Err(out_of_range(
                "collector",
                "`http://host:port`; put TLS in a proxy beside the bridge",
            ));
        }
        let collector = Endpoint::from_shared(collector.to_owned())
            .map_err(SettingsError::Collector)?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_EVERY)
            .keep_alive_while_idle(true);
        Ok(Self {
            broker,
            credentials,
            collector,
            share: defaults::share(),
            window: defaults::window(),
            retry_first: Duration::from_millis(250),
            retry_last: Duration::from_secs(30),
        })
    }

    /// Sets how many batches may be under way, 1 ..= 1024.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn with_window(mut self, window: u16) -> Result<Self, SettingsError> {
        if !(1..=1024).contains(&window) {
            return Err(out_of_range("window", "1 ..= 1024"));
        }
        self.window = window;
        Ok(self)
    }

    /// Sets the name of the shared subscription, 1 ..= 64 of `a-z 0-9 -`.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn with_share(mut self, share: impl Into<String>) -> Result<Self, SettingsError> {
        let share = share.into();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if share.is_empty() || share.len() > 64 || !share.bytes().all(plain) {
            return Err(out_of_range("share", "1 ..= 64 of `a-z 0-9 -`"));
        }
        self.share = share;
        Ok(self)
    }

    /// Sets the first and the longest wait between attempts; both at least 10 ms, `first <= last`.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn with_retry(mut self, first: Duration, last: Duration) -> Result<Self, SettingsError> {
        if first < Duration::from_millis(10) || last < first {
            return Err(out_of_range("retry", "at least 10 ms, the first not above the last"));
        }
        (self.retry_first, self.retry_last) = (first, last);
        Ok(self)
    }
}

impl TryFrom<RawSettings> for BridgeSettings {
    type Error = SettingsError;

    fn try_from(raw: RawSettings) -> Result<Self, SettingsError> {
        let password =
            std::fs::read_to_string(&raw.password_file).map_err(SettingsError::Password)?;
        let credentials = Credentials::new(raw.user, password.trim_end_matches(['\r', '\n']))?;
        let broker = BrokerAddress::new(raw.broker_host, raw.broker_port)?;
        Self::new(broker, credentials, &raw.collector)?
            .with_share(raw.share)?
            .with_window(raw.window)
    }
}

fn out_of_range(key: &'static str, expected: &'static str) -> SettingsError {
    SettingsError::OutOfRange { key, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTOR: &str = "http://127.0.0.1:7410";

    fn settings(collector: &str) -> Result<BridgeSettings, SettingsError> {
        let account = Credentials::new("bridge", "a secret of the tests")?;
        BridgeSettings::new(BrokerAddress::new("127.0.0.1", 1883)?, account, collector)
    }

    #[track_caller]
    fn rejects<T: fmt::Debug>(result: Result<T, SettingsError>, expected: &str) {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }

    #[test]
    fn unusable_settings_are_named() {
        rejects(BrokerAddress::new("", 1), "`broker_host` must be a host name or an address");
        rejects(BrokerAddress::new("broker", 0), "`broker_port` must be 1 ..= 65535");
        rejects(Credentials::new("", "x"), "`user` must be the account's name");
        rejects(Credentials::new("x", ""), "`password` must be not empty");
        let no_address = "`collector` is no address of the form `http://host:port`";
        rejects(settings("http://"), no_address);
        rejects(settings("http://a b"), no_address);
        assert!(settings("https://collector:7410").unwrap_err().to_string().contains("proxy"));
        let good = || settings(COLLECTOR).unwrap();
        rejects(good().with_window(0), "`window` must be 1 ..= 1024");
        rejects(good().with_share("a/b"), "`share` must be 1 ..= 64 of `a-z 0-9 -`");
        let (short, long) = (Duration::from_millis(10), Duration::from_millis(20));
        assert!(good().with_retry(long, short).is_err());
        assert!(good().with_retry(short, long).is_ok());
    }

    #[test]
    fn a_password_comes_from_a_file_and_is_not_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a secret of the tests\n").unwrap();
        let raw = RawSettings {
            broker_host: defaults::host(),
            broker_port: defaults::port(),
            user: defaults::user(),
            password_file: file.path().to_owned(),
            share: defaults::share(),
            collector: COLLECTOR.to_owned(),
            window: defaults::window(),
        };
        let settings = BridgeSettings::try_from(raw.clone()).unwrap();
        assert_eq!(settings.credentials.parts(), ("bridge", "a secret of the tests"));
        assert!(!format!("{settings:?}").contains("a secret"));
        let missing = RawSettings { password_file: "/nowhere/at/all".into(), ..raw };
        rejects(BridgeSettings::try_from(missing), "cannot read `password_file`");
    }
}
