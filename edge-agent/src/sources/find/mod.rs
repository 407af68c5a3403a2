//! Looks for printer programs where their owner says, by questions that need no key and change nothing.
//!
//! Keeps true: only the loopback's well-known ports, or the addresses that the owner named, are asked;
//! never a network. A program is taken for what it is by signs of its own (`signs`); what a server
//! says to a path that no program has is no sign. Nothing of an answer is kept, told or logged.

mod advice;
mod serial;
mod signs;

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Client;
use reqwest::header::WWW_AUTHENTICATE;
use url::Url;

use self::advice::Access;
use self::signs::{SIGNS, Seen};
use super::duet::wire::Connected;
use super::settings::Address;
use super::{SourceKind, http};

/// Time for one question: a printer's own board answers within one.
const QUESTION_MAX: Duration = Duration::from_secs(2);

/// Time for one address, so that a server which is slow with everything holds nobody up.
const ADDRESS_MAX: Duration = Duration::from_secs(6);

/// Longest answer that is read; each sign is below a tenth of it.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// Addresses that are asked at once.
const AT_ONCE: usize = 4;

/// Ports of this host at which printer programs listen unless their owner changed it: a proxy before
/// one of them, `OctoPrint`, Moonraker, `PrusaLink`, `PreFormServer`.
const PORTS: [u16; 5] = [80, 5000, 7125, 8080, signs::PREFORM_PORT];

/// A path that no program has: what a server answers to it, it answers to everything.
const NOWHERE: &str = "imprimatur-agent-asks-what-is-not-there";

/// Where serial ports have names that stay.
const SERIAL: &str = "/dev/serial/by-id";

/// What was found, for its owner's eyes only.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// What it is.
    pub kind: SourceKind,
    /// Address or device.
    pub address: String,
    /// Which credential to make, with the least rights there are.
    pub credential: &'static str,
    /// What to write into the settings.
    pub settings: String,
}

/// What came of an address that the owner named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// A program that the agent reads.
    Found(Found),
    /// Something answers that the agent does not know, or cannot tell without a key.
    Unknown,
    /// Nobody answers.
    Silent,
}

/// Looks at the well-known ports of this host and at its serial ports. A port is not opened: that
/// restarts many boards.
pub async fn here() -> Vec<Found> {
    let addresses = PORTS.map(|port| Address::parse(&format!("http://127.0.0.1:{port}")));
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    let looks = look(&addresses, Where::Here).await;
    let programs = looks.into_iter().filter_map(|look| match look {
        Look::Found(found) => Some(found),
        Look::Unknown | Look::Silent => None,
    });
    programs.chain(serial::ports(Path::new(SERIAL))).collect()
}

/// Asks each of the addresses that the owner named, in order.
pub async fn at(addresses: &[Address]) -> Vec<Look> {
    look(addresses, Where::Named).await
}

/// Whether the owner named the address: boards of their own are on no loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Here,
    Named,
}

async fn look(addresses: &[Address], place: Where) -> Vec<Look> {
    let Ok(client) = http::client(QUESTION_MAX) else {
        return vec![Look::Silent; addresses.len()];
    };
    let asked = stream::iter(addresses).map(|address| {
        let asking = Asking { client: &client, address };
        async move {
            // What was not told in time was not told.
            tokio::time::timeout(ADDRESS_MAX, asking.look(place)).await.unwrap_or(Look::Unknown)
        }
    });
    asked.buffered(AT_ONCE).collect().await
}

/// One address.
struct Asking<'a> {
    client: &'a Client,
    address: &'a Address,
}

impl Asking<'_> {
    async fn look(&self, place: Where) -> Look {
        let Some(nowhere) = self.ask(self.address.http(NOWHERE)).await else { return Look::Silent };
        let port = self.address.http("").port_or_known_default();
        for sign in &SIGNS {
            if !sign.is_asked(place == Where::Named, port) {
                continue;
            }
            let seen = self.ask(self.address.http(sign.path)).await;
            if let Some(access) = seen.and_then(|seen| (sign.read)(&seen, &nowhere)) {
                return Look::Found(advice::found(sign.kind, self.address, access));
            }
        }
        match place {
            Where::Named => self.duet().await.map_or(Look::Unknown, Look::Found),
            Where::Here => Look::Unknown,
        }
    }

    /// A Duet tells what it is by a session only; one that is opened is given back.
    async fn duet(&self) -> Option<Found> {
        let mut connect = self.address.http("rr_connect");
        // Without a key of its own a session is the address's, and closing it closes a browser's.
        connect.query_pairs_mut().append_pair("sessionKey", "yes");
        let seen = self.ask(connect).await.filter(|seen| seen.status == 200)?;
        let access = match Connected::parse(&seen.body)? {
            Connected { err: 0, session } => {
                let mut request = self.client.get(self.address.http("rr_disconnect"));
                if let Some(session) = session {
                    request = request.header("X-Session-Key", session);
                }
                // One that could not be given back ends by itself after 8 s.
                drop(request.send().await);
                Access::Open
            }
            Connected { err: 1 | 2, .. } => Access::Key,
            Connected { .. } => return None,
        };
        Some(advice::found(SourceKind::Duet, self.address, access))
    }

    /// What is there; `None` when no whole answer came.
    async fn ask(&self, url: Url) -> Option<Seen> {
        let response = self.client.get(url).send().await.ok()?;
        let status = response.status().as_u16();
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Of an answer that is too long nothing is a sign but its head.
        let body = http::body(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        Some(Seen { status, challenge, body })
    }
}
