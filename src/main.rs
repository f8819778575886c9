//! Parses the arguments, calls the command, and maps its result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use countersign::cli::{self, Args, Command, Exit};

fn main() -> ExitCode {
    let exit = match arguments() {
        Ok(args) => cli::run(args),
        Err(problem) => {
            problem.print().ok(); // Nobody reads: the exit code still says it.
            if problem.use_stderr() { Exit::Usage } else { Exit::Done }
        }
    };
    ExitCode::from(exit.code())
}

/// `mcp` runs as long as its client does, and clients start one each: it goes past the parser,
/// whose code and tables would be 1 MiB of a process of 9.
fn arguments() -> Result<Args, clap::Error> {
    if std::env::args_os().skip(1).eq(["mcp"]) {
        return Ok(Args { json: false, command: Command::Mcp { session: None } });
    }
    Args::try_parse()
}
