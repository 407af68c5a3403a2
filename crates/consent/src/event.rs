//! What the ledger records: private events, sealed beside the log, and public ones, in clear in it.

use std::collections::BTreeMap;

use imprimatur_proto::canonical::Fault;
use imprimatur_proto::consent::v1::{ConsentEvent, SignedConsentEvent};
use imprimatur_proto::contract;
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::ids::{Digest, Pseudonym};
use crate::keys::{Domain, VerifyingKey};
use crate::standing::Restriction;

/// A private event with the random bytes that blind its commitment in the log.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEvent {
    /// Random; without it the log's entry tells nothing.
    pub nonce: Digest,
    /// What happened.
    pub what: What,
}

/// What happened to one subject.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The owner decided.
    Consent {
        /// Hex of the canonical `SignedConsentEvent`.
        signed_event: String,
    },
    /// What is held is kept and used for nothing.
    Restricted {
        /// Why, and until when.
        restriction: Restriction,
        /// Who acted.
        by: Acting,
    },
    /// A restriction ended.
    Released {
        /// Who acted.
        by: Acting,
    },
    /// Grants reached the end of their validity.
    Expired {
        /// The categories.
        categories: Vec<Category>,
    },
    /// Everything was withdrawn and is to be erased.
    ErasureRequested {
        /// Who acted.
        by: Acting,
    },
    /// The owner objected, or withdrew through a rights request.
    Objected {
        /// The categories.
        categories: Vec<Category>,
        /// Who acted.
        by: Acting,
    },
    /// Values of day records were replaced.
    Rectified {
        /// Of the records of this date and later.
        date: UtcDate,
        /// Who acted.
        by: Acting,
    },
    /// The owner complained.
    Complained {
        /// Number of the `ComplaintTopic`.
        topic: u32,
        /// Who acted.
        by: Acting,
    },
}

/// Who acted.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "acting", rename_all = "snake_case", deny_unknown_fields)]
pub enum Acting {
    /// The owner, with a key of the subject.
    Owner {
        /// Hex of the canonical `RightsMessage`: proof of the act.
        signed_request: String,
    },
    /// The owner, with the recovery code.
    Recovery {
        /// Hex of the canonical `RightsMessage`: proof of the act.
        signed_request: String,
    },
    /// The operator. Braces, so that other keys are refused here as well.
    Operator {},
    /// The passing of time.
    Clock {},
}

impl What {
    /// What the log's entry commits to, besides the nonce.
    pub fn payload(&self) -> Vec<u8> {
        // A text that is no hex, or a value that is no JSON, cannot be made; empty proves nothing.
        match self {
            Self::Consent { signed_event } => hex::decode(signed_event).unwrap_or_default(),
            Self::Restricted { .. }
            | Self::Released { .. }
            | Self::Expired { .. }
            | Self::ErasureRequested { .. }
            | Self::Objected { .. }
            | Self::Rectified { .. }
            | Self::Complained { .. } => serde_json::to_vec(self).unwrap_or_default(),
        }
    }

    /// The name of the kind of event, as in its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Consent { .. } => "consent",
            Self::Restricted { .. } => "restricted",
            Self::Released { .. } => "released",
            Self::Expired { .. } => "expired",
            Self::ErasureRequested { .. } => "erasure_requested",
            Self::Objected { .. } => "objected",
            Self::Rectified { .. } => "rectified",
            Self::Complained { .. } => "complained",
        }
    }

    /// Whoever acted through a rights request or by office; `None` for a consent event and for
    /// what time did.
    pub fn by(&self) -> Option<&Acting> {
        match self {
            Self::Consent { .. } | Self::Expired { .. } => None,
            Self::Restricted { by, .. }
            | Self::Released { by }
            | Self::ErasureRequested { by }
            | Self::Objected { by, .. }
            | Self::Rectified { by, .. }
            | Self::Complained { by, .. } => Some(by),
        }
    }
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "What({})", self.name())
    }
}

impl std::fmt::Debug for LedgerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LedgerEvent({})", self.what.name())
    }
}

impl std::fmt::Debug for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Owner { .. } => "Owner(..)",
            Self::Recovery { .. } => "Recovery(..)",
            Self::Operator {} => "Operator",
            Self::Clock {} => "Clock",
        })
    }
}

