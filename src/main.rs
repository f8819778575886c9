//! Parses the arguments, calls the command, and maps its result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use countersign::cli::{self, Args, Command, Exit, args::McpArgs};

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
/// whose code and tables would be 1 MiB of a process of 9. `hook` runs at each prompt of a person's,
/// who waits for it.
fn arguments() -> Result<Args, clap::Error> {
    let given = || std::env::args_os().skip(1);
    let channel = given().eq(["mcp", "--channel"]);
    if channel || given().eq(["mcp"]) {
        let mcp = McpArgs { channel, session: None };
        return Ok(Args { json: false, command: Command::Mcp(mcp) });
    }
    cli::hook::quick(std::env::args_os()).map_or_else(Args::try_parse, Ok)
}
