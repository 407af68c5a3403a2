//! The sections of a policy document and their limits, one function each.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::consent::v1::Method;
use imprimatur_proto::contract;

use super::reader::{Entry, Reader, Table};
use super::{
    Change, Deadlines, EpochLength, Notice, Operator, Policy, Problem, Purpose, QueryDefaults,
    Retention,
};
use crate::ids::Digest;
use crate::{Category, regions};

/// The promises' documents and how many rows each has.
const PROMISES: [(&str, u32); 5] =
    [("U19", 14), ("U20", 26), ("F18", 22), ("S18", 21), ("P18", 16)];

pub(super) fn policy(text: &str) -> Result<Policy, Vec<Problem>> {
    let mut read = Reader::new(text);
    let Some(mut from) = read.document() else { return Err(read.problems()) };
    let name = read.text(&mut from, "name", "write a name, for example \"strictest\"");
    let version = read.number(&mut from, "version", 1..=1_000_000, "1 for a first version");
    let regions = regions(&mut read, &mut from);
    let epoch = epoch(&mut read, &mut from);
    let operator = operator(&mut read, &mut from);
    let notices = notices(&mut read, &mut from);
    let purposes = purposes(&mut read, &mut from, &notices);
    let consent = consent(&mut read, &mut from);
    let retention = retention(&mut read, &mut from);
    let deadlines = deadlines(&mut read, &mut from);
    let query = query(&mut read, &mut from);
    let change = change(&mut read, &mut from, version, &purposes, deadlines.notice_days);
    let keeps = keeps(&mut read, &mut from);
    read.finish(from);
    let problems = read.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let Consent { methods, minimum_age, validity_months, ask_again_months } = consent;
    Ok(Policy {
        hash: Digest::of(text.as_bytes()),
        name,
        version,
        operator,
        notices,
        purposes,
        retention,
        deadlines,
        regions,
        minimum_age,
        epoch,
        methods,
        validity_months,
        ask_again_months,
        query,
        change,
        keeps,
    })
}

fn regions<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> Vec<String> {
    let advice = "write \"EEA\" or the two capital letters of each country by ISO 3166-1";
    let known = |text: &str| regions::known(text).then(|| text.to_owned());
    read.list(from, "regions", advice, known).into_iter().map(|(_, region)| region).collect()
}

fn epoch<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> EpochLength {
    let advice = "write \"day\" or \"month\": a pseudonym never lasts longer";
    let at = from.place("pseudonym_epoch");
    match read.text(from, "pseudonym_epoch", advice).as_str() {
        "day" => EpochLength::Day,
        "month" | "" => EpochLength::Month,
        other => {
            read.problem(at, "pseudonym_epoch", &format!("is `{other}`"), advice);
            EpochLength::Month
        }
    }
}

fn operator<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> Operator {
    let mut from = read.table(from, "operator", "say who operates the collector");
    let operator = Operator {
        name: read.text(&mut from, "name", "write who operates the collector"),
        contact: read.text(&mut from, "contact", "write where owners reach the operator"),
        authority: read.text(&mut from, "authority", "write which authority takes complaints"),
    };
    read.finish(from);
    operator
}

fn notices<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> BTreeMap<String, Notice> {
    let mut from = read.table(from, "notices", "write the notice, at least in English");
    let texts = texts(read, &mut from, "write what the owner is to read before saying yes");
    let notice = |text: String| Notice { hash: Digest::of(text.as_bytes()), text };
    texts.into_iter().map(|(language, text)| (language, notice(text))).collect()
}

/// Texts by language, English among them.
fn texts<'a>(
    read: &mut Reader<'a>,
    from: &mut Table<'a>,
    advice: &str,
) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let (at, english) = (from.at(), from.path_of("en"));
    for entry in from.rest() {
        let language =
            entry.key.len() == 2 && entry.key.bytes().all(|byte| byte.is_ascii_lowercase());
        if !language {
            let advice = "write a language by its two letters of ISO 639-1";
            read.problem(entry.at, &entry.path, "is no language", advice);
            continue;
        }
        let text = read.as_text(&entry, advice);
        texts.insert(entry.key, text);
    }
    if !texts.is_empty() && !texts.contains_key("en") {
        read.problem(at, &english, "is missing", advice);
    }
    texts
}

