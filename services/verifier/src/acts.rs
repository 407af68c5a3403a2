//! Acts of the owner through rights requests: each must be signed with a key of its subject.

use imprimatur_consent::event::{Acting, What};
use imprimatur_consent::{Digest, Domain, Standing, VerifyingKey};
use imprimatur_proto::contract;
use imprimatur_proto::rights::v1::{RightsMessage, RightsRequest, Verb};

/// Whether the event is no act of the owner, or one that the owner signed. The operator's and the
/// clock's acts are their own word.
pub(crate) fn proven(what: &What, standing: &Standing) -> bool {
    let (signed_request, key) = match what.by() {
        None | Some(Acting::Operator {} | Acting::Clock {}) => return true,
        Some(Acting::Owner { signed_request }) => (signed_request, Some(standing.public_key)),
        Some(Acting::Recovery { signed_request }) => (signed_request, standing.recovery),
    };
    let verb = key.and_then(|key| asked(signed_request, key));
    verb.is_some_and(|verb| fits(verb, what))
}

/// The verb of a request that this key signed.
fn asked(signed_request: &str, key: Digest) -> Option<Verb> {
    let bytes = hex::decode(signed_request).ok()?;
    let message: RightsMessage = contract().decode(&bytes).ok()?;
    let request: RightsRequest = contract().decode(&message.request).ok()?;
    let signs = VerifyingKey::from_bytes(&key.0).ok()?.verifies(
        Domain::Rights,
        &message.request,
        &message.signature,
    );
    (signs && request.public_key == key.0).then(|| request.verb())
}

fn fits(verb: Verb, what: &What) -> bool {
    match what {
        What::Consent { .. } | What::Expired { .. } => false,
        What::Restricted { .. } => verb == Verb::Restrict,
        What::Released { .. } => verb == Verb::Release,
        What::ErasureRequested { .. } => verb == Verb::Erase,
        What::Objected { .. } => matches!(verb, Verb::Object | Verb::Withdraw),
        What::Rectified { .. } => verb == Verb::Rectify,
        What::Complained { .. } => verb == Verb::Complain,
    }
}
