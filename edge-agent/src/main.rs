//! `imprimatur-agent`: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use imprimatur_agent::cli::Arguments;

fn main() -> ExitCode {
    Arguments::parse().execute()
}
