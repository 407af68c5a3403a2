//! A subject's consent as JSON-LD: record and receipt by ISO/IEC TS 27560:2023 in the terms of the
//! W3C Data Privacy Vocabulary, after its guide "Consent Records and Receipts as per ISO/IEC TS
//! 27560:2023 using DPV".
//!
//! A record has a header, the notices by hash and language, one process for each purpose with its
//! own history of states, and the parties. A receipt wraps a record. Only terms that the vocabulary
//! publishes are used; one test holds the list. Where the guide names a term that the vocabulary
//! lacks (`ConsentTerminated`), the vocabulary's own is used (`ConsentRevoked`).

mod history;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use imprimatur_runtime::UtcDate;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::event::What;
use crate::ids::{Digest, SubjectId};
use crate::policy::Policy;
use crate::standing::InvalidEvent;
use crate::state::State;
use crate::terms::Terms;
use history::{By, Course, Status};

/// Prefixes and what they stand for.
const CONTEXT: [(&str, &str); 6] = [
    ("dct", "http://purl.org/dc/terms/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("eu-gdpr", "https://w3id.org/dpv/legal/eu/gdpr#"),
    ("loc", "https://w3id.org/dpv/loc#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
];

/// The profile's schemas of a record and a receipt.
const SCHEMA: &str = "https://w3id.org/dpv/schema/dpv-27560";

/// Articles of Regulation (EU) 2016/679, what they give, and where it is exercised.
const RIGHTS: [(&str, &str, &str); 8] = [
    ("eu-gdpr:A7-3", "Withdraw consent", ON_THE_DEVICE),
    ("eu-gdpr:A15", "Access", ON_THE_DEVICE),
    ("eu-gdpr:A16", "Rectification", ON_THE_DEVICE),
    ("eu-gdpr:A17", "Erasure", ON_THE_DEVICE),
    ("eu-gdpr:A18", "Restriction", ON_THE_DEVICE),
    ("eu-gdpr:A20", "Portability", ON_THE_DEVICE),
    ("eu-gdpr:A21", "Objection", ON_THE_DEVICE),
    ("eu-gdpr:A77", "Complaint to the authority", "the authority that this record names"),
];

const ON_THE_DEVICE: &str = "the agent on the device, or the recovery code on any other";

/// The consent record of a subject: what its recorded events, oldest first, come to on a date.
///
/// # Errors
/// [`InvalidEvent`] when nothing was ever granted, an event does not follow from those before it,
/// or they are not of this subject.
pub fn record(
    subject: SubjectId,
    history: &[(UtcDate, What)],
    terms: &Terms,
    today: UtcDate,
) -> Result<Value, InvalidEvent> {
    let mut record = bare_record(subject, history, terms, today)?;
    put(&mut record, "@context", context());
    Ok(record)
}

/// The consent receipt of a subject: its record, wrapped for its owner.
///
/// # Errors
/// As [`record`].
pub fn receipt(
    subject: SubjectId,
    history: &[(UtcDate, What)],
    terms: &Terms,
    today: UtcDate,
) -> Result<Value, InvalidEvent> {
    let record = bare_record(subject, history, terms, today)?;
    let events = u64::try_from(history.len()).unwrap_or(u64::MAX).to_be_bytes();
    let id = uuid("receipt", &[&subject.0, &events, &today.0.to_be_bytes()]);
    Ok(json!({
        "@context": context(),
        "@id": format!("urn:uuid:{id}"),
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": reference(&format!("{SCHEMA}#receipt")),
        "dct:identifier": id,
        "dpv:hasIdentifier": id,
        "dct:created": today.to_string(),
        "dct:audience": reference("_:subject"),
        "dpv:hasRecordOfActivity": record,
    }))
}

fn bare_record(
    subject: SubjectId,
    history: &[(UtcDate, What)],
    terms: &Terms,
    today: UtcDate,
) -> Result<Value, InvalidEvent> {
    let course = Course::of(history, terms, today)?;
    if course.standing.subject() != subject {
        return Err(InvalidEvent::Foreign);
    }
    // A record without a process is none.
    if course.statuses.is_empty() {
        return Err(InvalidEvent::Incomplete);
    }
    let id = uuid("record", &[&subject.0]);
    let mut policies: BTreeMap<Digest, &Policy> = BTreeMap::new();
    let mut notices: BTreeMap<String, Value> = BTreeMap::new();
    let mut processes: BTreeMap<&str, Vec<&Status>> = BTreeMap::new();
    for status in &course.statuses {
        let policy = terms.policy(status.policy).ok_or(InvalidEvent::PolicyUnknown)?;
        policies.insert(policy.hash, policy);
        notices.insert(notice_id(status), notice(status, policy));
        let purpose = policy.purposes.get(&status.category).ok_or(InvalidEvent::NotOffered)?;
        processes.entry(purpose.key.as_str()).or_default().push(status);
    }
    let all: Vec<Value> = processes.values().filter_map(|all| process(all, &policies)).collect();
    let operators = policies.values().map(|policy| reference(&operator_id(policy)));
    let regions = policies.values().flat_map(|policy| regions(policy));
    Ok(json!({
        "@id": format!("urn:uuid:{id}"),
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": reference(&format!("{SCHEMA}#record")),
        "dct:identifier": id,
        "dpv:hasIdentifier": id,
        "dct:created": history.first().map(|(date, _)| date.to_string()),
        "dct:modified": history.last().map(|(date, _)| date.to_string()),
        "dpv:hasDataSubject": reference("_:subject"),
        "dpv:hasDataController": operators.collect::<Vec<_>>(),
        "dpv:hasJurisdiction": distinct(regions),
        "dpv:hasLegalBasis": reference("dpv:ExplicitlyExpressedConsent"),
        "dpv:hasNotice": notices.into_values().collect::<Vec<_>>(),
        "dpv:hasProcess": all,
        "dpv:hasEntity": entities(subject, &policies),
    }))
}

/// One purpose: what it uses, how long, for whom, how to end it, and its states, oldest first.
fn process(statuses: &[&Status], policies: &BTreeMap<Digest, &Policy>) -> Option<Value> {
    let last = statuses.last()?;
    let policy = policies.get(&last.policy)?;
    let purpose = policy.purposes.get(&last.category)?;
    let names = statuses.iter().map(|status| json!(status.category.name()));
    let data = distinct(names).into_iter().map(|name| {
        json!({
            "@type": "dpv:PseudonymisedData",
            "dct:identifier": name,
            "dpv:hasNecessity": reference("dpv:Optional"),
            "dpv:hasDataSource": reference("dpv:DataSubjectDataSource"),
        })
    });
    let operator = operator_id(policy);
    let history: Vec<Value> = statuses.iter().map(|status| event(status)).collect();
    Some(json!({
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": "dpv:Purpose",
            "skos:broader": reference("dpv:ServiceOptimisation"),
            "dct:identifier": purpose.key,
            "dct:description": {
                "@value": purpose.text(&last.language),
                "@language": last.language,
            },
        },
        "dpv:hasPersonalData": data.collect::<Vec<_>>(),
        "dpv:hasStorageCondition": storage(policy),
        "dpv:hasDataController": reference(&operator),
        "dpv:hasRecipient": reference(&operator),
        "dpv:hasLegalBasis": reference("dpv:ExplicitlyExpressedConsent"),
        "dpv:hasJurisdiction": regions(policy),
        "dpv:hasConsentControl": {
            "@type": ["dpv:ProvideConsent", "dpv:ReaffirmConsent", "dpv:WithdrawConsent"],
            "dpv:isExercisedAt": ON_THE_DEVICE,
        },
        "dpv:hasRight": rights(),
        "dpv:hasConsentStatus": history,
    }))
}

fn event(status: &Status) -> Value {
    let by = match status.by {
        By::Subject => "_:subject".to_owned(),
        By::Operator => format!("_:operator-{}", status.policy),
    };
    let duration = match status.until {
        Some(until) => json!({ "@type": "dpv:UntilTimeDuration", "rdf:value": until.to_string() }),
        None => json!({ "@type": "dpv:UntilEventDuration", "rdf:value": "a new decision" }),
    };
    json!({
        "@type": [term(status.state), "dpv:ExplicitlyExpressedConsent"],
        "dct:identifier": status.category.name(),
        "dpv:isIndicatedAtTime": status.date.to_string(),
        "dpv:hasDuration": duration,
        "dpv:isIndicatedBy": reference(&by),
        "dpv:hasIndicationMethod": status.method,
        "dpv:hasNotice": reference(&notice_id(status)),
    })
}

/// The vocabulary's term of a state.
fn term(state: State) -> &'static str {
    match state {
        State::Unknown => "dpv:ConsentUnknown",
        State::Requested => "dpv:ConsentRequested",
        State::Deferred => "dpv:ConsentRequestDeferred",
        State::Refused => "dpv:ConsentRefused",
        State::Given => "dpv:ConsentGiven",
        State::Renewed => "dpv:RenewedConsentGiven",
        State::Withdrawn => "dpv:ConsentWithdrawn",
        State::Expired => "dpv:ConsentExpired",
        State::Terminated => "dpv:ConsentRevoked",
        State::Invalidated => "dpv:ConsentInvalidated",
    }
}

