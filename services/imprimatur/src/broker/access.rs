//! Who may do what at the broker: agents reach seven topics of their own, the bridge the rest.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;

use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::broker::events::{BrokerEventHandler, ClientPublishEvent, PublishAction};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;

/// Who may do what. A user id is given to the bridge only.
pub(super) struct Gate {
    pub(super) user: String,
    pub(super) password: Vec<u8>,
}

impl Gate {
    fn judge(&self, connect: &ConnectPacket) -> Result<AuthResult, ReasonCode> {
        if connect.protocol_version != 5 {
            return Err(ReasonCode::UnsupportedProtocolVersion);
        }
        if connect.will.is_some() {
            return Err(ReasonCode::NotAuthorized);
        }
        match (&connect.username, &connect.password) {
            (None, None) if is_subject(&connect.client_id) => Ok(AuthResult::success()),
            (None, None) => Err(ReasonCode::ClientIdentifierNotValid),
            (Some(user), Some(password))
                if *user == self.user && same(password, &self.password) =>
            {
                // An agent could take over a session whose client id is of its own form.
                if is_subject(&connect.client_id) {
                    Err(ReasonCode::ClientIdentifierNotValid)
                } else {
                    Ok(AuthResult::success_with_user(user.as_str()))
                }
            }
            _ => Err(ReasonCode::BadUsernameOrPassword),
        }
    }
}

impl AuthProvider for Gate {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _client_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = mqtt5::error::Result<AuthResult>> + Send + 'a>> {
        Box::pin(ready(Ok(self.judge(connect).unwrap_or_else(AuthResult::fail))))
    }

    fn authorize_publish<'a>(
        &'a self,
        client_id: &str,
        user_id: Option<&'a str>,
        topic: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let allowed = match (user_id, own_topic(topic)) {
            (Some(_bridge), Some((_subject, kind))) => goes_down(kind),
            (None, Some((subject, kind))) => subject == client_id && goes_up(kind),
            (Some(_bridge), None) => is_probe(topic),
            (None, None) => false,
        };
        Box::pin(ready(allowed))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client_id: &str,
        user_id: Option<&'a str>,
        topic_filter: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let allowed = match user_id {
            Some(_bridge) => {
                let shared =
                    topic_filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
                let kind =
                    shared.and_then(|(_group, topic)| topic.strip_prefix("imprimatur/v1/+/"));
                kind.is_some_and(goes_up) || is_probe(topic_filter)
            }
            None => own_topic(topic_filter)
                .is_some_and(|(subject, kind)| subject == client_id && goes_down(kind)),
        };
        Box::pin(ready(allowed))
    }
}

/// Throws retained messages away: the library stores them even after it told its clients that it
/// does not.
pub(super) struct NothingRetained;

impl BrokerEventHandler for NothingRetained {
    fn on_client_publish<'a>(
        &'a self,
        event: ClientPublishEvent,
    ) -> Pin<Box<dyn Future<Output = PublishAction> + Send + 'a>> {
        let action = if event.retain { PublishAction::Handled } else { PublishAction::Continue };
        Box::pin(ready(action))
    }
}

/// The subject and the last part of `imprimatur/v1/{subject}/{kind}`; `None` for anything else.
fn own_topic(topic: &str) -> Option<(&str, &str)> {
    let (subject, kind) = topic.strip_prefix("imprimatur/v1/")?.split_once('/')?;
    is_subject(subject).then_some((subject, kind))
}

/// Whether agents write such topics, and the bridge reads them.
fn goes_up(kind: &str) -> bool {
    matches!(kind, "batch" | "consent" | "request")
}

/// Whether the bridge writes such topics, and agents read them.
fn goes_down(kind: &str) -> bool {
    matches!(kind, "verdict" | "receipt" | "answer" | "busy")
}

/// Whether it is a topic on which a bridge writes to itself, to see what the broker drops.
fn is_probe(topic: &str) -> bool {
    topic.strip_prefix("imprimatur/v1/probe/").is_some_and(is_subject)
}

/// Whether it is 32 lower-case hex digits.
fn is_subject(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Compares without telling by its time where the first difference is; the length is no secret.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b));
    left.len() == right.len() && std::hint::black_box(differences) == 0
}