fn purposes<'a>(
    read: &mut Reader<'a>,
    from: &mut Table<'a>,
    notices: &BTreeMap<String, Notice>,
) -> BTreeMap<Category, Purpose> {
    let mut from = read.table(from, "purposes", "write at least one purpose with its categories");
    let mut purposes = BTreeMap::new();
    for entry in from.rest() {
        let key = entry.key.clone();
        let (at, path) = (entry.at, entry.path.clone());
        let mut from = read.as_table(entry, "write a table with `text` and `categories`");
        let advice = "write what it is for, in each language of the notice";
        let mut text = read.table(&mut from, "text", advice);
        let texts_at = text.at();
        let texts = texts(read, &mut text, advice);
        for language in notices.keys().filter(|language| !texts.contains_key(*language)) {
            if !texts.is_empty() && language != "en" {
                let key = format!("{path}.text.{language}");
                read.problem(texts_at, &key, "is missing, though the notice has it", advice);
            }
        }
        for language in texts.keys().filter(|language| !notices.contains_key(*language)) {
            let key = format!("{path}.text.{language}");
            let advice = format!("write `notices.{language}` as well, or take it out");
            read.problem(texts_at, &key, "is in a language without a notice", &advice);
        }
        let categories = categories(read, &mut from, "categories");
        read.finish(from);
        let known: BTreeSet<&str> = Category::ALL.into_iter().map(purpose_of).collect();
        if !known.contains(key.as_str()) {
            let known: Vec<&str> = known.into_iter().collect();
            let advice = format!("the contract collects for {}", known.join(", "));
            read.problem(at, &path, "is no purpose of the contract", &advice);
            continue;
        }
        for (at, category) in categories {
            let expected = purpose_of(category);
            if expected != key {
                let problem =
                    format!("names `{category}`, which the contract collects for `{expected}`");
                let advice = format!("move it to `purposes.{expected}`");
                read.problem(at, &format!("{path}.categories"), &problem, &advice);
                continue;
            }
            let purpose = Purpose { key: key.clone(), texts: texts.clone() };
            if purposes.insert(category, purpose).is_some() {
                let problem = format!("names `{category}`, which was named before");
                let advice = "each category belongs to exactly one purpose; name it once";
                read.problem(at, &format!("{path}.categories"), &problem, advice);
            }
        }
    }
    purposes
}

fn categories<'a>(
    read: &mut Reader<'a>,
    from: &mut Table<'a>,
    key: &str,
) -> Vec<(usize, Category)> {
    let names: Vec<&str> = Category::ALL.into_iter().map(Category::name).collect();
    let advice = format!("write categories: {}", names.join(", "));
    read.list(from, key, &advice, |text| text.parse().ok())
}

/// The purpose for which the contract collects a category. The identity tag stands in the envelope,
/// where fields have no purpose.
fn purpose_of(category: Category) -> &'static str {
    let fields = &contract().rules().fields;
    let rule = fields.iter().find(|rule| rule.category == Some(category));
    rule.map_or("linking", |rule| rule.purpose.as_str())
}

/// How consent is asked.
struct Consent {
    methods: BTreeSet<Method>,
    minimum_age: Option<u8>,
    validity_months: u8,
    ask_again_months: u8,
}

fn consent<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> Consent {
    let mut from = read.table(from, "consent", "say how consent is asked");
    let advice =
        "write \"command\", \"page\" or \"mandate\": what only implies a yes is no consent";
    let methods = read.list(&mut from, "methods", advice, method);
    let age = from.has("minimum_age").then(|| {
        let why = "younger owners may not decide; leave it out to ask for the authority alone";
        read.number(&mut from, "minimum_age", 13..=21, why)
    });
    let why = "a yes ends after a year at most, and is asked again";
    let validity = read.number(&mut from, "validity_months", 1..=12, why);
    let why = "a no is not questioned for half a year at least";
    let ask_again = read.number(&mut from, "ask_again_months", 6..=120, why);
    read.finish(from);
    Consent {
        methods: methods.into_iter().map(|(_, method)| method).collect(),
        minimum_age: age.map(small),
        validity_months: small(validity),
        ask_again_months: small(ask_again),
    }
}

