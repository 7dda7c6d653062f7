//! `pointsman completions` and `pointsman man`: what packages install along with the program.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{BadInput, Cli, print, print_with};

/// Print a shell's completions
#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Write the manual pages: one for the program, and one for each command
#[derive(clap::Args)]
pub(super) struct Man {
    /// Directory for the pages
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pointsman", &mut script);
    print_with(|out| out.write_all(&script))
}

pub(super) fn man(args: &Man) -> anyhow::Result<()> {
    let refused = |error: std::io::Error| BadInput::new(format!("{}: {error}", args.out.display()));
    std::fs::create_dir_all(&args.out).map_err(refused)?;
    clap_mangen::generate_to(Cli::command(), &args.out).map_err(refused)?;
    print(args.out.display())
}