fn storage(policy: &Policy) -> Value {
    let days =
        |days: u32| json!({ "@type": "dpv:TemporalDuration", "rdf:value": format!("P{days}D") });
    let duration = |of: &str, number| {
        json!({
            "@type": "dpv:StorageDuration",
            "dct:description": of,
            "dpv:hasDuration": days(number),
        })
    };
    json!([
        { "@type": "dpv:StorageLocation", "dpv:hasLocation": regions(policy) },
        duration("what is told of prints", policy.retention.print_days),
        duration("what is told of days", policy.retention.day_days),
        {
            "@type": "dpv:StorageDeletion",
            "dct:description": "after a request, everywhere, backups included",
            "dpv:hasDuration": days(policy.deadlines.erasure_days.max(policy.deadlines.backup_days)),
        },
    ])
}

fn rights() -> Vec<Value> {
    let right = |(article, title, at): (&str, &str, &str)| {
        json!({
            "@type": ["dpv:DataSubjectRight", article],
            "dct:title": title,
            "dpv:isExercisedAt": at,
        })
    };
    RIGHTS.into_iter().map(right).collect()
}

fn entities(subject: SubjectId, policies: &BTreeMap<Digest, &Policy>) -> Vec<Value> {
    let mut entities = vec![json!({
        "@id": "_:subject",
        "@type": "dpv:DataSubject",
        "dpv:hasIdentifier": subject.to_string(),
    })];
    for policy in policies.values() {
        let (operator, id) = (&policy.operator, operator_id(policy));
        let authority = format!("_:authority-{}", policy.hash);
        entities.push(json!({
            "@id": id,
            "@type": "dpv:DataController",
            "dpv:hasIdentifier": id,
            "dpv:hasName": operator.name,
            "dpv:hasAddress": operator.contact,
            "dpv:hasContact": operator.contact,
            "dpv:hasAuthority": reference(&authority),
        }));
        entities.push(json!({
            "@id": authority,
            "@type": "dpv:DataProtectionAuthority",
            "dpv:hasIdentifier": authority,
            "dpv:hasName": operator.authority,
        }));
    }
    entities
}

