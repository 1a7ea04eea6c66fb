//! Tells the program which source it was built from, so that results can say so and stale ones are not reused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = vec![root.join("Cargo.lock")];
    collect(&root.join("src"), &mut files);
    // What draws, prints or compares does not determine numbers.
    let aside = ["plot", "cmd", "certify", "main", "bench", "compare", "report", "race", "optimise"];
    files.retain(|f| {
        let within = |c: std::path::Component| {
            aside.iter().any(|n| Path::new(c.as_os_str()).with_extension("") == Path::new(n))
        };
        !f.strip_prefix(root.join("src")).is_ok_and(|f| f.components().next().is_some_and(within))
    });
    files.sort();
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for file in &files {
        hash.add(file.strip_prefix(&root).unwrap_or(file).to_string_lossy().as_bytes());
        hash.add(&fs::read(file).unwrap_or_default());
    }
    println!("cargo:rustc-env=SCOREBENCH_SOURCE={:016x}", hash.0);
    println!(
        "cargo:rustc-env=SCOREBENCH_RUSTC={}",
        output(&std::env::var("RUSTC").unwrap_or("rustc".into()), &["--version"], &root)
    );
    println!("cargo:rustc-env=SCOREBENCH_COMMIT={}", output("git", &["rev-parse", "HEAD"], &root));
    let dirty =
        output("git", &["status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock", "build.rs"], &root);
    println!("cargo:rustc-env=SCOREBENCH_DIRTY={}", !dirty.is_empty());
    for path in ["src", "Cargo.toml", "Cargo.lock", "build.rs", ".git/HEAD", ".git/index"] {
        if root.join(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// First line of what a command prints; empty if it cannot be run.
fn output(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let text =
        output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().into()
}

/// Fowler-Noll-Vo 1a, 64 bits: enough to tell one source tree from the next.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        // The length first, so that parts do not run into each other.
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
