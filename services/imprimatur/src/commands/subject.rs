//! `imprimatur subject`: the rights of a subject, exercised by the operator, and the register.

use std::path::Path;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::{Act, Acted};
use imprimatur_ledger::register::Entry;
use imprimatur_runtime::UtcDate;

use super::ask::{ask, unexpected};
use super::json;
use crate::cli::records::{OfSubject, Subject};
use crate::error::CommandError;
use crate::say;

pub(super) async fn run(command: Subject) -> Result<(), CommandError> {
    match command {
        Subject::Show(of) => pages(&of, Act::Show, of.json).await,
        Subject::Export(of) => pages(&of, Act::Export, true).await,
        Subject::Erase(of) => one(&of, Act::Erase {}).await,
        Subject::Restrict { of, grounds, until } => {
            one(&of, Act::Restrict { grounds: grounds.into(), until }).await
        }
        Subject::Release(of) => one(&of, Act::Release {}).await,
        Subject::Requests { overdue, data, json } => requests(&data, overdue, json).await,
        Subject::Answer { number, data, json: as_json } => {
            let Told::Answered(entry) = ask(&data, Ask::Answer(number)).await? else {
                return Err(unexpected());
            };
            say::line(&if as_json { json(&entry) } else { format!("closed complaint {number}") });
            Ok(())
        }
    }
}

async fn acted(of: &OfSubject, act: Act) -> Result<Acted, CommandError> {
    match ask(&of.data, Ask::Subject { subject: of.subject, act }).await? {
        Told::Acted(acted) => Ok(acted),
        _ => Err(unexpected()),
    }
}

/// Prints all pages of JSON lines, as they are or for people.
async fn pages(of: &OfSubject, act: fn(u64) -> Act, lines: bool) -> Result<(), CommandError> {
    let mut cursor = 0;
    loop {
        let page = acted(of, act(cursor)).await?;
        for line in page.page.lines() {
            say::line(&if lines { line.to_owned() } else { readable(line) });
        }
        cursor = page.next;
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// A JSON line as `kind  key value  key value`.
fn readable(line: &str) -> String {
    let Ok(serde_json::Value::Object(mut told)) = serde_json::from_str(line) else {
        return line.to_owned();
    };
    let kind = told.remove("kind");
    let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or("").to_owned();
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let known = told.iter().filter(|(_, value)| !value.is_null());
    let parts: Vec<String> = known.map(|(key, one)| format!("{key} {}", value(one))).collect();
    format!("{kind:<12} {}", parts.join("   "))
}

async fn one(of: &OfSubject, act: Act) -> Result<(), CommandError> {
    let acted = acted(of, act).await?;
    if of.json {
        say::line(&json(&serde_json::json!({
            "status": acted.status,
            "number": acted.number,
            "due": acted.due.map(|due| due.to_string()),
        })));
    }
    let due = acted.due.map(|due| due.to_string()).unwrap_or_default();
    match acted.status.as_str() {
        "done" | "accepted" if of.json => Ok(()),
        "done" => {
            say::line(&format!("done; request {} of the register", acted.number));
            Ok(())
        }
        "accepted" => {
            let number = acted.number;
            say::line(&format!("accepted as request {number}; finished by {due} at the latest"));
            Ok(())
        }
        "held" => Err(CommandError::No(
            "a legal hold keeps the data: it is used for nothing now and erased when the hold ends"
                .to_owned(),
        )),
        _ => Err(CommandError::No("there is nothing that this could end or change".to_owned())),
    }
}

async fn requests(data: &Path, overdue: bool, as_json: bool) -> Result<(), CommandError> {
    let Told::Requests { requests, today } = ask(data, Ask::Requests { overdue }).await? else {
        return Err(unexpected());
    };
    if as_json {
        let entries: Vec<_> = requests.iter().map(|entry| entry_json(entry, today)).collect();
        say::line(&json(&entries));
    } else {
        for entry in &requests {
            say::line(&entry_line(entry, today));
        }
    }
    let late = requests.iter().filter(|entry| entry.overdue(today)).count();
    match late {
        0 => Ok(()),
        late => Err(CommandError::No(format!("{late} requests are overdue"))),
    }
}

fn entry_json(entry: &Entry, today: UtcDate) -> serde_json::Value {
    serde_json::json!({
        "number": entry.number,
        "verb": entry.verb,
        "asker": entry.asker,
        "received": entry.received.to_string(),
        "due": entry.due.to_string(),
        "outcome": entry.outcome,
        "closed": entry.closed.map(|on| on.to_string()),
        "overdue": entry.overdue(today),
    })
}

fn entry_line(entry: &Entry, today: UtcDate) -> String {
    let outcome = serde_json::to_value(entry.outcome).unwrap_or_default();
    let outcome = outcome.as_str().unwrap_or_default().to_owned();
    let late = if entry.overdue(today) { "  OVERDUE" } else { "" };
    format!(
        "{:>6}  {:<9} received {}  due {}  {outcome}{late}",
        entry.number, entry.verb, entry.received, entry.due
    )
}
