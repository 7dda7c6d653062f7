//! The command line.

fn main() -> std::process::ExitCode {
    pointsman::cli::main()
}
