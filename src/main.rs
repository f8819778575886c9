//! Parses the arguments, calls the command, and maps its result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use countersign::cli::{self, Args, Exit};

fn main() -> ExitCode {
    let exit = match Args::try_parse() {
        Ok(args) => cli::run(args),
        Err(problem) => {
            problem.print().ok(); // Nobody reads: the exit code still says it.
            if problem.use_stderr() { Exit::Usage } else { Exit::Done }
        }
    };
    ExitCode::from(exit.code())
}
