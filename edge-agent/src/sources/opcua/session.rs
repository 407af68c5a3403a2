//! A conversation with a machine: where units are, and values.
//!
//! There is no code that writes, calls, subscribes or browses. Nothing that a machine wrote is in an
//! error: only what its status codes mean.

use std::time::Duration;

use opcua_client::services::{CloseSession, Read, TranslateBrowsePaths};
use opcua_client::transport::{SecureChannelEventLoop, Transport, TransportPollResult};
use opcua_client::{AsyncSecureChannel, UARequest};
use opcua_types::{
    BrowsePath, BrowsePathResult, DataValue, Error, NodeId, QualifiedName, ReadValueId,
    ReferenceTypeId, RelativePath, RelativePathElement, StatusCode, VariableId, Variant,
};

use super::frames::FRAME_BYTES_MAX;
use super::nodes::{Asked, Mapping};
use crate::sources::error::SourceError;

/// Name in messages.
pub(super) const PEER: &str = "the machine";

/// What to do about a refused login.
const REMEDY: &str = "write the name and password of an account that may read into the settings";

/// Time for one answer.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Time for saying goodbye; a machine that does not hear it ends the session by itself.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// An open conversation.
pub(super) struct Session<T> {
    pub(super) channel: AsyncSecureChannel,
    pub(super) events: SecureChannelEventLoop<T>,
    /// Stands for the session in each question.
    pub(super) token: NodeId,
}

impl<T: Transport> Session<T> {
    /// The mapping's nodes as they are at this machine, with their units: four questions.
    pub(super) async fn resolve(&mut self, mapping: &Mapping) -> Result<Vec<Asked>, SourceError> {
        let array = self.values(vec![VariableId::Server_NamespaceArray.into()]).await?;
        let mut asked = mapping.resolve(&namespaces(array.first()))?;
        // What is not there, or of another type, is no matter of units.
        let values = self.values(asked.iter().map(|one| one.node.clone()).collect()).await?;
        mapping.shown(&asked, &values)?;
        let measured: Vec<NodeId> = asked
            .iter()
            .filter(|one| one.role.quantity().is_some())
            .map(|one| one.node.clone())
            .collect();
        let mut units = self.units(measured).await?.into_iter();
        for one in asked.iter_mut().filter(|one| one.role.quantity().is_some()) {
            let said = units.next().flatten();
            one.take_unit(said.as_ref(), mapping.laser_watts)?;
        }
        Ok(asked)
    }

    /// What the machine says of the units of these nodes, in their order.
    async fn units(&mut self, nodes: Vec<NodeId>) -> Result<Vec<Option<DataValue>>, SourceError> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let paths = nodes.into_iter().map(path_of_units).collect();
        let handle = self.channel.request_handle();
        let find = TranslateBrowsePaths::new_manual(0, ANSWER_MAX, self.token.clone(), handle)
            .browse_paths(paths);
        let found = during(&mut self.events, find.send(&self.channel)).await?;
        let place = |found: BrowsePathResult| {
            found.targets.unwrap_or_default().into_iter().next().map(|one| one.target_id.node_id)
        };
        let places = found.results.unwrap_or_default().into_iter().map(place);
        let places: Vec<Option<NodeId>> = places.collect();
        let known: Vec<NodeId> = places.iter().flatten().cloned().collect();
        let mut values =
            if known.is_empty() { Vec::new() } else { self.values(known).await? }.into_iter();
        let good = |value: &DataValue| value.status.is_none_or(|status| status.is_good());
        Ok(places.iter().map(|place| place.as_ref().and(values.next().filter(good))).collect())
    }

    /// The values of these nodes, in their order: one question.
    pub(super) async fn values(
        &mut self,
        nodes: Vec<NodeId>,
    ) -> Result<Vec<DataValue>, SourceError> {
        let count = nodes.len();
        let nodes: Vec<ReadValueId> = nodes.into_iter().map(ReadValueId::from).collect();
        let handle = self.channel.request_handle();
        let read = Read::new_manual(0, ANSWER_MAX, self.token.clone(), handle).nodes_to_read(nodes);
        let answer = during(&mut self.events, read.send(&self.channel)).await?;
        let values = answer.results.unwrap_or_default();
        if values.len() == count { Ok(values) } else { Err(SourceError::Malformed { peer: PEER }) }
    }

    /// Waits, and hears when the machine ends the conversation.
    pub(super) async fn rest(&mut self, time: Duration) -> Result<(), SourceError> {
        during(&mut self.events, async {
            tokio::time::sleep(time).await;
            Ok(())
        })
        .await
    }

    /// Ends the conversation, if the machine still hears it.
    pub(super) async fn close(mut self) {
        let handle = self.channel.request_handle();
        let close = CloseSession::new_manual(0, CLOSE_MAX, self.token.clone(), handle);
        if during(&mut self.events, close.send(&self.channel)).await.is_ok() {
            farewell(&self.channel, &mut self.events).await;
        }
    }
}

