//! Floor 7: the command line. Parses arguments, calls one function, sets the exit code.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ampgate::cli::plan::PlanArgs;
use ampgate::cli::secure::Secure;
use ampgate::demo::{self, DemoOptions};
use ampgate::double::{self, CpoArgs};
use ampgate::keyring::{self, CaCommand, KeyCommand};
use ampgate::model::log::Levels;
use ampgate::run::{CheckArgs, RunArgs};
use ampgate::simulate::SimulateArgs;
use ampgate::simulate::replay::{self, Replay};
use ampgate::{cli, config, run, simulate};
use clap::{Parser, Subcommand};

/// Keeps an EV charging site inside its breakers.
#[derive(Debug, Parser)]
#[command(name = "ampgate", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A whole site on this machine, with nothing to install.
    Demo(DemoArgs),
    /// The daemon.
    Run(RunArgs),
    /// All mistakes of a configuration at once; exit 0 or 2.
    Check(CheckArgs),
    /// A year of a site in virtual time.
    Simulate(SimulateArgs),
    /// One planning problem in, plan and reasons out.
    Plan(PlanArgs),
    /// The same inputs give the same outputs.
    Replay {
        /// A journal that `run --journal` or `simulate --journal` wrote.
        journal: PathBuf,
    },
    /// Certificates: of this box, and of chargers.
    #[command(subcommand)]
    Ca(CaCommand),
    /// Passwords, certificates and security profile of a charger.
    #[command(subcommand)]
    Charger(ChargerCommand),
    /// Doubles of what is around the site.
    #[command(subcommand)]
    Twin(TwinCommand),
    /// JSON Schemas.
    #[command(subcommand)]
    Schema(Schema),
    #[command(flatten)]
    Ask(cli::Command),
}

#[derive(Debug, Subcommand)]
enum ChargerCommand {
    #[command(flatten)]
    Kept(KeyCommand),
    #[command(flatten)]
    Told(Secure),
}

#[derive(Debug, Subcommand)]
enum TwinCommand {
    /// The back-end of an operator: serves sessions over OCPI, takes profiles, scores them.
    Cpo(CpoArgs),
}

#[derive(Debug, Subcommand)]
enum Schema {
    /// Of the configuration.
    Config,
}

#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// Seconds that pass in a real one [default: 120; with --once 180].
    #[arg(long, value_name = "N")]
    speed: Option<f64>,
    /// Port of the page, on loopback.
    #[arg(long, value_name = "P", default_value_t = 8080)]
    port: u16,
    /// One day at speed, then a summary; exit 0 when no safety check failed.
    #[arg(long)]
    once: bool,
    /// Where the store is kept [default: ./ampgate-demo].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is logged: a level, and with commas those of modules, e.g. info,ocpp=debug.
    #[arg(long, value_name = "LEVELS", value_parser = Levels::parse)]
    log_level: Option<Levels>,
}

/// Exit code of a usage or configuration mistake, as clap has it.
const EXIT_MISTAKE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Demo(args) => demonstrate(args),
        Command::Run(args) => finish(block_on(run::run(args)), EXIT_MISTAKE),
        Command::Check(args) => exit(run::check(&args), EXIT_MISTAKE),
        Command::Simulate(args) => finish(simulate::run(&args), EXIT_MISTAKE),
        Command::Plan(args) => print(cli::plan::answer(&args)),
        Command::Replay { journal } => play(&journal),
        Command::Twin(TwinCommand::Cpo(args)) => finish(block_on(double::run(args)), EXIT_MISTAKE),
        Command::Schema(Schema::Config) => {
            println!("{:#}", config::schema());
            ExitCode::SUCCESS
        }
        Command::Ca(command) => say(keyring::ca(command)),
        Command::Charger(ChargerCommand::Kept(command)) => say(keyring::keys(command)),
        Command::Charger(ChargerCommand::Told(command)) => cli::secure(command),
        Command::Ask(command) => cli::run(command),
    }
}

fn say<E: std::fmt::Display>(said: Result<String, E>) -> ExitCode {
    finish(said.map(|text| print!("{text}")), 1)
}

fn print<E: std::fmt::Display>(answer: Result<String, E>) -> ExitCode {
    if let Ok(text) = &answer {
        // A reader that closes the pipe early has what it wanted.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    finish(answer.map(|_| ()), EXIT_MISTAKE)
}

fn play(journal: &Path) -> ExitCode {
    match replay::replay(journal) {
        Ok(found) => {
            println!("{found}");
            exit(matches!(found, Replay::Same { .. }), 1)
        }
        Err(error) => finish(Err(error), EXIT_MISTAKE),
    }
}

fn demonstrate(args: DemoArgs) -> ExitCode {
    ampgate::io::log::install(args.log_level);
    let usual = if args.once { demo::SPEED_ONCE } else { demo::SPEED };
    let options = DemoOptions {
        speed: args.speed.unwrap_or(usual),
        port: args.port,
        once: args.once,
        data: args.data.unwrap_or_else(|| PathBuf::from("ampgate-demo")),
    };
    match block_on(demo::run(options)) {
        Ok(safe) => exit(safe, 1),
        Err(error) => finish(Err(error), 1),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a process that cannot start two threads cannot do anything").block_on(work)
}

fn finish<E: std::fmt::Display>(result: Result<(), E>, failed: u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ampgate: {error}");
            ExitCode::from(failed)
        }
    }
}

fn exit(good: bool, failed: u8) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(failed) }
}