/// Why a recorded consent event cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// Not hex.
    #[error("not hex")]
    Hex,
    /// Not canonical.
    #[error("not a canonical consent event")]
    Form(#[source] Fault),
    /// Not signed by the subject that it names.
    #[error("the signature is not the subject's")]
    Signature,
}

/// The decision in the hex of a canonical `SignedConsentEvent`. Checks the form, not the signature:
/// for replaying what was checked when it was recorded.
///
/// # Errors
/// [`NotAnEvent`]: the record is damaged.
pub fn decoded(signed_event: &str) -> Result<(ConsentEvent, SignedConsentEvent), NotAnEvent> {
    let bytes = hex::decode(signed_event).map_err(|_not_hex| NotAnEvent::Hex)?;
    let signed: SignedConsentEvent = contract().decode(&bytes).map_err(NotAnEvent::Form)?;
    let event = contract().decode(&signed.event).map_err(NotAnEvent::Form)?;
    Ok((event, signed))
}

/// The same, with the signature checked: for whoever must not trust the record.
///
/// # Errors
/// [`NotAnEvent`].
pub fn opened(signed_event: &str) -> Result<ConsentEvent, NotAnEvent> {
    let (event, signed) = decoded(signed_event)?;
    let key = VerifyingKey::from_bytes(&event.public_key);
    let signs = |key: VerifyingKey| key.verifies(Domain::Consent, &signed.event, &signed.signature);
    if key.is_ok_and(signs) { Ok(event) } else { Err(NotAnEvent::Signature) }
}

/// A blinded mark of an erased key: HMAC-SHA256 under a secret of the keyring, truncated to 16
/// bytes. It tells nothing once that secret is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The slot of the secret.
    pub slot: u64,
    /// The mark.
    pub tag: Pseudonym,
}

/// What everybody may know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Public {
    /// A policy was published.
    PolicyPublished {
        /// SHA-256 of its document.
        hash: Digest,
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
        /// When it was announced.
        announced: UtcDate,
        /// From when it holds.
        effective: UtcDate,
        /// SHA-256 of the notice in each language.
        notices: BTreeMap<String, Digest>,
    },
    /// A segment of evidence was written, and so much was committed and refused until then.
    Counts {
        /// First position in the segment; 0 without one.
        first: u64,
        /// Last position in the segment; 0 without one.
        last: u64,
        /// SHA-256 of the segment, of events or of commits.
        segment: Option<Digest>,
        /// How many of what.
        counts: BTreeMap<String, u64>,
        /// When.
        on: UtcDate,
    },
    /// The key of a subject or principal was destroyed.
    KeyDestroyed {
        /// Its slot.
        slot: u64,
        /// When.
        on: UtcDate,
    },
    /// The pepper of an epoch was destroyed.
    PepperDestroyed {
        /// The epoch.
        epoch: u32,
        /// Its slot.
        slot: u64,
        /// When.
        on: UtcDate,
    },
    /// A subject's data is gone everywhere.
    ErasureCompleted {
        /// The slot of its destroyed key.
        slot: u64,
        /// Rows that were erased.
        rows: u64,
        /// Files that were rewritten or dropped.
        files: u64,
        /// What keeps the erased key from coming back while its old grant could be sent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
        /// When.
        on: UtcDate,
    },
    /// A backup was made.
    BackupMade {
        /// Its name.
        id: String,
        /// When it must be gone.
        expires: UtcDate,
        /// Size of the log that it holds.
        log_size: u64,
        /// When.
        on: UtcDate,
    },
    /// A backup was restored.
    Restored {
        /// Its name.
        backup: String,
        /// First and last position of the commits whose rows are gone.
        lost: Option<(u64, u64)>,
        /// Rows of erased subjects that were taken out again.
        erased_rows: u64,
        /// The next slot of the keyring then: what was restored names every key below it that lives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slots: Option<u64>,
        /// When.
        on: UtcDate,
    },
}

impl Public {
    /// The name of the kind of event, as in its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PolicyPublished { .. } => "policy_published",
            Self::Counts { .. } => "counts",
            Self::KeyDestroyed { .. } => "key_destroyed",
            Self::PepperDestroyed { .. } => "pepper_destroyed",
            Self::ErasureCompleted { .. } => "erasure_completed",
            Self::BackupMade { .. } => "backup_made",
            Self::Restored { .. } => "restored",
        }
    }
}

#[cfg(test)]
mod tests {
    use imprimatur_proto::canonical::encode;

