//! The `mvc` program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    mvc::cli::main()
}
