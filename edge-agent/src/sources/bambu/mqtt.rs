//! MQTT 3.1.1 as far as a printer's broker needs it: connect, subscribe, hear, ask once, stay alive.
//!
//! The codec is rumqttc's; its own TLS would bring a second certificate library that is out of
//! care, and its event loop connects anew by itself. There is one message that can be sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use imprimatur_runtime::entropy;
use rumqttc::mqttbytes::v4::SubscribeReasonCode;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, PingReq, Publish, Subscribe};
use rumqttc::mqttbytes::{Error as CodecError, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::settings::BambuSettings;
use super::tls::Pin;
use crate::sources::error::SourceError;
use crate::sources::settings::Secret;

/// Name in messages.
pub(super) const PEER: &str = "the printer's broker";

/// What to do about a refused code.
const REMEDY: &str = "write the access code that its screen shows into `access_code_file`";

/// The account that every printer has.
const USER: &str = "bblp";

/// Longest packet that is taken, bytes: a full report with four material units is below 32 KiB.
const PACKET_BYTES_MAX: usize = 256 * 1024;

/// Time for a connection, its handshake and each of its answers.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How often the broker may expect to hear of this client, seconds.
pub(super) const KEEP_ALIVE_SECONDS: u16 = 60;

/// Asks the printer to report everything once; it acts on nothing.
const REPORT_ALL: &str = r#"{"pushing":{"sequence_id":"0","command":"pushall"}}"#;

/// An open connection that hears the printer's reports.
#[derive(Debug)]
pub(super) struct Mqtt {
    stream: TlsStream<TcpStream>,
    held: BytesMut,
}

impl Mqtt {
    /// Connects, proves the certificate, logs in and subscribes.
    pub(super) async fn open(settings: &BambuSettings, code: &Secret) -> Result<Self, SourceError> {
        let pin = Pin::new(settings.certificate);
        let opening = Self::connect(settings, &pin);
        let opened = timeout(ANSWER_MAX, opening).await;
        let mut mqtt = match (opened, pin.other()) {
            (_, Some(seen)) => {
                let seen = seen.to_string();
                return Err(match settings.certificate {
                    None => SourceError::CertificateUnknown { seen },
                    Some(_) => SourceError::CertificateOther { seen },
                });
            }
            (Ok(opened), None) => opened?,
            (Err(_elapsed), None) => return Err(slow()),
        };
        match timeout(ANSWER_MAX, mqtt.log_in(settings, code)).await {
            Ok(result) => result.map(|()| mqtt),
            Err(_elapsed) => Err(slow()),
        }
    }

    async fn connect(
        settings: &BambuSettings,
        pin: &std::sync::Arc<Pin>,
    ) -> Result<Self, SourceError> {
        let config = pin.client().ok_or(SourceError::Unreachable)?;
        let host = settings.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tcp = TcpStream::connect((host.as_str(), settings.port)).await;
        let tcp = tcp.map_err(|_no_answer| SourceError::Unreachable)?;
        let name = ServerName::try_from(host).map_err(|_no_name| SourceError::Unreachable)?;
        let stream = TlsConnector::from(config).connect(name, tcp).await;
        let stream = stream.map_err(|_no_tls| SourceError::Malformed { peer: PEER })?;
        Ok(Self { stream, held: BytesMut::new() })
    }

    async fn log_in(&mut self, settings: &BambuSettings, code: &Secret) -> Result<(), SourceError> {
        let random: [u8; 8] = entropy::bytes().map_err(|_no_entropy| SourceError::Unreachable)?;
        let mut connect = Connect::new(hex::encode(random));
        connect.keep_alive = KEEP_ALIVE_SECONDS;
        connect.set_login(USER, code.expose());
        self.send(|buffer| connect.write(buffer)).await?;
        match self.next().await? {
            Packet::ConnAck(answer) => match answer.code {
                ConnectReturnCode::Success => {}
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                    return Err(SourceError::Password { peer: PEER, remedy: REMEDY });
                }
                _ => return Err(SourceError::Malformed { peer: PEER }),
            },
            _ => return Err(SourceError::Malformed { peer: PEER }),
        }
        let mut subscribe = Subscribe::new(settings.serial.topic("report"), QoS::AtMostOnce);
        subscribe.pkid = 1;
        self.send(|buffer| subscribe.write(buffer)).await?;
        loop {
            match self.next().await? {
                Packet::SubAck(answer) => {
                    let refused = answer.return_codes.contains(&SubscribeReasonCode::Failure);
                    return if refused { Err(SourceError::NoReport) } else { Ok(()) };
                }
                Packet::Publish(_) | Packet::PingResp => {}
                _ => return Err(SourceError::Malformed { peer: PEER }),
            }
        }
    }

    /// Asks for a full report.
    pub(super) async fn ask_all(&mut self, settings: &BambuSettings) -> Result<(), SourceError> {
        let topic = settings.serial.topic("request");
        let ask = Publish::new(topic, QoS::AtMostOnce, REPORT_ALL);
        self.send(|buffer| ask.write(buffer)).await
    }

    /// Says that this client lives.
    pub(super) async fn ping(&mut self) -> Result<(), SourceError> {
        self.send(|buffer| PingReq.write(buffer)).await
    }

    /// The next report, or `None` for a packet that is none; cancel-safe.
    pub(super) async fn report(&mut self) -> Result<Option<Bytes>, SourceError> {
        match self.next().await? {
            Packet::Publish(message) => Ok(Some(message.payload)),
            Packet::Disconnect => Err(SourceError::Closed),
            _ => Ok(None),
        }
    }

    async fn next(&mut self) -> Result<Packet, SourceError> {
        loop {
            match Packet::read(&mut self.held, PACKET_BYTES_MAX) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(CodecError::PayloadSizeLimitExceeded(_)) => {
                    return Err(SourceError::TooLong { bytes_max: PACKET_BYTES_MAX });
                }
                Err(_) => return Err(SourceError::Malformed { peer: PEER }),
            }
            match self.stream.read_buf(&mut self.held).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(SourceError::Closed),
            }
        }
    }

    async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<usize, CodecError>,
    ) -> Result<(), SourceError> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).map_err(|_too_long| SourceError::KeyForm)?;
        let sending = async {
            self.stream.write_all(&buffer).await?;
            self.stream.flush().await
        };
        match timeout(ANSWER_MAX, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SourceError::Closed),
            Err(_elapsed) => Err(slow()),
        }
    }
}

fn slow() -> SourceError {
    SourceError::Slow { seconds: ANSWER_MAX.as_secs() }
}
