//! `imprimatur-agent`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    imprimatur_agent::cli::main()
}
