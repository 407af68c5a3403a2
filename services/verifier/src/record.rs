//! The record of processing (GDPR Art. 30): what the policies of a folder and the contract say, in the
//! order of the article. It says nothing that is not there.

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_consent::{Category, Digest, Policy, Terms};
use imprimatur_ledger::segments::{SegmentError, read_policies};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

/// One purpose of a policy (Art. 30(1)(b)), with the categories of data for it (c).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PurposeRecord {
    /// Its key in the contract.
    pub purpose: String,
    /// What owners read, in English.
    pub text: String,
    /// The category of data.
    pub category: Category,
    /// The values of the category: columns of both tables, with the number of their states.
    pub values: Vec<String>,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyRecord {
    /// SHA-256 of its text: what consent refers to.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Whether a yes to it is taken on the day of the record.
    pub in_force: bool,
    /// (a) The controller.
    pub controller: String,
    /// (a) Where it is reached.
    pub contact: String,
    /// The authority to which owners may complain.
    pub authority: String,
    /// (b) and (c).
    pub purposes: Vec<PurposeRecord>,
    /// (d) and (e): where data is stored and processed.
    pub regions: Vec<String>,
    /// (f) Time limits, by what they are of.
    pub limits: BTreeMap<&'static str, String>,
    /// Years that an owner affirms; `None` when none is asked.
    pub minimum_age: Option<u8>,
    /// Groups that are answered about have so many principals, at least.
    pub k: u32,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Record {
    /// The day of the record, by this machine's clock.
    pub on: UtcDate,
    /// The legal basis.
    pub basis: &'static str,
    /// (c) Whose data it is.
    pub subjects: &'static str,
    /// (d) Who receives it.
    pub recipients: &'static str,
    /// (g) Technical and organisational measures, as they are built in.
    pub measures: Vec<&'static str>,
    /// What the article asks and neither policy nor contract knows.
    pub to_add: Vec<&'static str>,
    /// The policies, those in force first.
    pub policies: Vec<PolicyRecord>,
}

/// There is nothing to make a record of.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The policies cannot be read. Give the collector's folder.
    #[error("the published policies cannot be read")]
    Unreadable(#[from] SegmentError),
    /// There is none that is understood. Let the collector publish one.
    #[error("no policy was published, so there is nothing to record; start the collector first")]
    None,
}

const MEASURES: [&str; 8] = [
    "Minimisation by form: a message has room for bounded integers and closed enums only, counted in \
     bits; it is rounded on the device.",
    "Consent before collection: nothing is stored without a permit for its category, decided in the \
     transaction that stores it.",
    "Pseudonyms that change with the epoch, under a secret that is destroyed with the epoch's last rows.",
    "Encryption at rest of all that is held of one subject under a key of its own; erasing destroys the \
     key, in every backup as well.",
    "Signatures from end to end: batches, consent, requests and answers; the broker is trusted with \
     nothing.",
    "An append-only log with signed checkpoints, of which every device holds one.",
    "Answers about groups only, with a least size and no dominating member.",
    "Offline verification of stored bytes and evidence: `imprimatur compliance verify`.",
];

const TO_ADD: [&str; 3] = [
    "Name and contact of the data protection officer and of the representative, where there is one.",
    "Processors, such as who hosts the machine.",
    "Organisational measures: who has access to the machine, and how that is controlled.",
];

impl Record {
    /// Of a collector's folder, on a day.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn of(data: &Path, on: UtcDate) -> Result<Self, RecordError> {
        let texts = read_policies(&data.join("evidence"))?;
        let policies: Vec<Policy> =
            texts.values().filter_map(|text| Policy::read(text).ok()).collect();
        if policies.is_empty() {
            return Err(RecordError::None);
        }
        let terms = Terms::of(&policies);
        let record = |policy: &Policy| policy_record(policy, terms.offered(policy.hash, on));
        let mut policies: Vec<PolicyRecord> = policies.iter().map(record).collect();
        policies.sort_by(|one, two| {
            (two.in_force, &one.name, two.version).cmp(&(one.in_force, &two.name, one.version))
        });
        Ok(Self {
            on,
            basis: "Consent, Art. 6(1)(a) and ePrivacy Art. 5(3), for each category by itself.",
            subjects: "People and organisations that run a 3D printer with the agent and said yes; each \
                       is known by a key that its device drew.",
            recipients: "None but the controller. Engineers of the controller see groups only.",
            measures: MEASURES.to_vec(),
            to_add: TO_ADD.to_vec(),
            policies,
        })
    }
}

fn policy_record(policy: &Policy, in_force: bool) -> PolicyRecord {
    let purposes = policy.purposes.iter().map(|(category, purpose)| PurposeRecord {
        purpose: purpose.key.clone(),
        text: purpose.text("en").to_owned(),
        category: *category,
        values: values(*category),
    });
    let (kept, by) = (policy.retention, policy.deadlines);
    let days = |days: u32| format!("{days} days");
    let limits = [
        ("rows of prints", days(kept.print_days)),
        ("rows of days", days(kept.day_days)),
        ("evidence of consent, after its end", format!("{} months", kept.evidence_months)),
        ("a yes, unless renewed", format!("{} months", policy.validity_months)),
        ("erasure from what is in use", format!("{} hours", by.erasure_live_hours)),
        ("erasure everywhere", days(by.erasure_days)),
        ("backups", days(by.backup_days)),
        ("answers to requests", days(by.answer_days)),
        ("answers to complaints", days(by.complaint_days)),
    ];
    PolicyRecord {
        hash: policy.hash,
        name: policy.name.clone(),
        version: policy.version,
        in_force,
        controller: policy.operator.name.clone(),
        contact: policy.operator.contact.clone(),
        authority: policy.operator.authority.clone(),
        purposes: purposes.collect(),
        regions: policy.regions.clone(),
        limits: limits.into(),
        minimum_age: policy.minimum_age,
        k: policy.query.k,
    }
}

fn values(category: Category) -> Vec<String> {
    let columns = RecordKind::ALL.into_iter().flat_map(|kind| {
        contract().columns(kind).into_iter().map(move |field| (kind, contract().rule(field)))
    });
    let of_category = columns.filter(|(_, rule)| rule.category == Some(category));
    of_category
        .map(|(kind, rule)| format!("{}: {} ({} states)", kind.table(), rule.column, rule.domain()))
        .collect()
}
