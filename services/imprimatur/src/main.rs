//! The `imprimatur` binary: reads the command line, runs the command, turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use imprimatur::cli::Cli;
use imprimatur::{commands, say};

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_logs();
    if let Err(error) = imprimatur_runtime::lifecycle::leave_no_dump() {
        say::error(&format!("a crash might leave a dump: {error}"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::error(&format!("cannot start: {error}"));
            return ExitCode::from(70);
        }
    };
    match runtime.block_on(commands::run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
