//! Opens a conversation with a machine: how it may be spoken to, that it is the one, who asks.
//!
//! Keeps true: a password goes to nobody but the certificate that the owner wrote down, over messages
//! that are signed and encrypted; what a machine says before is believed in nothing but what that
//! certificate proves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opcua_client::services::{ActivateSession, CreateSession};
use opcua_client::transport::{
    Connector, SecureChannelEventLoop, Transport, TransportConfiguration,
};
use opcua_client::{AsyncSecureChannel, IdentityToken, SessionRetryPolicy, UARequest};
use opcua_core::ResponseMessage;
use opcua_core::sync::RwLock;
use opcua_crypto::{CertificateStore, SecurityPolicy, X509};
use opcua_types::{
    ApplicationDescription, ApplicationType, ContextOwned, DateTime, DecodingOptions,
    EndpointDescription, GetEndpointsRequest, MessageSecurityMode, NamespaceMap, NodeId,
    RequestHeader, UserTokenType,
};
use tokio::time::timeout;

use super::frames::{self, FRAME_BYTES_MAX};
use super::identity::{self, Identity};
use super::session::{ANSWER_MAX, PEER, Session, during, farewell, told};
use super::settings::{Access, Secured};
use crate::sources::error::SourceError;
use crate::sources::fingerprint::Fingerprint;

/// Parts of a message, at most: with [`FRAME_BYTES_MAX`] no message is longer than 1 MiB.
const PARTS_MAX: usize = 8;

/// Longest text, longest certificate and longest list that are taken.
const TEXT_BYTES_MAX: usize = 4096;
const BYTES_MAX: usize = 16 * 1024;
const LIST_MAX: usize = 1024;

/// Size of the parts that are offered to the machine, bytes.
const PART_BYTES: usize = 65_535;

/// How long a channel's keys are used before they are renewed, milliseconds.
const CHANNEL_MS: u32 = 3_600_000;

/// The agent's side of a conversation that is secured.
pub(super) struct Own {
    pub(super) identity: Identity,
    /// Name and password.
    pub(super) login: Option<(String, String)>,
}

/// Opens a conversation; the session outlives `silence` without a word.
pub(super) async fn open(
    url: &str,
    access: &Access,
    own: Option<&Own>,
    silence: Duration,
) -> Result<Session<impl Transport + use<>>, SourceError> {
    let connector = frames::connector(url);
    let offered = offered(&connector, url).await?;
    let endpoint = chosen(url, access, offered)?;
    let machine = match access {
        Access::Open => None,
        Access::Secured(secured) => Some(verified(&endpoint, secured)?.to_string()),
    };
    let own = own.zip(machine);
    let (store, _kept) = match &own {
        Some((own, machine)) => {
            let (store, kept) = own.identity.store(machine);
            (store, Some(kept))
        }
        None => (no_store(), None),
    };
    let own = own.map(|(own, _)| own);
    connected(&connector, endpoint, Arc::new(RwLock::new(store)), own, silence).await
}

/// The ways in which the machine may be spoken to; asked in clear, and nothing of it is believed but what
/// the pinned certificate proves after.
async fn offered<C: Connector>(
    connector: &C,
    url: &str,
) -> Result<Vec<EndpointDescription>, SourceError> {
    let channel = channel(Arc::new(RwLock::new(no_store())), url.into());
    let mut events = match reached(&channel, connector).await {
        // Whoever ends it at the first words speaks another language.
        Err(SourceError::Closed) => return Err(SourceError::Malformed { peer: PEER }),
        reached => reached?,
    };
    let request = GetEndpointsRequest {
        request_header: RequestHeader::new(
            &NodeId::null(),
            &DateTime::now(),
            channel.request_handle(),
        ),
        endpoint_url: url.into(),
        locale_ids: None,
        profile_uris: None,
    };
    let answer = during(&mut events, channel.send(request, ANSWER_MAX)).await?;
    farewell(&channel, &mut events).await;
    match answer {
        ResponseMessage::GetEndpoints(answer) => Ok(answer.endpoints.unwrap_or_default()),
        _ => Err(SourceError::Malformed { peer: PEER }),
    }
}

/// The way that the owner wrote, at the address that the owner wrote.
fn chosen(
    url: &str,
    access: &Access,
    offered: Vec<EndpointDescription>,
) -> Result<EndpointDescription, SourceError> {
    let (policy, mode, token) = match access {
        Access::Open => (SecurityPolicy::None, MessageSecurityMode::None, UserTokenType::Anonymous),
        Access::Secured(Secured { policy, login, .. }) => {
            let token =
                login.as_ref().map_or(UserTokenType::Anonymous, |_| UserTokenType::UserName);
            (*policy, MessageSecurityMode::SignAndEncrypt, token)
        }
    };
    let fits = |one: &EndpointDescription| {
        one.security_mode == mode
            && SecurityPolicy::from_uri(one.security_policy_uri.as_ref()) == policy
            && one.find_policy(token).is_some()
    };
    let found = offered.into_iter().find(fits);
    let found = found.ok_or(SourceError::NotOffered { peer: PEER })?;
    Ok(EndpointDescription { endpoint_url: url.into(), ..found })
}

