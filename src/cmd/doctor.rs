//! `scorebench doctor`: what this program finds on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Status, print, print_json};
use crate::error::Result;
use crate::{parallel, plot, real, results};

/// Says what this program was built with and what it finds here; exit code 1 if something is in the way
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Folder of result folders
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(serde::Serialize)]
struct Finding {
    what: &'static str,
    found: String,
    /// Whether nothing is in the way.
    fine: bool,
}

impl Doctor {
    pub(super) fn go(&self) -> Result<Status> {
        let fine = |what, found: String| Finding { what, found, fine: true };
        let features = results::features();
        let mut all = vec![
            fine("version", format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("SCOREBENCH_COMMIT"))),
            fine("features", if features.is_empty() { "none".into() } else { features.join(", ") }),
            fine("threads", parallel::threads().to_string()),
            fine("vectors", real::vectors().into()),
        ];
        all.extend(devices().into_iter().map(|device| fine("device", device)));
        all.push(fine("font", format!("{}, in the program", plot::FONT)));
        all.push(git());
        all.push(writable(&self.out));
        if self.json {
            print_json(&all);
        } else {
            let mark = |f: &Finding| if f.fine { "" } else { "  <- in the way" };
            all.iter().for_each(|f| print(&format!("{:<9} {}{}\n", f.what, f.found, mark(f))));
        }
        Ok(if all.iter().all(|f| f.fine) { Status::Fine } else { Status::Failed })
    }
}

/// `compare` reads baselines of other revisions through git, and does without where there is none.
fn git() -> Finding {
    let version = Command::new("git").arg("--version").output().ok().filter(|o| o.status.success());
    let found = version.map_or("none: `compare git:REV:PATH` cannot work".into(), |o| {
        String::from_utf8_lossy(&o.stdout).trim().trim_start_matches("git version ").to_string()
    });
    Finding { what: "git", found, fine: true }
}

/// Whether results can be written, found by writing (and removing) a file where they, or their folder, would be.
fn writable(out: &Path) -> Finding {
    let there = out.ancestors().find(|p| p.as_os_str().is_empty() || p.exists()).unwrap_or(out);
    let folder = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let file = folder.join(format!(".doctor-{}.tmp", std::process::id()));
    let written = std::fs::write(&file, "");
    let _ = std::fs::remove_file(&file);
    let found = match &written {
        Ok(()) if out.exists() => format!("{} can be written", out.display()),
        Ok(()) => format!("{} can be made", out.display()),
        Err(e) => format!("{} cannot be written: {e}", out.display()),
    };
    Finding { what: "results", found, fine: written.is_ok() }
}

#[cfg(feature = "candle")]
fn devices() -> Vec<String> {
    crate::net::device::found()
}

#[cfg(not(feature = "candle"))]
fn devices() -> Vec<String> {
    vec!["host (networks need --features candle)".into()]
}
