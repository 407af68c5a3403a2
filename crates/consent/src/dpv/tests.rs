//! The export uses published terms only, has every mandatory part, and tells the whole history.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, Method, SignedConsentEvent};

use super::*;
use crate::Category;
use crate::event::Acting;
use crate::policy::{EpochLength, SHIPPED};
use crate::standing::{Grounds, Restriction};
use crate::testing::{TODAY, decide, grant, later, policy};

const PUBLISHED: &str = include_str!("../../tests/dpv-terms.txt");

/// The published terms: IRI by compact name.
fn published() -> BTreeMap<&'static str, &'static str> {
    let lines = PUBLISHED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).collect()
}

/// Every term that a document uses, expanded by its own context; literals that look like terms
/// are found too.
fn used(document: &Value) -> BTreeSet<String> {
    let context: BTreeMap<String, String> =
        serde_json::from_value(document["@context"].clone()).unwrap();
    let mut terms = BTreeSet::new();
    walk(document, &context, &mut terms);
    terms
}

fn walk(value: &Value, context: &BTreeMap<String, String>, terms: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter().filter(|(key, _)| *key != "@context") {
                terms.extend(expanded(key, context));
                walk(value, context, terms);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, context, terms)),
        Value::String(text) => terms.extend(expanded(text, context)),
        Value::Null => panic!("an export has no empty part"),
        Value::Bool(_) | Value::Number(_) => {}
    }
}

fn expanded(name: &str, context: &BTreeMap<String, String>) -> Option<String> {
    let (prefix, local) = name.split_once(':')?;
    let iri = context.get(prefix).map(|iri| format!("{iri}{local}"));
    iri.or_else(|| (prefix == "https").then(|| name.to_owned()))
}

/// The terms of a document that nobody published.
fn unpublished(document: &Value) -> Vec<String> {
    let known: BTreeSet<&str> = published().into_values().collect();
    used(document).into_iter().filter(|term| !known.contains(term.as_str())).collect()
}

fn consent(event: &ConsentEvent) -> What {
    let signed = SignedConsentEvent { event: encode(event), signature: vec![1; 64] };
    What::Consent { signed_event: hex::encode(encode(&signed)) }
}

fn subject() -> SubjectId {
    let key: [u8; 32] = grant(&[]).public_key.try_into().unwrap();
    SubjectId::of(&key)
}

fn day(after: u32) -> UtcDate {
    UtcDate(TODAY.0 + after)
}

/// Granted, renewed, partly objected to, restricted, partly lapsed, withdrawn.
fn history() -> Vec<(UtcDate, What)> {
    let asked = ConsentEvent {
        requested_date: TODAY.0 - 1,
        ..grant(&[Category::Laser, Category::Status, Category::Faults])
    };
    let renewal = decide(2, Decision::Renewed, &[Category::Laser], day(10));
    let by = Acting::Recovery { signed_request: "00".to_owned() };
    let restriction = Restriction { grounds: Grounds::Owner, since: day(21), until: None };
    vec![
        (TODAY, consent(&asked)),
        (day(10), consent(&renewal)),
        (day(20), What::Objected { categories: vec![Category::Status], by }),
        (day(21), What::Restricted { restriction, by: Acting::Operator {} }),
        (day(365), What::Expired { categories: vec![Category::Faults] }),
        (day(366), consent(&decide(3, Decision::Withdrawn, &Category::ALL, day(366)))),
    ]
}

