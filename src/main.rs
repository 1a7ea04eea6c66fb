//! The command line: see [`scorebench::cmd`].

fn main() -> std::process::ExitCode {
    scorebench::cmd::main()
}
