//! The consent commands: what is shown before a yes, what is asked, what is affirmed.

use std::io::{self, Write as _};

use clap::Subcommand;
use imprimatur_consent::{Category, Digest};

use super::choice::{AllPrinters, Choice};
use super::reach::Reach;
use super::{Failure, Output, print, unprinted};
use crate::config::Config;
use crate::control::{Reply, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Consent {
    /// Shows all categories with their purposes and your answers.
    #[command(after_help = "Example: imprimatur-agent consent show --ask")]
    Show {
        /// Also asks about what you have not answered, or refused long ago.
        #[arg(long)]
        ask: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Says yes, after showing what to.
    #[command(after_help = "Example: imprimatur-agent consent grant status print_time")]
    Grant {
        /// Categories.
        #[arg(required = true, value_name = "CATEGORY")]
        categories: Vec<Category>,
        /// One-time token from the collector's operator, 64 hex digits.
        #[arg(long, value_name = "HEX")]
        token: Option<Digest>,
        /// Do not ask: you have read the notice, are of the age that the policy asks for, and are
        /// entitled to decide for this printer.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Says yes again before a yes ends; without categories, to all that is granted.
    #[command(after_help = "Example: imprimatur-agent consent renew")]
    Renew {
        /// Categories; all that is granted when none is named.
        #[arg(value_name = "CATEGORY")]
        categories: Vec<Category>,
        /// As of `consent grant`.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Says no; of what was granted, this is a withdrawal.
    #[command(after_help = "Example: imprimatur-agent consent refuse identity")]
    Refuse {
        /// Categories.
        #[arg(required = true, value_name = "CATEGORY")]
        categories: Vec<Category>,
        #[command(flatten)]
        all: AllPrinters,
        #[command(flatten)]
        output: Output,
    },
    /// Takes a yes back, at once; without categories, all.
    #[command(after_help = "Example: imprimatur-agent consent withdraw temperature")]
    Withdraw {
        /// Categories; all when none is named.
        #[arg(value_name = "CATEGORY")]
        categories: Vec<Category>,
        #[command(flatten)]
        all: AllPrinters,
        #[command(flatten)]
        output: Output,
    },
}

impl Consent {
    pub(super) fn run(self, choice: &Choice) -> Result<(), Failure> {
        let config = choice.config();
        let hash = config.policy.hash;
        match self {
            Self::Show { ask, output } => show(choice, ask, output),
            Self::Grant { categories, token, yes, output } => {
                let reach = choice.reach()?;
                let refused = categories.clone();
                confirm(&reach, config, &categories, yes, output, || {
                    reach.ask(Request::Refuse { categories: refused }).map(|_refused| ())
                })?;
                let request = Request::Grant { categories, token, policy: hash };
                super::show(&reach.ask(request)?, output)
            }
            Self::Renew { categories, yes, output } => {
                let reach = choice.reach()?;
                let named = Some(categories).filter(|named| !named.is_empty());
                let shown = match &named {
                    Some(named) => named.clone(),
                    None => granted(&reach)?,
                };
                // A no leaves what is granted as it is, until it ends.
                confirm(&reach, config, &shown, yes, output, || Ok(()))?;
                let request = Request::Renew { categories: named, policy: hash };
                super::show(&reach.ask(request)?, output)
            }
            Self::Refuse { categories, all, output } => {
                choice.is_for_one(all)?;
                let request = Request::Refuse { categories };
                choice.each(output, |reach| reach.ask(request.clone()))
            }
            Self::Withdraw { categories, all, output } => {
                choice.is_for_one(all)?;
                let categories = Some(categories).filter(|named| !named.is_empty());
                let request = Request::Withdraw { categories };
                choice.each(output, |reach| reach.ask(request.clone()))
            }
        }
    }
}

fn show(choice: &Choice, ask: bool, output: Output) -> Result<(), Failure> {
    let overview = |reach: &Reach| {
        reach.ask(Request::Asked { categories: Category::ALL.to_vec() })?;
        reach.ask(Request::Show {})
    };
    choice.each_and(output, overview, |to, reach, reply| match reply {
        Reply::Overview(overview) if ask => {
            print::question(to, reach.printer.as_ref(), &overview.ask)
        }
        _ => Ok(()),
    })
}

fn granted(reach: &Reach) -> Result<Vec<Category>, Failure> {
    let Reply::Overview(overview) = reach.ask(Request::Show {})? else {
        return Err(Failure::Unreachable("the running agent is of another version".to_owned()));
    };
    let granted = overview.categories.iter();
    let granted = granted.filter(|state| state.flag == imprimatur_consent::Flag::Granted);
    Ok(granted.map(|state| state.category).collect())
}

/// Shows what is asked, and waits for what must be affirmed and for a yes.
fn confirm(
    reach: &Reach,
    terms: &Config,
    categories: &[Category],
    yes: bool,
    output: Output,
    refuse: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if output.json && !yes {
        return Err(Failure::No(
            "with --json, --yes says that you have read the notice".to_owned(),
        ));
    }
    reach.ask(Request::Asked { categories: categories.to_vec() })?;
    if output.json {
        return Ok(());
    }
    let Config { policy, language, .. } = terms;
    let told = |error: io::Error| unprinted(&error);
    print::notice(&mut io::stdout().lock(), policy, language, categories).map_err(told)?;
    if yes {
        return Ok(());
    }
    let age =
        policy.minimum_age.map_or_else(String::new, |age| format!("at least {age} years old and "));
    let entitled = format!("Are you {age}entitled to decide for this printer? Type yes or no: ");
    for question in [entitled.as_str(), "Grant these categories? Type yes or no: "] {
        match asked(question).map_err(told)?.as_str() {
            "yes" => {}
            "" => return Err(Failure::No("nothing was granted".to_owned())),
            _ => {
                refuse()?;
                return Err(Failure::No("nothing was granted; you will not be asked".to_owned()));
            }
        }
    }
    Ok(())
}

/// What is typed in answer to a question.
pub(super) fn asked(question: &str) -> io::Result<String> {
    let mut to = io::stdout().lock();
    write!(to, "{question}")?;
    to.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_lowercase())
}
