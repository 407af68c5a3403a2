//! `imprimatur policy`: check, show and publish policies.

use std::path::Path;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_consent::Policy;
use imprimatur_consent::policy::{self, Problem, SHIPPED, STRICTEST};

use super::ask::{ask, unexpected};
use super::json;
use crate::cli::records;
use crate::error::CommandError;
use crate::say;

/// The text of a policy file, or of the shipped one, found to be usable.
///
/// # Errors
/// [`CommandError::File`] or [`CommandError::Policy`] with every problem.
pub fn text(file: Option<&Path>) -> Result<String, CommandError> {
    let Some(path) = file else { return Ok(STRICTEST.to_owned()) };
    let text = read(path)?;
    match policy::check(&text) {
        Ok(_usable) => Ok(text),
        Err(problems) => Err(CommandError::Policy { path: path.to_owned(), problems }),
    }
}

pub(super) async fn run(command: records::Policy) -> Result<(), CommandError> {
    match command {
        records::Policy::Check { file, json } => check(&file, json),
        records::Policy::Show { name, json } => show(name.as_deref(), json),
        records::Policy::Publish { file, data, json: as_json } => {
            let text = text(Some(&file))?;
            let Told::Published(published) = ask(&data, Ask::Publish { text }).await? else {
                return Err(unexpected());
            };
            say::line(&if as_json {
                json(&published)
            } else {
                format!(
                    "published {} version {}; consent to it is taken from {} on\n{}",
                    published.name, published.version, published.effective, published.hash
                )
            });
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path)
        .map_err(|source| CommandError::File { path: path.to_owned(), source })
}

fn check(path: &Path, as_json: bool) -> Result<(), CommandError> {
    let checked = policy::check(&read(path)?);
    if as_json {
        let problems = checked.as_ref().err().map_or(&[][..], Vec::as_slice);
        let problem = |one: &Problem| {
            serde_json::json!({
                "file": path.display().to_string(),
                "line": one.line,
                "key": one.key,
                "problem": one.problem,
                "advice": one.advice,
            })
        };
        let problems: Vec<_> = problems.iter().map(problem).collect();
        let hash = checked.as_ref().ok().map(|policy| policy.hash);
        say::line(&json(&serde_json::json!({ "hash": hash, "problems": problems })));
    }
    match checked {
        Ok(_) if as_json => Ok(()),
        Ok(policy) => {
            say::line(&format!("{} version {} can be used", policy.name, policy.version));
            say::line(&policy.hash.to_string());
            Ok(())
        }
        Err(problems) => Err(CommandError::Policy { path: path.to_owned(), problems }),
    }
}

fn show(name: Option<&str>, as_json: bool) -> Result<(), CommandError> {
    let Some(name) = name else {
        let names = SHIPPED.map(|(name, _)| name);
        say::line(&if as_json { json(&names) } else { names.join("\n") });
        return Ok(());
    };
    let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
    let Some((_, text)) = shipped else {
        let known = SHIPPED.map(|(name, _)| name).join(", ");
        return Err(CommandError::Usage(format!("`{name}` is not shipped; there are {known}")));
    };
    if !as_json {
        say::line(text.trim_end());
        return Ok(());
    }
    let policy = policy::check(text);
    let policy = policy.map_err(|problems| CommandError::Policy { path: name.into(), problems })?;
    say::line(&json(&summary(&policy)));
    Ok(())
}

fn summary(policy: &Policy) -> serde_json::Value {
    let notices: Vec<_> = policy.notices.keys().collect();
    let categories: Vec<_> = policy.purposes.keys().collect();
    serde_json::json!({
        "hash": policy.hash,
        "name": policy.name,
        "version": policy.version,
        "operator": policy.operator.name,
        "languages": notices,
        "categories": categories,
        "regions": policy.regions,
        "print_days": policy.retention.print_days,
        "day_days": policy.retention.day_days,
        "evidence_months": policy.retention.evidence_months,
        "answer_days": policy.deadlines.answer_days,
        "erasure_days": policy.deadlines.erasure_days,
        "complaint_days": policy.deadlines.complaint_days,
        "validity_months": policy.validity_months,
    })
}
