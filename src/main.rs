//! The command line: see [`scorebench::cmd`].

fn main() -> std::process::ExitCode {
    #[cfg(all(feature = "candle", unix))]
    alone();
    scorebench::cmd::main()
}

/// Starts the program once more with candle's own threads switched off, which only the environment can do. They spin while they
/// wait and let one caller in at a time: with them, two threads that run a batch each are hardly faster than one.
#[cfg(all(feature = "candle", unix))]
fn alone() {
    use std::os::unix::process::CommandExt;
    const KEY: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(KEY).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        // Where that fails, everything still works.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(KEY, "1").exec();
    }
}