fn states(record: &Value, purpose: &str) -> Vec<(String, String)> {
    let processes = record["dpv:hasProcess"].as_array().unwrap();
    let of = |process: &&Value| process["dpv:hasPurpose"]["dct:identifier"] == purpose;
    let process = processes.iter().find(of).unwrap();
    let events = process["dpv:hasConsentStatus"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let state = |event: &Value| (text(&event["@type"][0]), text(&event["dpv:isIndicatedAtTime"]));
    events.iter().map(state).collect()
}

fn at(expected: &[(&str, UtcDate)]) -> Vec<(String, String)> {
    expected.iter().map(|(term, date)| (format!("dpv:{term}"), date.to_string())).collect()
}

#[test]
fn every_term_is_published() {
    let terms = Terms::of(&[policy()]);
    let document = receipt(subject(), &history(), &terms, day(400)).unwrap();
    assert_eq!(unpublished(&document), Vec::<String>::new());
    assert!(used(&document).len() > 60);
    for (name, text) in SHIPPED {
        let policy = Policy::read(text).unwrap();
        let offered: Vec<Category> = policy.purposes.keys().copied().collect();
        let policy_hash = policy.hash.0.to_vec();
        let event = ConsentEvent { policy_hash, ..grant(&offered) };
        let terms = Terms::of(&[policy]);
        let document = record(subject(), &[(TODAY, consent(&event))], &terms, TODAY).unwrap();
        assert_eq!(unpublished(&document), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn an_unpublished_term_is_found() {
    let terms = Terms::of(&[policy()]);
    let document = record(subject(), &history(), &terms, TODAY).unwrap();
    let text = document.to_string();
    // The guide names this state, the vocabulary does not.
    for (from, to) in [
        ("dpv:ConsentGiven", "dpv:ConsentTerminated"),
        ("dpv:hasNotice", "dpv:hasNote"),
        ("eu-gdpr:A15", "eu-gdpr:A155"),
        ("dpv-27560#record", "dpv-27560#recorded"),
    ] {
        assert!(text.contains(from));
        let altered = serde_json::from_str(&text.replace(from, to)).unwrap();
        assert_eq!(unpublished(&altered).len(), 1, "{to}");
    }
}

#[test]
fn the_list_of_terms_expands_as_the_context_says() {
    let context: BTreeMap<&str, &str> = CONTEXT.into();
    for (name, iri) in published() {
        let (prefix, local) = name.split_once(':').unwrap();
        if prefix != "dpv-27560" {
            assert_eq!(format!("{}{local}", context[prefix]), iri);
        }
    }
}

#[test]
fn the_list_holds_nothing_that_is_not_used() {
    let abroad = Policy { regions: vec!["NL".to_owned()], ..policy() };
    let mut terms =
        used(&receipt(subject(), &history(), &Terms::of(&[policy()]), day(400)).unwrap());
    let event = [(TODAY, consent(&grant(&[Category::Laser])))];
    terms.extend(used(&record(subject(), &event, &Terms::of(&[abroad]), TODAY).unwrap()));
    let states = State::ALL.into_iter().map(|state| published()[term(state)].to_owned());
    terms.extend(states);
    let listed: BTreeSet<&str> = published().into_values().collect();
    let used: BTreeSet<&str> = terms.iter().map(String::as_str).collect();
    assert_eq!(listed, used);
}

#[test]
fn ten_states_have_ten_published_terms() {
    let known = published();
    let terms: BTreeSet<&str> = State::ALL.into_iter().map(term).collect();
    assert_eq!(terms.len(), State::ALL.len());
    assert!(terms.iter().all(|term| known.contains_key(term)));
}

#[test]
fn a_record_has_every_mandatory_part() {
    let terms = Terms::of(&[policy()]);
    let record = record(subject(), &history(), &terms, day(400)).unwrap();
    for key in [
        "@id",
        "@type",
        "dct:conformsTo",
        "dct:identifier",
        "dpv:hasDataSubject",
        "dpv:hasDataController",
        "dpv:hasJurisdiction",
        "dpv:hasNotice",
        "dpv:hasProcess",
        "dpv:hasEntity",
    ] {
        assert!(!record[key].is_null(), "{key}");
    }
    let notice = &record["dpv:hasNotice"][0];
    let shown = policy().notices["en"].hash;
    assert_eq!(notice["dct:identifier"], format!("sha256:{shown}"));
    assert_eq!(notice["dct:language"], "en");
    for process in record["dpv:hasProcess"].as_array().unwrap() {
        for key in [
            "dpv:hasPurpose",
            "dpv:hasPersonalData",
            "dpv:hasStorageCondition",
            "dpv:hasDataController",
            "dpv:hasRecipient",
            "dpv:hasConsentControl",
            "dpv:hasJurisdiction",
            "dpv:hasRight",
        ] {
            assert!(!process[key].is_null(), "{key}");
        }
        let storage = process["dpv:hasStorageCondition"].to_string();
        assert!(storage.contains("P90D") && storage.contains("P396D") && storage.contains("P30D"));
        for event in process["dpv:hasConsentStatus"].as_array().unwrap() {
            assert_eq!(event["@type"][1], "dpv:ExplicitlyExpressedConsent");
            for key in [
                "dpv:isIndicatedAtTime",
                "dpv:hasDuration",
                "dpv:isIndicatedBy",
                "dpv:hasIndicationMethod",
                "dpv:hasNotice",
            ] {
                assert!(!event[key].is_null(), "{key}");
            }
        }
    }
    for entity in record["dpv:hasEntity"].as_array().unwrap() {
        let person = entity["@type"] == "dpv:DataSubject";
        assert!(person || !entity["dpv:hasName"].is_null());
        assert!(!entity["dpv:hasIdentifier"].is_null());
    }
}

#[test]
fn every_node_that_is_named_is_there() {
    let terms = Terms::of(&[policy()]);
    let record = record(subject(), &history(), &terms, day(400)).unwrap();
    let (mut named, mut told) = (BTreeSet::new(), BTreeSet::new());
    nodes(&record, &mut named, &mut told);
    assert!(named.len() >= 4);
    assert_eq!(named, told);
}

/// Ids that are referred to, and ids that stand with what they are.
fn nodes(value: &Value, named: &mut BTreeSet<String>, told: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let id = object.get("@id").and_then(Value::as_str).filter(|id| id.starts_with("_:"));
            match id {
                Some(id) if object.len() == 1 => drop(named.insert(id.to_owned())),
                Some(id) => drop(told.insert(id.to_owned())),
                None => {}
            }
            object.values().for_each(|value| nodes(value, named, told));
        }
        Value::Array(items) => items.iter().for_each(|item| nodes(item, named, told)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_history_is_told_in_its_order() {
    let terms = Terms::of(&[policy()]);
    let record = record(subject(), &history(), &terms, day(400)).unwrap();
    let asked = UtcDate(TODAY.0 - 1);
    let laser = at(&[
        ("ConsentRequested", asked),
        ("ConsentGiven", TODAY),
        ("RenewedConsentGiven", day(10)),
        ("ConsentWithdrawn", day(366)),
    ]);
    assert_eq!(states(&record, "laser_health"), laser);
    let status =
        at(&[("ConsentRequested", asked), ("ConsentGiven", TODAY), ("ConsentWithdrawn", day(20))]);
    assert_eq!(states(&record, "failures"), status);
    let faults =
        at(&[("ConsentRequested", asked), ("ConsentGiven", TODAY), ("ConsentExpired", day(365))]);
    assert_eq!(states(&record, "diagnosis"), faults);
}

#[test]
fn what_lapsed_unrecorded_is_told_as_expired() {
    let terms = Terms::of(&[policy()]);
    let history = [(TODAY, consent(&grant(&[Category::Laser])))];
    let given = at(&[("ConsentGiven", TODAY)]);
    let end: UtcDate = "2027-11-21".parse().unwrap();
    let last = record(subject(), &history, &terms, UtcDate(end.0 - 1)).unwrap();
    assert_eq!(states(&last, "laser_health"), given);
    let over = record(subject(), &history, &terms, end).unwrap();
    let expired = at(&[("ConsentGiven", TODAY), ("ConsentExpired", end)]);
    assert_eq!(states(&over, "laser_health"), expired);
    // A yes after the lapse begins anew, and the lapse stays in the record.
    let late = UtcDate(end.0 + 3);
    let again = (late, consent(&decide(2, Decision::Granted, &[Category::Laser], late)));
    let [first] = history;
    let anew = record(subject(), &[first, again], &terms, late).unwrap();
    let anew_again = at(&[("ConsentGiven", late)]);
    assert_eq!(states(&anew, "laser_health"), [expired, anew_again].concat());
}

#[test]
fn a_second_yes_renews_and_a_yes_after_an_end_gives_anew() {
    let terms = Terms::of(&[policy()]);
    let yes = |number, after| {
        (day(after), consent(&decide(number, Decision::Granted, &[Category::Laser], day(after))))
    };
    let no = (day(7), consent(&decide(3, Decision::Withdrawn, &[Category::Laser], day(7))));
    let history = [yes(1, 0), yes(2, 5), no, yes(4, 9)];
    let record = record(subject(), &history, &terms, day(9)).unwrap();
    let expected = at(&[
        ("ConsentGiven", TODAY),
        ("RenewedConsentGiven", day(5)),
        ("ConsentWithdrawn", day(7)),
        ("ConsentGiven", day(9)),
    ]);
    assert_eq!(states(&record, "laser_health"), expected);
}

#[test]
fn who_acted_is_told() {
    let terms = Terms::of(&[policy()]);
    let record = record(subject(), &history(), &terms, day(400)).unwrap();
    let by = |purpose: &str| {
        let all = record["dpv:hasProcess"].as_array().unwrap();
        let of = |process: &&Value| process["dpv:hasPurpose"]["dct:identifier"] == purpose;
        let events = all.iter().find(of).unwrap()["dpv:hasConsentStatus"].as_array().unwrap();
        events.last().unwrap()["dpv:isIndicatedBy"]["@id"].as_str().unwrap().to_owned()
    };
    assert_eq!(by("failures"), "_:subject");
    assert_eq!(by("laser_health"), "_:subject");
    assert_eq!(by("diagnosis"), operator_id(&policy()));
}

#[test]
fn deletion_is_told_with_the_longest_of_its_deadlines() {
    let event = [(TODAY, consent(&grant(&[Category::Laser])))];
    let deletion = |erasure_days, backup_days| {
        let mut policy = policy();
        (policy.deadlines.erasure_days, policy.deadlines.backup_days) = (erasure_days, backup_days);
        record(subject(), &event, &Terms::of(&[policy]), TODAY).unwrap().to_string()
    };
    assert!(deletion(20, 25).contains("P25D") && !deletion(20, 25).contains("P20D"));
    assert!(deletion(25, 20).contains("P25D") && !deletion(25, 20).contains("P20D"));
}

#[test]
fn a_transfer_is_told_with_the_vocabularys_own_term() {
    let terms = Terms::of(&[policy()]);
    let transfer = decide(2, Decision::Transferred, &Category::ALL, day(1));
    let history = [(TODAY, consent(&grant(&[Category::Laser]))), (day(1), consent(&transfer))];
    let record = record(subject(), &history, &terms, day(1)).unwrap();
    let expected = at(&[("ConsentGiven", TODAY), ("ConsentRevoked", day(1))]);
    assert_eq!(states(&record, "laser_health"), expected);
}

#[test]
fn two_policies_are_two_notices_and_two_controllers() {
    let before = policy();
    let mut after = later(&before, day(5));
    after.regions = vec!["NL".to_owned()];
    after.epoch = EpochLength::Day;
    let renewal = ConsentEvent {
        policy_hash: after.hash.0.to_vec(),
        notice_language: b"nl".to_vec(),
        method: Method::Command.into(),
        ..decide(2, Decision::Renewed, &[Category::Laser], day(6))
    };
    let terms = Terms::of(&[before, after]);
    let history = [(TODAY, consent(&grant(&[Category::Laser]))), (day(6), consent(&renewal))];
    let document = record(subject(), &history, &terms, day(6)).unwrap();
    assert_eq!(document["dpv:hasNotice"].as_array().unwrap().len(), 2);
    assert_eq!(document["dpv:hasDataController"].as_array().unwrap().len(), 2);
    assert_eq!(unpublished(&document), Vec::<String>::new());
    let text = document.to_string();
    assert!(text.contains("vermogen verliezen") && text.contains("dpv:Country"));
    assert!(text.contains("typed in answer to the notice"));
}

#[test]
fn a_history_that_does_not_hold_is_not_exported() {
    let terms = Terms::of(&[policy()]);
    let export = |history: &[(UtcDate, What)], subject| record(subject, history, &terms, TODAY);
    let good = [(TODAY, consent(&grant(&[Category::Laser])))];
    assert!(export(&good, subject()).is_ok());
    assert_eq!(export(&[], subject()), Err(InvalidEvent::Incomplete));
    let no = [(TODAY, consent(&decide(1, Decision::Withdrawn, &Category::ALL, TODAY)))];
    assert_eq!(export(&no, subject()), Err(InvalidEvent::Incomplete));
    let twice = [good.clone(), good.clone()].concat();
    assert_eq!(export(&twice, subject()), Err(InvalidEvent::SequenceReused));
    assert_eq!(export(&good, SubjectId([1; 16])), Err(InvalidEvent::Foreign));
    let unknown = record(subject(), &good, &Terms::of(&[]), TODAY);
    assert_eq!(unknown, Err(InvalidEvent::PolicyUnknown));
}

#[test]
fn a_receipt_wraps_the_record_and_names_stay_the_same() {
    let terms = Terms::of(&[policy()]);
    let receipt = |today| receipt(subject(), &history(), &terms, today).unwrap();
    let (now, again, tomorrow) = (receipt(day(400)), receipt(day(400)), receipt(day(401)));
    assert_eq!(now, again);
    assert_eq!(now["@type"], "dpv:ConsentReceipt");
    assert_eq!(now["dct:created"], day(400).to_string());
    let record = &now["dpv:hasRecordOfActivity"];
    assert_eq!(record["@id"], tomorrow["dpv:hasRecordOfActivity"]["@id"]);
    assert_ne!(now["@id"], tomorrow["@id"]);
    let id = now["dct:identifier"].as_str().unwrap();
    assert_eq!((id.len(), id.chars().nth(14)), (36, Some('8')));
    assert!(!now.to_string().contains(&hex::encode([9; 16])), "a principal's id");
}
