//! Answers for people.

use std::io::{self, Write};

use imprimatur_consent::{Category, Flag, Policy};
use imprimatur_runtime::UnixSeconds;

use crate::control::Reply;
use crate::core::{Overview, Preview};

/// Bytes in a line of the hex dump.
const HEX_LINE: usize = 32;

/// The policy's notice and the purposes of these categories.
pub(super) fn notice(
    to: &mut impl Write,
    policy: &Policy,
    categories: &[Category],
) -> io::Result<()> {
    writeln!(to, "{}", policy.notice("en").trim())?;
    writeln!(
        to,
        "\nPolicy `{}`, version {}, of {}.",
        policy.name, policy.version, policy.operator
    )?;
    for category in categories {
        let purpose = policy.purposes.get(category).map_or("", |purpose| purpose.text.as_str());
        writeln!(to, "  {category:<12} {purpose}")?;
    }
    Ok(())
}

/// An answer as text.
pub(super) fn reply(to: &mut impl Write, reply: &Reply) -> io::Result<()> {
    match reply {
        Reply::Overview(value) => overview(to, value),
        Reply::Granted(new) if new.is_empty() => writeln!(to, "All of it was granted before."),
        Reply::Granted(new) => {
            writeln!(to, "Granted: {}. What began before is not told.", names(new))
        }
        Reply::Withdrawn(gone) if gone.is_empty() => writeln!(to, "Nothing of it was granted."),
        Reply::Withdrawn(gone) => {
            writeln!(to, "Withdrawn: {}. What waited of it was deleted.", names(gone))
        }
        Reply::Preview(value) => preview(to, value),
        Reply::Log(lines) if lines.is_empty() => writeln!(to, "Nothing was ever sent."),
        Reply::Log(lines) => {
            for line in lines {
                writeln!(to, "{}  {}", moment(line.at), line.noted.sentence())?;
            }
            Ok(())
        }
        Reply::Sources(lines) if lines.is_empty() => writeln!(to, "No source is set."),
        Reply::Sources(lines) => {
            for line in lines {
                writeln!(to, "{:<10} {:<32} {}", line.kind, line.address, line.state)?;
            }
            Ok(())
        }
        Reply::Failed(text) => writeln!(to, "{text}"),
    }
}

fn overview(to: &mut impl Write, value: &Overview) -> io::Result<()> {
    let Overview { policy, policy_version, operator, .. } = value;
    writeln!(to, "Policy `{policy}`, version {policy_version}, of {operator}.\n")?;
    for state in &value.categories {
        let since = state.since.map_or_else(String::new, |since| since.date().to_string());
        writeln!(to, "{:<12} {:<8} {since:<10}  {}", state.category, state.flag, state.purpose)?;
    }
    if let Some(subject) = value.subject {
        writeln!(to, "\nTo the collector you are {subject}, a random number.")?;
    }
    let granted = value.categories.iter().any(|state| state.flag == Flag::Granted);
    let standing = match (granted, value.confirmed) {
        (false, _) => "No category is granted: nothing is collected, nothing is sent.",
        (true, false) => "The collector has not confirmed your consent yet: nothing is sent.",
        (true, true) => "The collector has confirmed your consent.",
    };
    writeln!(to, "\n{standing}")?;
    if value.contract_unsupported {
        writeln!(to, "The collector does not take what this version sends: batches wait.")?;
    }
    writeln!(
        to,
        "{} consent events, {} reports and {} batches ({} bytes) wait.",
        value.events_waiting, value.reports_pending, value.batches_waiting, value.spool_bytes
    )?;
    let counts = value.counts;
    writeln!(
        to,
        "Since the start: {} answers ignored, {} batches dropped by a full spool, {} reports \
         beyond what a date may tell.",
        counts.ignored_answers, counts.refused_by_spool, counts.beyond_date
    )
}

fn preview(to: &mut impl Write, value: &Preview) -> io::Result<()> {
    writeln!(to, "{}\n", value.kind.heading())?;
    for row in &value.rows {
        writeln!(
            to,
            "{:<7} {:<10} {:<12} {:<20} {:>6}  {}",
            row.record, row.date, row.category, row.field, row.value, row.meaning
        )?;
    }
    if value.bytes.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n{} bytes:", value.bytes.len())?;
    for line in value.bytes.chunks(HEX_LINE) {
        writeln!(to, "{}", hex::encode(line))?;
    }
    Ok(())
}

fn names(categories: &[Category]) -> String {
    categories.iter().map(|category| category.name()).collect::<Vec<_>>().join(", ")
}

/// Date and time of day, UTC.
fn moment(at: UnixSeconds) -> String {
    let seconds = at.0 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{} {hours:02}:{minutes:02}:{seconds:02}", at.date())
}
