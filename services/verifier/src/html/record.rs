//! The page of a record of processing, in the order of GDPR Art. 30(1).

use maud::{Markup, html};

use super::{facts, page, table};
use crate::record::{PolicyRecord, Record};

/// The record as a page.
pub fn record_page(record: &Record) -> String {
    let body = html! {
        header {
            h1 { "Record of processing activities" }
            p { "After Art. 30(1) GDPR, made on " (record.on) " from the published policies and the \
                 contract of this program." }
        }
        section aria-labelledby="all" {
            h2 id="all" { "Telemetry of 3D printers" }
            (facts("For all policies", &[
                ("Legal basis", record.basis.to_owned()),
                ("Data subjects (c)", record.subjects.to_owned()),
                ("Recipients (d)", record.recipients.to_owned()),
            ]))
        }
        @for policy in &record.policies { (of_policy(policy)) }
        section aria-labelledby="measures" {
            h2 id="measures" { "Security measures (g)" }
            ul { @for measure in &record.measures { li { (measure) } } }
        }
        section aria-labelledby="add" {
            h2 id="add" { "To be added by the controller" }
            p { "The article asks for it, and neither policy nor contract knows it." }
            ul { @for line in &record.to_add { li { (line) } } }
        }
    };
    page("Record of processing activities", &body)
}

fn of_policy(policy: &PolicyRecord) -> Markup {
    let state = if policy.in_force { "in force" } else { "replaced" };
    let age = policy.minimum_age.map_or_else(|| "none".to_owned(), |age| format!("{age} years"));
    let purposes: Vec<Vec<String>> = policy
        .purposes
        .iter()
        .map(|one| {
            let (key, category) = (one.purpose.clone(), one.category.to_string());
            vec![key, one.text.clone(), category, one.values.join("; ")]
        })
        .collect();
    let limits: Vec<Vec<String>> =
        policy.limits.iter().map(|(of, limit)| vec![(*of).to_owned(), limit.clone()]).collect();
    let transfers = if policy.regions.iter().all(|region| region == "EEA") {
        "none: data stays in the EEA".to_owned()
    } else {
        format!("to the regions above outside the EEA: {}", policy.regions.join(", "))
    };
    html! {
        section aria-labelledby=(policy.hash) {
            h2 id=(policy.hash) { "Policy " (policy.name) ", version " (policy.version) ", " (state) }
            (facts("Controller and places", &[
                ("SHA-256 of the text", policy.hash.to_string()),
                ("Controller (a)", policy.controller.clone()),
                ("Contact (a)", policy.contact.clone()),
                ("Authority", policy.authority.clone()),
                ("Regions", policy.regions.join(", ")),
                ("Transfers (e)", transfers),
                ("Age that an owner affirms", age),
                ("Smallest group in an answer", format!("{} principals", policy.k)),
            ]))
            (table("Purposes (b) and categories of data (c)",
                &["Purpose", "As owners read it", "Category", "Values"], &purposes))
            (table("Time limits (f)", &["Of", "Limit"], &limits))
        }
    }
}
