//! A Bambu Lab printer's broker: Mosquitto with a certificate of its own, and a script as the printer.
//!
//! Keeps true: clients see what the printer lets them see (TLS, one account, one topic to hear and
//! one to write), and what they write is kept, so that a test can count. The printer's own side
//! goes over a second listener. It is no printer: it says what the test says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::openssl::{openssl, run};
use crate::peers::{PeerError, free_port, installed, make_folder, not_ready, spawn, write};
use crate::process::Guarded;
use crate::{ports, wait};

/// The account that clients have.
const USER: &str = "bblp";

/// It listens after some 20 ms.
const START: Duration = Duration::from_secs(10);

/// A printer that runs; ends when dropped.
#[derive(Debug)]
pub struct PlayedBambu {
    folder: PathBuf,
    serial: String,
    ports: [u16; 2],
    broker: Option<Guarded>,
    own: AsyncClient,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

/// What the printer's side heard.
#[derive(Debug, Default)]
struct Heard {
    asked: Vec<String>,
    /// How often it began to listen.
    listens: usize,
}

impl Drop for PlayedBambu {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PlayedBambu {
    /// Starts a broker in `folder` for the printer `serial` with the access code `code`.
    ///
    /// # Errors
    /// When Mosquitto or OpenSSL is not installed, or the broker does not listen within 10 s.
    pub async fn start(folder: &Path, serial: &str, code: &str) -> Result<Self, PeerError> {
        let folder = folder.join("bambu");
        make_folder(&folder)?;
        let ports = [free_port()?, free_port()?];
        write(&folder.join("acl"), &access(serial))?;
        write(&folder.join("mosquitto.conf"), &configuration(&folder, ports))?;
        let passwords = installed("mosquitto_passwd", &["/usr/bin/mosquitto_passwd"])?;
        for (flag, user, password) in [("-c", USER, code), ("-b", "printer", "printer")] {
            let mut command = Command::new(&passwords);
            command.args(["-b", flag]).arg(folder.join("passwords")).args([user, password]);
            run("mosquitto_passwd", command)?;
        }
        let mut options = MqttOptions::new("printer", "127.0.0.1", ports[1]);
        options.set_credentials("printer", "printer");
        let (own, events) = AsyncClient::new(options, 64);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let topic = format!("device/{serial}/request");
        let task = tokio::spawn(listen(events, own.clone(), topic, Arc::clone(&heard)));
        let serial = serial.to_owned();
        let mut printer = Self { folder, serial, ports, broker: None, own, heard, task };
        printer.new_certificate().await?;
        Ok(printer)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("mqtts://127.0.0.1:{}", self.ports[0])
    }

    /// SHA-256 of its certificate, in hexadecimal.
    ///
    /// # Errors
    /// When OpenSSL cannot read it.
    pub fn certificate_sha256(&self) -> Result<String, PeerError> {
        let mut command = openssl()?;
        command.args(["x509", "-outform", "DER", "-in"]).arg(self.folder.join("cert.pem"));
        Ok(hex::encode(Sha256::digest(run("openssl", command)?)))
    }

    /// Makes a certificate as the printer's maker does, with its serial number as name, and restarts.
    ///
    /// # Errors
    /// As [`PlayedBambu::start`].
    pub async fn new_certificate(&mut self) -> Result<(), PeerError> {
        let mut command = openssl()?;
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
        command.arg(format!("/CN={}", self.serial));
        command.arg("-keyout").arg(self.folder.join("key.pem"));
        command.arg("-out").arg(self.folder.join("cert.pem"));
        run("openssl", command)?;
        self.restart().await
    }

    /// Restarts the broker, as when the printer is switched off and on.
    ///
    /// # Errors
    /// When it does not listen within 10 s.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        if let Some(broker) = self.broker.take() {
            broker.terminate().await.map_err(|source| PeerError::run("mosquitto", source))?;
        }
        let before = lock(&self.heard).listens;
        let program = installed("mosquitto", &["/usr/sbin/mosquitto", "/usr/bin/mosquitto"])?;
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        let mut broker = spawn("mosquitto", command, &self.folder)?;
        let address = ports::loopback(self.ports[0]);
        wait::until(START, "a listening broker", async || match broker.try_status() {
            Ok(None) => TcpStream::connect(address).await.map_err(|error| error.to_string()),
            ended => Err(format!("ended: {ended:?}")),
        })
        .await
        .map_err(|waited| not_ready(waited, &broker.log_text()))?;
        // What a client asks at once must be heard.
        wait::until(START, "the printer's own side", async || match lock(&self.heard).listens {
            listens if listens > before => Ok(()),
            listens => Err(format!("it listened {listens} times")),
        })
        .await
        .map_err(|waited| not_ready(waited, &broker.log_text()))?;
        self.broker = Some(broker);
        Ok(())
    }

    /// Lets the printer say something to whoever listens.
    ///
    /// # Errors
    /// When its side of the broker is gone.
    pub async fn say(&self, message: &str) -> Result<(), PeerError> {
        let topic = format!("device/{}/report", self.serial);
        let sent = self.own.publish(topic, QoS::AtLeastOnce, false, message).await;
        sent.map_err(|error| {
            PeerError::run("the printer", std::io::Error::other(error.to_string()))
        })
    }

    /// What clients wrote, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.heard).asked.clone()
    }

    /// How often a client logged in since the first start.
    pub fn connections(&self) -> usize {
        let log = self.broker.as_ref().map(Guarded::log_text).unwrap_or_default();
        let own = format!("u'{USER}'");
        log.lines().filter(|l| l.contains("New client connected") && l.contains(&own)).count()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What clients may: hear the reports, write requests.
fn access(serial: &str) -> String {
    format!(
        "user {USER}\ntopic read device/{serial}/report\ntopic write device/{serial}/request\n\
         user printer\ntopic readwrite #\n"
    )
}

fn configuration(folder: &Path, [outer, own]: [u16; 2]) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "user root\npersistence false\nallow_anonymous false\nlog_type all\n\
         password_file {}\nacl_file {}\n\
         listener {outer} 127.0.0.1\ncertfile {}\nkeyfile {}\n\
         listener {own} 127.0.0.1\n",
        path("passwords"),
        path("acl"),
        path("cert.pem"),
        path("key.pem")
    )
}

/// The printer's side: keeps what clients write, over restarts of the broker.
async fn listen(
    mut events: rumqttc::EventLoop,
    own: AsyncClient,
    topic: String,
    heard: Arc<Mutex<Heard>>,
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if own.try_subscribe(topic.clone(), QoS::AtLeastOnce).is_err() {
                    return;
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                lock(&heard).asked.push(text);
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => lock(&heard).listens += 1,
            Ok(_) => {}
            Err(_away) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
