//! Answers for people.

use std::io::{self, Write};

use imprimatur_consent::{Category, Flag, Policy};
use imprimatur_runtime::UnixSeconds;
use serde_json::Value;

use crate::control::{Reply, Typed};
use crate::core::{Counts, Overview, Preview, RequestLine};
use crate::printer::Name;

/// Bytes in a line of the hex dump.
const HEX_LINE: usize = 32;

/// The policy's notice and the purposes of these categories.
pub(super) fn notice(
    to: &mut impl Write,
    policy: &Policy,
    language: &str,
    categories: &[Category],
) -> io::Result<()> {
    writeln!(to, "{}", policy.notice(language).trim())?;
    let operator = &policy.operator;
    writeln!(
        to,
        "\nPolicy `{}`, version {}, of {} ({}). A yes holds for {} months.",
        policy.name, policy.version, operator.name, operator.contact, policy.validity_months
    )?;
    for category in categories {
        let purpose = policy.purposes.get(category);
        let text = purpose.map_or("the policy does not ask for it", |p| p.text(language));
        writeln!(to, "  {category:<12} {text}")?;
    }
    Ok(())
}

/// What the owner may be asked about; `printer` is its name among several.
pub(super) fn question(
    to: &mut dyn Write,
    printer: Option<&Name>,
    categories: &[Category],
) -> io::Result<()> {
    if categories.is_empty() {
        return writeln!(to, "\nThere is nothing to ask.");
    }
    let all: Vec<_> = categories.iter().map(|category| category.name()).collect();
    writeln!(to, "\nYou have not answered yet, or long ago: {}.", all.join(", "))?;
    let here = printer.map_or_else(String::new, |name| format!(" --printer {name}"));
    writeln!(to, "  yes: imprimatur-agent consent grant {}{here}", all.join(" "))?;
    writeln!(to, "  no:  imprimatur-agent consent refuse {}{here}", all.join(" "))
}

/// A value that the collector told, as indented lines.
pub(super) fn told(to: &mut impl Write, value: &Value, depth: usize) -> io::Result<()> {
    let space = "  ".repeat(depth);
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match value {
            Value::Object(_) | Value::Array(_) => {
                writeln!(to, "{space}{key}:")?;
                told(to, value, depth.saturating_add(1))
            }
            Value::String(text) => writeln!(to, "{space}{key}: {text}"),
            other => writeln!(to, "{space}{key}: {other}"),
        }),
        Value::Array(values) => values.iter().try_for_each(|value| told(to, value, depth)),
        Value::String(text) => writeln!(to, "{space}{text}"),
        other => writeln!(to, "{space}{other}"),
    }
}

/// An answer as text.
pub(super) fn reply(to: &mut impl Write, reply: &Reply) -> io::Result<()> {
    match reply {
        Reply::Overview(value) => overview(to, value),
        Reply::Granted { granted, .. } if granted.is_empty() => {
            writeln!(to, "All of it was granted before.")
        }
        Reply::Granted { granted, recovery_code } => {
            writeln!(to, "Granted: {}. What began before is not told.", names(granted))?;
            let Some(Typed(code)) = recovery_code else { return Ok(()) };
            writeln!(
                to,
                "\nRecovery code, shown this once and kept nowhere:\n\n  {code}\n\nWrite it down: \
                 when this device is lost, it is your only way to see and erase what the collector \
                 holds."
            )
        }
        Reply::Renewed(all) if all.is_empty() => writeln!(to, "Nothing is granted."),
        Reply::Renewed(all) => writeln!(to, "Renewed: {}.", names(all)),
        Reply::HandedOver(true) => {
            writeln!(to, "Consent has ended here; the answers are open again.")
        }
        Reply::HandedOver(false) => {
            writeln!(to, "Nothing was granted; the answers are open again.")
        }
        Reply::Requests(lines) if lines.is_empty() => writeln!(to, "No request was made."),
        Reply::Requests(lines) => lines.iter().try_for_each(|line| request(to, line)),
        Reply::Page(page) => write!(to, "{}", page.as_deref().unwrap_or_default()),
        Reply::Device(lines) => lines.iter().try_for_each(|line| writeln!(to, "{line}")),
        Reply::Done {} => writeln!(to, "Done."),
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
                writeln!(to, "{:<10} {:<32} {}", line.kind.name(), line.address, line.state)?;
                if let Some(advice) = &line.advice {
                    writeln!(to, "{:<10} WARNING: {advice}", "")?;
                }
            }
            Ok(())
        }
        Reply::No(text) | Reply::Failed(text) | Reply::Unusable(text) => writeln!(to, "{text}"),
    }
}