fn method(name: &str) -> Option<Method> {
    match name {
        "command" => Some(Method::Command),
        "page" => Some(Method::Page),
        "mandate" => Some(Method::Mandate),
        _ => None,
    }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn retention<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> Retention {
    let mut from =
        read.table(from, "retention", "say how long what is kept; nothing is kept for ever");
    let retention = Retention {
        print_days: read.number(&mut from, "print_days", 1..=90, "rows of prints end"),
        day_days: read.number(&mut from, "day_days", 1..=396, "rows of days end"),
        evidence_months: read.number(
            &mut from,
            "evidence_months",
            1..=36,
            "evidence ends so many months after its subject",
        ),
    };
    read.finish(from);
    retention
}

fn deadlines<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> Deadlines {
    let mut from = read.table(from, "deadlines", "say by when what is done");
    let mut number = |key, range, why| read.number(&mut from, key, range, why);
    let deadlines = Deadlines {
        answer_days: number("answer_days", 1..=30, "requests are answered by then"),
        erasure_live_hours: number(
            "erasure_live_hours",
            1..=72,
            "what is in use is erased by then",
        ),
        erasure_days: number("erasure_days", 1..=30, "everything is erased by then"),
        complaint_days: number("complaint_days", 1..=45, "complaints are answered by then"),
        notice_days: number("notice_days", 30..=365, "a change is announced so long before"),
        backup_days: number("backup_days", 1..=30, "backups are gone by then"),
    };
    read.finish(from);
    deadlines
}

fn query<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> QueryDefaults {
    let mut from = read.table(from, "query", "say from how many principals on a group is answered");
    let k = read.number(&mut from, "k", 10..=1_000_000, "a smaller group tells of its members");
    let top1 = read.number(&mut from, "top1_percent", 1..=30, "nobody dominates a group");
    let why = "what leaves the operator needs at least as many as `k`";
    let k_released = read.number(&mut from, "k_released", k..=1_000_000, why);
    let why = "at least what one may have, and no two dominate a group";
    let top2 = read.number(&mut from, "top2_percent", top1..=50, why);
    let why = "thousandths of epsilon for one release of one metric";
    let release = read.number(&mut from, "epsilon_release_milli", 1..=100, why);
    let why = "thousandths of epsilon for one principal in 30 days";
    let month = read.number(&mut from, "epsilon_month_milli", release..=1_000, why);
    let why = "thousandths of epsilon for one principal in a year";
    let year = read.number(&mut from, "epsilon_year_milli", month..=12_000, why);
    read.finish(from);
    QueryDefaults {
        k,
        k_released,
        top1_percent: small(top1),
        top2_percent: small(top2),
        epsilon_release_milli: release,
        epsilon_month_milli: month,
        epsilon_year_milli: year,
    }
}

fn change<'a>(
    read: &mut Reader<'a>,
    from: &mut Table<'a>,
    version: u32,
    offered: &BTreeMap<Category, Purpose>,
    notice_days: u32,
) -> Option<Change> {
    if !from.has("change") {
        if version > 1 {
            let advice =
                "say what this version supersedes, since when it is announced and what grew";
            read.problem(from.place("version"), "change", "is missing", advice);
        }
        return None;
    }
    let mut from = read.table(from, "change", "write a table");
    let advice = "write the SHA-256 of the document that this one replaces, 64 hex digits";
    let supersedes = read.parsed(&mut from, "supersedes", advice);
    let announced = read.parsed(&mut from, "announced", "write the date as \"YYYY-MM-DD\"");
    let effective_at = from.place("effective");
    let effective = read.parsed(&mut from, "effective", "write the date as \"YYYY-MM-DD\"");
    let grown = if from.has("grown") { categories(read, &mut from, "grown") } else { Vec::new() };
    read.finish(from);
    for (at, category) in grown.iter().filter(|(_, category)| !offered.contains_key(category)) {
        let problem = format!("names `{category}`, which this policy does not offer");
        read.problem(*at, "change.grown", &problem, "name only what is offered");
    }
    let change = Change {
        supersedes: supersedes?,
        announced: announced?,
        effective: effective?,
        grown: grown.into_iter().map(|(_, category)| category).collect(),
    };
    let ahead = if change.grown.is_empty() { 0 } else { notice_days };
    if change.effective.0 < change.announced.0.saturating_add(ahead) {
        let advice = if change.grown.is_empty() {
            "nothing holds before it is announced".to_owned()
        } else {
            format!("announce what grows at least {notice_days} days before it holds")
        };
        let problem = format!("is {}, too soon after {}", change.effective, change.announced);
        read.problem(effective_at, "change.effective", &problem, &advice);
    }
    Some(change)
}

fn keeps<'a>(read: &mut Reader<'a>, from: &mut Table<'a>) -> BTreeMap<String, String> {
    if !from.has("keeps") {
        return BTreeMap::new();
    }
    let mut from = read.table(from, "keeps", "write a table");
    let mut keeps = BTreeMap::new();
    for entry in from.rest() {
        if !is_row(&entry) {
            let advice = "write the id of a promise, for example \"U19-9\"";
            read.problem(entry.at, &entry.path, "is no promise", advice);
        }
        let phrase = read.as_text(&entry, "say how this policy keeps it");
        keeps.insert(entry.key, phrase);
    }
    keeps
}

fn is_row(entry: &Entry<'_>) -> bool {
    let Some((document, row)) = entry.key.split_once('-') else { return false };
    let Some((_, rows)) = PROMISES.into_iter().find(|(name, _)| *name == document) else {
        return false;
    };
    row.parse().is_ok_and(|number: u32| number.to_string() == row && (1..=rows).contains(&number))
}
