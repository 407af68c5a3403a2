//! Which printers a command is for: the only one, the one that is named, or each of several.
//!
//! What shows may show all. What changes something is for one, so that nobody says yes for a printer
//! that they did not think of; only a no may be said for all at once.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Map, Value, json};

use super::reach::Reach;
use super::{Failure, Output, json, print, printed, show};
use crate::config::{Config, PrinterSettings};
use crate::control::Reply;
use crate::printer::Name;

/// Says a no for all printers.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AllPrinters {
    /// Each of the printers of this host. There is none for a yes.
    #[arg(long)]
    pub(super) all_printers: bool,
}

/// The settings, and the printers of them that a command is for.
pub(super) struct Choice {
    config: Config,
    named: bool,
}

impl Choice {
    /// All printers, or the one that is named.
    pub(super) fn of(mut config: Config, name: Option<&Name>) -> Result<Self, Failure> {
        let Some(name) = name else { return Ok(Self { config, named: false }) };
        if !config.several() {
            let text = "the settings have no `[[printer]]`: leave out --printer";
            return Err(Failure::Usage(text.to_owned()));
        }
        let known = names(&config.printers);
        config.printers.retain(|printer| printer.name.as_ref() == Some(name));
        if config.printers.is_empty() {
            return Err(Failure::Usage(format!(
                "there is no printer `{name}`: name one of {known}"
            )));
        }
        Ok(Self { config, named: true })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether it is for all printers of the settings.
    pub(super) fn is_whole(&self) -> bool {
        !self.named
    }

    /// The settings with all printers; `None` when one was named.
    pub(super) fn whole(self) -> Option<Config> {
        (!self.named).then_some(self.config)
    }

    /// The one printer that a change is for.
    pub(super) fn one(&self) -> Result<&PrinterSettings, Failure> {
        self.only("")
    }

    /// The way to the one printer that a change is for.
    pub(super) fn reach(&self) -> Result<Reach, Failure> {
        Reach::of(&self.config, self.one()?)
    }

    fn only(&self, or_all: &str) -> Result<&PrinterSettings, Failure> {
        match self.config.printers.as_slice() {
            [one] => Ok(one),
            several => {
                let known = names(several);
                Err(Failure::Usage(format!("for which printer? --printer NAME{or_all}: {known}")))
            }
        }
    }

    /// Whether a no is for one printer; an error when it is for one and none is named, or for all and
    /// one is named.
    pub(super) fn is_for_one(&self, all: AllPrinters) -> Result<bool, Failure> {
        match (all.all_printers, self.named) {
            (true, true) => Err(Failure::Usage("--printer or --all-printers, not both".to_owned())),
            (true, false) => Ok(self.config.printers.len() == 1),
            (false, _) => self.only(", or --all-printers").map(|_one| true),
        }
    }

    /// Asks each printer and prints its answer, under its name where there are several.
    pub(super) fn each(
        &self,
        output: Output,
        ask: impl FnMut(&Reach) -> Result<Reply, Failure>,
    ) -> Result<(), Failure> {
        self.each_and(output, ask, |_to, _reach, _reply| Ok(()))
    }

    /// As [`Choice::each`], with something more to print for people after each answer.
    pub(super) fn each_and(
        &self,
        output: Output,
        mut ask: impl FnMut(&Reach) -> Result<Reply, Failure>,
        mut then: impl FnMut(&mut dyn Write, &Reach, &Reply) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if let [one] = self.config.printers.as_slice() {
            let reach = Reach::of(&self.config, one)?;
            let reply = ask(&reach)?;
            show(&reply, output)?;
            return if output.json {
                Ok(())
            } else {
                printed(then(&mut io::stdout().lock(), &reach, &reply))
            };
        }
        let (mut to, mut failed, mut all) = (io::stdout().lock(), Vec::new(), Map::new());
        for printer in &self.config.printers {
            let name = printer.name.as_ref().map(Name::to_string).unwrap_or_default();
            let reached = Reach::of(&self.config, printer);
            let told = reached.and_then(|reach| ask(&reach).map(|reply| (reach, reply)));
            let value = match told {
                Ok((_, reply)) if output.json => value(&reply)?,
                Ok((reach, reply)) => {
                    let text = heading(&mut to, &name, failed.is_empty() && all.is_empty());
                    printed(text.and_then(|()| print::reply(&mut to, &reply)))?;
                    printed(then(&mut to, &reach, &reply))?;
                    Value::Null
                }
                Err(failure) => {
                    let value = json!({ "error": failure.text() });
                    if !output.json {
                        let text = heading(&mut to, &name, failed.is_empty() && all.is_empty());
                        printed(text.and_then(|()| writeln!(to, "{}", failure.text())))?;
                    }
                    failed.push((name.clone(), failure));
                    value
                }
            };
            all.insert(name, value);
        }
        if output.json {
            printed(
                serde_json::to_string_pretty(&all)
                    .map_err(io::Error::from)
                    .and_then(|text| writeln!(to, "{text}")),
            )?;
        }
        printed(to.flush())?;
        let names: Vec<_> = failed.iter().map(|(name, _)| name.clone()).collect();
        match failed.into_iter().next() {
            None => Ok(()),
            Some((_, first)) => {
                Err(first.with(format!("not done for printer {}", names.join(", "))))
            }
        }
    }
}

/// A printer's name above what is said of it.
fn heading(to: &mut impl Write, name: &str, first: bool) -> io::Result<()> {
    let space = if first { "" } else { "\n" };
    writeln!(to, "{space}== {name} ==")
}

fn value(reply: &Reply) -> Result<Value, Failure> {
    let value = json(reply).and_then(|text| serde_json::from_str(&text));
    value.map_err(|error| Failure::Unreachable(format!("cannot print: {error}")))
}

/// The names of printers, for an error.
fn names(printers: &[PrinterSettings]) -> String {
    let names = printers.iter().filter_map(|printer| printer.name.as_ref());
    names.map(Name::to_string).collect::<Vec<_>>().join(", ")
}
