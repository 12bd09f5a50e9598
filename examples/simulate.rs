use clap::Parser;
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ampgate::simulate::SimulateArgs,
}
fn main() {
    if let Err(e) = ampgate::simulate::run(&Cli::parse().args) {
        eprintln!("{e}");
        std::process::exit(2)
    }
}