/// From a node to its property `EngineeringUnits`.
fn path_of_units(node: NodeId) -> BrowsePath {
    let step = RelativePathElement {
        reference_type_id: ReferenceTypeId::HasProperty.into(),
        is_inverse: false,
        include_subtypes: true,
        target_name: QualifiedName::new(0, "EngineeringUnits"),
    };
    BrowsePath { starting_node: node, relative_path: RelativePath { elements: Some(vec![step]) } }
}

/// The machine's namespaces, in the order of their indices.
fn namespaces(value: Option<&DataValue>) -> Vec<String> {
    let Some(Variant::Array(array)) = value.and_then(|value| value.value.as_ref()) else {
        return Vec::new();
    };
    let uri = |value: &Variant| match value {
        Variant::String(uri) => uri.as_ref().to_owned(),
        _ => String::new(),
    };
    array.values.iter().map(uri).collect()
}

/// Waits for an answer while the connection is served.
pub(super) async fn during<T: Transport, A>(
    events: &mut SecureChannelEventLoop<T>,
    work: impl Future<Output = Result<A, Error>>,
) -> Result<A, SourceError> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|error| told(&error)),
            polled = events.poll() => if let TransportPollResult::Closed(status) = polled {
                return Err(reason(status));
            }
        }
    }
}

/// Ends a channel; one that is not heard ends with its connection.
pub(super) async fn farewell<T: Transport>(
    channel: &AsyncSecureChannel,
    events: &mut SecureChannelEventLoop<T>,
) {
    channel.close_channel().await;
    let closed = async { while !matches!(events.poll().await, TransportPollResult::Closed(_)) {} };
    if tokio::time::timeout(CLOSE_MAX, closed).await.is_err() {
        tracing::debug!("a machine did not end its connection");
    }
}

/// What happened, without what the machine wrote.
pub(super) fn told(error: &Error) -> SourceError {
    reason(error.status())
}

fn reason(status: StatusCode) -> SourceError {
    match status {
        StatusCode::BadCommunicationError => SourceError::Unreachable,
        StatusCode::BadConnectionClosed | StatusCode::Good => SourceError::Closed,
        StatusCode::BadTimeout => SourceError::Slow { seconds: ANSWER_MAX.as_secs() },
        StatusCode::BadUserAccessDenied
        | StatusCode::BadIdentityTokenRejected
        | StatusCode::BadIdentityTokenInvalid => {
            SourceError::Password { peer: PEER, remedy: REMEDY }
        }
        StatusCode::BadSecurityChecksFailed
        | StatusCode::BadCertificateUntrusted
        | StatusCode::BadCertificateInvalid
        | StatusCode::BadCertificateUriInvalid
        | StatusCode::BadCertificateUseNotAllowed => SourceError::NotAccepted { peer: PEER },
        StatusCode::BadTooManySessions | StatusCode::BadTcpNotEnoughResources => {
            SourceError::Full { peer: PEER }
        }
        StatusCode::BadEncodingLimitsExceeded
        | StatusCode::BadTcpMessageTooLarge
        | StatusCode::BadResponseTooLarge => SourceError::TooLong { bytes_max: FRAME_BYTES_MAX },
        StatusCode::BadDecodingError | StatusCode::BadUnknownResponse => {
            SourceError::Malformed { peer: PEER }
        }
        other => SourceError::Status { peer: PEER, status: i64::from(other.bits()) },
    }
}