    use super::*;
    use crate::keys::SigningSeed;
    use crate::testing;

    fn signed(key: &SigningSeed) -> String {
        let event = encode(&ConsentEvent {
            public_key: SigningSeed::from_seed(&[3; 32]).public().to_vec(),
            ..testing::grant(&[Category::Laser])
        });
        let signature = key.sign(Domain::Consent, &event);
        hex::encode(encode(&SignedConsentEvent { event, signature }))
    }

    #[test]
    fn only_the_subject_signs_its_events() {
        let own = signed(&SigningSeed::from_seed(&[3; 32]));
        assert!(opened(&own).is_ok());
        let foreign = signed(&SigningSeed::from_seed(&[4; 32]));
        assert_eq!(opened(&foreign), Err(NotAnEvent::Signature));
        assert!(decoded(&foreign).is_ok());
        assert_eq!(opened("zz"), Err(NotAnEvent::Hex));
        assert!(matches!(opened("ffff"), Err(NotAnEvent::Form(_))));
    }

    #[test]
    fn an_event_is_named_as_in_its_json_and_shown_by_that_name_alone() {
        let by = || Acting::Owner { signed_request: "c0ffee".to_owned() };
        let all = [
            What::Released { by: Acting::Operator {} },
            What::ErasureRequested { by: by() },
            What::Objected { categories: vec![Category::Laser], by: by() },
            What::Consent { signed_event: "c0ffee".to_owned() },
        ];
        for what in all {
            let json = serde_json::to_value(&what).unwrap();
            let tagged = json.to_string().contains(&format!("\"{}\"", what.name()));
            assert!(tagged && !what.name().is_empty(), "{json}");
            assert_eq!(format!("{what:?}"), format!("What({})", what.name()));
        }
        assert_eq!(format!("{:?}", by()), "Owner(..)");
    }

    #[test]
    fn events_are_read_back_and_show_nothing() {
        let by = Acting::Owner { signed_request: "c0ffee".to_owned() };
        let what = What::Objected { categories: vec![Category::Laser], by };
        let json = String::from_utf8(what.payload()).unwrap();
        assert_eq!(serde_json::from_str::<What>(&json).unwrap(), what);
        assert!(json.contains("\"event\":\"objected\"") && json.contains("c0ffee"));
        assert!(!format!("{what:?}").contains("c0ffee"));
        let consent = What::Consent { signed_event: "0102".to_owned() };
        assert_eq!(consent.payload(), [1, 2]);
    }

    #[test]
    fn other_keys_are_refused_in_every_event() {
        let refused = |json: serde_json::Value| {
            let text = json.to_string();
            let read = (
                serde_json::from_str::<Public>(&text).is_ok(),
                serde_json::from_str::<What>(&text).is_ok(),
            );
            read == (false, false)
        };
        let mark = serde_json::json!({"slot": 1, "tag": "00".repeat(16)});
        for honest in [
            serde_json::json!({"event": "key_destroyed", "slot": 3, "on": 20_000}),
            serde_json::json!({
                "event": "erasure_completed", "slot": 3, "rows": 1, "files": 1, "mark": mark, "on": 9
            }),
            serde_json::json!({"event": "counts", "first": 0, "last": 0, "segment": null,
                "counts": {}, "on": 9}),
            serde_json::json!({"event": "released", "by": {"acting": "operator"}}),
            serde_json::json!({"event": "released", "by": {"acting": "clock"}}),
            serde_json::json!({"event": "released",
                "by": {"acting": "owner", "signed_request": "00"}}),
            serde_json::json!({"event": "consent", "signed_event": "00"}),
        ] {
            assert!(!refused(honest.clone()), "{honest}");
            let more = |place: Option<&str>| {
                let mut json = honest.clone();
                let inside = match place {
                    Some(place) => json.get_mut(place)?,
                    None => &mut json,
                };
                inside.as_object_mut()?.insert("solid".to_owned(), "bracket".into());
                Some(json)
            };
            for place in [None, Some("by"), Some("mark")] {
                let Some(json) = more(place) else { continue };
                assert!(refused(json.clone()), "{json}");
            }
        }
    }

    #[test]
    fn a_public_event_is_named_as_its_json_says() {
        let event = Public::KeyDestroyed { slot: 3, on: UtcDate(20_000) };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], event.name());
    }
}
