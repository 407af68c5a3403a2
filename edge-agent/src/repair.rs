//! What a store that cannot be used means to its owner, and which command repairs it.
//!
//! These texts name places, so they are for the owner's eyes only: printed, never logged.

use crate::printer::Name;
use crate::store::StoreError;
use crate::told::chain;

/// What an unusable store means, and which command repairs it; `printer` is its name among several.
pub fn repair(cause: &StoreError, printer: Option<&Name>) -> String {
    let place = cause.place().map_or_else(String::new, |place| format!(" (`{}`)", place.display()));
    let what = format!("{}{place}: nothing is collected or sent", chain(cause));
    let here = printer.map_or_else(String::new, |name| format!(" --printer {name}"));
    let wipe = format!("`imprimatur-agent wipe --force{here}`");
    let how = match cause {
        StoreError::Distrusted { place, .. } => {
            let place = place.display();
            format!(
                "if nobody else wrote it, make it yours again (`chown`, `chmod go-w {place}`, no \
                 links) and run this as its owner; if somebody may have, {wipe} starts anew"
            )
        }
        StoreError::Folder { .. } => "make `data_dir` a folder that this user may write".to_owned(),
        StoreError::Version(_) => {
            format!("run the version that wrote it, or start anew with {wipe}")
        }
        _ => format!("restore nothing older; {wipe} starts anew"),
    };
    format!(
        "{what}; to repair: {how}. A wipe loses your answers, the key, what waits to be sent and an \
         undelivered withdrawal; with the recovery code `imprimatur-agent recover CODE` then \
         `imprimatur-agent erase` still ends what the collector holds"
    )
}
