//! The command line as a person uses it, inside the process of a test.

use clap::Parser;

use ampgate::cli;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: cli::Command,
}

/// What `ampgate` with these words says, or its complaint.
pub fn command(words: &[&str]) -> Result<String, String> {
    let line = Line::try_parse_from([&["ampgate"], words].concat());
    let line = line.map_err(|error| error.to_string())?;
    cli::answer(&line.command).map_err(|error| error.to_string())
}