fn request(to: &mut impl Write, line: &RequestLine) -> io::Result<()> {
    let late = if line.overdue { "  OVERDUE" } else { "" };
    let register = line.register.map_or_else(String::new, |number| format!(", register {number}"));
    writeln!(
        to,
        "{:>4}  {:<9} of {}, due {}{late}: {}{register}",
        line.number, line.right, line.made, line.due, line.outcome
    )
}

fn overview(to: &mut impl Write, value: &Overview) -> io::Result<()> {
    let Overview { policy, policy_version, operator, .. } = value;
    writeln!(to, "Policy `{policy}`, version {policy_version}, of {operator}.\n")?;
    for state in &value.categories {
        let since = state.since.map_or_else(String::new, |since| since.date().to_string());
        let purpose = match (state.denied, state.purpose.as_str()) {
            (true, _) => "denied by the settings of this host",
            (false, "") => "not asked for by this policy",
            (false, purpose) => purpose,
        };
        writeln!(to, "{:<12} {:<8} {since:<10}  {purpose}", state.category, state.flag)?;
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
    if let Some(until) = value.valid_until {
        writeln!(to, "The first yes ends on {until}; renew it with `consent renew`.")?;
    }
    if value.clock_doubtful {
        writeln!(
            to,
            "This device's clock cannot be believed: {} reports are held without a date, and nothing \
             is sent until it is right. Set it, or let it synchronise (`timedatectl`).",
            value.held
        )?;
    }
    if value.restricted {
        writeln!(to, "You restricted it: nothing is collected or sent until `release`.")?;
    }
    if value.doubt {
        writeln!(
            to,
            "The collector showed another log than before: nothing is sent until it proves what \
             you decided."
        )?;
    }
    if value.contract_unsupported {
        writeln!(to, "The collector does not take what this version sends: batches wait.")?;
    }
    writeln!(
        to,
        "{} consent events, {} reports and {} batches ({} bytes) wait.",
        value.events_waiting, value.reports_pending, value.batches_waiting, value.spool_bytes
    )?;
    counts(to, value)
}

/// What became of everything; each line adds up.
fn counts(to: &mut impl Write, value: &Overview) -> io::Result<()> {
    let Counts { collected, beyond_date, undated, .. } = value.counts;
    let Counts { sealed, sent, stored, refused, purged, dropped, .. } = value.counts;
    let of = value.counts.records;
    writeln!(
        to,
        "\nOf {sealed} batches {stored} were stored, {refused} refused, {purged} deleted, {dropped} \
         dropped by a full spool, {} wait; they were sent {sent} times.",
        value.batches_waiting
    )?;
    writeln!(
        to,
        "Of {collected} reports {} were stored, {} refused, {} deleted, {} dropped, {} wait; \
         {beyond_date} were beyond what a date may tell. {undated} more never got a date.",
        of.stored,
        of.refused,
        of.purged,
        of.dropped,
        of.waiting.saturating_add(u64::try_from(value.reports_pending).unwrap_or(u64::MAX))
    )?;
    writeln!(to, "Since the start {} answers were ignored.", value.ignored_answers)
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

/// Categories, with commas.
pub(super) fn names(categories: &[Category]) -> String {
    categories.iter().map(|category| category.name()).collect::<Vec<_>>().join(", ")
}

/// Date and time of day, UTC.
fn moment(at: UnixSeconds) -> String {
    let seconds = at.0 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{} {hours:02}:{minutes:02}:{seconds:02}", at.date())
}
