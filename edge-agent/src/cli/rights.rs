//! The commands that exercise rights: explain, export, erase and the others, and their answers.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use imprimatur_consent::Category;
use imprimatur_runtime::UtcDate;
use serde_json::{Value, json};

use super::choice::{AllPrinters, Choice};
use super::consent::asked;
use super::reach::Reach;
use super::{Failure, Output, print, unprinted};
use crate::catalogue;
use crate::control::{Reply, Request, Typed};
use crate::core::{Exercise, RequestLine, RequestOutcome, Right, Topic};

#[derive(Debug, Subcommand)]
pub(super) enum Rights {
    /// Shows what the collector holds of you, for what, and every permission with its history.
    #[command(after_help = "Example: imprimatur-agent explain")]
    Explain(Output),
    /// Gives all that this device and the collector hold of you, as JSON lines.
    #[command(after_help = "Example: imprimatur-agent export --out mine.jsonl")]
    Export {
        /// Writes to a new file that only you can read.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Withdraws everything and erases it, here at once and at the collector.
    #[command(after_help = "Example: imprimatur-agent erase")]
    Erase {
        #[command(flatten)]
        all: AllPrinters,
        #[command(flatten)]
        output: Output,
    },
    /// Stops all use of what is held and all collecting, and keeps what is held.
    #[command(after_help = "Example: imprimatur-agent restrict")]
    Restrict(Output),
    /// Ends a restriction that you asked for.
    #[command(after_help = "Example: imprimatur-agent release")]
    Release(Output),
    /// Objects to the use of categories: they are withdrawn, what is held of them is used no more.
    #[command(after_help = "Example: imprimatur-agent object identity")]
    Object {
        /// Categories; all when none is named.
        #[arg(value_name = "CATEGORY")]
        categories: Vec<Category>,
        #[command(flatten)]
        output: Output,
    },
    /// Complains to the operator about: consent, rights, accuracy, security or other.
    #[command(after_help = "Example: imprimatur-agent complain accuracy")]
    Complain {
        /// What about.
        #[arg(value_name = "TOPIC")]
        topic: Topic,
        #[command(flatten)]
        output: Output,
    },
    /// Corrects model and firmware in all days since a date.
    #[command(
        after_help = "Example: imprimatur-agent rectify --since 2026-11-01 --model prusa-mk4 --firmware 'prusa 6.2'"
    )]
    Rectify {
        /// The first day that is wrong, YYYY-MM-DD.
        #[arg(long, value_name = "DATE")]
        since: UtcDate,
        /// The model by its name in the catalogue.
        #[arg(long, required_unless_present = "firmware")]
        model: Option<String>,
        /// Firmware and version.
        #[arg(long)]
        firmware: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Takes the recovery code of a lost device; then explain, export, erase and consent withdraw
    /// work for it here, without any category being granted.
    #[command(after_help = "Example: imprimatur-agent recover ABCD-EFGH-...")]
    Recover {
        /// The code as it was shown; asked for when absent, so that it is in no history.
        #[arg(value_name = "CODE")]
        code: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Lists your requests with due dates and outcomes.
    #[command(after_help = "Example: imprimatur-agent requests")]
    Requests(Output),
    /// Ends everything because the printer changes hands or is reset.
    #[command(after_help = "Example: imprimatur-agent handover")]
    Handover {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
}

impl Rights {
    pub(super) fn run(self, choice: &Choice) -> Result<(), Failure> {
        let (exercise, output) = match self {
            Self::Requests(output) => {
                return choice.each(output, |reach| reach.ask(Request::Requests {}));
            }
            Self::Erase { all, output } if choice.is_for_one(all)? => (Exercise::Erase {}, output),
            Self::Erase { output, .. } => return erase_all(choice, output),
            Self::Explain(output) => return explain(&choice.reach()?, output),
            Self::Export { out } => return export(&choice.reach()?, out.as_deref()),
            Self::Recover { code, output } => return recover(&choice.reach()?, code, output),
            Self::Handover { yes, output } => return handover(&choice.reach()?, yes, output),
            Self::Restrict(output) => (Exercise::Restrict {}, output),
            Self::Release(output) => (Exercise::Release {}, output),
            Self::Object { categories, output } => (Exercise::Object { categories }, output),
            Self::Complain { topic, output } => (Exercise::Complain { topic }, output),
            Self::Rectify { since, model, firmware, output } => {
                (rectify(since, model.as_deref(), firmware.as_deref())?, output)
            }
        };
        let reach = choice.reach()?;
        let (lines, waits) = answered(&reach, exercise.clone(), output)?;
        super::show(&Reply::Requests(lines.clone()), output)?;
        if exercise == (Exercise::Erase {}) && lines.is_empty() && !output.json {
            writeln!(io::stdout(), "{NOBODY_TO_ASK}").map_err(|error| unprinted(&error))?;
        }
        ended(&reach, &lines, waits)
    }
}

/// What is said of an erasure that no collector has to hear of.
const NOBODY_TO_ASK: &str = "Erased here. Nothing was ever sent under a key of this device.";

/// Erases for each printer: here for all of them before the collector is waited for.
fn erase_all(choice: &Choice, output: Output) -> Result<(), Failure> {
    let mut asked = VecDeque::new();
    for printer in &choice.config().printers {
        let reach = Reach::of(choice.config(), printer);
        asked.push_back(reach.and_then(|reach| {
            requests(reach.ask(Request::Exercise { exercise: Exercise::Erase {} })?)
        }));
    }
    told_to_wait(output)?;
    let (mut patient, mut unfinished) = (true, Ok(()));
    let one = |reach: &Reach| {
        let asked = asked.pop_front().unwrap_or(Ok(Vec::new()))?;
        // A collector that did not answer for one printer is not waited for again.
        let (lines, waits) = waited(reach, &asked, patient)?;
        patient &= !waits;
        if let Err(failure) = ended(reach, &lines, waits) {
            unfinished = Err(failure);
        }
        Ok(Reply::Requests(lines))
    };
    choice.each_and(output, one, |to, _reach, reply| match reply {
        Reply::Requests(lines) if lines.is_empty() => writeln!(to, "{NOBODY_TO_ASK}"),
        _ => Ok(()),
    })?;
    unfinished
}

/// Asks, and waits for the answers; tells whether some are missing.
fn answered(
    reach: &Reach,
    exercise: Exercise,
    output: Output,
) -> Result<(Vec<RequestLine>, bool), Failure> {
    let asked = requests(reach.ask(Request::Exercise { exercise })?)?;
    if asked.is_empty() {
        return Ok((asked, false));
    }
    told_to_wait(output)?;
    waited(reach, &asked, true)
}

fn told_to_wait(output: Output) -> Result<(), Failure> {
    if output.json {
        return Ok(());
    }
    let text = "Asked. Waiting for the collector, a minute at most ..";
    writeln!(io::stderr(), "{text}").map_err(|error| unprinted(&error))
}

/// Requests as they are when they are answered, or now; tells whether some answers are missing.
fn waited(
    reach: &Reach,
    asked: &[RequestLine],
    patient: bool,
) -> Result<(Vec<RequestLine>, bool), Failure> {
    if asked.is_empty() {
        return Ok((Vec::new(), false));
    }
    let mine = |reach: &Reach| {
        let all = requests(reach.ask(Request::Requests {})?)?;
        let mine = |line: &RequestLine| asked.iter().any(|one| one.number == line.number);
        Ok::<_, Failure>(all.into_iter().filter(mine).collect::<Vec<_>>())
    };
    let waits = |line: &RequestLine| line.outcome == RequestOutcome::Waiting;
    if !patient {
        let lines = mine(reach)?;
        let waits = lines.iter().any(waits);
        return Ok((lines, waits));
    }
    let all = reach.wait(|reach| {
        let lines = mine(reach)?;
        Ok((!lines.iter().any(waits)).then_some(lines))
    })?;
    match all {
        Some(lines) => Ok((lines, false)),
        None => Ok((mine(reach)?, true)),
    }
}

/// The exit of a command whose requests came this far.
fn ended(reach: &Reach, lines: &[RequestLine], waits: bool) -> Result<(), Failure> {
    if waits {
        let then = if reach.goes_on() {
            "it goes on in the background"
        } else {
            "it goes on when the agent runs, or with the same command"
        };
        return Err(Failure::Unreachable(format!(
            "the collector has not answered yet: {then}; see `imprimatur-agent requests`"
        )));
    }
    let failed = |line: &RequestLine| {
        use RequestOutcome::{TooLong, Unproven, Unusable};
        // Nothing held is what an erasure is for.
        let nothing = line.right == Right::Erase && line.outcome == Unproven;
        !nothing && matches!(line.outcome, Unproven | Unusable | TooLong)
    };
    match lines.iter().find(|line| failed(line)) {
        // Of several keys one may be unknown.
        Some(line) if lines.iter().all(failed) => Err(Failure::No(line.outcome.to_string())),
        _ => Ok(()),
    }
}

fn explain(reach: &Reach, output: Output) -> Result<(), Failure> {
    let (lines, waits) = answered(reach, Exercise::Explain {}, output)?;
    for line in &lines {
        pages(reach, line, |text| {
            let mut to = io::stdout().lock();
            if output.json {
                writeln!(to, "{text}")
            } else {
                print::told(&mut to, &serde_json::from_str(text).unwrap_or(Value::Null), 0)
            }
        })?;
    }
    ended(reach, &lines, waits)
}

fn export(reach: &Reach, out: Option<&Path>) -> Result<(), Failure> {
    let mut to: Box<dyn Write> = match out {
        None => Box::new(io::stdout().lock()),
        Some(path) => {
            let mut options = File::options();
            let file = options.write(true).create_new(true).mode(0o600).open(path);
            Box::new(file.map_err(|error| {
                Failure::No(format!("cannot make `{}`: {error}", path.display()))
            })?)
        }
    };
    let Reply::Device(device) = reach.ask(Request::Device {})? else {
        return Err(Failure::Unreachable("the running agent is of another version".to_owned()));
    };
    for line in device {
        writeln!(to, "{line}").map_err(|error| unprinted(&error))?;
    }
    let (lines, waits) = match answered(reach, Exercise::Export {}, Output { json: true }) {
        // The device's part is all there is.
        Err(Failure::No(_)) => return to.flush().map_err(|error| unprinted(&error)),
        answered => answered?,
    };
    for line in &lines {
        pages(reach, line, |text| {
            let value = serde_json::from_str(text).unwrap_or_else(|_no_json| json!(text));
            let marked = json!({ "part": "collector", "request": line.number, "value": value });
            writeln!(to, "{marked}")
        })?;
    }
    to.flush().map_err(|error| unprinted(&error))?;
    ended(reach, &lines, waits)
}

/// Every line of an answer; a long one goes over several pages.
fn pages(
    reach: &Reach,
    line: &RequestLine,
    mut tell: impl FnMut(&str) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut whole = Vec::new();
    for page in 0..line.pages {
        let reply = reach.ask(Request::Page { request: line.number, page })?;
        let Reply::Page(Some(bytes)) = reply else {
            let text = "a page of the answer is missing: ask again".to_owned();
            return Err(Failure::Unreachable(text));
        };
        whole.extend(hex::decode(bytes).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&whole);
    let mut lines = text.lines().filter(|text| !text.trim().is_empty());
    lines.try_for_each(|text| tell(text).map_err(|error| unprinted(&error)))
}

fn recover(reach: &Reach, code: Option<String>, output: Output) -> Result<(), Failure> {
    let code = match code {
        Some(code) => code,
        None => asked("Recovery code: ").map_err(|error| unprinted(&error))?,
    };
    let reply = reach.ask(Request::Recover { code: Typed(code) })?;
    super::show(&reply, output)
}

fn handover(reach: &Reach, yes: bool, output: Output) -> Result<(), Failure> {
    if !yes {
        let question = "End all consent here, because the printer changes hands? Type yes: ";
        if asked(question).map_err(|error| unprinted(&error))? != "yes" {
            return Err(Failure::No("nothing was changed".to_owned()));
        }
    }
    let reply = reach.ask(Request::Handover {})?;
    super::show(&reply, output)?;
    let silent = |reach: &Reach| {
        let Reply::Overview(overview) = reach.ask(Request::Show {})? else { return Ok(None) };
        Ok((overview.events_waiting == 0).then_some(()))
    };
    match reach.wait(silent)? {
        Some(()) => Ok(()),
        None => Err(Failure::Unreachable(
            "it binds here, but the collector has not heard of it yet: run the agent".to_owned(),
        )),
    }
}

fn rectify(
    since: UtcDate,
    model: Option<&str>,
    firmware: Option<&str>,
) -> Result<Exercise, Failure> {
    let unknown = |what: &str| Failure::Usage(format!("`{what}` is not in the catalogue"));
    let model = model.map(|name| catalogue::model(name).ok_or_else(|| unknown(name)));
    let firmware = firmware.map(|text| {
        let (name, version) = text.split_once(' ').ok_or_else(|| unknown(text))?;
        Ok(catalogue::firmware(name, version.trim()))
    });
    let model = model.transpose()?.map(|model| model.number);
    Ok(Exercise::Rectify { since, model, firmware: firmware.transpose()? })
}

fn requests(reply: Reply) -> Result<Vec<RequestLine>, Failure> {
    match reply {
        Reply::Requests(lines) => Ok(lines),
        _ => Err(Failure::Unreachable("the running agent is of another version".to_owned())),
    }
}
