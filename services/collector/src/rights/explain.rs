//! Explain: what is held of a subject, for which purposes, and every permission with its history, as
//! JSON lines.
//!
//! Each line is an object whose `kind` says what it tells: `subject`, `controller`, `purpose`,
//! `permission`, `event`, `restriction`, `held`, `retention`, `recipients`, `request`, and `end`,
//! which counts the lines before it. Nothing in it names anybody else.

use std::collections::BTreeMap;

use imprimatur_consent::event::{Acting, What, decoded};
use imprimatur_consent::{Category, Policy};
use imprimatur_lake::Row;
use imprimatur_ledger::register::Entry;
use imprimatur_ledger::rights::Happened;
use imprimatur_proto::consent::v1::ConsentEvent;
use imprimatur_runtime::UtcDate;
use serde_json::{Value, json};

use crate::rights::reading::Gathered;

/// The lines of an explanation, the rows that are held included.
pub fn lines(gathered: &Gathered, rows: &[Row]) -> Vec<String> {
    let mut lines = vec![subject(gathered)];
    if let Some(policy) = gathered.terms.policy(gathered.standing.policy) {
        lines.push(controller(policy));
        lines.extend(purposes(policy));
        lines.push(retention(policy));
    }
    lines.push(json!({ "kind": "recipients", "recipients": [] }));
    lines.extend(permissions(gathered));
    lines.extend(restrictions(gathered));
    lines.extend(gathered.history.iter().map(event));
    lines.extend(gathered.requests.iter().map(request));
    lines.extend(held(rows));
    let before = lines.len();
    lines.push(json!({ "kind": "end", "lines": before }));
    lines.iter().map(Value::to_string).collect()
}

fn subject(gathered: &Gathered) -> Value {
    let standing = &gathered.standing;
    json!({
        "kind": "subject",
        "subject": gathered.subject,
        "principal": standing.principal,
        "explained": date(gathered.now.date()),
        "recovery_code": standing.recovery.is_some(),
        "ended": standing.ended.map(|(why, on)| json!({ "why": why, "on": date(on) })),
    })
}

fn controller(policy: &Policy) -> Value {
    json!({
        "kind": "controller",
        "controller": policy.operator.name,
        "contact": policy.operator.contact,
        "authority": policy.operator.authority,
        "policy": policy.hash,
        "policy_name": policy.name,
        "policy_version": policy.version,
        "regions": policy.regions,
    })
}

fn purposes(policy: &Policy) -> Vec<Value> {
    let mut purposes: BTreeMap<&str, (&str, Vec<Category>)> = BTreeMap::new();
    for (&category, purpose) in &policy.purposes {
        let known =
            purposes.entry(&purpose.key).or_insert_with(|| (purpose.text("en"), Vec::new()));
        known.1.push(category);
    }
    let purpose = |(key, (text, categories))| json!({ "kind": "purpose", "purpose": key, "text": text, "categories": categories });
    purposes.into_iter().map(purpose).collect()
}

fn retention(policy: &Policy) -> Value {
    json!({
        "kind": "retention",
        "print_days": policy.retention.print_days,
        "day_days": policy.retention.day_days,
        "evidence_months_after_end": policy.retention.evidence_months,
    })
}

/// The state of every category that was ever decided on.
fn permissions(gathered: &Gathered) -> Vec<Value> {
    let Gathered { standing, terms, now, .. } = gathered;
    let decided = |category: &Category| {
        standing.granted.contains_key(category) || standing.past.contains_key(category)
    };
    let permission = |category: Category| {
        let grant = standing.granted.get(&category);
        json!({
            "kind": "permission",
            "category": category,
            "state": standing.state(terms, category, now.date()),
            "since": grant.map(|grant| date(grant.since)),
            "renewed": grant.map(|grant| date(grant.renewed)),
            "policy": grant.map(|grant| grant.policy),
        })
    };
    Category::ALL.into_iter().filter(decided).map(permission).collect()
}

fn restrictions(gathered: &Gathered) -> Vec<Value> {
    let standing = &gathered.standing;
    let hold = standing.held(gathered.now.date());
    let restriction = |one: &imprimatur_consent::standing::Restriction| {
        json!({
            "kind": "restriction",
            "grounds": one.grounds,
            "since": date(one.since),
            "until": one.until.map(date),
        })
    };
    standing.restriction.iter().chain(hold).map(restriction).collect()
}

fn event(happened: &Happened) -> Value {
    let mut line = json!({
        "kind": "event",
        "event": happened.event.what.name(),
        "position": happened.position,
        "log_index": happened.leaf + 1,
        "recorded": date(happened.recorded.date()),
        "by": happened.event.what.by().map_or("owner", by),
    });
    let more = match &happened.event.what {
        What::Consent { signed_event } => {
            decoded(signed_event).map_or(Value::Null, |(event, _)| decision(&event))
        }
        What::Restricted { restriction, .. } => json!({
            "grounds": restriction.grounds, "until": restriction.until.map(date),
        }),
        What::Expired { categories } => json!({ "categories": categories, "by": "clock" }),
        What::Objected { categories, .. } => json!({ "categories": categories }),
        What::Rectified { date: since, .. } => json!({ "since": date(*since) }),
        What::Complained { topic, .. } => json!({ "topic": topic }),
        What::Released { .. } | What::ErasureRequested { .. } => Value::Null,
    };
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}

fn decision(event: &ConsentEvent) -> Value {
    let decided = |name: &'static str, prefix| name.trim_start_matches(prefix).to_lowercase();
    let categories = event.categories.iter().filter_map(|&number| Category::from_number(number));
    json!({
        "decision": decided(event.decision().as_str_name(), "DECISION_"),
        "sequence": event.sequence,
        "date": date(UtcDate(event.date)),
        "categories": categories.collect::<Vec<_>>(),
        "policy": hex::encode(&event.policy_hash),
        "notice_language": String::from_utf8_lossy(&event.notice_language),
        "method": decided(event.method().as_str_name(), "METHOD_"),
        "affirmation": decided(event.affirmation().as_str_name(), "AFFIRMATION_"),
    })
}

fn by(acting: &Acting) -> &'static str {
    match acting {
        Acting::Owner { .. } => "owner",
        Acting::Recovery { .. } => "recovery_code",
        Acting::Operator {} => "operator",
        Acting::Clock {} => "clock",
    }
}

fn request(entry: &Entry) -> Value {
    json!({
        "kind": "request",
        "number": entry.number,
        "verb": entry.verb,
        "by": entry.asker,
        "received": date(entry.received),
        "due": date(entry.due),
        "outcome": entry.outcome,
        "closed": entry.closed.map(date),
    })
}

/// How much is held, by table, date and category.
fn held(rows: &[Row]) -> Vec<Value> {
    let mut held: BTreeMap<_, (u64, BTreeMap<Category, u64>)> = BTreeMap::new();
    for row in rows {
        let (records, sections) = held.entry((row.kind, row.date)).or_default();
        *records += 1;
        for section in &row.sections {
            *sections.entry(section.category).or_default() += 1;
        }
    }
    let line =
        |((kind, on), (records, sections)): ((imprimatur_proto::record::RecordKind, _), _)| {
            json!({
                "kind": "held",
                "table": kind.table(),
                "date": date(on),
                "records": records,
                "sections": sections,
            })
        };
    held.into_iter().map(line).collect()
}

pub(crate) fn date(date: UtcDate) -> String {
    date.to_string()
}