/// That the machine shows the certificate that the owner wrote down.
fn verified(endpoint: &EndpointDescription, secured: &Secured) -> Result<Fingerprint, SourceError> {
    let shown = endpoint.server_certificate.value.as_deref().unwrap_or_default();
    // Of a list of certificates the first is the machine's; the library takes no list.
    X509::from_der(shown).map_err(|_none| SourceError::Malformed { peer: PEER })?;
    let seen = Fingerprint::of(shown);
    match secured.certificate {
        Some(expected) if expected == seen => Ok(seen),
        Some(_) => Err(SourceError::CertificateOther { seen: seen.to_string() }),
        None => Err(SourceError::CertificateUnknown { seen: seen.to_string() }),
    }
}

async fn connected<C: Connector>(
    connector: &C,
    endpoint: EndpointDescription,
    store: Arc<RwLock<CertificateStore>>,
    own: Option<&Own>,
    silence: Duration,
) -> Result<Session<C::Transport>, SourceError> {
    let channel = channel(Arc::clone(&store), endpoint.clone());
    let mut events = reached(&channel, connector).await?;
    let handle = channel.request_handle();
    let mut create =
        CreateSession::new_manual(&store, &endpoint, 0, ANSWER_MAX, NodeId::null(), handle)
            .client_description(description())
            .endpoint_url(endpoint.endpoint_url.clone())
            .session_name(identity::NAME)
            .session_timeout(silence.as_secs_f64() * 1000.0)
            .max_response_message_size(u32::try_from(FRAME_BYTES_MAX).unwrap_or(0));
    if let Some(own) = own {
        create = create.client_certificate(own.identity.certificate.clone());
    }
    let token = during(&mut events, create.send(&channel)).await?.authentication_token;
    let handle = channel.request_handle();
    let mut activate =
        ActivateSession::new_manual(endpoint.clone(), 0, ANSWER_MAX, token.clone(), handle);
    if let Some(own) = own {
        activate = activate.private_key(own.identity.key.clone());
        if let Some((user, password)) = &own.login {
            let login = IdentityToken::new_user_name(user.as_str(), password.as_str());
            activate = activate.identity_token(login);
        }
    }
    during(&mut events, activate.send(&channel)).await?;
    Ok(Session { channel, events, token })
}

/// Connects a channel.
async fn reached<C: Connector>(
    channel: &AsyncSecureChannel,
    connector: &C,
) -> Result<SecureChannelEventLoop<C::Transport>, SourceError> {
    match timeout(ANSWER_MAX, channel.connect_no_retry(connector)).await {
        Ok(connected) => connected.map_err(|error| told(&error)),
        Err(_elapsed) => Err(SourceError::Slow { seconds: ANSWER_MAX.as_secs() }),
    }
}

/// A channel that is not yet open.
fn channel(
    store: Arc<RwLock<CertificateStore>>,
    endpoint: EndpointDescription,
) -> AsyncSecureChannel {
    let options = DecodingOptions {
        max_message_size: FRAME_BYTES_MAX,
        max_chunk_count: PARTS_MAX,
        max_string_length: TEXT_BYTES_MAX,
        max_byte_string_length: BYTES_MAX,
        max_array_length: LIST_MAX,
        ..DecodingOptions::default()
    };
    let transport = TransportConfiguration {
        send_buffer_size: PART_BYTES,
        recv_buffer_size: PART_BYTES,
        max_message_size: FRAME_BYTES_MAX,
        max_chunk_count: PARTS_MAX,
    };
    let context = ContextOwned::new_default(NamespaceMap::new(), options);
    let never = SessionRetryPolicy::new(Duration::ZERO, Some(0), Duration::ZERO);
    AsyncSecureChannel::new(
        store,
        endpoint.into(),
        never,
        // The keys' age is counted by the machine's clock, whatever the time is here.
        true,
        Arc::default(),
        transport,
        CHANNEL_MS,
        Arc::new(RwLock::new(context)),
    )
}

/// A store without a key, for a conversation that needs none.
fn no_store() -> CertificateStore {
    CertificateStore::new(Path::new("/nonexistent"))
}

fn description() -> ApplicationDescription {
    ApplicationDescription {
        application_uri: identity::URI.into(),
        product_uri: identity::URI.into(),
        application_name: identity::NAME.into(),
        application_type: ApplicationType::Client,
        ..ApplicationDescription::default()
    }
}