fn notice(status: &Status, policy: &Policy) -> Value {
    let notice = policy.notices.get(&status.language);
    json!({
        "@id": notice_id(status),
        "@type": "dpv:ConsentNotice",
        "dct:identifier": notice.map(|notice| format!("sha256:{}", notice.hash)),
        "dct:language": status.language,
        "dct:isPartOf": format!("sha256:{}", policy.hash),
        "dct:title": format!("{}, version {}", policy.name, policy.version),
    })
}

fn notice_id(status: &Status) -> String {
    format!("_:notice-{}-{}", status.language, status.policy)
}

fn operator_id(policy: &Policy) -> String {
    format!("_:operator-{}", policy.hash)
}

/// The EEA has a term of its own, a country is named by its letters.
fn regions(policy: &Policy) -> Vec<Value> {
    let region = |region: &String| match region.as_str() {
        "EEA" => reference("loc:EEA"),
        country => json!({ "@type": "dpv:Country", "dct:identifier": country }),
    };
    policy.regions.iter().map(region).collect()
}

fn context() -> Value {
    CONTEXT.into_iter().map(|(prefix, iri)| (prefix.to_owned(), json!(iri))).collect()
}

fn reference(id: &str) -> Value {
    json!({ "@id": id })
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn distinct(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut kept = Vec::new();
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

/// A UUID of version 8 (RFC 9562): of SHA-256 over the domain and the parts, so that the same
/// record has the same name wherever it is made.
fn uuid(kind: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new_with_prefix(format!("imprimatur.{kind}.v1\0"));
    for part in parts {
        hash.update(part);
    }
    let mut bytes: [u8; 16] = [0; 16];
    for ((place, to), from) in bytes.iter_mut().enumerate().zip(hash.finalize()) {
        *to = match place {
            6 => from & 0x0f | 0x80,
            8 => from & 0x3f | 0x80,
            _ => from,
        };
    }
    let hex = hex::encode(bytes);
    let mut uuid = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if [8, 12, 16, 20].contains(&place) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}
