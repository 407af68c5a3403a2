//! Values as bytes: what decoded rows and opened evidence would say to somebody who hid bytes in them.

use std::collections::BTreeMap;

use imprimatur_consent::event::{Acting, LedgerEvent};
use imprimatur_lake::Row;
use imprimatur_ledger::CommitProof;

/// The rows of a file, row by row and column by column.
pub(crate) fn of_rows(rows: &[Row]) -> Vec<(String, Vec<u8>)> {
    let (mut by_row, mut subjects, mut principals) = (Vec::new(), Vec::new(), Vec::new());
    let mut columns: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in rows {
        by_row.extend(row.subject.0);
        by_row.extend(row.principal.0);
        subjects.extend(row.subject.0);
        principals.extend(row.principal.0);
        for (field, index) in row.sections.iter().flat_map(|section| &section.values) {
            let [low, high, ..] = index.to_le_bytes();
            let rule = imprimatur_proto::contract().rule(*field);
            let wide = rule.domain() > 256;
            let bytes = [low, high].into_iter().take(if wide { 2 } else { 1 });
            by_row.extend(bytes.clone());
            match columns.get_mut(&rule.column) {
                Some(column) => column.extend(bytes),
                None => {
                    columns.insert(rule.column.clone(), bytes.collect());
                }
            }
        }
    }
    let mut all = vec![
        ("rows".to_owned(), by_row),
        ("column `subject`".to_owned(), subjects),
        ("column `principal`".to_owned(), principals),
    ];
    all.extend(columns.into_iter().map(|(name, bytes)| (format!("column `{name}`"), bytes)));
    all
}

/// What an event holds: the canonical bytes or the JSON, and the request that proves it.
pub(crate) fn of_event(event: &LedgerEvent) -> Vec<Vec<u8>> {
    let mut all = vec![event.what.payload()];
    if let Some(Acting::Owner { signed_request } | Acting::Recovery { signed_request }) =
        event.what.by()
    {
        all.extend(hex::decode(signed_request));
    }
    all
}

/// What the proof of a commit holds.
pub(crate) fn of_commit(proof: &CommitProof) -> Vec<u8> {
    serde_json::to_vec(proof).unwrap_or_default()
}
